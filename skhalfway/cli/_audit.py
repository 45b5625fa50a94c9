"""``skhalfway audit``: audit a model in a file, write reports, and check limits."""

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
Audit a deployed classifier: which attackers fool it, how often, with how large changes, and what to do.

Adversarial examples are made on the deployed model itself, on any other models given, and on surrogates,
which are trained here as an attacker without access would train them. All are tried on the deployed model.
"""
EPILOG = f"""\
limits for --fail-above; the exit status is 1 if one of them fails:
  0.3                  short for rate=0.3
  NAME=NUMBER          fails if the figure is above NUMBER (an accuracy: below):
{chr(10).join(f"    {name:<17}{says}" for name, says in METRICS.items())}
  kind:KIND            fails if there is a finding of that kind:
                       {", ".join(KINDS[:6])},
                       {", ".join(KINDS[6:])}
If there is reason to doubt the figures (masked gradients, fewer than 30 samples that count, a check-up that
warns, a column that gives the label away), the audit fails whatever they are. With --accept-doubts, only the
figures decide.

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
        help="audit a deployed model: which attackers fool it, how often, and what to do",
        description=DESCRIPTION,
        epilog=EPILOG,
        usage="%(prog)s --model FILE --data FILE --target COLUMN [options]",
    )
    add_models(parser)
    parser.add_argument(
        "--deployed", metavar="NAME", help="name of the model to audit (default: the first one)"
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
        help="data like the training data; surrogates are trained and units of budgets measured on it. "
        "Without it, half of --data is split off for that and not attacked",
    )
    group.add_argument(
        "--constraints",
        type=existing,
        metavar="FILE",
        help=".toml or .json file with rules for valid samples: immutable, integer, one_hot, increasing, "
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
        help="budgets: the largest changes that attackers may make, in increasing order (default: "
        f"{' '.join(map(str, EPS))})",
    )
    group.add_argument(
        "--eps-unit",
        choices=("std", "range", "input"),
        help="unit of the budgets: standard deviations of each column (default for tables), its range, or "
        "the units of the data (default for images)",
    )
    group.add_argument(
        "--norm", choices=("inf", "2", "1"), default="inf", help="norm of the changes (default: inf)"
    )
    group.add_argument(
        "--clip-values",
        nargs="+",
        default=["range"],
        metavar="VALUE",
        help="range of valid values: LOW HIGH, 'range' for the range of each column in the data (default), "
        "or 'none'",
    )
    group.add_argument(
        "--attack", default="auto", metavar="NAME", help="auto (default), auto-strong, pgd, tree..."
    )
    group.add_argument(
        "--no-surrogates", action="store_true", help="train no surrogates; attack the given models only"
    )
    group.add_argument(
        "--surrogate-share",
        type=share,
        default=0.5,
        metavar="SHARE",
        help="share of the reference that surrogates are trained on (default: %(default)s)",
    )


def _add_run(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    group.add_argument(
        "--samples",
        type=whole(2),
        default=500,
        metavar="N",
        help="maximum number of samples to attack, in proportion to the classes (default: %(default)s)",
    )
    group.add_argument(
        "--parts",
        nargs="+",
        default=["all"],
        choices=("all", "none", *PARTS),
        metavar="PART",
        help=f"parts of the audit beside rates: all (default), none, or some of {', '.join(PARTS)}",
    )
    group.add_argument(
        "--seed",
        type=whole(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of all random draws (default: %(default)s)",
    )
    group.add_argument("--jobs", type=jobs, metavar="N", help="number of parallel jobs; -1: all processors")
    group.add_argument(
        "--memory",
        type=folder,
        metavar="DIR",
        help="folder that caches finished work, so that an interrupted run can be resumed",
    )
    group.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help="time limit of a model for one block of samples",
    )


def _add_reports(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("reports and limits")
    group.add_argument(
        "--out", type=to_write(*HTML), metavar="FILE", help="write the report as a page (.html)"
    )
    group.add_argument(
        "--json",
        type=to_write(*JSON),
        metavar="FILE",
        help="write all figures, for compare and load_result (.json)",
    )
    group.add_argument(
        "--markdown",
        type=to_write(*MARKDOWN),
        metavar="FILE",
        help="write the report as Markdown, for the summary of a CI job (.md)",
    )
    group.add_argument(
        "--junit",
        type=to_write(*JUNIT),
        metavar="FILE",
        help="write limits and findings as test cases (.xml)",
    )
    group.add_argument(
        "--fail-above",
        nargs="+",
        action="extend",
        type=limit,
        default=[],
        metavar="LIMIT",
        help="exit with status 1 if a limit fails; see below",
    )
    group.add_argument(
        "--accept-doubts",
        action="store_true",
        help="judge limits by the figures alone, even if there is reason to doubt them",
    )
    group.add_argument(
        "--quiet", action="store_true", help="show no progress bars, and print nothing to standard output"
    )


def run(options: Namespace) -> int:
    """Check the options, then run the audit."""
    _check(options)
    from skhalfway.cli._auditing import audit_files  # imports everything that is slow to import

    return audit_files(options)


def _check(options: Namespace) -> None:
    """Exit with an error if options do not fit together."""
    error = options.parser.error
    check_names(options)
    names = [model.name for model in options.models]
    if options.deployed is not None and options.deployed not in names:
        error(f"argument --deployed: must be one of the models {', '.join(names)}, got {options.deployed!r}")
    if any(first >= second for first, second in pairwise(options.eps)):
        error("argument --eps: budgets must increase, each larger than the one before")
    _check_range(options)
    if options.no_surrogates and len(names) < 2:
        error(
            "--no-surrogates with a single model leaves no source of transfer; give a second --model, or "
            "leave --no-surrogates out"
        )
    if len(options.parts) > 1 and {"all", "none"} & set(options.parts):
        error("argument --parts: 'all' and 'none' cannot be combined with other parts")
    if why := unknowable(
        options.fail_above,
        n_models=len(names),
        surrogates=not options.no_surrogates,
        parts=options.parts,
    ):
        error(f"argument --fail-above: {why}")
    if options.accept_doubts and not options.fail_above:
        error("--accept-doubts has an effect on limits only; give --fail-above too")
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
    """Exit with an error if a report would overwrite another one, or an input."""
    taken = {path.resolve() for path in read if path is not None}
    for name in outputs:
        path = getattr(options, name)
        if path is None:
            continue
        if path.resolve() in taken:
            options.parser.error(f"argument --{name}: {path} is named twice and would be overwritten")
        taken.add(path.resolve())
