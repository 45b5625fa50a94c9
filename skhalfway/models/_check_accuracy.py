"""Checks of accuracy: whether inputs and labels are as in the model's training.

All thresholds are our own. They are chosen so that a sound model is rarely reported, however few the samples:
in cases of doubt, nothing is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln
from scipy.stats import binom

from skhalfway._blocks import spread
from skhalfway._intervals import wilson_interval
from skhalfway._text import short
from skhalfway.models._check_result import Finding
from skhalfway.models._check_scales import Change, changes
from skhalfway.models._model import Model
from skhalfway.models._torch_model import TorchModel

Indices = NDArray[np.intp]

# share of the distance from chance to 1: a model of higher true accuracy is reported in 2.5 % of cases
NEAR = 0.2
# samples of other classes that a constant prediction must miss to be reported as a warning
N_MISSED = 8
# probability of reporting other labels or another scale although the model does no better with them
RISK = 1e-3
# accuracy below which other scales are tried; samples for the trial; samples for the best scale
GOOD, N_TRIED, N_SAMPLES = 0.95, 50, 500
N_LABELS = 12  # most labels that are written out


@dataclass(frozen=True)
class Answers:
    """A model's predictions of samples, and the true labels.

    Attributes
    ----------
    model : Model
        The model.
    X : ndarray of shape (n_samples, ...)
        The samples.
    predicted : ndarray of shape (n_samples,)
        Class indices that the model predicts.
    labels : ndarray of shape (n_classes,)
        Labels of the class indices.
    truth : ndarray of shape (n_samples,) or None
        True class indices, if they are known.
    others : ndarray of shape (n_others, n_samples) or None
        Predictions of other models, if there are any.
    """

    model: Model
    X: NDArray[Any]
    predicted: Indices
    labels: NDArray[Any]
    truth: Indices | None = None
    others: Indices | None = None

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are classified correctly."""
        return self.predicted == self.truth

    @property
    def numbers(self) -> tuple[Any, ...]:
        """Index of the columns of numbers, without those of category codes."""
        frame = self.model._frame
        return (...,) if frame is None else (slice(None), ~frame.categories)

    def spread(self, n: int) -> Indices:
        """Positions of ``n`` of the samples, or of all, evenly spread."""
        return spread(len(self.X), n)


def accuracy_findings(answers: Answers, *, steady: bool = True) -> list[Finding]:
    """The best explanation of a low accuracy; else whether predictions are constant, or near chance.

    If predictions are not ``steady``, their response to changed samples means nothing and is not tested.
    """
    truth, causes = answers.truth, []
    # with samples of one class, a constant prediction is no fault
    several = truth is not None and bool((truth != truth[0]).any())
    if truth is not None and several:
        causes = [_label_order(answers, truth), _scale(answers, truth) if steady else None]
    explained = [cause for cause in causes if cause is not None]
    if explained:
        return [max(explained, key=lambda cause: cause[0])[1]]
    finding = _constant(answers)
    if finding is None and truth is not None and several:
        finding = _near_chance(answers, truth)
    return [] if finding is None else [finding]


def chance(answers: Answers, truth: Indices) -> float:
    """Expected accuracy of predictions with the same class frequencies that ignore the sample."""
    often = [np.bincount(c, minlength=len(answers.labels)) / len(c) for c in (truth, answers.predicted)]
    return float(often[0] @ often[1])


def _constant(answers: Answers) -> Finding | None:
    first = answers.predicted[0]
    if (answers.predicted != first).any():
        return None
    reference = answers.others if answers.truth is None else answers.truth[None]
    missed = np.ones((1, len(answers.X))) if reference is None else reference != first
    n_missed = int((missed.mean(axis=0) > 0.5).sum())
    if n_missed == 0:
        return None
    said = f"it predicts {_listed(answers.labels[[first]])} for all {len(answers.X)} samples"
    if answers.truth is not None:
        said += f", of which {n_missed} are of other classes: accuracy {short(answers.right.mean())}"
    elif reference is not None:
        who = "the other model puts" if len(reference) == 1 else "most other models put"
        said += f", of which {who} {n_missed} into other classes"
    sure = reference is not None and n_missed >= N_MISSED
    return Finding(
        "constant",
        "warning" if sure else "note",
        said,
        "a constant model seems robust, as nothing changes its prediction: check its training and its inputs",
    )


def _near_chance(answers: Answers, truth: Indices) -> Finding | None:
    n_right, n, expected = int(answers.right.sum()), len(answers.X), chance(answers, truth)
    low, high = wilson_interval(n_right, n)
    if high >= expected + NEAR * (1 - expected):
        return None
    return Finding(
        "chance",
        "warning",
        f"accuracy is {short(n_right / n)} [{short(low)} {short(high)}], "
        f"and {short(expected)} would be chance",
        "check that X is prepared and y is coded as in its training, and that it was trained",
    )


