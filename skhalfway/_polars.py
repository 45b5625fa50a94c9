"""DataFrames and Series of polars, recognised without importing polars and converted to pandas and back."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import shown
from skhalfway._times import of_polars


def is_polars_frame(X: Any) -> bool:
    return _is(X, "DataFrame")


def without_polars(data: Any) -> Any:
    """A polars DataFrame as a pandas DataFrame, a polars Series as an array; anything else unchanged.

    Missing values become NaN in columns of numbers, and None in columns of texts and bools, as in polars'
    own conversion to numpy. A Categorical or an Enum becomes a column of pandas' categories.
    """
    if _is(data, "LazyFrame"):
        raise TypeError("data is yet to be computed in a polars LazyFrame; pass its collect()")
    if _is(data, "Series"):
        return data.to_numpy()
    if not is_polars_frame(data):
        return data
    import pandas as pd

    columns = [_column(column) for column in data.get_columns()]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(len(data)))
    frame.columns = pd.Index(data.columns, dtype=object)
    return frame


def in_polars(X: Any, columns: dict[int, NDArray[Any]]) -> Any:
    """X with other numbers in some columns, by their position; missing values of X stay null."""
    polars = sys.modules["polars"]
    changed = []
    for i, values in columns.items():
        before = X.to_series(i)
        after = polars.Series(before.name, values, dtype=before.dtype if before.dtype.is_float() else None)
        changed.append(after.set(before.is_null(), None) if before.null_count() else after)
    return X.with_columns(changed)


def holds_numbers(column: Any) -> bool:
    """Whether a polars Series holds numbers, which may change."""
    return bool(column.dtype.is_numeric())


def stacked(frames: list[Any]) -> Any:
    """Polars DataFrames stacked; integers become floats if any of the frames has floats."""
    return sys.modules["polars"].concat(frames, how="vertical_relaxed")


def _is(data: Any, kind: str) -> bool:
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, getattr(polars, kind))


def _column(column: Any) -> Any:
    """A polars Series in a form that pandas accepts."""
    import pandas as pd

    polars, kind = sys.modules["polars"], column.dtype
    if kind.is_numeric():
        # numpy has neither 128-bit integers nor missing integers
        whole = kind.is_integer() and not column.null_count() and "128" not in str(kind)
        return column.to_numpy() if whole or kind.is_float() else column.cast(polars.Float64).to_numpy()
    if kind == polars.Null:
        return np.full(len(column), np.nan)
    if kind in (polars.Categorical, polars.Enum):
        known = list(kind.categories) if kind == polars.Enum else None
        return pd.Categorical(column.to_list(), categories=known)
    if kind == polars.Boolean and not column.null_count():
        return column.to_numpy()
    if kind in (polars.Boolean, polars.String):
        return pd.Series(column.to_list(), dtype=object)
    if kind.is_temporal():
        raise of_polars(column)
    raise TypeError(
        f"column {shown(column.name)} holds {kind}, neither numbers nor categories; turn it into columns of "
        "these, or leave it out"
    )
