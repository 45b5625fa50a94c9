"""How well a simple rule on a single column tells classes, cross-validated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

N_FOLDS = 5
PART_OF_TEXT = 3  # longest beginning and end of a text that is looked at


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


class ByText(ClassifierMixin, BaseEstimator):
    """Predicts from the words of texts, their first and last characters, and their lengths.

    Texts that all differ, such as "paid on day 1822" or "X48213", tell nothing as values, as those of new
    samples were not seen before, but their parts may tell.

    Parameters
    ----------
    texts : dict of float to str
        The text that each code stands for; codes that are not among them are missing values.
    """

    def __init__(self, texts: Mapping[float, str]) -> None:
        self.texts = texts

    def fit(self, x: NDArray[np.float64], y: NDArray[np.intp]) -> ByText:
        """Weigh all parts that at least two texts have."""
        self.vectorizer_ = CountVectorizer(analyzer=_parts_of, binary=True, min_df=2)
        try:
            parts = self.vectorizer_.fit_transform(self._texts_of(x))
        except ValueError:  # no two texts have a part in common
            self.model_, self.usual_ = None, int(np.bincount(y).argmax())
            return self
        self.model_ = LogisticRegression(C=10, class_weight="balanced", max_iter=1000).fit(parts, y)
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.intp]:
        """Class of each text."""
        if self.model_ is None:
            return np.full(len(x), self.usual_)
        said: NDArray[np.intp] = self.model_.predict(self.vectorizer_.transform(self._texts_of(x)))
        return said

    def _texts_of(self, x: NDArray[np.float64]) -> list[str]:
        return [self.texts.get(code, "") for code in x[:, 0].tolist()]


def _parts_of(text: str) -> Iterator[str]:
    """Words, beginnings, ends and length of a text, each with its kind in front."""
    yield f"length {len(text)}"
    yield from (f"word {word}" for word in re.findall(r"\w+", text))
    for n in range(1, min(PART_OF_TEXT, len(text)) + 1):
        yield f"begins {text[:n]}"
        yield f"ends {text[-n:]}"


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
