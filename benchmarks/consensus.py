"""Which measures pick a good model among models of one training set: consensus against the usual ones.

    python benchmarks/consensus.py

measures what is not yet in consensus.json, one training set after another,
and writes consensus.md and consensus.svg. Data and models: consensus_zoo.py, which says what to install;
every measure is a line of MEASURES. `--development` runs on digits instead, into .cache/, to try the program.

Fixed before the first run, and not changed after it:

- Data, seeds, training sets, models: consensus_zoo.py. Measures: MEASURES. What is compared: test error.
- *Headline*: excess error of the model that a measure picks, its test error less the least among the 42
  models, in points; ties are averaged. *Primary rank correlation*: Kendall's tau-b with test accuracy among
  the 32 networks of one training set, averaged over seeds; a constant measure has tau 0. Intervals are
  Student's over the eight data sets.
- Claims:
  1. With noisy labels (.2 and .4), networks are ranked better by the jury at halves, and by peers at halves,
     than by training accuracy, mixup accuracy, every margin, norm and sharpness, the halfway score, and than
     by 5-fold cross-validation.
  2. With clean labels, all of them or 30 %, neither ranks better than 5-fold cross-validation.
  3. With noisy labels, the model that the jury at halves picks has no more excess error than the picks of
     5-fold cross-validation and of a tenth held out.
  4. Over all four training sets of a data set together, leave-one-out k-NN accuracy, which never looks at the
     model, has a tau among networks that is not far (.1) from that of the jury at halves.
  5. Halves matter: the jury at halves ranks better than the jury at the training samples themselves.
- Objection to answer with figures: it may be better to use the jury than to pick by it. Its own test error
  stands beside the picks.
- One thing was mended after the first training set of the first run, which ended there: 30 % of the crabs are
  30 samples, of which folds hold 24, too few for "25-NN", which takes all that there are.
- After 38 of the 96 training sets, perceptrons of folds of a size are trained at once (`train_each`), with
  the same random numbers: only sums are rounded otherwise.
- No measure sees a test label; "two seeds, new samples" sees test samples without labels.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from consensus_zoo import (
    CLASSICAL,
    CONDITIONS,
    DATA,
    SEEDS,
    Data,
    classical,
    load,
    networks,
    train,
    train_each,
    training_set,
)
from joblib import delayed
from measures import (
    feature_margin,
    flatness,
    gradient_margin,
    halfway,
    halfway_deviation,
    magnitude_flatness,
    mixup_accuracy,
    output_margin,
    parameter_norm,
    path_norm,
    spectral_margin,
    spectral_product,
)
from numpy.typing import NDArray
from resumed import plain, resumed
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import NearestNeighbors
from zoo import CACHE, Entry

from skhalfway.halfway import Jury, sample_pairs
from skhalfway.halfway._halves import neighbour_pairs, peers_credit
from skhalfway.models import as_model
from skhalfway.training import TrainingHistory
from skhalfway.training._recorder import Recorder

HERE = Path(__file__).parent
RESULTS = HERE / "consensus.json"
N_FOLDS, N_VOTES, N_PATHS, N_RECORDED = 5, 12, 300, 100
Array = NDArray[Any]


@dataclass
class Judged:
    """A model of a training set, with what measures need of it."""

    name: str
    entry: Entry
    hyper: dict[str, Any] | None  # of a network
    fit: Callable[[Array, Array, int], Any]  # anew, on other samples or with another seed
    fit_each: Callable[[list[tuple[Array, Array]]], list[Any]]  # anew, on each of these samples
    predecessors: float = np.nan  # mean deviation of what it was at an eighth, a quarter and half of training

    def says(self, points: Array) -> Array:
        return labels_of(self.entry.model, points)


def labels_of(model: Any, points: Array) -> Array:
    seen = as_model(model)
    found = seen.predict(points)
    return found if seen.classes_ is None else seen.classes_[found]


@dataclass
class TrainingSet:
    """A training set, its models and the points at which they are asked; each answer is computed once."""

    data: Data
    X: Array
    y: Array
    models: list[Judged]
    jury: Any
    kept: dict[str, Array] = field(default_factory=dict)

    def answers(self, name: str, points: Callable[[], Array]) -> tuple[Array, Array]:
        """What models (n_models, n_points), and the jury, say at points of a name."""
        if name not in self.kept:
            at = points()
            self.kept[name] = np.stack([*(model.says(at) for model in self.models), self.jury.predict(at)])
        return self.kept[name][:-1], self.kept[name][-1]

    @property
    def pairs(self) -> Array:
        return neighbour_pairs(self.X, 6)

    def halves(self) -> Array:
        return (self.X[self.pairs[:, 0]] + self.X[self.pairs[:, 1]]) / 2

    def paths(self) -> Array:
        """17 points on each of 300 paths between samples of different labels, as in the prototype."""
        counts = np.bincount(self.y)
        n = int(min(N_PATHS, counts.sum() ** 2 - (counts**2).sum()))
        ends = sample_pairs(self.X, self.y, n_pairs=n, random_state=0)
        t = np.linspace(0, 1, 17, dtype=np.float32)[:, None, None]
        return ((1 - t) * self.X[ends[:, 0]] + t * self.X[ends[:, 1]]).reshape(-1, self.X.shape[1])


# ---- measures of all models of a training set at once: (n_models,), larger is better


def jury_at(name: str, points: Callable[[TrainingSet], Array]) -> Callable[[TrainingSet], Array]:
    def measure(one: TrainingSet) -> Array:
        answers, jury = one.answers(name, lambda: points(one))
        return (answers == jury).mean(axis=1)

    return measure


def peers_at(name: str, points: Callable[[TrainingSet], Array]) -> Callable[[TrainingSet], Array]:
    def measure(one: TrainingSet) -> Array:
        return peers_credit(one.answers(name, lambda: points(one))[0]).mean(axis=1)

    return measure


def neighbours_at_halves(one: TrainingSet) -> Array:
    """Share of the 12 nearest labels to a half, its two ends left out, that are the model's answer there."""
    answers, _ = one.answers("halves", one.halves)
    near = NearestNeighbors(n_neighbors=min(N_VOTES + 2, len(one.X))).fit(one.X)
    rows = near.kneighbors(one.halves(), return_distance=False)
    inside = (rows[:, :, None] != one.pairs[:, None]).all(axis=2)
    first = np.argsort(~inside, axis=1, kind="stable")[:, : min(N_VOTES, len(one.X) - 2)]
    voted = one.y[np.take_along_axis(rows, first, axis=1)]
    return (answers[:, :, None] == voted).mean(axis=(1, 2))


