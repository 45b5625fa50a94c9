"""What crossings say: deviation, agreement, boundary distance, and their intervals."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import bootstrap, spearmanr, t

from skhalfway.halfway import HalfwayMeasurement


def measurement(seed=0, n_models=4, n_pairs=60, counted=0.8):
    rng = np.random.RandomState(seed)
    shared = rng.uniform(size=n_pairs)
    positions = np.clip(shared + 0.2 * rng.standard_normal((n_models, n_pairs)), 0.01, 0.99)
    counts = rng.uniform(size=(n_models, n_pairs)) < counted
    positions[~counts & (rng.uniform(size=counts.shape) < 0.5)] = np.nan
    pairs = rng.permutation(2 * n_pairs).reshape(-1, 2)
    names = [f"m{i}" for i in range(n_models)]
    return HalfwayMeasurement(names, pairs, rng.uniform(1, 3, n_pairs), positions, counts)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_figures_are_those_of_scipy_and_of_the_formulas(seed, ties):
    m = measurement(seed)
    if ties:
        m = HalfwayMeasurement(m.names, m.pairs, m.lengths, np.round(m.crossings, 1), m.counted)
    for i in range(4):
        own = m.counted[i]
        np.testing.assert_allclose(m.deviation[i], np.abs(m.crossings[i, own] - 0.5).mean())
        for j in range(4):
            both = own & m.counted[j]
            a, b = m.crossings[i, both], m.crossings[j, both]
            np.testing.assert_allclose(m.agreement[i, j], spearmanr(a, b)[0], atol=1e-9)
            apart = np.abs(a - b) * m.lengths[both]
            np.testing.assert_allclose(m.boundary_distance[i, j], apart.mean(), atol=1e-12)
    np.testing.assert_array_equal(m.agreement, m.agreement.T)
    np.testing.assert_allclose(m.mean_agreement, m.agreement[np.triu_indices(4, 1)].mean())


def test_intervals_are_those_of_scipys_bootstrap():
    m = measurement(n_models=2, n_pairs=300, counted=1.1)
    low, high = m.confidence_interval()
    for i in range(2):
        expected = bootstrap(
            (np.abs(m.crossings[i] - 0.5),), np.mean, method="percentile", random_state=0
        ).confidence_interval
        np.testing.assert_allclose([low[i], high[i]], expected, rtol=0.03)
    low, high = m.confidence_interval(of="agreement")
    theirs = bootstrap(
        tuple(m.crossings),
        lambda a, b: spearmanr(a, b)[0],
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=999,
        random_state=0,
    ).confidence_interval
    np.testing.assert_allclose([low[0, 1], high[0, 1]], theirs, atol=0.02)
    narrow = m.confidence_interval(0.5, of="agreement")
    assert low[0, 1] < narrow.low[0, 1] < m.agreement[0, 1] < narrow.high[0, 1] < high[0, 1]
    mean = m.confidence_interval(of="mean_agreement")
    np.testing.assert_allclose(mean, [low[0, 1], high[0, 1]])
    again = m.confidence_interval(of="agreement")
    np.testing.assert_array_equal(again.low, low)


def crossed(seed, n=30, n_pairs=200):
    """Three linear models between two clouds: pairs that share a sample cross at like places."""
    rng = np.random.RandomState(seed)
    y = rng.permutation(n) % 2
    X = rng.standard_normal((n, 3))
    X[:, 0] += np.where(y, 2.0, -2.0)
    pairs = np.argwhere(y[:, None] != y)
    pairs = pairs[rng.permutation(len(pairs))[:n_pairs]]
    values = np.array([[1, 0, 0], [1, 0.5, 0], [0.9, 0, 0.7]]) @ X.T
    right = (values > 0) == (y == 1)
    counts = right[:, pairs].all(axis=2)
    a, b = values[:, pairs[:, 0]], values[:, pairs[:, 1]]
    positions = np.where(counts, a / np.where(counts, a - b, 1), np.nan)
    lengths = np.linalg.norm(X[pairs[:, 0]] - X[pairs[:, 1]], axis=1)
    return HalfwayMeasurement("abc", pairs, lengths, positions, counts)


FIGURES = ("deviation", "boundary_distance", "agreement", "mean_agreement")


def one_of(m, of):
    """A figure, of models 0 or 0 and 2, and how the interval turns it."""
    value = getattr(m, of)
    return value if of == "mean_agreement" else value[0] if of == "deviation" else value[0, 2]


@pytest.mark.parametrize("of", FIGURES)
@pytest.mark.parametrize("ties", [False, True])
def test_intervals_are_by_what_samples_move(of, ties):
    """The formula written out, with what a pair moves as the difference that one more of it makes."""
    m = crossed(5, n=14, n_pairs=40)
    if ties:
        positions = np.where(m.counted, np.round(m.crossings, 1), np.nan)
        m = HalfwayMeasurement(m.names, m.pairs, m.lengths, positions, m.counted)
    copies = 100

    def repeated(extra):
        rows = np.concatenate([np.tile(np.arange(40), copies), extra]).astype(int)
        fields = m.pairs[rows], m.lengths[rows], m.crossings[:, rows], m.counted[:, rows]
        return one_of(HalfwayMeasurement(m.names, *fields), of)

    moves = np.array([(repeated([k]) - repeated([])) * copies for k in range(40)])
    counts = {"deviation": m.counted[0], "mean_agreement": m.counted.sum(axis=0) > 1}.get(
        of, m.counted[0] & m.counted[2]
    )
    samples = np.unique(m.pairs[counts])
    of_samples = []
    for sample in samples:
        own = (m.pairs == sample).any(axis=1)
        of_samples.append((moves[own].sum() / (1 - (own & counts).sum() / counts.sum())) ** 2)
    both_ways = {}
    for pair, move in zip(np.sort(m.pairs, axis=1).tolist(), moves, strict=True):
        both_ways[tuple(pair)] = both_ways.get(tuple(pair), 0) + move
    of_pairs = sum(move**2 for move in both_ways.values())
    assert len(both_ways) < 40, "the seed has pairs and their reverse"
    variance = max(sum(of_samples) - of_pairs, of_pairs)
    freedom = max(2 * variance**2 / (len(samples) * np.var(of_samples)), 1)
    turn = {"deviation": lambda x: logit(2 * x), "boundary_distance": np.log}.get(of, np.arctanh)
    value = one_of(m, of)
    slope = (turn(value + 1e-6) - turn(value - 1e-6)) / 2e-6
    reach = t.ppf(0.95, freedom) * np.sqrt(variance) * slope
    found = m.confidence_interval(0.9, of=of)
    ends = found if of == "mean_agreement" else [end[0] if of == "deviation" else end[0, 2] for end in found]
    np.testing.assert_allclose(turn(np.array(ends)), turn(value) + np.array([-reach, reach]), rtol=0.02)


def test_intervals_hold_where_pairs_share_samples():
    """200 pairs of 30 samples say about as much as 30 samples: as pairs alone they held half of the time."""
    many = [crossed(10**6 + k, n=100, n_pairs=10**4) for k in range(30)]
    truth = {of: np.mean([one_of(m, of) for m in many]) for of in FIGURES}
    held = dict.fromkeys(FIGURES, 0)
    for seed in range(100):
        m = crossed(seed)
        for of in FIGURES:
            low, high = m.confidence_interval(of=of)
            if of != "mean_agreement":
                low, high = (end[0] if of == "deviation" else end[0, 2] for end in (low, high))
            held[of] += low <= truth[of] <= high
    assert min(held.values()) >= 88, held


def test_intervals_need_samples_that_differ():
    rng = np.random.RandomState(0)
    pairs = np.column_stack([np.zeros(40, dtype=int), np.arange(1, 41)])
    positions, counts = rng.uniform(0.1, 0.9, (2, 40)), np.ones((2, 40), dtype=bool)
    few = rng.permutation(72)[:40]
    for rows, known in (
        (pairs, False),  # one sample is in all: of others nothing is said
        (np.column_stack([few // 8, few % 8 + 1]), False),  # nine samples
        (np.column_stack([few // 8, few % 8 + 9]), True),
    ):
        m = HalfwayMeasurement("ab", rows, np.ones(40), positions, counts)
        for of in FIGURES:
            ends = np.array(m.confidence_interval(of=of))
            between = ends[:, [0, 1], [1, 0]] if ends.ndim == 3 else ends
            assert (np.isnan(between) != known).all(), of
    same = np.tile(positions[0], (2, 1))
    m = HalfwayMeasurement("ab", np.arange(80).reshape(40, 2), np.ones(40), same, counts)
    # models that are one differ nowhere, of which no error can be told; each agrees with itself
    assert np.isnan(m.confidence_interval(of="agreement").low[0, 1])
    np.testing.assert_array_equal(np.diagonal(m.confidence_interval(of="agreement"), axis1=1, axis2=2), 1)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10])
def test_agreement_needs_three_pairs_that_count(n):
    """Two points are always on a line, so the figure says nothing; an interval needs ten."""
    rng = np.random.RandomState(n)
    counted = np.arange(12) < np.array([[12], [n]])
    m = HalfwayMeasurement(["a", "b"], np.arange(24).reshape(12, 2), rng.rand(12), rng.rand(2, 12), counted)
    for of in ("deviation", "boundary_distance"):
        assert np.isfinite(getattr(m, of)).all() == (n > 0)
        assert np.isfinite(m.confidence_interval(of=of)).all() == (n >= 10)
    np.testing.assert_array_equal(np.isfinite(m.agreement), [[True, n > 2], [n > 2, n > 2]])
    known = [[True, n >= 10], [n >= 10, n >= 10]]
    np.testing.assert_array_equal(np.isfinite(m.confidence_interval(of="agreement")), [known] * 2)
    assert np.isfinite(m.mean_agreement) == (n > 2)
    assert np.isfinite(m.confidence_interval(of="mean_agreement")).all() == (n >= 10)
    assert np.isfinite(m._medians()).tolist() == [True, n > 0]
    assert len(m.to_frame()) == 2
    assert len(m.to_frame(of="pairs")) == 1
    assert f"{n}" == repr(m).split()[-1]


def test_what_is_not_known_is_nan():
    halves, none = np.full(5, 0.5), np.zeros(5, dtype=bool)
    positions = np.array([np.linspace(0.1, 0.9, 5), halves, np.linspace(0.2, 0.8, 5)])
    counted = np.array([~none, ~none, none])
    m = HalfwayMeasurement("abc", np.arange(10).reshape(5, 2), np.ones(5), positions, counted)
    assert np.isfinite(m.deviation).tolist() == [True, True, False] and m.deviation[1] == 0
    assert np.isnan(m.agreement[0, 1]) and np.isnan(m.agreement[0, 2]) and np.isnan(m.mean_agreement)
    assert m.agreement[0, 0] == 1 and np.isfinite(m.boundary_distance[0, 1])
    assert "mean agreement -\n" in repr(m)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10])
@pytest.mark.parametrize("n_pairs", [10, 60])
def test_edges_of_how_many_pairs_count(n: int, n_pairs: int) -> None:
    """Whatever the draws, the intervals of few pairs are not there, nor is agreement below 3."""
    rng = np.random.RandomState(n)
    counted = np.zeros((3, n_pairs), dtype=bool)
    counted[0], counted[1:, :n] = True, True
    m = HalfwayMeasurement(
        "abc",
        np.arange(2 * n_pairs).reshape(-1, 2),
        np.ones(n_pairs),
        rng.uniform(size=(3, n_pairs)),
        counted,
    )
    few = np.array([[False, True, True]] + [[True] * 3] * 2)
    assert np.isfinite(m.deviation).tolist() == [True, n > 0, n > 0]
    np.testing.assert_array_equal(np.isfinite(m.boundary_distance), ~few | (n > 0))
    np.testing.assert_array_equal(np.isfinite(m.agreement), ~few | (n > 2))
    assert np.isfinite(m.mean_agreement) == (n > 2)
    for of, expected in (
        ("deviation", few[0]),
        ("agreement", few),
        ("boundary_distance", few),
        ("mean_agreement", True),
    ):
        for end in m.confidence_interval(of=of):
            np.testing.assert_array_equal(np.isnan(end), expected & (n < 10))
    low, high = m.confidence_interval(of="agreement")
    assert n < 10 or (low[0, 1] < m.agreement[0, 1] < high[0, 1])
    assert len(m.to_frame(of="pairs")) == 3
    assert repr(m).count("[") == (2 if n < 10 else 5)


def test_frames_and_text():
    m = measurement()
    models = m.to_frame()
    assert (
        models.index.tolist() == ["m0", "m1", "m2", "m3"]
        and models.counted.tolist() == m.counted.sum(1).tolist()
    )
    np.testing.assert_array_equal(models.deviation, m.deviation)
    assert ((models.low < models.deviation) & (models.deviation < models.high)).all()
    pairs = m.to_frame(of="pairs")
    assert len(pairs) == 6 and pairs.loc[("m1", "m3"), "agreement"] == m.agreement[1, 3]
    lines = repr(m).splitlines()
    assert lines[0].startswith("HalfwayMeasurement: 4 models, 60 pairs, mean agreement .")
    assert len(lines) == 6 and lines[2].startswith("m0")


def test_text_is_aligned_and_frames_are_whole():
    positions = [[0.4, 0.5, 0.6, 0.7], [0.3, 0.5, 0.9, np.nan], [0.5, 0.5, 0.5, 0.6]]
    counted = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=bool)
    names = ["a", "a longer name", "b"]
    m = HalfwayMeasurement(names, np.arange(8).reshape(4, 2), [1.0, 2.0, 1.0, 4.0], positions, counted)
    assert repr(m).splitlines() == [
        "HalfwayMeasurement: 3 models, 4 pairs, mean agreement 1.000",
        "model          deviation [95 %]  median crossing  pairs that count",
        "a              .100              .55              4",
        "a longer name  .200              .50              3",
        "b               -                 -               0",
    ]
    models, pairs = m.to_frame(), m.to_frame(of="pairs")
    assert (models.index.name, [*pairs.index.names]) == ("model", ["model", "other"])
    assert [*models.index] == names
    assert [*pairs.index] == [("a", "a longer name"), ("a", "b"), ("a longer name", "b")]
    low, high = m.confidence_interval()
    expected = {"counted": [4, 3, 0], "median_crossing": [0.55, 0.5, np.nan], "deviation": m.deviation}
    for name, column in (expected | {"low": low, "high": high}).items():
        np.testing.assert_allclose(models.pop(name), column)
    assert models.shape[1] == 0
    upper = np.triu_indices(3, 1)
    assert pairs.pop("counted").tolist() == [3, 0, 0]
    for name in ("agreement", "boundary_distance"):
        low, high = m.confidence_interval(of=name)
        np.testing.assert_array_equal(pairs.pop(name), getattr(m, name)[upper])
        np.testing.assert_array_equal(pairs.pop(f"{name}_low"), low[upper])
        np.testing.assert_array_equal(pairs.pop(f"{name}_high"), high[upper])
    assert pairs.shape[1] == 0


def test_it_is_immutable_and_pickles():
    m = measurement()
    assert m.names == ("m0", "m1", "m2", "m3")
    with pytest.raises(AttributeError):
        m.names = ()
    for name in ("pairs", "lengths", "crossings", "counted"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(m, name)[0] = 0
    assert repr(pickle.loads(pickle.dumps(m))) == repr(m)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("a", "b")}, r"crossings must have shape \(2, 60\)"),
        ({"counted": np.ones((4, 59), bool)}, r"counted must have shape \(4, 60\)"),
        ({"pairs": np.ones((60, 3), int)}, r"pairs must have shape \(60, 2\)"),
        ({"lengths": np.ones(3)}, r"lengths must have shape \(60,\).*got \(3,\)"),
        ({"crossings": np.full((4, 60), np.nan)}, "must not be nan where counted is True"),
    ],
)
def test_constructor_errors(change, message):
    with pytest.raises(ValueError, match=message):
        HalfwayMeasurement(**(vars(measurement()) | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.confidence_interval(1.0), "level must be between 0 and 1, got 1.0"),
        (lambda m: m.confidence_interval(of="score"), r"of must be one of \['deviation', .*got 'score'"),
        (lambda m: m.to_frame(of="x"), "of must be 'models' or 'pairs', got 'x'"),
        (lambda m: m.plot("x"), r"kind must be one of \[None, 'crossings', 'agreement'\], got 'x'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(measurement())
