"""The first part of a page: the verdict and the findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from skhalfway.report._blocks import Block, Finding, Grid, Items, Section, Text, number_cell
from skhalfway.report._terms import explained
from skhalfway.report._verdict import doubts_about
from skhalfway.report._words import budget, in_percent, share
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

# colour of each verdict on the page
LEVELS = {"exposed": "bad", "exposed_to_owner": "some", "nothing_found": "none", "unknown": "unknown"}
# terms that findings of a kind use
OF_FINDINGS = {"leak": "label", "overlap": "reference", "constraints": "constraints"}
PARTIAL = (
    "Partial: the run was interrupted before all was measured. Missing parts are named below; the complete "
    "figures may be worse."
)
FIGURES = {
    "accuracy": "Accuracy on the clean samples",
    "robust_accuracy": "Robust accuracy: right on the clean sample and under every attack at every budget",
    "surrogate_rate": "Fooled by attackers with models of their own",
    "other_rate": "Fooled by attackers with one of the other models",
    "deployed_rate": "Fooled by attackers with the deployed model itself",
    "noise_rate": "Fooled by random noise of the same size",
}


def verdict(report: AuditReport) -> Section:
    """The verdict, the effect of noise, and what was not tested."""
    blocks: list[Block] = [Text(PARTIAL, notice=True)] if report.partial else []
    blocks += [Text(sentence) for sentence in report.verdict.sentences]
    blocks += _noise(report)
    largest = budget(float(report.curve.eps[-1]), report.unit)
    rows: list[list[str | Cell]] = []
    for name, said in FIGURES.items():
        if name in report.metrics:
            value = report.metrics[name]
            text = "not known" if np.isnan(value) else f"{in_percent(value)} %"
            rows.append([said, number_cell(value, text)])
    doubted = " The verdict says why these figures may be too good." if doubts_about(report) else ""
    blocks.append(
        Grid(
            Table(
                f"{report.deployed} in figures, at the largest budget of {largest}",
                ["figure", "share of samples"],
                rows,
                "Accuracies are shares of all samples. The other figures are shares of the samples that "
                f"count: see Threats by budget.{doubted}",
            ),
            sortable=False,
        )
    )
    blocks.append(Text("This audit does not cover:"))
    blocks.append(Items(report.not_tested or ["what the protocol below does not name."]))
    blocks.append(
        explained(
            "adversarial example", "budget", "standard deviation", "interval", "p-value", "robust accuracy"
        )
    )
    return Section("verdict", "Verdict", blocks)


def _noise(report: AuditReport) -> Iterator[Block]:
    counting = [threat for threat in report.threats if threat.n]
    if counting:
        most = max(counting, key=lambda threat: (threat.eps, threat.n))
        yield Text(
            f"For comparison: random noise within {budget(most.eps, report.unit)}, without any attacker, "
            f"fools {report.deployed} on {share(most.noise, most.n)} of these samples."
        )


def findings(report: AuditReport) -> Section:
    """Every finding with its evidence and advice."""
    blocks: list[Block] = [
        Finding(found.severity, found.title, found.evidence, found.action) for found in report.findings
    ]
    if not blocks:
        blocks = [
            Text(
                "There is no finding. That is no proof of safety: it only means that the attacks tried here, "
                "on these samples, showed nothing."
            )
        ]
    kinds = {found.kind for found in report.findings}
    terms = [term for kind, term in OF_FINDINGS.items() if kind in kinds]
    if terms:
        blocks.append(explained("attack", *terms))
    return Section("findings", "Findings", blocks)
