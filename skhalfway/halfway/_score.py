"""halfway_score: one classifier judged from the data it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhalfway._checks import check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._randomness import leaving_no_trace
from skhalfway.boundaries._path_points import read_labelled
from skhalfway.boundaries._paths import check_tol, path, trace_all
from skhalfway.halfway._pairs import check_pairs, sample_pairs
from skhalfway.models._faults import type_name


@takes_datasets
@leaving_no_trace
def halfway_score(
    estimator: Any, X: Any, y: Any, *, n_pairs: int = 500, tol: float = 1e-3, random_state: Any = 0
) -> float:
    """Judge a fitted classifier from the data it was trained on: higher is better.

    Where a classifier tells two samples of different classes apart, its answer
    should change once on the path between them, and halfway: a path whose first
    crossing is at t, with n changes of the answer, counts
    ``(1 - 2 * |t - 1/2|)**2 / n``. And halfway between two samples of one class
    it should give their label. The score is the mean of the first over random
    pairs of different classes with different answers, times the share of random
    pairs of one class for which the second holds. It asks for predictions only,
    and for no sample that was held out.

    The score is this package's own. Its second factor is the accuracy on
    label-wise mixtures of [1]_, at the halfway point alone. That it ranks
    classifiers by their test error is a hypothesis: it did on the data that it
    was made with, and did so only weakly, or not at all, on other data (see
    Notes). Hold data out where you can.

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
        How many pairs of different classes, and of one.
    tol : float, default=1e-3
        Largest error of a crossing, as a share of its path.
    random_state : int, RandomState instance or None, default=0
        Draws the pairs; the same for all that are compared, unless told otherwise.

    Returns
    -------
    score : float
        Between 0, also of a classifier that never changes its answer, and 1.

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

    Notes
    -----
    Kendall's tau with minus the test error over some 100 networks, many trained
    on noisy labels: .6 to .8 on two development data sets and their two-class
    versions; of seven other data sets from .2 to .6 on six and -.6 on one, whose
    true boundary is a sphere that lies nowhere near halfway. On five of the
    seven a published measure does better. Of the gap between training and test
    error it says nothing. ``benchmarks/generalisation.md`` has all figures.

    References
    ----------
    .. [1] Natekar & Sharma, "Representation based complexity measures for
       predicting generalization in deep learning", arXiv 2012.02775, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.halfway import halfway_score
    >>> X, y = load_digits(return_X_y=True)
    >>> svm, tree = SVC().fit(X, y), DecisionTreeClassifier(random_state=0).fit(X, y)
    >>> round(halfway_score(svm, X, y), 2), round(halfway_score(tree, X, y), 2)
    (0.62, 0.12)

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
    rng = check_random_state(random_state)
    apart, within = (
        sample_pairs(points, labels, pairs=kind, n_pairs=n_pairs, random_state=rng)
        for kind in ("random", "within")
    )
    (trace,) = trace_all(
        [model], points[apart[:, 0]], points[apart[:, 1]], tol, names=[type_name(model.estimator)]
    )
    differ = trace.labels[:, 0] != trace.labels[:, -1]
    if not differ.any():
        return 0.0
    changes = (1 - 2 * np.abs(trace.position[differ] - 0.5)) ** 2 / trace.n_changes[differ]
    halfway = path(points[within[:, 0]], points[within[:, 1]], np.array(0.5))
    keeps = model.predict(halfway) == labels[within[:, 0]]
    return float(changes.mean() * keeps.mean())
