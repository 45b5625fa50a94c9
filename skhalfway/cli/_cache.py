"""``skhalfway cache``: show or delete the finished work that a folder caches."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from skhalfway.cli._parser import PASSED

EPILOG = """\
examples:
  skhalfway cache info kept
  skhalfway cache clear kept
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "cache",
        help="show the size of a cache folder (--memory), or delete its content",
        description="A cache folder holds finished work of audits with --memory and of scorers with memory=, "
        "so that an interrupted run can be resumed.",
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, tells in (("info", "show how much is cached"), ("clear", "delete all that is cached")):
        action = actions.add_parser(name, help=tells, description=f"{tells[0].upper()}{tells[1:]}.")
        action.add_argument(
            "store", metavar="PATH", help="folder that was given as --memory, or as memory= of a scorer"
        )
        action.set_defaults(run=run, parser=action)


def run(options: Namespace) -> int:
    """Show the size of a cache, or delete its content."""
    from skhalfway.engine import Store

    if not Store.is_in(options.store):
        raise ValueError(
            f"{options.store} is not a cache folder; give the folder that was --memory, or memory= of a "
            "scorer"
        )
    store = Store(options.store)
    print(store.info() if options.action == "info" else f"deleted {store.clear()}")
    return PASSED
