"""Rates and intervals: against scipy, and at the edges of how many count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, sem, t

from skhalfway._intervals import percentile_interval, ratio, t_interval, wilson_interval

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


@pytest.mark.parametrize(
    "interval",
    [
        lambda *level: wilson_interval(3, 10, *level),
        lambda *level: percentile_interval(np.arange(10.0), *level),
        lambda *level: t_interval(np.arange(10.0), *level),
    ],
    ids=["wilson", "percentile", "t"],
)
def test_levels(interval) -> None:
    assert interval() == interval(0.95)
    assert interval(0.9).low > interval().low
    for level in (0, 1, -0.5, 95, np.nan):
        with pytest.raises(ValueError, match="level must be between 0 and 1, got"):
            interval(level)