def cross_validation(one: TrainingSet) -> Array:
    """Mean accuracy in 5-fold cross-validation, each model trained five times anew."""
    folds = list(StratifiedKFold(N_FOLDS, shuffle=True, random_state=0).split(one.X, one.y))
    parts, held_out = (
        [(one.X[inside], one.y[inside]) for inside, _ in folds],
        [outside for _, outside in folds],
    )
    found = []
    for model in one.models:
        fitted = model.fit_each(parts)
        found.append(np.mean([accuracy(one, *pair) for pair in zip(fitted, held_out, strict=True)]))
    return np.array(found)


def held_out_tenth(one: TrainingSet) -> Array:
    """Accuracy on a tenth of the samples of what was trained on the others."""
    inside, outside = train_test_split(np.arange(len(one.y)), test_size=0.1, random_state=0)
    fitted = [model.fit(one.X[inside], one.y[inside], 0) for model in one.models]
    return np.array([accuracy(one, each, outside) for each in fitted])


def accuracy(one: TrainingSet, fitted: Any, rows: Array) -> float:
    return float((labels_of(fitted, one.X[rows]) == one.y[rows]).mean())


def two_seeds(one: TrainingSet, name: str, points: Array) -> Array:
    """Share of points at which a network says what one trained with another seed says (Jiang et al. 2022)."""
    if "second seed" not in one.kept:
        others = [model.fit(one.X, one.y, 1) if model.hyper else None for model in one.models]
        one.kept["second seed"] = np.array([*others, None], dtype=object)[:-1]
    answers, _ = one.answers(name, lambda: points)
    pairs = zip(answers, one.kept["second seed"], strict=True)
    return np.array(
        [np.nan if other is None else (own == labels_of(other, points)).mean() for own, other in pairs]
    )


def leave_one_out(one: TrainingSet) -> Array:
    """Accuracy of 12 nearest neighbours, each sample's label told by the others: the same for all models."""
    n = min(N_VOTES, len(one.X) - 1)
    near = NearestNeighbors(n_neighbors=n).fit(one.X).kneighbors(return_distance=False)
    votes = np.stack([(one.y[near] == label).sum(axis=1) for label in range(one.data.n_classes)], axis=1)
    return np.full(len(one.models), (votes.argmax(axis=1) == one.y).mean())


def each(function: Callable[[Entry], float], *, of_networks: bool = False) -> Callable[[TrainingSet], Array]:
    """A measure of measures.py; nan where it is one of networks only."""

    def measure(one: TrainingSet) -> Array:
        values = [function(model.entry) if model.hyper or not of_networks else np.nan for model in one.models]
        return np.array(values)

    return measure


MEASURES: dict[str, Callable[[TrainingSet], Array]] = {
    "consensus: jury at halves": jury_at("halves", TrainingSet.halves),
    "consensus: peers at halves": peers_at("halves", TrainingSet.halves),
    "jury on paths": jury_at("paths", TrainingSet.paths),
    "jury at training samples": jury_at("training", lambda one: one.X),
    "peers at training samples": peers_at("training", lambda one: one.X),
    "k-NN vote at halves": neighbours_at_halves,
    "5-fold cross-validation": cross_validation,
    "a tenth held out": held_out_tenth,
    "two seeds, halves": lambda one: two_seeds(one, "halves", one.halves()),
    "two seeds, new samples": lambda one: two_seeds(one, "test", one.data.X_test),
    "leave-one-out k-NN": leave_one_out,
    "training accuracy": each(lambda entry: 1 - entry.train_error),
    "mixup accuracy": each(mixup_accuracy),
    "halfway score": each(halfway),
    "halfway deviation": each(halfway_deviation),
    "predecessors' deviation": lambda one: np.array([-model.predecessors for model in one.models]),
    "output margin": each(output_margin),
    "margin / spectral norms": each(spectral_margin, of_networks=True),
    "margin / gradient": each(gradient_margin, of_networks=True),
    "margin in features": each(feature_margin, of_networks=True),
    "parameter norm": each(parameter_norm, of_networks=True),
    "spectral product": each(spectral_product, of_networks=True),
    "path norm": each(path_norm, of_networks=True),
    "flatness": each(flatness, of_networks=True),
    "magnitude-aware flatness": each(magnitude_flatness, of_networks=True),
}


