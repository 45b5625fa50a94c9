"""Whether the deployed model does better than one answer for all samples; if not, it only seems robust."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm

from skhalfway._intervals import wilson_interval
from skhalfway.report._words import in_percent

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

LITTLE = 0.2  # share of the way from guessing to always right, averaged over the classes
SAID = ("constant", "chance", "scale", "label_order")  # check-ups that say it already


class Useless(NamedTuple):
    """A model that is hardly better than one answer for all samples.

    Attributes
    ----------
    accuracy, balanced : float
        Share of right answers; the same averaged over the classes.
    most, guessing : float
        Share of the most frequent class; 1 / n_classes.
    usual : str
        The most frequent class.
    """

    accuracy: float
    balanced: float
    most: float
    guessing: float
    usual: str

    def said(self, name: str) -> str:
        """The figures in words."""
        return (
            f"{name} is hardly better than one answer for all samples (it is right on "
            f"{in_percent(self.accuracy)} %, the answer {self.usual!r} on {in_percent(self.most)} %; "
            f"averaged over the classes, it is right on {in_percent(self.balanced)} %, guessing on "
            f"{in_percent(self.guessing)} %)"
        )


def useless(report: AuditReport) -> Useless | None:
    """The figures of a useless deployed model; None if it is not, or if its check-up says so.

    Two things must hold. The lower end of the 95 % interval of the accuracy is not above the share of the
    most frequent class. And the accuracy averaged over the classes is less than a fifth of the way from
    guessing to 1, or its 95 % interval holds guessing. So a model that finds half of a rare class is not
    meant, though one answer for all samples may be right more often.
    """
    check = report.curve.checks.get(report.deployed)
    if check is not None and any(one.kind in SAID for one in check.warnings):
        return None
    outcomes = report.curve.matrices[0].outcomes
    if outcomes is None or outcomes.labels is None:
        return None
    labels, answers = outcomes.labels, outcomes.clean[outcomes.names.index(report.deployed)]
    classes, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(classes) < 2 or (answers < 0).any():
        return None
    right = answers == labels
    n, most, guessing = len(labels), float(counts.max() / len(labels)), 1 / len(classes)
    recall = np.bincount(place, right) / counts
    balanced = float(recall.mean())
    smoothed = (recall * counts + 1) / (counts + 2)  # else a class that is always right has no variance
    error = float(np.sqrt((smoothed * (1 - smoothed) / counts).sum())) / len(classes)
    low = balanced - float(norm.ppf(0.975)) * error
    little = balanced < guessing + LITTLE * (1 - guessing) or low <= guessing
    if not little or float(wilson_interval(int(right.sum()), n)[0]) > most:
        return None
    usual = outcomes.classes[classes[counts.argmax()]]
    return Useless(float(right.mean()), balanced, most, guessing, str(usual))
