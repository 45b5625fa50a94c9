"""Multi-class by several binary classifiers: one-vs-rest, one-vs-one, output codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
    _ConstantPredictor,
)
from sklearn.svm import SVC, NuSVC
from torch import nn

from skhalfway.models._ensembles import Exp
from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._member_outputs import (
    FLOOR,
    Constant,
    LogSoftmax,
    SideBySide,
    branch,
    decision,
    log_probability,
    naming,
    register_delegate,
)
from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._svm import KernelMachine, Votes
from skhalfway.models._torch import in_sequence, two_columns
from skhalfway.models._transformers import Select


class PairScores(Votes):
    """scikit-learn's decision from all pairs: softened votes, plus confidences scaled to within 1/3."""

    steepness = 64.0

    def __init__(self, n_classes: int, *, of_log_odds: bool = False) -> None:
        super().__init__(n_classes)
        self.of_log_odds = of_log_odds

    def forward(self, decisions: torch.Tensor) -> torch.Tensor:
        won = torch.sigmoid(self.steepness * decisions)
        votes = won @ self.into_first + (1 - won) @ self.into_second
        # a probability of the later class is added to its confidence and subtracted from the earlier class's
        confidence = -torch.sigmoid(-decisions) if self.of_log_odds else decisions
        total = confidence @ (self.into_first - self.into_second)
        return votes + total / (3 * (total.abs() + 1))


class PairwiseCoupling(nn.Module):
    """Log-probabilities of an SVC by Platt's sigmoids, coupled as in libsvm.

    Wu, Lin & Weng 2004, "Probability estimates for multi-class classification by
    pairwise coupling", equation 14, solved as the linear system 21, where libsvm
    iterates until a change of 0.005 / n_classes.
    """

    slope: torch.Tensor
    offset: torch.Tensor

    def __init__(self, estimator: SVC) -> None:
        super().__init__()
        # the public names, and probability=True, give deprecation warnings
        self.register_buffer("slope", tensor(estimator._probA))
        self.register_buffer("offset", tensor(estimator._probB))
        self.n_classes = len(estimator.classes_)
        first, second = np.triu_indices(self.n_classes, 1)
        self.first, self.second = first.tolist(), second.tolist()

    def forward(self, decisions: torch.Tensor) -> torch.Tensor:
        if self.n_classes == 2:
            # libsvm's own decision is positive for the first class
            return torch.log_softmax(two_columns(self.offset - self.slope * decisions), dim=1)
        wins = torch.sigmoid(-(self.slope * decisions + self.offset)).clamp(1e-7, 1 - 1e-7)
        n, k = len(decisions), self.n_classes
        r = decisions.new_zeros(n, k, k)
        r[:, self.first, self.second] = wins
        r[:, self.second, self.first] = 1 - wins
        # minimise the sum of (r_ji p_i - r_ij p_j)^2 over p that sum to 1
        system = decisions.new_ones(n, k + 1, k + 1)
        system[:, :k, :k] = torch.diag_embed(r.square().sum(dim=1)) - r * r.transpose(1, 2)
        system[:, k, k] = 0
        wanted = torch.cat([decisions.new_zeros(k), decisions.new_ones(1)])
        p = torch.linalg.solve(system, wanted.expand(n, -1))[:, :k]
        return p.clamp_min(torch.finfo(p.dtype).tiny).log()


@decision.register(SVC)
@decision.register(NuSVC)
def svc_decision(estimator: SVC) -> nn.Module:
    module = to_module(estimator)
    n_classes = len(estimator.classes_)
    if n_classes == 2:
        return module
    machine = KernelMachine(estimator)
    if estimator.decision_function_shape == "ovo":
        return machine
    return in_sequence([machine, PairScores(n_classes)])


@log_probability.register(SVC)
@log_probability.register(NuSVC)
def svc_probability(estimator: SVC) -> nn.Module:
    # raises for kernels without a gradient
    to_module(estimator)
    return in_sequence([KernelMachine(estimator), PairwiseCoupling(estimator)])


@decision.register
def _(estimator: _ConstantPredictor) -> nn.Module:
    return Constant([float(estimator.y_[0])])


@log_probability.register
def _(estimator: _ConstantPredictor) -> nn.Module:
    return Constant([FLOOR, 0.0] if estimator.y_[0] == 1 else [0.0, FLOOR])


@register_delegate(OneVsRestClassifier)
def one_vs_rest(estimator: OneVsRestClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    """Scores of the classes as scikit-learn compares them, with logarithms in place of probabilities."""
    if estimator.multilabel_:
        raise NotDifferentiableError("a multilabel OneVsRestClassifier has no single class to attack")
    members = estimator.estimators_
    with naming("a member of the OneVsRestClassifier"):
        if len(members) == 1:
            return respond(members[0]) if respond is not to_module else decision(members[0])
        if respond is decision or (respond is to_module and _has_decisions(members)):
            return SideBySide([branch(decision(member)) for member in members])
        positive = SideBySide([branch(log_probability(member), Select([1])) for member in members])
    return positive if respond is to_module else in_sequence([positive, LogSoftmax()])


@register_delegate(OneVsOneClassifier)
def one_vs_one(estimator: OneVsOneClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    """Logits from pairwise votes, as for an SVC."""
    members, n_classes = estimator.estimators_, len(estimator.classes_)
    with naming("a member of the OneVsOneClassifier"):
        pairs = SideBySide([branch(decision(member)) for member in members])
    if n_classes == 2 and respond is to_module:
        return pairs
    # a member's decision is positive for the later class of its pair, Votes expects it for the earlier one
    eye = np.eye(len(members))
    scores = (
        Votes(n_classes)
        if respond is to_module
        else PairScores(n_classes, of_log_odds=not _has_decisions(members))
    )
    modules = [pairs, dense_layer(-eye, 0.0), scores]
    return in_sequence([*modules, Select([1])] if n_classes == 2 else modules)


@register_module(OutputCodeClassifier)
def output_code(estimator: OutputCodeClassifier) -> nn.Module:
    """Negative squared distances to the classes' codes, without the term that all classes share."""
    members, codes = estimator.estimators_, estimator.code_book_
    with naming("a member of the OutputCodeClassifier"):
        scores = (
            [branch(decision(member)) for member in members]
            if _has_decisions(members)
            else [branch(log_probability(member), Select([1]), Exp()) for member in members]
        )
    return in_sequence([SideBySide(scores), dense_layer(2 * codes, -(codes**2).sum(axis=1))])


def _has_decisions(members: list[Any]) -> bool:
    """Whether the members are compared by ``decision_function``, which is preferred to ``predict_proba``."""
    return all(hasattr(member, "decision_function") for member in members)
