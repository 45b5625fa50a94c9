"""Crossings: where a model's answer changes on the straight paths between pairs of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, log2
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from skhalfway._blocks import blocks
from skhalfway._entries import takes_datasets
from skhalfway._parallel import side_by_side
from skhalfway._randomness import leaving_no_trace
from skhalfway._text import shown
from skhalfway.halfway._points import read_points
from skhalfway.models import Model, as_model
from skhalfway.models._faults import classes_of, named, type_name
from skhalfway.models._reader import reader_of

if TYPE_CHECKING:
    import pandas as pd

N_INTERVALS = 16
GRID = np.linspace(0, 1, N_INTERVALS + 1)


@dataclass(frozen=True)
class Trace:
    """What one model says on paths, in class indices.

    Attributes
    ----------
    position : ndarray of shape (n_pairs,)
        First crossing, between 0 and 1; nan where the answer never changes.
    labels : ndarray of shape (n_pairs, N_INTERVALS + 1)
        Answers on ``GRID``; the first and the last are those at the ends themselves.
    met : ndarray of shape (n_pairs,)
        Answer just behind the crossing; the one that never changes, where there is none.
    """

    position: NDArray[np.float64]
    labels: NDArray[np.intp]
    met: NDArray[np.intp]

    @property
    def n_changes(self) -> NDArray[np.intp]:
        """Changes of the answer between neighbours on the grid."""
        return (np.diff(self.labels, axis=1) != 0).sum(axis=1)


@dataclass(frozen=True, eq=False)
class Crossings:
    """Where a classifier's label changes on the paths from points A to points B.

    Made by :func:`crossings`; arrays are read-only.

    Attributes
    ----------
    position : ndarray of shape (n_pairs,)
        First crossing, as a share of the way from A (0) to B (1); nan where
        the label never changes.
    n_changes : ndarray of shape (n_pairs,)
        Changes of label seen on the way, at steps of 1/16.
    met_class : ndarray of shape (n_pairs,)
        Label just behind the first crossing; ``start_class`` where there is none.
    start_class, end_class : ndarray of shape (n_pairs,)
        Labels of A and B themselves.
    """

    position: NDArray[np.float64]
    n_changes: NDArray[np.intp]
    met_class: NDArray[Any]
    start_class: NDArray[Any]
    end_class: NDArray[Any]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            value.setflags(write=False)

    def __len__(self) -> int:
        return len(self.position)

    def to_frame(self) -> pd.DataFrame:
        """Everything by pair.

        Returns
        -------
        frame : DataFrame
            A row for each pair, a column for each attribute.
        """
        import pandas as pd

        return pd.DataFrame(vars(self))


@takes_datasets
@leaving_no_trace
def crossings(estimator: Any, A: Any, B: Any, *, tol: float = 1e-3) -> Crossings:
    """Find where a classifier's label first changes on straight paths.

    The path from a to b is (1 - t) a + t b; the crossing is the smallest t
    at which the label is not that of a. It is searched for on a grid of 16
    steps, then by bisection, all pairs at once, from predictions alone: a label
    that changes and changes back within one step of the grid is not seen.

    Crossings are this package's own formalisation of the title of [1]_, whose
    definitions are not public to us.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    A, B : array-like of shape (n_pairs, n_features)
        Where the paths begin and end, row by row; images may have more axes.
    tol : float, default=1e-3
        Largest error of a position, as a share of the path, in (0, 1]. At
        1e-3, 23 predictions are asked for a pair.

    Returns
    -------
    result : Crossings
        Position, number of changes and classes for each pair.

    Raises
    ------
    ValueError
        If A and B differ in shape, are the same point somewhere, hold
        categories or missing values, or do not fit the classifier; if ``tol``
        is out of range.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If the classifier is not fitted.

    References
    ----------
    .. [1] BenShmuel, "Meet you halfway: explaining deep learning mysteries",
       arXiv 2206.04463, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skhalfway.halfway import crossings
    >>> X, y = load_iris(return_X_y=True)
    >>> knn = KNeighborsClassifier(1).fit(X, y)
    >>> found = crossings(knn, X[:3], X[50:53])
    >>> found.position.round(2), found.met_class
    (array([0.4 , 0.36, 0.35]), array([1, 1, 1]))
    """
    check_tol(tol)
    model = as_model(estimator)
    reader = reader_of(model)
    own = not hasattr(reader, "n_features_in_")
    a, b = (read_points(reader, points, reset=own, name=name) for points, name in ((A, "A"), (B, "B")))
    check_ends(a, b)
    found = trace_all([model], a, b, tol, names=[type_name(model.estimator)])[0]
    classes = classes_of(model, a)
    return Crossings(
        found.position,
        found.n_changes,
        classes[found.met],
        classes[found.labels[:, 0]],
        classes[found.labels[:, -1]],
    )


def check_tol(tol: float) -> None:
    if not isinstance(tol, Real) or isinstance(tol, bool) or not 0 < tol <= 1:
        raise ValueError(f"tol must be a number in (0, 1], got {shown(tol)}")


def check_ends(A: NDArray[Any], B: NDArray[Any]) -> None:
    """Raise unless rows of A and B are ends of paths."""
    if A.shape != B.shape:
        raise ValueError(
            f"A and B must have the same shape, a row of each for a pair; got {A.shape} and {B.shape}"
        )
    same = np.flatnonzero((A == B).reshape(len(A), -1).all(axis=1))
    if len(same):
        raise ValueError(
            f"A and B hold the same point in {len(same)} of {len(A)} pairs, first in row {same[0]}; "
            "a path needs two"
        )


def trace_all(
    models: Sequence[Model],
    A: NDArray[Any],
    B: NDArray[Any],
    tol: float,
    *,
    names: Sequence[str] = (),
    n_jobs: int | None = None,
) -> list[Trace]:
    """Trace the same paths on every model, the models in parallel; errors say its name, if given."""
    if not len(A):
        nothing = np.empty((0, len(GRID)), dtype=np.intp)
        return [Trace(np.empty(0), nothing, nothing[:, 0])] * len(models)
    jobs: list[Any] = [partial(named, name, _trace) for name in names] or [_trace] * len(models)
    parts = []
    for block in blocks(len(A), len(GRID) * int(np.prod(A.shape[1:]))):
        a, b = A[block], B[block]
        # made once for all models
        points = path(a[:, None], b[:, None], GRID.reshape(-1, *[1] * (a.ndim - 1)))
        points = points.reshape(-1, *a.shape[1:])
        parts.append(
            list(
                side_by_side(
                    (delayed(job)(model, a, b, points, tol) for job, model in zip(jobs, models, strict=True)),
                    len(models),
                    n_jobs=n_jobs,
                )
            )
        )
    return [
        Trace(*(np.concatenate(arrays) for arrays in zip(*(vars(t).values() for t in traces), strict=True)))
        for traces in zip(*parts, strict=True)
    ]


def path(A: NDArray[Any], B: NDArray[Any], t: NDArray[np.float64]) -> NDArray[Any]:
    """Points on the paths from A to B; exactly A at 0 and B at 1, in their float type."""
    t = t.astype(np.result_type(A, B))
    return (1 - t) * A + t * B


def _trace(model: Model, A: NDArray[Any], B: NDArray[Any], points: NDArray[Any], tol: float) -> Trace:
    n = len(A)
    labels = model.predict(points).reshape(n, len(GRID))
    changed = labels != labels[:, :1]
    crosses = np.flatnonzero(changed.any(axis=1))
    first = changed[crosses].argmax(axis=1)
    low, high = GRID[first - 1], GRID[first]
    start, met = labels[crosses, 0], labels[crosses, first]
    a, b = A[crosses], B[crosses]
    finest = max(tol, float(np.finfo(float).eps))  # positions are floats between 0 and 1
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
    return Trace(position, labels, all_met)
