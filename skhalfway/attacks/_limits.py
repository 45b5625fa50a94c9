"""Limits: what decides where samples may go, read once for all samples; regions are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import SCANNED, blocks
from skhalfway._rounding import ColumnTypes
from skhalfway._text import shown
from skhalfway.attacks._budget import check_unit, read_budget
from skhalfway.attacks._constraints import Constraints, Header, Rules, read_constraints, read_mask
from skhalfway.attacks._named import check_same_columns, check_unmasked
from skhalfway.attacks._reference import Reference

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region, Rows

EVERY_ROW = slice(None)


@dataclass(frozen=True)
class Limits:
    """Budget, bounds and constraints, checked against samples that need not be held at once.

    Attributes
    ----------
    eps : float
        Budget, in units.
    norm : float
        Norm of the budget.
    header : Header
        The columns.
    each : ndarray or None
        Budgets of single features or samples; see ``read_budget``.
    spread : ndarray of the shape of a sample, or None
        Unit of these budgets, in input units.
    clip_values : Reference, (ndarray, ndarray) or None
        Bounds, or the reference on which they are measured.
    rules : Rules
        Constraints.
    free : bool ndarray or None
        False where the user allows no change; broadcasts against X.
    categories : bool ndarray of shape (n_features,) or None
        True for columns that hold no numbers.
    types : ColumnTypes or None
        Columns with a narrower float type than X.
    largest : ndarray of the shape of a sample
        Largest absolute values in X.
    carries, fixes, plain : bool
        Whether X has values that are no numbers; whether some values may not change; whether bounds are the
        only limit.
    """

    eps: float
    norm: float
    header: Header
    each: NDArray[np.float64] | None
    spread: NDArray[np.float64] | None
    clip_values: Reference | tuple[NDArray[Any], NDArray[Any]] | None
    rules: Rules
    free: NDArray[np.bool_] | None
    categories: NDArray[np.bool_] | None
    types: ColumnTypes | None
    largest: NDArray[np.float64]
    carries: bool
    plain: bool
    fixes: bool = True

    def region(self, X: NDArray[Any], rows: Rows = EVERY_ROW) -> Region:
        """The region of some of the samples X."""
        from skhalfway.attacks._region import Region

        n_axes, X = X.ndim, X[rows]
        bounds = self._bounds(X)
        if self.plain:
            low, high = bounds or (None, None)
            return Region(X, self.eps, self.norm, low=low, high=high, types=self.types)
        flat, rules = (len(X), -1), self.rules
        carried = _carried(X, self.categories)
        x = np.where(carried, 0.0, X.astype(float))
        low, high = (np.array(np.broadcast_to(b, X.shape)) for b in (bounds or (-np.inf, np.inf)))
        fixed = carried.copy()
        fixed.reshape(flat)[:, rules.immutable] = True
        if self.free is not None:
            fixed |= ~(self.free[rows] if self.free.ndim == n_axes else self.free)
        unit = self._unit(n_axes, rows)
        if unit is not None:
            fixed |= unit == 0
            unit = np.where(unit == 0, 1.0, unit)
        for group in rules.one_hot:
            low.reshape(flat)[:, group] = low.reshape(flat)[:, group].clip(0)
            high.reshape(flat)[:, group] = high.reshape(flat)[:, group].clip(max=1)
        low[fixed], high[fixed] = x[fixed], x[fixed]
        low.reshape(flat)[:, rules.increasing] = x.reshape(flat)[:, rules.increasing]
        high.reshape(flat)[:, rules.decreasing] = x.reshape(flat)[:, rules.decreasing]
        return Region(
            X,
            self.eps,
            self.norm,
            unit,
            low,
            high,
            ~fixed if self.fixes else None,
            carried if self.carries else None,
            rules if rules.discrete else None,
            self.types,
        )

    def _bounds(self, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
        return self.clip_values.bounds(X) if isinstance(self.clip_values, Reference) else self.clip_values

    def _unit(self, n_axes: int, rows: Rows) -> NDArray[np.float64] | None:
        """Input units of one unit of the budget, 0 where that is negligible."""
        each = self.each
        if each is not None and each.ndim == n_axes:
            each = each[rows]
        if each is None or self.spread is None:
            unit = self.spread if each is None else each
        else:
            unit = each * self.spread
        if unit is None:
            return None
        return check_unit(unit, self.largest, self.header, first=getattr(rows, "start", None) or 0)


@dataclass(frozen=True)
class WholeRegion:
    """Samples and their limits, from which the region of some samples is made when it is needed.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
        The samples, of a float type; they may be memory-mapped from a file.
    limits : Limits
        Budget, bounds and constraints.
    eps : float
        Budget, in units.
    shared : ndarray of the shape of a sample, or None
        Result of :meth:`shared_unit`, once it is known.
    """

    X: NDArray[Any]
    limits: Limits
    eps: float
    shared: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Rows) -> Region:
        """The region of some of the samples."""
        return replace(self.limits.region(self.X, rows), eps=self.eps, shared=self.shared)

    def parts(self) -> Iterator[Region]:
        """The regions of all samples, a few at a time."""
        return map(self.take, _scanned(self.X))

    def shared_unit(self) -> NDArray[np.float64] | None:
        """See :meth:`Region.shared_unit`."""
        from skhalfway.attacks._region import mean_unit

        return mean_unit(self.take(slice(0, 1)), self.parts()) if self.shared is None else self.shared


def is_bounded(region: Region | WholeRegion) -> bool:
    """Whether all values that may change have a finite range."""
    first = region.take(slice(0, 1))
    # with a mask, each sample has its own values that may change
    parts = [first] if first.free is None else region.parts()
    return all(np.isfinite(bound).all() for part in parts for bound in part.limits())


def _scanned(X: NDArray[Any]) -> Iterator[slice]:
    return blocks(len(X), int(np.prod(X.shape[1:])), SCANNED)


def _carried(X: NDArray[Any], categories: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Mask of values that are no numbers (categories, missing values)."""
    carried = np.isnan(X)
    if categories is not None:
        carried |= categories
    return carried


