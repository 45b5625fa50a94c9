"""Black-box attacks against ART's at equal queries; write the tables of black_box.md.

The source is a random forest of 100 trees on digits (8 x 8, in [0, 1]), of which predictions or scores are
asked and counted. ART attacks one sample at a time, so it gets 15 samples; ours get 597, whose first 15 are
the same and give the distances. Both take turns in one process, so that other load falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from art.attacks.evasion import HopSkipJump, SquareAttack
from art.estimators.classification import BlackBoxClassifierNeuralNetwork
from numpy.typing import NDArray
from run import digits, table
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator

N_ART, N_OURS, N_ROUNDS = 15, 597, 3
OUR_BUDGETS = (25, 50, 100, 250, 500, 1000, 5000)
NORMS = {2: "L2", np.inf: "L-inf"}


class SpentError(Exception):
    """ART has asked as often as it may."""


class Asked:
    """A classifier of images or rows that counts what it is asked for."""

    classes_ = np.arange(10)

    def __init__(self, forest: RandomForestClassifier) -> None:
        self.forest, self.n = forest, 0

    def predict(self, X: Any) -> Any:
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> Any:
        self.n += len(X)
        return self.forest.predict_proba(np.asarray(X).reshape(len(X), -1))


def art_distance(
    forest: RandomForestClassifier, x: NDArray[Any], start: NDArray[Any], label: int, norm: float, budget: int
) -> float:
    """Norm of the nearest adversarial sample among ART's first ``budget`` queries, returned by it or not."""
    n_asked, best = 0, np.inf

    def predict(asked: NDArray[Any]) -> NDArray[Any]:
        nonlocal n_asked, best
        if n_asked >= budget:
            raise SpentError
        predicted = forest.predict(asked[: budget - n_asked])
        n_asked += len(predicted)
        distance = np.linalg.norm(asked[: len(predicted)] - x, norm, axis=1)[predicted != label]
        best = min(best, float(distance.min(initial=np.inf)))
        if len(predicted) < len(asked):
            raise SpentError
        return np.eye(10)[predicted]

    classifier = BlackBoxClassifierNeuralNetwork(predict, x.shape, 10, clip_values=(0, 1))
    attack = HopSkipJump(classifier, norm=norm, max_iter=10**6, verbose=False)
    with suppress(SpentError):
        attack.generate(x[None], y=np.eye(10, dtype=np.float32)[[label]], x_adv_init=start[None].copy())
    return best


def our_distances(
    forest: RandomForestClassifier, X: NDArray[Any], y: NDArray[Any], norm: float, budget: int
) -> NDArray[Any]:
    source = Asked(forest)
    generator = AdversarialGenerator(
        source,
        attack="hopskipjump",
        norm=norm,
        eps=np.inf,
        clip_values=(0, 1),
        max_queries=budget,
        random_state=0,
    )
    generator.generate(X, y)
    assert source.n <= budget * len(X)
    assert generator.distances_ is not None
    return generator.distances_


