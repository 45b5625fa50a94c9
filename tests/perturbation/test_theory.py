from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model
from skhalfway.perturbation import theory
from skhalfway.perturbation.theory import (
    OneHiddenLayerClassifier,
    OrthogonalityWarning,
    agreement,
    boundary,
    geometry_perturbation,
    lazy_boundary,
    lazy_kernel,
    lazy_perturbation,
    learned_boundary,
    multipliers,
    orthogonality_condition,
)


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def nearly_orthogonal(n, d, seed=0, tilt=0.0, spread=2.0):
    """Rows of lengths from 1 to ``spread``; ``tilt`` is their shared part."""
    rng = np.random.RandomState(seed)
    rows = np.linalg.qr(rng.standard_normal((d, n + 1)))[0].T
    rows = rows[:-1] + tilt * rows[-1]
    return rows * rng.uniform(1, spread, (n, 1)), np.where(rng.permutation(n) < n // 2, 1.0, -1.0)


def quietly(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OrthogonalityWarning)
        return function(*args, **kwargs)


# -- the condition


@pytest.mark.parametrize("gamma", [0.2, 0.7, 1.0])
@pytest.mark.parametrize("n", [2, 7, 40])
def test_condition_against_the_formula(n, gamma):
    X = np.random.RandomState(n).standard_normal((n, 30))
    gram = X @ X.T
    lengths, off = np.sqrt(np.diag(gram)), np.abs(gram[~np.eye(n, dtype=bool)])
    condition = orthogonality_condition(X, gamma)
    bound = gamma**3 * lengths.min() ** 4 / (3 * n * lengths.max() ** 2)
    assert condition.bound == pytest.approx(bound)
    assert (condition.p_max, condition.r_min, condition.r_max) == pytest.approx(
        (off.max(), lengths.min(), lengths.max())
    )
    assert condition.excess == pytest.approx(off.max() / bound)
    assert condition.holds == (bound >= off.max())
    assert condition.to_frame().loc[0, "p_max"] == condition.p_max


def test_condition_in_blocks(monkeypatch):
    X = np.random.RandomState(0).standard_normal((23, 5))
    whole = orthogonality_condition(X)
    monkeypatch.setattr("skhalfway._blocks._MAX_VALUES", 100)
    assert orthogonality_condition(X) == whole


# -- the multipliers


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0])
def test_multipliers_of_orthogonal_samples(gamma):
    X, y = nearly_orthogonal(12, 40)
    expected = 2 / (1 + gamma**2) / (X**2).sum(axis=1)
    np.testing.assert_allclose(multipliers(X, y, gamma=gamma), expected, rtol=1e-8)


@pytest.mark.parametrize(("n", "d", "gamma"), [(30, 10, 1.0), (30, 10, 0.3), (200, 5, 0.8), (60, 100, 0.2)])
def test_multipliers_are_those_of_a_support_vector_machine(n, d, gamma):
    rng = np.random.RandomState(n)
    X, normal = rng.standard_normal((n, d)), rng.standard_normal(d)
    y = np.sign(X @ normal)
    X += 0.3 * y[:, None] * normal
    solution = quietly(multipliers, X, y, gamma=gamma)
    # one linear machine without intercept, in the space of (weights of +1 units, weights of -1 units)
    positive = y[:, None] > 0
    lifted = np.hstack([np.where(positive, 1, gamma) * X, np.where(positive, gamma, 1) * X]) / np.sqrt(2)
    machine = LinearSVC(loss="hinge", C=1e4, fit_intercept=False, tol=1e-10, max_iter=10**6, random_state=0)
    machine.fit(lifted, y)
    np.testing.assert_allclose((solution * y) @ lifted, machine.coef_[0], rtol=1e-4, atol=1e-5)
    slack = y * (lifted @ ((solution * y) @ lifted)) - 1
    assert (solution >= 0).all()
    assert slack.min() > -1e-6
    assert np.abs(solution * slack).max() < 1e-5


