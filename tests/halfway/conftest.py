from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier


class Rule:
    """A black box: labels by a function of X."""

    def __init__(self, function, classes=(0, 1)):
        self.function, self.classes_ = function, np.array(classes)

    def predict(self, X):
        return self.classes_[np.asarray(self.function(np.asarray(X)), dtype=int)]


@pytest.fixture(scope="session")
def rule():
    """Makes a black box of a function that gives class indices."""
    return Rule


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def iris_models(iris):
    return {
        "lr": LogisticRegression(max_iter=1000).fit(*iris),
        "svm": SVC().fit(*iris),
        "tree": DecisionTreeClassifier(random_state=0).fit(*iris),
        "knn": KNeighborsClassifier().fit(*iris),
    }
