"""The budget: one number or one for each feature, in the units of the data or of its spread."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import LARGEST, as_python, check_length
from skhalfway._text import shown
from skhalfway.attacks._constraints import Header

_MOST = float(np.finfo(float).max)


def check_eps(eps: Any, *, infinite: bool) -> None:
    """Raise for what no data could make a budget."""
    if isinstance(eps, Real) and not isinstance(eps, bool):
        if not (infinite and eps == np.inf):
            check_length("eps", eps)
        return
    if isinstance(eps, Mapping) or hasattr(eps, "to_dict"):
        each: list[tuple[Any, Any]] = [(shown(name), value) for name, value in eps.items()]
    elif isinstance(eps, (list, tuple, np.ndarray)):
        # as objects, which numpy neither turns into one another nor wants of one length
        each = list(enumerate(np.asarray(eps, dtype=object).ravel()))
    else:
        raise ValueError(
            f"eps must be a finite number > 0, or one number >= 0 for each feature, got {shown(eps)}"
        )
    for name, given in each:
        value = as_python(given)
        if not isinstance(value, Real) or isinstance(value, bool) or value < 0 or not value <= _MOST:
            raise ValueError(f"eps of column {name} must be a finite number >= 0, got {shown(value)}")


def read_budget(
    eps: Any,
    spread: NDArray[np.float64] | None,
    header: Header,
    shape: tuple[int, ...],
) -> tuple[float, NDArray[np.float64] | None]:
    """The budget as one number, and the input units that one unit of it is worth in each feature.

    These are None where they are all 1, and 0 where a feature has no budget: so have columns that a mapping
    does not name.
    """
    if isinstance(eps, Real):
        return float(eps), spread
    if isinstance(eps, Mapping) or hasattr(eps, "to_dict"):
        # what is not named may not change
        each: NDArray[np.float64] = np.zeros(header.n_columns)
        each[header.positions(eps.keys(), "eps")] = list(eps.values() if isinstance(eps, Mapping) else eps)
        each = each.reshape(shape)
    else:
        each = np.array(eps, dtype=float)
        if each.shape != shape:
            raise ValueError(
                f"eps must be a number or have one for each feature, shape {shape}; got shape {each.shape}"
            )
    return 1.0, each if spread is None else each * spread


def check_unit(unit: NDArray[np.float64], size: NDArray[np.float64], header: Header) -> NDArray[np.float64]:
    """What one unit of the budget is worth, 0 where that is nothing beside the feature's largest value.

    ``size`` is that value. Values are then no more than ``LARGEST`` units, and a unit is no more than that in
    input units, or than 10 such values: with both, all that attacks compute is still a float32.
    """
    for column in np.flatnonzero(unit > np.maximum(LARGEST, 10 * size)).tolist():
        check_length(f"eps of {header.name(column)}", float(unit.flat[column]))
    return np.where(size > unit * LARGEST, 0.0, unit)