def test_multipliers_keep_to_the_bounds_of_the_theorem():
    gamma = 0.6
    X, y = nearly_orthogonal(10, 50, tilt=0.05, spread=1.2)
    condition = orthogonality_condition(X, gamma)
    assert condition.holds
    assert condition.p_max > 0.1 * condition.bound
    solution = multipliers(X, y, gamma=gamma)
    assert solution.min() > 1 / (2 * condition.r_max**2)
    assert solution.max() < 3 / (2 * gamma**2 * condition.r_min**2)


def test_duplicates_share_a_multiplier():
    X, y = nearly_orthogonal(6, 20)
    once = boundary(X, y)
    twice = quietly(boundary, np.vstack([X, X[:2]]), np.append(y, y[:2]))
    np.testing.assert_allclose(twice, once, rtol=1e-6, atol=1e-9)


def test_what_no_network_tells_apart():
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="no network of this kind"):
        multipliers(X, [1, 1, -1], gamma=1.0)
    with pytest.raises(ValueError, match="no network of this kind"):
        multipliers(np.zeros((2, 3)), [1, -1])


# -- networks that are trained meet it


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
@pytest.mark.parametrize(("gamma", "tilt"), [(0.2, 0.0), (0.6, 0.03), (1.0, 0.07)])
def test_a_trained_network_has_the_boundary(loss, gamma, tilt):
    X, y = nearly_orthogonal(20, 200, tilt=tilt, spread=1.2)
    X *= 7.0  # units do not matter
    q = boundary(X, y, gamma=gamma)  # warns, and fails, where the condition does not hold
    network = OneHiddenLayerClassifier(200, gamma, loss, margin=100, random_state=0).fit(X, y)
    assert cosine(network.direction_, q) > 0.999
    Z = np.random.RandomState(1).standard_normal((2000, 200))
    assert agreement(network, q, Z) > 0.99
    # rank two, whatever the number of units (Frei et al. 2022)
    values = np.linalg.svd(network.hidden_weights_, compute_uv=False)
    assert values[2] < 0.02 * values[0] or gamma == 1.0


def test_multipliers_matter():
    X, y = nearly_orthogonal(20, 200, spread=5.0)
    network = OneHiddenLayerClassifier(200, margin=100, max_iter=5000, random_state=0).fit(X, y)
    assert cosine(network.direction_, boundary(X, y)) > 0.99
    assert cosine(network.direction_, y @ X) < 0.95  # what all equal would give


def test_counter_example_a_network_that_bends():
    # two crossing lines, a class each: kinks tell them apart, no line through 0 can
    X, y = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), np.array([1, 1, -1, -1])
    assert not orthogonality_condition(X).holds
    with pytest.raises(ValueError, match="separable by a linear boundary"):
        boundary(X, y)
    network = OneHiddenLayerClassifier(200, random_state=0).fit(X, y)
    assert network.score(X, y) == 1.0


def test_counter_example_samples_too_near_each_other():
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (60, 80)), rng.choice([-1.0, 1.0], 60)
    with pytest.warns(OrthogonalityWarning, match="assumed activations do not hold"):
        q = boundary(X, y, gamma=0.2)
    network = OneHiddenLayerClassifier(200, margin=100, random_state=0).fit(X, y)
    assert cosine(network.direction_, q) < 0.95


def test_the_warning_says_by_how_much():
    X = np.random.RandomState(0).uniform(-1, 1, (10, 1000))
    condition = orthogonality_condition(X, 0.2)
    with pytest.warns(OrthogonalityWarning, match=f"is {condition.excess:.3g} times its bound") as record:
        boundary(X, np.repeat([0, 1], 5))
    assert "hold at the solution nevertheless" in str(record[0].message)
    assert record[0].filename == __file__


# -- perturbations


@pytest.mark.parametrize(
    ("norm", "n_changed", "expected"),
    [(2, None, [0.0, 0.6, -0.8]), (np.inf, None, [0, 1, -1]), (0, 1, [0, 0, -1]), (0, 2, [0, 1, -1])],
)
def test_geometry_perturbation(norm, n_changed, expected):
    made = geometry_perturbation([0, 3, -4], [1, -1, 1], eps=0.5, norm=norm, n_changed=n_changed)
    np.testing.assert_allclose(made, 0.5 * np.outer([1, -1, 1], expected))


