"""How well a simple rule on a single column tells classes, cross-validated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

N_FOLDS = 5


class ByValue(ClassifierMixin, BaseEstimator):
    """Predicts for each value the class that is most frequent there, in proportion to its own frequency."""

    def fit(self, x: NDArray[np.float64], y: NDArray[np.intp]) -> ByValue:
        """Count the classes of each value; NaN is a value of its own."""
        self.values_, place = np.unique(x[:, 0], return_inverse=True)
        each = np.bincount(y)
        counts = np.zeros((len(self.values_), len(each)))
        np.add.at(counts, (place, y), 1 / each[y])
        self.most_, self.usual_ = counts.argmax(axis=1), int(each.argmax())
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.intp]:
        """Class of each value; of values that were not seen, the most frequent class."""
        place = np.minimum(np.searchsorted(self.values_, x[:, 0]), len(self.values_) - 1)
        met = self.values_[place]
        known = (met == x[:, 0]) | (np.isnan(met) & np.isnan(x[:, 0]))
        return np.where(known, self.most_[place], self.usual_)


def tree(n_classes: int, *, leaves: int = 8) -> Any:
    """A small tree that weighs all classes alike."""
    leaves = max(leaves, 2 * n_classes)
    return DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)


def informed(make: Any, x: NDArray[np.float64], y: NDArray[np.intp], seed: int) -> float:
    """Accuracy of a rule, averaged over the classes and scaled: 0 is guessing, 1 is always right.

    ``x`` (n_samples, n_columns); ``y`` (n_samples,) numbers of classes, each with at least two samples.
    """
    folds = StratifiedKFold(min(N_FOLDS, int(np.bincount(y).min())), shuffle=True, random_state=seed)
    return scaled(cross_val_predict(make(), x, y, cv=folds), y)


def scaled(said: NDArray[Any], y: NDArray[Any]) -> float:
    """Accuracy averaged over the classes of ``y``, where 0 is guessing and 1 is always right."""
    classes = np.unique(y)
    mean = float(recall_score(y, said, labels=classes, average="macro"))
    return (mean * len(classes) - 1) / (len(classes) - 1)
