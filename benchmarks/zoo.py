"""Small data sets and zoos of models trained on them, for benchmarks that need many models.

Networks come as Jiang et al. (2019, arXiv 1912.02178, section 2.2.1) need them: from several configurations
each hyper-parameter is varied alone, all with one seed, so that there are groups that differ in one only.

    python benchmarks/zoo.py [data set ...]

trains what is not yet in benchmarks/.cache/zoo/; each model lies there in a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_sample_images,
    load_wine,
    make_hastie_10_2,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from tqdm.auto import tqdm

from skhalfway.models import as_model

DEVELOPMENT = ("digits", "gaussians")
# the same with fewer classes
RELABELLED = ("digits, odd or even", "gaussians, in two")
HELD_OUT = ("breast cancer", "wine", "diabetes", "patches")
# held out for what was changed after a look at the others
FRESH = ("iris", "hastie", "ringnorm")
ALL = (*DEVELOPMENT, *RELABELLED, *HELD_OUT, *FRESH)
CACHE = Path(__file__).with_name(".cache")
N_BASES = 6
HYPER_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "width": (32, 64, 256),
    "depth": (1, 2, 3),
    "learning_rate": (1e-3, 3e-3, 1e-2),
    "weight_decay": (0.0, 0.03, 0.3),
    "epochs": (10, 40, 160),
    "batch_size": (32, 64, 256),
    "label_noise": (0.0, 0.2, 0.4),
    "share": (0.25, 0.5, 1.0),
}


@dataclass(frozen=True)
class Data:
    """A data set; ``shape`` is that of an image, ``bayes_error`` the least error possible, where known."""

    name: str
    X_train: NDArray[np.float64]
    y_train: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
    shape: tuple[int, ...] | None = None
    bayes_error: float | None = None


@dataclass(frozen=True)
class Entry:
    """A trained model, what it was trained on (labels with their noise), its errors; a name in the cache."""

    key: str
    name: str
    family: str
    hyper: dict[str, Any]
    model: Any
    X_train: NDArray[np.float64]
    y_train: NDArray[np.int64]
    train_error: float
    test_error: float


def halves(
    name: str, X: NDArray[Any], y: NDArray[Any], *, standardise: bool, shape: tuple[int, ...] | None = None
) -> Data:
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    if standardise:
        mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
        X_train, X_test = (X_train - mean) / deviation, (X_test - mean) / deviation
    return Data(name, X_train, y_train.astype(np.int64), X_test, y_test.astype(np.int64), shape)


def gaussians() -> Data:
    """Four classes in ten dimensions, each two Gaussians of its own covariance, all equally likely."""
    rng = np.random.RandomState(0)
    means = 0.95 * rng.standard_normal((4, 2, 10))
    factors = np.eye(10) + 0.15 * rng.standard_normal((4, 2, 10, 10))
    inverses, log_volumes = np.linalg.inv(factors), np.log(np.abs(np.linalg.det(factors)))

    def draw(n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        y, part = rng.randint(4, size=n), rng.randint(2, size=n)
        noise = rng.standard_normal((n, 10))
        return means[y, part] + np.einsum("nij,nj->ni", factors[y, part], noise), y.astype(np.int64)

    def best(X: NDArray[np.float64]) -> NDArray[np.intp]:
        whitened = np.einsum("cpij,ncpj->ncpi", inverses, X[:, None, None] - means)
        return np.logaddexp.reduce(-0.5 * (whitened**2).sum(-1) - log_volumes, axis=2).argmax(axis=1)

    X_train, y_train = draw(800)
    X_test, y_test = draw(4000)
    X, y = draw(200_000)
    predicted = np.concatenate([best(part) for part in np.split(X, 20)])
    return Data("gaussians", X_train, y_train, X_test, y_test, bayes_error=float((predicted != y).mean()))


def patches() -> Data:
    """Grey 8 x 8 patches of two photographs, none of which overlaps another; the class is the photograph."""
    rng, X = np.random.RandomState(0), []
    for photograph in load_sample_images().images:
        grey = photograph.mean(axis=2) / 255
        rows, columns = grey.shape[0] // 8, grey.shape[1] // 8
        tiles = grey[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(-1, 64)
        X.append(tiles[rng.permutation(len(tiles))[:1400]])
    X_train, X_test = np.concatenate([x[:400] for x in X]), np.concatenate([x[400:] for x in X])
    return Data("patches", X_train, np.repeat([0, 1], 400), X_test, np.repeat([0, 1], 1000), (1, 8, 8))


def hastie() -> Data:
    """Two classes in ten dimensions, inside a sphere and outside (Hastie et al. 2009, equation 10.2)."""
    X, y = make_hastie_10_2(4800, random_state=0)
    y = (y > 0).astype(np.int64)
    return Data("hastie", X[:800], y[:800], X[800:], y[800:], bayes_error=0.0)


def ringnorm() -> Data:
    """Two Gaussians in 20 dimensions, one inside the other (Breiman 1996, "Bias, variance, and arcing")."""
    rng = np.random.RandomState(0)
    mean = 2 / np.sqrt(20)

    def draw(n: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        y = rng.randint(2, size=n)
        X = rng.standard_normal((n, 20)) * np.where(y == 0, 2.0, 1.0)[:, None] + mean * y[:, None]
        return X, y.astype(np.int64)

    X_train, y_train = draw(800)
    X_test, y_test = draw(4000)
    X, y = draw(200_000)
    # the log-likelihoods but for a constant
    best = -((X - mean) ** 2).sum(axis=1) / 2 > -(X**2).sum(axis=1) / 8 - 20 * np.log(2)
    return Data("ringnorm", X_train, y_train, X_test, y_test, bayes_error=float((best != y).mean()))


@cache
def load(name: str) -> Data:
    """Load or make a data set by its name."""
    if name in RELABELLED:
        of, parts = name.split(", ")
        data = load(of)
        y_train, y_test = (y % 2 if parts == "odd or even" else y // 2 for y in (data.y_train, data.y_test))
        return replace(data, name=name, y_train=y_train, y_test=y_test, bayes_error=None)
    if name == "hastie":
        return hastie()
    if name == "ringnorm":
        return ringnorm()
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return halves(name, X / 16, y, standardise=False, shape=(1, 8, 8))
    if name == "gaussians":
        return gaussians()
    if name == "patches":
        return patches()
    if name == "diabetes":
        X, progression = load_diabetes(return_X_y=True)
        return halves(name, X, progression > np.median(progression), standardise=True)
    loaders = {"breast cancer": load_breast_cancer, "wine": load_wine, "iris": load_iris}
    if name in loaders:
        X, y = loaders[name](return_X_y=True)
        return halves(name, X, y, standardise=True)
    raise ValueError(f"no data set {name!r}; there are {ALL}")


def network(data: Data, family: str, width: int, depth: int) -> nn.Sequential:
    """Perceptron, or convolutions (an eighth as many channels as a perceptron has units); it takes rows."""
    n_classes, layers = int(data.y_train.max()) + 1, list[nn.Module]()
    if family == "mlp":
        sizes = [data.X_train.shape[1], *[width] * depth]
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, n_classes))
    assert data.shape is not None
    channels = [data.shape[0], *[width // 8] * depth]
    layers.append(nn.Unflatten(1, data.shape))
    for i, (n_in, n_out) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
        if i == 0:
            layers.append(nn.MaxPool2d(2))
    n_features = channels[-1] * data.shape[1] // 2 * data.shape[2] // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_features, n_classes))


def training_part(
    data: Data, share: float, label_noise: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Share of the training samples, some with another class; less of either is a part of more of it."""
    rng, n = np.random.RandomState(seed), len(data.X_train)
    rows, turned = rng.permutation(n), rng.uniform(size=n)
    n_classes = int(data.y_train.max()) + 1
    others = (data.y_train[rows] + rng.randint(1, n_classes, size=n)) % n_classes
    y = np.where(turned < label_noise, others, data.y_train[rows])
    n_used = round(share * n)
    return data.X_train[rows[:n_used]], y[:n_used]


