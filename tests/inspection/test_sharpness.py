"""sharpness: its measures in closed form, what each training gets, and what is seen on digits."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.inspection import Sharpness, SharpnessDisplay, _sharpness, sharpness
from skhalfway.inspection._losses import Loss, filter_normalised

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")


def linear(scale: float = 1.0) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(64, 10, dtype=torch.float64)
    with torch.no_grad():
        layer.weight *= scale
    return layer


def dense(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(n, m, dtype=torch.float64) for n, m in pairwise(widths)]
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])


def softmax_hessian(X: Any, W: Any, b: Any) -> Any:
    """Of mean cross-entropy in (W, b), the inputs' axis last: mean of (diag(p) - p p^T) x (x, 1)(x, 1)^T."""
    X1 = np.column_stack([X, np.ones(len(X))])
    p = softmax(X @ W.T + b, axis=1)
    spread = np.einsum("ni,ij->nij", p, np.eye(p.shape[1])) - np.einsum("ni,nj->nij", p, p)
    n = p.shape[1] * X1.shape[1]
    return np.einsum("nij,na,nb->iajb", spread, X1, X1, optimize=True).reshape(n, n) / len(X)


# --- curvature


@pytest.mark.parametrize("scale", [0.0, 1.0, 20.0])
def test_curvature_of_softmax_regression(digits: Any, scale: float) -> None:
    X, layer = digits.X.astype(float), linear(scale)
    W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = np.linalg.eigvalsh(softmax_hessian(X, W, b))[-1]
    found = Loss(layer, X, digits.y).curvature(np.random.RandomState(0))
    assert found == pytest.approx(expected, rel=1e-4)


def test_curvature_where_all_classes_are_as_likely(digits: Any) -> None:
    """Then the Hessian is (I - 1 1^T / k) / k times the mean of (x, 1)(x, 1)^T; of an MLPClassifier."""
    net = MLPClassifier((), max_iter=1, random_state=0).fit(digits.X, digits.y)
    net.coefs_, net.intercepts_ = [0 * w for w in net.coefs_], [0 * w for w in net.intercepts_]
    X1 = np.column_stack([digits.X, np.ones(len(digits.X))])
    expected = np.linalg.eigvalsh(X1.T @ X1 / len(X1))[-1] / 10
    found = Loss(net, digits.X, digits.y).curvature(np.random.RandomState(0))
    assert found == pytest.approx(expected, rel=1e-3)


def test_curvature_of_a_deep_network(digits: Any) -> None:
    """The largest, though one below 0 may be further from it; against torch's whole Hessian."""
    X, y = digits.X[:60, 20:26].astype(float), digits.y[:60] % 3
    for options in ({"scale": 1.0}, {"scale": 6.0}):
        network = dense(6, 5, 3)
        with torch.no_grad():
            for weight in network.parameters():
                weight *= options["scale"]
        parts = {name: weight.detach() for name, weight in network.named_parameters()}
        sizes = [part.numel() for part in parts.values()]

        def loss(flat: Any, parts: Any = parts, sizes: Any = sizes, network: Any = network) -> Any:
            pieces = zip(parts.items(), flat.split(sizes), strict=True)
            weights = {name: piece.reshape(part.shape) for (name, part), piece in pieces}
            logits = torch.func.functional_call(network, weights, (torch.from_numpy(X),))
            return nn.functional.cross_entropy(logits, torch.from_numpy(y))

        flat = torch.cat([part.flatten() for part in parts.values()])
        hessian = torch.autograd.functional.hessian(loss, flat).numpy()
        found = Loss(network, X, y).curvature(np.random.RandomState(0))
        assert found == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-4)


# --- rise


def test_rise_is_the_mean_over_directions_taken_both_ways(digits: Any) -> None:
    X, y, layer = digits.X.astype(float), digits.y, linear()
    W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()

    def loss(weights: Any) -> float:
        return -log_softmax(X @ weights.T + b, axis=1)[np.arange(len(y)), y].mean()

    rng = np.random.RandomState(1)
    own = {"weight": layer.weight.detach()}
    directions = [filter_normalised(own, rng)["weight"].numpy() for _ in range(3)]
    expected = np.mean([loss(W + way * 0.5 * d) for d in directions for way in (1, -1)]) - loss(W)
    found = _sharpness.rise(Loss(layer, X, y), 0.5, 3, np.random.RandomState(1))
    assert found == pytest.approx(expected, rel=1e-9)


