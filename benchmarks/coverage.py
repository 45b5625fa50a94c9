"""Whether intervals hold what they say: how often those of simulated experiments hold the truth.

    python benchmarks/coverage.py

makes coverage.md. An interval of 95 % should hold the truth in 93 to 97 % of the experiments; where it does
not, its docstring says what it does. A share of 95 % of 1,000 experiments has a standard error of 0.7 %, of
400 experiments one of 1.1 %. All numbers are drawn from seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from run import table
from scipy.stats import norm as normal

from skhalfway import TransferMatrix
from skhalfway._intervals import POSITIVE, SHARE, percentile_interval, t_interval
from skhalfway.boundaries._nearest import nearest_other
from skhalfway.halfway import HalfwayMeasurement
from skhalfway.halfway._halves import neighbour_pairs, peers_credit
from skhalfway.transfer import Outcomes, Robustness

N_EXPERIMENTS, N_HALFWAY = 1000, 400
LEVEL = 0.95
MATRICES = """\
Models are right, and are fooled, with probabilities of their own, which depend on how hard a sample is:
what pairs of models have in common. 1,000 experiments (a tenth of them for comparisons). *Shared*: how
much of what decides whether a sample fools is the sample's own. *Equal cells called different* should be
at most 5 %. Wilson's intervals, of counts, are a little longer or shorter by the count."""
HALFWAY = """\
400 experiments, in each of which samples are drawn anew; the three models, with curved boundaries, stay.
Random pairs: the truth is the population's. Nearest ones: what the figure is on average over draws of as
many samples. *Heavy tails*: samples lie at widely different distances from the boundary. *Own*: most of a
crossing is the pair's own, and nothing that its samples share with other pairs.

Drawing **pairs** again, as was done before, forgets that they share samples. Drawing **samples** again, a
pair with the product of their weights, counts what is the pair's own three times: with random pairs it
holds too often, the more so the fewer pairs a sample is in. So the intervals are from what each sample
moves, less what is counted twice; the arithmetic is in `skhalfway/halfway/_over_samples.py`. Of 30
samples, other choices held less: one degree of freedom less than there are samples, in place of those by
which the squares vary, 88 to 94 %; no correction for a sample's own weight besides, 86 to 91 %; no
transformation besides, 85 to 89 %."""
CONSENSUS = """\
Samples are drawn anew in each of 400 experiments, five linear models stay: the interval of the best of
them, of one that is worse, and of a bad one; in brackets, what its consensus is on average over draws of
as many samples. Intervals are on the safe side: a sample that is drawn instead of another takes the place
of others as a neighbour, which they do not know. So is a bootstrap that draws **samples** again, a half
with the product of their weights; one with the sum of the weights would be too short by a third."""
REPEATS = """\
4,000 experiments. Over seeds: the truth is the mean of the distribution that repeats are drawn from. From
10 repeats on the bootstrap-t makes intervals longer where repeats are skewed. Plain Student's intervals
leave the range of figures, and with three repeats hold 69 to 94 %. Nothing that we found holds 95 % for
three to five repeats of which most are 1, or for the heaviest tails, without being useless for all others
(a prior that mixes in half of a repeat at .5 does for the one, and holds 0 % for five of `beta(500, 3)`)."""
TESTED = """\
1,000 experiments. The truth is the share over seeds **and** test samples, which are the same for all
repeats of an experiment. *Shared*: how much of what decides whether a sample is right is the sample's
own; in practice, most. In brackets: intervals over seeds alone, which know nothing of other test samples."""


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


WEIGHTS = np.array([[1, 0, 0, 0], [1, 0.5, 0, 0], [0.8, 0, 0.6, 0.3]])
FIGURES = ("deviation", "boundary_distance", "agreement", "mean_agreement")


