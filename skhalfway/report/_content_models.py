"""Models on a page: effect of retraining, predicted transfer, agreement, and check-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skhalfway._text import counted, short
from skhalfway.report._blocks import Block, Chart, Grid, Section, Series, Text, number_cell, rate_cell
from skhalfway.report._findings_checks import remedy
from skhalfway.report._missing import why_missing
from skhalfway.report._terms import explained
from skhalfway.report._words import budget, in_percent, listed, probability
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

MOST_ROWS = 20  # longer tables are folded
JUDGED = {
    "right": "clean samples",
    "own": "samples made on the model itself",
    "others": "samples made on the other models that fool it most",
}


def retraining(report: AuditReport) -> Section:
    """The deployed model before and after adversarial training."""
    title = "Effect of adversarial training"
    tried = report.retraining
    if tried is None:
        return Section("retraining", title, [Text(why_missing(report, "retraining"))])
    n = tried.right.shape[1]
    rows: list[list[str | Cell]] = []
    for of, said in JUDGED.items():
        held = getattr(tried, of)
        if held is not None:
            before, after = (rate_cell(int(count), n) for count in held.sum(axis=1))
            p = tried.p(of)
            rows.append([said, before, after, number_cell(p, probability(p))])
    blocks: list[Block] = [
        Text(
            f"A clone of {report.deployed} was trained on {counted(tried.n_rows, 'sample')}. A second clone "
            f"was trained on the same samples and as many adversarial examples of "
            f"{budget(tried.eps, report.unit)}. Both were then attacked anew, on the same "
            f"{counted(n, 'sample')}. The deployed model itself was not changed."
        )
    ]
    if tried.masked:
        doubt = "The gradients of the retrained model may be masked, so its figures may be too good."
        blocks.append(Text(doubt, notice=True))
    blocks.append(
        Grid(
            Table(
                "Share of the samples that are classified correctly",
                ["tested on", "before", "after adversarial training", "p (McNemar)"],
                rows,
                "With 95 % intervals, and counts.",
            ),
            sortable=False,
        )
    )
    if tried.others is None:
        blocks.append(Text("There were no other models whose samples it could be tested on."))
    blocks.append(explained("adversarial training", "McNemar's test"))
    return Section("retraining", title, blocks)


def predicted(report: AuditReport) -> Section:
    """Transfer that is predicted without attacks, and measured transfer."""
    title = "Transfer predicted without attacks"
    found = report.predicted
    if found is None:
        said = why_missing(report, "halfway")
        if report.agreement is not None:
            said = (
                "This was not measured: the prediction needs the norm L-infinity or L2, and no constraints."
            )
        return Section("predicted", title, [Text(said)])
    pairs = np.argwhere(found.known)
    rows: list[list[str | Cell]] = [
        [
            found.names[i],
            found.names[j],
            *(
                number_cell(float(figure), f"{in_percent(float(figure))} %")
                for figure in (found.predicted[i, j], found.measured[i, j])
            ),
        ]
        for i, j in pairs
    ]
    rho = found.correlation.overall
    how = "is not known (too few pairs, or all are equal)" if np.isnan(rho) else f"is {rho:.2f}"
    blocks: list[Block] = [
        Text(
            "Our own method predicts transfer between models without any attack, from predictions of the "
            "models alone. It ranks pairs of models; its rates are rough. Over these "
            f"{counted(len(pairs), 'pair')} the rank correlation (Spearman's rho) of prediction and "
            f"measurement {how}; 1 is the same order, 0 no relation. Rely on the measured rates."
        )
    ]
    if len(pairs):
        one, other = (matrix[found.known] for matrix in (found.predicted, found.measured))
        alternative = (
            f"{counted(len(pairs), 'point')}, one for each pair of source and target; predicted rates from "
            f"{in_percent(float(one.min()))} to {in_percent(float(one.max()))} %, measured ones from "
            f"{in_percent(float(other.min()))} to {in_percent(float(other.max()))} %. All are in the table."
        )
        blocks += [
            Chart(
                "Measured against predicted transfer; on the diagonal both are equal",
                alternative,
                "predicted rate",
                "measured rate",
                [Series("pair of source and target", one, other)],
                kind="points",
                square=True,
            ),
            Grid(
                Table(
                    "Predicted and measured transfer rates",
                    ["source", "target", "predicted", "measured"],
                    rows,
                    f"Within {budget(float(report.curve.eps[-1]), report.unit)}.",
                ),
                folded=len(rows) > MOST_ROWS,
            ),
        ]
    blocks.append(explained("transfer", "rank correlation"))
    return Section("predicted", title, blocks)


def agreement(report: AuditReport) -> Section:
    """Whether the models' decision boundaries lie at the same places."""
    title = "Halfway agreement of the models"
    found = report.agreement
    if found is None:
        return Section("agreement", title, [Text(why_missing(report, "halfway"))])
    values = found.agreement
    rows: list[list[str | Cell]] = []
    for i, name in enumerate(found.names):
        cells = [
            Cell(
                short(float(value)).strip(),
                shade=None if np.isnan(value) else max(float(value), 0.0),
                framed=i == j,
                order=-2.0 if np.isnan(value) else float(value),
            )
            for j, value in enumerate(values[i])
        ]
        rows.append([name, *cells])
    blocks: list[Block] = [
        Text(
            "Models that change their predictions at the same places between samples of two classes tend "
            "to be fooled by the same adversarial examples. 1: the places have the same order; 0: they are "
            "unrelated. This measure is our own formalisation; it rests on "
            f"{counted(len(found.pairs), 'path')} between samples of two classes."
        ),
        Grid(
            Table(
                "Halfway agreement of each pair of models",
                ["model", *found.names],
                rows,
                "Dashed frame: a model with itself.",
                centred=True,
            )
        ),
        explained("halfway agreement", "rank correlation"),
    ]
    return Section("agreement", title, blocks)


def checks(report: AuditReport) -> Section:
    """Findings of the check-ups, and models whose gradients may be masked."""
    curve = report.curve
    hidden = dict(zip(curve.sources, curve.masked, strict=True)) if curve.masked is not None else {}
    rows: list[list[str | Cell]] = []
    clean = []
    for name in curve.names:
        if hidden.get(name):
            rows.append(
                [
                    name,
                    "warning",
                    "masked gradients or random answers: other attacks fool it more often than its own",
                    "attack it without gradients ('hopskipjump' or 'square')",
                ]
            )
        check = curve.checks.get(name)
        found = () if check is None else check.findings
        rows += [[name, one.severity, one.message, remedy(report, one)] for one in found]
        if check is not None and not found and not hidden.get(name):
            clean.append(name)
    blocks: list[Block] = []
    if curve.masked is None:
        blocks.append(Text("Whether gradients are masked was not tested, or is not known."))
    elif not any(hidden.values()):
        blocks.append(
            Text(
                "There is no sign of masked gradients in any attacked model: on the same samples, no other "
                "attack succeeds significantly more often than the model's own."
            )
        )
    if rows:
        head = ["model", "severity", "what was seen", "what to do"]
        blocks.append(Grid(Table("Findings of the check-ups of the models", head, rows)))
    if clean:
        blocks.append(Text(f"The check-up found nothing in {listed(clean, len(clean))}."))
    unchecked = [name for name in curve.names if name not in curve.checks]
    if unchecked:
        blocks.append(Text(f"There was no check-up of {listed(unchecked, len(unchecked))}."))
    blocks.append(explained("check-up", "gradient masking"))
    return Section("checks", "Can the figures be trusted?", blocks)
