"""Checks of users' parameters."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import utils

from skhalfway._text import shown

# largest length of a change: its square, and outputs of models for it, still fit into float32
LARGEST = 1e18


def as_python(value: Any) -> Any:
    """A numpy number as a Python number, which can be compared with any other without overflow."""
    return value.item() if isinstance(value, np.number) else value


def check_integer(name: str, value: Any, least: int = 1, *, or_auto: bool = False) -> None:
    if or_auto and isinstance(value, str) and value == "auto":
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        also = "'auto' or " if or_auto else ""
        raise ValueError(f"{name} must be {also}an integer >= {least}, got {shown(value)}")


def is_number(value: Any) -> bool:
    """Whether this is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_positive(name: str, value: Any) -> None:
    # integers are not converted, since the largest do not fit into a float
    if not is_number(value) or value <= 0 or not value < np.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {shown(value)}")


def check_share(name: str, value: Any) -> None:
    """Raise unless this is a number above 0 and at most 1."""
    if not is_number(value) or not 0 < float(value) <= 1:
        raise ValueError(f"{name} must be a share in (0, 1], got {shown(value)}")


def check_choice(name: str, value: Any, allowed: Collection[str], *, none: bool = False) -> None:
    """Raise unless a value is one of the allowed strings or, with ``none``, None."""
    if none and value is None:
        return
    if not isinstance(value, str) or value not in allowed:
        choices = ["None"] * none + [repr(choice) for choice in allowed]
        raise ValueError(
            f"{name} must be one of [{', '.join(choices)}], got {shown(value)}{meant(value, allowed)}"
        )


def meant(value: Any, allowed: Collection[str]) -> str:
    """End of a message: the allowed string that is most similar to a wrong one, if there is one."""
    like = get_close_matches(value.lower(), list(allowed), 1) if isinstance(value, str) else []
    return f"; did you mean {like[0]!r}?" if like else ""


def check_different(name: str, values: Collection[str]) -> None:
    """Raise for repeated names, since names identify figures."""
    if len(set(values)) < len(values):
        raise ValueError(f"{name} must be different, got {shown(list(values))}")


def check_norm(norm: Any, allowed: Collection[float]) -> None:
    if not is_number(norm) or norm not in allowed:
        *most, last = ("np.inf" if each == np.inf else str(each) for each in allowed)
        raise ValueError(f"norm must be {', '.join(most)} or {last}, got {shown(norm)}")


def check_size(name: str, size: Any) -> None:
    whole = isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1
    fraction = isinstance(size, Real) and not isinstance(size, Integral) and 0 < float(size) < 1
    if not (whole or fraction):
        raise ValueError(f"{name} must be an integer >= 1 or a fraction in (0, 1), got {shown(size)}")


def check_bool(name: str, value: Any) -> None:
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")


def check_jobs(n_jobs: Any, verbose: Any = 0) -> None:
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and (not whole or n_jobs == 0):
        raise ValueError(f"n_jobs must be None or an integer, -1 for all processors; got {shown(n_jobs)}")
    if not isinstance(verbose, Integral) or verbose < 0:
        raise ValueError(f"verbose must be an integer >= 0, got {shown(verbose)}")


def check_random_state(random_state: Any) -> np.random.RandomState:
    """Check a random state as scikit-learn does, with a short message."""
    try:
        return utils.check_random_state(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{shown(random_state)} cannot be used to seed; random_state must be None, an integer from 0 to "
            "2**32 - 1 or a numpy.random.RandomState"
        ) from error


def check_length(name: str, value: Any) -> None:
    """Raise unless this is a length of a change, small enough for models to compute with."""
    check_positive(name, value)
    if as_python(value) > LARGEST:
        raise ValueError(
            f"{name} must be at most {LARGEST:g} (many models compute in float32, which ends at 3.4e38), "
            f"got {shown(value)}; scale the data"
        )


def ascending_integers(name: str, values: Any, *, or_one: bool = False) -> NDArray[np.int_]:
    """The values as an array, or a single value with ``or_one``; ValueError unless they ascend."""
    array = np.array(values, ndmin=int(or_one))
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu" or (array[1:] <= array[:-1]).any():
        allowed = "an integer or ascending integers" if or_one else "ascending integers"
        raise ValueError(f"{name} must be {allowed}, got {shown(values)}")
    return array