@pytest.mark.parametrize(
    ("norm", "n_changed", "expected"),
    [(2, None, [0.0, 0.6, -0.8]), (np.inf, None, [0, 0.75, -1]), (0, 1, [0, 0, -1]), (0, 2, [0, 0.75, -1])],
)
def test_geometry_perturbation_in_proportion_to_the_gradient(norm, n_changed, expected):
    options = {"eps": 0.5, "norm": norm, "n_changed": n_changed, "step": "gradient"}
    made = geometry_perturbation([0, 3, -4], [1, -1, 1], **options)
    np.testing.assert_allclose(made, 0.5 * np.outer([1, -1, 1], expected))
    learned = quietly(learned_boundary, np.eye(3), [1, -1, 1], [0, 3, -4], **options, gamma=1.0)
    np.testing.assert_allclose(learned.perturbation, learned.multipliers.sum() * 0.5 * np.array(expected))


def test_geometry_perturbation_is_nearly_the_attack_on_the_network():
    gamma = 0.2
    X, y = nearly_orthogonal(20, 100, spread=1.0)
    network = OneHiddenLayerClassifier(200, gamma, margin=50, random_state=0).fit(X, y)
    q = boundary(X, y, gamma=gamma)
    # at a sample the gradient weighs its own class by (1 + gamma^2) / 2, the other by gamma
    own, other = (1 + gamma**2) / 2, gamma
    expected = (own + other) / np.sqrt(2 * (own**2 + other**2))
    generator = AdversarialGenerator(network, attack="fgsm", eps=0.05, norm=2)
    moved = generator.fit(X, y).generate(X, y) - X
    geometry = geometry_perturbation(q, -y, eps=0.05)
    cosines = [cosine(a, b) for a, b in zip(moved, geometry, strict=True)]
    np.testing.assert_allclose(cosines, expected, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(geometry, axis=1), rtol=1e-5)


@pytest.mark.parametrize(("norm", "n_changed"), [(2, None), (np.inf, None), (0, 30)])
def test_learned_boundary_meets_a_network_trained_on_perturbed_samples(norm, n_changed):
    both, _ = nearly_orthogonal(32, 300, spread=1.0)
    X, base = both[:16], both[16:]
    y, wanted = (np.random.RandomState(seed).permutation(np.repeat([-1.0, 1.0], 8)) for seed in (1, 2))
    q = boundary(X, y, gamma=0.8)
    eps = 1.0 if norm == 2 else 0.1
    options = {"eps": eps, "norm": norm, "n_changed": n_changed}
    learned = quietly(learned_boundary, base, wanted, q, **options, gamma=0.8)
    perturbed = base + geometry_perturbation(q, wanted, **options)
    network = OneHiddenLayerClassifier(200, 0.8, margin=100, random_state=0).fit(perturbed, wanted)
    assert cosine(network.direction_, learned.direction) > 0.998
    np.testing.assert_allclose(learned.direction, quietly(boundary, perturbed, wanted, gamma=0.8), atol=1e-9)
    if norm == 2:
        expected = eps * learned.multipliers.sum() / np.linalg.norm(q) * q
        np.testing.assert_allclose(learned.perturbation, expected)
    # wrong labels, right answers: it never saw X or y
    assert network.score(X, y) == 1.0
    assert agreement(learned.perturbation, y @ X, X) == 1.0
    assert np.abs(X @ learned.base).max() < 1e-9
    frame = learned.to_frame()
    np.testing.assert_array_equal(frame["base"] + frame["perturbation"], frame["direction"])
    with pytest.raises(ValueError, match="read-only"):
        learned.base[0] = 1


