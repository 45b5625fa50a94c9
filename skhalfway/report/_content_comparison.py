"""The page of a comparison of two audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skhalfway.report._blocks import (
    Block,
    Chart,
    Grid,
    Items,
    Page,
    Section,
    Series,
    Text,
    number_cell,
    rate_cell,
)
from skhalfway.report._content_rates import SHORT
from skhalfway.report._terms import explained
from skhalfway.report._words import UNITS, budget, in_percent, probability
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._comparison import AuditComparison, ShareChange

LEVELS = {"worse": "bad", "mixed": "bad", "better": "none", "same": "unknown", "doubtful": "unknown"}
KINDS = {
    **SHORT,
    "accuracy": "accuracy on the clean samples",
    "robust_accuracy": "robust accuracy",
}
STATES = {
    "gone": "no longer found",
    "new": "new",
    "stayed": "found in both",
    "unknown": "looked for in one audit only",
}


def content_of_comparison(found: AuditComparison) -> Page:
    """The page of a comparison."""
    before, after = found.deployed
    named = before if before == after else f"{before} and {after}"
    return Page(
        f"Two audits of {named} compared",
        LEVELS[found.level],
        found.headline,
        [_verdict(found), _threats(found), _accuracies(found), _findings(found), _apart(found)],
        "Comparison of two audits by skhalfway. It does not cover attacks that neither of them tried.",
    )


def _verdict(found: AuditComparison) -> Section:
    before, after = found.deployed
    blocks: list[Block] = []
    if found.doubts:
        said = f"The figures of the second audit may be too good: {'; '.join(found.doubts)}."
        blocks.append(Text(said, notice=True))
    blocks.append(Text(f"Before, {before}: {found.verdicts[0]}. After, {after}: {found.verdicts[1]}."))
    sentences = [_sentence(found, one) for one in found.threats if one.beyond_chance]
    if sentences:
        blocks += [Text("Significant differences:"), Items(sentences)]
    else:
        blocks.append(Text("No share of samples that fool differs significantly."))
        blocks.append(Text("Small differences may not be visible in few samples."))
    how = "Both audits attacked the same samples, which are compared one by one (McNemar's exact test)."
    if found.unpaired:
        how = f"{found.unpaired} Shares are compared by Fisher's exact test."
    blocks += [Text(how), explained("p-value", "McNemar's test", "Fisher's exact test", "Holm's method")]
    return Section("verdict", "Verdict", blocks)


def _sentence(found: AuditComparison, one: ShareChange) -> str:
    before, after = (in_percent(part / whole) if whole else "-" for part, whole in (one.before, one.after))
    return (
        f"An attacker who has {KINDS[one.kind]} fools it {'more' if one.difference > 0 else 'less'} often "
        f"within {budget(one.eps, found.unit)}: before {before} %, after {after} % ({probability(one.p)})."
    )


def _row(found: AuditComparison, one: ShareChange) -> list[str | Cell]:
    low, high = (f"{100 * end:+.0f}" for end in one.interval)
    known = not np.isnan(one.difference)
    points = Cell(
        f"{100 * one.difference:+.0f} points" if known else "not known",
        f"{low} to {high}" if known else "",
        order=one.difference if known else -2.0,
    )
    where = [] if np.isnan(one.eps) else [number_cell(one.eps, budget(one.eps, found.unit))]
    p = number_cell(one.p, probability(one.p))
    return [KINDS[one.kind], *where, rate_cell(*one.before), rate_cell(*one.after), points, p]


HOW = (
    "Shares with 95 % intervals and counts. Difference: after minus before, in percentage points, with "
    "Newcombe's 95 % interval"
)


def _threats(found: AuditComparison) -> Section:
    blocks: list[Block] = []
    for kind in dict.fromkeys(one.kind for one in found.threats):
        blocks.append(_chart(found, [one for one in found.threats if one.kind == kind]))
    over = "; over the samples that count in both audits." if not found.unpaired else "."
    blocks.append(
        Grid(
            Table(
                "How often the model is fooled, before and after",
                ["attacker has", "budget", "before", "after", "difference", "p, adjusted"],
                [_row(found, one) for one in found.threats],
                HOW + over,
            )
        )
    )
    return Section("threats", "Threats by budget", blocks)


def _chart(found: AuditComparison, changes: list[ShareChange]) -> Chart:
    series, said = [], []
    for name, pairs in (
        ("before", [one.before for one in changes]),
        ("after", [one.after for one in changes]),
    ):
        points = [(one.eps, part / whole) for one, (part, whole) in zip(changes, pairs, strict=True) if whole]
        if points:
            eps, rates = np.array(points).T
            series.append(Series(name, eps, rates, dashed=name == "before"))
            said.append(f"{name} {', '.join(f'{in_percent(rate)} %' for rate in rates)}")
    budgets = ", ".join(budget(one.eps, found.unit) for one in changes)
    return Chart(
        f"Share fooled by an attacker who has {KINDS[changes[0].kind]}",
        f"At budgets of {budgets}: {'; '.join(said) or 'not known'}.",
        f"budget ({UNITS[found.unit]})",
        "share fooled",
        series,
    )


def _accuracies(found: AuditComparison) -> Section:
    title = "Accuracy"
    if not found.accuracies:
        return Section("accuracy", title, [Text("There are no true labels, so accuracies are not known.")])
    table = Table(
        "Accuracies before and after",
        ["figure", "before", "after", "difference", "p"],
        [_row(found, one) for one in found.accuracies],
        f"{HOW}. p is not adjusted.",
    )
    return Section("accuracy", title, [Grid(table, sortable=False), explained("robust accuracy")])


def _findings(found: AuditComparison) -> Section:
    if not found.findings:
        return Section("findings", "Findings", [Text("Neither audit has a finding.")])
    rows: list[list[str | Cell]] = [[title, STATES[state]] for title, state in found.findings]
    said = "A finding may also be gone because of other settings or fewer samples: see below."
    grid = Grid(Table("Findings of both audits", ["finding", "state"], rows, said))
    return Section("findings", "Findings", [grid])


def _apart(found: AuditComparison) -> Section:
    title = "Differences between the two measurements"
    if not found.apart:
        return Section(
            "apart", title, [Text("Both audits have the same protocol and the same attacked models.")]
        )
    rows: list[list[str | Cell]] = [[key, *pair] for key, pair in found.apart.items()]
    said = "These settings may be the cause of different shares."
    grid = Grid(Table("Settings that differ", ["setting", "before", "after"], rows, said), sortable=False)
    return Section("apart", title, [grid])
