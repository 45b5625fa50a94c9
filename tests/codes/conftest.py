"""Data and networks that the tests of this folder share, each fitted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits
from torch import nn

from skhalfway.codes import CodeMap


@dataclass(frozen=True)
class Digits:
    """Handwritten digits of 64 pixels from 0 to 1, float32."""

    X: NDArray[np.float32]
    y: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


@pytest.fixture(scope="session")
def digits() -> Digits:
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:900], order[900:1500]
    return Digits(X[train], y[train], X[test], y[test])


def cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(96, 10),
    )


def train(module: nn.Module, X: NDArray[np.float32], y: NDArray[np.int64], n_steps: int = 120) -> nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    x, labels, rng = torch.from_numpy(X), torch.from_numpy(y), np.random.RandomState(0)
    for _ in range(n_steps):
        rows = rng.randint(len(x), size=64)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x[rows]), labels[rows]).backward()
        optimizer.step()
    return module


def skorch_net() -> Any:
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)),
        criterion=nn.CrossEntropyLoss,
        lr=0.3,
        max_epochs=10,
        verbose=0,
        train_split=None,
    )


def mlp() -> MLPClassifier:
    # so loose a tolerance is reached
    return MLPClassifier((32, 24), max_iter=200, tol=1e-2, n_iter_no_change=3, random_state=0)


@pytest.fixture(scope="session")
def nets(digits: Digits) -> Callable[..., Any]:
    """Fitted networks by name: cnn (a torch module, of a seed), skorch, mlp."""

    @cache
    def fitted(name: str, seed: int = 0) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if name == "cnn":
                return train(cnn(), digits.X, digits.y)
            net = skorch_net() if name == "skorch" else mlp()
            return net.fit(digits.X, digits.y)

    return fitted


@pytest.fixture(scope="session")
def code_maps(digits: Digits, nets: Callable[..., Any]) -> Callable[[str], CodeMap]:
    """Fitted code maps of these, of all pixels where layers are convolutional."""

    @cache
    def fitted(name: str) -> CodeMap:
        return CodeMap(nets(name), n_iter=1500, pooling="flatten", random_state=0).fit(digits.X)

    return fitted


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These nets are so small that a second thread only waits."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(n_threads)
