"""Draws of each sample's own: from the right distributions, and the same whoever else is drawn for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skhalfway._streams import Streams

ROWS = np.arange(400)
DRAWS = {
    "uniform": lambda streams, rows: streams.uniform(rows, 5),
    "normal": lambda streams, rows: streams.normal(rows, 5),
    "laplace": lambda streams, rows: streams.laplace(rows, 5),
    "signs": lambda streams, rows: streams.signs(rows, 5),
    "integers": lambda streams, rows: streams.integers(rows, 7),
}
CONTINUOUS = {"uniform": stats.uniform(), "normal": stats.norm(), "laplace": stats.laplace()}


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 2])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_distributions(name, seed):
    """Kolmogorov and Smirnov, over samples, over draws and over values."""
    streams = Streams(seed, ROWS)
    drawn = np.stack([DRAWS[name](streams, ROWS) for _ in range(40)])  # (draw, sample, value)
    for part in (drawn, drawn[:, 0], drawn[0], drawn[:, :, 0], drawn[0, :, 0]):
        assert stats.kstest(part.ravel(), CONTINUOUS[name].cdf).pvalue > 1e-4
    # neighbours in each direction do not depend on each other
    for axis in range(3):
        one, other = np.swapaxes(drawn, 0, axis)[:-1].ravel(), np.swapaxes(drawn, 0, axis)[1:].ravel()
        assert abs(stats.spearmanr(one, other).statistic) < 5 / np.sqrt(len(one))


@pytest.mark.parametrize(("name", "values"), [("signs", [-1, 1]), ("integers", range(7))])
def test_discrete_distributions(name, values):
    streams = Streams(3, ROWS)
    drawn = np.concatenate([DRAWS[name](streams, ROWS).ravel() for _ in range(20)])
    found, counts = np.unique(drawn, return_counts=True)
    assert found.tolist() == [*values]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_bits_are_even():
    """Each of the 64 is set half of the time, in samples, draws and values that are numbered alike."""
    bits = Streams(0, ROWS)._bits(ROWS, 250)
    set_ = (bits[..., None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert (np.abs(set_.mean(axis=(0, 1)) - 0.5) < 5 * 0.5 / np.sqrt(bits.size)).all()
    assert len(np.unique(bits)) == bits.size


@pytest.mark.parametrize("name", DRAWS)
def test_a_sample_gets_the_same_whoever_else_is_drawn_for(name):
    draw, numbers = DRAWS[name], np.array([3, 8, 20, 21])
    streams = Streams(1, numbers)
    whole = [draw(streams, np.arange(4)) for _ in range(3)]
    for rows in ([0, 1, 2, 3], [2], [3, 1]):
        part = Streams(1, numbers[rows])
        for expected in whole:
            np.testing.assert_array_equal(draw(part, np.arange(len(rows))), expected[rows])
    # and however often others were: two of them twice as often, in one call
    streams, rows = Streams(1, numbers), np.array([0, 2, 2, 1, 0])
    first = draw(streams, rows)
    np.testing.assert_array_equal(first[[0, 4]], [whole[0][0], whole[1][0]])
    np.testing.assert_array_equal(first[[1, 2]], [whole[0][2], whole[1][2]])
    np.testing.assert_array_equal(
        draw(streams, np.arange(4)), [whole[k][i] for i, k in enumerate([2, 1, 2, 0])]
    )


@given(st.integers(0, 2**63 - 1), st.integers(0, 5), st.integers(1, 30), st.integers(1, 30))
def test_more_values_begin_like_fewer(seed, purpose, few, many):
    rows = np.arange(3)
    one, other = (Streams(seed, rows, purpose).uniform(rows, n) for n in (few, many))
    n = min(few, many)
    np.testing.assert_array_equal(one[:, :n], other[:, :n])
    assert ((one > 0) & (one < 1)).all()


def test_other_seeds_purposes_samples_and_draws_are_others():
    rows = np.arange(2)
    drawn = [
        Streams(seed, rows + first, purpose).uniform(rows, 3)
        for seed in range(3)
        for purpose in range(3)
        for first in (0, 2)
    ]
    streams = Streams(9, rows)
    drawn += [streams.uniform(rows, 3), streams.uniform(rows, 3), streams.take(rows).uniform(rows, 3)]
    values = np.concatenate(drawn).ravel()
    assert len(np.unique(values)) == len(values)


def test_taken_streams_go_on_from_where_they_are():
    streams, rows = Streams(5, np.arange(4)), np.arange(4)
    streams.uniform(rows[:2], 3)
    part = streams.take(np.array([3, 1]))
    expected = streams.uniform(rows, 3)
    np.testing.assert_array_equal(part.uniform(np.arange(2), 3), expected[[3, 1]])