# ---- models


def trained_network(data: Data, X: Array, y: Array, hyper: dict[str, Any], key: str) -> Judged:
    """A network, and the boundaries of its predecessors, recorded as `HalfwayCallback` does."""
    counts = np.bincount(y)
    n = int(min(N_RECORDED, len(X), counts.sum() ** 2 - (counts**2).sum()))
    recorder = Recorder(X, y, every=1, n_pairs=n, tol=1e-2, random_state=0)

    def record(module: Any, epoch: int, n_epochs: int) -> None:
        if epoch in {max(1, n_epochs // 8), max(1, n_epochs // 4), max(1, n_epochs // 2)}:
            recorder.record(as_model(module), epoch)

    model = train(data, hyper, X, y, 0, record)
    before = TrainingHistory(**recorder.arrays()).deviation
    entry = entry_of(data, X, y, model, key, hyper["family"])
    known = before[~np.isnan(before)]
    return Judged(
        key,
        entry,
        hyper,
        lambda X, y, seed: train(data, hyper, X, y, seed),
        lambda parts: train_each(data, hyper, parts, 0),
        float(known.mean()) if len(known) else 0.5,  # it never told two samples apart
    )


def trained_classical(data: Data, X: Array, y: Array, name: str) -> Judged:
    def fit(X: Array, y: Array, seed: int) -> Any:
        return classical(name, len(X)).fit(X, y)

    def fit_each(parts: list[tuple[Array, Array]]) -> list[Any]:
        return [fit(*part, 0) for part in parts]

    return Judged(name, entry_of(data, X, y, fit(X, y, 0), name, "classical"), None, fit, fit_each)


def entry_of(data: Data, X: Array, y: Array, model: Any, key: str, family: str) -> Entry:
    train_error = float((labels_of(model, X) != y).mean())
    test_error = float((labels_of(model, data.X_test) != data.y_test).mean())
    return Entry(key, key, family, {}, model, X, y, train_error, test_error)


def block(name: str, seed: int, condition: str, data: Data | None = None) -> dict[str, Any]:
    """Test errors and measures of the models of a training set."""
    begin = time.time()
    torch.set_num_threads(1)
    data = load(name, seed) if data is None else data
    X, y = training_set(data, condition, seed)
    with warnings.catch_warnings():
        # of classes with few samples in folds, of features that are collinear, of logistic regression's steps
        warnings.simplefilter("ignore")
        jury = Jury(random_state=0).fit(X, y)
        nets = [trained_network(data, X, y, h, f"network {i}") for i, h in enumerate(networks(data, seed))]
        models = [*nets, *(trained_classical(data, X, y, technique) for technique in CLASSICAL)]
        one = TrainingSet(data, X, y, models, jury)
        values = {title: measure(one) for title, measure in MEASURES.items()}
    return {
        "data": name,
        "seed": seed,
        "condition": condition,
        "models": [model.name for model in models],
        "hyper": [model.hyper for model in nets],
        "train_error": [round(model.entry.train_error, 5) for model in models],
        "test_error": [round(model.entry.test_error, 5) for model in models],
        "jury_error": round(float((jury.predict(data.X_test) != data.y_test).mean()), 5),
        "measures": {title: [plain(value) for value in found] for title, found in values.items()},
        "seconds": round(time.time() - begin),
    }


def measured(data: list[str], n_jobs: int, path: Path = RESULTS) -> list[dict[str, Any]]:
    """All blocks; those that the file has are not measured again."""
    wanted = [(name, seed, condition) for seed in SEEDS for name in data for condition in CONDITIONS]
    return resumed({one: delayed(block)(*one) for one in wanted}, ("data", "seed", "condition"), path, n_jobs)


def development() -> None:
    """One training set of digits, to try the program: its results say nothing new."""
    from zoo import load as load_zoo

    digits = load_zoo("digits")
    X, X_test = digits.X_train[:300].astype(np.float32), digits.X_test.astype(np.float32)
    data = Data(X, digits.y_train[:300], X_test, digits.y_test, 10)
    found = block("digits", 0, "noise .2", data)
    CACHE.mkdir(exist_ok=True)
    (CACHE / "consensus_development.json").write_text(json.dumps([found]))
    print(f"{found['seconds']} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=DATA)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.development:
        development()
        return
    blocks = measured(options.data, options.jobs)
    from consensus_page import write

    write(blocks, HERE)


if __name__ == "__main__":
    main()
