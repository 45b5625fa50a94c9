"""What scikit-learn asks of a learner: clones, tags, and who gets the metadata of its fit."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils import get_tags

from skhalfway.models._clones import HoldsArt
from skhalfway.models._routing import FitRouter
from skhalfway.models._type_checks import unfrozen


class LearnerBase(FitRouter, HoldsArt, ClassifierMixin, BaseEstimator):
    """A classifier that trains a source, and then a learner on samples made with it."""

    estimator: Any
    source: Any
    base: str
    _holds = "source"

    def _fitted_by_name(self) -> dict[str, Any]:
        fitted = {"source": self.estimator if self.source is None else self.source}
        if self.base == "data":  # a perturbed sample for each of X, in the same order; noise has no metadata
            fitted["learner"] = unfrozen(self.estimator)
        return fitted

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learner_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        assert tags.classifier_tags is not None
        # no label that it learns from is right
        tags.classifier_tags.poor_score = True
        if hasattr(self.estimator, "__sklearn_tags__") and is_classifier(self.estimator):
            tags.classifier_tags.multi_class = get_tags(self.estimator).classifier_tags.multi_class
        return tags
