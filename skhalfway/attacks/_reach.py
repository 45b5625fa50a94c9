"""Warnings about budgets that are too small to change some columns, which makes models look robust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._readable import is_tensor
from skhalfway.attacks._constraints import Constraints, Header
from skhalfway.attacks._reference import Reference
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.attacks._region import Region

_MOST_NAMED = 3
_HARDLY, _UNEQUAL = 0.01, 100  # a small budget, in standard deviations; ratio of the largest to the smallest
_ENOUGH, _READ = 20, slice(0, 256)  # fewest samples that give a standard deviation; samples that are used


def say_out_of_reach(region: Region | WholeRegion, owner: Any) -> list[str]:
    """Warn about columns and one-hot groups that may change, but for which the budget is too small.

    Only columns and groups that cannot change in any sample count. ``owner`` is an object that keeps the
    names of features. Returns a text for each column or group.
    """
    if region.eps == np.inf or not len(region):
        return []
    header, floats = Header.of(owner, region.X), list[int]()
    if region.take(slice(0, 1)).norm != 0:  # in norm 0, a feature may change by any amount
        _say_hardly_any(region, owner)
        floats = _floats_out_of_reach(region)
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
        f"{', '.join(found[:_MOST_NAMED])}{more}. Raise eps{finer} or give it for each column; if they are "
        "not to change, name them in constraints.immutable",
        UserWarning,
    )
    return found


def say_of_whole_numbers(X: Any, constraints: Constraints | None) -> None:
    """Warn where whole numbers, in an array or a tensor, become floats and no rule limits that.

    Columns of DataFrames are not spoken of, since whole numbers there are often amounts.
    """
    dtype: Any = getattr(X, "dtype", None)
    if is_tensor(X):
        whole = not (dtype.is_floating_point or dtype.is_complex or str(dtype) == "torch.bool")
    else:
        whole = isinstance(dtype, np.dtype) and dtype.kind in "iu"
    ruled = constraints is not None and (
        np.size(constraints.integer) or constraints.one_hot or constraints.projection is not None
    )
    if whole and not ruled:
        n = int(np.prod(X.shape[1:]))
        warn(
            f"X holds whole numbers ({str(dtype).removeprefix('torch.')}), and adversarial samples may lie "
            "between them, where no valid data are. Pass constraints=Constraints(integer="
            f"range({n})) to keep whole numbers, or pass X as floats if any value is possible",
            UserWarning,
        )


def _say_hardly_any(region: Region | WholeRegion, owner: Any) -> None:
    """Warn about one budget for columns in different units, if it is negligible in some of them."""
    if region.X.ndim != 2 or len(region) < _ENOUGH or region.eps == 0:
        return
    part = region.take(_READ)
    if part.unit is not None:
        return
    spread = Reference.of(part.X).deviation
    columns = np.flatnonzero(part.movable().any(axis=0) & (spread > 0))
    share = region.eps / spread[columns]
    if not len(share) or share.min() >= _HARDLY:
        return
    if share.max() >= _HARDLY and share.max() < _UNEQUAL * share.min():
        return
    header, least = Header.of(owner, part.X), columns[share.argmin()]
    n = int((share < _HARDLY).sum())
    warn(
        f"eps={region.eps:g} lets {n} of {len(share)} columns change by less than a hundredth of their "
        f"standard deviation ({header.name(int(least))}: {share.min():.1g} of it), so rates near 0 may come "
        "from the budget, not from the models. Pass eps_unit='std' to give eps in standard deviations, an "
        "eps for each column, or scaled data",
        UserWarning,
    )


def _rules_out_of_reach(region: Region | WholeRegion) -> tuple[list[int], list[NDArray[np.intp]]]:
    """Columns of whole numbers, and one-hot groups, that the budget cannot change."""
    rules = region.take(slice(0, 1)).rules
    if rules is None:
        return [], []
    whole, groups = rules.integer.tolist(), list(rules.one_hot)
    able, near = np.zeros((2, len(whole) + len(groups)), dtype=bool)
    for part in region.parts():
        movable, unit = part.movable().reshape(len(part), -1), part.flat_units()
        costs = [(k, 1 / unit[:, k]) for k in whole] + [
            (group, part.category_cost(group)) for group in groups
        ]
        for number, (columns, cost) in enumerate(costs):
            may = movable[:, np.atleast_1d(columns)].any(axis=1)
            able[number] |= may.any()
            near[number] |= (may & (cost <= part.eps)).any()
    dear = able & ~near
    n = len(whole)
    return [k for k, no in zip(whole, dear[:n], strict=True) if no], [
        group for group, no in zip(groups, dear[n:], strict=True) if no
    ]


def _floats_out_of_reach(region: Region | WholeRegion) -> list[int]:
    """Columns of floats in which the budget reaches the next float of no sample."""
    if all(map(_surely_near, region.parts())):
        return []  # the usual case, decided without going through the samples
    able, near = np.zeros((2, int(np.prod(region.X.shape[1:]))), dtype=bool)
    for part in region.parts():
        X, reach = part.X, _reach(part)
        size = np.abs(X)
        may = part.movable() & (reach > 0) & np.isfinite(size)
        if part.carried is not None:
            may = may & ~part.carried
        # the next float towards 0 is never further away than the one away from 0
        within = size.astype(float) - np.nextafter(size, np.zeros(1, dtype=size.dtype)) <= reach
        may, within = (np.broadcast_to(array, X.shape).reshape(len(X), -1) for array in (may, within))
        able |= may.any(axis=0)
        near |= (may & within).any(axis=0)
    return np.flatnonzero(able & ~near).tolist()


def _reach(region: Region) -> NDArray[np.float64]:
    """The budget in input units."""
    return region.eps * (np.ones(1) if region.unit is None else region.unit)


def _surely_near(region: Region) -> bool:
    """Whether the next float is surely within the budget for all values; needs no array of X's size."""
    X = region.X
    largest = np.fmax(np.fmax.reduce(X, axis=None), -np.fmin.reduce(X, axis=None))
    return bool(not largest > 0 or np.spacing(largest) <= _reach(region).min())
