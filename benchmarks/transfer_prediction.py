"""Predicted against measured transfer rates, on zoos of models.

For each data set of zoo.py, 20 of its networks and one classical classifier of each of 10 families, drawn by
seed, are sources and targets of four attacks at two budgets each, on up to 300 test samples. The measured
rate of an ordered pair is `TransferMatrix.rates`: of the samples that both classify right, the share that
fools the target when attacked on the source. Measures that rank pairs before any attack are judged by
Spearman's rank correlation with it: over all ordered pairs of two models; over the sources of one target,
averaged over targets; over the targets of one source, averaged over sources. Where a row or a column is
constant (a source that fools nobody, a target that nobody fools), it has no correlation and is left out of
the average; in the overall one its ties count as ties.

    python benchmarks/transfer_prediction.py [--held-out]

The predictor was designed on the development sets, on all these samples and on 90 of them, and on a
synthetic set of two overlapping classes in five dimensions that is not shown. The others are run with
`--held-out`, once, when it is frozen. What was measured lies in benchmarks/.cache/transfer/. The page has
figures of the predictor's first version; the second is judged in transfer_prediction2.py, on other data.
"""

from __future__ import annotations

import argparse
import inspect
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from scipy.stats import rankdata
from sklearn.frozen import FrozenEstimator
from tqdm.auto import tqdm
from zoo import CACHE, DEVELOPMENT, HELD_OUT, Data, Entry, cached, digest, load, zoo

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.boundaries import gradient_size, reproducibility
from skhalfway.boundaries._gradients import unit_gradient
from skhalfway.boundaries._paths import trace_all
from skhalfway.halfway import _prediction
from skhalfway.halfway._prediction import predict_all
from skhalfway.halfway._regression import crossing_normals
from skhalfway.models import Model, as_model
from skhalfway.transfer import TransferCurve, TransferMatrix

N_SAMPLES, N_NETWORKS, N_BOOTSTRAPS, N_PLANES = 300, 20, 200, 50
SHARES = (1 / 4, 1 / 2)
FAMILIES = {
    "neighbours": ("1-NN", "5-NN", "25-NN"),
    "tree": ("tree", "tree, depth 4"),
    "forest": ("forest", "forest, depth 4"),
    "bagging": ("bagged trees", "extra trees"),
    "boosting": ("histogram boosting", "histogram boosting, 4 leaves", "AdaBoost"),
    "linear SVC": ("linear SVC", "linear SVC, C 0.01"),
    "RBF SVC": ("RBF SVC", "RBF SVC, C 100", "RBF SVC, narrow"),
    "linear": ("logistic", "logistic, C 0.01", "ridge", "perceptron"),
    "naive Bayes": ("naive Bayes",),
    "discriminant": ("LDA", "QDA"),
}
ATTACKS: dict[str, dict[str, Any]] = {
    "PGD, L-inf": {"attack": "pgd"},
    "PGD, L2": {"attack": "pgd", "norm": 2},
    "MI-FGSM, L-inf": {"attack": "mifgsm", "max_iter": 10},
    "Square, L-inf": {"attack": "square", "max_queries": 200},
}
Array = NDArray[np.float64]
Budgets = list[tuple[float, float]]


class Rho(NamedTuple):
    """Rank correlation over all pairs, and averages within targets and within sources."""

    overall: Any
    target: Any
    source: Any


@dataclass(frozen=True)
class Case:
    """Models, samples, and what determines both."""

    data: Data
    entries: list[Entry]
    models: dict[str, Model]
    X: Array
    y: NDArray[np.int64]
    key: str

    def cached(self, make: Callable[[], Any], *determined: Any) -> Any:
        name = digest(self.key, *determined)
        return cached(CACHE / "transfer" / self.data.name / f"{name}.pkl", make)


def family_of(entry: Entry) -> str:
    if entry.family != "classical":
        return entry.family
    return next(name for name, members in FAMILIES.items() if entry.hyper["technique"] in members)


