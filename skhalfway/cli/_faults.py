"""Whose fault an error is: what is said in a line, and what is a fault of the package, to be raised."""

from __future__ import annotations

import dis
import re
from types import TracebackType

_TOLD = (ValueError, TypeError, ImportError)
_HOMES = ("skhalfway", "sklearn")
# what messages of Python's interface call by the names of its parameters
_OPTIONS = {
    "pass reference=(X_train, y_train), or surrogates=None": "give --reference FILE, or --no-surrogates",
    "samples as reference, or surrogates=None": "samples as --reference, or --no-surrogates",
    "give them in their order: as_model(network, classes=[...])": "give them in their order: --classes LABEL "
    "LABEL ...",
    "leave out classes": "leave out --classes",
    "pass trust_pickle=True (--trust-pickle)": "add --trust-pickle",
}


def is_told(error: BaseException) -> bool:
    """Whether an error is one that this package, or scikit-learn, raises on purpose for bad input.

    That is told from a slip in the code by the instruction that was run last: ``raise``. What the system says
    of files, and models that take too long (OSError), is no slip either. Errors inside models (RuntimeError)
    are not bad input: their traceback says what failed.
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
    """The message, with options in the place of parameters."""
    text = str(error)
    for parameter, option in _OPTIONS.items():
        text = text.replace(parameter, option)
    return re.sub(r"pass trusted= \((.*)\)", r"add \1", text)


def _home(place: TracebackType) -> str:
    return str(place.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


def _instruction(place: TracebackType) -> str:
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]]
