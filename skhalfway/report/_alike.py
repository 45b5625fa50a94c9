"""Differences between two audits: their samples, settings and attackers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skhalfway.report._threats import ATTACKERS
from skhalfway.report._words import budget, listed
from skhalfway.results._result import equal

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

# settings of the protocol that limit an attacker
STRENGTH = ("attack", "valid range", "constraints")


def why_unpaired(before: AuditReport, after: AuditReport) -> str:
    """Reason why samples cannot be compared one by one; empty if both audits have the same samples."""
    one, other = (report.curve.matrices[0].outcomes for report in (before, after))
    assert one is not None and other is not None
    labels = [None if o.labels is None else o.classes[o.labels] for o in (one, other)]
    for what, mine, theirs in (
        ("numbers of samples", one.n_samples, other.n_samples),
        ("names of rows", one.sample_names, other.sample_names),
        ("labels", labels[0], labels[1]),
    ):
        if not equal(mine, theirs):
            return f"The audits have different samples ({what} differ), which are not compared one by one."
    prints = one.fingerprints, other.fingerprints
    if prints[0] is None or prints[1] is None:
        return "Whether the audits have the same samples is not known, so these are not compared one by one."
    n = int((prints[0] != prints[1]).sum())
    if n:
        many = f"{n} of the {one.n_samples} samples have other values in the second audit"
        return f"{many}, so samples are not compared one by one."
    return ""


def apart(before: AuditReport, after: AuditReport) -> dict[str, tuple[str, str]]:
    """Settings that differ, with both values."""
    keys = dict.fromkeys([*before.protocol, *after.protocol])
    own = {key: (before.protocol.get(key, "not said"), after.protocol.get(key, "not said")) for key in keys}
    for kind in ATTACKERS:
        names = tuple(
            ", ".join(name for name in report.curve.sources if report.roles[name] == kind) or "none"
            for report in (before, after)
        )
        own[f"attacked: {kind}"] = (names[0], names[1])
    return {key: pair for key, pair in own.items() if pair[0] != pair[1]}


def not_tried_again(before: AuditReport, after: AuditReport) -> Iterator[str]:
    """Attackers, budgets and settings of the first audit that the second one did not try."""
    differ = [key for key in apart(before, after) if key in STRENGTH]
    if differ:
        yield f"the second audit has another setting of {listed(differ)}"
    for kind, attacker in ATTACKERS.items():
        one, other = (_tried(report, kind) for report in (before, after))
        if one and not other:
            yield f"the second audit did not try {attacker}"
    first, second = ({float(eps) for eps in report.curve.eps[1:]} for report in (before, after))
    if gone := sorted(first - second):
        yield f"the second audit did not try {listed([budget(eps, before.unit) for eps in gone])}"
    gone_names = [name for name in _tried(before, "surrogate") if name not in after.curve.sources]
    if gone_names and _tried(after, "surrogate"):
        yield f"the second audit did not train {listed(gone_names)}"


def _tried(report: AuditReport, kind: str) -> list[str]:
    return [name for name in report.curve.sources if report.roles[name] == kind]