def case_of(name: str) -> Case:
    rng, data, entries = np.random.RandomState(0), load(name), zoo(name)
    networks = [e for e in entries if e.family != "classical"]
    chosen = [networks[i] for i in np.sort(rng.choice(len(networks), N_NETWORKS, replace=False))]
    for family in FAMILIES:
        kin = [e for e in entries if e.family == "classical" and family_of(e) == family]
        chosen.append(kin[rng.randint(len(kin))])
    models = {e.name: as_model(e.model) for e in chosen}
    rows = rng.permutation(len(data.X_test))[:N_SAMPLES]
    X, y = data.X_test[rows], data.y_test[rows]
    answers = np.stack([model.predict(data.X_test) for model in models.values()])
    return Case(data, chosen, models, X, y, digest(list(models), answers, X, y))


def budgets_of(case: Case, norm: float) -> list[float]:
    """Shares of the median distance from a sample to the nearest training sample of another class.

    In L-inf, the same change of every feature that is as long as that.
    """
    distances = np.linalg.norm(case.X[:, None] - case.data.X_train, axis=2)
    distances[case.y[:, None] == case.data.y_train] = np.inf
    scale = float(np.median(distances.min(axis=1))) / (1 if norm == 2 else np.sqrt(case.X.shape[1]))
    return [share * scale for share in SHARES]


def norm_of(attack: str) -> float:
    return float(ATTACKS[attack].get("norm", np.inf))


def attacked(case: Case, attack: str) -> tuple[TransferCurve, float]:
    """Attack every model and try the samples on all; also the CPU seconds this takes."""
    scorer = TransferScorer(AdversarialGenerator(**ATTACKS[attack]), random_state=0)
    scorer.fit({e.name: e.model for e in case.entries})
    begin = time.process_time()
    curve = scorer.transfer_curve(case.X, case.y, eps=budgets_of(case, norm_of(attack)))
    return curve, time.process_time() - begin


def seconds_by_model(case: Case) -> Array:
    """CPU seconds of PGD on each model at one L-inf budget, and of asking it for a prediction (model, 2)."""
    eps, found = budgets_of(case, np.inf)[-1], []
    reach = _prediction.reach_of(case.X, case.y, [(eps, np.inf)])
    ways = _prediction.towards_others(case.X, case.y, np.arange(len(case.X)), np.random.RandomState(0))
    for entry, model in zip(case.entries, case.models.values(), strict=True):
        right = model.predict(case.X) == case.y
        source = entry.model if isinstance(entry.model, torch.nn.Module) else FrozenEstimator(entry.model)
        generator = AdversarialGenerator(source, attack="pgd", eps=eps)
        begin = time.process_time()
        if right.any():
            generator.generate(case.X[right], case.y[right])
        between = time.process_time()
        _prediction.crossing_levels(model, case.X, case.y, ways, reach)
        found.append((between - begin, time.process_time() - between))
    return np.array(found)


# measures that rank pairs: of a case and budgets, (budget, source, target)


def ours(case: Case, budgets: Budgets) -> Array:
    return predict_all(list(case.models.values()), case.X, case.y, budgets, random_state=0)


def plain_regression(case: Case, budgets: Budgets) -> Array:
    """Regression of 20 crossings between a sample and others; fooled where ``eps <a_s, v_t> >= 1``."""
    rng, n = np.random.RandomState(0), len(case.X)
    drawn = rng.uniform(size=(n, n))
    drawn[case.y[:, None] == case.y] = 2
    partners = drawn.argsort(axis=1)[:, :20]
    k = min(20, int((drawn < 2).sum(axis=1).min()))
    paths = case.X[partners[:, :k]] - case.X[:, None]
    lengths = np.linalg.norm(paths, axis=2)
    models = list(case.models.values())
    traces = trace_all(
        models, np.repeat(case.X, k, axis=0), case.X[partners[:, :k]].reshape(n * k, -1), 1 / 64
    )
    right = np.stack([trace.labels[::k, 0] == case.y for trace in traces])
    v = np.stack(
        [
            crossing_normals(paths / lengths[..., None], trace.position.reshape(n, k) * lengths)
            for trace in traces
        ],
        axis=1,
    )
    both = right[:, None] & right
    found = []
    for eps, norm in budgets:
        size = np.linalg.norm(v, axis=2, keepdims=True)
        moves = np.sign(v) if norm == np.inf else v / np.where(size == 0, 1, size)
        crossed = (eps * moves @ v.transpose(0, 2, 1)).transpose(1, 2, 0) >= 1
        found.append((crossed & both).sum(axis=2) / np.maximum(both.sum(axis=2), 1))
    return np.stack(found)


