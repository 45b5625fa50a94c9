"""Numbers that users hand in."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import shown


def check_integer(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {shown(value)}")


def check_positive(name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {shown(value)}")


def ascending_integers(name: str, values: Any, *, or_one: bool = False) -> NDArray[np.int_]:
    """The values as an array, of one where a number alone will do; ValueError where they do not ascend."""
    array = np.array(values, ndmin=int(or_one))
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu" or (np.diff(array) <= 0).any():
        allowed = "an integer or ascending integers" if or_one else "ascending integers"
        raise ValueError(f"{name} must be {allowed}, got {shown(values)}")
    return array
