"""Rates and intervals: against scipy, and at the edges of how many count."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logit
from scipy.stats import binomtest, multinomial, norm, sem, t

from skhalfway._intervals import (
    POSITIVE,
    SHARE,
    holm,
    mcnemar,
    mean_interval,
    mean_t_interval,
    paired_interval,
    percentile_interval,
    ratio,
    simultaneous_level,
    t_interval,
    wilson_interval,
)

LEVELS = (1e-9, 0.5, 0.95, 1 - 1e-9)


def test_ratio_is_unknown_of_nothing() -> None:
    np.testing.assert_array_equal(ratio(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])), [np.nan, 0, 1, 0.5])


@pytest.mark.parametrize("total", [1, 2, 3, 40])
def test_ends_of_a_certain_outcome_are_exact(total: int) -> None:
    low, high = wilson_interval([0, total, 0], [total, total, 0])
    assert (low[0], high[1]) == (0, 1)
    assert np.isnan([low[2], high[2]]).all()
    for count, ends in ((0, (low[0], high[0])), (total, (low[1], high[1]))):
        expected = binomtest(count, total).proportion_ci(0.95, method="wilson")
        np.testing.assert_allclose(ends, expected, atol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(2,), (3,), (4, 3), (2, 3, 30)], ids=str)
def test_t_interval_is_scipys(shape: tuple[int, ...], level: float) -> None:
    values = np.random.RandomState(0).standard_normal(shape)
    found = t_interval(values, level)
    expected = t.interval(level, shape[-1] - 1, values.mean(axis=-1), sem(values, axis=-1))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.low.shape == shape[:-1]


def test_one_value_has_no_t_interval() -> None:
    low, high = t_interval(np.ones((4, 1)))
    assert low.shape == (4,)
    assert np.isnan([low, high]).all()
    assert np.isnan(t_interval(np.ones(1))).all()


@pytest.mark.parametrize("level", LEVELS)
def test_percentiles_are_of_what_is_known(level: float) -> None:
    values = np.random.RandomState(0).standard_normal((50, 2, 3))
    values[:20, 0, 1] = values[:, 1, 2] = np.nan
    low, high = percentile_interval(values, level)
    assert low.shape == (2, 3)
    tail = 50 * (1 - level)
    for i, j in np.ndindex(2, 3):
        known = values[~np.isnan(values[:, i, j]), i, j]
        expected = np.percentile(known, [tail, 100 - tail]) if len(known) else [np.nan, np.nan]
        np.testing.assert_allclose((low[i, j], high[i, j]), expected)
    alone = percentile_interval(values[:, 0, 0], level)
    assert alone == (low[0, 0], high[0, 0])


@pytest.mark.parametrize("n", [10, 30, 100])
def test_a_paired_interval_covers_what_it_says(n: int) -> None:
    first, second = (part.ravel() for part in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    first, second = (part[first + second <= n] for part in (first, second))
    low, high = paired_interval(first, second, n)
    covered = []
    for p, q in product((0, 0.05, 0.1, 0.3), (0.02, 0.05, 0.2, 0.5)):
        weights = multinomial.pmf(np.stack([first, second, n - first - second], axis=1), n, [p, q, 1 - p - q])
        covered.append(weights[(low <= q - p) & (q - p <= high)].sum())
    assert min(covered) > 0.93
    assert np.mean(covered) < 0.985
    assert ((low <= (second - first) / n + 1e-12) & ((second - first) / n <= high + 1e-12)).all()
    swapped = paired_interval(second, first, n)
    np.testing.assert_allclose([-swapped.high, -swapped.low], [low, high], atol=1e-12)
    assert np.isnan(paired_interval(0, 0, 0)).all()


@pytest.mark.parametrize(
    "interval",
    [
        lambda *level: wilson_interval(3, 10, *level),
        lambda *level: percentile_interval(np.arange(10.0), *level),
        lambda *level: t_interval(np.arange(10.0), *level),
        lambda *level: mean_interval(0.5, 0.1, *level),
    ],
    ids=["wilson", "percentile", "t", "mean"],
)
def test_levels(interval) -> None:
    assert interval() == interval(0.95)
    assert interval(0.9).low > interval().low
    for level in (0, 1, -0.5, 95, np.nan):
        with pytest.raises(ValueError, match="level must be between 0 and 1, got"):
            interval(level)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert mcnemar(np.array(one), np.array(other)) == pytest.approx(expected)


def test_mcnemar_is_that_of_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for one, other in ((0, 5), (3, 9), (40, 61)):
        expected = tables.mcnemar([[7, one], [other, 8]], exact=True).pvalue
        assert mcnemar(np.array(one), np.array(other)) == pytest.approx(expected)


def slow_holm(p: list[float]) -> list[float]:
    """The least level at which each is rejected, written down for one hypothesis after the other."""
    adjusted = []
    for one in p:
        if np.isnan(one):
            adjusted.append(np.nan)
            continue
        known = [value for value in p if not np.isnan(value)]
        smaller = [value for value in known if value <= one]
        steps = [min(1.0, value * sum(other >= value for other in known)) for value in smaller]
        adjusted.append(max(steps))
    return adjusted


@given(st.lists(st.floats(0, 1) | st.just(np.nan) | st.sampled_from([0.01, 0.02]), max_size=8))
def test_holm_is_the_slow_one(p: list[float]) -> None:
    np.testing.assert_allclose(holm(np.array(p)), slow_holm(p))


def test_holm_is_that_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.RandomState(0).beta(0.3, 1, 30)
    np.testing.assert_allclose(holm(p), multitest.multipletests(p, method="holm")[1])


def test_holm_keeps_shapes_and_what_is_unknown() -> None:
    found = holm(np.array([[0.01, np.nan], [0.04, 0.03]]))
    np.testing.assert_allclose(found, [[0.03, np.nan], [0.06, 0.06]])


def test_holm_errs_together_as_rarely_as_one() -> None:
    """Of 2,000 families of 10 true hypotheses, about 5 % have any rejection."""
    p = np.random.RandomState(0).uniform(size=(2000, 10))
    wrong = np.mean([(holm(row) <= 0.05).any() for row in p])
    assert 0.035 < wrong < 0.055


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_bonferroni(level: float, n: int) -> None:
    each = simultaneous_level(level, n)
    assert max(n, 1) * (1 - each) == pytest.approx(1 - level)


def test_intervals_that_hold_together() -> None:
    """Of 30 Wilson intervals at 95 % all hold in about a third of experiments; with Bonferroni in 95 %."""
    rng = np.random.RandomState(0)
    truth = np.linspace(0.2, 0.8, 30)
    counts = rng.binomial(200, truth, size=(1000, 30))
    together = []
    for level in (0.95, simultaneous_level(0.95, 30)):
        low, high = wilson_interval(counts, 200, level)
        together.append(((low <= truth) & (truth <= high)).all(axis=1).mean())
    assert together[0] < 0.4 and 0.93 < together[1] < 0.985


def test_the_interval_of_a_mean_stays_among_shares() -> None:
    assert mean_interval(0.5, 0.1) == pytest.approx(norm.interval(0.95, 0.5, 0.1))
    assert mean_interval(0.02, 0.1)[0] == 0 and mean_interval(0.98, 0.1)[1] == 1
    assert np.isnan(mean_interval(0.5, np.nan)).all()


@pytest.mark.parametrize("n", [0, 1, 9])
def test_a_bootstrap_of_few_is_unknown(n: int) -> None:
    values = np.random.RandomState(0).uniform(size=(50, 3))
    assert np.isnan(percentile_interval(values, n=n)).all()
    assert not np.isnan(percentile_interval(values, n=10)).any()
    each = percentile_interval(values, n=np.array([9, 10, 11]))
    assert np.isnan(each.low).tolist() == [True, False, False]


def of_repeats(draw: Callable[..., NDArray[np.float64]], n: int) -> NDArray[np.float64]:
    return draw(np.random.RandomState(0), (4000, n))


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize(
    ("draw", "mean", "limits", "least"),
    [
        (lambda rng, shape: rng.beta(107, 5, shape), 107 / 112, SHARE, 0.93),
        (lambda rng, shape: rng.beta(2, 2, shape), 0.5, SHARE, 0.93),
        (lambda rng, shape: rng.exponential(1, shape), 1.0, POSITIVE, 0.92),
        (lambda rng, shape: rng.lognormal(0, 0.5, shape), np.exp(0.125), POSITIVE, 0.92),
    ],
    ids=["sure", "unsure", "exponential", "log-normal"],
)
def test_intervals_of_repeats_hold_and_stay_within_limits(draw, mean, limits, least, n) -> None:
    low, high = t_interval(of_repeats(draw, n), limits=limits)
    assert (low >= limits[0]).all() and (high <= limits[1]).all()
    assert least <= ((low <= mean) & (mean <= high)).mean() <= 0.97


def test_interval_within_limits_is_the_delta_methods() -> None:
    values = np.array([0.7, 0.8, 0.95])
    m, reach = values.mean(), t.ppf(0.95, 2) * sem(values)
    np.testing.assert_allclose(
        logit(np.array(t_interval(values, 0.9, limits=SHARE))),
        logit(m) + np.array([-1, 1]) * reach / (m * (1 - m)),
    )
    np.testing.assert_allclose(
        np.log(t_interval(values, 0.9, limits=POSITIVE)), np.log(m) + np.array([-1, 1]) * reach / m
    )


@pytest.mark.parametrize("limits", [(-np.inf, np.inf), SHARE, POSITIVE], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("n", [2, 9, 10, 40])
def test_values_that_are_the_same_have_no_interval_of_width_0(
    value: float, limits: tuple[float, float], n: int
) -> None:
    low, high = t_interval(np.full((2, n), value), limits=limits)
    if limits == SHARE and value != 0.1 and n >= 10:
        # as seldom as one time in 20
        least = np.full(2, 0.05 ** (1 / n))
        np.testing.assert_allclose([low, high], [least, [1, 1]] if value else [[0, 0], 1 - least])
    else:
        assert np.isnan([low, high]).all()


@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_shares_of_test_samples_cover_these_too(n: int) -> None:
    rng = np.random.RandomState(n)
    values = np.concatenate([rng.randint(70, 90, (3, n)) / 100, np.full((1, n), 0.8)])
    alone, both = (t_interval(values, limits=SHARE, n_samples=given) for given in (None, 100))
    # the squares of the reaches add, on the scale of logits
    reach = norm.ppf(0.975) / np.sqrt(100 * values.mean(axis=1) * (1 - values.mean(axis=1)))
    for seeds, found in zip(alone, both, strict=True):
        apart = logit(seeds) - logit(values.mean(axis=1))
        apart[3] = 0.0
        np.testing.assert_allclose(np.abs(logit(found) - logit(values.mean(axis=1))), np.hypot(apart, reach))
    assert np.isnan(alone.low).tolist() == [False] * 3 + [True]
    for value in (0.0, 1.0):
        found = t_interval(np.full((2, n), value), limits=SHARE, n_samples=np.array([50, 100]))
        np.testing.assert_array_equal(found, wilson_interval(value * np.array([50, 100]), [50, 100]))
    assert np.isnan(t_interval(np.array([0.5]), limits=SHARE, n_samples=10)).all()


def test_skewed_repeats_have_a_longer_side() -> None:
    """From 10 repeats on a bootstrap-t is longer where the tail is, and no side shorter than Student's."""
    values = np.random.RandomState(0).gamma(0.3, size=(500, 15))
    m, reach = values.mean(axis=1), t.ppf(0.975, 14) * sem(values, axis=1)
    low, high = t_interval(values, limits=POSITIVE)
    assert (np.log(low) <= np.log(m) - reach / m + 1e-9).all()
    assert (np.log(high) >= np.log(m) + reach / m - 1e-9).all()
    for n, few in ((15, 0.92), (9, 0.86)):
        low, high = t_interval(values[:, :n], limits=POSITIVE)
        assert few < ((low <= 0.3) & (0.3 <= high)).mean() < 0.98
    assert np.median((high - m)[:100]) > 0 and (t_interval(values, limits=POSITIVE).high > high).mean() < 0.9
    np.testing.assert_array_equal(t_interval(values, limits=POSITIVE), t_interval(values, limits=POSITIVE))


