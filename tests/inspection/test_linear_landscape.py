"""Deep linear networks: closed cases, every point against torch, kinds by the theory, descents, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from skhalfway.inspection import LinearLandscape, linear_landscape
from skhalfway.inspection._linear_network import balanced, descend, gradients, hessian

RNG = np.random.RandomState(0)
X = RNG.standard_normal((60, 4)) @ RNG.standard_normal((4, 4))
MIXED = X @ RNG.standard_normal((4, 3)) + RNG.standard_normal((60, 3))
IRIS, SPECIES = load_iris(return_X_y=True)


@pytest.mark.parametrize(
    ("hidden", "origin", "minimum", "kind"),
    [
        (1, (-1, 1), (0, 2), "strict saddle"),  # (w1 w2 - 1)**2 / 2
        ((1, 1), (0, 0), (0, 3), "bad saddle"),
        (np.array([1, 1, 1]), (0, 0), (0, 4), "bad saddle"),
    ],
)
def test_one_weight_a_layer(hidden, origin, minimum, kind):
    found = linear_landscape([[1.0]], [[1.0]], hidden, random_state=0)
    np.testing.assert_allclose(found.values, [0.5, 0])
    np.testing.assert_allclose(np.c_[found.smallest, found.largest], [origin, minimum], atol=1e-12)
    assert found.kinds.tolist() == [kind, "global minimum"]
    assert found.gradient_norms.tolist() == [0, 0]
    assert found.reached.all()


def test_scale_and_signs_of_one_weight():
    """Mean over samples of (w1 w2 x - y)**2 / 2, with y = a x + noise orthogonal to x."""
    x, noise = np.array([[2.0], [2.0]]), np.array([[1.0], [-1.0]])
    found = linear_landscape(x, -3 * x + noise, 1, n_starts=0)
    np.testing.assert_allclose(found.values, [(36 + 1) / 2, 0.5])
    assert found.minimum == pytest.approx(0.5)
    assert len(found.descents) == 0 and "descent" not in str(found)


def loss_of(parts, x, y):
    """As it is written down, in the coordinates of the samples."""
    out = x
    for part in parts:
        out = out @ part.T
    return ((out - y) ** 2).sum() / 2 / len(x)


@pytest.mark.parametrize("hidden", [(2,), (4, 3), (3, 2, 5), (5, 1)])
def test_points_are_critical_and_of_the_kind_that_theory_says(hidden):
    found = linear_landscape(X, MIXED, hidden, n_starts=0)
    width = min(3, *hidden)
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    target = MIXED.T @ u / 60**0.5
    left, values, right = np.linalg.svd(target, full_matrices=False)
    np.testing.assert_allclose(found.singular_values, values)
    x, y = torch.tensor(X), torch.tensor(MIXED)
    for i, chosen in enumerate(found.chosen):
        weights = balanced(left, values, right.T, chosen, hidden)
        # of the samples as they are: the first matrix takes the whitening with it
        own = [weights[0] @ (vt * 60**0.5 / s[:, None]), *weights[1:]]
        parts = [torch.tensor(weight, requires_grad=True) for weight in own]
        loss = loss_of(parts, x, y)
        assert found.values[i] == pytest.approx(loss.item())
        for slope in torch.autograd.grad(loss, parts):
            assert slope.abs().max() < 1e-9
        assert found.gradient_norms[i] < 1e-12
        strongest = chosen[: chosen.sum()].all()
        kind = "global minimum" if chosen.sum() == width else ("strict" if len(hidden) == 1 else "bad")
        assert found.kinds[i].startswith(kind if strongest else "strict")
        assert (found.index[i] > 0) == (found.kinds[i] == "strict saddle")
    assert len(found.chosen) == found.n_critical == sum([1, 3, 3, 1][: width + 1])
    least_squares = ((MIXED - X @ np.linalg.lstsq(X, MIXED, rcond=None)[0]) ** 2).sum() / 120
    assert found.minimum == pytest.approx(least_squares + (values[width:] ** 2).sum() / 2)


def test_gradient_and_hessian_are_those_of_torch():
    shapes = [(3, 4), (2, 3), (3, 2)]
    weights, target = [RNG.standard_normal(shape) for shape in shapes], RNG.standard_normal((3, 4))
    flat = torch.tensor(np.concatenate([weight.ravel() for weight in weights]), requires_grad=True)

    def loss(vector):
        pieces = vector.split([weight.size for weight in weights])
        a, b, c = (piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))
        return ((c @ b @ a - torch.tensor(target)) ** 2).sum() / 2

    expected = torch.autograd.functional.hessian(loss, flat).numpy()
    np.testing.assert_allclose(hessian(weights, target), expected, atol=1e-12)
    value, slopes = gradients(weights, target)
    assert value == pytest.approx(loss(flat).item())
    (slope,) = torch.autograd.grad(loss(flat), flat)
    np.testing.assert_allclose(np.concatenate([part.ravel() for part in slopes]), slope.numpy())


@pytest.mark.parametrize(("hidden", "scale"), [((1,), 0.1), ((4, 3), 0.1), ((2, 2, 2), 0.3), ((3,), 1e-3)])
def test_gradient_descent_arrives(hidden, scale):
    found = linear_landscape(IRIS, SPECIES, hidden, n_starts=5, start_scale=scale, random_state=0)
    assert found.reached.all()
    assert (found.descents >= found.minimum - 1e-12).all() and (found.n_steps > 0).all()
    assert found == linear_landscape(IRIS, SPECIES, hidden, n_starts=5, start_scale=scale, random_state=0)


def test_a_descent_that_has_not_arrived_is_said_so():
    found = linear_landscape(IRIS, SPECIES, n_starts=3, max_iter=5, random_state=0)
    assert not found.reached.any()
    assert "0 of 3 gradient descents reached the minimum" in str(found)
    # at a critical point it does not move
    losses, n_steps = descend([np.zeros((1, 1, 1))] * 2, np.ones((1, 1)), 10)
    assert losses.tolist() == [0.5] and n_steps.tolist() == [0]


def test_labels_are_one_hot():
    names = np.array(["b", "a", "c"])[SPECIES]
    targets = (names[:, None] == np.array(["a", "b", "c"])).astype(int)
    assert linear_landscape(IRIS, names, random_state=0) == linear_landscape(IRIS, targets, random_state=0)


def test_too_many_points_are_told():
    with pytest.warns(UserWarning, match="8 critical values, and max_points=5 of them"):
        few = linear_landscape(X, MIXED, (3,), max_points=5, n_starts=0)
    assert few.to_frame().directions.tolist() == [(), (0,), (1,), (0, 1), (0, 1, 2)]
    assert few.n_critical == 8 and "5 of 8 critical values" in str(few)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IRIS - IRIS.mean(axis=0), SPECIES), "only 2 of 3 directions"),
        ((X, RNG.standard_normal((60, 5))), "5 outputs, more than 4 features"),
        ((np.eye(2), np.eye(2)), "two singular values are equal"),
    ],
)
def test_data_that_the_theorem_is_not_of(data, message):
    with pytest.warns(UserWarning, match=message):
        found = linear_landscape(*data, (3, 3), random_state=0)
    assert found.reached.all() and (found.gradient_norms < 1e-12).all()
    assert found.values.min() == pytest.approx(found.minimum)


def test_figures_and_frame():
    found = linear_landscape(X, MIXED, (3, 3), n_starts=2, random_state=0)
    display = found.plot()
    n = [len(points.get_offsets()) for points in display.points_.values()]
    assert n == found.to_frame().kind.value_counts()[list(display.points_)].tolist() == [1, 4, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display.figure_.canvas.draw()
    with pytest.raises(ValueError, match="chosen must have 3 columns"):
        LinearLandscape((1, 1, 1), np.ones(3), 0, np.ones((2, 2)), *np.zeros((6, 2)), 2)
    with pytest.raises(ValueError, match=r"smallest must have shape \(2,\)"):
        LinearLandscape((1, 1, 1), np.ones(1), 0, np.ones((2, 1)), np.zeros(2), *np.zeros((5, 3)), 2)


DOUBLED = np.c_[X, X[:, 0]]
OPTIONS = [
    ({"hidden": ()}, "hidden must be an integer >= 1, or a sequence"),
    ({"hidden": (3, 0)}, "hidden must be"),
    ({"hidden": 2.0}, "hidden must be"),
    ({"n_starts": -1}, "n_starts must be an integer >= 0"),
    ({"start_scale": 0}, "start_scale must be a finite number > 0"),
    ({"max_iter": 0}, "max_iter must be an integer >= 1"),
    ({"max_points": 3}, "max_points must be an integer >= 4"),
    ({"tol": 0}, "tol must be a finite number > 0"),
    ({"tol": 1}, "tol must be a number above 0 and below 1"),
    ({"random_state": "x"}, "cannot be used to seed"),
    ({"hidden": (200,)}, "4-200-3 has 1,400 parameters.*at most 1,000; use fewer units"),
    ({"X": DOUBLED}, r"5 features and rank 4.*remove features.*PCA\(4\)"),
    ({"y": MIXED[:, 0]}, r"y of one axis holds class labels.*as a column, of shape \(60, 1\)"),
    ({"y": MIXED[:9]}, r"for each of 60 samples; got shape \(9, 3\)"),
    ({"y": MIXED[:, :, None]}, "for each of 60 samples"),
    ({"y": np.ones(60)}, "at least two classes"),
    ({"y": np.zeros((60, 2))}, "nothing to learn"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        linear_landscape(**({"X": X, "y": MIXED} | options))
