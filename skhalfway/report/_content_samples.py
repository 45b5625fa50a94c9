"""Samples on a page: distances to adversarial examples, the most exposed samples, important columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import counted
from skhalfway.report._blocks import (
    Block,
    Card,
    Cards,
    Chart,
    Grid,
    Picture,
    Pictures,
    Section,
    Series,
    Text,
    number_cell,
    rate_cell,
)
from skhalfway.report._missing import why_missing
from skhalfway.report._terms import explained
from skhalfway.report._words import UNITS, budget, in_percent, share
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    from skhalfway.report._parts import ExposedSample, NearestSamples
    from skhalfway.report._report import AuditReport

MOST_ROWS = 30  # columns of the data that are shown
ATTACKS = {
    "tree": "a search over all parts of the space that the trees divide",
    "fmn": "fast minimum-norm attack, which follows the gradient of the model",
    "hopskipjump": "which asks the model for predictions only",
}
SHARES = (5, 25, 50, 75, 95)  # quantiles of NearestSamples.quantiles, in percent


def nearest(report: AuditReport) -> Section:
    """Distribution of the distances to the nearest adversarial example."""
    title = "Distance to the nearest adversarial example"
    found = report.nearest
    if found is None or not len(found.distances):
        said = why_missing(report, "nearest") if found is None else "No sample was attacked."
        return Section("nearest", title, [Text(said)])
    n = len(found.distances)
    bound = (
        "These distances are exact: no smaller change fools the model."
        if found.exact
        else "These distances are upper bounds: smaller changes that fool the model may exist."
    )
    missed = n - found.found
    how = f" ({ATTACKS[found.attack]})" if found.attack in ATTACKS else ""
    said = (
        f"The attack {found.attack}{how} searched for the smallest change that fools {report.deployed}, for "
    )
    said += f"{n} samples that it classifies correctly. It found one for {share(found.found, n)}. "
    said += f"For {missed} it found none, which does not mean that there is none. " if missed else ""
    rows: list[list[str | Cell]] = [
        [Cell(f"{part} %", order=part), _distance(value, report.unit)]
        for part, value in zip(SHARES, found.quantiles, strict=True)
    ]
    within: list[list[str | Cell]] = [
        [
            number_cell(float(eps), budget(float(eps), report.unit)),
            rate_cell(int((found.distances <= eps).sum()), n),
        ]
        for eps in report.curve.eps[1:]
    ]
    blocks: list[Block] = [
        Text(said + bound),
        _steps(report, found),
        Grid(
            Table(
                "Quantiles of the distance",
                ["of the samples", "are fooled by a change of at most"],
                rows,
                "A smaller distance means that the model is fooled more easily.",
            ),
            sortable=False,
        ),
        Grid(Table("Share that is fooled within each budget", ["budget", "share"], within), sortable=False),
        explained("norm", "upper bound"),
    ]
    return Section("nearest", title, blocks)


def _distance(value: float, unit: str) -> Cell:
    return Cell("not found" if np.isinf(value) else budget(float(f"{value:.3g}"), unit), order=float(value))


def _steps(report: AuditReport, found: NearestSamples) -> Chart:
    known = np.sort(found.distances[np.isfinite(found.distances)])
    x = np.concatenate([[0.0], known])
    y = np.arange(len(x)) / len(found.distances)
    middle = _distance(float(found.quantiles[2]), report.unit).text
    return Chart(
        "Share of samples that a change of at most this size fools",
        f"The share rises from 0 to {in_percent(float(y[-1]))} % of "
        f"{counted(len(found.distances), 'sample')}; "
        f"the median distance is: {middle}. Quantiles are in the table below.",
        f"size of the change ({UNITS[report.unit]})",
        "share fooled",
        [Series("samples", x, y)],
        kind="steps",
    )


def exposed(report: AuditReport) -> Section:
    """The samples that fool at the smallest budgets, before and after the attack."""
    title = "The most exposed samples"
    if not report.exposed:
        none = "No sample fooled the deployed model when the samples were attacked again."
        said = none if _was_measured(report) else why_missing(report, "exposed")
        return Section("exposed", title, [Text(said)])
    n_sources = sum(name != report.deployed for name in report.curve.sources)
    pictures = any(one.before is not None for one in report.exposed)
    limits, change = _limits(report.exposed)
    cards = []
    for one in report.exposed:
        said = (
            f"Made on {one.source} within {budget(one.eps, report.unit)}. At the largest budget it fools "
            f"{report.deployed} when made on {one.fooled_by} of {counted(n_sources, 'model')}."
        )
        blocks: list[Block] = [Text(said)]
        if one.before is not None and one.after is not None:
            blocks.append(_pictures(one, limits, change))
        else:
            blocks.append(_changes(report, one))
        cards.append(Card(f"Sample {one.name}: {one.label} is predicted as {one.answer}", blocks))
    text = (
        "These samples fool the deployed model at the smallest budgets, when they are made on other models. "
        "Consider whether such changes could happen, or be made, where your data comes from."
    )
    if names := report.protocol.get("names of samples"):
        text += f" Samples are called by their {names}."
    if pictures:
        text += (
            f" Black is {limits[0]:.4g} and white {limits[1]:.4g}. In the differences red is an increase and "
            f"blue a decrease; the strongest colour is a change of {change:.3g}."
        )
    return Section("exposed", title, [Text(text), Cards(cards)])


def _was_measured(report: AuditReport) -> bool:
    return "exposed" not in report.left_out and "exposed" in report.seconds


def _limits(samples: tuple[ExposedSample, ...]) -> tuple[tuple[float, float], float]:
    """Least and largest value of all pictures, and the largest change."""
    pairs = [(one.before, one.after) for one in samples if one.before is not None and one.after is not None]
    if not pairs:
        return (0.0, 1.0), 0.0
    values = [float(end) for pair in pairs for one in pair for end in (one.min(), one.max())]
    change = max(float(np.abs(after - before).max()) for before, after in pairs)
    return (min(values), max(values)), change


def _pictures(one: ExposedSample, limits: tuple[float, float], change: float) -> Block:
    assert one.before is not None and one.after is not None
    before, after = _as_image(one.before), _as_image(one.after)
    if before is None or after is None:
        return Text(
            f"Samples of shape {one.before.shape} are not images of one or three channels, and are not "
            "drawn; to_json has their values."
        )
    return Pictures(
        [
            Picture(before, f"Sample {one.name} before, predicted as {one.label}", "before", limits),
            Picture(after, f"Sample {one.name} after, predicted as {one.answer}", "after", limits),
            Picture(
                after - before,
                f"Changes of sample {one.name}: at most {np.abs(after - before).max():.3g} per value",
                "difference",
                (-change, change),
                difference=True,
            ),
        ]
    )


def _as_image(array: NDArray[Any]) -> NDArray[np.float64] | None:
    """Image with channels last, and without their axis if there is one; None if it is no image."""
    values = np.asarray(array, dtype=float)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    elif values.ndim == 3 and values.shape[0] == 3:
        values = np.moveaxis(values, 0, -1)
    elif values.ndim != 2:
        return None
    return values


def _changes(report: AuditReport, one: ExposedSample) -> Block:
    rows: list[list[str | Cell]] = []
    for name, before, after in one.changes:
        old, new, change = in_units(before, after)
        rows.append(
            [name, number_cell(before, old), number_cell(after, new), number_cell(after - before, change)]
        )
    if not rows:
        return Text("The changed columns are not known.")
    return Grid(
        Table(
            f"Sample {one.name}: the columns that were changed most",
            ["column", "before", "after", "change"],
            rows,
            "In the units of the data.",
        ),
        sortable=False,
    )


def in_units(before: float, after: float) -> tuple[str, str, str]:
    """A value before and after, and the change, with enough digits to show the difference."""
    change = after - before
    if not np.isfinite(change) or change == 0:
        return f"{before:g}", f"{after:g}", f"{change:g}"
    places = 1 - int(np.floor(np.log10(abs(change))))
    if places > 8 or max(abs(before), abs(after)) >= 1e12:
        return f"{before:.6g}", f"{after:.6g}", f"{change:+.2g}"
    places = max(places, 0)
    return f"{before:,.{places}f}", f"{after:,.{places}f}", f"{change:+,.{places}f}"


def columns(report: AuditReport) -> Section:
    """Columns that the attack on the deployed model depends on."""
    title = "Columns that the attack depends on"
    found = report.columns
    if found is None:
        return Section("columns", title, [Text(why_missing(report, "columns"))])
    attacked = f"{report.deployed} itself was attacked within {budget(found.eps, report.unit)}, on "
    attacked += f"{counted(found.n_samples, 'sample')} that it classifies correctly. "
    if not found.n_fooled:
        return Section(
            "columns", title, [Text(attacked + "None of them fooled it, so there is no attack to explain.")]
        )
    rows: list[list[str | Cell]] = []
    for name, part, weight in list(zip(found.names, found.shares, found.weights, strict=True))[:MOST_ROWS]:
        kept = found.frozen.get(name)
        left = Cell("not tried", order=-1.0) if kept is None else rate_cell(kept, found.n_samples)
        taken = number_cell(float(part), f"{in_percent(float(part))} %")
        rows.append([name, number_cell(float(weight), f"{in_percent(float(weight))} %"), taken, left])
    blocks: list[Block] = [
        Text(
            f"{attacked}{share(found.n_fooled, found.n_samples)} of them fooled it. In these, the columns "
            "got their changed values one after the other, in random orders. The column that changes the "
            "prediction decides."
        ),
        Grid(
            Table(
                "Columns, those that decide most often first",
                ["column", "decides", "share of the changes", "fooled if it must not change"],
                rows,
                "Decides: share of orders and samples in which the column decides (the power index of "
                "Shapley and Shubik). Share of the changes: share of their total size, in the unit of the "
                "budget; all shares add up to 100 %. Last column: the attack was repeated with this column "
                "frozen.",
            )
        ),
    ]
    more = len(found.names) - len(rows)
    if more > 0:
        rest = in_percent(float(found.shares[len(rows) :].sum()))
        blocks.append(Text(f"{counted(more, 'more column')} with {rest} % of the changes: see to_json."))
    if found.frozen_all is not None:
        blocks.append(
            Text(
                f"If none of these {len(found.frozen)} columns may change, "
                f"{share(found.frozen_all, found.n_samples)} fool it: {', '.join(found.frozen)}."
            )
        )
    return Section("columns", title, blocks)
