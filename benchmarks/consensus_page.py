"""The page of consensus.py: tables and a picture of what was measured."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from consensus_zoo import CONDITIONS, N_NETWORKS, SEEDS
from numpy.typing import NDArray
from run import table
from scipy.stats import kendalltau
from scipy.stats import t as student

Array = NDArray[np.float64]
NOISY, CLEAN = ("noise .2", "noise .4"), ("clean", "clean, 30 %")
COLUMNS = {"noisy, both": NOISY, "clean, both": CLEAN}
JURY, PEERS = "consensus: jury at halves", "consensus: peers at halves"
PUBLISHED = (
    "training accuracy", "mixup accuracy", "output margin", "margin / spectral norms", "margin / gradient",
    "margin in features", "parameter norm", "spectral product", "path norm", "flatness",
    "magnitude-aware flatness",
)  # fmt: skip
TRAININGS = {
    "5-fold cross-validation": "5",
    "a tenth held out": "1",
    "two seeds, halves": "1",
    "two seeds, new samples": "1",
}


class Results:
    """What was measured: arrays by (data set, seed, condition)."""

    def __init__(self, blocks: list[dict[str, Any]]) -> None:
        self.blocks: dict[Any, dict[str, Any]] = {(b["data"], b["seed"], b["condition"]): b for b in blocks}
        self.names = list(dict.fromkeys(b["data"] for b in blocks))
        self.measures = list(blocks[0]["measures"])

    def of(self, measure: str, *block: Any) -> tuple[Array, Array]:
        """Values of a measure and test errors, of all models of a (data set, seed, condition)."""
        b = self.blocks[block]
        values = np.array([np.nan if v is None else v for v in b["measures"][measure]])
        return values, np.array(b["test_error"])

    def mean(self, conditions: tuple[str, ...], figure: Any) -> Array:
        """``figure(name, seed, condition)`` averaged over conditions and seeds: one for each data set."""
        means = []
        for name in self.names:
            found = [figure(name, s, c) for s in SEEDS for c in conditions if (name, s, c) in self.blocks]
            means.append(np.mean(found) if found else np.nan)
        return np.array(means)

    def tau(self, measure: str, conditions: tuple[str, ...], rows: slice = slice(N_NETWORKS)) -> Array:
        return self.mean(conditions, lambda *at: tau(*(part[rows] for part in self.of(measure, *at))))

    def tau_of_trained(self, measure: str, conditions: tuple[str, ...]) -> Array:
        """Among networks that were trained for 60 epochs or more."""

        def figure(*at: Any) -> float:
            long = np.array([h["epochs"] > 20 for h in self.blocks[at]["hyper"]])
            return tau(*(part[:N_NETWORKS][long] for part in self.of(measure, *at)))

        return self.mean(conditions, figure)

    def overall(self, measure: str) -> Array:
        """Tau among networks of all four training sets together."""
        means = []
        for name in self.names:
            found = []
            for seed in SEEDS:
                if all((name, seed, c) in self.blocks for c in CONDITIONS):
                    parts = [self.of(measure, name, seed, c) for c in CONDITIONS]
                    found.append(tau(*(np.concatenate([p[k][:N_NETWORKS] for p in parts]) for k in (0, 1))))
            means.append(np.mean(found) if found else np.nan)
        return np.array(means)

    def excess(self, measure: str, conditions: tuple[str, ...]) -> Array:
        """Excess error, in points, of the model that a measure picks among all."""

        def figure(*at: Any) -> float:
            values, errors = self.of(measure, *at)
            best = values == np.nanmax(values)
            return float(100 * (errors[best].mean() - errors.min()))

        return self.mean(conditions, figure)

    def excess_of_the_jury(self, conditions: tuple[str, ...]) -> Array:
        return self.mean(
            conditions,
            lambda *at: 100 * (self.blocks[at]["jury_error"] - min(self.blocks[at]["test_error"])),
        )

    def excess_at_random(self, conditions: tuple[str, ...]) -> Array:
        def figure(*at: Any) -> float:
            errors = np.array(self.blocks[at]["test_error"])
            return float(100 * (errors.mean() - errors.min()))

        return self.mean(conditions, figure)


def tau(values: Array, errors: Array) -> float:
    """Kendall's tau-b with accuracy; 0 of what is the same for all."""
    known = ~np.isnan(values)
    found = kendalltau(values[known], -errors[known]).statistic if known.sum() > 2 else np.nan
    return 0.0 if np.isnan(found) else float(found)


def interval(values: Array) -> tuple[float, float, float]:
    """Mean over data sets, and Student's 95 % interval."""
    values = values[~np.isnan(values)]
    mean, n = float(values.mean()), len(values)
    half = student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return mean, mean - half, mean + half


