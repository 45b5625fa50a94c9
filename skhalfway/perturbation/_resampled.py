"""Samples and labels in the forms that imbalanced-learn's samplers take and return."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from skhalfway._inputs import container_of
from skhalfway._polars import is_polars_frame, stacked
from skhalfway._readable import is_one_hot, is_tensor


def dense(X: Any) -> Any:
    """A pandas DataFrame with its sparse columns made dense; anything else is returned unchanged."""
    sparse = _sparse_columns(X)
    return X.astype({name: dtype.subtype for name, dtype in sparse.items()}) if sparse else X


def joined(parts: list[Any], X: Any) -> Any:
    """All rows, in the container type of X; columns that are sparse in X are made sparse again."""
    if is_polars_frame(X):
        return stacked(parts)
    if hasattr(X, "iloc"):
        import pandas as pd

        rows = pd.concat(parts, ignore_index=True)
        sparse = {
            name: pd.SparseDtype(rows[name].dtype, dtype.fill_value)
            for name, dtype in _sparse_columns(X).items()
        }
        return rows.astype(sparse) if sparse else rows
    rows = container_of(X)(np.concatenate(parts))
    return rows.tolist() if isinstance(X, list) else rows


def _sparse_columns(X: Any) -> dict[Any, Any]:
    """Types of the sparse columns of a pandas DataFrame, by name."""
    if not (hasattr(X, "iloc") and hasattr(X, "columns")):
        return {}
    import pandas as pd

    return {name: dtype for name, dtype in X.dtypes.items() if isinstance(dtype, pd.SparseDtype)}


def labels_in_one(y: Any) -> Any:
    """Labels as one column; one-hot labels are replaced by the column numbers of their ones."""
    try:
        columns = np.asarray(y.detach().cpu() if is_tensor(y) else y)
    except (TypeError, ValueError):
        return y  # the error is raised where labels are read
    if columns.ndim != 2 or columns.shape[1] < 2:
        return y
    if not is_one_hot(columns):
        raise ValueError(
            f"y must hold one label per sample, shape ({len(columns)},), or a column for each class with a "
            f"single 1 in each row (one-hot); got shape {columns.shape} with other values"
        )
    return columns.argmax(axis=1)


def labels_of(y: Any, rows: NDArray[np.intp]) -> Any:
    """Labels of the rows, in the container type of y."""
    labels = _safe_indexing(y, rows)
    return labels.reset_index(drop=True) if hasattr(labels, "iloc") else labels
