"""halfway_score: one classifier judged from the data it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.halfway._crossings import Trace, check_tol, trace_all
from skhalfway.halfway._pairs import check_pairs, sample_pairs
from skhalfway.halfway._points import read_labelled


def halfway_score(
    estimator: Any, X: Any, y: Any, *, n_pairs: int = 500, tol: float = 1e-3, random_state: Any = 0
) -> float:
    """Judge a fitted classifier from the data it was trained on: higher is better.

    On the path between two samples of different classes, the answer should
    change once, and halfway. A path whose first crossing is at t, with n
    changes of the answer on the way, counts ``(1 - 2 * |t - 1/2|)**2 / n``;
    one whose two ends get the same answer counts 0. The score is the mean over random
    pairs. It asks for predictions only, and for no sample that was held out.

    It is this package's own, chosen on two development sets among measures of
    its kind. The documentation says how it ranks classifiers by their test
    error, on those and on other data, beside measures of others: it is a
    hypothesis that was tested, not a bound.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    X : array-like of shape (n_samples, n_features)
        The samples it was trained on.
    y : array-like of shape (n_samples,)
        The labels it was trained on.
    n_pairs : int, default=500
        How many paths.
    tol : float, default=1e-3
        Largest error of a crossing, as a share of its path.
    random_state : int, RandomState instance or None, default=0
        Draws the pairs; the same for all that are compared, unless told otherwise.

    Returns
    -------
    score : float
        Between 0, of a classifier that never changes its answer, and 1.

    Raises
    ------
    ValueError
        If the data or a parameter is invalid, there is one class only, or
        fewer pairs than ``n_pairs``.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    skhalfway.HalfwayScorer : Compares several models.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.halfway import halfway_score
    >>> X, y = load_digits(return_X_y=True)
    >>> svm, tree = SVC().fit(X, y), DecisionTreeClassifier(random_state=0).fit(X, y)
    >>> round(halfway_score(svm, X, y), 2), round(halfway_score(tree, X, y), 2)
    (0.62, 0.14)

    Choose between classifiers with no data held out: as ``scoring=``, with the
    training data as the only test set.

    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> everything = np.arange(len(X))
    >>> search = GridSearchCV(
    ...     SVC(), {"gamma": ["scale", 0.1]}, scoring=halfway_score, cv=[(everything, everything)]
    ... )
    >>> search.fit(X, y).best_params_
    {'gamma': 'scale'}
    """
    check_pairs("random", n_pairs)
    check_tol(tol)
    model, points, labels = read_labelled(estimator, X, y)
    pairs = sample_pairs(points, labels, n_pairs=n_pairs, random_state=random_state)
    (trace,) = trace_all([model], points[pairs[:, 0]], points[pairs[:, 1]], tol)
    return float(halfwayness(trace).mean())


def halfwayness(trace: Trace) -> NDArray[np.float64]:
    """How nearly the answer changes once and halfway on each path, from 0 to 1, (n_pairs,)."""
    differ = trace.labels[:, 0] != trace.labels[:, -1]
    centred = (1 - 2 * np.abs(np.where(differ, trace.position, 0.0) - 0.5)) ** 2
    return np.where(differ, centred / np.maximum(trace.n_changes, 1), 0.0)
