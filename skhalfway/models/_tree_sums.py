"""Voting, bagging, boosting and calibration of trees, each by its sums over all of its trees."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import partial, singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from skhalfway._inputs import positions
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._tree_arrays import TreeEnsemble
from skhalfway.models._tree_columns import Path
from skhalfway.models._tree_parsers import tree_ensemble, unwrapped
from skhalfway.models._tree_responses import Floats, Response, Shares
from skhalfway.models._type_checks import is_art_classifier

Ints = NDArray[np.intp]

# weight of a member's own guide beside its shares, which lie between 0 and 1
_GUIDED = 0.05


@dataclass(frozen=True)
class TreeSums:
    """Sums over trees, and the outputs that follow from them.

    Attributes
    ----------
    parts : list of (Path, TreeEnsemble)
        Trees, and the steps from X to them. Their sums, all of the same length, are added.
    response : Response
        Outputs as functions of the sums.
    """

    parts: list[tuple[Path, TreeEnsemble]]
    response: Response

    @property
    def n_sums(self) -> int:
        return self.parts[0][1].value.shape[1]

    def at_leaves(self, answer: Callable[[Floats], Floats]) -> list[tuple[Path, TreeEnsemble]]:
        """Parts in which a single tree's outputs replace its values."""
        ((path, ensemble),) = self.parts
        value = answer(ensemble.value + ensemble.baseline)
        return [(path, replace(ensemble, value=value, baseline=np.zeros(value.shape[1])))]

    def placed(self, start: int, n_sums: int) -> list[tuple[Path, TreeEnsemble]]:
        """Parts whose sums are placed among others, from ``start`` on."""
        after = n_sums - start - self.n_sums
        return [
            (
                path,
                replace(
                    ensemble,
                    value=np.pad(ensemble.value, [(0, 0), (start, after)]),
                    baseline=np.pad(ensemble.baseline, (start, after)),
                ),
            )
            for path, ensemble in self.parts
        ]


@dataclass(frozen=True)
class Member:
    """Contribution of one of several classifiers to the shares of all classes.

    Attributes
    ----------
    sums : TreeSums
        Its own sums.
    answer : callable
        Function of the sums that returns a vote or a probability for each class that it knows.
    known : int array
        Classes that it knows.
    weight : float
        Factor of its votes or probabilities.
    n_classes : int
        Number of all classes.
    """

    sums: TreeSums
    answer: Callable[[Floats], Floats]
    known: Ints
    weight: float
    n_classes: int

    def shares(self, sums: Floats) -> Floats:
        return self._in_all(self.answer(sums))

    def guide(self, sums: Floats) -> Floats:
        return self._in_all(self.sums.response.guide(sums))

    def _in_all(self, own: Floats) -> Floats:
        shares = np.zeros((len(own), self.n_classes))
        shares[:, self.known] = self.weight * own
        return shares


@dataclass(frozen=True)
class Combined:
    """Response of several classifiers, some of which add up leaf by leaf, and others do not.

    Attributes
    ----------
    n_classes : int
        Number of classes. The first sums are the shares that add up leaf by leaf.
    members : list of (slice, Member)
        The other classifiers, and the positions of their sums.
    total : float
        Total of all shares.
    by_votes : bool
        Whether the shares are counts of votes, which may tie.
    """

    n_classes: int
    members: list[tuple[slice, Member]]
    total: float
    by_votes: bool
    guides = True

    def scores(self, sums: Floats) -> Floats:
        return sums[:, : self.n_classes] + sum(member.shares(sums[:, at]) for at, member in self.members)

    def probability(self, sums: Floats) -> Floats:
        return self.scores(sums) / self.total

    def decision(self, sums: Floats) -> Floats:
        raise NotDifferentiableError("class shares are probabilities, not decision values")

    def guide(self, sums: Floats) -> Floats:
        guides = sum(member.guide(sums[:, at]) for at, member in self.members)
        return (self.scores(sums) + _GUIDED * guides) / self.total


