"""Jury: classical models of six kinds, whose votes are weighted by cross-validated accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skhalfway._checks import check_integer, check_jobs, check_random_state
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.models._warnings import warn

_MOST_NEIGHBORS = 25


class Jury(ClassifierMixin, BaseEstimator):
    """Six classical classifiers that vote, weighted by their accuracy in cross-validation.

    The jury is a reference for :func:`consensus_score`. Its members are a random
    forest, extremely randomised trees of depth 5, an SVC with an RBF kernel, 25
    nearest neighbours, logistic regression, and histogram-based gradient boosting.
    Features are standardised for the SVC, the neighbours and logistic regression.
    The weight of a vote is ``(a - 1 / n_classes)**2``, where a is the member's
    accuracy in cross-validation, and 0 where a is below chance.

    Parameters
    ----------
    cv : int, default=3
        Number of folds, at least 2.
    n_jobs : int, default=None
        Number of jobs to fit members. None is 1 unless in a
        ``joblib.parallel_config`` context. It does not change results.
    random_state : int, RandomState instance or None, default=None
        Source of the members' seeds. Pass an int for the same jury across calls.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    voters_ : VotingClassifier
        The fitted members and their weighted vote.
    names_ : list of str
        Names of the members.
    weights_ : ndarray of shape (6,)
        Weights of their votes, which sum to 1.
    cv_accuracy_ : ndarray of shape (6,)
        Their mean accuracies in cross-validation.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where :meth:`fit` got a DataFrame.

    See Also
    --------
    consensus_score : Compares a classifier with a jury.

    Notes
    -----
    With fewer than 100 samples, the number of neighbours is a quarter of them. The
    choice of members and weights is this package's own, and was fixed before the
    benchmark of consensus was run.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skhalfway.halfway import Jury
    >>> X, y = load_iris(return_X_y=True)
    >>> jury = Jury(random_state=0).fit(X[::2], y[::2])
    >>> round(jury.score(X[1::2], y[1::2]), 2)
    0.96
    >>> dict(zip(jury.names_, jury.weights_.round(2).tolist()))  # doctest: +NORMALIZE_WHITESPACE
    {'forest': 0.19, 'extra trees': 0.18, 'svc': 0.18, 'neighbors': 0.14,
     'logistic regression': 0.18, 'boosting': 0.14}
    """

    def __init__(self, *, cv: int = 3, n_jobs: int | None = None, random_state: Any = None) -> None:
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Jury:
        """Fit the members and compute their weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : Jury
            The fitted jury.

        Raises
        ------
        ValueError
            If the data or a parameter is invalid, or there is one class only.

        Warns
        -----
        UserWarning
            If no member is better than chance in cross-validation; all votes
            then have the same weight. Also, by scikit-learn, if the smallest
            class has fewer samples than there are folds.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway.halfway import Jury
        >>> jury = Jury(cv=2, random_state=0).fit(*load_iris(return_X_y=True))
        >>> round(float(jury.weights_.sum()), 6)
        1.0
        """
        check_integer("cv", self.cv, least=2)
        check_jobs(self.n_jobs)
        rng = check_random_state(self.random_state)
        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least 2 classes, got one class: {shown(self.classes_[0])}")
        members = _members(len(X), self.cv, rng)
        self.names_ = list(members)
        options: dict[str, Any] = {"cv": self.cv, "n_jobs": self.n_jobs, "error_score": "raise"}
        self.cv_accuracy_ = np.array(
            [cross_val_score(member, X, y, **options).mean() for member in members.values()]
        )
        weights = np.maximum(self.cv_accuracy_ - 1 / len(self.classes_), 0) ** 2
        if not weights.any():
            warn(
                "no member of the jury is better than chance in cross-validation, so all votes have the same "
                "weight; agreement with this jury says nothing about these labels",
                UserWarning,
            )
            weights = np.ones(len(weights))
        self.weights_ = weights / weights.sum()
        voters = VotingClassifier(list(members.items()), weights=self.weights_, n_jobs=self.n_jobs)
        self.voters_ = voters.fit(X, y)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class with the largest weight of votes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway.halfway import Jury
        >>> X, y = load_iris(return_X_y=True)
        >>> Jury(cv=2, random_state=0).fit(X, y).predict(X[[0, 60, 120]])
        array([0, 1, 2])
        """
        check_is_fitted(self)
        labels: NDArray[Any] = self.voters_.predict(validate_data(self, X, reset=False))
        return labels


def _members(n: int, cv: int, rng: np.random.RandomState) -> dict[str, Any]:
    seeds = [draw_seed(rng) for _ in range(3)]
    # cross-validation trains on fewer samples, of which there must be more than neighbours
    n_neighbors = max(1, min(_MOST_NEIGHBORS, n // 4, n - n // cv - 1))
    return {
        "forest": RandomForestClassifier(random_state=seeds[0]),
        "extra trees": ExtraTreesClassifier(max_depth=5, random_state=seeds[1]),
        "svc": make_pipeline(StandardScaler(), SVC()),
        "neighbors": make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors)),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "boosting": HistGradientBoostingClassifier(random_state=seeds[2]),
    }