def agreement(case: Case, budgets: Budgets) -> Array:
    scorer = HalfwayScorer(random_state=0).fit({e.name: e.model for e in case.entries})
    return np.stack([scorer.measure(case.data.X_train, case.data.y_train).agreement] * len(budgets))


def unit_gradients(case: Case) -> Array:
    return np.stack([unit_gradient(model, case.X, case.y) for model in case.models.values()])


def alignment(case: Case, budgets: Budgets) -> Array:
    g = unit_gradients(case)
    return np.stack([np.einsum("snd,tnd->st", g, g) / len(case.X)] * len(budgets))


def first_order(case: Case, budgets: Budgets) -> Array:
    """Rise of the target's loss to first order: cosine times the size of its gradient, by sample."""
    g = unit_gradients(case)
    sizes = np.stack([gradient_size(e.model, case.X, case.y) for e in case.entries])
    return np.stack([np.einsum("snd,tnd->st", g, g * sizes[..., None]) / len(case.X)] * len(budgets))


def same_regions(case: Case, budgets: Budgets) -> Array:
    models = {e.name: e.model for e in case.entries}
    scores = reproducibility(models, case.data.X_train, n_planes=N_PLANES, random_state=0).scores
    return np.stack([scores] * len(budgets))


def same_answers(case: Case, budgets: Budgets) -> Array:
    answers = np.stack([model.predict(case.X) for model in case.models.values()])
    return np.stack([(answers[:, None] == answers).mean(axis=2)] * len(budgets))


def noise_sensitivity(case: Case, budgets: Budgets) -> Array:
    """Share of a target's right answers that random signs of the budget's length change; 10 draws."""
    rng, n_draws, found = np.random.RandomState(0), 10, []
    signs = rng.choice([-1.0, 1.0], (n_draws, *case.X.shape))
    for eps, norm in budgets:
        noisy = case.X + eps * signs / (1 if norm == np.inf else np.sqrt(case.X.shape[1]))
        falls = []
        for model in case.models.values():
            right = model.predict(case.X) == case.y
            changed = model.predict(noisy.reshape(-1, case.X.shape[1])).reshape(n_draws, -1) != case.y
            falls.append(changed[:, right].mean() if right.any() else np.nan)
        found.append(np.tile(falls, (len(falls), 1)))
    return np.stack(found)


OURS = "predict_transfer"
MEASURES: dict[str, tuple[Callable[[Case, Budgets], Array], str]] = {
    OURS: (ours, "predictions"),
    "crossing regression, plain": (plain_regression, "predictions"),
    "halfway agreement": (agreement, "predictions"),
    "gradient alignment (Demontis)": (alignment, "gradients"),
    "alignment x target's gradient size": (first_order, "gradients"),
    "reproducibility (Somepalli)": (same_regions, "predictions"),
    "same answers on test samples": (same_answers, "predictions"),
    "noise sensitivity of the target": (noise_sensitivity, "predictions"),
}


def evaluate(case: Case, name: str, budgets: Budgets) -> tuple[Array, float]:
    """What a measure says, and the CPU seconds that it takes for all budgets at once."""
    function = MEASURES[name][0]

    def make() -> tuple[Array, float]:
        begin = time.process_time()
        found = function(case, budgets)
        return found, time.process_time() - begin

    code = inspect.getsource(_prediction if name == OURS else function)
    return case.cached(make, "measure", name, code, budgets)


def correlation(a: Array, b: Array, axis: int | None) -> Array:
    """Pearson's correlation; nan entries are left out of both, a constant gives nan."""
    mean: dict[str, Any] = {"axis": axis, "keepdims": True}
    a, b = a - np.nanmean(a, **mean), b - np.nanmean(b, **mean)
    scale = np.sqrt(np.nansum(a**2, axis=axis) * np.nansum(b**2, axis=axis))
    return np.nansum(a * b, axis=axis) / np.where(scale > 1e-9, scale, np.nan)