def train_network(data: Data, hyper: dict[str, Any]) -> nn.Sequential:
    """AdamW on the cross-entropy, bare."""
    X, y = training_part(data, hyper["share"], hyper["label_noise"], hyper["seed"])
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.from_numpy(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hyper["seed"])
        module = network(data, hyper["family"], hyper["width"], hyper["depth"])
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=hyper["learning_rate"], weight_decay=hyper["weight_decay"], fused=True
        )
        for _ in range(hyper["epochs"]):
            for batch in torch.randperm(len(inputs)).split(hyper["batch_size"]):
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
                optimizer.step()
    return module.eval()


def train_classical(data: Data, hyper: dict[str, Any]) -> Any:
    X, y = training_part(data, hyper["share"], hyper["label_noise"], hyper["seed"])
    return clone(CLASSICAL[hyper["technique"]]).fit(X, y)


def networks(data: Data) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and hyper-parameters of each network: N_BASES configurations, and each one's neighbours."""
    values = dict(HYPER_PARAMETERS)
    if len(data.X_train) < 400:  # as many steps as on more samples
        values["epochs"] = tuple(3 * n for n in values["epochs"])
    values["family"] = ("mlp",) if data.shape is None else ("mlp", "cnn")
    rng = np.random.RandomState(0)
    # every value as often as any other, up to one
    drawn = {
        key: rng.permutation(np.resize(np.arange(len(options)), N_BASES)) for key, options in values.items()
    }
    for i in range(N_BASES):
        base = {key: options[drawn[key][i]] for key, options in values.items()} | {"seed": i}
        yield f"network {i}", base
        for key, options in values.items():
            for value in options:
                if value != base[key]:
                    yield f"network {i}, {key} {value}", base | {key: value}