def cell(values: Array, digits: int = 2) -> str:
    mean, low, high = interval(values)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def title(measure: str) -> str:
    return f"**{measure}**" if measure in (JURY, PEERS) else measure


def picks(results: Results) -> str:
    columns = COLUMNS | {c: (c,) for c in CONDITIONS}
    rows = [
        {"pick by": title(m), "trainings": TRAININGS.get(m, "0")}
        | {head: cell(results.excess(m, conditions), 1) for head, conditions in columns.items()}
        for m in results.measures
    ]
    rows.sort(key=lambda row: float(row["noisy, both"].split()[0]))
    for name, of in (
        ("*no pick: the jury itself*", results.excess_of_the_jury),
        ("*at random*", results.excess_at_random),
    ):
        rows.append({"pick by": name, "trainings": ""} | {h: cell(of(c), 1) for h, c in columns.items()})
    return table(rows)


def ranks(results: Results) -> str:
    columns = COLUMNS | {c: (c,) for c in CONDITIONS}
    rows = [
        {"measure": title(m)}
        | {head: cell(results.tau(m, conditions)) for head, conditions in columns.items()}
        | {"all four together": cell(results.overall(m))}
        for m in results.measures
    ]
    rows.sort(key=lambda row: -float(row["noisy, both"].split()[0]))
    return table(rows)


def others(results: Results) -> str:
    """Among networks that were trained longer, and among all 42 models."""
    everything, rows = slice(None), []
    for m in results.measures:
        row = {"measure": title(m)}
        row["noisy, networks of 60 epochs or more"] = cell(results.tau_of_trained(m, NOISY))
        row["clean, networks of 60 epochs or more"] = cell(results.tau_of_trained(m, CLEAN))
        known = not np.isnan(results.of(m, results.names[0], 0, "clean")[0]).any()
        row["noisy, all 42 models"] = cell(results.tau(m, NOISY, everything)) if known else ""
        row["clean, all 42 models"] = cell(results.tau(m, CLEAN, everything)) if known else ""
        rows.append(row)
    return table(rows)


def by_data(results: Results) -> str:
    shown = [JURY, PEERS, "5-fold cross-validation", "a tenth held out", "training accuracy", "halfway score"]
    rows = []
    for i, name in enumerate(results.names):
        row = {"data set": name}
        for m in shown:
            at = [results.tau(m, NOISY)[i], results.tau(m, CLEAN)[i]]
            points = [results.excess(m, NOISY)[i], results.excess(m, CLEAN)[i]]
            row[m] = f"{at[0]:.2f} / {at[1]:.2f}; {points[0]:.1f} / {points[1]:.1f}"
        rows.append(row)
    return table(rows)


def claims(results: Results) -> str:
    """The result of each claim, from the figures alone."""

    def apart(one: Array, other: Array, digits: int = 2) -> str:
        return cell(one - other, digits)

    cv, tenth = "5-fold cross-validation", "a tenth held out"
    taus = {m: results.tau(m, NOISY) for m in results.measures}
    ahead = {
        m: all(taus[ours].mean() > taus[m].mean() for ours in (JURY, PEERS))
        for m in (*PUBLISHED, "halfway score", cv)
    }
    behind = [m for m, each in ahead.items() if not each]
    clean = {m: results.tau(m, CLEAN) for m in (JURY, PEERS, cv)}
    picked = {m: results.excess(m, NOISY) for m in (JURY, cv, tenth)}
    overall = {m: results.overall(m) for m in (JURY, "leave-one-out k-NN")}
    training = taus["jury at training samples"]
    far = overall[JURY].mean() - overall["leave-one-out k-NN"].mean()
    second = all(clean[m].mean() <= clean[cv].mean() for m in (JURY, PEERS))
    third = all(picked[JURY].mean() <= picked[m].mean() for m in (cv, tenth))
    itself = {c: cell(results.excess_of_the_jury(c), 1) for c in (NOISY, CLEAN)}
    lines = [
        f"1. {verdict(not behind)} Tau under noise: jury {cell(taus[JURY])}, peers {cell(taus[PEERS])}, "
        f"cross-validation {cell(taus[cv])}; jury less cross-validation {apart(taus[JURY], taus[cv])}, peers "
        f"less cross-validation {apart(taus[PEERS], taus[cv])}. "
        f"Not behind both: {', '.join(behind) or 'none'}.",
        f"2. {verdict(second)} Tau with clean labels: jury {cell(clean[JURY])}, peers {cell(clean[PEERS])}, "
        f"cross-validation {cell(clean[cv])}.",
        f"3. {verdict(third)} Excess error of picks under noise, in points: jury {cell(picked[JURY], 1)}, "
        f"cross-validation {cell(picked[cv], 1)}, a tenth {cell(picked[tenth], 1)}; jury less "
        f"cross-validation {apart(picked[JURY], picked[cv], 1)}.",
        f"4. {verdict(far <= 0.1)} Over all four training sets: jury {cell(overall[JURY])}, leave-one-out "
        f"k-NN {cell(overall['leave-one-out k-NN'])}.",
        f"5. {verdict(taus[JURY].mean() > training.mean())} At halves {cell(taus[JURY])}, at training "
        f"samples {cell(training)}; difference {apart(taus[JURY], training)}.",
        afterwards(results),
        f"The test error of the jury is {itself[NOISY]} points above that of the best of the 42 models "
        f"under noise, and {itself[CLEAN]} with clean labels: below 0 it is better than any of them.",
    ]
    return "\n\n".join(lines)