def rhos(predicted: Array, measured: Array, draw: NDArray[np.intp] | None = None) -> Rho:
    """Spearman's rho; with ``draw``, among models drawn with replacement, none with itself."""
    draw = np.arange(len(measured)) if draw is None else draw
    a, b = predicted[np.ix_(draw, draw)], measured[np.ix_(draw, draw)]
    known = (draw[:, None] != draw) & ~np.isnan(a) & ~np.isnan(b)
    found = []
    for axis in (None, 0, 1):
        ranks = [rankdata(np.where(known, m, np.nan), axis=axis, nan_policy="omit") for m in (a, b)]
        ranks = [np.where(known, r.reshape(known.shape), np.nan) for r in ranks]
        some = slice(None) if axis is None else np.flatnonzero(known.sum(axis=axis) > 2)
        ranks = [r[:, some] if axis == 0 else r[some] for r in ranks]
        found.append(float(np.nanmean(correlation(*ranks, axis))))
    return Rho(*found)


@dataclass(frozen=True)
class Result:
    """One data set: rows of its tables, and the figures that sentences are made of."""

    name: str
    summary: list[dict[str, str]]
    by_budget: list[dict[str, str]]
    costs: list[dict[str, str]]
    seconds: list[dict[str, str]]
    means: dict[str, Rho]
    speed: float
    single: tuple[float, float]


class Cell(NamedTuple):
    """One attack at one budget: what it did, and what every measure says of it."""

    attack: str
    eps: float
    matrix: TransferMatrix
    said: dict[str, Array]


def judge(name: str) -> Result:
    case = case_of(name)
    curves = {
        attack: case.cached(
            lambda a=attack: attacked(case, a), "attack", ATTACKS[attack], budgets_of(case, norm_of(attack))
        )
        for attack in tqdm(ATTACKS, desc=f"{name}: attacks", leave=False)
    }
    budgets = list(
        dict.fromkeys(
            (eps, norm_of(attack)) for attack in ATTACKS for eps in budgets_of(case, norm_of(attack))
        )
    )
    values = {
        measure: evaluate(case, measure, budgets)
        for measure in tqdm(MEASURES, desc=f"{name}: measures", leave=False)
    }
    cells = []
    for attack, (curve, _) in curves.items():
        for eps, matrix in zip(curve.eps[1:], curve.matrices[1:], strict=True):
            place = budgets.index((float(eps), norm_of(attack)))
            said = {measure: found[place] for measure, (found, _) in values.items()}
            cells.append(Cell(attack, float(eps), matrix, said))
    seconds = {measure: spent for measure, (_, spent) in values.items()}
    attacking = {attack: spent for attack, (_, spent) in curves.items()}
    summary, means = summarise(cells, seconds)
    return Result(
        name,
        summary,
        [by_budget(cell) for cell in cells],
        costs(attacking, seconds[OURS]),
        costs_by_family(case),
        means,
        sum(attacking.values()) / seconds[OURS],
        (
            min(attacking.values()) / len(SHARES) / seconds[OURS],
            max(attacking.values()) / len(SHARES) / seconds[OURS],
        ),
    )


def summarise(cells: list[Cell], seconds: dict[str, float]) -> tuple[list[dict[str, str]], dict[str, Rho]]:
    """Each measure's rank correlation, averaged over attacks and budgets, with intervals over models."""
    n_models = len(cells[0].matrix.names)
    draws = np.random.RandomState(0).randint(n_models, size=(N_BOOTSTRAPS, n_models))
    rows, means = [], {}
    for measure in tqdm(MEASURES, desc="intervals", leave=False):
        once, *again = (
            np.nanmean([rhos(cell.said[measure], cell.matrix.rates, draw) for cell in cells], axis=0)
            for draw in (np.arange(n_models), *draws)
        )
        low, high = np.nanquantile(again, (0.025, 0.975), axis=0)
        means[measure] = Rho(*once)
        titles = ("all pairs", "within target", "within source")
        rows.append(
            {"measure": measure, "asks for": MEASURES[measure][1]}
            | {t: figure(*f) for t, *f in zip(titles, once, low, high, strict=True)}
            | {"CPU s": f"{seconds[measure]:.1f}"}
        )
    return rows, means


