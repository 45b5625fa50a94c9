"""The page of an audit: its sections in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skhalfway._text import counted
from skhalfway.report._blocks import Page
from skhalfway.report._content_method import (
    frameworks,
    glossary,
    left_out,
    protocol,
    repeated,
    warned,
)
from skhalfway.report._content_models import agreement, checks, predicted, retraining
from skhalfway.report._content_outcome import LEVELS, findings, verdict
from skhalfway.report._content_rates import classes, matrix, threats
from skhalfway.report._content_samples import columns, exposed, nearest

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

SECTIONS = (
    verdict,
    findings,
    threats,
    matrix,
    classes,
    nearest,
    exposed,
    columns,
    retraining,
    predicted,
    agreement,
    checks,
    warned,
    left_out,
    protocol,
    frameworks,
    glossary,
    repeated,
)


def content_of(report: AuditReport) -> Page:
    """The page of a report."""
    partial = " (partial)" if report.partial else ""
    return Page(
        f"Audit of {report.deployed}{partial}",
        LEVELS[report.verdict.level],
        report.verdict.headline,
        [section(report) for section in SECTIONS],
        f"Audit of {counted(len(report.curve.names), 'model')} on "
        f"{counted(report.curve.n_samples, 'sample')} by skhalfway. Its figures hold for these samples and "
        "these attacks; stronger attacks can only find more.",
    )
