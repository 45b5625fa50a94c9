"""The nearest sample of another class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors


def nearest_other(X: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each sample, the row of the nearest sample of another class."""
    nearest = np.empty(len(X), dtype=np.intp)
    for label in np.unique(labels):
        own = labels == label
        others = np.flatnonzero(~own)
        search = NearestNeighbors(n_neighbors=1).fit(X[others])
        nearest[own] = others[search.kneighbors(X[own], return_distance=False)[:, 0]]
    return nearest