def decisions(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """What three models with curved boundaries say, (n_models, n_samples): class 1 above 0."""
    bent = np.stack([X[:, 1] ** 2 - 1, X[:, 2] ** 2 - 1, X[:, 1] * X[:, 2]])
    return WEIGHTS @ X.T + 0.35 * bent


def measured(rng: np.random.RandomState, n: int, n_pairs: int, kind: str) -> HalfwayMeasurement:
    """Crossings of three fixed models between samples of two clouds, which are drawn.

    ``kind``: "random" or "nearest" pairs, of normal clouds; "random, heavy tails"; or "random, own", where
    most of a crossing is the pair's own and nothing that its samples share with others.
    """
    y = rng.uniform(size=n) < 0.5
    X = rng.standard_normal((n, 4))
    if "heavy" in kind:
        X[:, 1:] *= np.exp(0.6 * rng.standard_normal((n, 1)))
    X[:, 0] += np.where(y, 1.6, -1.6)
    if kind == "nearest":
        pairs = np.column_stack([np.arange(n), nearest_other(X, y.astype(int))])
    else:
        pairs = np.argwhere(y[:, None] != y)
    pairs = pairs[rng.permutation(len(pairs))[:n_pairs]]
    a, b = X[pairs[:, 0]], X[pairs[:, 1]]
    begin, middle, end = (decisions(points) for points in (a, (a + b) / 2, b))
    side = np.where(y, 1, -1)
    counts = (begin * side[pairs[:, 0]] > 0) & (end * side[pairs[:, 1]] > 0)
    # the first root of the quadratic through the three
    bend = 2 * (begin + end - 2 * middle)
    slope = end - begin - bend
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(slope**2 - 4 * bend * begin, 0))
        roots = np.stack([(-slope - root) / (2 * bend), (-slope + root) / (2 * bend), begin / (begin - end)])
    roots[2] = np.where(np.abs(bend) < 1e-9, roots[2], np.inf)
    crossing = np.where((roots > 0) & (roots <= 1), roots, np.inf).min(axis=0)
    counts &= np.isfinite(crossing)
    if "own" in kind:
        noise = rng.uniform(-0.2, 0.2, (n, n))
        noise = np.triu(noise) - np.triu(noise).T  # a pair and its reverse cross at the same place
        crossing = 0.3 * crossing + 0.7 * (0.5 + noise[tuple(pairs.T)] * np.array([[1.0], [0.9], [1.1]]))
    lengths = np.linalg.norm(a - b, axis=1)
    return HalfwayMeasurement("abc", pairs, lengths, np.where(counts, crossing, np.nan), counts)


def figures(measurement: HalfwayMeasurement) -> NDArray[np.float64]:
    """The first model's deviation, what it has with the third, and the mean agreement."""
    found = [measurement.deviation[0], measurement.boundary_distance[0, 2], measurement.agreement[0, 2]]
    return np.array([*found, measurement.mean_agreement])


def bootstraps(measurement: HalfwayMeasurement, rng: np.random.RandomState) -> list[Any]:
    """Percentiles of the first model's deviation: pairs drawn again, and samples drawn again (w_i w_j)."""
    own, n_pairs = measurement.counted[0], len(measurement.pairs)
    away = np.where(own, np.abs(measurement.crossings[0] - 0.5), 0.0)
    rows, place = np.unique(measurement.pairs, return_inverse=True)
    place, intervals = place.reshape(-1, 2), []
    for n in (n_pairs, len(rows)):
        weights = rng.multinomial(n, np.full(n, 1 / n), 200).astype(float)
        if n != n_pairs or intervals:
            weights = weights[:, place[:, 0]] * weights[:, place[:, 1]]
        with np.errstate(invalid="ignore"):
            intervals.append(percentile_interval(weights @ away / (weights @ own), LEVEL))
    return intervals


@cache
def expected(kind: str, n: int = 1000, n_pairs: int = 20_000) -> NDArray[np.float64]:
    """Mean figures over draws of samples: the population's, where pairs are random and samples are many."""
    seeds = 10**6 + np.arange(1500 if kind == "nearest" else 30)
    many = (figures(measured(np.random.RandomState(seed), n, n_pairs, kind)) for seed in seeds)
    means: NDArray[np.float64] = np.nanmean(list(many), axis=0)
    return means


def of_halfway(n: int, n_pairs: int, kind: str) -> dict[str, str]:
    """Coverage of the intervals of halfway figures, and of two bootstraps of the deviation."""
    truth = expected(kind, n, n_pairs) if kind == "nearest" else expected(kind)
    good = np.full((N_HALFWAY, 6), np.nan)
    for seed in range(N_HALFWAY):
        rng = np.random.RandomState(seed)
        one = measured(rng, n, n_pairs, kind)
        ends = [one.confidence_interval(LEVEL, of=name) for name in FIGURES]
        at: list[tuple[int, ...]] = [(0,), (0, 2), (0, 2), ()]
        intervals = [np.asarray(pair)[(slice(None), *place)] for pair, place in zip(ends, at, strict=True)]
        for k, (low, high) in enumerate([*intervals, *bootstraps(one, rng)]):
            if not np.isnan(low):
                good[seed, k] = low <= truth[k if k < 4 else 0] <= high
    names = (
        "deviation", "boundary distance", "agreement", "mean agreement", "deviation, pairs drawn again",
        "deviation, samples drawn again",
    )  # fmt: skip
    return dict(zip(names, (f"{value:.1%}" for value in np.nanmean(good, axis=0)), strict=True))


