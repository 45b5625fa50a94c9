"""Transfer of layers: which layers there are, what is copied, frozen and drawn afresh, and what it gains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from skhalfway.inspection import FeatureTransfer, FeatureTransferDisplay, feature_transfer
from skhalfway.inspection._feature_transfer import _layers, train_with_copies
from skhalfway.inspection._splits import read_split
from skhalfway.models._training import train


class Perceptron(nn.Module):
    """Makes its layers in another order than it runs them, and names them."""

    def __init__(self, n_outputs: int = 5) -> None:
        super().__init__()
        self.output = nn.Linear(8, n_outputs)
        self.second = nn.Linear(8, 8)
        self.first = nn.Linear(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x.flatten(1)).relu()
        return self.output(self.second(hidden).relu())


class WithStatistics(nn.Sequential):
    def __init__(self) -> None:
        block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        super().__init__(nn.BatchNorm2d(1), block, nn.Flatten(), nn.Linear(144, 5))


class WithUnused(Perceptron):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(2, 2)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 5),
    )  # fmt: skip


def net(module: Any = Perceptron, **params: Any) -> NeuralNetClassifier:
    settings: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.005,
        "max_epochs": 3,
        "batch_size": 20,
        "train_split": None,
        "iterator_train__shuffle": True,
        "callbacks": "disable",
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **settings | params)


@pytest.fixture(scope="module")
def tasks(digits: Any) -> dict[str, Any]:
    """Digits from 0 to 4, and sixty from 5 to 9."""
    a, b, test = digits.y < 5, np.flatnonzero(digits.y >= 5)[:60], digits.y_test >= 5
    images, test_images = digits.X.reshape(-1, 1, 8, 8), digits.X_test.reshape(-1, 1, 8, 8)
    return {
        "X_a": images[a], "y_a": digits.y[a], "X_b": images[b], "y_b": digits.y[b],
        "X_test": test_images[test], "y_test": digits.y_test[test],
    }  # fmt: skip


@pytest.fixture(scope="module")
def few(tasks: Any) -> dict[str, Any]:
    return tasks | {name: tasks[name][:100] for name in ("X_a", "y_a")}


def test_layers_are_those_that_are_run(few: Any) -> None:
    found = _layers(net(), few["X_b"][:2], 5)
    assert list(found) == ["first", "second", "output"]
    assert found["second"] == ["second.weight", "second.bias"]
    statistics = _layers(net(WithStatistics), few["X_b"][:2], 5)
    assert list(statistics) == ["1.0", "3"]
    assert [key.split(".", 1)[0] for key in statistics["1.0"]].count("0") == 5  # what normalises the input
    assert "1.1.running_mean" in statistics["1.0"] and statistics["3"] == ["3.weight", "3.bias"]


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("module", [Perceptron, WithStatistics])
def test_layers_are_copied_and_frozen(module: Any, frozen: bool, few: Any) -> None:
    task = read_split(net(), few["X_b"], few["y_b"])
    giver = train(net(module), few["X_a"], few["y_a"], 0)
    given = {name: value.clone() for name, value in giver.module_.state_dict().items()}
    copied = next(iter(_layers(net(module), few["X_b"][:2], 5).values()))
    # as training begins, and at its end
    begun = train_with_copies(net(module, max_epochs=0), task, giver, copied, frozen, 7).module_.state_dict()
    afresh = train(net(module, max_epochs=0), task.X, task.y, 7).module_.state_dict()
    ended = train_with_copies(net(module), task, giver, copied, frozen, 7).module_
    weights = dict(ended.named_parameters())
    for name, value in ended.state_dict().items():
        assert torch.equal(begun[name], given[name] if name in copied else afresh[name])
        if name in weights:
            assert torch.equal(value, begun[name]) == (frozen and name in copied), name
    for name, value in giver.module_.state_dict().items():
        assert torch.equal(value, given[name])


def test_nothing_copied_is_training_afresh(few: Any) -> None:
    task = read_split(net(), few["X_b"], few["y_b"])
    giver = train(net(), few["X_a"], few["y_a"], 0)
    for one, other in zip(
        train_with_copies(net(), task, giver, [], True, 7).module_.parameters(),
        train(net(), task.X, task.y, 7).module_.parameters(),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_what_comes_of_it(few: Any) -> None:
    found = feature_transfer(net(), **few, n_repeats=2, random_state=0)
    assert found.layers == ("first", "second", "output")
    np.testing.assert_array_equal(found.x, [0, 1, 2])
    assert list(found.values) == ["AnB", "AnB+", "BnB", "BnB+"]
    for value in found.values.values():
        np.testing.assert_array_equal(value[0], found.values["AnB"][0])
    assert (found.values["AnB"][1:] != found.values["BnB"][1:]).any()


def test_a_seed_decides_and_nothing_is_changed(few: Any) -> None:
    network = net()
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), repr(network)
    one = feature_transfer(network, **few, n_repeats=2, random_state=1)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    assert repr(network) == before[2] and not network.initialized_
    other = feature_transfer(network, **few, n_repeats=2, random_state=2)
    assert (one.values["AnB"] != other.values["AnB"]).any()
    # labels of any kind, in each task its own
    texts = {"y_b": few["y_b"].astype(str), "y_test": few["y_test"].astype(str)}
    same = feature_transfer(network, **few | texts, n_repeats=2, random_state=1, n_jobs=2)
    for name, value in one.values.items():
        np.testing.assert_array_equal(value, same.values[name])


@pytest.mark.parametrize(
    ("network", "params", "error", "message"),
    [
        (MLPClassifier(), {}, TypeError, "a skorch classifier is needed, got MLPClassifier"),
        (NeuralNetRegressor(Perceptron), {}, TypeError, "got NeuralNetRegressor"),
        (net(Perceptron()), {}, ValueError, "the net's module is an instance already"),
        (net(module__n_outputs=4), {}, ValueError, "has 4 outputs, too few for a task of 5 classes"),
        (net(WithUnused), {}, ValueError, "that it never runs.*'spare'"),
        (net(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5))), {}, ValueError, "two layers or more"),
        (net(), {"X_a": np.zeros((100, 64))}, ValueError, "must have the same shape"),
        (net(), {"y_b": np.zeros(60)}, ValueError, "at least 2 classes"),
        (net(), {"y_test": np.zeros(204)}, ValueError, "y_test"),
        (net(), {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1, got 0"),
        (net(), {"X_test": None, "y_test": None}, ValueError, "X_test and y_test are needed"),
    ],
)
def test_errors(network: Any, params: Any, error: type[Exception], message: str, few: Any) -> None:
    with pytest.raises(error, match=message):
        feature_transfer(network, **few | params)


def test_first_layers_are_general_and_the_last_special(tasks: Any) -> None:
    found = feature_transfer(net(convolutional, max_epochs=15), **tasks, n_repeats=1, random_state=0)
    transferred, control = found.means["AnB"], found.means["BnB"]
    afresh = transferred[0]
    # Yosinski et al. 2014: convolutions serve the other task as well as its own...
    assert transferred[1:3].min() > afresh - 0.06
    # ... and what is above them does not: frozen, it costs accuracy, which is not for the splitting
    assert transferred[3] < transferred[1:3].min() - 0.06
    assert transferred[3] < control[3] - 0.06
    # training on makes it good
    assert found.means["AnB+"][3] > transferred[3] + 0.06


def test_display(few: Any) -> None:
    display = FeatureTransferDisplay.from_estimator(net(), **few, n_repeats=1, random_state=0)
    assert isinstance(display.result, FeatureTransfer)
    assert list(display.lines_) == ["AnB", "AnB+", "BnB", "BnB+"]
    np.testing.assert_array_equal(display.ax_.get_xticks(), [0, 1, 2])
    np.testing.assert_allclose(display.lines_["BnB"].get_ydata(), display.result.means["BnB"])
    assert display.result.plot(names=["AnB"], ax=display.ax_).ax_ is display.ax_
