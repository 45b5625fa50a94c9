"""CurveResult: what is kept, the intervals, the drawing; and measurements that are repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from skhalfway._intervals import t_interval
from skhalfway.inspection import CurveResult, CurveResultDisplay
from skhalfway.inspection._repeats import repeated


@pytest.fixture
def curves() -> CurveResult:
    values = np.random.RandomState(0).rand(3, 5)
    return CurveResult(np.array([1.0, 2.0, 4.0]), {"train": values, "test": values / 2})


def test_interval_is_scipys(curves: CurveResult) -> None:
    expected = stats.ttest_1samp(curves.values["train"], 0, axis=1).confidence_interval(0.9)
    found = curves.confidence_interval(0.9, of="train")
    assert curves.confidence_interval(0.9).low.tolist() == found.low.tolist()  # of the first
    with pytest.raises(ValueError, match=r"of must be one of \['train', 'test'\], got 'valid'"):
        curves.confidence_interval(of="valid")
    np.testing.assert_allclose(found.low, expected.low)
    np.testing.assert_allclose(found.high, expected.high)


def test_one_repeat_has_no_interval() -> None:
    one = CurveResult(np.array(["a", "b"]), {"accuracy": np.array([[0.5], [1.0]])})
    assert np.isnan(one.confidence_interval(of="accuracy")).all()
    assert "[" not in repr(one)
    assert np.isnan(t_interval(np.array([1.0])).low)


def test_what_is_kept_cannot_change(curves: CurveResult) -> None:
    for array in (curves.x, *curves.values.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_frame(curves: CurveResult) -> None:
    frame = curves.to_frame()
    assert frame.index.name == "x"
    np.testing.assert_allclose(frame[("test", "mean")], curves.means["test"])
    assert (frame[("train", "low")] < frame[("train", "high")]).all()


@pytest.mark.parametrize(
    ("x", "values", "message"),
    [
        (np.zeros((1, 2)), {"a": np.zeros((1, 2))}, "x must have one axis"),
        (np.arange(0), {"a": np.zeros((0, 2))}, "at least one point"),
        (np.arange(2), {"a": np.zeros((3, 2))}, r"one shape \(2, n_repeats\)"),
        (np.arange(2), {"a": np.zeros((2, 0))}, r"one shape \(2, n_repeats\)"),
        (np.arange(2), {"a": np.zeros(2)}, r"one shape \(2, n_repeats\)"),
        (np.arange(2), {"a": np.zeros((2, 1)), "b": np.zeros((2, 3))}, r"one shape"),
        (np.arange(2), {}, r"one shape"),
    ],
)
def test_errors(x: Any, values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CurveResult(x, values)


def test_plot(curves: CurveResult) -> None:
    display = curves.plot(names=["test"], line_kw={"lw": 1})
    (line,) = display.lines_.values()
    np.testing.assert_allclose(line.get_ydata(), curves.means["test"])
    assert len(display.ax_.collections) == 1  # the band
    assert curves.plot(ax=display.ax_).ax_ is display.ax_
    assert not curves.plot(include_intervals=False).ax_.collections
    with pytest.raises(ValueError, match=r"names must be of \['train', 'test'\], got \['valid'\]"):
        curves.plot(names=["valid"])


def test_names_are_ticks() -> None:
    curves = CurveResult(np.array(["true", "random"]), {"accuracy": np.array([[0.5], [1.0]])})
    ticks = [tick.get_text() for tick in curves.plot().ax_.get_xticklabels()]
    assert ticks == ["true", "random"]


def drawn(setting: int, seed: int) -> list[float]:
    return [setting, np.random.RandomState(seed).rand()]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_repeats_share_their_seeds(n_jobs: int | None) -> None:
    settings: dict[str, Any] = {"n_repeats": 3, "n_jobs": n_jobs, "verbose": 0, "what": "draws"}
    found = repeated(drawn, [1, 2], random_state=0, **settings)
    assert found.shape == (2, 3, 2)
    np.testing.assert_array_equal(found[0, :, 1], found[1, :, 1])
    assert len(np.unique(found[0, :, 1])) == 3
    np.testing.assert_array_equal(found, repeated(drawn, [1, 2], random_state=0, **settings))
    with pytest.raises(ValueError, match="n_repeats must be an integer >= 1, got 0"):
        repeated(drawn, [1], random_state=0, **settings | {"n_repeats": 0})


def test_curves_that_nothing_measures(curves: CurveResult) -> None:
    with pytest.raises(TypeError, match="CurveResultDisplay has no from_estimator"):
        CurveResultDisplay.from_estimator(None)
