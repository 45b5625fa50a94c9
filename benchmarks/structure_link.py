"""Whether a network's structure tells how well it generalises, and which networks are fooled together.

    python benchmarks/structure_link.py

measures what is not yet in structure_link.json, one training set after another, and writes structure_link.md.
Run consensus.py first: the best of its measures stand beside those of `skhalfway.structure`, of the same
networks.

Fixed before the first run, and not changed after it:

- Networks: the 32 of each training set of consensus_zoo.py, eight data sets, labels as they are and with a
  share of .2 changed, seed 0; they are trained again, as there.
- Measures: MEASURES, none of which sees a test sample. Topology and causal structure are of perceptrons only,
  which all networks but half of those on textures are.
- Outcomes: *accuracy* on test samples; *is fooled*, the mean rate at which the others' adversarial examples
  fool the network; *fools*, the mean rate at which its own fool the others (PGD in L-inf, eps .2 of
  standardised features, 100 test samples, of which those count that both networks get right); and of each two
  networks, how far they are *fooled together*: the mean of both rates.
- Figures: Kendall's tau-b of a measure with the first three, among networks of one training set; Spearman's
  correlation over pairs of being fooled together with minus the difference of the two networks' ranks in the
  measure. Means over data sets, with Student's 95 % intervals.
- Claims:
  1. No measure of structure ranks accuracy better, by the size of tau, than the jury at halves does, with
     clean labels or with wrong ones.
  2. Of all measures of structure, the relative Lipschitz number tells best, by the size of tau, which
     networks are fooled.
  3. No difference in a measure of structure tells which pairs are fooled together with a mean correlation
     above .3.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from consensus_page import cell, interval, tau
from consensus_zoo import DATA, N_NETWORKS, Data, load, networks, train, training_set
from joblib import delayed
from numpy.typing import NDArray
from resumed import plain, resumed
from run import table
from scipy.stats import rankdata, spearmanr
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.inspection import saddle_index
from skhalfway.structure import (
    causal_structure,
    connectivity,
    disentangle,
    lipschitz_number,
    network_topology,
    perturbation_stability,
)

HERE = Path(__file__).parent
RESULTS, CONSENSUS = HERE / "structure_link.json", HERE / "consensus.json"
CONDITIONS, SEED, EPS, N_ATTACKED = ("clean", "noise .2"), 0, 0.2, 100
BESIDE = (
    "consensus: jury at halves",
    "consensus: peers at halves",
    "5-fold cross-validation",
    "training accuracy",
    "mixup accuracy",
    "margin / spectral norms",
    "path norm",
    "magnitude-aware flatness",
)
RELATIVE = "Lipschitz number, relative"
OUTCOMES = ("accuracy", "is fooled", "fools", "fooled together")
Array = NDArray[Any]


class Seen:
    """A network, and what several measures share."""

    def __init__(self, module: nn.Sequential, hyper: dict[str, Any], X: Array, y: Array) -> None:
        self.module, self.hyper, self.X, self.y = module, hyper, X, y

    @cached_property
    def topology(self) -> Any:
        return network_topology(self.module, n_layers=min(3, self.hyper["depth"] + 1))

    @cached_property
    def causal(self) -> Any:
        return causal_structure(
            self.module,
            input_range=(-3, 3),
            n_samples=20_000,
            joint="never",
            correction="miller-madow",
            random_state=0,
        )

    @cached_property
    def saddle(self) -> Any:
        return saddle_index(self.module, self.X, self.y, n_probes=3, n_steps=200, random_state=0)

    @cached_property
    def attacked(self) -> Array:
        generator = AdversarialGenerator(self.module, eps=EPS, random_state=0).fit(self.X, self.y)
        return np.asarray(generator.generate(self.X, self.y))

    @cached_property
    def alike(self) -> float:
        """Mean similarity of the parts of two classes."""
        found = disentangle(self.module, self.X, self.y, random_state=0).similarity
        return float(found[~np.eye(len(found), dtype=bool)].mean())

    @property
    def dense(self) -> bool:
        return bool(self.hyper["family"] == "mlp")


MEASURES: dict[str, Callable[[Seen], float]] = {
    "loops": lambda one: one.topology.n_loops if one.dense else np.nan,
    "loops per neuron": lambda one: (
        one.topology.n_loops / sum(one.topology.n_neurons) if one.dense else np.nan
    ),
    "hull area of loops": lambda one: one.topology.hull_area if one.dense else np.nan,
    "sensitivity": lambda one: one.causal.sensitivity.sum() if one.dense else np.nan,
    "EI of parts": lambda one: one.causal.parts.sum() if one.dense else np.nan,
    "degeneracy": lambda one: one.causal.degeneracy("parts").sum() if one.dense else np.nan,
    "similarity of classes' parts": lambda one: one.alike,
    "saddle index": lambda one: one.saddle.index,
    "length of the gradient": lambda one: one.saddle.gradient_norm,
    "Lipschitz number, relative": lambda one: lipschitz_number(
        one.module, one.X, one.attacked, relative=True
    ),
    "Lipschitz number": lambda one: lipschitz_number(one.module, one.X, one.attacked),
    "stability": lambda one: perturbation_stability(one.module, one.X, one.attacked),
    "effective depth": lambda one: connectivity(one.module).depth,
}


def block(name: str, condition: str, n: int = N_NETWORKS, data: Data | None = None, seed: int = SEED) -> Any:
    """Outcomes and measures of the networks of a training set."""
    begin = time.time()
    torch.set_num_threads(1)
    data = load(name, seed) if data is None else data
    X, y = training_set(data, condition, seed)
    nets, values, accuracy = {}, {title: [] for title in MEASURES}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sources that are hardly fooled, and of pairs without samples
        for i, hyper in enumerate(list(networks(data, seed))[:n]):
            module = train(data, hyper, X, y, seed)
            nets[f"network {i}"] = module
            seen = Seen(module, hyper, X, y)
            for title, measure in MEASURES.items():
                values[title].append(float(measure(seen)))
            with torch.no_grad():
                said = module(torch.from_numpy(data.X_test)).argmax(dim=1).numpy()
            accuracy.append(float((said == data.y_test).mean()))
        rows = np.random.RandomState(seed).permutation(len(data.X_test))[:N_ATTACKED]
        scorer = TransferScorer(
            AdversarialGenerator(eps=EPS, max_iter=20), condition="both_correct", random_state=0
        )
        rates = np.array(scorer.fit(nets).transfer(data.X_test[rows], data.y_test[rows]).rates)
    return {
        "data": name,
        "condition": condition,
        "accuracy": [round(each, 5) for each in accuracy],
        "rates": [[plain(value) for value in row] for row in rates],
        "measures": {title: [plain(value) for value in each] for title, each in values.items()},
        "seconds": round(time.time() - begin),
    }


def measured(n_jobs: int) -> list[dict[str, Any]]:
    """All blocks; those that the file has are not measured again."""
    wanted = [(name, condition) for name in DATA for condition in CONDITIONS]
    return resumed({one: delayed(block)(*one) for one in wanted}, ("data", "condition"), RESULTS, n_jobs)


# ---- the page


def figures(values: Array, one: dict[str, Any]) -> dict[str, float]:
    """What a measure comes to on a training set, by outcome."""
    rates = np.array(one["rates"], dtype=float)
    np.fill_diagonal(rates, np.nan)
    falls, fools = np.nanmean(rates, axis=0), np.nanmean(rates, axis=1)
    known = ~np.isnan(values)
    ranks = np.full(len(values), np.nan)
    ranks[known] = rankdata(values[known])
    i, j = np.triu_indices(len(values), 1)
    together = (rates[i, j] + rates[j, i]) / 2
    there = ~np.isnan(together) & known[i] & known[j]
    near = -np.abs(ranks[i] - ranks[j])[there]
    varied = there.sum() > 2 and np.ptp(near) > 0 and np.ptp(together[there]) > 0
    return {
        "accuracy": tau(values, 1 - np.array(one["accuracy"])),
        "is fooled": tau(values, -falls),
        "fools": tau(values, -fools),
        "fooled together": float(spearmanr(near, together[there]).statistic) if varied else 0.0,
    }


def collected(blocks: list[dict[str, Any]]) -> dict[str, dict[tuple[str, str], Array]]:
    """Of each measure, by outcome and condition, a figure for each data set."""
    kept = json.loads(CONSENSUS.read_text()) if CONSENSUS.exists() else []
    beside = {(b["data"], b["condition"]): b for b in kept if b["seed"] == SEED}
    result: dict[str, dict[tuple[str, str], Array]] = {}
    for condition in CONDITIONS:
        some = [one for one in blocks if one["condition"] == condition]
        for title in (*MEASURES, *BESIDE):
            found = []
            for one in some:
                source = one if title in MEASURES else beside.get((one["data"], condition))
                if source is not None:
                    values = np.array(source["measures"][title][:N_NETWORKS], dtype=float)
                    found.append(figures(values, one))
            for outcome in OUTCOMES:
                result.setdefault(title, {})[outcome, condition] = np.array([each[outcome] for each in found])
    return result


def claims(found: dict[str, dict[tuple[str, str], Array]]) -> str:
    jury = found[BESIDE[0]]

    def mean(title: str, outcome: str, condition: str) -> float:
        return float(np.mean(found[title][outcome, condition]))

    better = [
        f"{title} ({condition}: {abs(mean(title, 'accuracy', condition)):.2f} against "
        f"{jury['accuracy', condition].mean():.2f})"
        for title in MEASURES
        for condition in CONDITIONS
        if abs(mean(title, "accuracy", condition)) > jury["accuracy", condition].mean()
    ]
    both = {t: abs(np.mean([mean(t, "is fooled", c) for c in CONDITIONS])) for t in MEASURES}
    best = max(both, key=lambda title: both[title])
    paired = [t for t in MEASURES if max(mean(t, "fooled together", c) for c in CONDITIONS) > 0.3]

    def line(what: str, exceptions: list[str]) -> str:
        return f"{what}: **" + (f"failed** for {'; '.join(exceptions)}." if exceptions else "held**.")

    lines = [
        line("No measure of structure ranks accuracy better than the jury at halves does", better),
        line(
            "The relative Lipschitz number tells best which networks are fooled",
            [best] if best != RELATIVE else [],
        )
        + f" Mean tau by size: {both[best]:.2f}.",
        line("No difference tells which pairs are fooled together with more than .3", paired),
    ]
    return "\n".join(f"{i}. {each}" for i, each in enumerate(lines, 1))


def write(blocks: list[dict[str, Any]]) -> None:
    found = collected(blocks)
    parts = ["# Structure beside generalisation and transfer", (__doc__ or "").split("\n\n", 1)[1].strip()]
    parts += ["## The claims", claims(found)]
    parts.append("![How well each measure ranks networks, with intervals](structure_link.svg)")
    picture(found)
    for condition in CONDITIONS:
        rows = []
        for title in (*MEASURES, *BESIDE):
            row = {"measure": title if title in MEASURES else f"*{title}*"}
            for outcome in OUTCOMES:
                values = found[title][outcome, condition]
                row[outcome] = cell(values) if len(values) else ""
            rows.append((np.abs(interval(found[title]["accuracy", condition])[0]), row))
        rows.sort(key=lambda each: -each[0])
        parts += [f"## Labels: {condition}", table([row for _, row in rows])]
    parts.append("Measures in italics are those of consensus.md; all others are of `skhalfway.structure`.")
    RESULTS.with_suffix(".md").write_text("\n\n".join(parts) + "\n")


def picture(found: dict[str, dict[tuple[str, str], Array]]) -> None:
    """How well each measure ranks accuracy and being fooled: means over data sets, with intervals."""
    titles = sorted(found, key=lambda title: abs(found[title]["accuracy", CONDITIONS[1]].mean()))
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 6.2), sharey=True, layout="constrained")
    wanted = {"accuracy": "ranks accuracy", "is fooled": "ranks being fooled by others' samples"}
    for ax, (outcome, says) in zip(axes, wanted.items(), strict=True):
        for move, condition, colour in zip((0.14, -0.14), CONDITIONS, ("C0", "C1"), strict=True):
            mean, low, high = np.array([interval(found[title][outcome, condition]) for title in titles]).T
            places = np.arange(len(titles)) + move
            label = f"labels: {condition}"
            ax.errorbar(
                mean, places, xerr=[mean - low, high - mean], fmt="o", ms=4, color=colour, label=label
            )
        ax.axvline(0, color="0.6", lw=0.8)
        ax.set(title=says, xlabel="Kendall's tau", xlim=(-1, 1))
        ax.spines[["top", "right"]].set_visible(False)
    names = [title if title in MEASURES else f"{title} (not of structure)" for title in titles]
    axes[0].set_yticks(range(len(titles)), names, fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(RESULTS.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    write(measured(options.jobs))


if __name__ == "__main__":
    # workers import what a module has; what __main__ has is pickled, which a cached_property cannot be
    import structure_link

    structure_link.main()
