"""Effective depth and width, and the kernel of a graph: closed cases, simulation, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional

from skhalfway.structure import connectivity, connectivity_filter
from skhalfway.structure._kernel import rectified

W, S, N = "weights", "skip", "none"
CHAIN = [("x", "a", W), ("a", "b", W), ("b", "y", W)]
PARALLEL = [("x", "y", W)] * 3
MIXED = [("x", "a", W), ("x", "b", W), ("a", "y", W), ("b", "y", W), ("x", "y", W), ("x", "y", S)]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (CHAIN, (3, 1 / 3, 1)),
        (PARALLEL, (1, 3, 3)),
        (MIXED, (1.25, 2.4, 4)),  # paths of 2, 2, 1 and 0
        ([("x", "y", W)] * 2, (1, 2, 2)),
        ([("x", "a", S), ("a", "y", S)], (0, 0, 1)),
        ([("x", "y", W), ("x", "y", N)], (1, 1, 1)),
    ],
)
def test_depth_and_width(edges, expected):
    found = connectivity(edges)
    assert (found.depth, found.width, found.n_paths) == pytest.approx(expected)
    assert np.isnan(found.smallest)
    assert found.to_frame().loc[0, "depth"] == found.depth


def test_many_paths_are_counted_node_by_node():
    blocks = [(str(i), str(i + 1), kind) for i in range(200) for kind in (W, S)]
    found = connectivity(blocks)
    assert found.n_paths == 2**200
    assert found.depth == pytest.approx(100)


# -- the kernel


def test_correlations_through_rectifiers():
    r = np.array([0.0])
    seen = [float(r[0])]
    for _ in range(3):
        r = rectified(r)
        seen.append(float(r[0]))
    assert seen == pytest.approx([0, 0.3183, 0.4937, 0.6048], abs=1e-4)
    assert rectified(np.array([1.0, -1.0])) == pytest.approx([1, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("edges", "order", "expected"),
    [
        (CHAIN[:1], "relu_last", 0.682),
        (CHAIN[:2], "relu_last", 0.506),
        (CHAIN, "relu_last", 0.395),
        (CHAIN, "linear_last", 0.395),
        (PARALLEL, "linear_last", 0.682),
        (PARALLEL, "relu_last", 0.417),
    ],
)
def test_least_eigenvalues(edges, order, expected):
    found = connectivity(edges, correlation=0.0, order=order)
    assert found.smallest == pytest.approx(expected, abs=5e-4)
    assert (np.diff(found.eigenvalues) <= 1e-12).all()
    assert found.eigenvalues.mean() == pytest.approx(1)


def simulated(edges, X, width=4000, n_draws=12):
    """Second moments of the output of random networks of that graph."""
    generator = torch.Generator().manual_seed(0)
    nodes = list(dict.fromkeys(itertools.chain.from_iterable(edge[:2] for edge in edges)))
    total = 0
    for _ in range(n_draws):
        # units of the input: a random map of it, which keeps its products
        first = torch.randn(X.shape[1], width, generator=generator, dtype=torch.float64)
        values = {nodes[0]: torch.tensor(X) @ first}
        for node in nodes[1:]:
            values[node] = 0
            for begin, end, kind in edges:
                if end == node:
                    brought = values[begin]
                    if kind == W:
                        weight = torch.randn(width, width, generator=generator, dtype=torch.float64)
                        brought = (brought @ (weight * (2 / width) ** 0.5)).relu()
                    values[node] = values[node] + brought
        out = values[nodes[-1]]
        total = total + out @ out.T / width / n_draws
    return total.numpy()


@pytest.mark.parametrize(
    "edges", [[("x", "a", W), ("x", "b", S), ("a", "b", W), ("a", "y", S), ("b", "y", W)], MIXED], ids=str
)
def test_the_kernel_is_that_of_wide_random_networks(edges):
    X = np.linalg.qr(np.random.RandomState(0).standard_normal((3, 3)))[0]
    X = X @ np.diag([1, 1, 1])
    X[1] = 0.6 * X[0] + 0.8 * X[1]
    kernel = simulated(edges, X, width=1000)
    expected = np.linalg.eigvalsh(kernel)[::-1] / np.diag(kernel).mean()
    found = connectivity(edges, correlation=X @ X.T)
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=0.03)


# -- networks


class Residual(nn.Module):
    def __init__(self, n_blocks=2, plain=False):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(6, 6) for _ in range(n_blocks))
        self.norm, self.last, self.plain = nn.BatchNorm1d(6), nn.Linear(6, 2), plain

    def forward(self, x):
        x = x.view(x.size(0), -1)
        for block in self.blocks:
            x = functional.relu(block(x)) + (0 if self.plain else x)
        return self.last(self.norm(x))


def test_modules_are_traced():
    found = connectivity(Residual())
    # of two blocks, each with a skip: paths of 3, 2, 2 and 1
    assert (found.depth, found.width, found.n_paths) == (2, 2, 4)
    chain = connectivity(nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.ReLU(), nn.Linear(4, 2)))
    assert (chain.depth, chain.width) == (2, 0.5)
    assert connectivity(nn.Linear(3, 2)).depth == 1
    assert connectivity(MLPClassifier((5, 4, 3))).depth == 4
    assert connectivity(MLPClassifier(7)).depth == 2
    images = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 2))
    assert connectivity(images).depth == 2


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4, 2))
        self.place = nn.Parameter(torch.randn(1, 4))

    def forward(self, x):
        return (functional.linear(x, self.one).relu() + self.place) @ self.two


class OwnTurned(Own):
    def forward(self, x):
        return functional.relu(x @ self.one.t()) @ self.two


class Doubled(Residual):
    def forward(self, x):
        x = self.blocks[0](x)
        return self.last(x + x)


def test_weights_that_are_no_layers_and_layers_that_are_no_weights():
    for network in (Own(), OwnTurned()):
        assert connectivity(network).depth == 2  # and a place that is added is no layer
    normalised = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2)), nn.LayerNorm((2, 2)), nn.Flatten())
    assert connectivity(normalised).depth == 1
    assert connectivity(Doubled()).n_paths == 2


def test_candidates_leave_randomness_as_it_is():
    before = torch.get_rng_state()
    connectivity_filter(NeuralNetClassifier(Residual), {"module__n_blocks": [1]}, depth=(0, 9), width=(0, 9))
    assert torch.equal(before, torch.get_rng_state())


def test_candidates_of_a_search():
    net = NeuralNetClassifier(Residual, train_split=None, max_epochs=1, verbose=0)
    grid = {"module__n_blocks": [1, 2, 3, 6], "lr": [0.1]}
    kept = connectivity_filter(net, grid, depth=(1, 2.6), width=(0.5, 4))
    assert [each["module__n_blocks"] for each in kept] == [[1], [2], [3]]
    assert all(each["lr"] == [0.1] for each in kept)
    (middle,) = connectivity_filter(net, grid, depth=(1, 2.6), width=(0.5, 4), n_keep=1)
    assert middle["module__n_blocks"] == [2]
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 6)).astype(np.float32), rng.randint(2, size=40)
    search = GridSearchCV(net, kept, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    with pytest.raises(ValueError, match="no candidate is left: their effective depths go from 1.5 to 4"):
        connectivity_filter(net, grid, depth=(10, 20))
    with pytest.raises(TypeError, match="a network with layers is needed"):
        connectivity_filter(SVC(), {"C": [1]})
    with pytest.raises(ValueError, match="depth must be two numbers"):
        connectivity_filter(net, grid, depth=(3, 1))


@pytest.mark.parametrize("before", [[], [StandardScaler()]], ids=["alone", "in a pipeline"])
def test_candidates_of_perceptrons(before):
    net = make_pipeline(*before, MLPClassifier()) if before else MLPClassifier()
    name = "mlpclassifier__hidden_layer_sizes" if before else "hidden_layer_sizes"
    grid = {name: [(4,), (4, 4), (4, 4, 4)]}
    kept = connectivity_filter(net, grid, depth=(0, 3), width=(0, 9))
    assert [each[name] for each in kept] == [[(4,)], [(4, 4)]]


class Stubborn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: connectivity([("a", "b", W), ("b", "a", W)]), ValueError, "the graph has a cycle"),
        (lambda: connectivity([("a", "c", W), ("b", "c", W)]), ValueError, "one input and one output"),
        (lambda: connectivity([("a", "b", "pool")]), ValueError, "with a kind of"),
        (lambda: connectivity([(["a"], "b", W)]), ValueError, "edges must be"),
        (lambda: connectivity(CHAIN, correlation=np.zeros((0, 0))), ValueError, "must be a number from"),
        (lambda: connectivity(["ab"]), ValueError, "edges must be"),
        (lambda: connectivity(Stubborn()), ValueError, "is unknown.*pass its edges"),
        (lambda: connectivity(3), TypeError, "a network with layers is needed"),
        (lambda: connectivity(CHAIN, order="last"), ValueError, "order must be one of"),
        (lambda: connectivity(CHAIN, correlation="a"), ValueError, "correlation must be a number"),
        (lambda: connectivity(CHAIN, correlation=[[1, 2], [0, 1]]), ValueError, "must be a number from"),
        (
            lambda: connectivity(CHAIN, correlation=-0.9),
            ValueError,
            "from -1/9 to 1, since it stands for ten",
        ),
        (
            lambda: connectivity(CHAIN, correlation=[[1, 2], [2, 1]]),
            ValueError,
            "without negative eigenvalues",
        ),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
