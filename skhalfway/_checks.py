"""Numbers that users hand in."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

# longest change that anything is asked to make: its square, and what models make of it, are still float32
LARGEST = 1e18


def check_integer(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")


def check_positive(name: str, value: Any) -> None:
    # compared as it is, for the largest integers are no floats
    if not isinstance(value, Real) or isinstance(value, bool) or value <= 0 or not value < np.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")


def check_length(name: str, value: Any) -> None:
    """Raise for what is no length of a change, or one that models cannot compute with."""
    check_positive(name, value)
    if value > LARGEST:
        raise ValueError(
            f"{name} must be at most {LARGEST:g} (many models compute in float32, which ends at 3.4e38), "
            f"got {value!r}; scale the data"
        )


def ascending_integers(name: str, values: Any, *, or_one: bool = False) -> NDArray[np.int_]:
    """The values as an array, of one where a number alone will do; ValueError where they do not ascend."""
    array = np.array(values, ndmin=int(or_one))
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu" or (np.diff(array) <= 0).any():
        allowed = "an integer or ascending integers" if or_one else "ascending integers"
        raise ValueError(f"{name} must be {allowed}, got {values!r}")
    return array
