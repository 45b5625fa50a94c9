"""``skhalfway check``: faults that would make figures about models misleading."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from skhalfway.cli._inputs import add_data, add_models, check_names, read_models, read_samples
from skhalfway.cli._parser import ABOVE, PASSED

DESCRIPTION = """\
Check models for faults that would make figures about them misleading. A few predictions show whether inputs
have the scale of the training data, whether classes are in order, whether predictions are constant or random,
and whether gradients are usable. An audit does this too; alone it takes seconds.
"""
EPILOG = """\
The exit status is 1 if the check-up of a model warns.

examples:
  skhalfway check --model deployed.skops --data test.csv --target label
  skhalfway check --model a.skops --model b=net.pt2 --data test.npz
  skhalfway check --model a.skops --data test.csv --target label --sep ';' --decimal , --text postcode
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="check models for faults that would make figures about them misleading",
        description=DESCRIPTION,
        epilog=EPILOG,
        usage="%(prog)s --model FILE --data FILE --target COLUMN [options]",
    )
    add_models(parser)
    add_data(parser)
    parser.set_defaults(run=run, parser=parser)


def run(options: Namespace) -> int:
    """Check all models and print the findings."""
    check_names(options)
    import warnings
    from dataclasses import replace

    from skhalfway._text import brief
    from skhalfway.models import check_model

    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        models, data, _ = read_models(options, read_samples(options))
        checks = [replace(check_model(model, data.X, data.y), name=name) for name, model in models.items()]
    for check in checks:
        print(check)
    for message in dict.fromkeys(brief(one.message, 400) for one in log):
        print(f"warning: {message}")
    warned = [check for check in checks if not check.ok]
    if not warned:
        return PASSED
    found = "; ".join(f"{check.name}: {check.warnings[0].message}" for check in warned)
    return int(options.parser.tell(f"failed: {found}", ABOVE))
