"""AuditComparison: whether a model is fooled more or less often than in an earlier audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from skhalfway._intervals import ConfidenceInterval, difference_interval, holm, mcnemar, paired_phi
from skhalfway._text import between, short, shown, signed
from skhalfway.report._advice import OF_DATA
from skhalfway.report._alike import apart, not_tried_again, why_unpaired
from skhalfway.report._paged import Paged
from skhalfway.report._report import AuditReport
from skhalfway.report._threats import ATTACKERS, LEVEL, Attempts, attempts_on
from skhalfway.report._verdict import doubts_about
from skhalfway.report._words import budget
from skhalfway.results import Result
from skhalfway.results._reading import part_of_results
from skhalfway.results._record import Record
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.report._blocks import Page

HEADLINES = {
    "worse": "Fooled more often than before",
    "better": "Fooled less often than before",
    "mixed": "Fooled more often by some attackers, and less often by others",
    "same": "No significant difference",
    "doubtful": "Fooled less often than before, but the new figures may be too good",
}


@part_of_results
@dataclass(frozen=True)
class ShareChange(Record):
    """A share of samples before and after.

    Attributes
    ----------
    kind : str
        Kind of attacker, "surrogate", "other" or "deployed"; or "accuracy" or "robust_accuracy".
    eps : float
        Budget; nan for accuracies.
    before, after : tuple of (int, int)
        Number of samples in the share, and number of samples that count.
    difference : float
        Share after minus share before. If the audits have the same samples, it is over those that count in
        both.
    interval : ConfidenceInterval
        Newcombe's 95 % interval of the difference.
    only_before, only_after : int
        Number of samples in the share before alone, and after alone; 0 if the audits have other samples.
    p : float
        P-value of McNemar's exact test if the audits have the same samples, else of Fisher's exact test. For
        attackers it is adjusted for all kinds and budgets by Holm's method. It is nan if no sample counts.

    Examples
    --------
    >>> from skhalfway.report import ShareChange
    >>> from skhalfway.results import ConfidenceInterval
    >>> ends = ConfidenceInterval(-0.3, -0.1)
    >>> change = ShareChange("other", 0.5, (40, 100), (20, 100), -0.2, ends, 22, 2, 0.01)
    >>> change.beyond_chance
    True
    """

    kind: str
    eps: float
    before: tuple[int, int]
    after: tuple[int, int]
    difference: float
    interval: ConfidenceInterval
    only_before: int
    only_after: int
    p: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the difference is significant: p is below .05."""
        return bool(self.p < LEVEL)


