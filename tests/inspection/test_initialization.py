"""Influence of first weights and of the order of samples: each varied alone, and what they decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn

from skhalfway.inspection import (
    InitializationInfluence,
    InitializationInfluenceDisplay,
    initialization_influence,
)
from skhalfway.inspection._initialization import _orders
from skhalfway.inspection._streams import train_on_stream
from skhalfway.inspection._weights import weights_of


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 10))


class Perceptron(nn.Sequential):
    def __init__(self, n_hidden: int = 16) -> None:
        super().__init__(nn.Linear(64, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 10))


def net(module: Any = module, **params: Any) -> NeuralNetClassifier:
    settings: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "lr": 0.3,
        "max_epochs": 4,
        "batch_size": 32,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **settings | params)


def mlp(**params: Any) -> MLPClassifier:
    return MLPClassifier((16,), **{"batch_size": 32, "max_iter": 4, "learning_rate_init": 0.01} | params)


@pytest.fixture(scope="module")
def few(digits: Any) -> dict[str, Any]:
    return {"X": digits.X[:150], "y": digits.y[:150], "X_test": digits.X_test, "y_test": digits.y_test}


def distance(one: Any, other: Any) -> float:
    pairs = zip(weights_of(one).values(), weights_of(other).values(), strict=True)
    return float(sum(np.abs(a - b).sum() for a, b in pairs))


def in_order(n: int, n_epochs: int) -> Any:
    return iter([np.arange(n)] * n_epochs)


def test_a_stream_in_order_is_the_perceptrons_own_training(few: Any) -> None:
    X, y = few["X"], few["y"]
    streamed = train_on_stream(mlp(), X, y, in_order(150, 4), 3, 5)
    with pytest.warns(ConvergenceWarning):
        own = mlp(shuffle=False, random_state=streamed.random_state).fit(X, y)
    assert distance(streamed, own) == 0


def test_a_stream_in_order_is_the_nets_own_training(few: Any) -> None:
    X, y = few["X"], few["y"]
    # a callback that counts epochs is not disturbed
    scheduled = net(callbacks=[LRScheduler("StepLR", step_size=1, gamma=0.5)])
    streamed = train_on_stream(scheduled, X, y, in_order(150, 4), 3, 5)
    own = net(callbacks=[LRScheduler("StepLR", step_size=1, gamma=0.5)])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        own.initialize()
        torch.manual_seed(5)
        own.partial_fit(X, y)
    assert distance(streamed, own) == 0


@pytest.mark.parametrize("network", [net(max_epochs=1, lr=1e-12), mlp(max_iter=1, learning_rate_init=1e-12)])
def test_one_seed_is_for_first_weights_alone(network: Any, few: Any) -> None:
    # with steps of next to nothing a network is what it began as
    X, y = few["X"], few["y"]

    def trained(first: int, rest: int, order: int) -> Any:
        stream = iter([np.random.RandomState(order).permutation(150)])
        return train_on_stream(network, X, y, stream, first, rest)

    base = trained(0, 0, 0)
    assert distance(base, trained(0, 1, 1)) < 1e-6
    assert distance(base, trained(1, 0, 0)) > 10


def test_orders_vary_where_they_should_and_nowhere_else() -> None:
    plain = list(_orders(50, 8, range(0), 1, 2))
    assert len({tuple(order) for order in plain}) == 8
    for epochs in (range(8), range(2), range(6, 8)):
        for epoch, (one, other) in enumerate(zip(plain, _orders(50, 8, epochs, 1, 2), strict=True)):
            np.testing.assert_array_equal(np.sort(other), np.arange(50))
            assert (one == other).all() == (epoch not in epochs)


def test_figures_are_those_of_the_outputs(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # three test samples, the first and then each of the five others: what is measured, by hand
    outputs = {
        (False, 0): [[1, 0], [1, 0], [0, 1]],
        (True, 0): [[0, 1], [1, 0], [0, 1]],
        (False, 4): [[0.75, 0.25], [1, 0], [0, 1]],
        (True, 4): [[0, 1], [0, 1], [1, 0]],
        (False, 1): [[1, 0], [1, 0], [0, 1]],
    }
    monkeypatch.setattr(
        "skhalfway.inspection._initialization._outputs",
        lambda estimator, split, n, run, seed: outputs[run.initialization, len(run.epochs)],
    )
    found = initialization_influence(
        mlp(), few["X"], few["y"] > 4, X_test=few["X"][:3], y_test=[False, False, True], n_repeats=2
    )
    expected = {
        "disagreement": [1 / 3, 0, 1, 0, 0],
        "output change": [1 / 3, 1 / 12, 1, 0, 0],
        "accuracy difference": [1 / 3, 0, 1, 0, 0],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found.values[name], np.transpose([values, values]))
    np.testing.assert_array_equal(found.accuracy, [1, 1])


@pytest.mark.parametrize("network", [net(), mlp()], ids=["net", "mlp"])
def test_a_seed_decides_and_nothing_is_changed(network: Any, few: Any) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), repr(network)
    texts = {"y": few["y"].astype(str), "y_test": few["y_test"].astype(str)}
    one = initialization_influence(network, **few, n_repeats=2, random_state=1)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    assert repr(network) == before[2] and not hasattr(network, "classes_")
    other = initialization_influence(network, **few, n_repeats=2, random_state=2)
    assert (one.values["output change"] != other.values["output change"]).all()
    same = initialization_influence(network, **few | texts, n_repeats=2, random_state=1, n_jobs=2)
    for name, value in one.values.items():
        # processes have fewer threads, which add up in another order
        np.testing.assert_allclose(value, same.values[name], atol=1e-3)


@pytest.mark.parametrize(
    ("network", "params", "error", "message"),
    [
        (
            SGDClassifier(),
            {},
            TypeError,
            "a network with random initial weights is needed.*got SGDClassifier",
        ),
        (net(module()), {}, ValueError, "the net's module is an instance already"),
        (net(train_split=nn.Identity), {}, ValueError, "pass train_split=None"),
        (net(iterator_train__sampler=[1]), {}, ValueError, "has its own iterator_train__sampler"),
        (mlp(early_stopping=True), {}, ValueError, "pass early_stopping=False"),
        (mlp(solver="lbfgs"), {}, ValueError, r"solver must be of \['sgd', 'adam'\].*'lbfgs'"),
        (mlp(), {"epoch_share": 0.6}, ValueError, "epoch_share must be above 0 and at most 0.5, got 0.6"),
        (
            mlp(),
            {"epoch_share": 0.01},
            ValueError,
            "epoch_share must amount to at least one of 4 epochs, got 0.01",
        ),
        (mlp(), {"n_repeats": 1.5}, ValueError, "n_repeats must be an integer >= 1, got 1.5"),
        (mlp(), {"X_test": None, "y_test": None}, ValueError, "X_test and y_test are needed"),
    ],
)
def test_errors(network: Any, params: Any, error: type[Exception], message: str, few: Any) -> None:
    with pytest.raises(error, match=message):
        initialization_influence(network, **few | params)


def test_a_module_with_parameters_is_made_again(few: Any) -> None:
    found = initialization_influence(
        net(Perceptron(8), module__n_hidden=4, max_epochs=2),
        **few,
        epoch_share=0.5,
        n_repeats=1,
        random_state=0,
    )
    assert found.values["output change"][0, 0] > 0


def test_first_weights_decide_more_than_the_order(digits: Any) -> None:
    split = {"X": digits.X[:400], "y": digits.y[:400], "X_test": digits.X_test, "y_test": digits.y_test}
    found = initialization_influence(
        MLPClassifier((32,), batch_size=32, max_iter=20), **split, n_repeats=2, random_state=0
    )
    assert (found.accuracy > 0.85).all()
    initialization, order, both, early, late = found.means["output change"]
    assert initialization > 2 * order
    assert both > 2 * order
    # networks of equal accuracy err on different samples
    assert (found.means["disagreement"] > found.means["accuracy difference"]).all()
    # fifteen epochs that are the same do not make good what five that were not have done;
    # that early samples decide more than late ones (Erhan et al. 2010) is not seen at this size
    assert early > 0.002
    assert initialization > 2 * max(early, late)


def test_display(few: Any) -> None:
    display = InitializationInfluenceDisplay.from_estimator(mlp(), **few, n_repeats=2, random_state=0)
    assert isinstance(display.result, InitializationInfluence)
    assert list(display.lines_) == ["disagreement", "output change", "accuracy difference"]
    assert display.ax_.get_ylim()[0] == 0
    np.testing.assert_allclose(
        display.lines_["output change"].get_ydata(), display.result.means["output change"]
    )
    with pytest.raises(ValueError, match=r"accuracy must have shape \(2,\)"):
        InitializationInfluence(display.result.x, display.result.values, np.zeros(3))