def by_budget(cell: Cell) -> dict[str, str]:
    """How well our prediction does on one attack at one budget."""
    predicted, matrix = cell.said[OURS], cell.matrix
    off = ~np.eye(len(predicted), dtype=bool)
    rates = np.where(off, matrix.rates, np.nan)
    return {
        "attack": cell.attack,
        "eps": f"{cell.eps:.3g}",
        "median source success": f"{np.nanmedian(matrix.source_success):.2f}",
        "sources that fool nobody": str((np.nanmax(rates, axis=1) < 0.02).sum()),
        "mean rate": f"{np.nanmean(rates):.3f}",
        "predicted": f"{np.nanmean(predicted[off]):.3f}",
        "mean absolute error": f"{np.nanmean(np.abs(predicted - rates)):.3f}",
        "rho": " / ".join(f"{value:.2f}" for value in rhos(predicted, rates)),
        "repeated": " / ".join(f"{value:.2f}" for value in repeated(matrix)),
    }


def costs(attacking: dict[str, float], own: float) -> list[dict[str, str]]:
    """CPU seconds of the attacks, and how many times the prediction's they are."""
    spent = {f"{attack}, {len(SHARES)} budgets": seconds for attack, seconds in attacking.items()}
    spent |= {"all attacks": sum(attacking.values()), "the prediction for all of them": own}
    return [{"work": k, "CPU s": f"{s:.1f}", "by prediction": f"{s / own:.1f}"} for k, s in spent.items()]


def costs_by_family(case: Case) -> list[dict[str, str]]:
    timed = case.cached(
        lambda: seconds_by_model(case), "seconds", inspect.getsource(_prediction), budgets_of(case, np.inf)
    )
    families = np.array([family_of(entry) for entry in case.entries])
    rows = []
    for family in dict.fromkeys(families):
        attack, prediction = timed[families == family].mean(axis=0)
        rows.append(
            {
                "family": str(family),
                "models": str((families == family).sum()),
                "PGD at one budget, ms": f"{1000 * attack:.0f}",
                "prediction, ms": f"{1000 * prediction:.0f}",
                "ratio": f"{attack / prediction:.1f}",
            }
        )
    return rows


def figure(value: float, low: float, high: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f} [{low:.2f} {high:.2f}]"


def repeated(matrix: TransferMatrix) -> Rho:
    """Correlation with the measured rates of what as many other samples would give, by binomial draws."""
    rng = np.random.RandomState(0)
    n = np.maximum(matrix.eligible, 1)
    p = np.where(matrix.eligible > 0, matrix.rates, np.nan)
    draws = [np.where(np.isnan(p), np.nan, rng.binomial(n, np.nan_to_num(p)) / n) for _ in range(20)]
    return Rho(*np.nanmean([rhos(draw, p) for draw in draws], axis=0))


def verdict(results: list[Result], title: str) -> str:
    if not results:
        return f"{title}: not run yet."
    lines = []
    for result in results:
        rivals = {name: rho for name, rho in result.means.items() if name != OURS}
        own = result.means[OURS]
        best = [max(rivals, key=lambda name, i=i: np.nan_to_num(rivals[name][i], nan=-2)) for i in range(3)]
        lines.append(
            f"- {result.name}: rho {own.overall:.2f} over all pairs (best of the others: {best[0]}, "
            f"{rivals[best[0]].overall:.2f}), {own.target:.2f} within targets ({best[1]}, "
            f"{rivals[best[1]].target:.2f}), {own.source:.2f} within sources ({best[2]}, "
            f"{rivals[best[2]].source:.2f}). All attacks take {result.speed:.0f} times as long as the "
            f"prediction for all of them; a single one at a single budget takes {result.single[0]:.1f} to "
            f"{result.single[1]:.1f} times as long as it."
        )
    good = sum(result.means[OURS].overall >= 0.8 for result in results)
    fast = sum(result.speed >= 10 for result in results)
    first = [
        sum(
            result.means[OURS][i]
            > max(np.nan_to_num(r[i], nan=-2) for n, r in result.means.items() if n != OURS)
            for result in results
        )
        for i in range(3)
    ]
    n = len(results)
    head = (
        f"{title}: rho over all pairs is at least .8 on {good} of {n} data sets, and the attacks take at "
        f"least 10 times as long as the prediction for all of them on {fast}. Ours is first over all pairs "
        f"on {first[0]} of {n}, within targets on {first[1]}, within sources on {first[2]}."
    )
    wrapped = [fill(line, 110, subsequent_indent="  ", break_on_hyphens=False) for line in lines]
    return "\n\n".join([fill(head, 110), "\n".join(wrapped)])


