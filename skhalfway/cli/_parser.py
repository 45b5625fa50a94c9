"""What all commands share: a parser with errors of one line, and types of arguments.

Only the standard library is imported here, so that help and errors appear at once.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any, NoReturn

PASSED, ABOVE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
MOST = 160  # maximum number of characters of an argument that a message repeats


class Parser(argparse.ArgumentParser):
    """A parser with errors of one line, which keeps the line breaks of examples.

    Options cannot be abbreviated, since an abbreviation may mean another option in the next version.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Print an error and exit with status 2."""
        self.exit(self.tell(f"error: {message}; see {self.prog} --help", BAD_INPUT))

    def tell(self, message: str, status: int) -> int:
        """Print a message in one line to standard error; return the status."""
        print(f"{self.prog}: {' '.join(message.split())}", file=sys.stderr, flush=True)
        return status


def wrong(message: str) -> argparse.ArgumentTypeError:
    """Error for a wrong argument."""
    return argparse.ArgumentTypeError(message)


def existing(text: str) -> Path:
    """An existing file or folder."""
    path = Path(text)
    try:
        there = bool(text) and path.exists()
    except (OSError, ValueError):  # no file can have such a name
        there = False
    if not there:
        raise wrong(f"{_cut(text) or 'an empty name'} does not exist")
    return path


def to_write(*endings: str) -> Any:
    """Type of argument: a writable file with one of ``endings``."""

    def file(text: str) -> Path:
        path = Path(text)
        if path.suffix.lower() not in endings:
            raise wrong(f"{_cut(text)} must end in {' or '.join(endings)}")
        check_writable(path)
        return path

    file.__name__ = "file"
    return file


def check_writable(path: Path) -> None:
    """Raise if a file could not be written; leave nothing behind."""
    if path.is_dir():
        raise wrong(f"{path} cannot be written: it is a folder")
    if not path.parent.is_dir():
        raise wrong(f"{path} cannot be written: there is no folder {path.parent}; create it first")
    probe = path.with_name(f".{path.name[:40]}.skhalfway")
    try:
        if path.exists():
            with path.open("ab"):
                pass
        with probe.open("xb"):
            pass
        probe.unlink()
    except OSError as error:
        raise wrong(f"{path} cannot be written: {error.strerror or error}") from error


def folder(text: str) -> Path:
    """An existing folder, or a new one in an existing folder."""
    path = Path(text)
    if not text or (path.exists() and not path.is_dir()):
        raise wrong(f"{_cut(text)} is not a folder")
    if not path.exists() and not path.absolute().parent.is_dir():
        raise wrong(f"{path} cannot be created: there is no folder {path.parent}; create it first")
    return path


def finite(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise wrong(f"must be a finite number, got {_cut(text)}")
    return value


def positive(text: str) -> float:
    """A finite number > 0."""
    try:
        value = finite(text)
    except argparse.ArgumentTypeError:
        value = math.nan
    if not value > 0:
        raise wrong(f"must be a finite number > 0, got {_cut(text)}")
    return value


def share(text: str) -> float:
    """A number > 0 and at most 1."""
    value = finite(text)
    if not 0 < value <= 1:
        raise wrong(f"must be > 0 and at most 1, got {_cut(text)}")
    return value


def whole(least: int, most: float = math.inf) -> Any:
    """Type of argument: an integer within limits."""
    allowed = f"at least {least}" if most == math.inf else f"from {least} to {most}"

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise wrong(f"must be an integer, {allowed}, got {_cut(text)}")
        return value

    return number


def jobs(text: str) -> int:
    """A number of jobs; -1 is the number of processors."""
    value = whole(-1)(text)
    if value == 0:
        raise wrong("must be -1 for all processors, or at least 1, got 0")
    return int(value)


def _cut(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= MOST else f"{one_line[:MOST]}..."
