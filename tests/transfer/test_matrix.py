"""TransferMatrix: rates and intervals against closed forms and scipy, and what it shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from skhalfway import TransferMatrix
from skhalfway._intervals import wilson_interval

COUNTS = {
    "eligible": np.array([[10, 8, 0], [8, 9, 5], [0, 5, 7]]),
    "fooled": np.array([[9, 2, 0], [4, 9, 5], [0, 1, 7]]),
    "same_mistake": np.array([[9, 1, 0], [4, 9, 2], [0, 0, 7]]),
    "noise_fooled": np.array([[0, 1, 0], [0, 1, 0], [0, 1, 1]]),
    "source_eligible": np.array([10, 9, 7]),
    "source_fooled": np.array([9, 9, 7]),
}


@pytest.fixture
def matrix():
    return TransferMatrix(("a", "b", "c"), **COUNTS, standard_error=0.05)


@given(total=st.integers(1, 500), share=st.floats(0, 1), level=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_wilson_interval_is_scipys(total, share, level):
    count = round(share * total)
    low, high = wilson_interval(count, total, level)
    expected = binomtest(count, total).proportion_ci(level, method="wilson")
    np.testing.assert_allclose([low, high], [expected.low, expected.high], atol=1e-12)


def test_rates_are_counts_over_eligible(matrix):
    expected = [[0.9, 0.25, np.nan], [0.5, 1.0, 1.0], [np.nan, 0.2, 1.0]]
    np.testing.assert_array_equal(matrix.rates, expected)
    np.testing.assert_array_equal(matrix.different_mistake, COUNTS["fooled"] - COUNTS["same_mistake"])
    np.testing.assert_allclose(matrix.noise[0], [0, 1 / 8, np.nan])
    np.testing.assert_allclose(matrix.source_success, [0.9, 1, 1])
    assert matrix.mean_rate == pytest.approx(np.mean([0.25, 0.5, 1.0, 0.2]))


def test_intervals_of_everything(matrix):
    for of, rates in (
        ("rates", matrix.rates),
        ("noise", matrix.noise),
        ("source_success", matrix.source_success),
    ):
        low, high = matrix.confidence_interval(of=of)
        assert low.shape == rates.shape
        known = np.isfinite(rates)
        assert ((low <= rates) & (rates <= high))[known].all()
        assert np.isnan(low[~known]).all() and np.isnan(high[~known]).all()
    narrow, wide = (matrix.confidence_interval(level, of="mean_rate") for level in (0.5, 0.95))
    assert wide.low < narrow.low < matrix.mean_rate < narrow.high < wide.high
    assert wide.high - matrix.mean_rate == pytest.approx(1.959964 * 0.05, rel=1e-6)
    for error in (0.5, 5.0):
        assert dataclasses.replace(matrix, standard_error=error).confidence_interval(of="mean_rate") == (0, 1)
    assert matrix.confidence_interval(0.95)[0][0, 1] == matrix.confidence_interval()[0][0, 1]


def test_is_immutable(matrix):
    assert TransferMatrix(["a", "b", "c"], **COUNTS).names == ("a", "b", "c")
    with pytest.raises(dataclasses.FrozenInstanceError):
        matrix.names = ("x", "y", "z")
    for name in COUNTS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(matrix, name)[0] = 3
    given_counts = COUNTS["fooled"].copy()
    other = TransferMatrix(("a", "b", "c"), **(COUNTS | {"fooled": given_counts}))
    given_counts[0, 1] = 0
    assert other.fooled[0, 1] == 2


def test_to_frame(matrix):
    frame = matrix.to_frame()
    assert frame.index.names == ["source", "target"]
    assert len(frame) == 9
    assert frame.loc[("a", "b"), "rate"] == 0.25
    assert frame.loc[("a", "b"), ["eligible", "fooled", "same_mistake", "different_mistake"]].tolist() == [
        8,
        2,
        1,
        1,
    ]
    assert frame.loc[("a", "b"), "low"] < 0.25 < frame.loc[("a", "b"), "high"]
    assert [*frame] == [
        "eligible",
        "fooled",
        "same_mistake",
        "different_mistake",
        "rate",
        "low",
        "high",
        "noise",
        "source_success",
    ]
    np.testing.assert_array_equal(frame["noise"], matrix.noise.ravel())
    for value in (
        "eligible",
        "fooled",
        "same_mistake",
        "different_mistake",
        "noise_fooled",
        "rates",
        "noise",
    ):
        square = matrix.to_frame(value)
        np.testing.assert_array_equal(square, getattr(matrix, value))
        assert (square.index.name, square.columns.name) == ("source", "target")
        assert [*square.index] == [*square] == ["a", "b", "c"]


def test_repr_and_html_show_every_rate(matrix):
    text, html = repr(matrix), matrix._repr_html_()
    for shown in ("3 models", ".25 [", "(.90 [", " - "):
        assert shown in text
    assert "mean transfer rate .49 [.39 .59]" in text
    assert html.count("<td") == 9 and html.count("2 of 8") == 1
    evil = TransferMatrix(("<b>", "b", "c"), **COUNTS)
    assert "<b>" not in evil._repr_html_() and "&lt;b&gt;" in evil._repr_html_()


def test_text_is_aligned(matrix):
    names = ("a", "a longer name", "<c>")
    named = dataclasses.replace(matrix, names=names, sources=names, targets=names)
    assert repr(named).splitlines() == [
        "TransferMatrix: 3 models, mean transfer rate .49 [.39 .59]",
        "rate [95 % interval] at which samples made on a source (row) fool a target (column)",
        "source               a         a longer name        <c>",
        "a             (.90 [.60 .98])  .25 [.07 .59]         -",
        "a longer name  .50 [.22 .78]  (1.0 [.70 1.0])  1.0 [.57 1.0]",
        "<c>                  -         .20 [.04 .62]  (1.0 [.65 1.0])",
    ]
    assert [line[:18] for line in named.describe().splitlines()] == [
        "a              is ",
        "a longer name  is ",
        "<c>            is ",
    ]


def test_html_shades_and_outlines():
    """Every rate on an opaque shade with ink that can be read on it, a frame around each source itself."""
    counts = {"eligible": np.array([[10, 0], [5, 9]]), "fooled": np.array([[9, 0], [3, 9]])}
    rest = {"same_mistake": counts["fooled"], "noise_fooled": np.array([[1, 0], [0, 1]])}
    ends = {"source_eligible": np.array([10, 9]), "source_fooled": np.array([9, 9])}
    html = TransferMatrix(("a", "<b>"), **counts, **rest, **ends)._repr_html_()
    assert "2 models, mean transfer rate .60 [no interval: a pair has fewer than 10 samples]" in html
    cells = [
        ("#ae272c", "#fff", True, "9 of 10; noise .10", ".90", "[.60 .98]"),
        (None, None, False, "0 of 0; noise  - ", " - ", ""),
        ("#c96f73", "#000", False, "3 of 5; noise .00", ".60", "[.23 .88]"),
        ("#a50f15", "#fff", True, "9 of 9; noise .11", "1.0", "[.70 1.0]"),
    ]
    for found, (shade, ink, own, title, rate, interval) in zip(html.split("<td")[1:], cells, strict=True):
        style, body = found.split('" title="')
        assert (f"background:{shade};color:{ink}" in style) == (shade is not None)
        assert ("outline" in style) == own
        assert body.startswith(f'{title}">{rate}<')
        assert interval in body and ("<br>" in body) == bool(interval)
    assert "&lt;b&gt;" in html and "<b>" not in html


def test_describe_has_a_sentence_per_column(matrix):
    lines = matrix.describe().splitlines()
    assert len(lines) == 3
    assert lines[0] == ("a  is fooled by 50% of the samples made on b; by noise of the same size, 0%.")
    lonely = TransferMatrix(("a", "b"), *[np.zeros((2, 2), int)] * 4, *[np.zeros(2, int)] * 2)
    assert "has no sample that counts" in lonely.describe()
    assert np.isnan(lonely.mean_rate)
    assert TransferMatrix((), *[np.zeros((0, 0), int)] * 4, *[np.zeros(0, int)] * 2).describe() == ""


@pytest.mark.parametrize("field", COUNTS)
def test_one_sample_that_counts_is_enough(field):
    """Counts of 0 are allowed everywhere, and 1 of 1 is a rate."""
    ones = {name: np.ones_like(array) for name, array in COUNTS.items()}
    part = ("fooled", "same_mistake", "noise_fooled", "source_fooled")
    matrix = TransferMatrix(("a", "b", "c"), **ones | ({field: 0 * ones[field]} if field in part[1:] else {}))
    np.testing.assert_array_equal(matrix.rates, 1.0)
    assert matrix.mean_rate == 1
    np.testing.assert_array_equal(matrix.noise, field != "noise_fooled")
    np.testing.assert_array_equal(matrix.source_success, field != "source_fooled")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fooled": COUNTS["eligible"] + 1}, "fooled must not exceed eligible"),
        ({"same_mistake": COUNTS["eligible"]}, "same_mistake must not exceed fooled"),
        ({"eligible": COUNTS["eligible"][:2]}, r"eligible must hold counts >= 0 of shape \(3, 3\)"),
        ({"eligible": COUNTS["eligible"] * 1.0}, "got float64"),
        ({"fooled": -COUNTS["fooled"]}, "fooled must hold counts >= 0"),
        ({"noise_fooled": COUNTS["eligible"] + 1}, "noise_fooled must not exceed eligible"),
        ({"source_fooled": np.array([10, 9, 8])}, "source_fooled must not exceed source_eligible"),
        ({"source_eligible": COUNTS["eligible"]}, r"source_eligible must hold counts >= 0 of shape \(3,\)"),
        ({"condition": "some"}, "condition must be one of .* got 'some'"),
    ],
)
def test_impossible_counts_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TransferMatrix(("a", "b", "c"), **(COUNTS | change))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.confidence_interval(1.0), "level must be between 0 and 1, got 1.0"),
        (lambda m: m.confidence_interval(0, of="mean_rate"), "level must be between 0 and 1, got 0"),
        (lambda m: m.confidence_interval(of="fooled"), "of must be one of"),
        (lambda m: m.to_frame("names"), "value must be one of .*did you mean 'rates'"),
    ],
)
def test_bad_arguments(matrix, call, message):
    with pytest.raises(ValueError, match=message):
        call(matrix)
