"""Findings of the check-ups of models, with what an audit can do about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skhalfway.attacks._queries import BEGIN_AT
from skhalfway.report._advice import Advice
from skhalfway.report._findings_data import called
from skhalfway.report._useless import useless

if TYPE_CHECKING:
    from skhalfway.models import Finding
    from skhalfway.report._report import AuditReport


def check_findings(report: AuditReport) -> Iterator[Advice]:
    """One finding for each model whose check-up warns, with all its warnings."""
    for name, check in report.curve.checks.items():
        found = [one for one in check.warnings if not _said_elsewhere(report, name, one)]
        if found:
            yield Advice(
                "check",
                "note" if report.roles[name] == "surrogate" else "medium",
                f"The check-up of {name} warns",
                " ".join(_sentence(one.message) for one in found),
                " ".join(dict.fromkeys(_sentence(remedy(report, one)) for one in found)),
            )


def useless_finding(report: AuditReport) -> Iterator[Advice]:
    """A deployed model that is hardly better than one answer for all samples."""
    found = useless(report)
    if found is not None:
        yield Advice(
            "check",
            "medium",
            f"{report.deployed} is hardly better than one answer for all samples",
            f"{found.said(report.deployed)}. A model that hardly uses its input seems robust, since "
            "nothing changes its answers.",
            "Check that the samples are prepared and the labels are coded as in its training, and that it "
            "was trained. Choose a model that tells the classes apart before its robustness is measured.",
        )


def remedy(report: AuditReport, found: Finding) -> str:
    """What to do about a warning, with the options of an audit in place of those of a generator."""
    if found.advice != BEGIN_AT:
        return found.advice
    telling = () if report.data is None else report.data.telling
    if held := list(dict.fromkeys(name for one in telling for name in one.names)):
        decide = "decides" if len(held) == 1 else "decide"
        return (
            f"see the finding on {called(held)}: it may be the cause, as no attack changes what {decide} here"
        )
    bounds, larger = ("--clip-values", "--eps") if report.command else ("clip_values", "eps")
    return (
        "pass a reference that holds samples to which the model gives each of its answers, larger budgets "
        f"({larger}), or a wider valid range ({bounds})"
    )


def _said_elsewhere(report: AuditReport, name: str, found: Finding) -> bool:
    """Whether a finding on masked gradients says the same."""
    if found.kind not in ("gradient", "attack") or report.curve.masked is None:
        return False
    return bool(dict(zip(report.curve.sources, report.curve.masked, strict=True)).get(name))


def _sentence(text: str) -> str:
    if "=" in text.split()[0]:  # a parameter keeps its name
        return f"{text}."
    return f"{text[0].upper()}{text[1:]}."
