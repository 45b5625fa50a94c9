"""loss_path: its lines in closed form, the exactness of initial weights, and what is seen on digits."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Initializer
from torch import nn

from skhalfway.inspection import LossPath, LossPathDisplay, loss_path
from skhalfway.inspection._initial import train_from_initial
from skhalfway.inspection._weights import weights_of
from skhalfway.models._training import train

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")

TRAINED, BETWEEN = "loss from initialisation", "loss between solutions"


class Dense(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


class Convolutional(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 6, 3),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(54, 10),
        )


def skorch_net(module: Any = Dense, **options: Any) -> NeuralNetClassifier:
    defaults = {"lr": 0.2, "max_epochs": 3, "batch_size": 32, "verbose": 0, "train_split": None}
    return NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, **defaults | options)


def same_state(one: Any, other: Any) -> None:
    """The same weights to the last bit, and the same running statistics."""
    if isinstance(one, MLPClassifier):
        states = [{str(i): w for i, w in enumerate([*net.coefs_, *net.intercepts_])} for net in (one, other)]
    else:
        states = [{k: v.numpy() for k, v in net.module_.state_dict().items()} for net in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name])


# --- initial weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate_init": 0.1, "activation": "logistic", "batch_size": 50},
        {"solver": "lbfgs", "max_iter": 2000, "alpha": 1.0},
    ],
    ids=lambda options: options["solver"],
)
def test_training_from_initial_weights_ends_there_mlp(digits: Any, options: Any, dtype: Any) -> None:
    X, y = digits.X[:300].astype(dtype), digits.y[:300]
    estimator = MLPClassifier((12,), **{"max_iter": 4, "n_iter_no_change": 1000, "tol": 0.0} | options)
    if options["solver"] == "lbfgs":
        estimator.set_params(tol=1e-3)
    initial, trained = train_from_initial(estimator, X, y, seed=3)
    same_state(trained, train(estimator, X, y, 3))
    # goes on from its weights, with the randomness that is left when as many numbers were drawn for them
    rng = np.random.RandomState(trained.random_state)
    rng.uniform(size=sum(weight.size for weight in weights_of(initial).values()))
    again = deepcopy(initial).set_params(
        **estimator.get_params() | {"warm_start": True, "random_state": rng, "momentum": 0.9}
    )
    same_state(again.fit(X, y), trained)
    moved = [np.ptp(a - b) for a, b in zip(initial.coefs_, trained.coefs_, strict=True)]
    assert min(moved) > 0.01


def test_validation_has_no_part_in_initial_weights(digits: Any) -> None:
    estimator = MLPClassifier((12,), max_iter=3)
    held_back = clone(estimator).set_params(early_stopping=True, max_iter=3, batch_size=100)
    same_state(*(train_from_initial(net, digits.X, digits.y, 5)[0] for net in (estimator, held_back)))


@pytest.mark.parametrize(
    "estimator",
    [
        skorch_net(),
        skorch_net(callbacks="disable"),
        skorch_net(Convolutional, max_epochs=1, callbacks=[Initializer("*", fn=nn.init.zeros_, at=1)]),
        skorch_net(Convolutional, optimizer=torch.optim.Adam, lr=0.01),
    ],
    ids=["sgd", "no callbacks", "set by a callback", "batch norm"],
)
def test_training_from_initial_weights_ends_there_skorch(digits: Any, estimator: Any) -> None:
    X, y = digits.X[:300], digits.y[:300]
    initial, trained = train_from_initial(estimator, X, y, seed=3)
    same_state(trained, train(estimator, X, y, 3))
    again = clone(estimator).initialize()
    again.module_.load_state_dict(initial.module_.state_dict())
    same_state(again.partial_fit(X, y), trained)
    if "callback" not in str(estimator.callbacks):
        assert len(again.history) == estimator.max_epochs
    if estimator.callbacks and estimator.callbacks != "disable":
        assert all(not weight.any() for weight in weights_of(initial).values())


# --- lines in closed form


def linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(64, 10, dtype=torch.float64)


def test_between_linear_networks(digits: Any) -> None:
    a, b = linear(0), linear(1)
    positions = [-0.5, 0, 0.3, 1, 1.5]
    path = loss_path(
        (a, b), digits.X, digits.y, X_test=digits.X_test, y_test=digits.y_test, positions=positions
    )
    assert path.n_repeats == 1 and len(path.values) == 4
    for prefix, X, y in (("", digits.X, digits.y), ("test ", digits.X_test, digits.y_test)):
        for i, t in enumerate(positions):
            weight, bias = (
                (1 - t) * getattr(a, name).detach().numpy() + t * getattr(b, name).detach().numpy()
                for name in ("weight", "bias")
            )
            scores = log_softmax(X @ weight.T + bias, axis=1)
            found = path.values[f"{prefix}loss between solutions"][i, 0]
            assert found == pytest.approx(-scores[np.arange(len(y)), y].mean(), rel=1e-9)
            found = path.values[f"{prefix}accuracy between solutions"][i, 0]
            assert found == pytest.approx((scores.argmax(1) == y).mean())


@pytest.mark.parametrize(
    "estimator", [MLPClassifier((8,), max_iter=5), skorch_net(), skorch_net(Convolutional)], ids=str
)
def test_ends_are_the_networks(digits: Any, estimator: Any) -> None:
    """Running statistics of batch normalisation included."""
    X, y = digits.X[:300], digits.y[:300]
    path = loss_path(estimator, X, y, positions=2, n_repeats=1, random_state=0)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    initial, trained = train_from_initial(estimator, X, y, seed)
    expected = [log_loss(y, net.predict_proba(X)) for net in (initial, trained)]
    np.testing.assert_allclose(path.values[TRAINED][:, 0], expected, rtol=1e-5)
    assert path.values[BETWEEN][0, 0] == pytest.approx(expected[1], rel=1e-5)
    assert path.values[BETWEEN][1, 0] != pytest.approx(expected[1], rel=1e-3)  # of another seed
    accuracy = path.values["accuracy from initialisation"][1, 0]
    assert accuracy == pytest.approx(trained.score(X, y))


def test_rises_and_barriers() -> None:
    loss = np.array([[9.0, 9.0], [3.0, 0.0], [1.0, 1.0], [2.0, 3.0], [0.5, 2.0], [9.0, 9.0]])
    path = LossPath(
        np.array([-0.5, 0, 0.25, 0.75, 1, 2]), {"loss a": loss, "test loss a": 2 * loss, "accuracy a": loss}
    )
    assert path.rises.keys() == path.barriers.keys() == {"loss a", "test loss a"}
    np.testing.assert_allclose(path.rises["loss a"], [1 / 3, 2 / 3])
    np.testing.assert_allclose(path.barriers["loss a"], [0, 1])
    np.testing.assert_allclose(path.barriers["test loss a"], [0, 2])
    assert "steps that rise" in repr(path) and "accuracy" not in repr(path)


# --- what is seen on digits


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier((64,), max_iter=40),
        skorch_net(max_epochs=12, lr=0.2, iterator_train__shuffle=True),
    ],
    ids=["adam", "skorch sgd"],
)
def test_loss_falls_from_initialisation_and_has_a_barrier_between_solutions(
    digits: Any, estimator: Any
) -> None:
    path = loss_path(estimator, digits.X, digits.y, n_repeats=2, random_state=0)
    assert path.means[TRAINED][0] > 2 and path.means[TRAINED][-1] < 0.5
    # Goodfellow et al. 2015: almost monotonically; here, at each of 20 steps
    assert path.rises[TRAINED].max() < 0.1
    assert path.barriers[TRAINED].max() < 0.02
    assert path.barriers[BETWEEN].min() > 0.1
    assert 0.25 < path.x[path.means[BETWEEN].argmax()] < 0.75


# --- randomness, inputs


def test_seed_decides_everything(digits: Any) -> None:
    X, y = digits.X[:200], digits.y[:200]
    for estimator in (MLPClassifier((8,), max_iter=2), skorch_net(iterator_train__shuffle=True)):
        options = {"positions": 3, "n_repeats": 2}
        before, state = pickle.dumps(np.random.get_state()), torch.get_rng_state()
        found, same, other = (loss_path(estimator, X, y, random_state=seed, **options) for seed in (0, 0, 1))
        assert pickle.dumps(np.random.get_state()) == before
        assert torch.equal(torch.get_rng_state(), state)
        for name, value in found.values.items():
            np.testing.assert_array_equal(value, same.values[name])
        assert (found.values[TRAINED] != other.values[TRAINED]).all()
        assert np.ptp(found.values[TRAINED], axis=1).min() > 0
        assert not hasattr(estimator, "coefs_") and not getattr(estimator, "initialized_", False)


def test_processes_and_labels_of_any_kind(digits: Any) -> None:
    X, y = digits.X[:200], digits.y[:200]
    names = np.array([f"digit {i}" for i in range(10)])[y]
    options = {"positions": 3, "n_repeats": 2, "random_state": 0}
    estimator = MLPClassifier((8,), max_iter=2)
    alone = loss_path(estimator, X, y, **options)
    for path in (
        loss_path(estimator, X, y, n_jobs=2, **options),
        loss_path(estimator, X, names, **options),
    ):
        for name, value in alone.values.items():
            np.testing.assert_allclose(path.values[name], value, rtol=1e-9)
    first, second = (loss_path(skorch_net(), X, labels, **options) for labels in (y, names))
    np.testing.assert_array_equal(first.values[TRAINED], second.values[TRAINED])


GOOD = np.random.RandomState(0).rand(20, 4), np.arange(20) % 2


@pytest.mark.parametrize(
    ("estimator", "data", "options", "error", "message"),
    [
        (LogisticRegression(), GOOD, {}, TypeError, "a skorch classifier or an MLPClassifier"),
        (MLPClassifier, GOOD, {}, TypeError, "got the class MLPClassifier"),
        (linear(0), GOOD, {}, TypeError, "an unfitted classifier is needed"),
        (skorch_net(Dense()), GOOD, {}, ValueError, "module is an instance already"),
        ((linear(0),), GOOD, {}, ValueError, "must hold two networks, the ends of the line; got 1"),
        ((nn.Linear(4, 2), LogisticRegression()), GOOD, {}, TypeError, "a network with layers is needed"),
        (MLPClassifier(), GOOD, {"positions": 1}, ValueError, "positions must be an integer >= 2, got 1"),
        (
            MLPClassifier(),
            GOOD,
            {"positions": [0, 0.5]},
            ValueError,
            "positions must be ascending and include 0 and 1",
        ),
        (MLPClassifier(), GOOD, {"positions": [1, 0]}, ValueError, "must be ascending and include 0 and 1"),
        (MLPClassifier(), GOOD, {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1, got 0"),
        (MLPClassifier(), GOOD, {"X_test": GOOD[0]}, ValueError, "X_test and y_test belong together"),
        (MLPClassifier(), (GOOD[0] * np.nan, GOOD[1]), {}, ValueError, "Input X contains NaN"),
        (MLPClassifier(), (GOOD[0], GOOD[1] * 0), {}, ValueError, "at least 2 classes"),
    ],
)
def test_errors(estimator: Any, data: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        loss_path(estimator, *data, **options)


def test_networks_of_two_architectures(digits: Any) -> None:
    with pytest.raises(ValueError, match="both networks must have the same architecture"):
        loss_path((linear(0), nn.Linear(64, 10, bias=False).double()), digits.X, digits.y)
    with pytest.raises(ValueError, match="X_test and y_test belong together"):
        loss_path((linear(0), linear(1)), digits.X, digits.y, y_test=digits.y_test)


def test_display(digits: Any) -> None:
    display = LossPathDisplay.from_estimator(
        MLPClassifier((8,), max_iter=2),
        digits.X[:200],
        digits.y[:200],
        positions=5,
        n_repeats=2,
        random_state=0,
        plot_kw={"include_intervals": False},
    )
    assert display.lines_.keys() == {TRAINED, BETWEEN}
    assert display.ax_.get_ylabel() == "mean cross-entropy" and not display.ax_.collections
    np.testing.assert_allclose(display.lines_[TRAINED].get_ydata(), display.result.means[TRAINED])
    names = ["accuracy between solutions"]
    assert display.result.plot(names=names).ax_.get_ylabel() == "accuracy"
    both = display.result.plot(names=[*names, BETWEEN])
    assert both.ax_.get_ylabel() == "mean cross-entropy or accuracy"
    with pytest.raises(ValueError, match="names must be of"):
        display.plot(names=["error"])
