"""Columns of numbers that a model treats as categories: it refuses other numbers, or takes them as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from skhalfway._polars import without_polars
from skhalfway._text import brief, shown

N_ROWS, N_VALUES = 20, 8  # samples that are asked about, and values of each column
MOST_CODES = 100  # a column with more values is not asked about
FEWEST_CHANGED = 3  # samples whose scores depend on the column


def with_columns(X: Any, columns: Mapping[int, Any]) -> Any:
    """A copy of a table or array, with other values in some columns, by their numbers."""
    changed = X.copy()
    for k, values in columns.items():
        if hasattr(X, "iloc"):
            changed.isetitem(k, values)
        else:
            changed[:, k] = values
    return changed


def refused(
    predict: Callable[[Any], Any], X: Any, values: NDArray[np.float64], columns: Sequence[int]
) -> tuple[list[int], str]:
    """Columns in which a model raises for numbers between those of the data, and what it says.

    Parameters
    ----------
    predict : function
        Predicts samples like X.
    X : table or array of shape (n_samples, n_columns)
        Samples that the model takes.
    values : ndarray of shape (n_rows, n_columns)
        Numbers that occur.
    columns : sequence of int
        Columns to ask about.
    """
    one, found, said = _safe_indexing(X, np.arange(1)), [], ""
    for k in columns:
        between = _between(values[:, k])[:1]
        if not len(between):
            continue
        try:
            predict(with_columns(one, {k: between}))
        except Exception as error:  # whatever the model raises, it does not take that value
            found.append(k)
            said = said or brief(error, 30)
    return found, said


def taken_as_codes(
    scores: Callable[[Any], NDArray[np.float64]],
    X: Any,
    values: NDArray[np.float64],
    columns: Sequence[int],
    seed: int,
) -> list[int]:
    """Columns in which all numbers between those of the data are the same to a model, unlike these.

    Encoders that ignore unknown categories do that. Any other model tells numbers close to one value from
    those close to the next, if it tells the values themselves.
    """
    rng = np.random.RandomState(seed)
    rows = rng.permutation(len(values))[:N_ROWS]
    some = _safe_indexing(X, rows)
    found = []
    for k in columns:
        known = np.unique(values[:, k][~np.isnan(values[:, k])])
        between = _between(values[:, k])
        if not 2 <= len(known) <= min(MOST_CODES, len(values) // 2):
            continue
        for_known, for_others = (
            np.stack([scores(with_columns(some, {k: np.full(len(rows), value)})) for value in asked])
            for asked in (rng.permutation(known)[:N_VALUES], between)
        )
        depends = (np.ptp(for_known, axis=0) > 0).any(axis=-1)
        if depends.sum() >= FEWEST_CHANGED and not np.ptp(for_others, axis=0).any():
            found.append(k)
    return found


def _between(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers close to both ends of some of the gaps between values."""
    known = np.unique(values[~np.isnan(values)])
    low, gap = known[:-1], np.diff(known)
    ends = np.concatenate([low + 0.1 * gap, low + 0.9 * gap])
    places = np.linspace(0, len(low) - 1, min(len(low), N_VALUES // 2)).astype(int)
    return ends[np.concatenate([places, places + len(low)])]


def why_refused(names: Sequence[Any], said: str) -> str:
    """Message for columns in which a model refuses numbers that attacks make."""
    column, holds, them = ("column", "holds", "it") if len(names) == 1 else ("columns", "hold", "them")
    given = shown(list(names))
    return (
        f"{column} {given[1:-1]} {holds} codes, and the model takes no other numbers ({said}); attacks make "
        f"some. Pass Constraints(immutable={given}) or, if all whole numbers are codes, "
        f"Constraints(integer={given}); or make {them} text, and train again"
    )


def changed_as_floats(predict: Callable[[Any], NDArray[Any]], X: Any) -> tuple[list[Any], float]:
    """Columns of whole numbers that a model takes otherwise as floats, and the share of answers that change.

    Attacks make floats of all numbers. A step that turns numbers into text then gets "12.0" in place of "12".

    Parameters
    ----------
    predict : function
        Predicts a table.
    X : DataFrame
        Samples as they are given.
    """
    X = without_polars(X)
    if not (hasattr(X, "columns") and hasattr(X, "iloc")):
        return [], 0.0
    whole = [k for k, dtype in enumerate(X.dtypes) if _is_whole(dtype)]
    if not whole:
        return [], 0.0
    given = predict(X)

    def changed(columns: Sequence[int]) -> float:
        floats = {k: X.iloc[:, k].to_numpy(dtype=float, na_value=np.nan) for k in columns}
        return float((predict(with_columns(X, floats)) != given).mean())

    share = changed(whole)
    if share == 0:
        return [], 0.0
    found = [k for k in whole if changed([k]) > 0] or whole
    return [X.columns[k] for k in found], share


def why_changed(names: Sequence[Any], share: float) -> tuple[str, str]:
    """What floats change, and what to do about it."""
    column, holds, them = ("column", "holds", "it") if len(names) == 1 else ("columns", "hold", "them")
    return (
        f"{column} {shown(list(names))[1:-1]} {holds} whole numbers, and attacks hand {them} to the model as "
        f"floats, such as 12.0 in place of 12, which changes {100 * share:.3g} % of its answers",
        f"make {them} text in the table, as by X[column].astype(str), and train the model on that: text "
        "stays as it is; or mend the step of the model that turns numbers into text, so that 12.0 means the "
        "same as 12; constraints do not help",
    )


def _is_whole(dtype: Any) -> bool:
    from pandas.api.types import is_integer_dtype

    return bool(is_integer_dtype(dtype))