PEERS = np.array([[1, 0, 0, 0], [1, 0.5, 0, 0], [0.8, 0, 0.6, 0.3], [1, -0.6, 0.3, 0], [0, 1, 0, 0]])


def at_halves(rng: np.random.RandomState, n: int, offset: float) -> HalfwayMeasurement:
    """What five fixed linear models say at the halves of samples, which are drawn."""
    y = rng.uniform(size=n) < 0.5
    X = rng.standard_normal((n, 4))
    X[:, 0] += np.where(y, offset, -offset)
    halves = neighbour_pairs(X, 6)
    answers = (PEERS @ ((X[halves[:, 0]] + X[halves[:, 1]]) / 2).T > 0).astype(int)
    none = np.zeros((5, 0))
    own: dict[str, Any] = {"halves": halves, "answers": answers}
    own |= {"labels": y.astype(int), "classes": np.arange(2)}
    no_pairs = np.zeros((0, 2), dtype=int)
    return HalfwayMeasurement("abcde", no_pairs, np.zeros(0), none, none.astype(bool), **own)


def of_consensus(n: int, offset: float) -> dict[str, str]:
    """Coverage of intervals of consensus: of a good model, one that is worse, and one that is bad."""
    many = [at_halves(np.random.RandomState(10**6 + seed), n, offset).consensus for seed in range(400)]
    truth = np.mean(many, axis=0)
    good, drawn = [], []
    for seed in range(N_HALFWAY):
        rng = np.random.RandomState(seed)
        one = at_halves(rng, n, offset)
        good.append(held(one.confidence_interval(LEVEL, of="consensus"), truth))
        weights = rng.multinomial(n, np.full(n, 1 / n), 200).astype(float)
        weights = weights[:, one.halves].prod(axis=2)
        again = weights @ peers_credit(one.answers).T / weights.sum(axis=1, keepdims=True)
        drawn.append(held(percentile_interval(again, LEVEL), truth))
    shown = {"best": 0, "worse": 3, "bad": 4}
    cells = {name: f"{np.mean(good, axis=0)[k]:.1%} ({truth[k]:.2f})" for name, k in shown.items()}
    return cells | {"best, samples drawn again": f"{np.mean(drawn, axis=0)[0]:.1%}"}


Draw = Callable[[np.random.RandomState, Any], NDArray[np.float64]]
SHARES: dict[str, tuple[Draw, float]] = {
    "beta(107, 5): sure": (lambda rng, n: rng.beta(107, 5, n), 107 / 112),
    "beta(2, 2)": (lambda rng, n: rng.beta(2, 2, n), 0.5),
    "beta(19, 1)": (lambda rng, n: rng.beta(19, 1, n), 0.95),
    "beta(3.8, 0.2): most are 1": (lambda rng, n: rng.beta(3.8, 0.2, n), 0.95),
    "beta(0.5, 0.5): near 0 or 1": (lambda rng, n: rng.beta(0.5, 0.5, n), 0.5),
    "all or nothing, .5": (lambda rng, n: (rng.uniform(size=n) < 0.5).astype(float), 0.5),
}
LOSSES: dict[str, tuple[Draw, float]] = {
    "gamma(4)": (lambda rng, n: rng.gamma(4, 1, n), 4.0),
    "exponential": (lambda rng, n: rng.exponential(1, n), 1.0),
    "gamma(0.3)": (lambda rng, n: rng.gamma(0.3, 1, n), 0.3),
    "log-normal, s = 0.5": (lambda rng, n: rng.lognormal(0, 0.5, n), np.exp(0.125)),
    "log-normal, s = 1": (lambda rng, n: rng.lognormal(0, 1, n), np.exp(0.5)),
    "log-normal, s = 1.5": (lambda rng, n: rng.lognormal(0, 1.5, n), np.exp(1.125)),
}


