"""Data and networks that the tests of this folder share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits


@dataclass(frozen=True)
class Split:
    """Samples to train on and to score with."""

    X: NDArray[Any]
    y: NDArray[Any]
    X_test: NDArray[Any]
    y_test: NDArray[Any]


@pytest.fixture(scope="session")
def digits() -> Split:
    """Handwritten digits of 64 pixels from 0 to 1, float32: 900 for training, 400 to score with."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:900], order[900:1300]
    return Split(X[train], y[train], X[test], y[test])
