"""Voting, bagging, boosting and stacking of other classifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from torch import nn

from skhalfway._inputs import positions
from skhalfway._text import shown
from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._member_outputs import (
    Decision,
    IntoClasses,
    LogSoftmax,
    Mean,
    SideBySide,
    branch,
    decision,
    log_probability,
    naming,
    register_delegate,
    vote,
)
from skhalfway.models._memory import Members
from skhalfway.models._registry import register_module, to_module
from skhalfway.models._torch import in_sequence, two_columns
from skhalfway.models._transformers import Select
from skhalfway.models._tree_input import joined_shares
from skhalfway.models._trees import EMPHASIS, SoftTrees, attackable

# Steepness of members' votes: a logit that leads by 1 / steepness makes a vote of 73 %. On digits and breast
# cancer, with values of 4 to 1024, attacks are strongest from 8 to 64, and from 16 on 99 % or more of
# predictions agree with the estimator's.
STEEPNESS = 16.0
# Steepness for boosting, where logits may lead by any amount: in units of members' median lead at a sample.
# With values of 2 to 128, on four data sets with three kinds of members, PGD is strongest from 4 to 16, and
# from 8 on 88 % or more of predictions agree.
BOOST_STEEPNESS = 8.0


class Exp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()


class Emphasis(nn.Module):
    """Logits times a number, which makes attacks stronger."""

    emphasis = EMPHASIS

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.emphasis * z


class BoostedVotes(Members):
    """The log of the weighted mean of members' votes, softened in units of the members' median lead.

    A lead is the difference of the two largest logits. Its size differs between kinds of members and between
    samples by orders of magnitude. The gradient treats it as a constant.
    """

    smoothed = True
    weight: torch.Tensor

    def __init__(self, members: list[nn.Module], known: list[Any], n_classes: int, weight: Any) -> None:
        super().__init__(members)
        self.into = nn.ModuleList(IntoClasses(classes, n_classes) for classes in known)
        share = tensor(weight)
        self.register_buffer("weight", (share / share.sum())[:, None, None])
        self.by_lead = BOOST_STEEPNESS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = [two_columns(z) for z in self.outputs(x)]
        scale = self.by_lead / self.lead(logits)
        votes = [into(torch.log_softmax(scale * z, dim=1)) for into, z in zip(self.into, logits, strict=True)]
        return torch.logsumexp(torch.stack(votes) + self.weight.log(), dim=0)

    def lead(self, logits: list[torch.Tensor]) -> torch.Tensor:
        """The members' median lead at each sample, shape (n_samples, 1)."""
        largest = torch.stack([z.detach().topk(2, dim=1).values for z in logits])
        lead = (largest[..., 0] - largest[..., 1]).median(dim=0).values
        return lead.clamp_min(torch.finfo(lead.dtype).tiny)[:, None]


class SammeScore(nn.Module):
    """AdaBoost's decision: a vote counts 1 for its class and -1 / (n_classes - 1) for each other."""

    def forward(self, log_votes: torch.Tensor) -> torch.Tensor:
        n_classes = log_votes.shape[1]
        return (n_classes * log_votes.exp() - 1) / (n_classes - 1)


@register_module(VotingClassifier, BaggingClassifier)
def averaged(estimator: Any) -> nn.Module:
    trees = joined_shares(estimator)
    return log_probability(estimator) if trees is None else attackable(trees)


@log_probability.register
def voting(estimator: VotingClassifier) -> nn.Module:
    """The log of the mean probability; for hard voting, of the mean softened vote."""
    if (trees := joined_shares(estimator)) is not None:
        return SoftTrees(trees)
    kept = [i for i, (_, member) in enumerate(estimator.estimators) if member != "drop"]
    members = []
    for i, member in zip(kept, estimator.estimators_, strict=True):
        with naming(f"member {shown(estimator.estimators[i][0])} of the VotingClassifier"):
            soft = estimator.voting == "soft"
            members.append(branch(log_probability(member) if soft else vote(member, STEEPNESS)))
    return Mean(members, None if estimator.weights is None else np.asarray(estimator.weights)[kept])


@log_probability.register
def bagging(estimator: BaggingClassifier) -> nn.Module:
    """The log of the mean probability; if members have no probabilities, of the mean softened vote."""
    if (trees := joined_shares(estimator)) is not None:
        return SoftTrees(trees)

    def respond(member: Any) -> nn.Module:
        soft = hasattr(member, "predict_proba")
        log = log_probability(member) if soft else vote(member, STEEPNESS)
        if len(member.classes_) == estimator.n_classes_:
            return log
        # members have class numbers as labels, and may have seen only some of the classes
        return nn.Sequential(log, IntoClasses(member.classes_, estimator.n_classes_))

    return Mean(_bag(estimator, respond))


@decision.register
def _(estimator: BaggingClassifier) -> nn.Module:
    return in_sequence([Mean(_bag(estimator, decision), of_logs=False)])


def _bag(estimator: BaggingClassifier, respond: Callable[[Any], nn.Module]) -> list[nn.Module]:
    with naming("a member of the BaggingClassifier"):
        return [
            branch(Select(features), respond(member))
            for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True)
        ]


@register_delegate(AdaBoostClassifier)
def adaboost(estimator: AdaBoostClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    """The log of the weighted mean vote, softened (Zhu et al. 2009, "Multi-class AdaBoost", Algorithm 2).

    For trees, whose leaves vote, the splits are softened instead.
    """
    trees = joined_shares(estimator)
    if trees is not None and respond is to_module:
        return attackable(trees)
    votes = _boosted_votes(estimator) if trees is None else SoftTrees(trees)
    if respond is to_module:
        return in_sequence([votes, Emphasis()])
    if respond is decision:
        return in_sequence([votes, SammeScore(), Decision()])
    # equation 15 there
    return in_sequence([votes, SammeScore(), LogSoftmax(1 / (estimator.n_classes_ - 1))])


def _boosted_votes(estimator: AdaBoostClassifier) -> nn.Module:
    with naming("a member of the AdaBoostClassifier"):
        members = [branch(to_module(member)) for member in estimator.estimators_]
    known = [positions(member.classes_, estimator.classes_) for member in estimator.estimators_]
    weight = estimator.estimator_weights_[: len(members)]
    return BoostedVotes(members, known, estimator.n_classes_, weight)


@register_delegate(StackingClassifier)
def stacking(estimator: StackingClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    """The final estimator's output for the columns that the members give."""
    columns = []
    names = [name for name, member in estimator.estimators if member != "drop"]
    for name, member, method in zip(names, estimator.estimators_, estimator.stack_method_, strict=True):
        with naming(f"member {shown(name)} of the StackingClassifier"):
            columns.append(branch(*_stacked(member, method)))
    if estimator.passthrough:
        columns.append(branch(nn.Identity()))
    with naming("the final estimator of the StackingClassifier"):
        return in_sequence([SideBySide(columns), respond(estimator.final_estimator_)])


def _stacked(member: Any, method: str) -> list[nn.Module]:
    if method == "decision_function":
        return [decision(member)]
    n_classes = len(member.classes_)
    if method == "predict_proba":
        # for two classes, scikit-learn drops the first probability
        return [log_probability(member), Exp(), *([Select([1])] if n_classes == 2 else [])]
    # a vote for each class, times its label
    return [vote(member, STEEPNESS), Exp(), dense_layer(np.asarray(member.classes_, dtype=float)[None], 0.0)]
