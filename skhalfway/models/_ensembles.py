"""Votes, bags, boosts and stacks of other classifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from torch import nn

from skhalfway._inputs import positions
from skhalfway._text import shown
from skhalfway.models._linear import dense_layer
from skhalfway.models._registry import register_module, to_module
from skhalfway.models._responses import (
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
from skhalfway.models._torch import in_sequence
from skhalfway.models._transformers import Select

# Of members' votes: a logit that leads by 1 / steepness makes a vote of 73 %. On digits and breast cancer, of
# 4 to 1024, attacks are strongest from 8 to 64, and 99 % or more agree with the estimator from 16 on.
STEEPNESS = 16.0
# A boost's members lead by little: at 16, 80 % of digits agree, at 128, 92 %, and the attack is stronger.
BOOST_STEEPNESS = 128.0


class Exp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.exp()


class SammeScore(nn.Module):
    """AdaBoost's decision: a vote counts 1 for its class and -1 / (n_classes - 1) for each other."""

    def forward(self, log_votes: torch.Tensor) -> torch.Tensor:
        n_classes = log_votes.shape[1]
        return (n_classes * log_votes.exp() - 1) / (n_classes - 1)


@register_module(VotingClassifier)
def voting(estimator: VotingClassifier) -> nn.Module:
    """The log of the mean probability; of the mean vote, softened, where voting is hard."""
    kept = [i for i, (_, member) in enumerate(estimator.estimators) if member != "drop"]
    members = []
    for i, member in zip(kept, estimator.estimators_, strict=True):
        with naming(f"member {shown(estimator.estimators[i][0])} of the VotingClassifier"):
            soft = estimator.voting == "soft"
            members.append(branch(log_probability(member) if soft else vote(member, STEEPNESS)))
    return Mean(members, None if estimator.weights is None else np.asarray(estimator.weights)[kept])


@register_module(BaggingClassifier)
def bagging(estimator: BaggingClassifier) -> nn.Module:
    """The log of the mean probability; of the mean vote, softened, where members give no probabilities."""

    def respond(member: Any) -> nn.Module:
        soft = hasattr(member, "predict_proba")
        log = log_probability(member) if soft else vote(member, STEEPNESS)
        if len(member.classes_) == estimator.n_classes_:
            return log
        # members know classes by their numbers, and may have seen some only
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
    """The log of the weighted mean vote, softened (Zhu et al. 2009, "Multi-class AdaBoost", Algorithm 2)."""
    members = []
    with naming("a member of the AdaBoostClassifier"):
        for member in estimator.estimators_:
            known = positions(member.classes_, estimator.classes_)
            members.append(branch(vote(member, BOOST_STEEPNESS), IntoClasses(known, estimator.n_classes_)))
    votes = Mean(members, estimator.estimator_weights_[: len(members)])
    if respond is to_module:
        return votes
    if respond is decision:
        return in_sequence([votes, SammeScore(), Decision()])
    # equation 15 there
    return in_sequence([votes, SammeScore(), LogSoftmax(1 / (estimator.n_classes_ - 1))])


@register_delegate(StackingClassifier)
def stacking(estimator: StackingClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    """The final estimator's answer to the columns that the members give."""
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
        # of two probabilities scikit-learn drops the first
        return [log_probability(member), Exp(), *([Select([1])] if n_classes == 2 else [])]
    # a vote for each class, times its label
    return [vote(member, STEEPNESS), Exp(), dense_layer(np.asarray(member.classes_, dtype=float)[None], 0.0)]