@dataclass(frozen=True, eq=False, repr=False)
class AuditComparison(Paged, Result, drawn=False):
    """Changes between two audits, with tests of their significance.

    :func:`compare_reports` makes it.

    Parameters
    ----------
    deployed : tuple of (str, str)
        Names of the audited models.
    verdicts : tuple of (str, str)
        Headlines of the two verdicts.
    unit : str
        Unit of the budgets.
    threats : tuple of ShareChange
        How often each kind of attacker fools the model, at every budget that both audits have.
    accuracies : tuple of ShareChange
        Accuracy and robust accuracy.
    unpaired : str, default=""
        Reason why samples are not compared one by one; empty if the audits have the same samples.
    doubts : tuple of str, default=()
        Reasons why the figures of the second audit may be too good: those of its own verdict, and attacks
        that only the first audit tried.
    apart : dict of str to (str, str), default={}
        Settings that differ, with their values before and after.
    findings : tuple of (str, str), default=()
        Titles of findings, each with "gone", "new", "stayed", or "unknown" if only one audit looked for it.

    See Also
    --------
    skhalfway.audit : Makes the reports.

    Examples
    --------
    >>> from skhalfway.report import AuditComparison, ShareChange
    >>> from skhalfway.results import ConfidenceInterval
    >>> ends = ConfidenceInterval(-0.3, -0.1)
    >>> fooled = ShareChange("other", 0.5, (40, 100), (20, 100), -0.2, ends, 22, 2, 0.01)
    >>> comparison = AuditComparison(("net", "net"), ("Exposed", "Exposed"), "std", (fooled,), ())
    >>> comparison.level, comparison.headline
    ('better', 'Fooled less often than before')
    """

    deployed: tuple[str, str]
    verdicts: tuple[str, str]
    unit: str
    threats: tuple[ShareChange, ...]
    accuracies: tuple[ShareChange, ...]
    unpaired: str = ""
    doubts: tuple[str, ...] = ()
    apart: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    findings: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "apart", dict(self.apart))

    @property
    def level(self) -> str:
        """One of "worse", "better", "mixed", "same" and "doubtful" (better, unless the doubts apply)."""
        signs = {np.sign(one.difference) for one in self.threats if one.beyond_chance}
        if signs == {1, -1}:
            return "mixed"
        if 1 in signs:
            return "worse"
        if -1 in signs:
            return "doubtful" if self.doubts else "better"
        return "same"

    @property
    def headline(self) -> str:
        """The result in a few words."""
        return HEADLINES[self.level]

    def to_frame(self) -> pd.DataFrame:
        """Return the changes as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each kind of attacker and budget, and for each accuracy, with both shares, their
            difference, its interval and the p-value.

        Examples
        --------
        >>> from skhalfway.report import AuditComparison, ShareChange
        >>> from skhalfway.results import ConfidenceInterval
        >>> ends = ConfidenceInterval(-0.3, -0.1)
        >>> fooled = ShareChange("other", 0.5, (40, 100), (20, 100), -0.2, ends, 22, 2, 0.01)
        >>> comparison = AuditComparison(("net", "net"), ("Exposed", "Exposed"), "std", (fooled,), ())
        >>> comparison.to_frame()["difference"].tolist()
        [-0.2]
        """
        import pandas as pd

        rows = [
            {
                "what": one.kind,
                "eps": one.eps,
                "before": _share(one.before),
                "after": _share(one.after),
                "difference": one.difference,
                "low": one.interval.low,
                "high": one.interval.high,
                "p": one.p,
            }
            for one in (*self.threats, *self.accuracies)
        ]
        return pd.DataFrame(rows).set_index(["what", "eps"])

    def _page(self) -> Page:
        from skhalfway.report._content_comparison import content_of_comparison

        return content_of_comparison(self)

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for one in (*self.threats, *self.accuracies):
            where = "" if np.isnan(one.eps) else f" within {budget(one.eps, self.unit)}"
            star = " *" if one.beyond_chance else ""
            rows.append(
                [
                    f"{one.kind}{where}",
                    Cell(short(_share(one.before))),
                    Cell(short(_share(one.after))),
                    Cell(f"{signed(one.difference)}{star}", between(*one.interval, signed)),
                ]
            )
        names = " and ".join(dict.fromkeys(map(repr, self.deployed)))
        return Table(
            f"AuditComparison of {names}: {self.headline}",
            ["share fooled, accuracy", "before", "after", "difference"],
            rows,
            "* significant",
            notes=[*filter(None, [self.unpaired]), *(f"doubt: {doubt}" for doubt in self.doubts)],
        )


def _share(counts: tuple[int, int]) -> float:
    return counts[0] / counts[1] if counts[1] else np.nan


def compare_reports(before: AuditReport, after: AuditReport) -> AuditComparison:
    """Compare two audits: of a model and its newer version, or of two models.

    Parameters
    ----------
    before, after : AuditReport
        Audits with budgets in the same unit and norm.

    Returns
    -------
    comparison : AuditComparison
        Changes of all shares. If both audits attacked the same samples, shares are compared sample by sample.

    Raises
    ------
    TypeError
        If one of the two is not an AuditReport.
    ValueError
        If units, norms, goals or conditions differ; if the audits have no kind of attacker and budget in
        common.

    Notes
    -----
    Two audits have the same samples if names, true labels and values are the same, in the same order.
    Differences are then over the samples that count in both audits, and McNemar's exact test compares them.
    Otherwise Fisher's exact test compares the shares.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import audit
    >>> from skhalfway.report import compare_reports
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> before, after = (
    ...     audit(models, X, y, deployed=name, surrogates=None, eps=[0.5], parts=()) for name in models
    ... )
    >>> print(compare_reports(before, after).headline)
    No significant difference
    """
    for name, report in (("before", before), ("after", after)):
        if not isinstance(report, AuditReport):
            raise TypeError(
                f"{name} must be an AuditReport, got {shown(report)}; load_result reads a saved one"
            )
    curves = before.curve, after.curve
    for what, own, theirs in (
        ("units of budgets", before.unit, after.unit),
        ("norms", curves[0].norm, curves[1].norm),
        ("goals", curves[0].matrices[0].goal, curves[1].matrices[0].goal),
        ("conditions", curves[0].condition, curves[1].condition),
    ):
        if own != theirs:
            raise ValueError(
                f"the audits have different {what}, {shown(own)} and {shown(theirs)}, so they cannot be "
                "compared; measure both with the same settings"
            )
    unpaired = why_unpaired(before, after)
    changes = list(_threats(before, after, paired=not unpaired))
    if not changes:
        budgets = [[float(eps) for eps in curve.eps[1:]] for curve in curves]
        raise ValueError(
            f"the audits share no budget with the same kind of attacker: budgets {shown(budgets[0])} and "
            f"{shown(budgets[1])}; measure both with the same eps and surrogates"
        )
    adjusted = holm(np.array([one.p for one in changes]))
    changes = [replace(one, p=float(p)) for one, p in zip(changes, adjusted, strict=True)]
    order = list(ATTACKERS)
    changes.sort(key=lambda one: (order.index(one.kind), one.eps))
    doubts = (*doubts_about(after), *not_tried_again(before, after))
    if after.partial:
        doubts = (*doubts, "the second audit was interrupted")
    return AuditComparison(
        (before.deployed, after.deployed),
        (before.verdict.headline, after.verdict.headline),
        before.unit,
        tuple(changes),
        tuple(_accuracies(before, after, paired=not unpaired)),
        unpaired,
        doubts,
        apart(before, after),
        tuple(_findings(before, after)),
    )