def read_limits(
    X: NDArray[Any],
    *,
    eps: Any,
    norm: float,
    clip_values: Any,
    constraints: Constraints | None,
    spread: NDArray[np.float64] | None,
    header: Header,
    categories: NDArray[np.bool_] | None,
    types: ColumnTypes | None = None,
    of_others: bool = False,
) -> Limits:
    """Read the limits of samples, and check data and parameters against each other, a few samples at a time.

    ``clip_values`` may be a :class:`Reference`, whose ranges are the bounds. ``categories`` (n_features,) is
    true for columns that hold no numbers, or None; ``types`` has the narrower columns. With ``of_others``,
    budgets and masks for each sample belong to other samples than X; then each sample of X may go as far as
    any of those.
    """
    budget, each = read_budget(eps, header, X.shape, of_others=of_others)
    if spread is not None and not spread.any():
        raise ValueError(
            "eps counts in the spread of the features, which is 0 in all of them, as for one sample or "
            "constant data; pass eps_unit='input', or fit on more samples"
        )
    if isinstance(clip_values, Reference):
        clip_values.check_width()
    else:
        clip_values = read_bounds(clip_values, X, categories, header.names)
    text = np.zeros(header.n_columns, dtype=bool) if categories is None else categories
    rules = read_constraints(constraints or Constraints(), header, text)
    largest, carries = np.zeros(X.shape[1:]), False
    for rows in _scanned(X):
        carried = _carried(X[rows], categories)
        carries = carries or bool(carried.any())
        flat = len(carried), -1
        check_data(X[rows].reshape(flat), carried.reshape(flat), rules, header, first=rows.start or 0)
        if each is not None or spread is not None:
            size = np.abs(np.where(carried, 0.0, X[rows].astype(float)))
            largest = np.maximum(largest, size.max(axis=0, initial=0.0))
    free = None
    if constraints is not None and constraints.mask is not None:
        free = read_mask(constraints.mask, X.shape, rules, header, of_others=of_others)
    plain = not carries and each is None and spread is None and constraints is None
    limits = Limits(
        budget,
        norm,
        header,
        each,
        spread,
        clip_values,
        rules,
        free,
        categories,
        types,
        largest,
        carries,
        plain,
    )
    return limits if plain else _with_what_is_fixed(limits, X)