def _combined(members: list[Member], n_classes: int, *, by_votes: bool) -> TreeSums:
    """The sums of several classifiers, with as few sums as possible."""
    parts: list[tuple[Path, TreeEnsemble]] = []
    others: list[Member] = []
    for member in members:
        if sum(len(ensemble.roots) for _, ensemble in member.sums.parts) == 1:
            parts += member.sums.at_leaves(member.shares)
        elif isinstance(member.sums.response, Shares) and member.answer == member.sums.response.probability:
            parts += [
                (path, replace(ensemble, value=member.shares(ensemble.value), baseline=np.zeros(n_classes)))
                for path, ensemble in member.sums.parts
            ]
        else:
            others.append(member)
    total = float(sum(member.weight for member in members))
    if not others:
        return TreeSums(parts, Shares(total))
    starts = n_classes + np.cumsum([0, *(member.sums.n_sums for member in others)])
    parts = TreeSums(parts, Shares(total)).placed(0, starts[-1]) if parts else []
    slices = [slice(start, end) for start, end in pairwise(starts)]
    places = list(zip(slices, others, strict=True))
    for place, member in places:
        parts += member.sums.placed(place.start, starts[-1])
    return TreeSums(parts, Combined(n_classes, places, total, by_votes))


@dataclass(frozen=True)
class Boosted:
    """AdaBoost's outputs from the weights of its members' votes (Zhu et al. 2009, Algorithm 2 and eq. 15)."""

    votes: Response
    n_classes: int
    total: float

    @property
    def guides(self) -> bool:
        return self.votes.guides

    @property
    def by_votes(self) -> bool:
        return True

    def scores(self, sums: Floats) -> Floats:
        return self.votes.scores(sums)

    def _by_class(self, sums: Floats) -> Floats:
        return (self.n_classes * self.scores(sums) / self.total - 1) / (self.n_classes - 1)

    def decision(self, sums: Floats) -> Floats:
        by_class = self._by_class(sums)
        return by_class[:, 1] - by_class[:, 0] if self.n_classes == 2 else by_class

    def probability(self, sums: Floats) -> Floats:
        return np.asarray(softmax(self._by_class(sums) / (self.n_classes - 1), axis=1))

    def guide(self, sums: Floats) -> Floats:
        return self.votes.guide(sums)


def tree_sums(estimator: Any, n_features: int) -> TreeSums:
    """The sums of a fitted classifier made of decision trees, which may be combined in any supported way.

    Parameters
    ----------
    estimator : object
        The classifier.
    n_features : int
        Number of features of its input.

    Raises
    ------
    NotDifferentiableError
        If the estimator, or a part of it, is not supported.
    """
    sums = _sums(estimator, Path.of_input(n_features))
    several = len(sums.parts) > 1 or bool(sums.parts[0][0].stem.steps)
    for _, ensemble in sums.parts:
        if several and not np.isnan(ensemble.missing):
            raise NotDifferentiableError(
                f"trees for which {ensemble.missing} means missing, behind other steps or beside other "
                "trees, have no boxes here"
            )
    return sums


@singledispatch
def _sums(estimator: Any, path: Path) -> TreeSums:
    inner = unwrapped(estimator)
    if inner is not estimator:
        return _sums(inner, path)
    if is_art_classifier(estimator):
        return _art(estimator, path)
    ensemble = tree_ensemble(estimator)
    return TreeSums([(path, ensemble)], ensemble.response)


@_sums.register
def _(estimator: Pipeline, path: Path) -> TreeSums:
    *steps, (_, last) = estimator.steps
    for _, step in steps:
        path = path.then(step)
    return _sums(last, path)


@_sums.register
def _(estimator: SelfTrainingClassifier, path: Path) -> TreeSums:
    return _sums(estimator.estimator_, path)


