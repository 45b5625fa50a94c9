"""Fitted models of every family on small data, shared by the tests of transfer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def iris_models(iris):
    """Logistic regression, SVM, scaled MLP and k-NN (a black box)."""
    X, y = iris
    return {
        "lr": LogisticRegression(max_iter=1000).fit(X, y),
        "svm": SVC().fit(X, y),
        "mlp": make_pipeline(StandardScaler(), MLPClassifier(max_iter=2000, random_state=0)).fit(X, y),
        "knn": KNeighborsClassifier().fit(X, y),
    }


@pytest.fixture(scope="session")
def linear_module(iris):
    """An untrained-by-torch module with a logistic regression's weights, in float32."""
    X, y = iris
    lr = LogisticRegression(max_iter=1000, C=0.1).fit(X, y)
    module = torch.nn.Linear(4, 3)
    module.weight.data = torch.from_numpy(lr.coef_.astype(np.float32))
    module.bias.data = torch.from_numpy(lr.intercept_.astype(np.float32))
    return module
