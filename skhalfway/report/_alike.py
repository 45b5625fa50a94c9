"""Whether two audits measured the same: which samples, by which attacks, and what one alone tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from skhalfway.report._threats import ATTACKERS
from skhalfway.report._words import budget, listed
from skhalfway.results._result import equal

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

# settings of the protocol that decide what an attacker can do
STRENGTH = ("attack", "valid range", "constraints")


def why_unpaired(before: AuditReport, after: AuditReport) -> str:
    """Why samples cannot be compared one by one; empty where they are the same."""
    one, other = (report.curve.matrices[0].outcomes for report in (before, after))
    assert one is not None and other is not None
    labels = [None if o.labels is None else o.classes[o.labels] for o in (one, other)]
    for what, mine, theirs in (
        ("how many they are", one.n_samples, other.n_samples),
        ("the names of their rows", one.sample_names, other.sample_names),
        ("their labels", labels[0], labels[1]),
    ):
        if not equal(mine, theirs):
            return (
                f"The samples are not the same ({what}), so that shares are compared as of different samples."
            )
    prints = one.fingerprints, other.fingerprints
    if prints[0] is None or prints[1] is None:
        return "Whether the samples are the same is not known, so that they are compared as different ones."
    n = int((prints[0] != prints[1]).sum())
    if n:
        many = f"{n} of the {one.n_samples} samples have other values"
        return f"{many}, so that all are compared as different ones."
    return ""


def apart(before: AuditReport, after: AuditReport) -> dict[str, tuple[str, str]]:
    """Settings that are not the same."""
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
    """What attackers of the first audit could do, and those of the second not, or in another way."""
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
