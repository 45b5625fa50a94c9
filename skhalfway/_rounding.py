"""Rounding to narrower float types towards the original values; columns of several types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._polars import is_polars_frame, without_polars


def float_type(dtype: Any, other: Any = float) -> np.dtype[Any]:
    """Float type of a column, including pandas' own types; ``other`` for columns without floats."""
    dtype = getattr(dtype, "numpy_dtype", dtype)
    dtype = np.dtype(dtype) if isinstance(dtype, type) else dtype
    return dtype if isinstance(dtype, np.dtype) and dtype.kind == "f" else np.dtype(other)


def round_towards(values: NDArray[Any], anchor: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Round ``values`` to a float type, without moving them away from ``anchor``."""
    dtype = float_type(dtype)
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
        wide, there = rounded.astype(float), values.astype(float)
        # distances may overflow, but comparisons with the rounded value always work
        away = np.where(there >= anchor, wide > there, wide < there)
        away |= np.abs(wide - anchor) > np.abs(there - anchor)
        return np.where(away, np.nextafter(rounded, anchor.astype(dtype)), rounded)


@dataclass(frozen=True)
class ColumnTypes:
    """Types of columns that are returned in narrower float types than that of the computation.

    Attributes
    ----------
    each : tuple of dtype
        Type of each column.
    """

    each: tuple[np.dtype[Any], ...]

    @classmethod
    def of(cls, X: Any, dtype: Any) -> ColumnTypes | None:
        """Types of a DataFrame's columns, for computation in ``dtype``; None if no column is narrower."""
        if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
            return None
        frame = without_polars(X[:0]) if is_polars_frame(X) else X
        each = tuple(float_type(column, dtype) for column in frame.dtypes)
        return cls(each) if any(t.itemsize < np.dtype(dtype).itemsize for t in each) else None

    def towards(self, values: NDArray[Any], anchor: NDArray[Any]) -> NDArray[Any]:
        """Round each column to its type, without moving values away from ``anchor``."""
        rounded = values.copy()
        for type_ in set(self.each):
            if type_.itemsize < values.dtype.itemsize:
                here = [k for k, other in enumerate(self.each) if other == type_]
                rounded[:, here] = round_towards(values[:, here], anchor[:, here], type_)
        return rounded


def types_of(types: ColumnTypes | None, n_columns: int, dtype: Any) -> Sequence[np.dtype[Any]]:
    """Float types of ``n_columns`` columns; ``dtype`` for added columns, and for all if ``types`` is None."""
    each = () if types is None else types.each
    return [*each, *[np.dtype(dtype)] * (n_columns - len(each))]