def _threats(before: AuditReport, after: AuditReport, *, paired: bool) -> Iterator[ShareChange]:
    def by_key(report: AuditReport) -> dict[tuple[str, float], Attempts]:
        found = attempts_on(report.deployed, report.roles, report.curve)
        return {(one.kind, one.eps): one for one in found}

    first, second = by_key(before), by_key(after)
    for key, one in first.items():
        if key in second:
            yield change(*key, _of_any(one), _of_any(second[key]), paired=paired)


def _of_any(one: Attempts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Samples that count for any of the attacked models, and those that fool when made on any."""
    counting: NDArray[np.bool_] = np.any(one.eligible, axis=0)
    fooled: NDArray[np.bool_] = np.any(one.fooled, axis=0)
    return counting, fooled


def _accuracies(before: AuditReport, after: AuditReport, *, paired: bool) -> Iterator[ShareChange]:
    for kind in ("accuracy", "robust_accuracy"):
        held = [report.held(robust=kind == "robust_accuracy") for report in (before, after)]
        if held[0] is not None and held[1] is not None:
            one, other = (np.ones(len(part), dtype=bool) for part in (held[0], held[1]))
            yield change(kind, np.nan, (one, held[0]), (other, held[1]), paired=paired)


def change(
    kind: str,
    eps: float,
    before: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    after: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    *,
    paired: bool,
) -> ShareChange:
    """Compare two shares, each given by the samples that count and the samples in the share."""
    counts = [(int(part.sum()), int(whole.sum())) for whole, part in (before, after)]
    only = (0, 0)
    if paired:
        both = before[0] & after[0]
        first, second = before[1] & both, after[1] & both
        only = int((first & ~second).sum()), int((second & ~first).sum())
        n, together = int(both.sum()), int((first & second).sum())
        phi = paired_phi(together, only[0], only[1], n - together - sum(only))
        shares = (int(first.sum()), n), (int(second.sum()), n)
        p = float(mcnemar(np.array(only[0]), np.array(only[1]))) if n else np.nan
    else:
        shares, phi = (counts[0], counts[1]), 0.0
        table = [[part, whole - part] for part, whole in counts]
        p = float(fisher_exact(table).pvalue) if counts[0][1] and counts[1][1] else np.nan
    low, high = difference_interval(shares[0], shares[1], phi)
    difference = _share(shares[1]) - _share(shares[0])
    interval = ConfidenceInterval(float(low), float(high))
    return ShareChange(kind, eps, counts[0], counts[1], difference, interval, *only, p=p)


def _findings(before: AuditReport, after: AuditReport) -> Iterator[tuple[str, str]]:
    """Titles of the findings of both audits, and their states."""
    found, other = ({one.title: one.kind for one in report.findings} for report in (before, after))
    for title, kind in {**other, **found}.items():
        if title in found and title in other:
            yield title, "stayed"
        elif _looked_for(kind, before) != _looked_for(kind, after):
            yield title, "unknown"
        else:
            yield title, "gone" if title in found else "new"


def _looked_for(kind: str, report: AuditReport) -> bool:
    parts = {"column": report.columns, "retraining": report.retraining} | dict.fromkeys(OF_DATA, report.data)
    return kind not in parts or parts[kind] is not None
