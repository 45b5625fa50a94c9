"""Pairs of samples: which, how many, and none twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from skhalfway.halfway import sample_pairs


def possible(X, y, pairs):
    """All of them, by brute force."""
    n = range(len(X))
    differ = [(i, j) for i in n for j in n if (X[i] != X[j]).any()]
    return {(i, j) for i, j in differ if (y[i] == y[j]) == (pairs == "within")}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 12), pairs=st.sampled_from(["random", "within"]))
def test_all_pairs_there_are(seed, n, pairs):
    rng = np.random.RandomState(seed)
    X, y = rng.randint(3, size=(n, 2)).astype(float), rng.randint(3, size=n)
    all_pairs = possible(X, y, pairs)
    if len(np.unique(y)) < 2 or not all_pairs:
        return
    found = sample_pairs(X, y, pairs=pairs, n_pairs=len(all_pairs), random_state=seed)
    assert set(map(tuple, found)) == all_pairs and len(found) == len(all_pairs)
    few = sample_pairs(X, y, pairs=pairs, n_pairs=max(1, len(all_pairs) // 2), random_state=seed)
    assert len(set(map(tuple, few))) == len(few) and set(map(tuple, few)) <= all_pairs
    with pytest.raises(ValueError, match=f"there are only {len(all_pairs)} pairs"):
        sample_pairs(X, y, pairs=pairs, n_pairs=len(all_pairs) + 1)


@pytest.mark.parametrize("pairs", ["random", "within"])
@pytest.mark.parametrize("points", [range(6), [0, 0, 1, 1, 0, 2]], ids=["all differ", "some are the same"])
def test_each_pair_is_as_likely(pairs, points):
    X, y = np.array(points, dtype=float)[:, None], np.array([0, 0, 0, 1, 1, 2])
    all_pairs = sorted(possible(X, y, pairs))
    counts = dict.fromkeys(all_pairs, 0)
    rng = np.random.RandomState(0)
    for _ in range(1000):
        for pair in sample_pairs(X, y, pairs=pairs, n_pairs=3, random_state=rng):
            counts[tuple(pair)] += 1
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_nearest(iris):
    X, y = iris
    found = sample_pairs(X, y, pairs="nearest", n_pairs=150)
    distances = np.where(y[:, None] == y, np.inf, cdist(X, X))
    np.testing.assert_array_equal(found[:, 0], np.arange(150))
    np.testing.assert_allclose(distances[found[:, 0], found[:, 1]], distances.min(axis=1))
    with pytest.raises(ValueError, match="only 150 pairs"):
        sample_pairs(X, y, pairs="nearest", n_pairs=151)


def test_labels_of_any_type_and_images(iris):
    X, y = iris
    plain = sample_pairs(X, y, random_state=3)
    named = sample_pairs(X, np.array(["u", "v", "w"])[y], random_state=3)
    shaped = sample_pairs(X.reshape(-1, 2, 2), y, random_state=3)
    np.testing.assert_array_equal(plain, named)
    np.testing.assert_array_equal(plain, shaped)
    assert plain.shape == (500, 2) and (y[plain[:, 0]] != y[plain[:, 1]]).all()
    assert (sample_pairs(X, y, random_state=4) != plain).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": "far"}, r"pairs must be one of \['random', 'nearest', 'within'\], got 'far'"),
        ({"n_pairs": 0}, "n_pairs must be an integer >= 1, got 0"),
        ({"n_pairs": 2.0}, "n_pairs must be an integer >= 1"),
        ({"y": np.zeros(150)}, r"at least 2 classes, but y holds only \[0.0\]"),
        ({"y": np.zeros(150), "pairs": "nearest"}, "at least 2 classes"),
        ({"y": np.zeros(3)}, "one label per sample"),
    ],
)
def test_errors(iris, change, message):
    with pytest.raises(ValueError, match=message):
        sample_pairs(**({"X": iris[0], "y": iris[1]} | change))
