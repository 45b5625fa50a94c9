"""Nearest samples, independent of the number of threads of the search."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skhalfway._blocks import blocks

TIE = 1e-9  # distances that differ by a smaller share count as equal


def nearest(points: NDArray[Any], k: int, queries: NDArray[Any] | None = None) -> NDArray[np.intp]:
    """The k nearest points of each query, (n_queries, k); ties go to the first.

    Without queries, they are the k nearest other points of each point. A search in threads may return any of
    several points at the same distance. So more points are searched for, until one is further away.
    """
    n, search = len(points), NearestNeighbors().fit(points)
    asked = points if queries is None else queries
    found, left = np.empty((len(asked), k), dtype=np.intp), np.arange(len(asked))
    n_asked = min(2 * k + 8, n)
    while len(left):
        open_rows = []
        for part in blocks(len(left), 4 * n_asked):
            rows = left[part]
            far, near = search.kneighbors(asked[rows], n_asked)
            own = near == (rows[:, None] if queries is None else -1)
            far = np.where(own, np.inf, far)
            last = np.partition(far, k - 1, axis=1)[:, k - 1 : k]
            tied = np.abs(far - last) <= TIE * last
            order = np.where(tied, near, np.where(far < last, -1, n)).argsort(axis=1, kind="stable")
            found[rows] = np.take_along_axis(near, order[:, :k], axis=1)
            further = (far > last) & ~tied & ~own
            open_rows.append(rows[~further.any(axis=1)])
        left = np.concatenate(open_rows) if n_asked < n else left[:0]
        n_asked = min(2 * n_asked, n)
    return found


def nearest_other(X: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each sample, the row of the nearest sample of another class; ties go to the first."""
    found = np.empty(len(X), dtype=np.intp)
    for label in np.unique(labels):
        own = labels == label
        others = np.flatnonzero(~own)
        found[own] = others[nearest(X[others], 1, X[own])[:, 0]]
    return found
