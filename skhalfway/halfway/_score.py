"""halfway_score: a score of one classifier, from its training data alone."""

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
    """Score a fitted classifier from its training data alone; higher is better.

    The score is the product of two factors:

    - Between two samples of different classes, the prediction should change once,
      and halfway. A path whose first crossing is at t, with n changes of the
      prediction, counts ``(1 - 2 * |t - 1/2|)**2 / n``. The first factor is the mean
      over random pairs of different classes whose predictions differ.
    - Halfway between two samples of the same class, the prediction should be their
      label. The second factor is the share of random pairs for which it is.

    The score needs predictions only, and no held-out samples.

    The score is this package's own. Its second factor is the accuracy on
    label-wise mixtures of [1]_, at the halfway point alone. It is a hypothesis that
    the score ranks classifiers by their test error. It did so on the data with
    which it was developed, and only weakly, or not at all, on other data (see
    Notes). Use held-out data where you can.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    X : array-like of shape (n_samples, n_features)
        The classifier's training samples.
    y : array-like of shape (n_samples,)
        The labels it was trained on.
    n_pairs : int, default=500
        Number of pairs of different classes, and number of pairs of the same
        class.
    tol : float, default=1e-3
        Largest error of a crossing, as a share of its path.
    random_state : int, RandomState instance or None, default=0
        Source of the random pairs. With the default, all classifiers are compared
        on the same pairs.

    Returns
    -------
    score : float
        Score between 0 and 1. It is 0 for a classifier that always predicts the
        same class.

    Raises
    ------
    ValueError
        If the data or a parameter is invalid, if there is one class only, or if
        there are fewer pairs than ``n_pairs``.
    TypeError
        If the estimator is not a classifier.
    NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    skhalfway.HalfwayScorer : Compares several models.

    Notes
    -----
    Kendall's tau with test accuracy was measured over some 100 networks, many of
    them trained on noisy labels:

    - .6 to .8 on two development data sets and their two-class versions;
    - .2 to .6 on six of seven other data sets;
    - -.6 on the seventh, whose true boundary is a sphere far from halfway.

    On five of the seven, a published measure does better. The score does not
    predict the gap between training and test error. ``benchmarks/generalisation.md``
    has all figures.

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