def test_means_at_a_limit_have_an_interval_that_is_cut_there() -> None:
    low, high = mean_t_interval([0.0, 1.0], [0.1, 0.1], 100, limits=SHARE)
    reach = 0.1 * t.ppf(0.975, 99)
    np.testing.assert_allclose([low, high], [[0, 1 - reach], [reach, 1]])
    np.testing.assert_allclose(mean_t_interval(0.0, 0.1, 100, limits=POSITIVE), [0, reach])
    assert np.isnan(mean_t_interval(0.5, np.nan, 100, limits=SHARE)).all()


def test_outcomes_of_all_or_nothing_have_wilsons_interval() -> None:
    values = np.array([[0.0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(
        t_interval(values, 0.9, limits=SHARE), wilson_interval(np.array([2, 3]), 3, 0.9)
    )
    # three of p = .9, of which Student's is of width 0 where all are the same: it holds 27 % of the time
    drawn = of_repeats(lambda rng, shape: rng.binomial(1, 0.9, shape).astype(float), 3)
    low, high = t_interval(drawn, limits=SHARE)
    assert ((low <= 0.9) & (0.9 <= high)).mean() > 0.95
    # shares of many samples are no such outcomes, those that are 1 or 0 throughout neither, nor figures
    # without limits
    assert np.isnan(t_interval(np.array([[1.0, 1.0], [0.0, 0.0]]), limits=SHARE)).all()
    assert t_interval(values[0]).low < 0
    parts = np.array([0.0, 0.5, 1.0])
    assert t_interval(parts, limits=SHARE).low < wilson_interval(parts.sum(), 3).low - 0.01
