"""consensus_score: agreement of a classifier with independently made ones, halfway between neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skhalfway._checks import check_integer, check_jobs, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._randomness import leaving_no_trace
from skhalfway._readable import read_labels
from skhalfway._text import shown
from skhalfway.boundaries._path_points import read_labelled, read_several
from skhalfway.halfway._halves import (
    N_NEIGHBORS,
    answers_at_halves,
    neighbour_pairs,
    reference_credit,
)
from skhalfway.halfway._jury import Jury
from skhalfway.models._collection import is_pair, named_models

_JUDGED = "the estimator"


@takes_datasets
@leaving_no_trace
def consensus_score(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    reference: Any = "jury",
    n_neighbors: int = N_NEIGHBORS,
    n_jobs: int | None = None,
    random_state: Any = 0,
) -> float:
    """Share of midpoints between neighbours at which a classifier predicts what others do; higher is better.

    A half is the midpoint of a training sample and one of its nearest
    neighbours, of any label. The reference is other classifiers that were made
    independently on the same data: a :class:`Jury` of classical classifiers, or
    your own. The score needs predictions only, and no held-out samples.

    It is the second form of the hypothesis that the package is named after, and
    our own: a model generalises as far as it meets independently made models
    halfway. The score rewards similarity to the reference, whether or not the
    reference is right. The hypothesis held for noisy labels where the reference
    suits the data (see Notes), so cross-validate where you can.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    X : array-like of shape (n_samples, n_features)
        The classifier's training samples; images may have more axes.
    y : array-like of shape (n_samples,)
        The labels it was trained on, noisy ones included.
    reference : "jury", Jury, or collection of estimators, default="jury"
        The classifiers that it is compared with.

        - ``"jury"``: a :class:`Jury`, fitted on X and y in this call.
        - A fitted :class:`Jury`. In a search it saves fitting a jury for each
          candidate.
        - Fitted classifiers, as a mapping or a sequence: each has one vote.
    n_neighbors : int, default=6
        Number of nearest neighbours (Euclidean) of a sample. A midpoint that
        two samples share counts once.
    n_jobs : int, default=None
        Number of jobs to fit the jury, and of threads to predict. None is 1
        unless in a ``joblib.parallel_config`` context. It does not change the
        score.
    random_state : int, RandomState instance or None, default=0
        Source of the seeds of a jury that is fitted in this call.

    Returns
    -------
    score : float
        Score between 0 and 1. Where k classes are tied in the reference, a
        prediction of one of them counts 1 / k.

    Raises
    ------
    ValueError
        If the data or a parameter is invalid, all samples are the same point,
        the classifiers have different classes, or the estimator is in its own
        reference.
    TypeError
        If an object is not a classifier.
    NotFittedError
        If a classifier is not fitted.

    See Also
    --------
    skhalfway.HalfwayScorer : ``measure(X, y).consensus`` compares several models with each other.

    Notes
    -----
    Neighbours are the nearest in Euclidean distance on X as it is given. Features in
    different units should be put on one scale first; otherwise the feature with the
    widest range decides which samples are neighbours.

    With ``scoring=`` and a usual ``cv``, each score is of samples that the model was
    not trained on, and a jury named ``"jury"`` is fitted on the held-out samples
    alone. That measures something else. Pass a fitted jury, and the training data as
    the only test set, as in the example.

    On eight held-out data sets, with 20 or 40 % of the labels replaced, the model
    that consensus with a jury picks among 42 has 5.2 points more test error than
    the best one. No published measure that trains no model again has less; 5-fold
    cross-validation has 4.3, a random pick 12.3, and the jury itself 4.6.
    With clean labels it has 5.6, and cross-validation 2.4. On images, where the
    jury is poor, the score is no better than chance. ``benchmarks/consensus.md``
    has all figures.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.preprocessing import scale
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.halfway import Jury, consensus_score
    >>> X, y = load_wine(return_X_y=True)
    >>> X = scale(X)
    >>> jury = Jury(random_state=0).fit(X, y)
    >>> stump = DecisionTreeClassifier(max_depth=1).fit(X, y)
    >>> round(consensus_score(stump, X, y, reference=jury), 2)
    0.7
    >>> round(consensus_score(SVC().fit(X, y), X, y, reference=jury), 2)
    0.99

    Choose between classifiers with no data held out: as ``scoring=``, with the
    training data as the only test set.

    >>> from functools import partial
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> everything = np.arange(len(X))
    >>> search = GridSearchCV(
    ...     DecisionTreeClassifier(random_state=0),
    ...     {"max_depth": [1, 3]},
    ...     scoring=partial(consensus_score, reference=jury),
    ...     cv=[(everything, everything)],
    ... )
    >>> search.fit(X, y).best_params_
    {'max_depth': 3}
    """
    check_integer("n_neighbors", n_neighbors)
    check_jobs(n_jobs)
    rng = check_random_state(random_state)
    others = _named(reference, estimator)
    _, points, _ = read_labelled(estimator, X, y)
    pairs = neighbour_pairs(points, n_neighbors)
    if others is None:
        jury = Jury(n_jobs=n_jobs, random_state=rng).fit(
            points.reshape(len(points), -1), read_labels(y, len(points))
        )
        others = [("jury", jury)]
    models, points, _ = read_several([(_JUDGED, estimator), *others], X)
    answer, *votes = answers_at_halves(models, points, pairs, n_jobs, 0)
    return float(reference_credit(answer, np.stack(votes), np.ones(len(votes))).mean())


def _named(reference: Any, estimator: Any) -> list[tuple[str, Any]] | None:
    """Fitted classifiers by name, from any form of the parameter; None for a jury that is to be fitted."""
    if isinstance(reference, str) and reference == "jury":
        return None
    if isinstance(reference, (str, type(None))):
        raise ValueError(
            f"reference must be 'jury', a fitted Jury, or fitted classifiers, got {shown(reference)}"
        )
    if hasattr(reference, "predict") or not isinstance(reference, (Mapping, list, tuple)):
        reference = [reference]
    elif not len(reference):
        raise ValueError("reference must hold at least one fitted classifier, got none")
    # the estimator is put first, since a collection must have two models or more
    values = list(reference.items()) if isinstance(reference, Mapping) else list(reference)
    found = named_models(
        [(_JUDGED, estimator), *values] if all(map(is_pair, values)) else [estimator, *values],
        "reference must be fitted classifiers",
        "",
    )
    others = list(found.items())[1:]
    if any(model is estimator for _, model in others):
        raise ValueError("the estimator is in its own reference, so it would agree with itself; leave it out")
    return others
