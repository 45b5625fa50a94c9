"""Norm balls against closed forms, brute force and scipy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog

from skhalfway._streams import Streams
from skhalfway._vectors import lengths as lengths_of
from skhalfway.attacks._norms import BALLS, keep_budget, lengths, random_in_ball, random_signs

NORMS = [np.inf, 2, 1]
SHAPES = [(5, 7), (4, 2, 3, 3)]


def rows(seed: int, shape: tuple[int, ...], scale: float = 1.0) -> torch.Tensor:
    return scale * torch.from_numpy(np.random.RandomState(seed).standard_normal(shape))


def projected(delta: np.ndarray, eps: float, norm: float) -> np.ndarray:
    """Nearest point of the ball to one row, by textbook formulas and a root finder."""
    if np.linalg.norm(delta, norm) <= eps:
        return delta
    if norm == np.inf:
        return np.clip(delta, -eps, eps)
    if norm == 2:
        return delta * eps / np.linalg.norm(delta)

    def shrunk(theta: float) -> np.ndarray:
        return np.sign(delta) * np.maximum(np.abs(delta) - theta, 0)

    theta = brentq(lambda theta: np.abs(shrunk(theta)).sum() - eps, 0, np.abs(delta).max(), xtol=1e-15)
    return shrunk(theta)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("eps", [0.1, 1.0, 20.0])
def test_confine_is_the_projection(norm: float, eps: float, shape: tuple[int, ...]) -> None:
    x0, far = rows(0, shape), rows(1, shape, 2.0)
    x = x0 + far
    BALLS[norm](x0, eps, None, None).confine(x)
    expected = [projected(delta, eps, norm) for delta in far.flatten(1).numpy()]
    np.testing.assert_allclose((x - x0).flatten(1), expected, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_confine_ties_and_zeros(norm: float) -> None:
    x0 = torch.zeros(3, 4, dtype=torch.float64)
    x = torch.tensor([[2.0, -2.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]], dtype=x0.dtype)
    BALLS[norm](x0, 1.0, None, None).confine(x)
    corner = {np.inf: 1.0, 2: 0.5, 1: 0.25}[norm]
    np.testing.assert_allclose(x[0], [corner, -corner, corner, -corner])
    assert x[1:].tolist() == [[0, 0, 0, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize("norm", NORMS)
def test_confine_keeps_bounds_given_per_feature(norm: float) -> None:
    x0 = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    low, high = torch.zeros(5, dtype=x0.dtype), torch.linspace(1, 2, 5, dtype=x0.dtype)
    x = x0 + rows(2, (6, 5), 3.0)
    BALLS[norm](x0, 0.7, low, high).confine(x)
    assert (x >= low).all()
    assert (x <= high).all()
    assert (lengths(x - x0, norm) <= 0.7 + 1e-12).all()
    assert (lengths(x - x0, norm) > 0.1).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("norm", "dual"), [(np.inf, 1), (2, 2), (1, np.inf)])
@pytest.mark.parametrize("size", [0.3, -0.3])
def test_ascend_is_the_steepest_step(norm: float, dual: float, size: float, shape: tuple[int, ...]) -> None:
    x0, gradient = rows(3, shape), rows(4, shape)
    x = x0.clone()
    BALLS[norm](x0, 9.0, None, None).ascend(x, gradient.clone(), size)
    step = (x - x0).flatten(1)
    np.testing.assert_allclose(lengths(step, norm), np.full((shape[0], 1), 0.3))
    # Hoelder's inequality is an equality: no step of this length rises more
    rise = (step * gradient.flatten(1)).sum(dim=1, keepdim=True)
    np.testing.assert_allclose(rise, size * lengths(gradient.flatten(1), dual))


@pytest.mark.parametrize("size", [0.4, 1.5, -1.5])
def test_l1_ascend_within_bounds_is_the_linear_programme_optimum(size: float) -> None:
    d = 6
    x0 = torch.from_numpy(np.random.RandomState(5).uniform(size=(20, d)))
    x0[:3, :2], x0[3:6, 2:4] = 0.0, 1.0  # no room at all on one side
    gradient = rows(6, (20, d))
    x = x0.clone()
    low, high = torch.zeros(()), torch.ones(())
    BALLS[1](x0, 9.0, low.double(), high.double()).ascend(x, gradient.clone(), size)
    step = x - x0
    assert (lengths(step, 1) <= abs(size) + 1e-12).all()
    assert x.min() >= -1e-15
    assert x.max() <= 1 + 1e-15
    for start, slope, moved in zip(x0.numpy(), np.sign(size) * gradient.numpy(), step.numpy(), strict=True):
        # step = up - down with both >= 0
        best = linprog(
            np.r_[-slope, slope],
            A_ub=np.ones((1, 2 * d)),
            b_ub=[abs(size)],
            bounds=[*((0, 1 - s) for s in start), *((0, s) for s in start)],
        )
        np.testing.assert_allclose(slope @ moved, -best.fun, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_ascend_stays_where_the_gradient_is_zero(norm: float) -> None:
    x0 = rows(7, (3, 4))
    x = x0.clone()
    BALLS[norm](x0, 1.0, None, None).ascend(x, torch.zeros_like(x), 0.5)
    assert torch.equal(x, x0)


@pytest.mark.parametrize("norm", NORMS)
def test_random_in_ball_is_uniform(norm: float) -> None:
    n, d, eps = 20_000, 3, 2.0
    points = random_in_ball(Streams(0, np.arange(n)), np.arange(n), (1, d), eps, norm).reshape(n, d)
    radius = np.linalg.norm(points, norm, axis=1) / eps
    assert radius.max() <= 1
    # P(radius <= r) = r^d, whatever the norm; tolerances are 4 standard errors
    np.testing.assert_allclose(radius.mean(), d / (d + 1), atol=4 * radius.std() / n**0.5)
    np.testing.assert_allclose((radius <= 0.5).mean(), 0.5**d, atol=4 * (0.5**d / n) ** 0.5)
    assert (np.abs(points.mean(axis=0)) < 4 * points.std() / n**0.5).all()
    # E x_1^2 for a point drawn evenly from the unit ball of each norm
    second = {np.inf: 1 / 3, 2: 1 / (d + 2), 1: 2 / ((d + 1) * (d + 2))}[norm]
    squares = (points[:, 0] / eps) ** 2
    np.testing.assert_allclose(squares.mean(), second, atol=4 * squares.std() / n**0.5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n_movable", [10, 4])
def test_random_signs_lie_on_the_sphere(norm: float, n_movable: int) -> None:
    movable = np.broadcast_to((np.arange(10) < n_movable).reshape(2, 5), (500, 2, 5))
    noise = random_signs(Streams(0, np.arange(500)), 0.3, norm, movable).reshape(500, 10)
    np.testing.assert_allclose(np.linalg.norm(noise, norm, axis=1), 0.3)
    assert (noise[:, n_movable:] == 0).all()
    noise = noise[:, :n_movable]
    assert len(np.unique(np.abs(noise))) == 1
    assert 0.45 < (noise > 0).mean() < 0.55
    # independent: 500 draws of 1024 patterns, or of 16
    assert len(np.unique(noise, axis=0)) > {10: 350, 4: 15}[n_movable]


@pytest.mark.parametrize("level", [8, 77, 128])
def test_keep_budget_where_eps_is_a_pixel_value(level: int) -> None:
    # X - eps is 1e-9 away from 0 here, where floats are so dense that single ulps lead nowhere
    X = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(1, -1)
    eps, bounds = level / 255, (np.asarray(0.0), np.asarray(1.0))
    for direction in (-1, 1):
        X_adv = keep_budget(X, X + direction, eps, np.inf, bounds)
        assert np.abs(X_adv - X).astype(float).max() <= eps
        np.testing.assert_allclose(X_adv, np.clip(X.astype(float) + direction * eps, 0, 1), atol=1e-7)


FLOATS = {np.float64: 1e-15, np.float32: 1e-6, np.float16: 1e-2}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(list(FLOATS)),
    norm=st.sampled_from(NORMS),
    eps=st.floats(1e-2, 1e2),
    offset=st.sampled_from([0.0, 0.3, -7.0, 1e4]),
    reach=st.floats(0, 3),
    clip=st.booleans(),
    units=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_keep_budget_holds_as_a_user_checks_it(
    dtype: type, norm: float, eps: float, offset: float, reach: float, clip: bool, units: bool, seed: int
) -> None:
    rng = np.random.RandomState(seed)
    X = (offset + rng.standard_normal((4, 12))).astype(dtype)
    unit = 10 ** rng.uniform(-3, 1, size=12) if units else np.ones(12)
    wanted = (
        X.astype(float)
        + reach
        * random_in_ball(Streams(0, np.arange(len(X))), np.arange(len(X)), X.shape[1:], eps, norm)
        * unit
    )
    bounds = (X.min(axis=0).astype(float), np.asarray(X.max() + 1, dtype=float)) if clip else None
    X_adv = keep_budget(X, wanted, eps, norm, bounds, unit if units else None)
    assert X_adv.dtype == dtype
    change = (X_adv - X) / unit if units else X_adv - X
    assert (np.linalg.norm(change, norm, axis=1) <= eps).all()
    if bounds is not None:
        assert (X_adv >= bounds[0]).all()
        assert (X_adv <= bounds[1]).all()
    elif reach <= 1:
        # what was within the budget stays, but for rounding
        slack = FLOATS[dtype] * (eps * unit + np.abs(X).max())
        assert (np.abs(X_adv.astype(float) - wanted) <= slack).all()


def magnitudes(rng: np.random.RandomState, size: int, span: float, around: float) -> np.ndarray:
    """Numbers of either sign, and 0, whose powers of ten are spread over ``span`` around another."""
    power = np.clip(around + span * rng.uniform(-1, 1, size=size), -323, 307)
    return rng.choice([-1.0, 0.0, 1.0], size=size, p=[0.4, 0.2, 0.4]) * 10**power


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    dtype=st.sampled_from(list(FLOATS)),
    norm=st.sampled_from(NORMS),
    eps=st.sampled_from([5e-324, 1e-310, np.finfo(float).tiny, 1e-40, 1e-7, 1.0, 7e4, 1e39, 1e155, 1.7e308]),
    data=st.tuples(st.floats(-300, 300), st.sampled_from([0.0, 3.0, 300.0])),
    change=st.tuples(st.floats(-300, 300), st.sampled_from([0.0, 300.0])),
    units=st.one_of(st.none(), st.tuples(st.floats(-300, 300), st.sampled_from([1.0, 300.0]))),
    clip=st.sampled_from(["no", "low", "both"]),
    seed=st.integers(0, 2**16),
    nothing=st.booleans(),
)
def test_keep_budget_at_the_limits_of_floats(
    dtype: type,
    norm: float,
    eps: float,
    data: tuple[float, float],
    change: tuple[float, float],
    units: tuple[float, float] | None,
    clip: str,
    seed: int,
    nothing: bool,
) -> None:
    rng, limits, shape = np.random.RandomState(seed), np.finfo(dtype), (3, 5)
    X = magnitudes(rng, 15, data[1], data[0]).clip(float(limits.min), float(limits.max))
    X = X.astype(dtype).reshape(shape) * dtype(not nothing)
    with np.errstate(over="ignore"):
        X_adv = X.astype(float) + magnitudes(rng, 15, change[1], change[0]).reshape(shape)
    unit = None if units is None else np.abs(magnitudes(rng, 5, units[1], units[0]))
    if unit is not None:
        unit[unit == 0] = 1.0
    high = np.inf if clip != "both" else X.astype(float) + rng.uniform(0, 1)
    bounds = None if clip == "no" else (X.astype(float).min(axis=0), np.asarray(high))
    kept = keep_budget(X, X_adv, eps, norm, bounds, unit)
    assert kept.dtype == dtype
    assert np.isfinite(kept).all()
    if bounds is not None:
        assert ((kept >= bounds[0]) & (kept <= bounds[1])).all()
    worth = [Fraction(1)] * 5 if unit is None else [Fraction(u) for u in unit.tolist()]
    for old, new in zip(X.tolist(), kept.tolist(), strict=True):
        shares = [abs(Fraction(b) - Fraction(a)) / u for a, b, u in zip(old, new, worth, strict=True)]
        # in exact arithmetic
        power, budget = 1 if norm == np.inf else int(norm), Fraction(eps)
        assert (max(shares) if norm == np.inf else sum(s**power for s in shares)) <= budget**power
    if nothing and clip == "no" and dtype == np.float64:
        # beside 0, where no digits are lost, all of the budget is used
        with np.errstate(over="ignore"):
            reach = np.minimum(eps * (1.0 if unit is None else unit), limits.max / 4) * np.ones(5)
            far = reach > 1e-300
            wanted, used = (lengths_of(x[:, far] / reach[far], norm) for x in (X_adv, kept))
        assert (used >= 0.99 * np.minimum(wanted, 1)).all() or not far.all()
