"""Curvatures of the loss: closed cases, the Hessian of torch, the density by random vectors, refusals."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from skhalfway.inspection import SaddleHistory, SaddleIndex, loss_surface, saddle_index
from skhalfway.inspection._losses import Loss
from skhalfway.inspection._saddle import lanczos, quadrature

X, Y = load_iris(return_X_y=True)


def at(function, *point):
    """The index of a function of a few variables, as a result has it."""
    values = torch.tensor(point, dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(hessian(function, values)).numpy()
    n = len(eigenvalues)
    return SaddleIndex(eigenvalues, np.full((1, n), 1 / n), n, 0.0, 0.0)


@pytest.mark.parametrize(
    ("function", "point", "expected"),
    [
        (lambda v: 5 * v[0] ** 2 - v[1] ** 2, (0, 0), {"negative": 0.5, "flat": 0, "positive": 0.5}),
        # no minimum, but no curvature either
        (lambda v: v[0] ** 3 - 3 * v[0] * v[1] ** 2, (0, 0), {"negative": 0, "flat": 1, "positive": 0}),
        (lambda v: (v[0] * v[1] - 1) ** 2 / 2, (0, 0), {"negative": 0.5, "flat": 0, "positive": 0.5}),
        (lambda v: (v[0] * v[1] - 1) ** 2 / 2, (1, 1), {"negative": 0, "flat": 0.5, "positive": 0.5}),
        (lambda v: (v[0] * v[1] * v[2] - 1) ** 2 / 2, (0, 0, 0), {"negative": 0, "flat": 1, "positive": 0}),
    ],
)
def test_closed_cases(function, point, expected):
    saddle = at(function, *point)
    assert saddle.shares == pytest.approx(expected)
    assert saddle.index == pytest.approx(expected["negative"])
    assert saddle.standard_error == 0


def test_the_hessian_is_that_of_torch():
    net = MLPClassifier((4,), activation="tanh", tol=0.1, random_state=0).fit(X, Y)
    saddle = saddle_index(net, X, Y)
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        for i, layer in enumerate((module[0], module[2])):
            layer.weight.copy_(torch.tensor(net.coefs_[i].T))
            layer.bias.copy_(torch.tensor(net.intercepts_[i]))
    shapes = {name: p.shape for name, p in module.named_parameters()}
    flat = torch.cat([p.detach().flatten() for p in module.parameters()])

    def loss(vector):
        parts = dict(zip(shapes, vector.split([s.numel() for s in shapes.values()]), strict=True))
        state = {name: parts[name].reshape(shape) for name, shape in shapes.items()}
        logits = functional_call(module, state, (torch.tensor(X),))
        return nn.functional.cross_entropy(logits, torch.tensor(Y))

    expected = torch.linalg.eigvalsh(hessian(loss, flat)).numpy()
    flat.requires_grad_()
    (slope,) = torch.autograd.grad(loss(flat), flat)
    np.testing.assert_allclose(saddle.eigenvalues, expected, atol=1e-8)
    assert saddle.gradient_norm == pytest.approx(float(slope.norm()))
    assert saddle.loss == pytest.approx(loss(flat).item())
    assert saddle.n_parameters == len(expected) == len(saddle.to_frame())
    negative = (expected < -1e-4 * np.abs(expected).max()).mean()
    assert saddle.index == pytest.approx(negative)


def test_where_gradients_are_off():
    net = nn.Sequential(nn.Linear(4, 3))
    with torch.no_grad():
        found = saddle_index(net, X, Y)
    assert found == saddle_index(net, X, Y)


def test_random_vectors_find_the_density():
    rng = np.random.RandomState(0)
    values = np.concatenate([rng.uniform(-2, -1, 60), np.zeros(100), rng.uniform(1, 5, 140)])
    turn = np.linalg.qr(rng.standard_normal((300, 300)))[0]
    matrix = turn @ np.diag(values) @ turn.T
    shares = []
    for _ in range(20):
        places, weights = quadrature(lanczos(matrix.__matmul__, 300, 60, rng))
        assert weights.sum() == pytest.approx(1)
        assert places.min() >= -2 - 1e-8
        assert places.max() <= 5 + 1e-8
        shares.append(weights[places < -0.5].sum())
    error = np.std(shares, ddof=1) / 20**0.5
    assert abs(np.mean(shares) - 0.2) < 4 * error
    # where there are no more different eigenvalues, it ends, and is exact
    places, weights = quadrature(lanczos(np.diag([1.0, 1, 3]).__matmul__, 3, 10, rng))
    np.testing.assert_allclose(places, [1, 3])


@pytest.mark.parametrize("n_probes", [1, 2])
def test_as_many_places_as_parameters_are_no_whole_matrix(n_probes):
    binary = MLPClassifier((2,), activation="tanh", max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        binary.fit(X, Y > 0)
    n = 4 * 2 + 2 + 2 + 1
    shares = np.random.RandomState(0).dirichlet(np.ones(n), n_probes)
    guessed = SaddleIndex(np.linspace(-1, 1, n), shares, n, 0.0, 0.0)
    assert np.isnan(guessed.standard_error) == (n_probes == 1)
    assert "estimated by" in repr(guessed)
    found = saddle_index(binary, X, Y > 0, method="lanczos", n_probes=n_probes, random_state=0)
    assert "estimated by" in repr(found)
    whole = saddle_index(binary, X, Y > 0)
    assert whole.standard_error == 0
    assert "estimated by" not in repr(whole)


@pytest.mark.parametrize("tol", [0.0, 1e-4, 1e-2, 0.05, 0.9])
@pytest.mark.parametrize("scale", [1e-7, 1.0, 3e5])
def test_labels_of_eigenvalues_keep_apart(tol, scale):
    eigenvalues = scale * np.array([-1.0, -1e-3, 0.0, 1e-5, 0.5, 8.0])
    drawn = SaddleIndex(eigenvalues, np.full((1, 6), 1 / 6), 6, 0.0, 0.0, tol).plot()
    drawn.figure_.canvas.draw()
    labels = drawn.ax_.get_xticklabels()
    ends = sorted((box.x0, box.x1) for box in (one.get_window_extent() for one in labels) if box.width)
    assert len(ends) > 2
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ends))


def test_both_ways_agree_on_a_network():
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier((8,), tol=0.1, random_state=0).fit(X[:300] / 16, y[:300])
    data = X[:300] / 16, y[:300]
    exact = saddle_index(net, *data, tol=1e-3)
    assert len(exact.eigenvalues) == exact.n_parameters == 610
    estimated = saddle_index(net, *data, tol=1e-3, method="lanczos", n_probes=5, random_state=0)
    assert 0 < estimated.standard_error < 0.1
    assert abs(estimated.index - exact.index) < 5 * estimated.standard_error + 0.01
    assert estimated.eigenvalues.max() == pytest.approx(exact.eigenvalues.max(), rel=1e-4)
    again = saddle_index(net, *data, tol=1e-3, method="lanczos", n_probes=5, random_state=0)
    assert again == estimated
    assert "estimated by 5 probes" in str(estimated)
    assert exact.plot().line_.get_ydata()[-1] == pytest.approx(1)


def test_bounds_hold_what_the_probe_has_and_few_steps_are_said():
    """Few steps misjudge eigenvalues near 0, by far more than the standard error."""
    rng = np.random.RandomState(0)
    inputs = rng.standard_normal((150, 12))
    labels = (inputs[:, :3].sum(axis=1) > 0).astype(int) + 2 * (inputs[:, 3] > 0)
    net = MLPClassifier((20,), "tanh", tol=0.1, random_state=0).fit(inputs, labels)
    loss = Loss(net, inputs, labels, precise=True)
    n = 12 * 20 + 20 + 20 * 4 + 4
    values, vectors = np.linalg.eigh([loss.hessian_product(row) for row in np.eye(n)])
    wide = []
    for n_steps in (10, 40, 160, n):
        seeds = {"method": "lanczos", "n_probes": 3, "n_steps": n_steps, "random_state": 0}
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            saddle = saddle_index(net, inputs, labels, **seeds)
        low, high = saddle.bounds
        wide.append(high - low)
        too_wide = wide[-1] > 0.2
        assert sum(f"{n_steps} steps are too few" in str(one.message) for one in said) == too_wide
        assert saddle.needs_more_steps == too_wide
        assert "the steps taken bound the index between" in repr(saddle)
        draws, limit = np.random.RandomState(0), 1e-4 * np.abs(saddle.eigenvalues).max()
        for bounds in saddle.probe_bounds:
            probe = draws.standard_normal(n)
            share = ((vectors.T @ probe)[values < -limit] ** 2).sum() / (probe**2).sum()
            assert bounds[0] - 1e-6 <= share <= bounds[1] + 1e-6
    assert wide[0] > 0.2 > wide[2] and wide[3] < 1e-6


def test_a_history_says_once_where_steps_are_too_few():
    few = {"method": "lanczos", "n_steps": 3, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="3 steps are too few: they leave the index anywhere between"):
        short = saddle_index(NET, X, Y, **few)
    with pytest.warns(ConvergenceWarning, match="at 2 of 2 epochs") as said:
        history = SaddleHistory.of([short, short], [1, 2])
    assert len(said) == 1
    np.testing.assert_array_equal(history.bounds, [short.bounds] * 2)
    assert history.to_frame()[["low", "high"]].to_numpy().tolist() == history.bounds.tolist()


def test_the_index_falls_as_a_network_learns():
    net = MLPClassifier((8,), random_state=0, learning_rate_init=0.01)
    found = []
    for _ in range(3):
        for _ in range(15):
            net.partial_fit(X, Y, classes=[0, 1, 2])
        found.append(saddle_index(net, X, Y, tol=1e-3))
    assert found[-1].loss < found[0].loss
    assert found[-1].index <= found[0].index


WIDE = nn.Sequential(nn.Linear(4, 5000), nn.ReLU(), nn.Linear(5000, 3))
NET = MLPClassifier((3,), tol=0.1, random_state=0).fit(X, Y)


@pytest.mark.parametrize("wrap", [lambda p: p, FrozenEstimator], ids=["pipeline", "frozen"])
def test_steps_before_the_network_transform_the_samples(wrap):
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((4,), tol=0.05, random_state=0)).fit(X, Y)
    scaled = pipeline[:-1].transform(X)
    found, expected = saddle_index(wrap(pipeline), X, Y), saddle_index(pipeline[-1], scaled, Y)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues)
    surfaces = (
        loss_surface(net, given, Y, n_points=3, random_state=0)
        for net, given in ((wrap(pipeline), X), (pipeline[-1], scaled))
    )
    np.testing.assert_allclose(*(surface.loss for surface in surfaces))
    alone = make_pipeline(pipeline[-1])
    assert saddle_index(alone, scaled, Y).loss == pytest.approx(expected.loss)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: saddle_index(SVC().fit(X, Y), X, Y), TypeError, "network"),
        (lambda: saddle_index(NET, X, Y, tol=-1), ValueError, "tol must be"),
        (lambda: saddle_index(NET, X, Y, method="newton"), ValueError, "method must be one of"),
        (lambda: saddle_index(NET, X, Y, n_probes=0), ValueError, "n_probes must be"),
        (lambda: saddle_index(NET, X, Y, n_steps=0), ValueError, "n_steps must be"),
        (
            lambda: saddle_index(WIDE, X, Y, method="exact"),
            ValueError,
            "the full Hessian of 40,003 parameters takes 12 GiB.*method='lanczos'",
        ),
    ],
)  # fmt: skip
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
