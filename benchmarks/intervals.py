"""Whether intervals hold what they say: how often those of simulated experiments hold the truth.

    python benchmarks/intervals.py

makes intervals.md. Models are right, and are fooled, with probabilities of their own, which depend on how
hard a sample is: what pairs of models have in common. An interval of 95 % should hold the truth in 93 to 97 %
of the experiments; Wilson's, of counts, a little more or less often by the count. Numbers come from seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from run import table
from scipy.stats import norm as normal

from skhalfway import TransferMatrix
from skhalfway._intervals import SHARE, t_interval
from skhalfway.transfer import Outcomes, Robustness

N_EXPERIMENTS = 2000
LEVEL = 0.95


def made(
    rng: np.random.RandomState, n_models: int, n_samples: int, rate: float, shared: float
) -> tuple[TransferMatrix, NDArray[np.float64]]:
    """An experiment, and the true rates of its pairs: a latent normal of each pair and of each sample."""
    names = tuple(f"model {k}" for k in range(n_models))
    level = normal.ppf(
        np.clip(rate + 0.05 * np.arange(n_models**2).reshape(n_models, -1) / n_models**2, 0, 0.99)
    )
    hard = rng.standard_normal(n_samples)
    noise = rng.standard_normal((n_models, n_models, n_samples))
    fooled = np.sqrt(shared) * hard + np.sqrt(1 - shared) * noise < level[:, :, None]
    clean = (rng.uniform(size=(n_models, n_samples)) < 0.05).astype(int)
    zeros = np.zeros(n_samples, dtype=int)
    own = np.arange(n_models)
    outcomes = Outcomes(
        names,
        names,
        names,
        np.arange(2),
        zeros,
        clean,
        clean,
        fooled[own, own].astype(int),
        fooled.astype(int),
    )
    return TransferMatrix.of(outcomes), normal.cdf(level)


def held(
    interval: tuple[NDArray[np.float64], NDArray[np.float64]], truth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    low, high = interval
    return (np.asarray(low) <= truth) & (truth <= np.asarray(high))


def of_matrices(n_models: int, n_samples: int, rate: float, shared: float) -> dict[str, float]:
    """Coverage of each interval of a matrix, and of the difference of two."""
    counts = dict.fromkeys(("a rate", "all rates, each at 95 %", "all rates, simultaneous", "mean rate"), 0.0)
    counts |= dict.fromkeys(("difference of means", "equal cells called different"), 0.0)
    off = ~np.eye(n_models, dtype=bool)
    for seed in range(N_EXPERIMENTS):
        rng = np.random.RandomState(seed)
        matrix, truth = made(rng, n_models, n_samples, rate, shared)
        each = held(matrix.confidence_interval(LEVEL), truth)
        counts["a rate"] += each[off].mean()
        counts["all rates, each at 95 %"] += each.all()
        counts["all rates, simultaneous"] += held(
            matrix.confidence_interval(LEVEL, simultaneous=True), truth
        ).all()
        counts["mean rate"] += held(
            matrix.confidence_interval(LEVEL, of="mean_rate"), np.asarray(truth[off].mean())
        )
        if seed < N_EXPERIMENTS // 10:
            other, _ = made(rng, n_models, n_samples, rate, shared)
            compared = matrix.compare(other, LEVEL)
            counts["difference of means"] += held(compared.mean_interval, np.asarray(0.0))
            counts["equal cells called different"] += compared.significant.any()
    few = ("difference of means", "equal cells called different")
    return {
        name: count / (N_EXPERIMENTS // 10 if name in few else N_EXPERIMENTS)
        for name, count in counts.items()
    }


def of_robustness(n_samples: int, rate: float) -> float:
    """Coverage of the interval of robust accuracy."""
    n = 0
    for seed in range(N_EXPERIMENTS):
        rng = np.random.RandomState(seed)
        zeros = np.zeros(n_samples, dtype=int)
        answers = (rng.uniform(size=(2, n_samples)) > rate).astype(int)
        found = Robustness(("a", "b"), zeros, zeros, answers).confidence_interval(LEVEL)
        n += bool(held(found, np.asarray(rate**2)))
    return n / N_EXPERIMENTS


def of_repeats() -> Iterator[dict[str, str]]:
    """Coverage of the mean over repeats, by what the figures are; of intervals that are known."""
    draws: dict[str, tuple[Callable[[np.random.RandomState, int], NDArray[np.float64]], float]] = {
        "normal about .9, within 0 and 1": (lambda rng, n: rng.normal(0.9, 0.02, n).clip(0, 1), 0.9),
        "all or nothing, .5": (lambda rng, n: (rng.uniform(size=n) < 0.5).astype(float), 0.5),
        "skewed about .95 (beta, 3.8 and 0.2)": (lambda rng, n: rng.beta(3.8, 0.2, n), 0.95),
        "uniform": (lambda rng, n: rng.uniform(size=n), 0.5),
    }
    for name, (draw, truth) in draws.items():
        cells = {"figures": name}
        for n in (3, 5, 10, 30):
            known = good = 0
            for seed in range(N_EXPERIMENTS):
                low, high = t_interval(draw(np.random.RandomState(seed), n), LEVEL, limits=SHARE)
                known += not np.isnan(low)
                good += bool(low <= truth <= high)
            cells[f"{n} repeats"] = f"{good / known:.1%} ({known / N_EXPERIMENTS:.0%} known)"
        yield cells


def main() -> None:
    rows = []
    for n_models, n_samples, rate, shared in (
        (2, 100, 0.3, 0.5),
        (6, 100, 0.3, 0.5),
        (6, 100, 0.05, 0.5),
        (6, 500, 0.3, 0.9),
        (6, 500, 0.3, 0.0),
        (6, 30, 0.5, 0.5),
    ):
        head = {
            "models": str(n_models),
            "samples": str(n_samples),
            "rate": f"{rate:g}",
            "shared": f"{shared:g}",
        }
        found = of_matrices(n_models, n_samples, rate, shared)
        rows.append(head | {name: f"{value:.1%}" for name, value in found.items()})
        print(rows[-1], flush=True)
    robust = [
        {"samples": str(n), "accuracy": f"{r:g}", "robust accuracy": f"{of_robustness(n, r):.1%}"}
        for n in (50, 500)
        for r in (0.5, 0.9, 0.99)
    ]
    lines = ["# Intervals that hold what they say", "", "    python benchmarks/intervals.py", ""]
    lines += (__doc__ or "").splitlines()[4:7]
    lines += ["", "## Transfer matrices", ""]
    lines += [
        f"{N_EXPERIMENTS} experiments (a tenth of them for comparisons). *Shared*: how much of what decides"
    ]
    lines += [
        "whether a sample fools is the sample's own. *Equal cells called different* should be at most 5 %.",
        "",
    ]
    lines += [table(rows), "", "## Robust accuracy", "", table(robust), ""]
    lines += ["## Means over repeats", "", table(list(of_repeats())), ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
