"""``skhalfway audit``: audit a model out of a file, write reports, and judge them by limits."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skhalfway.cli._inputs import add_data, add_models, check_names
from skhalfway.cli._limits import KINDS, METRICS, limit, unknowable
from skhalfway.cli._parser import existing, folder, jobs, positive, share, to_write, whole

if TYPE_CHECKING:
    from argparse import ArgumentParser

EPS = (0.1, 0.25, 0.5)
PARTS = ("exposed", "columns", "nearest", "halfway", "retraining")
HTML, JSON, MARKDOWN, JUNIT = (".html", ".htm"), (".json",), (".md", ".markdown"), (".xml",)
DESCRIPTION = """\
Who fools a deployed classifier, within which changes, how sure is that, and what is to be done?

Adversarial examples are made on the deployed model itself, on other models that are given, and on surrogates,
which are trained here as an attacker without access would train them. All are tried on the deployed model.
"""
EPILOG = f"""\
limits of --fail-above, each of which ends with status 1 where it is not kept:
  0.3                  short for rate=0.3
  NAME=NUMBER          fails above, for accuracies below:
{chr(10).join(f"    {name:<17}{says}" for name, says in METRICS.items())}
  kind:KIND            fails where there is a finding of that kind:
                       {", ".join(KINDS[:6])},
                       {", ".join(KINDS[6:])}
Where there is reason to doubt the figures (masked gradients, fewer than 30 samples that count, a check-up
that warns), limits are not kept, whatever the figures are; --accept-doubts goes by the figures alone.

examples:
  skhalfway audit --model deployed.skops --data test.csv --target label --out report.html
  skhalfway audit --model deployed.skops --model next=net.pt2 --data test.csv --target label \\
      --reference train.csv --constraints constraints.toml --eps 0.1 0.25 \\
      --json report.json --junit report.xml --fail-above rate=0.3 kind:column --quiet
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "audit",
        help="audit a deployed model: who fools it, how far, and what to do",
        description=DESCRIPTION,
        epilog=EPILOG,
        usage="%(prog)s --model FILE --data FILE --target COLUMN [options]",
    )
    add_models(parser)
    parser.add_argument(
        "--deployed", metavar="NAME", help="the model that is audited; the first one, if not said"
    )
    _add_data(parser)
    _add_attack(parser)
    _add_run(parser)
    _add_reports(parser)
    parser.set_defaults(run=run, parser=parser)


def _add_data(parser: ArgumentParser) -> None:
    group = add_data(parser)
    group.add_argument(
        "--reference",
        type=existing,
        metavar="FILE",
        help="data like those of training, on which surrogates are trained and units of budgets measured; "
        "without it, half of the data is split off for that and not attacked",
    )
    group.add_argument(
        "--constraints",
        type=existing,
        metavar="FILE",
        help=".toml or .json file of what a valid sample keeps to: immutable, integer, one_hot, increasing, "
        "decreasing columns",
    )


def _add_attack(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("attack")
    group.add_argument(
        "--eps",
        nargs="+",
        type=positive,
        default=list(EPS),
        metavar="NUMBER",
        help=f"budgets: the largest changes that attackers may make, increasing ({' '.join(map(str, EPS))})",
    )
    group.add_argument(
        "--eps-unit",
        choices=("std", "range", "input"),
        help="what budgets count in: standard deviations of each column (for tables, if not said), its "
        "range, or the units of the data (for images, if not said)",
    )
    group.add_argument(
        "--norm", choices=("inf", "2", "1"), default="inf", help="norm in which changes are measured (inf)"
    )
    group.add_argument(
        "--clip-values",
        nargs="+",
        default=["range"],
        metavar="VALUE",
        help="range of valid values: LOW HIGH, 'range' for that of each column in the data (if not said), "
        "or 'none'",
    )
    group.add_argument(
        "--attack", default="auto", metavar="NAME", help="auto (if not said), auto-strong, pgd, tree..."
    )
    group.add_argument(
        "--no-surrogates", action="store_true", help="train none; attack the models that are given only"
    )
    group.add_argument(
        "--surrogate-share",
        type=share,
        default=0.5,
        metavar="SHARE",
        help="share of the reference that surrogates are trained on (%(default)s)",
    )


def _add_run(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--samples",
        type=whole(2),
        default=500,
        metavar="N",
        help="samples to attack at most, classes in proportion (%(default)s)",
    )
    group.add_argument(
        "--parts",
        nargs="+",
        default=["all"],
        choices=("all", "none", *PARTS),
        metavar="PART",
        help=f"what is measured beside rates: all (if not said), none, or some of {', '.join(PARTS)}",
    )
    group.add_argument(
        "--seed", type=whole(0, 2**32 - 1), default=0, metavar="N", help="for all that is drawn (%(default)s)"
    )
    group.add_argument("--jobs", type=jobs, metavar="N", help="jobs side by side; -1 for all processors")
    group.add_argument(
        "--memory",
        type=folder,
        metavar="DIR",
        help="keep finished work here, so that a next run goes on with it",
    )
    group.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help="most that a model may take for a block of samples",
    )


