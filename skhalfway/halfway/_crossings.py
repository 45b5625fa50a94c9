"""Crossings: where a model's prediction changes on the straight paths between pairs of points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._entries import takes_datasets
from skhalfway._randomness import leaving_no_trace
from skhalfway._text import counted, short
from skhalfway.boundaries._path_points import read_points
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.models import as_model
from skhalfway.models._faults import classes_of, type_name
from skhalfway.models._input_spec import reader_of
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

_FIELDS = ("position", "n_changes", "next_class", "start_class", "end_class")


@dataclass(frozen=True, eq=False, repr=False)
class Crossings(Result, drawn=False):
    """Where a classifier's prediction changes on the straight paths from points A to points B.

    Made by :func:`crossings`; arrays are read-only.

    Parameters
    ----------
    position : ndarray of shape (n_pairs,)
        Position of the first crossing, from 0 (at A) to 1 (at B); nan where the
        predicted label never changes.
    n_changes : int ndarray of shape (n_pairs,)
        Number of changes of the predicted label, at steps of 1/16 of the path.
    next_class : ndarray of shape (n_pairs,)
        Label predicted just after the first crossing; ``start_class`` where
        there is none.
    start_class : ndarray of shape (n_pairs,)
        Label predicted at A.
    end_class : ndarray of shape (n_pairs,)
        Label predicted at B.

    See Also
    --------
    HalfwayMeasurement : Crossings of several models on the same paths.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.halfway import Crossings
    >>> zeros = np.zeros(3, dtype=int)
    >>> Crossings(np.array([0.4, np.nan, 0.5]), np.array([1, 0, 3]), np.array([1, 0, 1]), zeros, zeros)
    Crossings: 3 pairs, the label changes in 2 of them
                    lowest  median  highest
    first crossing  .40     .45     .50
    changes         1       2       3
    """

    position: NDArray[np.float64]
    n_changes: NDArray[np.intp]
    next_class: NDArray[Any]
    start_class: NDArray[Any]
    end_class: NDArray[Any]

    def __post_init__(self) -> None:
        for name in _FIELDS:
            value = frozen(getattr(self, name))
            if value.shape != (len(self.position),):
                raise ValueError(
                    f"{name} must have one value for each of {len(self.position)} pairs, got {value.shape}"
                )
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.position)

    def to_frame(self) -> pd.DataFrame:
        """All figures, with a row for each pair.

        Returns
        -------
        frame : DataFrame
            Columns position, n_changes, next_class, start_class and end_class.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import Crossings
        >>> zeros, ones = np.zeros(2, dtype=int), np.ones(2, dtype=int)
        >>> Crossings(np.array([0.4, 0.5]), ones, ones, zeros, ones).to_frame()["position"].tolist()
        [0.4, 0.5]
        """
        import pandas as pd

        return pd.DataFrame({name: getattr(self, name) for name in _FIELDS})

    def _table(self) -> Table:
        found = ~np.isnan(self.position)
        title = f"Crossings: {counted(len(self), 'pair')}, the label changes in {found.sum()} of them"
        if not found.any():
            return Table(title)
        rows = [
            [name, *(write(float(each(values[found]))) for each in (np.min, np.median, np.max))]
            for name, values, write in (
                ("first crossing", self.position, short),
                ("changes", self.n_changes, "{:g}".format),
            )
        ]
        return Table(title, ["", "lowest", "median", "highest"], rows)


@takes_datasets
@leaving_no_trace
@recorded
def crossings(estimator: Any, A: Any, B: Any, *, tol: float = 1e-3) -> Crossings:
    """Find where a classifier's prediction first changes on straight paths.

    The path from a to b is (1 - t) a + t b. The crossing is the smallest t at
    which the predicted label is not that of a. It is searched on a grid of 16
    steps and then by bisection, for all pairs together. The search needs
    predictions only. It does not see a label that changes and changes back within
    one step of the grid.

    For decision trees, forests, boosted trees and bags of them, every split on a
    path is known, so the search is refined. Where the sums of the trees give
    another label before the crossing, on however short a stretch, the prediction
    in its middle is checked. The crossing found is then the first one, unless a
    stretch is shorter than a billionth of the path. ``n_changes`` still counts
    changes on the grid.

    Crossings are this package's own formalisation of the title of [1]_, whose
    definitions are not public to us.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    A : array-like of shape (n_pairs, n_features)
        Start points of the paths; images may have more axes.
    B : array-like of shape (n_pairs, n_features)
        End points of the paths, of the same shape.
    tol : float, default=1e-3
        Largest error of a position, as a share of the path, in (0, 1]. With
        1e-3, a pair takes 23 predictions, and about 24 for trees.

    Returns
    -------
    result : Crossings
        Position, number of changes and classes for each pair.

    Raises
    ------
    ValueError
        If A and B differ in shape, have the same point in a row, hold categories
        or missing values, or do not fit the classifier; or if ``tol`` is out of
        range.
    TypeError
        If the estimator is not a classifier.
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
    >>> found.position.round(2), found.next_class
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


def check_ends(A: NDArray[Any], B: NDArray[Any]) -> None:
    """Raise ValueError unless rows of A and B are the ends of paths."""
    if A.shape != B.shape:
        raise ValueError(
            f"A and B must have the same shape, with a row for each pair; got {A.shape} and {B.shape}"
        )
    same = np.flatnonzero((A == B).reshape(len(A), -1).all(axis=1))
    if len(same):
        raise ValueError(
            f"A and B hold the same point in {len(same)} of {len(A)} pairs, first in row {same[0]}; "
            "a path needs two different points"
        )
