"""The command that repeats a run, with names of files but without folders."""

from __future__ import annotations

import shlex
from argparse import SUPPRESS, Action, Namespace
from pathlib import Path
from typing import Any

_OF_THE_MACHINE = ("memory", "quiet", "jobs")  # no figure depends on these


def command_of(options: Namespace, name: str) -> str:
    """The command as a line for a shell."""
    words = ["skhalfway", name]
    for action in options.parser._actions:
        if action.dest in (*_OF_THE_MACHINE, SUPPRESS, "help"):
            continue
        value = getattr(options, action.dest)
        if value is None or value == action.default:
            continue
        words += _words(action, value)
    return shlex.join(words)


def _words(action: Action, value: Any) -> list[str]:
    option = action.option_strings[-1]
    if value is True:
        return [option]
    if not isinstance(value, list):
        return [option, _word(value)]
    if action.nargs is None:  # given several times
        return [word for one in value for word in (option, _word(one))]
    return [option, *map(_word, value)]


def _word(value: Any) -> str:
    if isinstance(value, Path):
        return value.name or "."
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
