"""Checks and error messages that all readers of files share."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from skhalfway._checks import meant
from skhalfway._text import brief, shown

# errors of pandas, pyarrow and numpy on unreadable files
UNREADABLE = (ValueError, OSError, EOFError, KeyError, BadZipFile, zlib.error, MemoryError)
# an optional drive, and nested folders
_FOLDERS = re.compile(r"(?<![\w.])(?:\b[A-Za-z]:)?[/\\](?:[^\s/\\:'\"]+[/\\])+")


def existing(path: Any, what: str) -> Path:
    """The path of an existing file or folder; error messages do not name its folder."""
    if not isinstance(path, (str, PathLike)) or not str(path):
        raise TypeError(f"{what} must be given as a path, got {shown(path)}")
    place = Path(path)
    place = place if place.name.strip(".") else place.resolve()  # "." and ".." have no name of their own
    if not place.exists():
        raise FileNotFoundError(f"{place.name} does not exist; {what} must be an existing file")
    return place


def ending_of(place: Path, allowed: Collection[str], what: str) -> str:
    """The file's ending in lower case; ValueError if it is not allowed."""
    ending = place.suffix.lower()
    wanted = f"{what} must be a file that ends in one of {', '.join(allowed)}"
    if not place.is_file():
        raise ValueError(f"{place.name} is a folder; {wanted}")
    if ending not in allowed:
        got = f"the ending {shown(ending)}" if ending else "no ending"
        raise ValueError(f"{place.name} has {got}; {wanted}{meant(ending, allowed)}")
    return ending


def said(error: BaseException, place: Path) -> str:
    """The text of an error in one line, without folders, since their names may be private."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    for folder in {str(place.absolute().parent), str(place.resolve().parent)}:
        if len(folder) > 1:
            text = text.replace(folder, "")
    return brief(_FOLDERS.sub("", text) or type(error).__name__, 200)


def library(name: str, place: Path, package: str | None = None) -> Any:
    """Import a library that reading the file needs."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{place.name} cannot be read without {package or name}; install it: pip install skhalfway[audit]"
        ) from error
