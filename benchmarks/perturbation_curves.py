"""Learning from perturbations of noise, in the paper's own setting: its curves, point by point, and ours.

The artificial experiment of Kumano, Kera & Yamasaki (ICLR 2024, arXiv 2402.10470): N samples with random
labels; a source is trained on them; N_adv points of noise are moved on the source towards random labels; a
learner is trained on the moved points alone. What counts is its accuracy on the N samples, whose labels it
never saw.

    python benchmarks/perturbation_curves.py

measures what is not yet in perturbation_curves.json, seed by seed, and writes perturbation_curves.md and
perturbation_curves.svg.

What was fixed before the first run (of the seeds below; seed 99 was looked at, for d of 100 to 1,000
and N_adv of 1 to 100):

- Data: uniform in [-1, 1] or standard normal. Where nothing else is said d = 10,000, N = 1,000, N_adv =
  10,000. Seeds 0, 1, 2.
- Networks: one hidden layer, leaky ReLU of slope .01, the start of a torch.nn.Linear, full-batch gradient
  flow on the exponential loss for a time of 10,000: what 100,000 epochs at a rate of .01 with momentum .9
  add up to. 200 hidden units, where the paper has 1,000, to save time; some points are run with 1,000
  as well.
- Attack: the rules of perturbation_rules.py. Budgets of the paper's: L2 grows with sqrt(d), .78 at 10,000;
  L-inf .03; L0 5 % of features. The gradient is taken 10 times (20 in L0), where the paper takes it 100 times
  (once a freed pixel); some points are run with as many as the paper as well.
  Uniform data is kept in [-1, 1]; normal data has no bounds (at seed 99 and d = 500 the paper's figures for
  L2 and L-inf are met without, and missed by .06 within [-1, 1]).
- Closed form: the boundary of multipliers that are all alike, and perturbations read off it with
  `geometry_perturbation(step="gradient")`, as if the gradient were the same everywhere; the learner has two
  hidden units. No source is trained, and nothing is attacked.
- Claim: within .05 of the paper's figure at 90 % of the points or more, means over seeds. The paper's figures
  are of one seed, digitised from its plots, +- .006.

After all of these points had been looked at, normal data in L0 was run within bounds, too.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from perturbation_rules import L0_STEP, moved
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from skhalfway.models import as_model
from skhalfway.perturbation.theory import OneHiddenLayerClassifier, geometry_perturbation

GAMMA, N_HIDDEN, PAPERS_WIDTH, MAX_TIME, MAX_ITER = 0.01, 200, 1000, 10_000.0, 400
N_STEPS, N_STEPS_L0, PAPERS_STEPS = 10, 20, 100
SEEDS = range(3)
HERE = Path(__file__).parent
RESULTS = HERE / "perturbation_curves.json"
NORMS = {"L2": 2.0, "L-inf": np.inf, "L0": 0.0}
DEFAULT = {"d": 10_000, "N": 1000, "N_adv": 10_000}
LIMITS = (1, 5, 10)
BOUNDS = {"uniform": (-1, 1), "normal": None} | {f"normal within {k}": (-k, k) for k in LIMITS}
EPS_OF_D = {100: 0.078, 500: 0.17, 1000: 0.24, 2500: 0.39, 5000: 0.55, 7500: 0.67, 10_000: 0.78}
EPS_LINF, SHARE = 0.03, 0.05
SOURCES: dict[Any, Any] = {}
CONTROLS: dict[Any, Any] = {}
# the paper's figures (REFERENCES: digitised, +- .006): (data, norm, what varies) -> value -> accuracy
D, N = (100, 500, 1000, 2500, 5000, 7500, 10_000), (1000, 2000, 3000, 5000, 7000, 10_000)


def _curve(values: Any, figures: str) -> dict[float, float]:
    return dict(zip(values, map(float, figures.split()), strict=True))


CURVES: dict[tuple[str, str, str], dict[float, float]] = {
    ("uniform", "L2", "d"): _curve(D, ".63 .69 .805 .91 .979 1 1"),
    ("uniform", "L2", "N_adv"): _curve((500, 1000, 1500, 2500, 5000), ".796 .908 .941 .968 1"),
    ("uniform", "L2", "N"): _curve(N, "1 .989 .962 .906 .855 .801"),
    ("uniform", "L2", "eps"): _curve((0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6), ".589 .676 .83 .913 .966 .984 1"),
    ("uniform", "L-inf", "d"): _curve(D, ".699 .735 .80 .935 .991 .995 1"),
    ("uniform", "L-inf", "N_adv"): _curve(
        (100, 500, 1000, 1500, 2500, 5000), ".645 .773 .888 .923 .955 .993"
    ),
    ("uniform", "L-inf", "N"): _curve(N, "1 .991 .964 .877 .855 .788"),
    ("uniform", "L-inf", "eps"): _curve((0.005, 0.01, 0.015, 0.02, 0.03), ".709 .863 .946 .977 1"),
    ("uniform", "L0", "d"): _curve(D, ".911 .649 .733 .769 .857 .90 .936"),
    ("uniform", "L0", "N_adv"): _curve((1, 10, 100, 500, 10_000), ".63 .787 .916 .929 .936"),
    ("uniform", "L0", "N"): _curve(N, ".936 .825 .755 .686 .649 .62"),
    ("uniform", "L0", "share"): _curve(
        (0.001, 0.002, 0.004, 0.01, 0.02, 0.03), ".645 .71 .758 .85 .913 .936"
    ),
    ("normal", "L2", "d"): _curve(D, ".587 .621 .699 .849 .899 .959 .982"),
    ("normal", "L-inf", "d"): _curve(D, ".619 .636 .713 .849 .899 .966 .961"),
    ("normal", "L0", "d"): _curve(D, ".947 .586 .609 .665 .708 .713 .76"),
}
# run with the paper's width, or its number of steps, too: what it costs is little at these
WIDTH_AT = [("uniform", norm, "d", d) for norm in NORMS for d in (100, 1000, 2500)]
STEPS_AT = [("uniform", norm, "d", d) for norm in NORMS for d in (100, 1000)]
# run after all others had been looked at: does a bound explain the misses of normal data in L0?
AFTERWARDS = [(f"normal within {k}", "L0", "d", d) for d in (1000, 2500, 5000) for k in LIMITS]


class Point(NamedTuple):
    """A point of a curve, and how its networks are trained and its points are moved."""

    data: str
    norm: str
    d: int
    N: int
    N_adv: int
    eps: float
    width: int = N_HIDDEN
    steps: int | None = None

    @property
    def n_changed(self) -> int | None:
        return max(1, round(self.eps * self.d)) if self.norm == "L0" else None


def point(data: str, norm: str, varied: str, value: float, **how: int) -> Point:
    sizes = DEFAULT | ({varied: int(value)} if varied in DEFAULT else {})
    eps = {"L2": EPS_OF_D[sizes["d"]], "L-inf": EPS_LINF, "L0": SHARE}[norm]
    if varied in ("eps", "share"):
        eps = value
    return Point(data, norm, **sizes, eps=eps, **how)


def points() -> list[Point]:
    """All of them, each once; cheap ones first."""
    found = [point(*curve, value) for curve, values in CURVES.items() for value in values]
    found += [point(*at, width=PAPERS_WIDTH) for at in WIDTH_AT]
    found += [point(*at, steps=PAPERS_STEPS) for at in STEPS_AT]
    found += [point(*at) for at in AFTERWARDS]

    def cost(one: Point) -> tuple[Any, ...]:
        return one.d * (one.N_adv + one.N) * one.width, one.data, one.d, one.N, one.N_adv

    return sorted(set(found), key=lambda one: (*cost(one), one.norm, one.eps, one.steps or 0))


def drawn(one: Point, seed: int) -> tuple[Any, Any, Any, Any]:
    """The samples with their random labels, the noise with its targets."""
    rng = np.random.default_rng(seed)

    def rows(n: int) -> tuple[Any, Any]:
        X = rng.random((n, one.d), dtype=np.float32) if one.data == "uniform" else None
        X = 2 * X - 1 if X is not None else rng.standard_normal((n, one.d), dtype=np.float32)
        return X, np.where(rng.random(n) < 0.5, -1, 1)

    X, y = rows(one.N)
    noise, targets = rows(one.N_adv)
    if one.N_adv == 1:  # a network needs both classes: the other is the point's mirror image
        return X, y, np.vstack([noise, -noise]), np.append(targets, -targets)
    targets[:2] = -1, 1
    return X, y, noise, targets


def trained(X: Any, y: Any, width: int, seed: int) -> OneHiddenLayerClassifier:
    network = OneHiddenLayerClassifier(
        width, GAMMA, margin=None, max_time=MAX_TIME, max_iter=MAX_ITER, init="uniform", random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # that is "unfinished" in the page
        return network.fit(X, y)


def attacked(one: Point, source: OneHiddenLayerClassifier, noise: Any, targets: Any) -> NDArray[np.float32]:
    """The noise, moved on the source."""
    module, parts = as_model(source).module, []

    def loss(x: torch.Tensor, sign: torch.Tensor) -> torch.Tensor:
        return -sign * module(x)[:, 0]

    for rows in np.array_split(np.arange(len(noise)), max(1, len(noise) // 1000)):
        sign = torch.from_numpy(targets[rows].astype(np.float32))
        parts.append(
            moved(
                partial(loss, sign=sign),
                torch.from_numpy(noise[rows]),
                norm=NORMS[one.norm],
                eps=one.eps,
                n_changed=one.n_changed,
                n_steps=one.steps or (N_STEPS_L0 if one.norm == "L0" else N_STEPS),
                bounds=BOUNDS[one.data],
            )
        )
    return torch.cat(parts).numpy()


def shared(cache: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """What was made last, if it was made for the same key: points that differ in the attack share it."""
    if key not in cache:
        cache.clear()
        cache[key] = make()
    return cache[key]


def accuracy(network: OneHiddenLayerClassifier, X: Any, y: Any) -> float:
    return float(((network.decision_function(X) > 0) == (y > 0)).mean())


def in_closed_form(one: Point, X: Any, y: Any, noise: Any, targets: Any) -> NDArray[np.float32]:
    """The noise moved along the boundary of equal multipliers; nothing is trained."""
    q = y.astype(np.float64) @ X
    change = geometry_perturbation(
        q,
        [1],
        eps=L0_STEP if one.norm == "L0" else one.eps,
        norm=NORMS[one.norm],
        n_changed=one.n_changed,
        step="gradient",
    )[0]
    if one.n_changed is not None:  # the first that is freed takes all the steps, the last takes one
        change[np.argsort(-np.abs(change), kind="stable")[: one.n_changed]] *= np.arange(one.n_changed, 0, -1)
    made = noise + targets[:, None].astype(np.float32) * change.astype(np.float32)
    return made if BOUNDS[one.data] is None else made.clip(*BOUNDS[one.data])


def measure(one: Point, seed: int) -> dict[str, Any]:
    """Accuracies on the samples of learners of noise that a source moved, or the closed form, or nothing."""
    begin = time.time()
    X, y, noise, targets = drawn(one, seed)
    source = shared(
        SOURCES, (one.data, one.d, one.N, one.width, seed), lambda: trained(X, y, one.width, seed)
    )
    made = attacked(one, source, noise, targets)
    learner = trained(made, targets, one.width, seed + 1000)
    found = {
        "seed": seed,
        **one._asdict(),
        "learned": accuracy(learner, X, y),
        "source": accuracy(source, X, y),
        "fooled": accuracy(source, made, targets),
        "training": accuracy(learner, made, targets),
        "unfinished": float(learner.time_ < MAX_TIME),
        "length": float(np.linalg.norm(made - noise, axis=1).mean()),
    }
    if one.width == N_HIDDEN and one.steps is None:
        other = trained(in_closed_form(one, X, y, noise, targets), targets, 2, seed + 1000)
        found |= {
            "closed form": accuracy(other, X, y),
            "control": shared(
                CONTROLS,
                (one.data, one.d, one.N, one.N_adv, seed),
                lambda: accuracy(trained(noise, targets, 2, seed + 1000), X, y),
            ),
        }
    return found | {"seconds": round(time.time() - begin)}


def measured(seeds: Any, largest: float) -> list[dict[str, Any]]:
    """What is kept, and what was not yet."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    done = {(row["seed"], *(row[name] for name in Point._fields)) for row in kept}
    todo = [(seed, one) for seed in seeds for one in points() if (seed, *one) not in done]
    todo = [(seed, one) for seed, one in todo if one.d * one.N_adv <= largest]
    for seed, one in tqdm(todo):
        kept.append(measure(one, seed))
        lines = ",\n".join(json.dumps(row) for row in kept)
        RESULTS.write_text(f"[\n{lines}\n]\n")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--largest", type=float, default=np.inf, help="of d * N_adv, to run a part")
    options = parser.parse_args()
    from perturbation_curves_page import write

    write(measured(options.seeds, options.largest), HERE)


if __name__ == "__main__":
    main()