def _label_order(answers: Answers, truth: Indices) -> tuple[float, Finding] | None:
    """Finding, with the accuracy, if other labels for the model's outputs give a far higher accuracy."""
    n_classes = len(answers.labels)
    met = np.zeros((n_classes, n_classes))
    np.add.at(met, (answers.predicted, truth), 1)
    # a class keeps its label unless samples favour another
    order = linear_sum_assignment(met + 0.5 * np.eye(n_classes), maximize=True)[1]
    right, moved = order[answers.predicted] == truth, np.flatnonzero(order != np.arange(n_classes))
    # samples must support the new place of each label, except the last one, which has no choice
    n_seen = int((met[moved, order[moved]] > 0).sum())
    if n_seen < 2 or n_seen < len(moved) - 1:
        return None
    # correct for the number of orders that move as many labels
    n_orders = gammaln(n_classes + 1) - gammaln(n_classes - len(moved) + 1)
    accuracy = float(right.mean())
    poor = accuracy < (1 + chance(answers, truth)) / 2
    if poor or _log_risk(answers.right, right) + n_orders > np.log(RISK):
        return None
    shown = moved if n_classes > N_LABELS else np.arange(n_classes)
    read = answers.labels[order]
    if isinstance(answers.model, TorchModel):
        advice = f"name its outputs in their order: as_model(model, classes=[{_listed(read)}])"
    else:
        advice = "code y as in its training"
    return accuracy, Finding(
        "label_order",
        "warning",
        f"accuracy is {short(answers.right.mean())}, and {short(accuracy)} if its classes "
        f"{_listed(answers.labels[shown])} are read as {_listed(read[shown])}",
        advice,
    )


def _scale(answers: Answers, truth: Indices) -> tuple[float, Finding] | None:
    """Finding, with the accuracy, if another scale or order of channels gives a far higher accuracy."""
    if wilson_interval(answers.right.sum(), len(answers.X)).high >= GOOD:
        return None
    few, more = answers.spread(N_TRIED), answers.spread(N_SAMPLES)
    ways = changes(answers.X[more][answers.numbers])
    tried = {name: _right(answers, truth, way, few).mean() for name, way in ways.items()}
    best = max(tried, key=lambda name: tried[name], default="")
    if not best or tried[best] <= answers.right[few].mean():
        return None
    right, before = _right(answers, truth, ways[best], more), answers.right[more]
    accuracy = float(right.mean())
    # the scale must explain at least half of the errors, also if each class has the same weight
    too_little = any(
        1 - of(right, truth[more]) > (1 - of(before, truth[more])) / 2 for of in (_plainly, _by_class)
    )
    if too_little or _log_risk(before, right) + np.log(len(tried)) > np.log(RISK):
        return None
    return accuracy, Finding(
        "scale",
        "warning",
        f"accuracy is {short(before.mean())} on X, but {short(accuracy)} on {best}",
        f"if it was trained on {best}, pass {best}, or put the "
        f"{'change' if 'channels' in best else 'scaling'} into the model (a Pipeline)",
    )


def _right(answers: Answers, truth: Indices, change: Change, rows: Indices) -> NDArray[np.bool_]:
    """Which samples are classified correctly after a change.

    No sample is, if the model does not take them, or has the same prediction for all.
    """
    X = answers.X[rows]
    try:
        with np.errstate(all="ignore"):
            X[answers.numbers] = change(X[answers.numbers])
            predicted = answers.model.predict(X)
            return (predicted == truth[rows]) & (predicted != predicted[0]).any()
    except Exception:
        # a model may refuse the changed samples, such as negative counts: it was not trained on them
        return np.zeros(len(rows), dtype=bool)


def _plainly(right: NDArray[np.bool_], truth: Indices) -> float:
    """Share of the samples."""
    return float(right.mean())


def _by_class(right: NDArray[np.bool_], truth: Indices) -> float:
    """Mean share over the classes, with equal weights."""
    n = np.bincount(truth)
    return float((np.bincount(truth, right)[n > 0] / n[n > 0]).mean())


def _log_risk(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """Log of the sign test's p value for the samples gained and lost."""
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return float(binom.logsf(gained - 1, gained + lost, 0.5))


def _listed(labels: NDArray[Any]) -> str:
    written = [repr(label) for label in labels.tolist()[:N_LABELS]]
    return ", ".join(written + ["..."] * (len(labels) > N_LABELS))
