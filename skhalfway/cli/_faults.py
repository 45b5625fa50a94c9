"""Errors of the user, which are printed in one line, and faults of the package, which are raised."""

from __future__ import annotations

import dis
import re
import shlex
from ast import literal_eval
from types import TracebackType

_TOLD = (ValueError, TypeError, ImportError)
# parameters of read_data, in messages about .csv files
_WORD = r"""(?:'[^']*'|"[^"]*")"""
_OF_FILE = re.compile(rf"\b(text|numbers|missing|sep|decimal)=(\[(?:{_WORD}(?:, )?)+\]|{_WORD})")
_OF_FILES = re.compile(rf"pass {_OF_FILE.pattern}(?:, {_OF_FILE.pattern})*")
_HOMES = ("skhalfway", "sklearn")
# messages of the Python interface name parameters; the command line names options instead
_OPTIONS = {
    "pass reference=(X_train, y_train), or surrogates=None": "give --reference FILE, or --no-surrogates",
    "samples as reference, a larger surrogate_share, or surrogates=None": "samples as --reference, a larger "
    "--surrogate-share, or --no-surrogates",
    "give them in their order: as_model(network, classes=[...])": "give them in their order: --classes LABEL "
    "LABEL ...",
    "leave out classes": "leave out --classes",
    "pass overwrite=True": "add --overwrite",
    "pass trust_pickle=True (--trust-pickle)": "add --trust-pickle",
}


def is_told(error: BaseException) -> bool:
    """Whether this package or scikit-learn raised an error on purpose, for bad input.

    The last instruction that was run tells: a ``raise`` is on purpose, all else is a fault in the code.
    Errors of the system about files, and models that take too long (OSError), count as bad input too. Errors
    inside models (RuntimeError) do not: their traceback shows what failed.
    """
    if isinstance(error, OSError):
        return True
    if not isinstance(error, _TOLD):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and _home(last) in _HOMES and _instruction(last) == "RAISE_VARARGS"


def said(error: BaseException) -> str:
    """The message, with options in place of parameters."""
    return in_options(str(error))


def in_options(text: str) -> str:
    """A message with options in place of parameters."""
    for parameter, option in _OPTIONS.items():
        text = text.replace(parameter, option)
    text = re.sub(r"Constraints\((\w+)=(\[[^]]*\])\)", r"--constraints FILE with the line \1 = \2", text)
    text = _OF_FILES.sub(lambda found: f"add {_option(found[0])}", text).replace(" to read_data", "")
    return re.sub(r"pass trusted= \((.*)\)", r"add \1", text)


def _option(parameters: str) -> str:
    """Options of the command in place of parameters of read_data."""
    words = []
    for name, value in _OF_FILE.findall(parameters):
        given = literal_eval(value)
        words += [f"--{name}", *([given] if isinstance(given, str) else given)]
    return shlex.join("tab" if word == "\t" else word for word in words)


def _home(place: TracebackType) -> str:
    return str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _instruction(place: TracebackType) -> str:
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]]
