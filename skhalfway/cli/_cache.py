"""``skhalfway cache``: what finished work is kept in a folder."""

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
        help="say or delete what --memory keeps in a folder",
        description="Finished work of audits and of scorers with memory= is kept in a folder, so that a run "
        "that was interrupted goes on where it was.",
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, tells in (("info", "say how much is kept"), ("clear", "delete what is kept")):
        action = actions.add_parser(name, help=tells, description=f"{tells[0].upper()}{tells[1:]}.")
        action.add_argument(
            "store", metavar="PATH", help="the folder that was --memory, or memory= of a scorer"
        )
        action.set_defaults(run=run, parser=action)


def run(options: Namespace) -> int:
    """Say or delete."""
    from skhalfway.engine import Store

    if not Store.is_in(options.store):
        raise ValueError(
            f"nothing is kept in {options.store}; give the folder that was --memory, or memory= of a scorer"
        )
    store = Store(options.store)
    print(store.info() if options.action == "info" else f"deleted {store.clear()}")
    return PASSED
