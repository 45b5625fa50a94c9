"""What a budget is too small to change, of numbers and of categories: it makes figures look robust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.attacks._constraints import Header
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region

_MOST_NAMED = 3


def say_out_of_reach(region: Region, owner: Any) -> list[str]:
    """Warn of columns and one-hot groups that may change, but in no sample by as much as it takes.

    ``owner`` is an object that keeps the names of features. Returns a text for each column or group.
    """
    if region.eps == np.inf or not len(region):
        return []
    header, floats = Header.of(owner, region.X), _floats_out_of_reach(region)
    whole, groups = _rules_out_of_reach(region)
    ruled = {*whole, *(int(k) for group in groups for k in group)}
    columns = [k for k in floats if k not in ruled]
    if not (columns or whole or groups):
        return []
    found = [header.name(column) for column in [*columns, *whole]]
    found += [f"the one_hot group of {header.name(group[0])}" for group in groups]
    next_float = f"a step from one number of {region.X.dtype} to the next"
    costs = [(next_float, columns), ("a step of 1", whole), ("a change of category", groups)]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    steps = " or ".join(what for what, each in costs if each)
    finer = ","
    if columns:
        wider = "" if region.X.dtype == np.float64 else " or pass it in float64,"
        finer = f", scale the data,{wider}"
    warn(
        f"the budget is too small for {steps}, so that these keep their values in all samples: "
        f"{', '.join(found[:_MOST_NAMED])}{more}. Raise eps{finer} or give it for each column; to say that "
        "they are meant to stay, name them in constraints.immutable",
        UserWarning,
    )
    return found


def _rules_out_of_reach(region: Region) -> tuple[list[int], list[NDArray[np.intp]]]:
    """Columns of whole numbers, and one-hot groups."""
    if region.rules is None:
        return [], []
    movable, unit = region.movable().reshape(len(region), -1), region.flat_units()

    def too_dear(cost: NDArray[Any], columns: Any) -> bool:
        able = movable[:, columns].any(axis=1)
        return bool(able.any() and not (able & (cost <= region.eps)).any())

    columns = [k for k in region.rules.integer.tolist() if too_dear(1 / unit[:, k], [k])]
    return columns, [g for g in region.rules.one_hot if too_dear(region.category_cost(g), g)]


def _floats_out_of_reach(region: Region) -> list[int]:
    """Columns in which no sample's next float lies within the budget."""
    X, reach = region.X, region.eps * (np.ones(1) if region.unit is None else region.unit)
    largest = np.fmax(np.fmax.reduce(X, axis=None), -np.fmin.reduce(X, axis=None))
    if not largest > 0 or np.spacing(largest) <= reach.min():
        return []  # as nearly always, and nothing of X's size was made
    size = np.abs(X)
    able = region.movable() & (reach > 0) & np.isfinite(size)
    if region.carried is not None:
        able = able & ~region.carried
    # towards 0 floats never lie farther apart
    near = size.astype(float) - np.nextafter(size, np.zeros(1, dtype=size.dtype)) <= reach
    flat = (len(region), -1)
    able, near = able.reshape(flat), np.broadcast_to(near, able.shape).reshape(flat)
    return np.flatnonzero(able.any(axis=0) & ~(able & near).any(axis=0)).tolist()
