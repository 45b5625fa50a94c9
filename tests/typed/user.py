"""A user's script, as `mypy --strict` sees it: the public names have types, and they are the right ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer
from skhalfway.attacks import Momentum, Recipe
from skhalfway.halfway import HalfwayScorer
from skhalfway.results import ConfidenceInterval

if TYPE_CHECKING:
    import pandas as pd


def transfer(X: NDArray[np.float64], y: NDArray[np.int64]) -> TransferMatrix:
    models = {"lr": LogisticRegression().fit(X, y), "svm": SVC().fit(X, y)}
    generator = AdversarialGenerator(attack=Recipe(Momentum()), eps=0.1, clip_values=(0, 1))
    scorer = TransferScorer(generator, random_state=0).fit(models)
    rate: float = scorer.score(X, y)
    print(f"{rate:.2f}")
    return scorer.transfer(X, y)


def summary(matrix: TransferMatrix) -> str:
    interval: ConfidenceInterval = matrix.confidence_interval()
    table: pd.DataFrame = matrix.to_frame()
    lowest: float = float(np.nanmin(interval.low))
    names: tuple[str, ...] = matrix.names
    return f"{', '.join(names)}: {len(table)} pairs, lowest end {lowest:.2f}\n{matrix.describe()}"


def agreement(X: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    models = [LogisticRegression().fit(X, y), SVC().fit(X, y)]
    return HalfwayScorer(random_state=0).fit(models).score(X, y)


if __name__ == "__main__":
    digits, labels = load_digits(return_X_y=True)
    print(summary(transfer(digits[:200] / 16, labels[:200])))
    print(agreement(digits[:200] / 16, labels[:200]))
