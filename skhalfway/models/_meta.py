"""Estimators that hold other estimators: pipelines, searches, frozen ones."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from torch import nn

from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._torch import in_sequence


@register_module(Pipeline)
def pipeline(estimator: Pipeline) -> nn.Module:
    modules: list[nn.Module] = []
    for name, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        try:
            modules.append(to_module(step))
        except NotDifferentiableError as error:
            raise NotDifferentiableError(f"step {name!r} of the Pipeline: {error}") from None
    return in_sequence(modules)


@register_module(FrozenEstimator)
def frozen(estimator: FrozenEstimator) -> nn.Module:
    return to_module(estimator.estimator)


@register_module(BaseSearchCV)
def search(estimator: Any) -> nn.Module:
    return to_module(estimator.best_estimator_)
