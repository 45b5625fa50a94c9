"""Why a part of a report is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport


def why_missing(report: AuditReport, part: str) -> str:
    """A sentence, for the page."""
    why = report.left_out.get(part)
    if why is None:
        return f"This was not measured: it was not asked for (parts of the audit: {part!r})."
    end = "" if why.endswith((".", "!", "?")) else "."
    return f"This was not measured: {why}{end}"
