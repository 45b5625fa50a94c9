"""loss_surface: values and directions in closed form, what scaling leaves alone, and digits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skhalfway.inspection import LossSurface, LossSurfaceDisplay, loss_surface
from skhalfway.inspection._losses import Loss, filter_normalised

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")


def dense(dtype: Any = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).to(dtype)


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(216, 10)
    )


# --- the loss


def mlp(X: Any, y: Any, **options: Any) -> Any:
    return MLPClassifier((8,), max_iter=3, random_state=0, **options).fit(X, y)


def skorch_net(X: Any, y: Any, module: Any, criterion: Any, kind: Any = NeuralNetClassifier) -> Any:
    torch.manual_seed(0)
    net = kind(module, criterion=criterion, max_epochs=2, lr=0.1, verbose=0, train_split=None)
    return net.fit(X, y)


@pytest.mark.parametrize(
    "kind", ["mlp", "texts", "two classes", "frozen", "skorch", "probabilities", "binary"]
)
def test_loss_is_scikit_learns(digits: Any, kind: str) -> None:
    """In batches: there are more samples than go through at once."""
    X, y = np.concatenate([digits.X, digits.X_test]), np.concatenate([digits.y, digits.y_test])
    if kind in ("two classes", "binary"):
        y = y % 2
    if kind == "texts":
        y = np.array(list("qwertyuiop"))[y]
    if kind == "skorch":
        network = skorch_net(X, y, dense(torch.float32), nn.CrossEntropyLoss)
    elif kind == "probabilities":
        network = skorch_net(X, y, nn.Sequential(dense(torch.float32), nn.Softmax(1)), nn.NLLLoss)
    elif kind == "binary":
        module = nn.Sequential(nn.Linear(64, 1), nn.Flatten(0))
        network = skorch_net(X, y.astype(np.float32), module, nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier)
    else:
        network = mlp(X, y)
        network = FrozenEstimator(network) if kind == "frozen" else network
    found, accuracy = Loss(network, X, y).at({})
    assert found == pytest.approx(log_loss(y, network.predict_proba(X)), rel=1e-5)
    assert accuracy == pytest.approx((network.predict(X) == y).mean())


def test_loss_of_a_module_of_images(digits: Any) -> None:
    module, X = convolutional().train(), digits.X.reshape(-1, 1, 8, 8)
    before = deepcopy(module.state_dict())
    loss = Loss(module, X, digits.y)
    found, _ = loss.at({})
    moved, _ = loss.at({"5.bias": loss.weights["5.bias"] + torch.arange(10.0)})
    assert loss.at({})[0] == found
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with torch.no_grad():
        logits = module.eval()(torch.from_numpy(X)).double().numpy()
    rows = np.arange(len(X))
    assert found == pytest.approx(-log_softmax(logits, axis=1)[rows, digits.y].mean(), rel=1e-6)
    shifted = log_softmax(logits + np.arange(10.0), axis=1)
    assert moved == pytest.approx(-shifted[rows, digits.y].mean(), rel=1e-6)


# --- directions


def test_filters_have_the_networks_norms() -> None:
    weights = {name: weight.detach() for name, weight in convolutional().named_parameters()}
    weights["0.weight"][2] = 0
    direction = filter_normalised(weights, np.random.RandomState(0))
    same = filter_normalised(weights, np.random.RandomState(0))
    assert direction.keys() == weights.keys()
    for name, weight in weights.items():
        assert torch.equal(direction[name], same[name])
        if weight.ndim == 1:
            assert not direction[name].any()
            continue
        norms = direction[name].flatten(1).norm(dim=1)
        torch.testing.assert_close(norms, weight.flatten(1).norm(dim=1))
    # Gaussian, so of no preferred place: the cosine with the weights is one of n numbers, of size 1 / sqrt(n)
    w, d = weights["5.weight"], direction["5.weight"]
    cosines = (w * d).sum(1) / (w.norm(dim=1) * d.norm(dim=1))
    assert abs(cosines).max() < 4 / np.sqrt(w.shape[1])


# --- the surface


def test_surface_of_a_linear_network(digits: Any) -> None:
    X, y = digits.X.astype(float), digits.y
    torch.manual_seed(0)
    layer = nn.Linear(64, 10, dtype=torch.float64)
    surface = loss_surface(layer, X, y, n_points=5, span=2, random_state=3)
    rng = np.random.RandomState(3)
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}
    first, second = (filter_normalised(weights, rng)["weight"].numpy() for _ in range(2))
    np.testing.assert_allclose(surface.steps, [-2, -1, 0, 1, 2])
    for i, a in enumerate(surface.steps):
        for j, b in enumerate(surface.steps):
            W = weights["weight"].numpy() + a * first + b * second
            scores = log_softmax(X @ W.T + weights["bias"].numpy(), axis=1)
            assert surface.loss[i, j] == pytest.approx(-scores[np.arange(len(y)), y].mean())
            assert surface.accuracy[i, j] == pytest.approx((scores.argmax(1) == y).mean())


def test_scaling_layers_against_each_other_changes_nothing(digits: Any) -> None:
    """A rectified network that says the same with larger and smaller weights looks the same."""
    network = dense()
    scaled = deepcopy(network)
    with torch.no_grad():
        scaled[0].weight *= 16
        scaled[0].bias *= 16
        scaled[2].weight /= 16
    one, other = (
        loss_surface(net, digits.X, digits.y, n_points=3, random_state=0) for net in (network, scaled)
    )
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-9)
    assert np.ptp(one.loss) > 0.1


@pytest.mark.parametrize("kind", ["mlp", "skorch"])
def test_a_solution_lies_in_a_bowl(digits: Any, kind: str) -> None:
    X, y = digits.X, digits.y
    if kind == "mlp":
        network = MLPClassifier((32,), max_iter=60, random_state=0).fit(X, y)
    else:
        network = skorch_net(X, y, dense(torch.float32), nn.CrossEntropyLoss)
        network.partial_fit(X, y, epochs=30)
    surface = loss_surface(network, X, y, n_points=7, random_state=0)
    middle = surface.loss[3, 3]
    assert middle == pytest.approx(log_loss(y, network.predict_proba(X)), rel=1e-5)
    assert middle == surface.loss.min()
    # the further out, the higher, ring by ring
    ring = np.abs(np.indices((7, 7)) - 3).max(axis=0)
    means = [surface.loss[ring == r].mean() for r in range(4)]
    assert (np.diff(means) > 0.05).all()
    assert surface.accuracy[3, 3] > surface.accuracy[ring == 3].max() + 0.05


def test_seed_decides_everything(digits: Any) -> None:
    network, options = mlp(digits.X, digits.y), {"n_points": 3}
    state = torch.get_rng_state()
    found, same, other = (
        loss_surface(network, digits.X, digits.y, random_state=seed, **options) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(found.loss, same.loss)
    assert found.loss[1, 1] == other.loss[1, 1]
    assert (found.loss != other.loss).sum() == 8
    processes = loss_surface(network, digits.X, digits.y, random_state=0, n_jobs=2, **options)
    np.testing.assert_allclose(processes.loss, found.loss)


X2, Y2 = np.random.RandomState(0).rand(20, 64), np.arange(20) % 2


@pytest.mark.parametrize(
    ("network", "X", "y", "options", "error", "message"),
    [
        (LogisticRegression().fit(X2, Y2), X2, Y2, {}, TypeError, "needed: .* got LogisticRegression$"),
        (MLPClassifier(), X2, Y2, {}, NotFittedError, "not fitted"),
        (dense(), X2, Y2, {"n_points": 1}, ValueError, "n_points must be an integer >= 2, got 1"),
        (dense(), X2, Y2, {"span": 0}, ValueError, "span must be a finite number > 0, got 0"),
        (dense(), X2, Y2 + 9, {}, ValueError, r"labels that are not among the classes .*\[10\]"),
        (dense(), X2, Y2[:5], {}, ValueError, "one label per sample"),
        (dense(), X2 * np.nan, Y2, {}, ValueError, "Input X contains NaN"),
        (nn.PReLU(), X2[:, :2], Y2, {}, ValueError, "no weights of more than one axis"),
    ],
)
def test_errors(network: Any, X: Any, y: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        loss_surface(network, X, y, **options)


def test_wrong_width(digits: Any) -> None:
    with pytest.raises(ValueError, match="expecting 64 features"):
        loss_surface(mlp(digits.X, digits.y), digits.X[:, :5], digits.y)


# --- the result


def test_result() -> None:
    steps, loss = np.array([-1.0, 0.0, 1.0]), np.arange(9.0).reshape(3, 3)
    surface = LossSurface(steps, loss, loss / 9)
    frame = surface.to_frame()
    assert frame.loc[(-1.0, 1.0), "loss"] == 2 and frame.loc[(1.0, 0.0), "accuracy"] == pytest.approx(7 / 9)
    for array in (surface.steps, surface.loss, surface.accuracy):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(ValueError, match=r"accuracy must have shape \(3, 3\), got \(2, 3\)"):
        LossSurface(steps, loss, loss[:2])


def test_display(digits: Any) -> None:
    display = LossSurfaceDisplay.from_estimator(
        mlp(digits.X, digits.y), digits.X, digits.y, n_points=3, random_state=0, plot_kw={"name": "accuracy"}
    )
    assert display.colorbar_ is not None and display.colorbar_.ax.get_ylabel() == "accuracy"
    ax = display.result.plot(colorbar=False, levels=[1.0, 2.0, 3.0]).ax_
    again = display.result.plot(ax=ax, contour_kw={"levels": 3})
    assert again.ax_ is ax
    with pytest.raises(ValueError, match=r"name must be one of \['loss', 'accuracy'\], got 'error'"):
        display.plot(name="error")


def test_first_direction_is_drawn_to_the_right() -> None:
    steps = np.array([-1.0, 0.0, 1.0])
    surface = LossSurface(steps, np.repeat([[0.0], [1.0], [2.0]], 3, axis=1), np.zeros((3, 3)))
    display = surface.plot(levels=[0.5, 1.5])
    places = [path.vertices[:, 0].mean() for path in display.contours_.get_paths()]
    np.testing.assert_allclose(places, [-0.5, 0.5])
