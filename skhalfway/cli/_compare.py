"""``skhalfway compare``: compare two audits."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skhalfway.cli._audit import HTML, MARKDOWN, check_apart
from skhalfway.cli._parser import ABOVE, PASSED, existing, to_write

if TYPE_CHECKING:
    from skhalfway.report import AuditReport

EPILOG = """\
examples:
  skhalfway compare baseline.json report.json
  skhalfway compare baseline.json report.json --out comparison.html --fail-worse
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compare",
        help="compare two audits, for example of a model before and after a change",
        description="Compare two audits, for example of a model before and after a change: how often each "
        "attacker fools it, with paired tests if both audits have the same samples.",
        epilog=EPILOG,
    )
    for name, says in (("before", "the earlier report"), ("after", "the later report")):
        parser.add_argument(
            name, type=existing, metavar=f"{name.upper()}.json", help=f"{says}, written by audit --json"
        )
    parser.add_argument(
        "--out", type=to_write(*HTML), metavar="FILE", help="write the comparison as a page (.html)"
    )
    parser.add_argument(
        "--markdown",
        type=to_write(*MARKDOWN),
        metavar="FILE",
        help="write the comparison as Markdown, for the summary of a CI job (.md)",
    )
    parser.add_argument(
        "--fail-worse",
        action="store_true",
        help="exit with status 1 if some attacker fools the later model significantly more often, or if "
        "there is reason to doubt its figures",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: Namespace) -> int:
    """Compare two reports, print the comparison and write it."""
    check_apart(options, ("out", "markdown"), [options.before, options.after])
    from skhalfway.report import compare_reports

    comparison = compare_reports(_read(options.before), _read(options.after))
    print(comparison)
    for path, write in ((options.out, comparison.to_html), (options.markdown, comparison.to_markdown)):
        if path is not None:
            write(path)
            print(f"report: {path}")
    if options.fail_worse and (comparison.level in ("worse", "mixed") or comparison.doubts):
        why = "; ".join([comparison.headline, *comparison.doubts])
        return int(options.parser.tell(f"failed: {why}", ABOVE))
    return PASSED


def _read(path: Path) -> AuditReport:
    from skhalfway._text import shown
    from skhalfway.report import AuditReport
    from skhalfway.results import load_result

    result = load_result(path)
    if not isinstance(result, AuditReport):
        raise ValueError(f"{path.name} must be a report of audit --json, but it holds {shown(result)}")
    return result