def test_small_rise_is_half_the_trace_of_the_hessian(digits: Any) -> None:
    """To second order, filter by filter: size^2 / 2 times ||w_i||^2 / n times the trace of its own part."""
    X, layer = digits.X.astype(float), linear()
    W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    hessian = softmax_hessian(X, W, b).reshape(10, 65, 10, 65)
    traces = np.array([np.trace(hessian[i, :64, i, :64]) for i in range(10)])
    size = 0.01
    expected = size**2 / 2 * (np.square(W).sum(axis=1) / 64 * traces).sum()
    found = _sharpness.rise(Loss(layer, X, digits.y), size, 300, np.random.RandomState(0))
    assert found == pytest.approx(expected, rel=0.05)


def test_only_curvature_changes_as_layers_are_scaled_against_each_other(digits: Any) -> None:
    """What rectified networks compute does not (Dinh et al. 2017)."""
    network = dense(64, 16, 10)
    scaled = deepcopy(network)
    with torch.no_grad():
        scaled[0].weight *= 8
        scaled[0].bias *= 8
        scaled[2].weight /= 8
    losses = [Loss(net, digits.X, digits.y) for net in (network, scaled)]
    assert losses[0].at({}) == pytest.approx(losses[1].at({}))
    rises = [_sharpness.rise(loss, 0.5, 3, np.random.RandomState(0)) for loss in losses]
    curvatures = [loss.curvature(np.random.RandomState(0)) for loss in losses]
    assert rises[0] == pytest.approx(rises[1], rel=1e-9)
    assert curvatures[1] > 5 * curvatures[0]


# --- trainings


def skorch_net(**options: Any) -> NeuralNetClassifier:
    defaults: dict[str, Any] = {"lr": 0.1, "max_epochs": 4, "verbose": 0, "train_split": None}
    shape = {"module__in_features": 64, "module__out_features": 10}
    return NeuralNetClassifier(nn.Linear, criterion=nn.CrossEntropyLoss, **shape, **defaults | options)


@pytest.mark.parametrize(
    ("estimator", "names"),
    [
        (MLPClassifier(max_iter=4), ("batch_size", "max_iter")),
        (skorch_net(), ("batch_size", "max_epochs")),
        (skorch_net(iterator_train__batch_size=7), ("iterator_train__batch_size", "max_epochs")),
    ],
    ids=["mlp", "skorch", "skorch iterator"],
)
def test_what_trainings_share(digits: Any, monkeypatch: Any, estimator: Any, names: Any) -> None:
    def repeated(measure: Any, settings: Any, **_: Any) -> Any:
        given.extend(tuple(setting[name] for name in names) for setting in settings)
        assert all(len(setting) == 2 for setting in settings)
        return np.zeros((len(settings), 1, 4))

    monkeypatch.setattr(_sharpness, "repeated", repeated)
    options = {"batch_sizes": [10, 25, 900]}
    given: list[Any] = []
    sharpness(estimator, digits.X, digits.y, **options)
    # 4 epochs of 90 updates, 10 of 36, 360 of 1
    assert given == [(10, 4), (25, 10), (900, 360)]
    given.clear()
    sharpness(estimator, digits.X, digits.y, same="epochs", **options)
    assert given == [(10, 4), (25, 4), (900, 4)]


def test_batch_size_reaches_the_training(digits: Any) -> None:
    class Counting(nn.Linear):
        batches: list[int] = []  # noqa: RUF012

        def forward(self, x: Any) -> Any:
            if self.training:
                self.batches.append(len(x))
            return super().forward(x)

    net = skorch_net(max_epochs=1).set_params(module=Counting)
    sharpness(net, digits.X[:100], digits.y[:100], batch_sizes=[50, 100], n_repeats=1)
    assert Counting.batches == [50, 50, 100, 100]


# --- what is seen on digits