def _with_what_is_fixed(limits: Limits, X: NDArray[Any]) -> Limits:
    """Set ``fixes``; ValueError if no value may change."""
    fixes, changes, header = False, not len(X), limits.header
    for rows in _scanned(X):
        free = limits.region(X, rows).free
        assert free is not None
        fixes, changes = fixes or not free.all(), changes or bool(free.any())
    if not changes:
        names = ", ".join(header.name(column) for column in range(min(header.n_columns, 5)))
        raise ValueError(
            f"no column may change: {names}{', ...' if header.n_columns > 5 else ''} are immutable, have no "
            "budget or one that is negligible beside their values, are masked, or hold categories or missing "
            "values; let at least one change"
        )
    return replace(limits, fixes=fixes)


def check_data(
    X: NDArray[Any], carried: NDArray[np.bool_], rules: Rules, header: Header, *, first: int = 0
) -> None:
    """Raise if the data itself violates its constraints; name the column, the row, and what is there.

    ``first`` is the number of the first row.
    """
    for column in rules.integer:
        wrong = (X[:, column] % 1 != 0) & ~carried[:, column]
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"{header.name(column)} is in constraints.integer, but holds {X[row, column]} in row "
                f"{first + row}; integer columns hold whole numbers: leave it out of integer, or round it"
            )
    for group in rules.one_hot:
        wrong = ~np.isin(X[:, group], (0, 1)).all(axis=1) | (X[:, group].sum(axis=1) != 1)
        if wrong.any():
            row, names = int(wrong.argmax()), ", ".join(header.name(column) for column in group)
            raise ValueError(
                f"{names} are a group of constraints.one_hot, but not every row has one 1 and 0 elsewhere: "
                f"row {first + row} has {shown(X[row, group])}"
            )


def read_bounds(
    clip_values: Any,
    X: NDArray[Any],
    categories: NDArray[np.bool_] | None = None,
    names: list[str] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Lower and upper bounds that broadcast against a sample; raises if X is not between them.

    Missing values in X, and columns of ``categories``, are not checked.
    """
    if clip_values is None:
        return None
    if isinstance(clip_values, (tuple, list)) and len(clip_values) == 2:
        for which, bound in enumerate(clip_values):
            check_unmasked(f"clip_values[{which}]", bound)
            check_same_columns(f"clip_values[{which}]", bound, names)
    try:
        low, high = (np.asarray(bound, dtype=float) for bound in clip_values)
        fits = np.broadcast_shapes(low.shape, high.shape, X.shape[1:]) == X.shape[1:]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            "clip_values must be None, 'range' or a pair (min, max) of numbers, or of arrays of the shape of "
            f"a sample, {X.shape[1:]}; got {shown(clip_values)}"
        )
    if not (low < high).all():
        raise ValueError(f"clip_values must have min < max, got {shown(clip_values)}")
    outside, ends = False, []
    for rows in _scanned(X):
        x, there = X[rows], ~_carried(X[rows], categories)
        outside = outside or bool((((x < low) | (x > high)) & there).any())
        if there.any():
            ends += [x.min(initial=np.inf, where=there), x.max(initial=-np.inf, where=there)]
    if outside:
        raise ValueError(
            f"data outside clip_values={shown(clip_values)}: X has min {min(ends)} and max {max(ends)}; "
            "scale X or pass clip_values that hold it"
        )
    return low, high
