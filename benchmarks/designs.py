"""Networks of six designs, and data for them: images of three kinds and two tables."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_images, make_classification
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn


@dataclass(frozen=True)
class Data:
    """Training and test samples, and the budget in L-inf at which they are attacked."""

    X_train: NDArray[np.float32]
    y_train: NDArray[np.intp]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.intp]
    eps: float
    clip_values: tuple[float, float] | None

    @property
    def is_images(self) -> bool:
        return self.X_train.ndim == 4


def _split(X: Any, y: Any, n_train: int, seed: int, **rest: Any) -> Data:
    parts = train_test_split(X, y, train_size=n_train, test_size=N_TEST, random_state=seed, stratify=y)
    X_train, X_test, y_train, y_test = parts
    return Data(X_train.astype("float32"), y_train, X_test.astype("float32"), y_test, **rest)


N_TEST = 120


def digits(seed: int) -> Data:
    X, y = load_digits(return_X_y=True)
    return _split(X.reshape(-1, 1, 8, 8) / 16, y, 1500, seed, eps=0.15, clip_values=(0, 1))


class _OnlyArrays(pickle.Unpickler):
    """Loads arrays of numpy, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
        if module.split(".")[0] != "numpy" or name not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no array of numpy")
        return super().find_class(module, name)


def _animal_file(name: str) -> NDArray[Any]:
    """One of the two files of the package animal_mnist, which need not be importable."""
    found = [each for each in metadata.files("animal_mnist") or [] if each.name == name]
    return _OnlyArrays(io.BytesIO(gzip.decompress(Path(str(found[0].locate())).read_bytes()))).load()


def silhouettes() -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Ten animals, 28 x 28, 10,000 in all (PyPI package animal_mnist)."""
    X, y = (np.asarray(_animal_file(f"animal_{what}_version_3.gz")) for what in ("data", "label"))
    return X.reshape(len(X), 1, 28, 28) / 255, np.unique(y, return_inverse=True)[1].ravel()


def animals(seed: int) -> Data:
    X, y = silhouettes()
    return _split(X, y, 4000, seed, eps=0.1, clip_values=(0, 1))


def patches(seed: int) -> Data:
    """Patches of 16 x 16 pixels of two photographs; which photograph, and which third of its height.

    Those of test lie to the right of those of training, and share no pixel with them.
    """
    rng, size = np.random.RandomState(seed), 16
    samples: dict[bool, tuple[list[Any], list[int]]] = {True: ([], []), False: ([], [])}
    for number, photograph in enumerate(load_sample_images().images):
        image = np.moveaxis(photograph, 2, 0) / 255
        height, width = image.shape[1] // 3, int(0.75 * image.shape[2])
        for third in range(3):
            part = image[:, third * height : (third + 1) * height]
            for train, n in ((True, 500), (False, N_TEST // 6)):
                low, high = (0, width - size) if train else (width, image.shape[2] - size)
                for _ in range(n):
                    top, left = rng.randint(height - size), rng.randint(low, high)
                    samples[train][0].append(part[:, top : top + size, left : left + size])
                    samples[train][1].append(3 * number + third)
    (X, y), (X_test, y_test) = (
        (np.array(X, dtype="float32"), np.array(y)) for X, y in (samples[True], samples[False])
    )
    order = rng.permutation(len(X))  # whoever takes the first rows gets all classes
    return Data(X[order], y[order], X_test, y_test, eps=0.04, clip_values=(0, 1))


def _table(X: Any, y: Any, n_train: int, seed: int, eps: float) -> Data:
    data = _split(X, y, n_train, seed, eps=eps, clip_values=None)
    scaler = StandardScaler().fit(data.X_train)
    train, test = (scaler.transform(X).astype("float32") for X in (data.X_train, data.X_test))
    return Data(train, data.y_train, test, data.y_test, eps, None)


def tumours(seed: int) -> Data:
    return _table(*load_breast_cancer(return_X_y=True), 320, seed, 0.4)


def mixture(seed: int) -> Data:
    """A made table: 20 columns, 8 of which tell, and 3 classes of 2 clusters each."""
    X, y = make_classification(
        3000, 20, n_informative=8, n_redundant=4, n_classes=3, class_sep=1.5, random_state=0
    )
    return _table(X, y, 2000, seed, 0.3)


DATA: dict[str, Callable[[int], Data]] = {
    "digits": digits,
    "animals": animals,
    "patches": patches,
    "tumours": tumours,
    "mixture": mixture,
}


class Branch(nn.Module):
    """What is added to what skips it."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)


class Transposed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


class Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=1)


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Patches(nn.Module):
    """Squares of an image, or the columns of a table, as tokens with a place of their own."""

    def __init__(self, channels: int, size: int, patch: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.place = nn.Parameter(0.02 * torch.randn(1, (size // patch) ** 2, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.embed(x).flatten(2).transpose(1, 2) + self.place


def _conv(a: int, b: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(a, b, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(b)]


def mlp(channels: int, size: int, n_classes: int) -> nn.Module:
    d = channels * size**2
    return nn.Sequential(
        nn.Flatten(), nn.Linear(d, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, n_classes)
    )


def _head(width: int, n_classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, n_classes)]


def resnet(channels: int, size: int, n_classes: int) -> nn.Module:
    def block() -> nn.Module:
        return Branch(*_conv(24, 24), nn.ReLU(), *_conv(24, 24))

    stride = 2 if size > 8 else 1
    body = [*_conv(channels, 24, stride), nn.ReLU(), block(), nn.ReLU(), block(), nn.ReLU(), block()]
    return nn.Sequential(*body, nn.ReLU(), *_head(24, n_classes))


def vgg(channels: int, size: int, n_classes: int) -> nn.Module:
    first = [nn.MaxPool2d(2)] if size > 8 else []
    return nn.Sequential(
        *(nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), *first),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), *_head(32, n_classes)),
    )


def depthwise(channels: int, size: int, n_classes: int) -> nn.Module:
    def block(a: int, b: int) -> list[nn.Module]:
        return [
            *_conv(a, a, groups=a),
            nn.ReLU(),
            nn.Conv2d(a, b, 1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(),
        ]

    stride = 2 if size > 8 else 1
    return nn.Sequential(
        *_conv(channels, 24, stride), nn.ReLU(), *block(24, 48), *block(48, 48), *_head(48, n_classes)
    )


def _tokens(channels: int, size: int) -> tuple[nn.Module, int, int]:
    patch, width = (2 if size == 8 else 4), 48
    return Patches(channels, size, patch, width), (size // patch) ** 2, width


def mixer(channels: int, size: int, n_classes: int) -> nn.Module:
    tokens, n, width = _tokens(channels, size)

    def block() -> list[nn.Module]:
        return [
            Branch(
                nn.LayerNorm(width), Transposed(), nn.Linear(n, 48), nn.GELU(), nn.Linear(48, n), Transposed()
            ),
            Branch(nn.LayerNorm(width), nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width)),
        ]

    return nn.Sequential(tokens, *block(), *block(), nn.LayerNorm(width), Mean(), nn.Linear(width, n_classes))


def attention(channels: int, size: int, n_classes: int) -> nn.Module:
    tokens, _, width = _tokens(channels, size)

    def block() -> list[nn.Module]:
        return [
            Branch(nn.LayerNorm(width), Attention(width)),
            Branch(nn.LayerNorm(width), nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width)),
        ]

    return nn.Sequential(tokens, *block(), *block(), nn.LayerNorm(width), Mean(), nn.Linear(width, n_classes))


class Columns(nn.Module):
    """Columns of a table as tokens."""

    def __init__(self, n_columns: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_columns, width) / width**0.5)
        self.bias = nn.Parameter(torch.randn(n_columns, width) / width**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, None] * self.weight + self.bias


def table_mlp(n_columns: int, n_classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_columns, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, n_classes)
    )


def table_resnet(n_columns: int, n_classes: int) -> nn.Module:
    def block() -> nn.Module:
        return Branch(nn.BatchNorm1d(48), nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 48))

    return nn.Sequential(
        nn.Linear(n_columns, 48), block(), block(), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, n_classes)
    )


def table_attention(n_columns: int, n_classes: int) -> nn.Module:
    width = 24
    return nn.Sequential(
        Columns(n_columns, width),
        Branch(nn.LayerNorm(width), Attention(width)),
        Branch(nn.LayerNorm(width), nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width)),
        *(nn.LayerNorm(width), Mean(), nn.Linear(width, n_classes)),
    )


IMAGE_DESIGNS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "mlp": mlp,
    "resnet": resnet,
    "vgg": vgg,
    "depthwise": depthwise,
    "mixer": mixer,
    "attention": attention,
}
TABLE_DESIGNS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": table_mlp,
    "resnet": table_resnet,
    "attention": table_attention,
}


def designs(data: Data) -> dict[str, Callable[[], nn.Module]]:
    """The designs that fit the data, with its sizes filled in."""
    n_classes = len(np.unique(data.y_train))
    if data.is_images:
        channels, size = data.X_train.shape[1:3]
        return {name: partial(make, channels, size, n_classes) for name, make in IMAGE_DESIGNS.items()}
    return {name: partial(make, data.X_train.shape[1], n_classes) for name, make in TABLE_DESIGNS.items()}


def trained(module: nn.Module, data: Data, seed: int, n_steps: int) -> nn.Module:
    """The module after so many steps of Adam on batches of 128, with a learning rate that falls to 0."""
    generator = torch.Generator().manual_seed(seed)
    device = next(module.parameters()).device
    X, y = torch.from_numpy(data.X_train).to(device), torch.from_numpy(data.y_train).to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    module.train()
    for _ in range(n_steps):
        rows = torch.randint(len(X), (128,), generator=generator).to(device)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(X[rows]), y[rows]).backward()
        optimizer.step()
        schedule.step()
    return module.eval()