def test_agreement():
    Z = np.random.RandomState(0).standard_normal((200, 3))
    model = LogisticRegression(fit_intercept=False).fit(Z, Z[:, 0] > 0)
    assert agreement(model, model.coef_[0], Z) == 1.0
    assert agreement(model.coef_[0], -model.coef_[0], Z) == 0.0
    assert 0.4 < agreement([1, 0, 0], [0, 1, 0], Z) < 0.6


# -- the network


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_a_step_is_that_of_autograd(loss):
    rng = np.random.RandomState(0)
    for n, d in ((6, 11), (11, 6)):  # by inner products, and by samples
        X, y = rng.standard_normal((n, d)), np.where(np.arange(n) % 2, 1, -1)
        fits = {}
        for steps in (1, 3):
            with pytest.warns(ConvergenceWarning):
                fits[steps] = OneHiddenLayerClassifier(
                    8, 0.3, loss, learning_rate=0.7, max_iter=steps, random_state=0
                ).fit(X, y)
        module = as_model(fits[1]).module
        weights = module[0].weight.detach().clone().requires_grad_()
        read_out, x, sign = module[2].weight, torch.from_numpy(X), torch.from_numpy(y)
        for step in (1, 2):
            margins = sign * (torch.nn.functional.leaky_relu(x @ weights.T, 0.3) @ read_out[0])
            losses = torch.exp(-margins) if loss == "exponential" else torch.log1p(torch.exp(-margins))
            assert losses.mean().item() == pytest.approx(fits[3].loss_curve_[step])
            (gradient,) = torch.autograd.grad(losses.mean(), weights)
            weights = (weights - 0.7 * gradient).detach().requires_grad_()
        np.testing.assert_allclose(weights.detach().numpy(), fits[3].hidden_weights_, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d"), [(60, 200), (200, 150)])
def test_training_stops_at_the_margin_and_never_climbs(n, d, dtype):
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (n, d)).astype(dtype), rng.choice(["no", "yes"], n)
    network = OneHiddenLayerClassifier(100, margin=5, random_state=0).fit(X, y)
    margins = np.where(y == "yes", 1, -1) * network.decision_function(X)
    assert margins.min() == pytest.approx(network.margin_, rel=1e-3)
    assert network.margin_ >= 5
    assert (np.diff(network.loss_curve_) < 0).all()
    assert len(network.loss_curve_) == network.n_iter_ + 1
    assert network.loss_curve_[0] == pytest.approx(1, abs=0.01)
    assert network.loss_curve_[-1] == pytest.approx(np.exp(-margins).mean(), rel=1e-2)
    assert network.hidden_weights_.dtype == dtype
    assert set(network.predict(X)) == {"no", "yes"}


@pytest.mark.parametrize(("n", "d", "m"), [(20, 200, 100), (100, 75, 50)])
def test_time_is_that_of_gradient_flow(n, d, m):
    # plain descent in 2,000 small steps, against a few long ones, whose loss is somewhat ahead
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (n, d)), rng.choice([-1, 1], n)
    options = {"gamma": 0.01, "margin": None, "max_time": 20.0, "init": "uniform", "random_state": 0}
    network = OneHiddenLayerClassifier(m, **options).fit(X, y)
    assert network.time_ == pytest.approx(20)
    assert network.n_iter_ < 20
    plain = OneHiddenLayerClassifier(m, learning_rate=0.01, max_iter=30_000, **options).fit(X, y)
    assert plain.n_iter_ == pytest.approx(2000, abs=1)
    assert plain.time_ == pytest.approx(20)
    Z = rng.uniform(-1, 1, (500, d))
    assert cosine(network.decision_function(Z), plain.decision_function(Z)) > 0.99
    assert 0.7 < network.loss_curve_[-1] / plain.loss_curve_[-1] < 1


def test_uniform_weights_are_those_of_a_linear_layer():
    X, y = nearly_orthogonal(4, 400)
    options = {"margin": None, "max_time": 1e-9, "init": "uniform", "random_state": 0}
    weights = OneHiddenLayerClassifier(100, **options).fit(X, y).hidden_weights_
    layer = torch.nn.Linear(400, 100).weight.detach().numpy()
    np.testing.assert_allclose(
        np.quantile(weights, [0, 0.25, 0.5, 0.75, 1]), np.quantile(layer, [0, 0.25, 0.5, 0.75, 1]), atol=1e-3
    )


