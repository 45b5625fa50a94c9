"""Numbers in narrower float types, rounded towards where they came from; columns of several types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._polars import is_polars_frame, without_polars


def float_type(dtype: Any, other: Any = float) -> np.dtype[Any]:
    """The float type of a column, pandas' own included; ``other`` for whatever holds no floats."""
    dtype = getattr(dtype, "numpy_dtype", dtype)
    dtype = np.dtype(dtype) if isinstance(dtype, type) else dtype
    return dtype if isinstance(dtype, np.dtype) and dtype.kind == "f" else np.dtype(other)


def round_towards(values: NDArray[Any], anchor: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """``values`` in the float type of a column, no further from ``anchor`` than they were."""
    dtype = float_type(dtype)
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
        wide, there = rounded.astype(float), values.astype(float)
        # a distance may be too long to tell, but not on which side of a value its rounding lies
        away = np.where(there >= anchor, wide > there, wide < there)
        away |= np.abs(wide - anchor) > np.abs(there - anchor)
        return np.where(away, np.nextafter(rounded, anchor.astype(dtype)), rounded)


@dataclass(frozen=True)
class ColumnTypes:
    """Columns that are given out in narrower float types than the one in which all are computed.

    Attributes
    ----------
    each : tuple of dtype
        The type of each column.
    """

    each: tuple[np.dtype[Any], ...]

    @classmethod
    def of(cls, X: Any, dtype: Any) -> ColumnTypes | None:
        """Those of a DataFrame that is computed in ``dtype``; None where no column is narrower."""
        if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
            return None
        frame = without_polars(X[:0]) if is_polars_frame(X) else X
        each = tuple(float_type(column, dtype) for column in frame.dtypes)
        return cls(each) if any(t.itemsize < np.dtype(dtype).itemsize for t in each) else None

    def towards(self, values: NDArray[Any], anchor: NDArray[Any]) -> NDArray[Any]:
        """Rows whose every value is one of its column's type, no further from ``anchor`` than it was."""
        rounded = values.copy()
        for type_ in set(self.each):
            if type_.itemsize < values.dtype.itemsize:
                here = [k for k, other in enumerate(self.each) if other == type_]
                rounded[:, here] = round_towards(values[:, here], anchor[:, here], type_)
        return rounded


def types_of(types: ColumnTypes | None, n_columns: int, dtype: Any) -> Sequence[np.dtype[Any]]:
    """The float type of each column, of any that are added, and of all where none is narrower."""
    each = () if types is None else types.each
    return [*each, *[np.dtype(dtype)] * (n_columns - len(each))]