def bench_hopskipjump(forest: RandomForestClassifier, X: NDArray[Any], y: NDArray[Any]) -> str:
    rows = []
    for norm, norm_name in NORMS.items():
        metric = "euclidean" if norm == 2 else "chebyshev"
        apart = np.where(y == y[:N_ART, None], np.inf, pairwise_distances(X[:N_ART], X, metric=metric))
        start = X[apart.argmin(axis=1)]
        for budget in (250, 1000, 5000):
            seconds: dict[int, list[float]] = {n: [] for n in OUR_BUDGETS if n <= budget}
            ours, theirs, their_seconds = {}, [], []
            for part in np.array_split(np.arange(N_ART), N_ROUNDS):
                for n in seconds:
                    began = time.perf_counter()
                    ours[n] = our_distances(forest, X, y, norm, n)
                    seconds[n].append((time.perf_counter() - began) / len(X))
                began = time.perf_counter()
                theirs += [art_distance(forest, X[i], start[i], y[i], norm, budget) for i in part]
                their_seconds.append((time.perf_counter() - began) / len(part))
            median = float(np.median(theirs))
            as_near = next((n for n in seconds if np.median(ours[n][:N_ART]) <= median), None)
            ratio = {
                n: statistics.median(a / b for a, b in zip(their_seconds, seconds[n], strict=True))
                for n in seconds
            }
            row = {
                "norm": norm_name,
                "queries": f"{budget:,}",
                "ours": f"{np.median(ours[budget][:N_ART]):.3f}",
                "ART's": f"{median:.3f}",
                "ours: samples/s": f"{1 / statistics.median(seconds[budget]):.1f}",
                "ART's: samples/s": f"{1 / statistics.median(their_seconds):.2f}",
                "times faster": f"{ratio[budget]:.0f}",
                "ours is as near after": "never" if as_near is None else f"{as_near} queries",
                "times faster then": "" if as_near is None else f"{ratio[as_near]:.0f}",
            }
            rows.append(row)
            tqdm.write(str(row))
    return table(rows)


def bench_square(forest: RandomForestClassifier, X: NDArray[Any], y: NDArray[Any]) -> str:
    rows, images = [], X.reshape(-1, 1, 8, 8)
    for eps in (0.05, 0.1):
        for budget in (100, 300, 1000):
            ours, theirs = Asked(forest), Asked(forest)
            generator = AdversarialGenerator(
                ours,
                attack="square",
                eps=eps,
                clip_values=(0, 1),
                max_queries=budget,
                random_state=0,
            )
            classifier = BlackBoxClassifierNeuralNetwork(
                theirs.predict_proba, (1, 8, 8), 10, clip_values=(0, 1)
            )
            # it asks three times in each of its steps
            attack = SquareAttack(
                classifier, eps=eps, max_iter=budget // 3, p_init=0.8, batch_size=len(X), verbose=False
            )
            np.random.seed(0)
            began = time.perf_counter()
            X_ours = generator.generate(images, y)
            between = time.perf_counter()
            X_theirs = attack.generate(images, y=np.eye(10, dtype=np.float32)[y])
            ended = time.perf_counter()
            row = {"eps": str(eps), "queries at most": str(budget)}
            for name, X_adv, asked in (("ours", X_ours, ours), ("ART's", X_theirs, theirs)):
                n_queries = asked.n / len(X)
                fooled = forest.predict(X_adv.reshape(len(X), -1)) != y
                row |= {f"{name}: fooled": f"{fooled.mean():.2f}", f"{name}: queries": f"{n_queries:.0f}"}
            row["times faster"] = f"{(ended - between) / (between - began):.1f}"
            rows.append(row)
            tqdm.write(str(row))
    return table(rows)


PAGE = """# Black-box attacks

    python benchmarks/black_box.py

{about}
## HopSkipJump: median distance of the nearest adversarial sample

{hopskipjump}

Both begin at the nearest sample of another class, and ART is credited with the nearest adversarial input
that it asked for, though it may return another. At equal queries most of our time is the forest's own.
Aim: at least 50 times faster at an equal or smaller distance and equal queries.

## Square: share fooled, L-inf

{square}

Both attack all {n_ours} samples at once, in squares of the image. ART's knows no budget of queries: it gets a
third as many steps, of three queries each.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    X, y = digits()
    forest = RandomForestClassifier(100, random_state=0).fit(X[:1200], y[:1200])
    X = X[1200 : 1200 + N_OURS]
    own = forest.predict(X)
    page = PAGE.format(
        about="\n".join((__doc__ or "").splitlines()[2:]) + "\n",
        hopskipjump=bench_hopskipjump(forest, X, own),
        square=bench_square(forest, X, own),
        n_ours=N_OURS,
    )
    options.output.write_text(page)


if __name__ == "__main__":
    main()
