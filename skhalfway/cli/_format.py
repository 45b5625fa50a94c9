"""Options that tell how .csv files are read."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from skhalfway.cli._parser import wrong


def add_format(group: Any) -> None:
    """Add the options that tell how .csv files are read."""
    for name, metavar, says in (
        ("text", "COLUMN", "columns of a .csv file to read as text, although they hold numbers"),
        ("numbers", "COLUMN", "columns of a .csv file to read as numbers, although these have leading zeros"),
        ("missing", "WORD", "words of a .csv file that stand for missing values, such as NA or ?"),
    ):
        group.add_argument(f"--{name}", nargs="+", action="extend", default=[], metavar=metavar, help=says)
    group.add_argument(
        "--sep",
        type=_mark,
        default=",",
        metavar="MARK",
        help="what separates the values of a .csv file: a comma (default), ';', tab...",
    )
    group.add_argument(
        "--decimal", choices=(".", ","), default=".", help="decimal mark of a .csv file (default: .)"
    )


def _mark(text: str) -> str:
    mark = "\t" if text in ("tab", "\\t") else text
    if len(mark) != 1 or mark in "\"'":
        raise wrong(f"must be one character, or the word tab, got {text[:40]!r}")
    return mark


def format_of(options: Namespace, place: Path) -> dict[str, Any]:
    """The options that tell how a .csv file is read; none for other files."""
    given = {name: getattr(options, name) for name in ("text", "numbers", "missing", "sep", "decimal")}
    tables = [path for path in (options.data, getattr(options, "reference", None)) if path is not None]
    csv = [path.suffix.lower() == ".csv" for path in tables]
    for name, value in given.items():
        if not any(csv) and value != options.parser.get_default(name):
            raise ValueError(f"--{name} is for .csv files, and {options.data.name} is none; leave it out")
    return given if place.suffix.lower() == ".csv" else {}