@pytest.mark.parametrize("kind", ["mlp", "skorch"])
def test_larger_batches_end_sharper(digits: Any, kind: str) -> None:
    """Keskar et al. 2017; by plain stochastic gradient descent, at the same number of updates and loss."""
    X, y = digits.X[:400], digits.y[:400]
    if kind == "mlp":
        estimator: Any = MLPClassifier(
            (32,), solver="sgd", momentum=0.0, learning_rate_init=0.3, max_iter=20, n_iter_no_change=10**6
        )
    else:
        estimator = NeuralNetClassifier(
            Hidden,
            criterion=nn.CrossEntropyLoss,
            lr=0.3,
            max_epochs=20,
            iterator_train__shuffle=True,
            callbacks="disable",
            verbose=0,
            train_split=None,
        )
    curves = sharpness(estimator, X, y, batch_sizes=[8, 100], n_repeats=1, random_state=0)
    small, large = curves.values["loss"]
    assert (large < small + 0.01).all() and large.max() < 0.05
    for name in ("rise", "curvature"):
        small, large = curves.values[name]
        assert large.mean() > 1.1 * small.mean(), name
        assert (large > small).all(), name


class Hidden(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


# --- randomness, inputs


def test_seed_decides_everything(digits: Any) -> None:
    X, y = digits.X[:100], digits.y[:100]
    names = np.array([f"digit {i}" for i in range(10)])[y]
    options: dict[str, Any] = {"batch_sizes": [25, 100], "n_repeats": 2, "n_directions": 2}
    for estimator in (MLPClassifier((8,), max_iter=2), skorch_net(iterator_train__shuffle=True)):
        state, before = torch.get_rng_state(), np.random.get_state()[1]
        found, same, other = (
            sharpness(estimator, X, labels, random_state=seed, X_test=X[:50], y_test=labels[:50], **options)
            for seed, labels in ((0, y), (0, names), (1, y))
        )
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(np.random.get_state()[1], before)
        assert list(found.values) == ["rise", "curvature", "loss", "accuracy", "test loss", "test accuracy"]
        for name, value in found.values.items():
            assert value.shape == (2, 2)
            np.testing.assert_allclose(same.values[name], value, rtol=1e-6)
        assert (found.values["rise"] != other.values["rise"]).all()
    test = {"X_test": X[:50], "y_test": y[:50]}
    processes = sharpness(estimator, X, y, random_state=0, n_jobs=2, **test, **options)
    np.testing.assert_allclose(processes.values["rise"], found.values["rise"], rtol=1e-5)


GOOD = np.random.RandomState(0).rand(20, 4), np.arange(20) % 2


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (LogisticRegression(), {}, TypeError, "a skorch classifier or an MLPClassifier"),
        (NeuralNetClassifier(nn.Linear(4, 2)), {}, ValueError, "module is an instance already"),
        (MLPClassifier(), {"batch_sizes": [8, 4]}, ValueError, r"ascending integers, got \[8, 4\]"),
        (MLPClassifier(), {"batch_sizes": []}, ValueError, "ascending integers"),
        (MLPClassifier(), {"batch_sizes": [2.5]}, ValueError, "ascending integers"),
        (MLPClassifier(), {"batch_sizes": [0, 4]}, ValueError, "from 1 to 20"),
        (MLPClassifier(), {"batch_sizes": [4, 21]}, ValueError, "from 1 to 20"),
        (MLPClassifier(solver="lbfgs"), {}, ValueError, "'lbfgs' does not use batches"),
        (
            MLPClassifier(),
            {"same": "time"},
            ValueError,
            r"same must be one of \['updates', 'epochs'\], got 'time'",
        ),
        (MLPClassifier(), {"radius": -1}, ValueError, "radius must be a finite number > 0, got -1"),
        (MLPClassifier(), {"n_directions": 0}, ValueError, "n_directions must be an integer >= 1"),
        (MLPClassifier(), {"n_repeats": 1.5}, ValueError, "n_repeats must be an integer >= 1"),
        (MLPClassifier(), {"y_test": [0]}, ValueError, "X_test and y_test belong together"),
    ],
)
def test_errors(estimator: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sharpness(estimator, *GOOD, **{"batch_sizes": [4]} | options)


def test_display(digits: Any) -> None:
    display = SharpnessDisplay.from_estimator(
        skorch_net(max_epochs=1),
        digits.X,
        digits.y,
        batch_sizes=[100, 300],
        n_repeats=2,
        random_state=0,
        plot_kw={"names": ["curvature"]},
    )
    assert list(display.lines_) == ["curvature"]
    assert display.ax_.get_ylabel() == "largest eigenvalue of the Hessian"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["100", "300"]
    assert isinstance(display.result, Sharpness)
    again = display.result.plot()
    assert list(again.lines_) == ["rise"] and again.ax_.get_ylabel() == "rise of the loss"
    with pytest.raises(ValueError, match="names must be of"):
        display.plot(names=["flatness"])
