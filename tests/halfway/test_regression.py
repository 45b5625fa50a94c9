"""Crossing regression against planes, whose normals are known, and against scikit-learn's Ridge."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge

import skhalfway._blocks
from skhalfway.halfway import crossings
from skhalfway.halfway._regression import crossing_normals

SIZES = [(40, 6), (6, 6), (5, 12), (1, 1)]  # segments, features: either form of the regression


def unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def segments(n_segments: int, n_features: int) -> tuple[NDArray[np.float64], ...]:
    """Unit directions, and distances of which some are missing."""
    rng = np.random.RandomState(0)
    u, r = unit(rng.normal(size=(7, n_segments, n_features))), rng.uniform(0.5, 3, size=(7, n_segments))
    r[rng.uniform(size=r.shape) < 0.3] = np.nan
    return u, r


@pytest.mark.parametrize(("n_segments", "n_features"), SIZES)
def test_it_is_ridge_regression(n_segments: int, n_features: int) -> None:
    u, r = segments(n_segments, n_features)
    weights = np.random.RandomState(1).uniform(size=r.shape)
    for alpha in (1e-3, 0.7):
        for given in (None, weights):
            v = crossing_normals(u, r, alpha=alpha, weights=given)
            assert v.shape == (7, n_features)
            for i in range(7):
                ridge = Ridge(alpha=alpha, fit_intercept=False)
                ridge.fit(u[i], np.nan_to_num(1 / r[i]), None if given is None else given[i])
                np.testing.assert_allclose(v[i], ridge.coef_, atol=1e-10)


@pytest.mark.parametrize("n_features", [3, 20])
def test_a_plane_is_found_from_as_many_crossings_as_features(n_features: int) -> None:
    rng = np.random.RandomState(0)
    normal, apart = unit(rng.normal(size=(5, n_features))), rng.uniform(0.1, 4, size=5)
    # only directions that meet the plane; both ways of one that does not would count as 0
    u = unit(rng.normal(size=(5, n_features, n_features)))
    u *= np.sign(np.einsum("nkd,nd->nk", u, normal))[..., None]
    r = apart[:, None] / np.einsum("nkd,nd->nk", u, normal)
    v = crossing_normals(u, r, alpha=1e-12)
    np.testing.assert_allclose(1 / np.linalg.norm(v, axis=1), apart, rtol=1e-4)
    np.testing.assert_allclose(unit(v), normal, atol=1e-4)
    np.testing.assert_allclose(np.einsum("nkd,nd->nk", u, v), 1 / r, rtol=1e-4)


def test_the_boundary_of_a_linear_classifier_from_its_predictions() -> None:
    X, y = load_iris(return_X_y=True)
    X, y = X[50:], y[50:]
    source = LogisticRegression().fit(X, y)
    w, predicted = source.coef_[0], source.predict(X)
    A, b = X[predicted == 1], X[predicted == 2]
    partners = b[np.random.RandomState(0).randint(len(b), size=(len(A), 30))]
    starts = np.repeat(A, 30, axis=0)
    found = crossings(source, starts, partners.reshape(-1, 4), tol=1e-9).position.reshape(len(A), 30)
    change = partners - A[:, None]
    v = crossing_normals(unit(change), found * np.linalg.norm(change, axis=2), alpha=1e-9)
    exact = -source.decision_function(A) / np.linalg.norm(w)
    np.testing.assert_allclose(1 / np.linalg.norm(v, axis=1), exact, rtol=1e-3)
    np.testing.assert_allclose(unit(v), np.broadcast_to(unit(w), v.shape), atol=1e-3)
    # the nearest points of the plane, in either norm
    for step, dual in (
        (v / np.linalg.norm(v, axis=1, keepdims=True) ** 2, 2),
        (np.sign(v) / np.abs(v).sum(axis=1, keepdims=True), 1),
    ):
        np.testing.assert_allclose(source.decision_function(A + step), 0, atol=5e-3)
        size = np.linalg.norm(step, 2 if dual == 2 else np.inf, axis=1)
        np.testing.assert_allclose(size, exact * np.linalg.norm(w) / np.linalg.norm(w, dual), rtol=5e-3)


def test_no_crossing_counts_as_infinitely_far_and_no_weight_as_no_segment() -> None:
    u, r = segments(9, 4)
    np.testing.assert_array_equal(crossing_normals(u, np.full_like(r, np.nan)), np.zeros((7, 4)))
    np.testing.assert_array_equal(
        crossing_normals(u, np.where(np.isnan(r), np.inf, r)), crossing_normals(u, r)
    )
    weights = np.ones_like(r)
    weights[:, 5:] = 0
    few = crossing_normals(u[:, :5], r[:, :5])
    np.testing.assert_allclose(crossing_normals(u, r, weights=weights), few, atol=1e-12)


@pytest.mark.parametrize(("n_segments", "n_features"), SIZES)
def test_samples_are_taken_some_at_a_time(
    n_segments: int, n_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    u, r = segments(n_segments, n_features)
    at_once, solve, sizes = crossing_normals(u, r), np.linalg.solve, []
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: (sizes.append(len(a)), solve(a, b))[1])
    smaller = min(n_segments, n_features)
    for n_values, expected in ((2 * (n_segments * n_features + smaller**2), [2, 2, 2, 1]), (1, [1] * 7)):
        sizes.clear()
        monkeypatch.setattr(skhalfway._blocks, "_MAX_VALUES", n_values)
        np.testing.assert_allclose(crossing_normals(u, r), at_once, rtol=1e-12)
        assert sizes == expected


def test_the_penalty_is_a_thousandth() -> None:
    u, r = segments(9, 4)
    np.testing.assert_array_equal(crossing_normals(u, r), crossing_normals(u, r, alpha=1e-3))
