"""Data, a dozen models of mixed kinds on each, and what PGD makes of them: for transfer_prediction2.py."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import designs
import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images, make_circles, make_gaussian_quantiles, make_swiss_roll
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from tqdm.auto import tqdm
from zoo import CACHE, cached, digest, load

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import Model, as_model
from skhalfway.transfer import TransferCurve

Array = NDArray[np.float64]
N_TEST = 100
# of the median distance from a test sample to the nearest training sample of another class
SHARES = {np.inf: (0.2, 0.4, 0.8), 2.0: (0.15, 0.3, 0.6)}


@dataclass(frozen=True)
class Set:
    """Rows to train on and rows to attack; ``size`` is the side of square grey images, 0 for a table."""

    X_train: Array
    y_train: NDArray[np.intp]
    X: Array
    y: NDArray[np.intp]
    size: int = 0


def _split(X: Any, y: Any, n_train: int, *, size: int = 0, standardise: bool = False, seed: int = 0) -> Set:
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=np.intp)
    order = np.random.RandomState(seed).permutation(len(X))
    train, test = order[:n_train], order[n_train : n_train + N_TEST]
    if standardise:
        X = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
    return Set(X[train], y[train], X[test], y[test], size)


# development


def silhouettes() -> Set:
    """Ten animals, 28 x 28 (PyPI package animal_mnist)."""
    data = designs.animals(0)
    return Set(
        data.X_train[:2500].reshape(2500, -1).astype(float),
        data.y_train[:2500],
        data.X_test[:N_TEST].reshape(N_TEST, -1).astype(float),
        data.y_test[:N_TEST],
        28,
    )


def digits() -> Set:
    data = load("digits")
    return Set(data.X_train, data.y_train, data.X_test[:N_TEST], data.y_test[:N_TEST], 8)


def gaussians() -> Set:
    """Four classes in ten dimensions."""
    data = load("gaussians")
    return Set(data.X_train, data.y_train, data.X_test[:N_TEST], data.y_test[:N_TEST])


def teacher() -> Set:
    """Five classes in 40 dimensions: what a random network with one hidden layer answers."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((1200, 40)) @ np.diag(np.geomspace(2, 0.5, 40))
    hidden = np.tanh(X @ rng.standard_normal((40, 12)) / np.sqrt(40) * 1.5)
    scores = hidden @ rng.standard_normal((12, 5))
    scores -= scores.mean(axis=0)
    return _split(X, scores.argmax(axis=1), 1000, standardise=True)


def fields() -> Set:
    """Three kinds of random fields, 12 x 12: smooth along rows, along columns, or both."""
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=1100)
    kinds = [(0.6, 1.6), (1.6, 0.6), (1.1, 1.1)]
    X = np.stack([gaussian_filter(rng.standard_normal((12, 12)), kinds[k], mode="wrap") for k in y])
    X /= X.std(axis=(1, 2), keepdims=True)
    return _split(0.5 + 0.15 * X.reshape(len(X), -1), y, 1000, size=12)


DEVELOPMENT: dict[str, Callable[[], Set]] = {
    "digits": digits,
    "gaussians": gaussians,
    "teacher": teacher,
    "fields": fields,
    "silhouettes": silhouettes,
}


# held out: named, and committed with what is claimed of them, before a model was trained on them


def quantiles() -> Set:
    """Three shells of a Gaussian in 20 dimensions (make_gaussian_quantiles)."""
    return _split(*make_gaussian_quantiles(n_samples=1100, n_features=20, n_classes=3, random_state=0), 1000)


def lifted_circles() -> Set:
    """Two circles in the plane, and 50 random smooth features of it (make_circles)."""
    X, y = make_circles(1100, noise=0.12, factor=0.5, random_state=0)
    rng = np.random.RandomState(0)
    lifted = np.tanh(X @ rng.standard_normal((2, 50)) + rng.uniform(-1, 1, 50))
    return _split(lifted + 0.1 * rng.standard_normal(lifted.shape), y, 1000, standardise=True)