PAGE = """# Transfer rates predicted without an attack

{about}
Aims: rho of at least .8 over all pairs on data sets that were not used to design the predictor, at a tenth of
the attacks' time or less.

{development}

{held_out}

How `predict_transfer` works (our own method): every model alone is asked, around each sample that it
classifies right, how far its answer holds along the same {n_directions} directions, half towards samples of
other classes, half noise; {n_halvings} questions for each. Crossing regression makes of that the way to the
model's boundary over the distance, v, how near a boundary is whichever way one goes, c, and what remains
open of both (skhalfway/halfway/_planes.py). A sample made on s is predicted to fool t with probability
Phi(log(eps (<a, v_t> + ||a|| c_t)) / {spread}), a = sign(v_s) in L-inf, v_s / ||v_s|| in L2, where the
argument is an expectation. No model is asked about what was made for another.
`crossing regression, plain` is v alone, from paths between samples without noise, 20 for a
sample, each crossing found to 1/64 of the path, and a threshold of 1 in place of Phi.

Budgets are {shares} of the median distance from a test sample to the nearest training sample of another
class; in L-inf, the change of all features by the same amount that is as long. PGD takes 40 steps, MI-FGSM
10, Square 200 queries a sample; trees and neighbours are attacked by gradient through their smoothed forms.
Averages are over attacks and budgets, intervals (95 %) are a bootstrap over models, {n_bootstraps} draws.
{n_planes} planes were drawn for Somepalli's score, which has 500 in the paper. Measures that know no budget
are the same for all. Noise sensitivity has no opinion about sources. Seconds are CPU seconds of one thread;
a prediction serves all budgets and norms at once, and a call of `predict_transfer` for one costs as much.

`repeated` says what rank correlation a second measurement, on as many other samples, would have with the
first (simulated by binomial draws). A prediction from other samples could not be expected to do better;
ours is made from the same samples, and shares what is peculiar to them. Three figures are all pairs /
within target / within source.

Not tested: images of real size, networks deeper than three layers, adversarially trained models, targeted
attacks, and more than these four attacks.
{tables}"""

SECTION = """
## {name} ({kind})

{summary}

Ours, by attack and budget; sources that fool nobody are those of a rate below .02 on every target:

{by_budget}

{costs}

By family, one model: PGD at the larger L-inf budget (without trying its samples on the other models), and
what a prediction asks of it:

{seconds}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--held-out", action="store_true", help="also run the data sets kept for the end")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    # a measure with no opinion has no correlation, a model that is right nowhere no rate
    warnings.filterwarnings("ignore", "Mean of empty slice|All-NaN", RuntimeWarning)
    names = [*DEVELOPMENT, *(HELD_OUT if options.held_out else ())]
    results = {name: judge(name) for name in tqdm(names)}
    tables = "".join(
        SECTION.format(
            name=name,
            kind="development" if name in DEVELOPMENT else "held out",
            **{part: table(getattr(r, part)) for part in ("summary", "by_budget", "costs", "seconds")},
        )
        for name, r in results.items()
    )
    options.output.write_text(
        PAGE.format(
            about="\n".join((__doc__ or "").splitlines()[2:]) + "\n",
            development=verdict([r for n, r in results.items() if n in DEVELOPMENT], "Development"),
            held_out=verdict([r for n, r in results.items() if n in HELD_OUT], "Held out"),
            shares=" and ".join(f"{share:g}" for share in SHARES),
            n_bootstraps=N_BOOTSTRAPS,
            n_planes=N_PLANES,
            n_directions=_prediction.N_DIRECTIONS,
            n_halvings=_prediction.N_HALVINGS,
            spread=_prediction.SPREAD,
            tables=tables,
        )
    )


if __name__ == "__main__":
    main()
