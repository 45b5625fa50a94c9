"""Unsupervised pre-training: autoencoders, what they leave alone, and losses at equal training losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn.functional import mse_loss

from skhalfway.inspection import InitializationInfluence, initialization_influence
from skhalfway.inspection._pretraining import (
    DenoisingAutoencoder,
    Pretraining,
    first_weights,
    pretrain_mlp,
    pretrain_net,
    untrained_mlp,
)
from skhalfway.inspection._pretraining_curve import PretrainingCurve, matched
from skhalfway.inspection._streams import train_on_stream
from skhalfway.inspection._weights import weights_of

SETTINGS = Pretraining(3, 0.25)


def module() -> nn.Module:
    return nn.Sequential(
        nn.Linear(64, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 10)
    )


def net(module: Any = module, **params: Any) -> Any:
    given: dict[str, Any] = {"criterion": nn.CrossEntropyLoss, "lr": 0.3, "max_epochs": 3, "batch_size": 32}
    return NeuralNetClassifier(module, **given | {"train_split": None, "callbacks": "disable"} | params)


def mlp(**params: Any) -> Any:
    given: dict[str, Any] = {"batch_size": 32, "max_iter": 3, "learning_rate_init": 0.01}
    return MLPClassifier((16, 12), activation="tanh", **given | params)


@pytest.fixture(scope="module")
def few(digits: Any) -> dict[str, Any]:
    return {
        "X": digits.X[:150],
        "y": digits.y[:150],
        "X_test": digits.X_test[:200],
        "y_test": digits.y_test[:200],
    }


# --- autoencoders


def test_an_autoencoder_learns_what_is_hidden() -> None:
    torch.manual_seed(0)
    code = torch.randn(400, 2)
    X = code @ torch.randn(2, 8)  # two numbers tell all eight
    one = DenoisingAutoencoder(0.3 * torch.randn(4, 8), torch.zeros(4), nn.Identity())
    hidden = X * (torch.rand(X.shape) >= 0.25)
    before = mse_loss(one(hidden), X).item()
    one.learn(X, Pretraining(60, 0.25), torch.Generator().manual_seed(0))
    # less than what is lost where values are just left at 0
    assert mse_loss(one(hidden), X).item() < min(before / 2, 0.7 * mse_loss(hidden, X).item())


def test_the_gradient_is_that_of_tied_weights() -> None:
    torch.manual_seed(0)
    W, b, x = torch.randn(3, 5), torch.randn(3), torch.randn(7, 5)
    one = DenoisingAutoencoder(W, b, nn.Sigmoid())
    torch.testing.assert_close(one(x).detach(), torch.sigmoid(x @ W.T + b) @ W)
    without = DenoisingAutoencoder(W, None, nn.Sigmoid())
    without.learn(x, Pretraining(1, 0.0), torch.Generator().manual_seed(0))
    assert not without.bias.any() and without.offset.any() and not torch.equal(without.weight, W)


def test_perceptrons_and_nets_are_pretrained_alike(few: Any) -> None:
    one = untrained_mlp(mlp(), few["X"], few["y"], 0)
    other = net().initialize()
    parts = [part for part in other.module_ if isinstance(part, nn.Linear)]
    with torch.no_grad():
        for part, weight, bias in zip(parts, one.coefs_, one.intercepts_, strict=True):
            part.weight.copy_(torch.tensor(weight.T))
            part.bias.copy_(torch.tensor(bias))
    last = one.coefs_[-1].copy(), one.intercepts_[-1].copy()
    begin = [weight.copy() for weight in one.coefs_]
    pretrain_mlp(one, few["X"], SETTINGS, 5)
    pretrain_net(other, few["X"], SETTINGS, 5)
    for part, weight, bias in zip(parts, one.coefs_, one.intercepts_, strict=True):
        np.testing.assert_allclose(part.weight.detach().numpy().T, weight, atol=1e-6)
        np.testing.assert_allclose(part.bias.detach(), bias, atol=1e-6)
    assert all(np.abs(weight - was).max() > 0.005 for weight, was in zip(one.coefs_[:2], begin, strict=False))
    np.testing.assert_array_equal(one.coefs_[-1], last[0])
    np.testing.assert_array_equal(one.intercepts_[-1], last[1])
    again = untrained_mlp(mlp(), few["X"], few["y"], 0)
    pretrain_mlp(again, few["X"], SETTINGS, 6)
    assert not np.array_equal(again.coefs_[0], one.coefs_[0])


@pytest.mark.parametrize("network", [net(), mlp(), mlp(solver="sgd", learning_rate="invscaling")])
def test_a_network_that_is_begun_is_trained_as_any(network: Any, few: Any) -> None:
    """Without pre-training it comes to the same weights; its course ends where it does."""
    X, y, course = few["X"], few["y"], []

    def trained(**more: Any) -> Any:
        orders = iter([np.random.RandomState(i).permutation(150) for i in range(3)])
        return train_on_stream(network, X, y, orders, 1, 2, **more)

    def begin(fresh: Any) -> Any:
        return first_weights(fresh, X, y, 1, None, 0)

    def note(fresh: Any) -> None:
        course.append(
            [log_loss(y, fresh.predict_proba(X)), {k: w.copy() for k, w in weights_of(fresh).items()}]
        )

    plain, begun = trained(), trained(begin=begin, note=note)
    for one, other in zip(weights_of(plain).values(), weights_of(begun).values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(course) == 4
    assert course[-1][0] == pytest.approx(log_loss(y, plain.predict_proba(X)))
    before, after = course[0][1], course[-1][1]
    assert all(not np.array_equal(before[name], after[name]) for name in before)


# --- at equal training losses


def test_losses_at_equal_training_losses_by_hand() -> None:
    plain = [[[2.0, 2.0, 0.1], [1.0, 1.5, 0.5], [1.2, 9.0, 0.0], [0.5, 1.0, 0.9]]]
    pretrained = [[[2.0, 1.8, 0.2], [0.5, 0.6, 1.0], [0.25, 0.5, 1.0], [np.nan] * 3]]
    curve = matched(np.array(plain), np.array(pretrained))
    np.testing.assert_allclose(curve.x, np.geomspace(2, 0.5, 8))
    np.testing.assert_allclose(curve.values["plain"][[0, -1], 0], [2.0, 1.0])
    np.testing.assert_allclose(curve.values["pretrained"][[0, -1], 0], [1.8, 0.6])
    for k in (1, 2):  # linear in the training loss
        np.testing.assert_allclose(curve.values["plain"][k, 0], 2 - (2 - curve.x[k]) / 2)
        np.testing.assert_allclose(curve.accuracy["pretrained"][k, 0], 0.2 + 0.8 * (2 - curve.x[k]) / 1.5)
    # the first time that it is so low: from 1.2 on, where it was higher again
    k = int(np.flatnonzero(curve.x < 1)[0])
    np.testing.assert_allclose(curve.values["plain"][k, 0], 9 - 8 * (1.2 - curve.x[k]) / 0.7)
    np.testing.assert_allclose(
        curve.differences.values["test loss"], curve.values["pretrained"] - curve.values["plain"]
    )


def test_losses_that_do_not_overlap_are_told() -> None:
    plain = np.array([[[2.0, 2.0, 0.1], [1.5, 1.5, 0.5]], [[2.0, 2.0, 0.1], [0.5, 1.5, 0.5]]])
    pretrained = np.array([[[1.0, 1.0, 0.1], [0.5, 0.5, 0.5]], [[2.0, 2.0, 0.1], [0.5, 1.5, 0.5]]])
    with pytest.warns(UndefinedMetricWarning, match="training losses of 1 of 2 repeats do not overlap"):
        curve = matched(plain, pretrained)
    assert np.isnan(curve.differences.values["test loss"][:, 0]).all()
    assert np.isfinite(curve.differences.values["test loss"][:, 1]).all()


def test_a_loss_of_0_ends_at_the_least_that_is_none() -> None:
    course = np.array([[[2.0, 2.0, 0.1], [0.5, 1.0, 0.5], [0.0, 1.0, 0.5]]])
    np.testing.assert_allclose(matched(course, course).x, np.geomspace(2, 0.5, 8))


def test_curves_that_do_not_fit_are_refused() -> None:
    ones = np.ones((1, 2))
    with pytest.raises(ValueError, match=r"arrays of shape \(1, 2\) for the names \['plain', 'pretrained'\]"):
        PretrainingCurve(np.ones(1), {"plain": ones}, {"plain": ones})
    both = {"plain": ones, "pretrained": ones}
    with pytest.raises(ValueError, match=r"values and accuracy must have arrays of shape \(1, 2\)"):
        PretrainingCurve(np.ones(1), both, both | {"plain": np.ones((2, 2))})
    with pytest.raises(TypeError, match="pretraining must be None or a PretrainingCurve, got 'yes'"):
        InitializationInfluence(np.array(["order"]), {"a": ones}, np.ones(2), pretraining="yes")  # type: ignore


# --- in all


@pytest.mark.parametrize("network", [net(), mlp()], ids=["net", "mlp"])
def test_a_seed_decides_and_the_rest_is_as_without(network: Any, few: Any) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), repr(network)
    how: dict[str, Any] = {"epoch_share": 0.34, "n_repeats": 2, "pretraining_epochs": 2, "random_state": 0}
    plain = initialization_influence(network, **few, **how)
    one = initialization_influence(network, **few, **how, pretraining="autoencoder")
    assert (np.random.get_state()[1] == before[0]).all() and repr(network) == before[2]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert plain.pretraining is None and one.pretraining is not None
    assert one.x.tolist() == [*plain.x.tolist(), "pretrained initialization"]
    for name, value in plain.values.items():
        np.testing.assert_array_equal(value, one.values[name][:5])
    assert (one.values["output change"][5] > 0).all()
    np.testing.assert_array_equal(plain.accuracy, one.accuracy)
    curve = one.pretraining
    assert np.isfinite(curve.values["pretrained"]).all() and (np.diff(curve.x) < 0).all()
    if isinstance(network, MLPClassifier):
        how["pretraining_epochs"] = 3
        other = initialization_influence(network, **few, **how, pretraining="autoencoder")
        assert (other.values["output change"][5] != one.values["output change"][5]).all()
        return
    same = initialization_influence(network, **few, **how, pretraining="autoencoder", n_jobs=2)
    assert same.pretraining is not None
    np.testing.assert_allclose(same.pretraining.values["plain"], curve.values["plain"], atol=1e-3)
    np.testing.assert_allclose(same.values["output change"], one.values["output change"], atol=1e-3)


def test_a_net_that_stops_early_has_the_losses_it_came_to(few: Any) -> None:
    from skorch.callbacks import EarlyStopping

    stopping = EarlyStopping("train_loss", patience=1, threshold=0.9)
    early = net(callbacks=[stopping], max_epochs=6, verbose=0)
    found = initialization_influence(
        early, **few, pretraining="autoencoder", pretraining_epochs=1, n_repeats=1, random_state=0
    )
    assert found.pretraining is not None and np.isfinite(found.pretraining.values["plain"]).all()


def sequential(*layers: Any) -> Any:
    return lambda: nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("network", "params", "message"),
    [
        (
            mlp(),
            {"pretraining": "boltzmann"},
            r"pretraining must be one of \[None, 'autoencoder'\], got 'boltzmann'",
        ),
        (mlp(), {"pretraining_epochs": 0}, "pretraining_epochs must be an integer >= 1, got 0"),
        (mlp(), {"noise": 1}, r"noise must be a share in \[0, 1\), got 1"),
        (
            MLPClassifier((), max_iter=3),
            {},
            r"but the estimator has hidden_layer_sizes=\(\)",
        ),
        (net(sequential(nn.Linear(64, 10))), {}, "hidden layers, but NeuralNetClassifier has none"),
        (
            net(sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))),
            {},
            "needs a chain of dense layers",
        ),
        (
            net(sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10))),
            {},
            r"dense layers only, but NeuralNetClassifier also has \['1.weight', '1.bias'\]",
        ),
        (
            net(sequential(nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 10))),
            {},
            "takes the activations.*'0' of NeuralNetClassifier has 'gelu'",
        ),
        (
            net(sequential(nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 10))),
            {},
            "64 values become 32 inputs of '0'",
        ),
    ],
)
def test_errors(network: Any, params: Any, message: str, few: Any) -> None:
    with pytest.raises(ValueError, match=message):
        initialization_influence(
            network, **few, epoch_share=0.34, n_repeats=1, **{"pretraining": "autoencoder"} | params
        )