def rolled_bands() -> Set:
    """Six bands of a Swiss roll, turned in 30 dimensions with noise (make_swiss_roll)."""
    X, t = make_swiss_roll(1100, noise=0.3, random_state=0)
    rng = np.random.RandomState(0)
    turned = X @ np.linalg.qr(rng.standard_normal((30, 3)))[0].T + rng.standard_normal((1100, 30))
    return _split(turned, np.digitize(t, np.quantile(t, np.arange(1, 6) / 6)), 1000, standardise=True)


def textures() -> Set:
    """Grey crops of 12 x 12 pixels: which photograph, and which half of it (load_sample_images)."""
    rng, X, y = np.random.RandomState(0), [], []
    greys = [photograph.mean(axis=2) / 255 for photograph in load_sample_images().images]
    for _ in range(1100):
        k = rng.randint(4)
        half = np.array_split(greys[k // 2], 2)[k % 2]
        top, left = rng.randint(half.shape[0] - 12), rng.randint(half.shape[1] - 12)
        X.append(half[top : top + 12, left : left + 12].ravel())
        y.append(k)
    return _split(X, y, 1000, size=12)


def letters() -> Set:
    """Eight letters in two fonts, 14 x 14, turned, moved and with noise (the fonts of matplotlib)."""
    rng, X, y = np.random.RandomState(0), [], []
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(str(folder / f"{name}.ttf"), 15) for name in ("DejaVuSans", "DejaVuSerif")]
    for _ in range(1300):
        k = rng.randint(8)
        image = Image.new("L", (28, 28))
        ImageDraw.Draw(image).text((14, 14), "ABCEHKRX"[k], 255, fonts[rng.randint(2)], anchor="mm")
        image = image.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
        top, left = 7 + rng.randint(-1, 2, 2)
        crop = np.asarray(image, dtype=float)[top : top + 14, left : left + 14] / 255
        X.append((crop + 0.1 * rng.standard_normal(crop.shape)).ravel())
        y.append(k)
    return _split(X, y, 1200, size=14)


HELD_OUT: dict[str, Callable[[], Set]] = {
    "quantiles": quantiles,
    "lifted circles": lifted_circles,
    "rolled bands": rolled_bands,
    "textures": textures,
    "letters": letters,
}


# models


def scale_of(data: Set) -> float:
    """Median distance from a sample to the nearest training sample of another class."""
    squares = (data.X**2).sum(1)[:, None] + (data.X_train**2).sum(1) - 2 * data.X @ data.X_train.T
    squares[data.y[:, None] == data.y_train] = np.inf
    return float(np.median(np.sqrt(np.maximum(squares.min(axis=1), 0))))


def budgets_of(data: Set) -> list[tuple[float, float]]:
    """(eps, norm); in L-inf, the same change of every feature that is as long as the share says."""
    scale = scale_of(data)
    return [
        (float(share * scale / (1 if norm == 2 else np.sqrt(data.X.shape[1]))), norm)
        for norm, shares in SHARES.items()
        for share in shares
    ]


def train(module: nn.Module, data: Set, *, n_steps: int, eps: float = 0.0, seed: int = 0) -> nn.Module:
    """Adam on batches of 128; with ``eps``, on samples after three steps of PGD in L-inf."""
    X = torch.tensor(data.X_train, dtype=torch.float32)
    y, generator = torch.from_numpy(data.y_train.astype(np.int64)), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    loss = nn.functional.cross_entropy
    module.train()
    for _ in range(n_steps):
        rows = torch.randint(len(X), (128,), generator=generator)
        change = torch.zeros_like(X[rows])
        for _ in range(3 if eps else 0):
            change.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(module(X[rows] + change), y[rows]), change)
            change = (change.detach() + 0.5 * eps * gradient.sign()).clamp(-eps, eps)
        optimizer.zero_grad()
        loss(module(X[rows] + change.detach()), y[rows]).backward()
        optimizer.step()
        schedule.step()
    return module.eval()


