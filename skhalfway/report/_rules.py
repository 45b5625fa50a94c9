"""How well a simple rule on a single column tells classes, cross-validated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

N_FOLDS = 5


class ByValue:
    """Predicts for each value the class that is most frequent there, in proportion to its own frequency."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.intp]) -> ByValue:
        """Count the classes of each value; NaN is a value of its own."""
        self.values, place = np.unique(x[:, 0], return_inverse=True)
        each = np.bincount(y)
        counts = np.zeros((len(self.values), len(each)))
        np.add.at(counts, (place, y), 1 / each[y])
        self.classes, self.usual = counts.argmax(axis=1), int(each.argmax())
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.intp]:
        """Class of each value; of values that were not seen, the most frequent class."""
        place = np.minimum(np.searchsorted(self.values, x[:, 0]), len(self.values) - 1)
        met = self.values[place]
        known = (met == x[:, 0]) | (np.isnan(met) & np.isnan(x[:, 0]))
        return np.where(known, self.classes[place], self.usual)


def tree(n_classes: int, *, leaves: int = 8) -> Any:
    """A small tree that weighs all classes alike."""
    leaves = max(leaves, 2 * n_classes)
    return DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)


def informed(make: Any, x: NDArray[np.float64], y: NDArray[np.intp], seed: int) -> float:
    """Accuracy of a rule, averaged over the classes and scaled: 0 is guessing, 1 is always right.

    ``x`` (n_samples, n_columns); ``y`` (n_samples,) numbers of classes, each with at least two samples.
    """
    folds = StratifiedKFold(min(N_FOLDS, int(np.bincount(y).min())), shuffle=True, random_state=seed)
    said = np.empty_like(y)
    for train, test in folds.split(x, y):
        said[test] = make().fit(x[train], y[train]).predict(x[test])
    return scaled(said, y)


def scaled(said: NDArray[Any], y: NDArray[Any]) -> float:
    """Accuracy averaged over the classes of ``y``, where 0 is guessing and 1 is always right."""
    classes = np.unique(y)
    mean = float(np.mean([(said[y == label] == label).mean() for label in classes]))
    return (mean * len(classes) - 1) / (len(classes) - 1)
