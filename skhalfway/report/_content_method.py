"""The last part of a page: warnings, missing parts, protocol, frameworks, glossary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skhalfway._text import counted
from skhalfway.report._blocks import Block, Code, Grid, Items, Section, Text, number_cell
from skhalfway.report._terms import TERMS, explained
from skhalfway.report._words import PART_NAMES
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

# framework and its part, what it asks for, where this page has evidence
FRAMEWORKS = (
    (
        "NIST AI RMF 1.0, Measure 1.1",
        "Metrics for the most significant risks are selected; risks that are not measured are documented",
        "Verdict (what the audit does not cover), Protocol",
    ),
    (
        "NIST AI RMF 1.0, Measure 2.3",
        "Performance is measured for conditions similar to those of deployment",
        "Threats by budget, Models (accuracy), Protocol (which samples)",
    ),
    (
        "NIST AI RMF 1.0, Measure 2.5",
        "The system is shown to be valid and reliable; limits of generalisation are documented",
        "Models (accuracy with intervals), Threats by budget (random noise), Verdict (what the audit "
        "does not cover)",
    ),
    (
        "NIST AI RMF 1.0, Measure 2.6",
        "The system is evaluated for safety risks",
        "Findings, Distance to the nearest adversarial example; consequences of a wrong prediction are not "
        "assessed here",
    ),
    (
        "NIST AI RMF 1.0, Measure 2.7",
        "Security and resilience are evaluated and documented",
        "Threats by budget, Models (transfer between them), The most exposed samples, Effect of adversarial "
        "training",
    ),
    (
        "EU AI Act, Article 15(1)",
        "An appropriate level of accuracy, robustness and cybersecurity",
        "Verdict (accuracy, robust accuracy), Threats by budget; which level is appropriate is not "
        "decided here",
    ),
    (
        "EU AI Act, Article 15(3)",
        "Levels of accuracy and the metrics are declared in the instructions of use",
        "Models (accuracy), Verdict (figures), Protocol",
    ),
    (
        "EU AI Act, Article 15(4)",
        "Resilience to errors, faults and inconsistencies",
        "Threats by budget (random noise), Can the figures be trusted?",
    ),
    (
        "EU AI Act, Article 15(5)",
        "Resilience against third parties who try to alter use, outputs or performance, for example by "
        "adversarial examples (model evasion)",
        "Threats by budget, Findings, Columns that the attack depends on; data poisoning, model poisoning "
        "and attacks on confidentiality are not measured",
    ),
)


def warned(report: AuditReport) -> Section:
    """Warnings of the measurements."""
    if not report.warnings:
        return Section("warnings", "Warnings", [Text("The measurements gave no warning.")])
    text = f"The measurements gave {counted(len(report.warnings), 'warning')}:"
    return Section("warnings", "Warnings", [Text(text), Items(report.warnings)])


def left_out(report: AuditReport) -> Section:
    """Missing parts, and the reasons."""
    if not report.left_out:
        said = "No requested part was left out."
        if report.partial:
            said = "The run was interrupted; no further part was left out."
        return Section("left-out", "What was left out, and why", [Text(said)])
    rows: list[list[str | Cell]] = [
        [PART_NAMES.get(part, part), why] for part, why in report.left_out.items()
    ]
    table = Table("Missing parts of the audit", ["part", "reason"], rows)
    return Section("left-out", "What was left out, and why", [Grid(table, sortable=False)])


def protocol(report: AuditReport) -> Section:
    """Protocol of the measurements, versions and run times."""
    rows: list[list[str | Cell]] = [[name, text] for name, text in report.protocol.items()]
    blocks: list[Block] = []
    if rows:
        table = Table("Settings that the figures depend on", ["setting", "value"], rows)
        blocks.append(Grid(table, sortable=False))
    origin = report.provenance
    if origin is not None:
        made: list[list[str | Cell]] = [[name, number] for name, number in origin.versions.items()]
        blocks.append(Grid(Table("Versions", ["package", "version"], made), sortable=False))
    if report.seconds:
        took: list[list[str | Cell]] = [
            [PART_NAMES.get(part, part), number_cell(time, f"{time:.1f}")]
            for part, time in report.seconds.items()
        ]
        total = "" if origin is None or origin.seconds is None else f"{origin.seconds:.1f} s in all."
        blocks.append(Grid(Table("Run time of each part", ["part", "seconds"], took, total)))
    if not blocks:
        return Section("protocol", "Protocol", [Text("The report does not say how it was measured.")])
    blocks.append(explained("gradient", "query", "norm", "reference", "constraints"))
    return Section("protocol", "Protocol", blocks)


def frameworks(report: AuditReport) -> Section:
    """Where the page has evidence for questions of two well-known frameworks."""
    rows: list[list[str | Cell]] = [list(row) for row in FRAMEWORKS]
    blocks: list[Block] = [
        Text("This is no claim of compliance. It tells where on this page to look for evidence."),
        Grid(
            Table(
                "Where to look for evidence on the questions of two frameworks",
                ["framework", "what it asks for, in short", "where to look"],
                rows,
                "NIST AI RMF: AI Risk Management Framework, NIST AI 100-1, function Measure. EU AI Act: "
                "Regulation (EU) 2024/1689; Article 15 is on high-risk systems.",
            ),
            sortable=False,
        ),
    ]
    return Section("frameworks", "Evidence for risk frameworks", blocks)


def glossary(report: AuditReport) -> Section:
    """Meanings of the terms."""
    rows: list[list[str | Cell]] = [[term, meaning] for term, meaning in sorted(TERMS.items())]
    table = Table("Terms of this page", ["term", "meaning"], rows)
    return Section("glossary", "Glossary", [Grid(table, sortable=False)])


def repeated(report: AuditReport) -> Section:
    """How to repeat the audit."""
    title = "Repeating this audit"
    if report.command:
        said = "This command repeats the audit, with the same data, models and versions:"
        return Section("repeat", title, [Text(said), Code(report.command)])
    blocks: list[Block] = [
        Text(
            "This audit was made in Python by skhalfway.audit(), with the settings of the protocol above. "
            "The same models, data, settings, seed and versions give the same figures."
        )
    ]
    origin = report.provenance
    if origin is not None and origin.settings:
        rows: list[list[str | Cell]] = [[name, _written(value)] for name, value in origin.settings.items()]
        blocks.append(Grid(Table("Settings of audit()", ["parameter", "value"], rows), sortable=False))
    return Section("repeat", title, blocks)


def _written(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
