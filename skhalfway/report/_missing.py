"""Reasons why parts of a report are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport


def why_missing(report: AuditReport, part: str) -> str:
    """Sentence for the page."""
    why = report.left_out.get(part)
    if why is None:
        return f"This was not measured: it was not requested (add {part!r} to the parts of the audit)."
    end = "" if why.endswith((".", "!", "?")) else "."
    return f"This was not measured: {why}{end}"
