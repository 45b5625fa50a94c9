"""Rates on a page: threats by budget, every model against every other, and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skhalfway.report._blocks import Block, Chart, Grid, Section, Series, Text, number_cell, rate_cell
from skhalfway.report._findings import class_rates
from skhalfway.report._terms import explained
from skhalfway.report._threats import ATTACKERS, Threat
from skhalfway.report._words import UNITS, budget, in_percent, probability
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

SHORT = {
    "surrogate": "own models (surrogates)",
    "other": "one of the other models",
    "deployed": "the deployed model itself",
}


def threats(report: AuditReport) -> Section:
    """How often each kind of attacker fools the deployed model at each budget."""
    if not report.threats:
        said = "No attack was tried on the deployed model, so nothing is known about threats."
        return Section("threats", "Threats by budget", [Text(said)])
    kinds = list(dict.fromkeys(threat.kind for threat in report.threats))
    rows: list[list[str | Cell]] = [_row(report, threat) for threat in report.threats]
    blocks: list[Block] = [
        Text(
            f"How often {report.deployed} is fooled by {_alternatives(kinds)}. A sample counts if the "
            "deployed model and at least one of the attacked models classify it correctly. A sample that "
            "fools at a smaller budget counts as fooling at all larger ones."
        ),
        _curves(report, kinds),
        Grid(
            Table(
                f"How often {report.deployed} is fooled, by attacker and budget",
                ["attacker has", "budget", "fooled", "by random noise", "best single source", "beats noise"],
                rows,
                "Below each share: its 95 % interval, and how many of the samples that count fool. Beats "
                "noise: McNemar's test against noise, adjusted for all tests by Holm's method.",
            )
        ),
        explained("surrogate", "random noise", "interval", "McNemar's test", "Holm's method"),
    ]
    return Section("threats", "Threats by budget", blocks)


def _alternatives(kinds: list[str]) -> str:
    return ", or by ".join(ATTACKERS[kind] for kind in kinds)


def _row(report: AuditReport, threat: Threat) -> list[str | Cell]:
    best = rate_cell(threat.best_fooled, threat.best_n) if threat.best else Cell("none fools", order=-1.0)
    named = f"{threat.best}: {best.text}" if threat.best else best.text
    sure = "yes" if threat.beyond_noise else "no" if threat.n else "not known"
    return [
        SHORT[threat.kind],
        number_cell(threat.eps, budget(threat.eps, report.unit)),
        rate_cell(threat.fooled, threat.n),
        rate_cell(threat.noise, threat.n),
        Cell(named, best.ends, order=best.order),
        Cell(f"{sure}, {probability(threat.p)}", order=-1.0 if np.isnan(threat.p) else threat.p),
    ]


def _curves(report: AuditReport, kinds: list[str]) -> Chart:
    series, said = [], []
    for kind in kinds:
        mine = [threat for threat in report.threats if threat.kind == kind and threat.n]
        if mine:
            low, high = (np.array(ends) for ends in zip(*(threat.interval for threat in mine), strict=True))
            eps, rates = np.array([[threat.eps, threat.rate] for threat in mine]).T
            series.append(Series(SHORT[kind], eps, rates, low, high))
            ends = " to ".join(f"{in_percent(rate)} %" for rate in dict.fromkeys([rates[0], rates[-1]]))
            said.append(f"with {SHORT[kind]} {ends}")
    widest = max(kinds, key=lambda kind: max(t.n for t in report.threats if t.kind == kind))
    noise = [threat for threat in report.threats if threat.kind == widest and threat.n]
    if noise:
        eps, rates = np.array([[threat.eps, threat.noise_rate] for threat in noise]).T
        series.append(Series("random noise", eps, rates, dashed=True))
        said.append(f"random noise reaches {in_percent(rates[-1])} %")
    smallest, largest = (budget(float(report.curve.eps[k]), report.unit) for k in (1, -1))
    return Chart(
        "Share fooled against the budget, with 95 % intervals",
        f"Share of samples that fool, from {smallest} to {largest}: {'; '.join(said) or 'not known'}. "
        "All figures are in the table below.",
        f"budget ({UNITS[report.unit]})",
        "share fooled",
        series,
    )


def matrix(report: AuditReport) -> Section:
    """The models, and transfer between all of them at the largest budget."""
    curve = report.curve
    last = curve.matrices[-1]
    largest = budget(float(curve.eps[-1]), report.unit)
    rows: list[list[str | Cell]] = []
    for i, source in enumerate(curve.sources):
        row: list[str | Cell] = [f"{source} ({_role(report, source)})"]
        for j, target in enumerate(curve.targets):
            one = rate_cell(
                int(last.fooled[i, j]), int(last.eligible[i, j]), shade=True, framed=source == target
            )
            row.append(one)
        rows.append(row)
    failed = [f"{source} on {target}: {why}" for (source, target), why in last.failures.items()]
    blocks: list[Block] = [
        _models(report),
        Grid(
            Table(
                f"Transfer between all models within {largest}: share of samples that fool",
                [
                    "made on (source)",
                    *(f"tried on {name} ({_role(report, name)})" for name in curve.targets),
                ],
                rows,
                "Row: the model that the samples were made on. Column: the model that they were tried on. "
                "Dashed frame: attacks on the model itself. Darker: more samples fool. Here samples count as "
                "fooling at this budget only, not at smaller ones.",
                centred=True,
            )
        ),
    ]
    if failed:
        said = "Some pairs could not be measured, and their rates are not known: " + "; ".join(failed)
        blocks.append(Text(said, notice=True))
    blocks.append(explained("source and target", "transfer"))
    return Section("models", "The models, and transfer between them", blocks)


def _role(report: AuditReport, name: str) -> str:
    return report.roles[name]


def _models(report: AuditReport) -> Grid:
    curve, own = report.curve, report.surrogates
    first = curve.matrices[0].outcomes
    rows: list[list[str | Cell]] = []
    for k, name in enumerate(curve.names):
        what = own.descriptions.get(name, "") if own is not None else ""
        kind = f"{report.kinds[name]}: {what}" if what not in ("", report.kinds[name]) else report.kinds[name]
        accuracy: Cell = number_cell(float(curve.accuracy[k]), f"{in_percent(float(curve.accuracy[k]))} %")
        if first is not None and first.labels is not None:
            accuracy = rate_cell(int((first.clean[k] == first.labels).sum()), first.n_samples)
        rows.append([name, report.roles[name], kind, accuracy])
    return Grid(
        Table(
            "The models",
            ["model", "role", "kind", "accuracy"],
            rows,
            "Deployed: the audited model. Other: another given model. Surrogate: trained here, as an "
            "attacker would train it. Accuracy: on the clean samples, with its 95 % interval.",
        )
    )


def classes(report: AuditReport) -> Section:
    """How often samples of each class fool the deployed model."""
    rates = class_rates(report)
    if not rates:
        said = "There are no true labels, so rates by class are not known."
        return Section("classes", "By class", [Text(said)])
    rows: list[list[str | Cell]] = [[str(label), rate_cell(fooled, n)] for label, n, fooled in rates]
    apart = any(name != report.deployed for name in report.curve.sources)
    made = "models other than the deployed one" if apart else "the deployed model itself"
    blocks: list[Block] = [
        Grid(
            Table(
                f"How often {report.deployed} is fooled, by true class",
                ["class", "fooled"],
                rows,
                f"Within {budget(float(report.curve.eps[-1]), report.unit)}, by samples made on {made}. The "
                "class with the fewest samples is first.",
            )
        )
    ]
    return Section("classes", "By class, the rarest first", blocks)
