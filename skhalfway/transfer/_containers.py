"""Descriptions of X's container in files, so that samples are restored as arrays, tensors or DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._index import index_for, index_of, level_names, plain_name, row_index_of
from skhalfway._inputs import Frame, coded
from skhalfway._polars import without_polars
from skhalfway._readable import is_missing, is_tensor
from skhalfway.results._reading import decoded
from skhalfway.results._writing import encoded


def told(X: Any) -> dict[str, Any]:
    """Description of X's container for JSON; DataFrames of polars become DataFrames of pandas."""
    if is_tensor(X):
        return {"kind": "tensor"}
    X = without_polars(X)
    if not (hasattr(X, "columns") and hasattr(X, "iloc")):
        return {"kind": "array"}
    frame, index = Frame.of(X), row_index_of(X, len(X))
    categories = np.zeros(X.shape[1], dtype=bool) if frame is None else frame.categories
    return {
        "kind": "DataFrame",
        "names": encoded([plain_name(name) for name in X.columns]),
        "columns": [
            encoded(_categories_of(X.iloc[:, i]) if flag else _float_of(X.dtypes.iloc[i]))
            for i, flag in enumerate(categories)
        ],
        "index": encoded(index_of(X, len(X))),
        "levels": encoded(level_names(index)),
    }


def untold(container: Mapping[str, Any]) -> Callable[[NDArray[Any]], Any]:
    """Function that puts a writable array of samples into the described container."""
    if container["kind"] == "tensor":
        return _tensor_of
    if container["kind"] != "DataFrame":
        return _as_it_is
    names, columns = decoded(container["names"]), [decoded(column) for column in container["columns"]]
    return partial(_frame_of, names, columns, decoded(container["index"]), decoded(container["levels"]))


def _as_it_is(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _tensor_of(array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array)


def _frame_of(
    names: list[Any], columns: list[Any], index: Any, levels: tuple[Any, ...], array: NDArray[Any]
) -> Any:
    import pandas as pd

    made = [
        array[:, i].astype(column) if isinstance(column, str) else _values_of(column, array[:, i])
        for i, column in enumerate(columns)
    ]
    frame = pd.concat([pd.Series(column) for column in made], axis=1)
    frame.columns = pd.Index(names)
    called = index_for(np.arange(len(array)) if index is None else index, levels)
    # an index without a name gets one in tables of figures only
    frame.index = called.rename(None) if levels == (None,) else called
    return frame


def _float_of(dtype: Any) -> str:
    """Float type of a column; float64 for columns of other numbers."""
    dtype = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    return dtype.str if dtype.kind == "f" else "<f8"


def _categories_of(column: Any) -> dict[str, Any]:
    """Values of a column of categories, and the codes that represent them in arrays."""
    codes, _, values = coded(column)
    dtype = column.dtype
    known = list(map(plain_name, dtype.categories)) if hasattr(dtype, "categories") else None
    return {
        "codes": codes,
        "values": [None if is_missing(value) else plain_name(value) for value in values],
        "type": str(dtype),
        "categories": known,
        "ordered": bool(getattr(dtype, "ordered", False)),
    }


def _values_of(column: Mapping[str, Any], codes: NDArray[Any]) -> Any:
    import pandas as pd

    kind = column["type"]
    if column["categories"] is not None:
        kind = pd.CategoricalDtype(column["categories"], column["ordered"])
    values = pd.Series(column["values"], dtype=object).astype(kind)
    return values.iloc[np.searchsorted(column["codes"], codes)].reset_index(drop=True)
