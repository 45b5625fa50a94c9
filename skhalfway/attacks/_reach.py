"""Whole numbers and categories that a budget is too small to change: they make figures look robust."""

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
    if region.rules is None or region.eps == np.inf or not len(region):
        return []
    header = Header.of(owner, region.X)
    movable, unit = region.movable().reshape(len(region), -1), region.flat_units()

    def too_dear(cost: NDArray[Any], columns: Any) -> bool:
        able = movable[:, columns].any(axis=1)
        return bool(able.any() and not (able & (cost <= region.eps)).any())

    columns = [k for k in region.rules.integer.tolist() if too_dear(1 / unit[:, k], [k])]
    groups = [group for group in region.rules.one_hot if too_dear(region.category_cost(group), group)]
    if not columns and not groups:
        return []
    found = [header.name(column) for column in columns]
    found += [f"the one_hot group of {header.name(group[0])}" for group in groups]
    costs = [("a step of 1", columns), ("a change of category", groups)]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    steps = " or ".join(what for what, each in costs if each)
    warn(
        f"the budget is too small for {steps}, so that these keep their values in all samples: "
        f"{', '.join(found[:_MOST_NAMED])}{more}. Raise eps, or give it for each column; to say that they "
        "are meant to stay, name them in constraints.immutable",
        UserWarning,
    )
    return found
