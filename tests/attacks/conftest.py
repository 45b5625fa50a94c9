"""The sources that the tests of this folder attack, each fitted once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits
from torch import nn

N_TRAIN, N_TEST = 400, 24


@dataclass(frozen=True)
class Case:
    """A source that counts as fitted, and samples that it has not seen."""

    source: Any
    X: NDArray[Any]
    y: NDArray[np.intp]


def small_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))


def small_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def train(module: nn.Module, X: NDArray[np.float32], y: NDArray[np.intp], n_steps: int = 15) -> nn.Module:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), labels).backward()
        optimizer.step()
    return module


class Opaque:
    """A black box: the predictions of a classifier, and nothing else."""

    def __init__(self, classifier: Any) -> None:
        self._classifier = classifier
        self.classes_ = classifier.classes_

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self._classifier.predict(X)


class Zoo:
    """Fitted sources by name, on digits scaled to [0, 1]."""

    def __init__(self) -> None:
        X, y = load_digits(return_X_y=True)
        self.X_train, self.y_train = X[:N_TRAIN] / 16, y[:N_TRAIN]
        self.X_test, self.y_test = X[-N_TEST:] / 16, y[-N_TEST:]
        self._fit = cache(self._fit_once)

    def __call__(self, name: str, n: int = 12) -> Case:
        """The source and ``n`` samples, of 24 at most."""
        X = self.X_test[-n:]
        if name == "cnn":
            X = X.reshape(-1, 1, 8, 8)
        if name in ("cnn", "torch_mlp", "skorch", "art"):
            X = X.astype(np.float32)
        return Case(self._fit(name), X.copy(), self.y_test[-n:])

    def _fit_once(self, name: str) -> Any:
        X, y = self.X_train, self.y_train
        X32 = X.astype(np.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if name == "cnn":
                return train(small_cnn(), X32.reshape(-1, 1, 8, 8), y)
            if name == "torch_mlp":
                return train(small_mlp(), X32, y)
            if name == "art":
                module = train(small_mlp(), X32, y)
                loss = nn.CrossEntropyLoss()
                return PyTorchClassifier(module, loss, (64,), 10, clip_values=(0, 1), device_type="cpu")
            if name == "skorch":
                net = NeuralNetClassifier(
                    small_mlp,
                    criterion=nn.CrossEntropyLoss,
                    lr=0.3,
                    max_epochs=20,
                    verbose=0,
                    train_split=None,
                )
                return FrozenEstimator(net.fit(X32, y))
        if name == "opaque":
            return Opaque(UNFITTED["forest"]().fit(X, y))
        return FrozenEstimator(UNFITTED[name]().fit(X, y))


UNFITTED: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(max_iter=1000),
    "svc": SVC,
    "mlp": lambda: MLPClassifier((32,), solver="lbfgs", random_state=0),
    "pca": lambda: make_pipeline(MinMaxScaler((-1, 1)), PCA(20), LogisticRegression(max_iter=1000)),
    "forest": lambda: RandomForestClassifier(10, random_state=0),
    "knn": KNeighborsClassifier,
}


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    return Zoo()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """These nets are so small that a second thread only waits."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(n_threads)
