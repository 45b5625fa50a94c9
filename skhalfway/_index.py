"""Names of samples: the index of a DataFrame, as results store it and tables show it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def index_of(X: Any, n: int) -> NDArray[Any] | None:
    """Names of the rows of a DataFrame; None if they are only numbered from 0 on."""
    index = getattr(X, "index", None)
    if index is None or callable(index):
        return None
    names = np.asarray(index)
    if names.shape != (n,) or only_numbered(names):
        return None
    if names.dtype != object or all(isinstance(name, (str, int, float)) for name in names):
        return names
    plain = np.empty(n, dtype=object)
    for k, name in enumerate(names):  # numpy would turn tuples into a two-dimensional array
        plain[k] = plain_name(name)
    return plain


def only_numbered(names: NDArray[Any]) -> bool:
    """Whether names of samples are only their numbers, from 0 on."""
    return all(type(name) in (int, float) and name == k for k, name in enumerate(names.tolist()))


def plain_name(name: Any) -> Any:
    """A name as results store it in files: a number, a text, or a tuple of these."""
    if isinstance(name, tuple):
        return tuple(map(plain_name, name))
    if isinstance(name, (np.integer, np.floating)):
        return name.item()
    return name if isinstance(name, (str, int, float)) else str(name)


def row_index_of(X: Any, n: int) -> Any:
    """The index of a pandas DataFrame or Series, with its names, levels and types; else None."""
    index: Any = getattr(X, "index", None)
    return index if hasattr(index, "get_indexer") and len(index) == n else None


def level_names(index: Any) -> tuple[Any, ...]:
    """Names of the levels of a pandas index, as results store them in files."""
    return tuple(None if name is None else plain_name(name) for name in index.names)


def index_for(names: NDArray[Any], levels: tuple[Any, ...] | None, index: Any = None) -> Any:
    """Index for a table with a row for each sample: that of X, or the stored names if X is not at hand.

    An index without a name gets the name ``sample``.
    """
    import pandas as pd

    if index is None and levels is not None and len(levels) > 1:
        return pd.MultiIndex.from_tuples(names.tolist(), names=levels)
    if index is None:
        index = pd.Index(names, name=levels[0] if levels else None)
    return index.rename("sample") if index.nlevels == 1 and index.name is None else index
