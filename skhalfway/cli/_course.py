"""``skhalfway course``: the lessons of the course, as notebooks."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from skhalfway.cli._parser import PASSED, folder

EPILOG = """\
examples:
  skhalfway course my_course
  skhalfway course my_course --overwrite
  skhalfway course for_students --without-solutions
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "course",
        help="write the lessons of the course as notebooks",
        description="Write a course of twelve lessons and a final project as Jupyter notebooks, with "
        "exercises and solutions. Nothing is downloaded.",
        epilog=EPILOG,
    )
    parser.add_argument("path", type=folder, metavar="PATH", help="the folder; made where it does not exist")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files of the same names that are there already, with what was changed in them",
    )
    parser.add_argument(
        "--without-solutions",
        action="store_true",
        help="leave an empty cell below each exercise in place of its solution",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: Namespace) -> int:
    """Write, and say what was written."""
    from skhalfway.course import write_course

    written = write_course(options.path, overwrite=options.overwrite, solutions=not options.without_solutions)
    for path in written:
        print(path)
    n_notebooks = sum(path.suffix == ".ipynb" for path in written)
    print(f"wrote {n_notebooks} notebooks to {options.path}; {written[0].name} there says how to begin")
    return PASSED
