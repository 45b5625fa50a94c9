"""Audits in the reports of other libraries: model cards of skops, checks of skore."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from skhalfway._checks import check_choice
from skhalfway._text import shown
from skhalfway.report._report import AuditReport
from skhalfway.report._threats import ATTACKERS
from skhalfway.report._words import budget, in_percent, share
from skhalfway.results._record import Record

_TAG = re.compile("<(?=[A-Za-z/!?])")
SECTION = "Robustness against adversarial examples"


def skops_section(report: AuditReport, *, section: str = SECTION) -> dict[str, str]:
    """Write an audit as sections of a model card of skops.

    Parameters
    ----------
    report : AuditReport
        The audit.
    section : str, default="Robustness against adversarial examples"
        Title of the section. ``"Evaluation/Robustness"`` puts it into the section ``"Evaluation"``.

    Returns
    -------
    sections : dict of str to str
        Markdown by title: the verdict, and its subsections "Findings", "Rates", "Protocol" and "Not tested".
        Pass it to a ``skops.card.Card`` with ``card.add(**sections)``.

    Raises
    ------
    TypeError
        If ``report`` is not an :class:`~skhalfway.AuditReport`.
    ValueError
        If the title is empty.

    See Also
    --------
    skore_check : The same for reports of skore.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import audit
    >>> from skhalfway.report import skops_section
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> report = audit(models, X, y, deployed="lr", surrogates=None, eps=[0.5], parts=())
    >>> sections = skops_section(report)
    >>> sections["Robustness against adversarial examples"].splitlines()[0]
    '**Exposed.**'
    >>> import skops.card
    >>> card = skops.card.Card(models["lr"]).add(**sections)
    """
    _check(report)
    if not isinstance(section, str) or not section.strip("/ "):
        raise ValueError(f"section must be the title of a section, got {shown(section)}")
    verdict = report.verdict
    partial = ["The audit was interrupted; the verdict rests on a part of it."] if report.partial else []
    return {
        section: _paragraphs(f"**{verdict.headline}.**", *partial, *verdict.sentences),
        f"{section}/Findings": _findings(report),
        f"{section}/Rates": _rates(report),
        f"{section}/Protocol": _bullets(f"{name}: {value}" for name, value in report.protocol.items()),
        f"{section}/Not tested": _bullets(report.not_tested),
    }


def _check(report: Any) -> None:
    if not isinstance(report, AuditReport):
        raise TypeError(f"report must be an AuditReport, got {shown(report)}; make one with skhalfway.audit")


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(map(_plain, texts))


def _bullets(texts: Any) -> str:
    return "\n".join(f"- {_plain(text)}" for text in texts) or "This report has none."


def _findings(report: AuditReport) -> str:
    found = (f"**{a.severity}: {_plain(a.title)}.** {a.evidence} {a.action}" for a in report.findings)
    return "\n".join(f"{k}. {_plain(text)}" for k, text in enumerate(found, start=1)) or "Nothing was found."


def _rates(report: AuditReport) -> str:
    rows = [
        (ATTACKERS[t.kind], budget(t.eps, report.unit), share(t.fooled, t.n), f"{in_percent(t.noise_rate)} %")
        for t in report.threats
    ]
    head = ("Attacker", "Largest change", "Fools the model on (95 % interval)", "Random noise does on")
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell).replace('|', '/') for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text in one line, with HTML in names escaped."""
    return _TAG.sub("&lt;", " ".join(text.split()))


@dataclass(frozen=True)
class SkoreCheck(Record):
    """An audit as a check of skore; :func:`skore_check` makes it.

    It satisfies the protocol ``skore.Check`` without importing skore.

    Attributes
    ----------
    audit : AuditReport
        The audit.
    code, title : str
        Identifier and title of the check in skore.
    severity : {"issue", "tip"}
        Severity in skore if the check fails.
    report_types : list of str
        Types of skore reports that the check is for.
    docs_url : None
        The check has no page in skore's documentation.
    slow : bool
        Whether the check is slow. It is not, since the audit was made before.
    """

    audit: AuditReport
    severity: str = "issue"
    code: str = "SKH001"
    title: str = SECTION
    report_types: list[str] = field(default_factory=lambda: ["estimator"])
    docs_url: str | None = None
    slow: bool = False

    def check_function(self, report: Any) -> str | None:
        """Return the verdict of the audit.

        Parameters
        ----------
        report : skore.EstimatorReport
            The report that the check was added to.

        Returns
        -------
        text : str or None
            The verdict. None, which skore counts as passed, only if no attack did more than noise and there
            is no reason to doubt the figures.

        Raises
        ------
        ValueError
            If the audited model is of another type than the estimator of the report.
        """
        from skhalfway.report._run import kind_of

        audited, here = self.audit.kinds[self.audit.deployed], kind_of(report.estimator_)
        if audited != here:
            raise ValueError(f"the audit is of a {audited}, but the report is of a {here}; audit that model")
        found = self.audit.verdict.level != "nothing_found" or self.audit.partial
        return str(self.audit.verdict) if found else None


def skore_check(report: AuditReport, *, severity: str = "issue") -> SkoreCheck:
    """Make a check of skore from an audit.

    Parameters
    ----------
    report : AuditReport
        The audit of the estimator of a ``skore.EstimatorReport``.
    severity : {"issue", "tip"}, default="issue"
        Severity in skore if the model is exposed, or if that is not known.

    Returns
    -------
    check : SkoreCheck
        Check to pass to ``estimator_report.checks.add([check])``. ``estimator_report.checks.summarize()``
        then shows the verdict.

    Raises
    ------
    TypeError
        If ``report`` is not an :class:`~skhalfway.AuditReport`.
    ValueError
        If ``severity`` is neither of the two.

    See Also
    --------
    skops_section : The same for model cards of skops.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import audit
    >>> from skhalfway.report import skore_check
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> report = audit(models, X, y, deployed="lr", surrogates=None, eps=[0.5], parts=())
    >>> check = skore_check(report)
    >>> check.code, check.severity
    ('SKH001', 'issue')
    """
    _check(report)
    check_choice("severity", severity, ("issue", "tip"))
    return SkoreCheck(report, severity)
