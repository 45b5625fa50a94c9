"""The float type of samples for an estimator that ends in a skorch net: the net's type, or any."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from skhalfway._blocks import spread
from skhalfway._randomness import undisturbed
from skhalfway.models._type_checks import net_dtype

_N_TRIED = 50  # samples on which steps are fitted for a trial, if they are not fitted yet


def converts(estimator: Any, net: Any, X: Any, y: Any = None) -> bool:
    """Whether steps before the net convert samples such as these to its float type.

    A net refuses any other type. If samples were converted before such steps, these would lose digits. The
    steps of an estimator that is not fitted are fitted on some of the samples, which needs ``y``.
    """
    with undisturbed():
        try:
            rows = spread(len(X), 1 if y is None else _N_TRIED)
            X = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
            y = None if y is None else np.asarray(y)[rows]
            reached = False
            while estimator is not net:
                if isinstance(estimator, Pipeline):
                    steps, estimator = estimator[:-1], estimator.steps[-1][1]
                    X, reached = _through(steps, X, y), True
                elif isinstance(estimator, FrozenEstimator):
                    estimator = estimator.estimator
                elif isinstance(estimator, BaseSearchCV):
                    estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        except Exception:
            return False  # the estimator itself will raise the error when it is called
    return reached and str(getattr(X, "dtype", "")) == net_dtype(net)


def _through(steps: Pipeline, X: Any, y: Any) -> Any:
    if not len(steps):
        return X
    return steps.transform(X) if y is None else clone(steps).fit_transform(X, y)
