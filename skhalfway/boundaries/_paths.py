"""Crossings: where a model's prediction first changes on straight paths, from predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log2
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import is_number
from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared
from skhalfway._text import shown
from skhalfway.boundaries._tree_paths import other_stretches, trees_on
from skhalfway.models import Model
from skhalfway.models._faults import named

N_INTERVALS = 16
GRID = np.linspace(0, 1, N_INTERVALS + 1)


@dataclass(frozen=True)
class Trace:
    """Predictions of one model on paths, as class indices.

    Attributes
    ----------
    position : ndarray of shape (n_pairs,)
        First crossing, between 0 and 1; nan if the prediction never changes.
    labels : ndarray of shape (n_pairs, N_INTERVALS + 1)
        Predictions on ``GRID``; the first and the last are those at the ends themselves.
    met : ndarray of shape (n_pairs,)
        Prediction just behind the crossing; without a crossing, the prediction of the whole path.
    """

    position: NDArray[np.float64]
    labels: NDArray[np.intp]
    met: NDArray[np.intp]

    @property
    def n_changes(self) -> NDArray[np.intp]:
        """Number of changes of the prediction between neighbouring points of the grid."""
        return (np.diff(self.labels, axis=1) != 0).sum(axis=1)


def check_tol(tol: float) -> None:
    if not is_number(tol) or not 0 < tol <= 1:
        raise ValueError(f"tol must be a number in (0, 1], got {shown(tol)}")


def trace_all(
    models: Sequence[Model],
    A: NDArray[Any],
    B: NDArray[Any],
    tol: float,
    *,
    names: Sequence[str] = (),
    n_jobs: int | None = None,
    verbose: int = 0,
) -> list[Trace]:
    """Trace the same paths on every model, side by side; errors name the model, if names are given."""
    if not len(A):
        nothing = np.empty((0, len(GRID)), dtype=np.intp)
        return [Trace(np.empty(0), nothing, nothing[:, 0])] * len(models)
    given = Shared((list(models), list(names)))
    parts = list(blocks(len(A), len(GRID) * int(np.prod(A.shape[1:]))))

    def jobs() -> Iterator[Any]:
        for part in parts:
            a, b = A[part], B[part]
            # points are made once for all models
            points = path(a[:, None], b[:, None], GRID.reshape(-1, *[1] * (a.ndim - 1)))
            points = points.reshape(-1, *a.shape[1:])
            yield from (delayed(_trace_one)(given, i, a, b, points, tol) for i in range(len(models)))

    n = len(parts) * len(models)
    found = list(side_by_side(jobs(), n, n_jobs=n_jobs, verbose=verbose, what="trace paths", unit="part"))
    return [
        Trace(*(np.concatenate(arrays) for arrays in zip(*(vars(t).values() for t in traces), strict=True)))
        for traces in (found[i :: len(models)] for i in range(len(models)))
    ]


def _trace_one(given: Shared[tuple[list[Model], list[str]]], i: int, *paths: Any) -> Trace:
    models, names = given.value
    return named(names[i], _trace, models[i], *paths) if names else _trace(models[i], *paths)


def path(A: NDArray[Any], B: NDArray[Any], t: NDArray[np.float64]) -> NDArray[Any]:
    """Points on the paths from A to B, in their float type; exact at 0 and 1, and where A equals B."""
    t = t.astype(np.result_type(A, B))
    points = (1 - t) * A + t * B
    # rounding must not move a constant feature, which may lie on a tree's threshold
    np.copyto(points, A, where=A == B)
    return points


def _trace(model: Model, A: NDArray[Any], B: NDArray[Any], points: NDArray[Any], tol: float) -> Trace:
    n = len(A)
    labels = model.predict(points).reshape(n, len(GRID))
    changed = labels != labels[:, :1]
    crosses = np.flatnonzero(changed.any(axis=1))
    first = changed[crosses].argmax(axis=1)
    low, high = GRID[first - 1], GRID[first]
    start, met = labels[crosses, 0], labels[crosses, first]
    a, b = A[crosses], B[crosses]
    finest = max(tol, float(np.finfo(float).eps))  # floats between 0 and 1 are not finer
    for _ in range(ceil(log2(max(1 / (N_INTERVALS * finest), 1))) if len(crosses) else 0):
        middle = (low + high) / 2
        seen = model.predict(path(a, b, middle.reshape(-1, *[1] * (a.ndim - 1))))
        beyond = seen != start
        high, low = np.where(beyond, middle, high), np.where(beyond, low, middle)
        met = np.where(beyond, seen, met)
    position = np.full(n, np.nan)
    position[crosses] = (low + high) / 2
    all_met = labels[:, 0].copy()
    all_met[crosses] = met
    _look_again(model, A, B, labels[:, 0], position, all_met)
    return Trace(position, labels, all_met)


def _look_again(
    model: Model,
    A: NDArray[Any],
    B: NDArray[Any],
    start: NDArray[np.intp],
    position: NDArray[np.float64],
    met: NDArray[np.intp],
) -> None:
    """Move crossings of trees to earlier regions of another class that lie between points of the grid.

    The model predicts the middle of each stretch on which its trees predict another class, beginning with the
    first of each path, until it predicts another class or no stretch is left.
    """
    trees = trees_on(model, A)
    if trees is None:
        return
    found = other_stretches(trees, A, B, start, np.where(np.isnan(position), 1.0, position))
    pair, begin, end = found.pair, found.begin, found.end
    while len(pair):
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        rows, middle = pair[first], (begin[first] + end[first]) / 2
        seen = model.predict(path(A[rows], B[rows], middle[:, None]))
        other = seen != start[rows]
        position[rows[other]], met[rows[other]] = begin[first][other], seen[other]
        # drop stretches that the model does not confirm, and those behind a confirmed one
        left = ~np.isin(pair, rows[other])
        left[first] = False
        pair, begin, end = pair[left], begin[left], end[left]