@_sums.register
def _(estimator: VotingClassifier, path: Path) -> TreeSums:
    classes, by_vote = np.arange(len(estimator.classes_)), estimator.voting == "hard"
    weights = estimator._weights_not_none or np.ones(len(estimator.estimators_))
    members = [
        _member(member, path, classes, weight, by_vote)
        for member, weight in zip(estimator.estimators_, weights, strict=True)
    ]
    return _combined(members, len(classes), by_votes=by_vote)


@_sums.register
def _(estimator: BaggingClassifier, path: Path) -> TreeSums:
    classes, by_vote = np.arange(estimator.n_classes_), not hasattr(estimator.estimators_[0], "predict_proba")
    members = [
        _member(member, path.select(features), classes, 1.0, by_vote)
        for member, features in zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    ]
    return _combined(members, len(classes), by_votes=by_vote)


@_sums.register
def _(estimator: AdaBoostClassifier, path: Path) -> TreeSums:
    members = [
        _member(member, path, estimator.classes_, weight, True)
        for member, weight in zip(estimator.estimators_, estimator.estimator_weights_, strict=False)
    ]
    n_classes, total = estimator.n_classes_, sum(member.weight for member in members)
    votes = _combined(members, n_classes, by_votes=True)
    return TreeSums(votes.parts, Boosted(votes.response, n_classes, total))


@_sums.register
def _(estimator: CalibratedClassifierCV, path: Path) -> TreeSums:
    n_classes, members = len(estimator.classes_), []
    for member in estimator.calibrated_classifiers_:
        sums = _sums(member.estimator, path)
        known = positions(member.estimator.classes_, estimator.classes_)
        answer = partial(_calibrated, member, known, sums.response)
        members.append(Member(sums, answer, known, 1.0, n_classes))
    return _combined(members, n_classes, by_votes=False)


def _member(estimator: Any, path: Path, classes: Any, weight: float, by_vote: bool) -> Member:
    sums = _sums(estimator, path)
    known = positions(estimator.classes_, classes)
    answer = partial(_vote, sums.response) if by_vote else sums.response.probability
    return Member(sums, answer, known, float(weight), len(classes))


def _vote(response: Response, sums: Floats) -> Floats:
    scores = response.scores(sums)
    return np.eye(scores.shape[1])[scores.argmax(axis=1)]


def _calibrated(member: Any, known: Ints, response: Response, sums: Floats) -> Floats:
    """Calibrated probabilities of the classes that a member knows, computed by scikit-learn's calibrators."""
    calibrated = copy(member)
    if hasattr(member.estimator, "decision_function"):
        calibrated.estimator, answers = _Decisions(member.estimator.classes_), response.decision(sums)
    else:
        calibrated.estimator, answers = _Probabilities(member.estimator.classes_), response.probability(sums)
    return np.asarray(calibrated.predict_proba(answers))[:, known]


class _Given(ClassifierMixin, BaseEstimator):
    """A classifier whose outputs are its input."""

    def __init__(self, classes: Any) -> None:
        self.classes_ = classes


class _Decisions(_Given):
    def decision_function(self, answers: Floats) -> Floats:
        return answers


class _Probabilities(_Given):
    def predict_proba(self, answers: Floats) -> Floats:
        return answers


def _art(classifier: Any, path: Path) -> TreeSums:
    """The sums of an ART wrapper, which passes on 32-bit floats, standardised if it was configured so."""
    kinds = [type(operation).__name__ for operation in classifier.preprocessing_operations]
    if classifier.postprocessing_defences or not all(k.startswith("StandardisationMeanStd") for k in kinds):
        raise NotDifferentiableError(f"ART's {type(classifier).__name__} with defences has no boxes")
    return _sums(classifier.model, path.through(partial(_art_input, classifier)))


def _art_input(classifier: Any, X: Any) -> Any:
    return classifier._apply_preprocessing(np.asarray(X, dtype=np.float32), y=None, fit=False)[0]