def test_scale_of_the_data_does_not_matter():
    X, y = nearly_orthogonal(10, 30)
    one, other = (OneHiddenLayerClassifier(20, random_state=0).fit(X * s, y) for s in (1, 1024))
    np.testing.assert_allclose(one.direction_, other.direction_ * 1024, rtol=1e-6)


def test_gradients_are_those_of_the_network():
    X, y = nearly_orthogonal(10, 30)
    network = OneHiddenLayerClassifier(20, random_state=0).fit(X, y)
    model = as_model(network)
    assert model.has_gradient
    x = torch.tensor(X, requires_grad=True)
    logits = model.logits(x)
    np.testing.assert_allclose(logits.detach().numpy()[:, 1], network.decision_function(X))
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), x)
    moved = X + 1e-6 * np.eye(30)[3]
    difference = (network.decision_function(moved) - network.decision_function(X)) / 1e-6
    np.testing.assert_allclose(gradient[:, 3].numpy(), difference, rtol=1e-4, atol=1e-6)
    copy = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(copy.decision_function(X), network.decision_function(X))


def test_estimator_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = check_estimator(
            OneHiddenLayerClassifier(20, max_iter=100, random_state=0), on_fail=None, on_skip=None
        )
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


def test_random_state_is_all_that_is_random():
    X, y = nearly_orthogonal(8, 12)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    weights = [OneHiddenLayerClassifier(10, random_state=s).fit(X, y).hidden_weights_ for s in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_samples_that_cannot_be_told_apart():
    X, y = np.array([[1.0, 0.0], [2.0, 0.0]]), [0, 1]
    with pytest.warns(ConvergenceWarning, match="smallest margin is .* not 10"):
        OneHiddenLayerClassifier(10, random_state=0).fit(X, y)


def test_time_that_does_not_pass():
    X, y = nearly_orthogonal(4, 8)
    with pytest.warns(
        ConvergenceWarning, match="stopped after 2 steps, at time .* of max_time=1000000.0; raise"
    ):
        OneHiddenLayerClassifier(10, margin=None, max_time=1e6, max_iter=2, random_state=0).fit(X, y)


# -- wide networks


def random_network(m, d, bias, seed=0):
    rng = np.random.RandomState(seed)
    return rng.standard_normal((m, d)) / np.sqrt(d), rng.standard_normal(m) * bias


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gamma", [0, 0.2, 1.0])
def test_lazy_kernel_is_that_of_a_wide_random_network(gamma, bias):
    rng = np.random.RandomState(1)
    X, Z = rng.standard_normal((5, 8)), rng.standard_normal((4, 8))
    V, b = random_network(400_000, 8, bias)
    slopes = [np.where(V @ A.T + b[:, None] > 0, 1, gamma) for A in (X, Z)]
    expected = slopes[0].T @ slopes[1] / len(V)
    np.testing.assert_allclose(lazy_kernel(X, Z, gamma=gamma, bias=bias), expected, atol=0.005)


@pytest.mark.parametrize("loss", ["identity", "logistic"])
def test_lazy_boundary_and_perturbation_meet_a_wide_network(loss):
    rng = np.random.RandomState(0)
    d, n, m, gamma = 40, 30, 40_000, 0.2
    X, y, Z = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], n), rng.standard_normal((50, d))
    V, b = random_network(m, d, True)
    a = rng.choice([-1.0, 1.0], m) / np.sqrt(m)
    a[m // 2 :] = -a[: m // 2]
    V[m // 2 :], b[m // 2 :] = V[: m // 2], b[: m // 2]  # its output is 0 before it learns
    W = V.copy()
    rate, steps = 0.02, 5
    for _ in range(steps):
        inputs = X @ W.T + b
        f = np.where(inputs > 0, inputs, gamma * inputs) @ a
        pull = y if loss == "identity" else y / (1 + np.exp(y * f))
        W += rate * a[:, None] * ((pull[:, None] * np.where(inputs > 0, 1, gamma)).T @ X) / n
    inputs = Z @ W.T + b
    learned = np.where(inputs > 0, inputs, gamma * inputs) @ a
    expected = lazy_boundary(X, y, Z, gamma=gamma)
    assert cosine(learned, expected) > 0.99
    slope = learned @ expected / (expected @ expected)
    assert slope == pytest.approx(rate * steps * (1 if loss == "identity" else 0.5), rel=0.05)
    gradients = (np.where(inputs > 0, 1, gamma) * a) @ W
    directions = lazy_perturbation(X, y, Z, gamma=gamma)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    assert min(cosine(u, v) for u, v in zip(gradients, directions, strict=True)) > 0.9


def test_lazy_learning_from_perturbations_alone_agrees_with_learning_from_data():
    rng = np.random.RandomState(0)
    d = 400
    y = rng.choice([-1.0, 1.0], 100)
    X = rng.standard_normal((100, d)) + 0.3 * y[:, None]
    wanted = rng.choice([-1.0, 1.0], 100)  # says nothing of y
    r = 0.5 * wanted[:, None] * lazy_perturbation(X, y, X)
    fresh = rng.choice([-1.0, 1.0], 500)
    Z = rng.standard_normal((500, d)) + 0.3 * fresh[:, None]
    clean, learned = (np.sign(lazy_boundary(A, b, Z)) for A, b in ((X, y), (r, wanted)))
    assert (clean == fresh).mean() > 0.95
    assert (clean == learned).mean() > 0.95


def test_lazy_blocks(monkeypatch):
    rng = np.random.RandomState(0)
    X, y, Z = rng.standard_normal((9, 4)), np.arange(9) % 2, rng.standard_normal((23, 4))
    whole = lazy_boundary(X, y, Z), lazy_perturbation(X, y, Z)
    monkeypatch.setattr("skhalfway._blocks._MAX_VALUES", 50)
    np.testing.assert_allclose(lazy_boundary(X, y, Z), whole[0], atol=1e-12)
    np.testing.assert_allclose(lazy_perturbation(X, y, Z), whole[1], atol=1e-12)


# -- labels and errors


@pytest.mark.parametrize("labels", [(0, 1), ("a", "b"), (False, True), (3.0, 7.0)])
def test_any_two_labels(labels):
    X, y = nearly_orthogonal(8, 20)
    named = np.array(labels)[(y > 0).astype(int)]
    np.testing.assert_array_equal(boundary(X, named), boundary(X, y))
    np.testing.assert_array_equal(lazy_boundary(X, named, X), lazy_boundary(X, y, X))
    one, other = (geometry_perturbation(X[0], labels, eps=1) for labels in (named, y))
    np.testing.assert_array_equal(one, other)
    fits = [OneHiddenLayerClassifier(10, random_state=0).fit(X, labels) for labels in (named, y)]
    np.testing.assert_array_equal(fits[0].direction_, fits[1].direction_)
    np.testing.assert_array_equal(fits[0].predict(X), named)


X2, Y2, Q2 = np.eye(2), [0, 1], [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        *[
            (lambda g=gamma, f=function: f(g), r"gamma must be a number in \(0, 1\]")
            for gamma in (0, -0.1, 1.01, np.nan, "a", True)
            for function in (
                lambda g: orthogonality_condition(X2, g),
                lambda g: boundary(X2, Y2, gamma=g),
                lambda g: learned_boundary(X2, Y2, Q2, eps=1, gamma=g),
                lambda g: OneHiddenLayerClassifier(gamma=g).fit(X2, Y2),
            )
        ],
        *[
            (lambda g=gamma, f=function: f(g), r"gamma must be a number in \[0, 1\]")
            for gamma in (-0.1, 1.01, np.nan, "a", False)
            for function in (
                lambda g: lazy_kernel(X2, X2, gamma=g),
                lambda g: lazy_boundary(X2, Y2, X2, gamma=g),
                lambda g: lazy_perturbation(X2, Y2, X2, gamma=g),
            )
        ],
        (lambda: boundary(X2, [1, 1]), "two classes, got 1"),
        (lambda: boundary(np.eye(3), [0, 1, 2]), "two classes, got 3"),
        (lambda: boundary(X2, [0, 1, 1]), "one label per sample"),
        (lambda: lazy_boundary(X2, [1, 1], X2), "two classes, got 1"),
        (lambda: lazy_boundary(X2, Y2, np.eye(3)), "Z has 3 features"),
        (lambda: lazy_kernel(X2, np.zeros((1, 2)), bias=False), "a point is 0"),
        (lambda: lazy_perturbation(X2[[0, 0]], Y2, X2), "no direction"),
        (lambda: learned_boundary(X2, [1, 1], Q2, eps=1), "two classes, got 1"),
        (lambda: learned_boundary(X2, Y2, [1.0], eps=1), "q has 1"),
        (lambda: orthogonality_condition(X2[:1]), "at least two samples"),
        (lambda: geometry_perturbation(Q2, ["a", "a"], eps=1), "as -1 or"),
        (lambda: geometry_perturbation([0, 0], Y2, eps=1), "other than 0"),
        (lambda: geometry_perturbation([0, np.nan], Y2, eps=1), "q contains NaN"),
        (lambda: geometry_perturbation(Q2, Y2, eps=0), "eps must be"),
        (lambda: geometry_perturbation(Q2, Y2, eps=1, norm=1), "norm must be"),
        (lambda: geometry_perturbation(Q2, Y2, eps=1, norm=0), "n_changed is required with"),
        (lambda: geometry_perturbation(Q2, Y2, eps=1, n_changed=1), "n_changed is required with"),
        (lambda: geometry_perturbation(Q2, Y2, eps=1, step="signs"), "step must be one of"),
        (lambda: geometry_perturbation(Q2, Y2, eps=1, norm=0, n_changed=3), "from 1 to"),
        (lambda: agreement(Q2, [1.0], X2), "Z has 2 features"),
        (lambda: agreement(Q2, SVC().fit(np.eye(3), [0, 1, 2]), np.eye(3)[:, :2]), "features|classes"),
        (lambda: agreement(Q2, SVC().fit(np.eye(3)[:, :2], [0, 1, 2]), X2), "3 classes, but must have two"),
        (lambda: OneHiddenLayerClassifier().fit(X2, [1, 1]), "one class"),
        (lambda: OneHiddenLayerClassifier().fit(np.eye(3), [0, 1, 2]), "Only binary"),
        (lambda: OneHiddenLayerClassifier().fit(0 * X2, Y2), "zeros only"),
        (lambda: OneHiddenLayerClassifier(3).fit(X2, Y2), "must be even"),
        (lambda: OneHiddenLayerClassifier(0).fit(X2, Y2), "n_hidden must be"),
        (lambda: OneHiddenLayerClassifier(loss="hinge").fit(X2, Y2), "loss must be"),
        (lambda: OneHiddenLayerClassifier(margin=0).fit(X2, Y2), "margin must be"),
        (lambda: OneHiddenLayerClassifier(margin=None).fit(X2, Y2), "training would not stop"),
        (lambda: OneHiddenLayerClassifier(max_time=np.inf).fit(X2, Y2), "max_time must be"),
        (lambda: OneHiddenLayerClassifier(init="zeros").fit(X2, Y2), "init must be"),
        (lambda: OneHiddenLayerClassifier(max_iter=1.5).fit(X2, Y2), "max_iter must be"),
        (lambda: OneHiddenLayerClassifier(learning_rate=-1).fit(X2, Y2), "learning_rate must be"),
        (lambda: OneHiddenLayerClassifier(learning_rate=1e9).fit([[1.0], [2.0]], Y2), "diverges"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_every_public_name_is_there():
    assert all(hasattr(theory, name) for name in theory.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = theory.nothing
