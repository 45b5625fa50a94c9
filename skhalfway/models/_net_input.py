"""The float type of samples that an estimator takes which ends in a skorch net: the net's, or any."""

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

_N_TRIED = 50  # of the samples, where steps are yet to be fitted


def converts(estimator: Any, net: Any, X: Any, y: Any = None) -> bool:
    """Whether steps before the net turn samples such as these into its float type by themselves.

    A net refuses any other. Samples that are converted before such steps would lose digits that these see.
    Of an estimator that is not fitted the steps are tried on some of the samples, for which ``y`` is needed.
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
            return False  # what is wrong shows as the estimator itself is called
    return reached and str(getattr(X, "dtype", "")) == net_dtype(net)


def _through(steps: Pipeline, X: Any, y: Any) -> Any:
    if not len(steps):
        return X
    return steps.transform(X) if y is None else clone(steps).fit_transform(X, y)
