"""Weights of networks: read, replaced in a copy, and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.inspection._weights import weights_of, with_weights


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))


@pytest.fixture(params=["torch", "skorch", "mlp", "frozen mlp"])
def network(request: pytest.FixtureRequest, digits: Any) -> Any:
    if request.param == "torch":
        return module().eval()
    if request.param == "skorch":
        net = NeuralNetClassifier(module(), max_epochs=1, verbose=0, train_split=None)
        return net.fit(digits.X, digits.y)
    with pytest.warns(UserWarning, match="not converged|Maximum iterations"):
        mlp = MLPClassifier((8,), max_iter=3, random_state=0).fit(digits.X, digits.y)
    return FrozenEstimator(mlp) if request.param == "frozen mlp" else mlp


def answers(network: Any, X: Any) -> Any:
    if isinstance(network, nn.Module):
        return network(torch.from_numpy(X)).detach().numpy()
    return network.predict_proba(X)


def test_outputs_come_first(network: Any) -> None:
    shapes = [weight.shape for weight in weights_of(network).values()]
    assert shapes == [(8, 64), (8,), (10, 8), (10,)]


def test_a_copy_has_the_weights_and_the_network_keeps_its_own(network: Any, digits: Any) -> None:
    before, own = answers(network, digits.X_test), weights_of(network)
    same = with_weights(network, own)
    np.testing.assert_array_equal(answers(same, digits.X_test), before)
    none = with_weights(network, {name: 0 * weight for name, weight in own.items()})
    found = answers(none, digits.X_test)
    assert np.ptp(found) < 1e-12
    np.testing.assert_array_equal(answers(network, digits.X_test), before)
    for name, weight in weights_of(network).items():
        np.testing.assert_array_equal(weight, own[name])
        weight += 1  # a copy
    np.testing.assert_array_equal(answers(network, digits.X_test), before)


def test_other_shapes_are_refused(network: Any) -> None:
    with pytest.raises(ValueError, match="the network has weights of shapes"):
        with_weights(network, {"0.weight": np.zeros((2, 2))})


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (MLPClassifier(), NotFittedError, "not fitted"),
        (NeuralNetClassifier(nn.Linear(2, 2)), NotFittedError, "not fitted"),
        (LogisticRegression(), TypeError, "a network with weights is needed.*got LogisticRegression"),
    ],
)
def test_what_has_no_weights(network: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        weights_of(network)