def networks(data: Set) -> dict[str, Callable[[], nn.Module]]:
    d, n_classes = data.X_train.shape[1], int(data.y_train.max()) + 1

    def perceptron(*widths: int) -> nn.Module:
        layers: list[nn.Module] = []
        for a, b in zip([d, *widths], widths, strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], n_classes))

    def image(design: Callable[[int, int, int], nn.Module]) -> Callable[[], nn.Module]:
        return lambda: nn.Sequential(
            nn.Unflatten(1, (1, data.size, data.size)), design(1, data.size, n_classes)
        )

    found: dict[str, Callable[[], nn.Module]] = {
        "perceptron": lambda: perceptron(64, 64),
        "wide perceptron": lambda: perceptron(256),
        "adversarial perceptron": lambda: perceptron(128, 64),
    }
    if data.size:
        return found | {"CNN": image(designs.vgg), "residual CNN": image(designs.resnet)}
    return found | {
        "residual": lambda: designs.table_resnet(d, n_classes),
        "attention": lambda: designs.table_attention(d, n_classes),
    }


CLASSICAL: dict[str, Any] = {
    "logistic": LogisticRegression(C=0.1, max_iter=500),
    "linear SVC": SVC(kernel="linear", C=0.1),
    "RBF SVC": SVC(),
    "5-NN": KNeighborsClassifier(5),
    "forest": RandomForestClassifier(40, random_state=0),
    "boosting": HistGradientBoostingClassifier(max_iter=25, random_state=0),
    "naive Bayes": GaussianNB(var_smoothing=1e-2),
    "tree": DecisionTreeClassifier(max_depth=8, random_state=0),
}


def models_of(data: Set) -> dict[str, Any]:
    found: dict[str, Any] = {name: m.fit(data.X_train, data.y_train) for name, m in CLASSICAL.items()}
    for i, (name, make) in enumerate(networks(data).items()):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(i)
            eps = budgets_of(data)[0][0] if name == "adversarial perceptron" else 0.0
            found[name] = train(make(), data, n_steps=300 if "CNN" in name else 600, eps=eps, seed=i)
    return found


@dataclass(frozen=True)
class Case:
    """Models, samples, and what PGD did: a curve and its CPU seconds for each norm."""

    name: str
    data: Set
    models: dict[str, Any]
    curves: dict[float, tuple[TransferCurve, float]]

    @property
    def seen(self) -> dict[str, Model]:
        return {name: as_model(model) for name, model in self.models.items()}

    def measured(self) -> list[tuple[tuple[float, float], Array, NDArray[np.intp]]]:
        """(eps, norm), rates and how many samples they are of."""
        return [
            ((float(eps), norm), matrix.rates, matrix.eligible)
            for norm, (curve, _) in self.curves.items()
            for eps, matrix in zip(curve.eps[1:], curve.matrices[1:], strict=True)
        ]


def attacked(data: Set, models: dict[str, Any], norm: float) -> tuple[TransferCurve, float]:
    """PGD of 40 steps on every model, its samples tried on all."""
    scorer = TransferScorer(AdversarialGenerator(attack="pgd", norm=norm), random_state=0).fit(models)
    begin = time.process_time()
    curve = scorer.transfer_curve(data.X, data.y, eps=[eps for eps, of in budgets_of(data) if of == norm])
    return curve, time.process_time() - begin


def case_of(name: str, make: Callable[[], Set]) -> Case:
    data = make()
    code = [inspect.getsource(f) for f in (train, networks, models_of, attacked)]
    key = digest(data.X_train, data.y_train, data.X, data.y, CLASSICAL, *code)
    place = CACHE / "prediction" / name
    models = cached(place / f"{key}.pkl", lambda: models_of(data))
    curves = {
        norm: cached(place / f"{key}-{norm:g}.pkl", lambda n=norm: attacked(data, models, n))
        for norm in tqdm(SHARES, desc=f"{name}: attacks", leave=False)
    }
    return Case(name, data, models, curves)