CLASSICAL: dict[str, Any] = {
    "1-NN": KNeighborsClassifier(1),
    "5-NN": KNeighborsClassifier(5),
    "25-NN": KNeighborsClassifier(25),
    "perceptron": Perceptron(random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "tree, depth 4": DecisionTreeClassifier(max_depth=4, random_state=0),
    "bagged trees": BaggingClassifier(n_estimators=20, random_state=0),
    "forest": RandomForestClassifier(50, random_state=0),
    "forest, depth 4": RandomForestClassifier(50, max_depth=4, random_state=0),
    "extra trees": ExtraTreesClassifier(50, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
    "histogram boosting, 4 leaves": HistGradientBoostingClassifier(
        max_iter=30, max_leaf_nodes=4, random_state=0
    ),
    "AdaBoost": AdaBoostClassifier(n_estimators=30, random_state=0),
    "linear SVC": SVC(kernel="linear"),
    "linear SVC, C 0.01": SVC(kernel="linear", C=0.01),
    "RBF SVC": SVC(),
    "RBF SVC, C 100": SVC(C=100),
    "RBF SVC, narrow": SVC(gamma=0.5),
    "logistic": LogisticRegression(max_iter=10_000),
    "logistic, C 0.01": LogisticRegression(C=0.01, max_iter=10_000),
    "ridge": RidgeClassifier(),
    "naive Bayes": GaussianNB(var_smoothing=1e-3),
    "LDA": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "QDA": QuadraticDiscriminantAnalysis(reg_param=0.1),
}
NOISY = (
    "1-NN",
    "25-NN",
    "tree",
    "forest",
    "histogram boosting",
    "RBF SVC",
    "RBF SVC, C 100",
    "logistic",
    "naive Bayes",
)
FEWER = ("5-NN", "tree", "forest", "RBF SVC", "logistic", "LDA")


def classical() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and hyper-parameters of each classical classifier: clean, of noisy labels, of fewer samples."""
    parts = (
        (CLASSICAL, "", 0.0, 1.0),
        (NOISY, ", label noise 0.3", 0.3, 1.0),
        (FEWER, ", share 0.25", 0.0, 0.25),
    )
    for techniques, suffix, label_noise, share in parts:
        for technique in techniques:
            hyper = {"technique": technique, "label_noise": label_noise, "share": share, "seed": 0}
            yield technique + suffix, hyper


CODE = [inspect.getsource(f) for f in (train_network, train_classical, network, training_part)]


def digest(*parts: Any) -> str:
    """Name of a cached file: what determines its content, arrays by their bytes."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return total.hexdigest()[:20]


def cached(path: Path, make: Any) -> Any:
    """Return what lies at a path, or make it and put it there, whole or not at all."""
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(made))
    part.replace(path)
    return made


def zoo(name: str, *, quick: bool = False) -> list[Entry]:
    """Train or load the models of a data set; ``quick`` takes every eighth of them."""
    data = load(name)
    determined = digest(
        data.X_train, data.y_train, *CODE, np.__version__, torch.__version__, sklearn.__version__
    )
    planned = [*networks(data), *classical()][:: 8 if quick else 1]
    entries = []
    for title, hyper in tqdm(planned, desc=name, leave=False):
        train = train_classical if "technique" in hyper else train_network
        key = digest(determined, hyper, CLASSICAL.get(hyper.get("technique", "")))
        model = cached(CACHE / "zoo" / name / f"{key}.pkl", lambda h=hyper, t=train: t(data, h))
        X, y = training_part(data, hyper["share"], hyper["label_noise"], hyper["seed"])
        seen = as_model(model)
        train_error = float((seen.predict(X) != y).mean())
        test_error = float((seen.predict(data.X_test) != data.y_test).mean())
        family = hyper.get("family", "classical")
        entries.append(Entry(key, title, family, hyper, model, X, y, train_error, test_error))
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", default=ALL)
    for name in parser.parse_args().names:
        entries = zoo(name)
        for kind, chosen in (
            ("networks", [e for e in entries if e.family != "classical"]),
            ("classical", [e for e in entries if e.family == "classical"]),
        ):
            train, test = (
                np.array([getattr(e, f"{part}_error") for e in chosen]) for part in ("train", "test")
            )
            print(
                f"{name}: {len(chosen)} {kind}, training error 0 in {np.mean(train == 0):.0%}, "
                f"quartiles {np.quantile(train, (0.25, 0.5, 0.75)).round(3)}, "
                f"test error {np.quantile(test, (0, 0.25, 0.5, 0.75, 1)).round(3)}"
            )


if __name__ == "__main__":
    main()