def of_repeats(draws: dict[str, tuple[Draw, float]], limits: tuple[float, float]) -> Iterator[dict[str, str]]:
    """Coverage of the mean over repeats, by what the figures are; of intervals that are known."""
    for name, (draw, truth) in draws.items():
        cells = {"figures": name}
        for n in (3, 5, 10, 30):
            values = draw(np.random.RandomState(n), (4 * N_EXPERIMENTS, n))
            if "nothing" in name:  # whether all of a result are such is seen in all of its points
                low, high = np.stack([t_interval(row, LEVEL, limits=limits) for row in values], axis=1)
            else:
                low, high = t_interval(values, LEVEL, limits=limits)
            known = ~np.isnan(low)
            good = (low <= truth) & (truth <= high)
            part = "" if known.all() else f" ({known.mean():.0%} known)"
            cells[f"{n} repeats"] = f"{good[known].mean():.1%}{part}"
        yield cells


def of_tested() -> Iterator[dict[str, str]]:
    """Coverage of mean shares of test samples over seeds and test samples, and of intervals over seeds alone.

    Each repeat has a share of its own and misclassifies what is hard for it: a latent normal of each
    sample and of each repeat and sample.
    """
    seeds: dict[str, tuple[float, float]] = {
        "none, .95": (9.5e5, 5e4),
        "beta(190, 10)": (190, 10),
        "beta(19, 1)": (19, 1),
        "beta(3.8, 0.2)": (3.8, 0.2),
        "beta(20, 20)": (20, 20),
    }
    for name, (a, b) in seeds.items():
        for n_test in (50, 200, 1000):
            cells = {"spread of seeds": name, "test samples": str(n_test)}
            for shared in (0.0, 0.5, 0.9):
                for n in (3, 10):
                    rng = np.random.RandomState(n)
                    level = normal.ppf(np.clip(rng.beta(a, b, (N_EXPERIMENTS, n, 1)), 1e-12, 1 - 1e-12))
                    right = np.empty((N_EXPERIMENTS, n))
                    for k, own in enumerate(level):
                        hard = np.sqrt(shared) * rng.standard_normal(n_test)
                        noise = np.sqrt(1 - shared) * rng.standard_normal((n, n_test))
                        right[k] = (hard + noise < own).mean(axis=1)
                    both = t_interval(right, LEVEL, limits=SHARE, n_samples=n_test)
                    alone = t_interval(right, LEVEL, limits=SHARE)
                    cell = f"{held(both, np.asarray(a / (a + b))).mean():.1%}"
                    known = ~np.isnan(alone.low)
                    seen = held(alone, np.asarray(a / (a + b)))[known].mean()
                    cells[f"{shared:g} shared, {n} repeats"] = f"{cell} ({seen:.0%})"
            yield cells


def main() -> None:
    halfway = []
    for kind in ("random", "random, heavy tails", "random, own", "nearest"):
        for n, n_pairs in ((30, 100), (30, 500), (100, 100), (100, 500), (300, 100), (300, 500)):
            if kind == "nearest" and (n < 100 or n_pairs > n):
                n_pairs = n
                if any(row["pairs"] == kind and row["samples"] == str(n) for row in halfway):
                    continue
            head = {"pairs": kind, "samples": str(n), "number of pairs": str(n_pairs)}
            halfway.append(head | of_halfway(n, n_pairs, kind))
            print(halfway[-1], flush=True)
    consensus = [
        {"samples": str(n), "distance of classes": f"{2 * d:g}"} | of_consensus(n, d)
        for d in (0.5, 1.6)
        for n in (30, 100, 300)
    ]
    tested = list(of_tested())
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
    lines = ["# Intervals that hold what they say", "", "    python benchmarks/coverage.py", ""]
    lines += (__doc__ or "").splitlines()[4:7]
    lines += ["", "## Transfer matrices", "", *MATRICES.splitlines(), "", table(rows)]
    lines += ["", "## Robust accuracy", "", table(robust)]
    lines += ["", "## Halfway figures", "", *HALFWAY.splitlines(), "", table(halfway)]
    lines += ["", "## Consensus", "", *CONSENSUS.splitlines(), "", table(consensus)]
    lines += ["", "## Repeats: shares, over seeds", "", *REPEATS.splitlines(), ""]
    lines += [table(list(of_repeats(SHARES, SHARE))), "", "## Repeats: losses, over seeds", ""]
    lines += [table(list(of_repeats(LOSSES, POSITIVE))), "", "## Repeats: shares of test samples", ""]
    lines += [*TESTED.splitlines(), "", table(tested), ""]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
