"""main: run a command and return its exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from skhalfway import __version__
from skhalfway.cli import _audit, _cache, _check, _compare, _course, _demo
from skhalfway.cli._faults import is_told, said
from skhalfway.cli._parser import BAD_INPUT, INTERRUPTED, Parser

COMMANDS = (_audit, _check, _compare, _demo, _course, _cache)
EPILOG = """\
exit status:
  0    passed
  1    a limit failed (audit), the check-up warns (check), worse than before (compare --fail-worse)
  2    an argument, a file or the data is wrong; nothing was written
  130  interrupted

examples:
  skhalfway demo
  skhalfway audit --model deployed.skops --data test.csv --target label --out report.html
  skhalfway COMMAND --help    shows the options of a command
"""


def make_parser() -> Parser:
    """The parser of all commands; each command sets its function as ``run``."""
    called = Path(sys.argv[0]).stem
    parser = Parser(
        prog="skhalfway" if called == "skhalfway" else "python -m skhalfway",
        description="Which classifiers are fooled by the same adversarial examples? How exposed is yours?",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"skhalfway {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        command.add_to(commands)
    return parser


@contextmanager
def _any_text_printed() -> Iterator[None]:
    """Let standard output take any text: characters that its encoding lacks are escaped."""
    stream, before = sys.stdout, getattr(sys.stdout, "errors", None)
    if not isinstance(stream, TextIOWrapper) or before is None:
        yield
        return
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        stream.reconfigure(errors=before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Arguments; None is those of the process.

    Returns
    -------
    status : int
        Exit status: 0 passed, 1 a limit failed, 2 bad input, 130 interrupted. Faults of the package itself
        raise, so that their traceback is shown.

    Raises
    ------
    SystemExit
        With status 0 after ``--help`` and ``--version``, and with status 2 for arguments that cannot be
        parsed.

    Examples
    --------
    >>> from skhalfway.cli import main
    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    options = make_parser().parse_args(arguments)
    try:
        with _any_text_printed():
            status: int = options.run(options)
    except KeyboardInterrupt:
        return options.parser.tell("interrupted", INTERRUPTED)
    except Exception as error:
        if not is_told(error):
            raise
        return options.parser.tell(f"error: {said(error)}", BAD_INPUT)
    return status
