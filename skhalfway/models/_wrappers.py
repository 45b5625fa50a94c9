"""Wrappers whose outputs are those of an inner estimator: pipelines, searches, frozen ones, thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from torch import nn

from skhalfway._text import shown
from skhalfway.models._member_outputs import (
    Decision,
    decision,
    log_probability,
    naming,
    register_delegate,
)
from skhalfway.models._registry import to_module
from skhalfway.models._torch import in_sequence
from skhalfway.models._transformers import Affine, to_transform

Respond = Callable[[Any], nn.Module]


@register_delegate(Pipeline)
def pipeline(estimator: Pipeline, respond: Respond) -> nn.Module:
    modules: list[nn.Module] = []
    last = len(estimator.steps) - 1
    for i, (name, step) in enumerate(estimator.steps):
        if step is None or step == "passthrough":
            continue
        with naming(f"step {shown(name)} of the Pipeline"):
            modules.append((respond if i == last else to_transform)(step))
    return in_sequence(modules)


@register_delegate(FrozenEstimator)
def frozen(estimator: FrozenEstimator, respond: Respond) -> nn.Module:
    return respond(estimator.estimator)


@register_delegate(BaseSearchCV)
def search(estimator: Any, respond: Respond) -> nn.Module:
    return respond(estimator.best_estimator_)


@register_delegate(SelfTrainingClassifier)
def self_training(estimator: SelfTrainingClassifier, respond: Respond) -> nn.Module:
    with naming("the estimator of the SelfTrainingClassifier"):
        return respond(estimator.estimator_)


@register_delegate(FixedThresholdClassifier, TunedThresholdClassifierCV)
def threshold(estimator: Any, respond: Respond) -> nn.Module:
    inner = estimator.estimator_
    with naming(f"the estimator of the {type(estimator).__name__}"):
        if respond is not to_module:
            # the threshold affects predictions only
            return respond(inner)
        method = estimator.response_method
        by_probability = method == "predict_proba" or (method == "auto" and hasattr(inner, "predict_proba"))
        score = in_sequence([log_probability(inner), Decision()]) if by_probability else decision(inner)
    if isinstance(estimator, TunedThresholdClassifierCV):
        limit, positive = estimator.best_threshold_, estimator._curve_scorer._get_pos_label()
    else:
        limit, positive = estimator.threshold, estimator.pos_label
        limit = (0.5 if by_probability else 0.0) if limit == "auto" else limit
    if by_probability:
        # log-odds; a threshold of 0 or 1 becomes a finite one that is as far beyond all scores
        limit = logit(np.clip(limit, 1e-16, 1 - 1e-16))
    second_is_positive = positive is None or positive == estimator.classes_[1]
    return in_sequence([score, Affine(limit if second_is_positive else -limit)])
