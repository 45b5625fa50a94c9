"""CalibratedClassifierCV: the mean probability of calibrated classifiers."""

from __future__ import annotations

import math
from typing import Any

import torch
from sklearn.calibration import CalibratedClassifierCV
from torch import nn

from skhalfway._inputs import positions
from skhalfway.models._ensembles import Exp
from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import (
    IntoClasses,
    LogSoftmax,
    Mean,
    OneVsRestProbability,
    branch,
    decision,
    log_normalised,
    log_probability,
    naming,
)
from skhalfway.models._registry import NotDifferentiableError, register_module
from skhalfway.models._transformers import Select


class Platt(nn.Module):
    """Log-probabilities ``sigmoid(-(a * score + b))``, normalised; for two classes, of the second's score."""

    slope: torch.Tensor
    offset: torch.Tensor

    def __init__(self, calibrators: list[Any]) -> None:
        super().__init__()
        self.register_buffer("slope", tensor([c.a_ for c in calibrators]))
        self.register_buffer("offset", tensor([c.b_ for c in calibrators]))
        self.normalised = OneVsRestProbability()

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return self.normalised(-(self.slope * scores + self.offset))


class Isotonic(nn.Module):
    """Log-probabilities on straight lines between an isotonic regression's thresholds, normalised.

    Most of these lines are flat. One millionth of the scores' own ``sigmoid`` is added, so that there is a
    gradient on them.
    """

    def __init__(self, calibrators: list[Any], known: Any, n_classes: int) -> None:
        super().__init__()
        self.lines = nn.ModuleList(Line(c.X_thresholds_, c.y_thresholds_) for c in calibrators)
        self.probabilities = IntoClasses(known, n_classes, 0.0)
        self.scores = IntoClasses(known, n_classes)

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        probability = torch.stack([line(scores[:, i]) for i, line in enumerate(self.lines)], dim=1)
        if len(self.lines) == 1:
            probability = torch.cat([1 - probability, probability], dim=1)
            scores = torch.cat([-scores, scores], dim=1)
        # a class that a fold has not seen only counts if all probabilities are 0, which makes them uniform
        return log_normalised(self.probabilities(probability), self.scores(scores))


class Line(nn.Module):
    """Linear interpolation between points, constant beyond the last ones, as ``numpy.interp``."""

    x: torch.Tensor
    y: torch.Tensor

    def __init__(self, x: Any, y: Any) -> None:
        super().__init__()
        self.register_buffer("x", tensor(x))
        self.register_buffer("y", tensor(y))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.x) == 1:
            return self.y.expand_as(x)
        right = torch.searchsorted(self.x, x.detach().contiguous()).clamp(1, len(self.x) - 1)
        low, high = self.x[right - 1], self.x[right]
        return torch.lerp(self.y[right - 1], self.y[right], ((x - low) / (high - low)).clamp(0, 1))


class LogOfTrace(nn.Module):
    """Logarithm of probabilities plus 1e-12, as scikit-learn takes it for temperature scaling."""

    def forward(self, log_probability: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(log_probability, torch.full_like(log_probability, -12 * math.log(10)))


@register_module(CalibratedClassifierCV)
def calibrated(estimator: CalibratedClassifierCV) -> nn.Module:
    members = []
    for member in estimator.calibrated_classifiers_:
        seen = member.estimator.classes_
        known = positions(seen, estimator.classes_)
        if len(known) == 2 < len(estimator.classes_):
            raise NotDifferentiableError(
                f"a fold of the CalibratedClassifierCV has samples of two classes, {seen}, of "
                f"{len(estimator.classes_)}, and scikit-learn then always predicts the first"
            )
        with naming("the estimator of the CalibratedClassifierCV"):
            members.append(branch(*_calibrated(member, known)))
    return Mean(members)


def _calibrated(member: Any, known: Any) -> list[nn.Module]:
    inner, n_classes = member.estimator, len(member.classes)
    by_decision = hasattr(inner, "decision_function")
    if member.method == "temperature":
        beta = float(member.calibrators[0].beta_)
        if not by_decision:
            return [log_probability(inner), LogOfTrace(), LogSoftmax(beta)]
        # scikit-learn turns a single decision d into (-d, d)
        return [decision(inner), LogSoftmax(2 * beta if len(inner.classes_) == 2 else beta)]
    if by_decision:
        scores = [decision(inner)]
    else:
        scores = [log_probability(inner), Exp(), *([Select([1])] if len(inner.classes_) == 2 else [])]
    if member.method == "isotonic":
        return [*scores, Isotonic(member.calibrators, known, n_classes)]
    return [*scores, Platt(member.calibrators), IntoClasses(known, n_classes)]
