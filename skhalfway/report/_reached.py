"""How far attacks may move each column, and which columns they may not move at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import Frame
from skhalfway.attacks._reference import Reference
from skhalfway.models._number_codes import (
    MOST_CODES,
    changed_as_floats,
    refused,
    taken_as_codes,
    why_changed,
    why_refused,
)
from skhalfway.report._columns import column_names, name_of, numbers
from skhalfway.report._inspected import BARELY, barely_below

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting

MOST_ASKED = 100  # columns that may be treated as categories


@dataclass(frozen=True, eq=False)
class Reached:
    """The columns of a table, or of flattened images, and how far attacks may move them.

    Attributes
    ----------
    names : list of str
        Names of the columns.
    X : ndarray of shape (n_samples, n_columns)
        The samples; columns of categories are 0.
    unit : ndarray of shape (n_columns,)
        Input units of one unit of the budget.
    low, high : ndarray of shape (n_columns,)
        Smallest and largest value in the reference; nan where there are none.
    categories, immutable, integer : bool ndarray of shape (n_columns,)
        Columns of categories; columns that constraints fix, and those that they keep whole.
    largest : float
        The largest budget.
    codes : bool ndarray of shape (n_columns,)
        Free columns of numbers that the deployed model treats as categories.
    least : float
        Share of the standard deviation below which a column is hardly moved.
    """

    names: list[str]
    X: NDArray[np.float64]
    unit: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    categories: NDArray[np.bool_]
    immutable: NDArray[np.bool_]
    integer: NDArray[np.bool_]
    largest: float
    codes: NDArray[np.bool_]
    least: float = BARELY

    @property
    def width(self) -> NDArray[np.float64]:
        """Range of the values in the reference, 0 where there are none."""
        return np.nan_to_num(self.high - self.low)

    @cached_property
    def own(self) -> Reference:
        """Spread and range of the samples themselves."""
        return Reference.of(self.X)

    @property
    def reach(self) -> NDArray[np.float64]:
        """Largest change of each column, in its own units."""
        return self.largest * self.unit

    @property
    def free(self) -> NDArray[np.bool_]:
        """Columns of numbers that constraints let change."""
        return ~(self.categories | self.immutable)

    @cached_property
    def barely(self) -> NDArray[np.bool_]:
        """Free columns that the largest budget moves by less than a small share of their deviation."""
        return self.free & (self.reach > 0) & (self.reach < self.least * self.own.deviation)

    @property
    def in_deviations(self) -> tuple[float, ...]:
        """The largest budget in deviations of the columns, the smallest and the largest number; or empty."""
        some = self.free & (self.reach > 0) & (self.own.deviation > 0)
        shares = self.reach[some] / self.own.deviation[some]
        return (float(shares.min()), float(shares.max())) if some.any() else ()


def reached(setting: Setting, codes: Sequence[int] = ()) -> Reached:
    """Columns of the samples, and how far the largest budget moves them.

    ``codes`` are the numbers of columns that the deployed model treats as categories.
    """
    images = np.ndim(setting.X) > 2
    X, known = (
        np.asarray(data, dtype=float) if images else numbers(data)
        for data in (setting.X, setting.measured_on)
    )
    measured = Reference.of(known)
    unit = measured.spread(setting.generator.eps_unit)
    unit = np.ones(X.shape[1:]) if unit is None else unit
    X = X.reshape(len(X), -1)
    names = [f"value {k}" for k in range(X.shape[1])] if images else column_names(setting.X)
    frame = None if images else Frame.of(setting.X)
    categories = np.zeros(len(names), dtype=bool) if frame is None else frame.categories
    return Reached(
        names,
        X,
        unit.ravel(),
        measured.low.ravel(),
        measured.high.ravel(),
        categories,
        _immutable(setting, names),
        named_by(setting, "integer", names),
        setting.budgets[-1],
        np.isin(np.arange(len(names)), codes),
        barely_below(setting.generator.eps_unit),
    )


def columns_of_codes(setting: Setting) -> list[int]:
    """Columns of numbers that the deployed model treats as categories.

    Raises
    ------
    ValueError
        If one of the models refuses all numbers but these, so that it cannot be attacked.
    """
    if np.ndim(setting.X) != 2:
        return []
    names, X = column_names(setting.X), numbers(setting.X)
    frame = Frame.of(setting.X)
    free = ~(_immutable(setting, names) | named_by(setting, "integer", names))
    if frame is not None:
        free &= ~frame.categories
    few = [
        k for k in np.flatnonzero(free).tolist() if len(np.unique(X[:, k])) <= min(MOST_CODES, len(X) // 2)
    ]
    for name in setting.models:
        columns, said = refused(partial(setting.answers, name), setting.X, X, few)
        if columns:
            given = list(setting.X.columns) if hasattr(setting.X, "columns") else range(len(names))
            raise ValueError(f"model {name!r}: {why_refused([given[k] for k in columns], said)}")
    model = setting.seen(setting.deployed)
    return taken_as_codes(model.scores, setting.X, X, few[:MOST_ASKED], setting.seed)


def check_floats(setting: Setting) -> None:
    """Raise if a model answers otherwise as whole numbers become floats, as all do that attacks change."""
    for name in setting.models:
        columns, share = changed_as_floats(partial(setting.answers, name), setting.X)
        if columns:
            raise ValueError(f"model {name!r}: {'; '.join(why_changed(columns, share))}")


def named_by(setting: Setting, rule: str, names: list[str]) -> NDArray[np.bool_]:
    """The columns that a rule of the constraints names."""
    columns: Any = getattr(setting.generator.constraints, rule, ())
    wanted = {name_of(column, names) for column in columns}
    return np.array([name in wanted for name in names], dtype=bool)


def _immutable(setting: Setting, names: list[str]) -> NDArray[np.bool_]:
    constraints, found = setting.generator.constraints, named_by(setting, "immutable", names)
    if constraints is not None and constraints.mask is not None:
        mask = np.asarray(constraints.mask, dtype=bool)
        if mask.size % len(names) == 0:  # of one sample, or of each; else it has one value for each sample
            found |= ~mask.reshape(-1, len(names)).any(axis=0)
    return found
