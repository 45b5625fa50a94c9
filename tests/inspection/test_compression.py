"""compression_curve: what is taken away, training that keeps to it, and what it costs on digits."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn.utils import prune as torch_prune

from skhalfway.inspection import CompressionCurve, CompressionCurveDisplay, compress, compression_curve
from skhalfway.inspection._compressed import fine_tune, prune, quantize, shared_values
from skhalfway.inspection._weights import weights_of, with_weights

# few epochs are enough here
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def skorch_net(**params: Any) -> Any:
    given: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "batch_size": 64,
        "max_epochs": 12,
        "train_split": None,
        "iterator_train__shuffle": True,
        "callbacks": "disable",
        "verbose": 0,
    }
    return NeuralNetClassifier(Net, **given | params)


def mlp() -> Any:
    return MLPClassifier((24,), learning_rate_init=0.01, batch_size=64, max_iter=20)


@pytest.fixture(scope="module")
def trained(digits: Any) -> Any:
    """A skorch net that plain gradient descent trained, without momentum."""
    torch.manual_seed(0)
    net = skorch_net(optimizer=torch.optim.SGD, lr=0.5, max_epochs=2, iterator_train__shuffle=False)
    return net.fit(digits.X, digits.y)


@pytest.fixture(scope="module")
def fitted_mlp(digits: Any) -> Any:
    return mlp().set_params(random_state=0).fit(digits.X, digits.y)


# --- what is taken away


@pytest.mark.parametrize("share", [1.0, 0.5, 0.13, 0.001])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_pruning_is_torchs(share: float, scope: str) -> None:
    torch.manual_seed(0)
    module = Net()
    pruned, _, size = prune(weights_of(module), share, scope=scope)
    layers = [module.layers[0], module.layers[2]]
    if scope == "global":
        where = [(layer, "weight") for layer in layers]
        torch_prune.global_unstructured(where, torch_prune.L1Unstructured, amount=1 - share)
    else:
        for layer in layers:
            torch_prune.l1_unstructured(layer, "weight", amount=1 - share)
    for i, layer in zip((0, 2), layers, strict=True):
        np.testing.assert_array_equal(pruned[f"layers.{i}.weight"], layer.weight.detach().numpy())
        np.testing.assert_array_equal(pruned[f"layers.{i}.bias"], layer.bias.detach().numpy())
    left = sum(np.count_nonzero(weight) for weight in pruned.values())
    assert size == pytest.approx(left / sum(weight.size for weight in pruned.values()))


def test_uniform_values_are_the_nearest_of_an_even_grid() -> None:
    flat = np.random.RandomState(0).randn(200)
    values, groups = shared_values(flat, 8, codebook="uniform")
    np.testing.assert_allclose(values, np.linspace(flat.min(), flat.max(), 8))
    np.testing.assert_array_equal(groups, np.abs(flat[:, None] - values).argmin(axis=1))


def test_kmeans_is_nearer_than_a_grid_and_finds_clusters_that_are_there() -> None:
    rng = np.random.RandomState(0)
    flat = rng.randn(500)

    def error(codebook: str) -> float:
        values, groups = shared_values(flat, 4, codebook=codebook)
        return float(((flat - values[groups]) ** 2).mean())

    # the best four values for a normal variable leave an error of 0.1175 (Max, 1960)
    assert error("kmeans") < 0.14 < error("uniform")
    centres = np.array([-3.0, 0.0, 1.0, 5.0])
    truth = rng.randint(4, size=300)
    values, groups = shared_values(centres[truth] + 0.01 * rng.rand(300), 4, codebook="kmeans")
    np.testing.assert_allclose(values, centres + 0.005, atol=0.002)
    np.testing.assert_array_equal(groups, truth)


def test_weights_that_are_few_already_are_kept() -> None:
    flat = np.array([0.0, 0.1, 7.0, 0.1, 0.0, 0.0])
    values, groups = shared_values(flat, 4, codebook="kmeans")
    np.testing.assert_array_equal(values[groups], flat)


@pytest.mark.parametrize("codebook", ["kmeans", "uniform"])
@pytest.mark.parametrize("bits", [1, 3])
def test_quantized_matrices_have_few_values_and_the_size_of_their_codes(bits: int, codebook: str) -> None:
    torch.manual_seed(0)
    weights = weights_of(Net())
    state = np.random.get_state()[1]
    quantized, _, size = quantize(weights, bits, codebook=codebook)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    for name, weight in quantized.items():
        assert weight.dtype == np.float32
        if weight.ndim == 1:
            np.testing.assert_array_equal(weight, weights[name])
        else:
            assert len(np.unique(weight)) == 2**bits
    n_matrices, n_biases = 24 * 64 + 10 * 24, 24 + 10
    stored = n_matrices * bits + 2 * 2**bits * 32 + n_biases * 32
    assert size == pytest.approx(stored / (32 * (n_matrices + n_biases)))


# --- training that keeps to it


def by_hand(net: Any, digits: Any, gradient: Any) -> list[Any]:
    """Weights after an epoch of plain gradient descent on changed gradients."""
    module = deepcopy(net.module_)
    X, y = torch.from_numpy(digits.X), torch.from_numpy(digits.y)
    for begin in range(0, len(X), 64):
        rows = slice(begin, begin + 64)
        module.zero_grad()
        nn.functional.cross_entropy(module(X[rows]), y[rows]).backward()
        with torch.no_grad():
            for name, weight in module.named_parameters():
                weight -= 0.5 * gradient(name, weight.grad)
    return [weight.detach().numpy() for weight in module.parameters()]


def test_pruned_weights_stay_zero_and_the_rest_descends(trained: Any, digits: Any) -> None:
    weights, projections, _ = prune(weights_of(trained), 0.3, scope="layer")
    net = with_weights(trained, weights)
    masks = {name: torch.from_numpy(weight != 0) for name, weight in weights.items() if weight.ndim > 1}
    expected = by_hand(net, digits, lambda name, g: g * masks[name] if name in masks else g)
    fine_tune(net, digits.X, digits.y, projections, n_epochs=1, seed=0)
    for found, weight in zip(weights_of(net).values(), expected, strict=True):
        np.testing.assert_allclose(found, weight, atol=1e-6)
    assert not net.optimizer_._optimizer_step_post_hooks


def test_shared_values_stay_shared_and_move_by_the_mean(trained: Any, digits: Any) -> None:
    weights, projections, _ = quantize(weights_of(trained), 2, codebook="kmeans")
    net = with_weights(trained, weights)
    groups = {
        name: torch.from_numpy(np.unique(weight, return_inverse=True)[1].reshape(weight.shape))
        for name, weight in weights.items()
    }

    def mean(name: str, gradient: Any) -> Any:
        if gradient.ndim == 1:
            return gradient
        return sum((groups[name] == i) * gradient[groups[name] == i].mean() for i in range(4))

    expected = by_hand(net, digits, mean)
    fine_tune(net, digits.X, digits.y, projections, n_epochs=1, seed=0)
    for found, weight in zip(weights_of(net).values(), expected, strict=True):
        np.testing.assert_allclose(found, weight, atol=1e-5)
        assert found.ndim == 1 or len(np.unique(found)) == 4


def test_an_mlp_keeps_to_it_too(fitted_mlp: Any, digits: Any) -> None:
    before = weights_of(fitted_mlp)
    for weights, projections, _ in (
        prune(before, 0.2, scope="global"),
        quantize(before, 2, codebook="uniform"),
    ):
        net = with_weights(fitted_mlp, weights)
        fine_tune(net, digits.X, digits.y, projections, n_epochs=2, seed=0)
        after = weights_of(net)
        for name, weight in weights.items():
            assert not np.allclose(after[name], weight)  # it was trained
            if weight.ndim > 1:
                np.testing.assert_array_equal(after[name][weight == 0], 0)
                groups = np.unique(weight, return_inverse=True)[1].ravel()
                if len(np.unique(weight)) <= 4:
                    for i in range(4):
                        assert np.ptp(after[name].ravel()[groups == i]) < 1e-12
    np.testing.assert_array_equal(weights_of(fitted_mlp)["coefs.0"], before["coefs.0"])


# --- the curve


def test_a_trained_network_is_taken_as_it_is(fitted_mlp: Any, digits: Any) -> None:
    split = {"X": digits.X, "y": digits.y, "X_test": digits.X_test, "y_test": digits.y_test}
    curve = compression_curve(FrozenEstimator(fitted_mlp), **split, levels=[0.3, 1])
    assert curve.n_repeats == 1 and curve.x.tolist() == [0.3, 1]
    assert curve.values["agreement"][1, 0] == 1
    assert curve.values["accuracy"][1, 0] == fitted_mlp.score(digits.X_test, digits.y_test)
    weights, _, size = prune(weights_of(fitted_mlp), 0.3, scope="layer")
    pruned = with_weights(fitted_mlp, weights)
    assert curve.values["accuracy"][0, 0] == pruned.score(digits.X_test, digits.y_test)
    assert curve.values["agreement"][0, 0] == pruned.score(digits.X_test, fitted_mlp.predict(digits.X_test))
    assert curve.values["size"][0, 0] == size


def test_a_torch_module_and_images(digits: Any) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    X, X_test = (x.reshape(-1, 1, 8, 8) for x in (digits.X, digits.X_test))
    curve = compression_curve(module, X, digits.y, X_test=X_test, y_test=digits.y_test, levels=[1, 0.5])
    assert curve.values["agreement"][0, 0] == 1
    # normalisation and biases stay
    kept = (36 + 1440) / 2 + 4 + 4 + 4 + 10
    assert curve.values["size"][1, 0] == pytest.approx(kept / (36 + 1440 + 22))


@pytest.fixture(scope="module", params=["skorch", "mlp"])
def network(request: pytest.FixtureRequest) -> Any:
    return skorch_net() if request.param == "skorch" else mlp()


def test_compression_on_digits(network: Any, digits: Any) -> None:
    """Half of the weights, or four bits of them, do; few do not, unless the network is trained on."""
    split = {"X": digits.X, "y": digits.y, "X_test": digits.X_test, "y_test": digits.y_test}

    def measured(levels: list[float], **params: Any) -> Any:
        curve = compression_curve(network, **split, levels=levels, n_repeats=2, random_state=0, **params)
        assert list(curve.values) == ["accuracy", "agreement", "size"]
        return curve.means["accuracy"]

    pruned, tuned = measured([1, 0.5, 0.1]), measured([1, 0.1], n_epochs=3)
    assert pruned[0] > 0.9
    assert pruned[1] > pruned[0] - 0.1
    assert pruned[2] < pruned[0] - 0.25
    assert tuned[1] > pruned[2] + 0.1
    quantized = measured([1, 4], method="quantization")
    assert quantized[1] > pruned[0] - 0.04
    assert quantized[0] < pruned[0] - 0.1


def test_a_seed_decides_and_jobs_do_not(digits: Any) -> None:
    net = skorch_net(max_epochs=2)
    few, tested = (digits.X[:200], digits.y[:200]), (digits.X_test[:100], digits.y_test[:100])
    split = dict(zip(["X", "y", "X_test", "y_test"], few + tested, strict=True))
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]

    def measured(random_state: int, n_jobs: int | None = None) -> Any:
        settings: dict[str, Any] = {"levels": [0.5], "n_epochs": 1, "n_repeats": 2, "n_jobs": n_jobs}
        return compression_curve(net, **split, random_state=random_state, **settings).values["agreement"]

    first = measured(0)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    np.testing.assert_array_equal(first, measured(0, n_jobs=2))
    assert not np.array_equal(first, measured(1))
    assert not net.initialized_


def test_labels_are_of_any_kind(digits: Any) -> None:
    names = np.array([f"digit {i}" for i in range(10)])
    split = {"X": digits.X, "y": names[digits.y], "X_test": digits.X_test, "y_test": names[digits.y_test]}
    curve = compression_curve(mlp(), **split, levels=[1], n_repeats=1, random_state=0)
    assert curve.values["accuracy"][0, 0] > 0.8


@pytest.mark.parametrize(
    ("estimator", "given", "error", "message"),
    [
        (mlp(), {"method": "huffman"}, ValueError, r"method must be one of \['pruning', 'quantization'\]"),
        (mlp(), {"scope": "net"}, ValueError, "scope must be one of"),
        (mlp(), {"codebook": "random"}, ValueError, "codebook must be one of"),
        (mlp(), {"levels": []}, ValueError, "at least one level"),
        (mlp(), {"levels": [0]}, ValueError, r"share of weights kept in \(0, 1\], got 0"),
        (mlp(), {"levels": [1.1]}, ValueError, r"in \(0, 1\], got 1.1"),
        (mlp(), {"levels": [True]}, ValueError, r"in \(0, 1\], got True"),
        (mlp(), {"levels": [0.5], "method": "quantization"}, ValueError, "must be an integer >= 1, got 0.5"),
        (mlp(), {"levels": [17], "method": "quantization"}, ValueError, "at most 16 bits, got 17"),
        (mlp(), {"n_epochs": -1}, ValueError, "n_epochs must be an integer >= 0"),
        (mlp(), {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
        (Net(), {"n_repeats": 2}, ValueError, "repeats would all be the same"),
        (Net(), {"n_epochs": 2}, TypeError, "n_epochs=2 needs"),
        (NeuralNetClassifier(Net()), {}, ValueError, "module is an instance already"),
        (nn.Identity(), {}, ValueError, "Identity has no matrices"),
        (MLPClassifier(solver="lbfgs"), {"n_epochs": 2}, TypeError, "only with solver='sgd' or 'adam'"),
        (MLPClassifier(early_stopping=True), {"n_epochs": 2}, TypeError, "early_stopping=False"),
        (LogisticRegression(), {}, TypeError, "a network with weights is needed.*got LogisticRegression"),
        (
            mlp(),
            {"X_test": np.zeros((4, 3))},
            ValueError,
            r"X_test have shape \(3,\), those of X have",
        ),
        (mlp(), {"y_test": np.full(4, 11)}, ValueError, "y_test holds labels that are not among"),
        (mlp(), {"y": np.zeros(3)}, ValueError, "one label per sample"),
        (skorch_net(), {"y": np.arange(1, 5)}, ValueError, "needs the labels 0, 1, ..., got"),
    ],
)
def test_errors(estimator: Any, given: dict[str, Any], error: type[Exception], message: str) -> None:
    data: dict[str, Any] = {"X": np.zeros((4, 64)), "y": np.arange(4)}
    data |= {"X_test": np.zeros((4, 64)), "y_test": np.arange(4)}
    with pytest.raises(error, match=message):
        compression_curve(estimator, **data | given)


@pytest.mark.parametrize(("method", "label"), [("pruning", "share"), ("quantization", "bits")])
def test_drawn(fitted_mlp: Any, digits: Any, method: str, label: str) -> None:
    display = CompressionCurveDisplay.from_estimator(
        FrozenEstimator(fitted_mlp),
        digits.X,
        digits.y,
        X_test=digits.X_test,
        y_test=digits.y_test,
        method=method,
        plot_kw={"names": ["accuracy"]},
    )
    np.testing.assert_array_equal(display.lines_["accuracy"].get_ydata(), display.result.means["accuracy"])
    assert display.ax_.get_xlabel().startswith(label)
    assert repr(display.result).startswith("CompressionCurve: ")
    assert display.result.to_frame().index.name == display.ax_.get_xlabel()
    with pytest.raises(ValueError, match="method must be one of"):
        CompressionCurve(np.ones(1), {"accuracy": np.ones((1, 1))}, "huffman")


@pytest.mark.parametrize(
    ("level", "method"), [(0.3, "pruning"), (2, "quantization")], ids=["pruning", "quantization"]
)
def test_compress_gives_the_network_of_the_curve(trained: Any, digits: Any, level: Any, method: str) -> None:
    before = weights_of(trained)
    compressed = compress(trained, level, method=method)
    data = {"X": digits.X, "y": digits.y, "X_test": digits.X_test, "y_test": digits.y_test}
    curve = compression_curve(FrozenEstimator(trained), **data, method=method, levels=[level])
    assert compressed.score(digits.X_test, digits.y_test) == curve.values["accuracy"][0, 0]
    for name, weight in weights_of(compressed).items():
        if weight.ndim > 1:
            left = np.count_nonzero(weight) / weight.size if method == "pruning" else len(np.unique(weight))
            assert left == pytest.approx(0.3, abs=0.01) if method == "pruning" else left == 4
        np.testing.assert_array_equal(weights_of(trained)[name], before[name])


def test_compress_refuses_what_the_curve_refuses(trained: Any) -> None:
    with pytest.raises(ValueError, match=r"a share of weights kept in \(0, 1\], got 2"):
        compress(trained, 2)
    with pytest.raises(ValueError, match="BatchNorm1d has no matrices to compress"):
        compress(nn.BatchNorm1d(2), 0.5)
    with pytest.raises(TypeError, match="a network with weights is needed"):
        compress(LogisticRegression(), 0.5)
