"""The budget: one number, or one for each feature or sample, in the units of the data or of its spread."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import LARGEST, as_python, check_length, is_number
from skhalfway._text import shown
from skhalfway.attacks._constraints import Header
from skhalfway.attacks._named import check_names, check_unmasked, is_by_name
from skhalfway.attacks._per_sample import read_values
from skhalfway.models._type_checks import is_torch_module

if TYPE_CHECKING:
    from skhalfway.models import Model

_MOST = float(np.finfo(float).max)


def check_eps(eps: Any, *, infinite: bool) -> None:
    """Raise for a budget that is invalid whatever the data is."""
    check_unmasked("eps", eps)
    if isinstance(eps, Real) and not isinstance(eps, bool):
        if not (infinite and eps == np.inf):
            check_length("eps", eps)
        return
    if is_by_name(eps):
        check_names("eps", eps.keys())
        each: list[tuple[Any, Any]] = [(f" of column {shown(name)}", value) for name, value in eps.items()]
    elif isinstance(eps, np.ndarray) and eps.dtype.kind in "fiu" and _all_budgets(eps):
        return
    elif isinstance(eps, (list, tuple, np.ndarray)):
        # an array of objects keeps their types, and allows rows of different lengths
        objects = np.asarray(eps, dtype=object)
        each = [(_place(index), value) for index, value in np.ndenumerate(objects)]
    else:
        raise ValueError(
            "eps must be a finite number > 0, or one number >= 0 for each feature or sample, got "
            f"{shown(eps)}"
        )
    for place, given in each:
        value = as_python(given)
        if not is_number(value) or value < 0 or not value <= _MOST:
            raise ValueError(f"eps{place} must be a finite number >= 0, got {shown(value)}")


def check_number_of_features(eps: Any, eps_unit: str) -> None:
    """Raise for a budget that is invalid in norm 0."""
    if eps_unit != "input":
        raise ValueError(
            f"norm=0 counts changed features, so eps_unit must be 'input', got {shown(eps_unit)}"
        )
    if not is_number(eps):
        raise ValueError(
            "norm=0 counts changed features, so eps must be one number for all features and samples, got "
            f"{shown(eps)}; columns that may not change go into Constraints(immutable=[...])"
        )
    check_count("eps", eps)


def check_count(name: str, eps: Any) -> None:
    """Raise for a budget that is neither a number of features nor infinite."""
    if not (eps >= 1 and (eps == np.inf or eps % 1 == 0)):
        raise ValueError(
            f"norm=0 counts changed features, so {name} must be a whole number >= 1 or np.inf, "
            f"got {shown(eps)}"
        )


def check_float_type(model: Model, eps: float, step_size: float | None) -> None:
    """Raise if a source computes in 16 bits and its float type cannot hold these lengths."""
    if not is_torch_module(model.estimator):
        return
    from torch import finfo

    from skhalfway.models._torch import weight_dtype

    dtype = weight_dtype(model.estimator)
    if dtype is None:
        return
    largest = finfo(dtype).max / 8
    for name, value in (("eps", eps), ("step_size", step_size)):
        if value is not None and largest < as_python(value) < np.inf:
            raise ValueError(
                f"{name} must be at most {largest:g} for {type(model.estimator).__name__}, which computes in "
                f"{str(dtype).removeprefix('torch.')}, got {shown(value)}; convert it with float()"
            )


def _all_budgets(eps: NDArray[Any]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        values = eps.astype(float)
        return bool(((values >= 0) & (values <= _MOST)).all())


def _place(index: tuple[int, ...]) -> str:
    """Position of a budget in an array, for messages."""
    if len(index) == 1:
        return f" of column {index[0]}"
    return f"[{', '.join(map(str, index))}]" if index else ""


def read_budget(
    eps: Any,
    header: Header,
    shape: tuple[int, ...],
    *,
    of_others: bool,
) -> tuple[float, NDArray[np.float64] | None]:
    """Split a budget into one number and the worth of one unit of it in each feature.

    The worths are in input units, or in multiples of a feature's spread. They are None if all are 1.
    Otherwise their shape is that of a sample or, if samples have budgets of their own, X's (``shape``) or
    (n_samples, 1, ...). They are 0 where there is no budget, such as in columns that a mapping does not name.
    With ``of_others``, X are not the samples that have the budgets.
    """
    if isinstance(eps, Real):
        return float(eps), None
    if is_by_name(eps):
        # columns that are not named may not change
        each: NDArray[np.float64] = np.zeros(header.n_columns)
        columns = header.positions(eps.keys(), "eps")
        seen, n_named = np.unique(columns, return_counts=True)
        if (n_named > 1).any():
            raise ValueError(
                f"eps names {header.name(int(seen[n_named > 1][0]))} more than once; name it once"
            )
        each[columns] = list(eps.values() if isinstance(eps, Mapping) else eps)
        each = each.reshape(shape[1:])
    else:
        each = read_values("eps must be a number or", np.array(eps, dtype=float), shape, of_others=of_others)
    return 1.0, each


def check_unit(
    unit: NDArray[np.float64], size: NDArray[np.float64], header: Header, first: int = 0
) -> NDArray[np.float64]:
    """The worth of one unit of the budget, 0 where that is negligible beside the feature's largest value.

    ``size`` is that value. Values are then at most ``LARGEST`` units, and a unit is at most ``LARGEST`` input
    units, or 10 such values, so that all that attacks compute fits into float32. ``first`` is the number of
    the first sample, if samples have units of their own.
    """
    if unit.ndim > size.ndim:
        size = size.max(initial=0.0) if np.prod(unit.shape[1:]) == 1 else size
        over = (unit > np.maximum(LARGEST, 10 * size)).reshape(len(unit), -1).any(axis=1)
        for sample in np.flatnonzero(over).tolist():
            check_length(f"eps of sample {first + sample}", float(unit[sample].max()))
        return np.where(size > unit * LARGEST, 0.0, unit)
    for column in np.flatnonzero(unit > np.maximum(LARGEST, 10 * size)).tolist():
        check_length(f"eps of {header.name(column)}", float(unit.flat[column]))
    return np.where(size > unit * LARGEST, 0.0, unit)