def _add_reports(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("reports and limits")
    group.add_argument("--out", type=to_write(*HTML), metavar="FILE", help="report as a page (.html)")
    group.add_argument(
        "--json",
        type=to_write(*JSON),
        metavar="FILE",
        help="all figures, for compare and load_result (.json)",
    )
    group.add_argument(
        "--markdown", type=to_write(*MARKDOWN), metavar="FILE", help="for the summary of a job (.md)"
    )
    group.add_argument(
        "--junit", type=to_write(*JUNIT), metavar="FILE", help="limits and findings as test cases (.xml)"
    )
    group.add_argument(
        "--fail-above",
        nargs="+",
        action="extend",
        type=limit,
        default=[],
        metavar="LIMIT",
        help="end with status 1 where a limit is not kept; see below",
    )
    group.add_argument(
        "--accept-doubts",
        action="store_true",
        help="limits go by the figures alone, even where these are in doubt",
    )
    group.add_argument(
        "--quiet", action="store_true", help="no progress bars, and nothing on standard output"
    )


def run(options: Namespace) -> int:
    """Check what is asked for, then do it."""
    _check(options)
    from skhalfway.cli._auditing import audit_files  # all that is heavy

    return audit_files(options)


def _check(options: Namespace) -> None:
    """End where options do not go together."""
    error = options.parser.error
    check_names(options)
    names = [model.name for model in options.models]
    if options.deployed is not None and options.deployed not in names:
        error(
            f"argument --deployed: there is no model {options.deployed!r}; the models are {', '.join(names)}"
        )
    if any(first >= second for first, second in pairwise(options.eps)):
        error("argument --eps: budgets must increase, each larger than the one before")
    _check_range(options)
    if options.no_surrogates and len(names) < 2:
        error(
            "--no-surrogates leaves one model alone with no attacker; give a second --model, or leave it out"
        )
    if len(options.parts) > 1 and {"all", "none"} & set(options.parts):
        error("argument --parts: 'all' and 'none' stand alone")
    if why := unknowable(
        options.fail_above,
        n_models=len(names),
        surrogates=not options.no_surrogates,
        parts=options.parts,
    ):
        error(f"argument --fail-above: {why}")
    if options.accept_doubts and not options.fail_above:
        error("--accept-doubts is for limits; give --fail-above too")
    read = [options.data, options.reference, options.constraints, *(model.path for model in options.models)]
    check_apart(options, ("out", "json", "markdown", "junit"), read)


def _check_range(options: Namespace) -> None:
    given = options.clip_values
    if given in (["range"], ["none"]):
        return
    try:
        low, high = map(float, given)
        right = low < high
    except ValueError:
        right = False
    if not right:
        options.parser.error(
            "argument --clip-values: must be 'range', 'none', or two numbers, the lower one first; got "
            f"{' '.join(given)[:80]}"
        )


def check_apart(options: Namespace, outputs: Sequence[str], read: Sequence[Path | None]) -> None:
    """End where a report would be written over another one or over what is read."""
    taken = {path.resolve() for path in read if path is not None}
    for name in outputs:
        path = getattr(options, name)
        if path is None:
            continue
        if path.resolve() in taken:
            options.parser.error(f"argument --{name}: {path} is named twice; it would be written over")
        taken.add(path.resolve())
