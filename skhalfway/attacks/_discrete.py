"""Whole numbers, one-hot groups, projections: samples rounded to valid ones, within the budget."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._rounding import ColumnTypes, round_towards
from skhalfway._text import brief
from skhalfway._vectors import lengths
from skhalfway.attacks._constraints import Rules
from skhalfway.attacks._norms import widths

_N_SHORTER = 8  # the shortest change tried is 1/128 of the one asked for


def to_valid(
    wanted: NDArray[Any],
    X: NDArray[Any],
    carried: NDArray[np.bool_] | None,
    bounds: tuple[NDArray[Any], NDArray[Any]],
    free: NDArray[np.bool_],
    eps: float,
    norm: float,
    unit: NDArray[Any] | None,
    rules: Rules,
    types: ColumnTypes | None,
    *,
    full: bool,
) -> NDArray[Any]:
    """Valid rows near ``wanted``, which is within the budget and the bounds already.

    All arrays are of shape (n_samples, n_features), in input units; see :class:`Region`. ``unit`` None is 1.
    With ``full``, changes are as long as those wanted: the part that whole numbers and categories leave
    unused goes to the other columns. Values are rounded to the types of their columns.
    """
    unit = np.broadcast_to(1.0, X.shape) if unit is None else unit
    space = _Space(bounds, free, eps, norm, unit, rules, types, X.dtype, full)
    x = X if carried is None else np.where(carried, X.dtype.type(0), X)
    valid = space.rounded(wanted, x)
    if rules.projection is None:
        return valid
    result, left = X.copy(), np.arange(len(X))
    for k in range(_N_SHORTER):
        trial = (
            valid if k == 0 else space.at(left).rounded(x[left] + (wanted[left] - x[left]) / 2**k, x[left])
        )
        if carried is not None:
            trial = np.where(carried[left], X[left], trial)
        made = _called(rules.projection, trial, X[left])
        if types is not None:
            made = types.towards(made, X[left])
        numbers = made if carried is None else np.where(carried[left], 0.0, made)
        fits = space.at(left).holds(numbers, x[left])
        if carried is not None:
            fits &= ((made == X[left]) | np.isnan(X[left]) | ~carried[left]).all(axis=1)
        result[left[fits]] = made[fits]
        left = left[~fits]
        if not len(left):
            break
    return result


def _called(projection: Any, trial: NDArray[Any], X: NDArray[Any]) -> NDArray[Any]:
    try:
        made = np.asarray(projection(trial.copy(), X.copy()))
    except Exception as error:
        raise ValueError(f"constraints.projection raised {type(error).__name__}: {brief(error)}") from error
    if made.shape != X.shape or made.dtype.kind not in "iuf":
        raise ValueError(
            f"constraints.projection must return numbers of the shape it got, {X.shape}; "
            f"it returned {made.dtype} of shape {made.shape}"
        )
    return made.astype(X.dtype)


class _Space:
    """Bounds, budget and rules of some rows."""

    def __init__(
        self,
        bounds: tuple[NDArray[Any], NDArray[Any]],
        free: NDArray[np.bool_],
        eps: float,
        norm: float,
        unit: NDArray[Any],
        rules: Rules,
        types: ColumnTypes | None,
        dtype: np.dtype[Any],
        full: bool,
    ) -> None:
        self.low, self.high = bounds
        self.free, self.eps, self.norm, self.unit = free, eps, norm, unit
        self.rules, self.types, self.dtype, self.full = rules, types, dtype, full

    def at(self, rows: NDArray[np.intp]) -> _Space:
        bounds, free, unit = (self.low[rows], self.high[rows]), self.free[rows], self.unit[rows]
        rules = self.rules, self.types, self.dtype, self.full
        return _Space(bounds, free, self.eps, self.norm, unit, *rules)

    def length(self, change: NDArray[Any]) -> NDArray[np.float64]:
        return np.linalg.norm(change.astype(float) / self.unit, self.norm, axis=1)

    def holds(self, made: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows satisfy everything but the projection."""
        with np.errstate(invalid="ignore"):
            held = np.isfinite(made).all(axis=1) & ((made >= self.low) & (made <= self.high)).all(axis=1)
            held &= (self.free | (made == x)).all(axis=1) & (self.length(made - x) <= self.eps)
            held &= (made[:, self.rules.integer] % 1 == 0).all(axis=1)
        for group in self.rules.one_hot:
            held &= np.isin(made[:, group], (0, 1)).all(axis=1) & (made[:, group].sum(axis=1) == 1)
        return held

    def rounded(self, wanted: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        """Whole numbers and one-hot groups made valid; the rest shortened to what the budget has left."""
        near, wanted = x.astype(float), wanted.astype(float)
        reach = np.inf if self.norm == 0 else self.eps * self.unit
        low, high = np.maximum(self.low, near - reach), np.minimum(self.high, near + reach)
        result = wanted.copy()
        whole = self.rules.integer
        result[:, whole] = np.clip(
            np.rint(wanted[:, whole]), np.ceil(low[:, whole]), np.floor(high[:, whole])
        )
        result[:, whole] += 0.0  # no -0.0
        for group in self.rules.one_hot:
            result[:, group] = _switched(wanted[:, group], near[:, group], low[:, group], high[:, group])
        result = np.where(self.free, result, near)
        if self.norm == 0:
            result = self._fewest(result, wanted, near)
        elif self.norm != np.inf and (self.eps < np.inf or self.full):
            result = np.clip(self._affordable(result, wanted, near), low, high)
        result = round_towards(result, near, self.dtype)
        if self.types is not None:
            result = self.types.towards(result, x)
        over = self.length(result - x) > self.eps
        return np.where(over[:, None], x, result)

    def _fewest(
        self, result: NDArray[np.float64], wanted: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Keep changes of at most ``eps`` features in all; a change of category changes several.

        The largest changes are kept: those with the largest wanted change, as a share of the feature's range,
        for each feature that they change.
        """
        n_features = x.shape[1]
        if self.eps >= n_features:
            return result
        owner = np.arange(n_features)
        for group in self.rules.one_hot:
            owner[group] = group[0]
        share = np.abs(wanted - x) / widths(self.low, self.high)
        owned = np.eye(n_features)[owner]
        cost, asked = (result != x) @ owned, share @ owned
        order = np.argsort(-asked / np.where(cost > 0, cost, np.inf), axis=1, kind="stable")
        bought, spent, row = np.zeros_like(cost, dtype=bool), np.zeros(len(x)), np.arange(len(x))
        for step in order.T:
            bought[row, step] = affordable = spent + cost[row, step] <= self.eps
            spent += np.where(affordable, cost[row, step], 0.0)
        return np.where(bought[:, owner], result, x)

    def _affordable(
        self, result: NDArray[np.float64], wanted: NDArray[np.float64], x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Keep the steps of whole numbers that the budget allows, the most wanted first."""
        power = self.norm
        steps = [*([column] for column in self.rules.integer), *self.rules.one_hot]
        owner = np.zeros((x.shape[1], len(steps)))
        for step, columns in enumerate(steps):
            owner[np.asarray(columns), step] = 1
        cost = (np.abs(result - x) / self.unit) ** power @ owner
        asked = (np.abs(wanted - x) / self.unit) ** power @ owner
        order = np.argsort(-asked / np.where(cost > 0, cost, np.inf), axis=1, kind="stable")
        bought, spent, row = np.zeros_like(cost), np.zeros(len(x)), np.arange(len(x))
        for step in order.T:
            affordable = (spent + cost[row, step]) ** (1 / power) <= self.eps
            bought[row, step] = affordable
            spent += np.where(affordable, cost[row, step], 0.0)
        stepped = owner.any(axis=1)
        result = np.where(stepped & (bought @ owner.T == 0), x, result)
        # a little less than eps leaves room for the rounding of the sum in the norm
        within = self.eps * (1 - 8 * float(np.finfo(self.dtype).eps))
        left = (within**power - spent).clip(0.0) ** (1 / power)
        length = lengths(np.where(stepped, 0.0, result - x) / self.unit, power)
        goal = length
        if self.full:
            asked = lengths((wanted - x) / self.unit, power)
            goal = np.maximum(goal, (asked**power - spent).clip(0.0) ** (1 / power))
        share = np.minimum(goal, left) / np.where(length > 0, length, 1.0)
        return np.where(stepped, result, x + (result - x) * share[:, None])


def _switched(
    wanted: NDArray[Any], x: NDArray[Any], low: NDArray[Any], high: NDArray[Any]
) -> NDArray[np.float64]:
    """The group's most wanted category if bounds and budget allow the switch; otherwise its own."""
    row, own = np.arange(len(x)), x.argmax(axis=1)
    choice = np.where(high >= 1, wanted, -np.inf)
    choice[low[row, own] > 0] = -np.inf
    choice[row, own] = wanted[row, own]
    best = choice.argmax(axis=1)
    best = np.where(choice[row, best] > choice[row, own], best, own)
    return np.eye(x.shape[1])[best]