def afterwards(results: Results) -> str:
    """What was asked after the run: differences of picks, and the same without the images."""
    rest = np.array([name != "textures" for name in results.names])
    lines = [
        "Asked after the run: differences of excess errors in points, with noisy labels; with clean labels; "
        "and both again without the textures:"
    ]
    for what, other in (
        ("jury at halves less a tenth held out", partial(results.excess, "a tenth held out")),
        ("jury at halves less 5-fold cross-validation", partial(results.excess, "5-fold cross-validation")),
        ("jury at halves less the jury itself", results.excess_of_the_jury),
    ):
        apart = [results.excess(JURY, c) - other(c) for c in (NOISY, CLEAN)]
        cells = [cell(values[rows], 1) for rows in (slice(None), rest) for values in apart]
        lines.append(f"- {what}: {'; '.join(cells)}")
    means = [cell(results.excess(m, NOISY)[rest], 1) for m in (JURY, "5-fold cross-validation")]
    lines.append(f"- excess errors without the textures, noisy: jury {means[0]}, cross-validation {means[1]}")
    return "\n".join([lines[0], "", *lines[1:]])


def verdict(held: bool) -> str:
    return "*Held.*" if held else "*Failed.*"


def picture(results: Results, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "consensus"
    import matplotlib.pyplot as plt

    measures = sorted(results.measures, key=lambda m: -results.excess(m, NOISY).mean())
    figure, axes = plt.subplots(1, 2, figsize=(11, 7), sharey=True, layout="constrained")
    rows = np.arange(len(measures))
    for ax, conditions, what in zip(axes, (NOISY, CLEAN), ("noisy labels", "clean labels"), strict=True):
        found = np.array([interval(results.excess(m, conditions)) for m in measures])
        ours = np.array([m in (JURY, PEERS) for m in measures])
        for chosen, colour in ((~ours, "0.45"), (ours, "tab:orange")):
            ax.errorbar(
                found[chosen, 0], rows[chosen], xerr=np.abs(found[chosen, 1:] - found[chosen, :1]).T,
                fmt="o", color=colour, capsize=2,
            )  # fmt: skip
        for values, style, label in (
            (results.excess_of_the_jury(conditions), "-", "the jury itself"),
            (results.excess_at_random(conditions), ":", "a pick at random"),
        ):
            ax.axvline(values.mean(), ls=style, color="tab:blue", label=label)
        ax.set(title=what, xlabel="excess error of the pick, in points (mean over data sets, 95 %)")
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(rows, measures)
    axes[0].legend(loc="upper right")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def write(blocks: list[dict[str, Any]], folder: Path) -> None:
    import consensus

    results = Results(blocks)
    picture(results, folder / "consensus.svg")
    wanted = len(results.names) * len(SEEDS) * len(CONDITIONS)
    minutes = sum(b["seconds"] for b in blocks) / 60
    sections = [
        "# Consensus: which measures pick a good model",
        (consensus.__doc__ or "").strip(),
        f"{len(blocks)} of {wanted} training sets of {len(results.names)} data sets are measured, in "
        f"{minutes:.0f} minutes of one core. In bold: consensus. Of the others, those on paths, at training "
        "samples and from votes at halves, the halfway score and the deviations are ours too. Intervals are "
        "over data sets. A claim is held or failed by its means alone.",
        "## Results of the claims",
        claims(results),
        "![Excess error of the model that each measure picks](consensus.svg)",
        "## Excess error of the model that is picked, in points",
        "*Trainings*: how often each model has to be trained again. Measures that only networks have pick "
        "among networks.",
        picks(results),
        "## Rank correlation with test accuracy, among the 32 networks of one training set",
        ranks(results),
        "## Among networks that were trained longer, and among all models",
        others(results),
        "## By data set",
        "Tau with noisy / clean labels; excess error of the pick, noisy / clean.",
        by_data(results),
    ]
    (folder / "consensus.md").write_text("\n\n".join(sections) + "\n")
