"""Networks that follow a function: the construction, its bound, training, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from skhalfway.inspection import approximation_curve
from skhalfway.inspection._approximation import bound, constructed, largest_change

PLACES = np.linspace(0, 1, 20_001)
FUNCTIONS = {
    "line": lambda x: x,
    "wave": lambda x: np.sin(9 * x),
    "root": np.sqrt,
    "kink": lambda x: np.abs(x - 0.3),
    "constant": lambda x: 0 * x + 2,
}


@pytest.mark.parametrize("n", [1, 3, 10, 64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_steps_keep_to_the_bound(name, n):
    values = FUNCTIONS[name](PLACES)
    error = np.abs(constructed(PLACES, values, n, None) - values).max()
    bound = largest_change(values, 0.5 / n)
    assert error <= bound + 1e-4
    if name == "line":
        assert error == pytest.approx(bound, abs=1e-4)
        assert error == pytest.approx(0.5 / n, abs=1e-4)


@pytest.mark.parametrize("steepness", [0.1, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_sigmoids_keep_to_a_bound_of_their_own(name, steepness):
    values = FUNCTIONS[name](PLACES)
    for n in (1, 3, 16):
        error = np.abs(constructed(PLACES, values, n, steepness) - values).max()
        assert error <= bound(PLACES, values, n, steepness) + 1e-4
        assert bound(PLACES, values, n, steepness) >= bound(PLACES, values, n, None) - 1e-9


def test_very_steep_sigmoids_keep_to_the_bound_of_steps():
    values = FUNCTIONS["kink"](PLACES)
    # where a rise is met in its middle, half of the next value counts
    assert bound(PLACES, values, 3, 1e9) <= (0.5 / 3 + 1.5 / 3) / 2 + 1e-4
    assert bound(PLACES, values, 3, None) == pytest.approx(0.5 / 3, abs=1e-4)


def test_the_largest_change_is_that_of_all_pairs():
    rng = np.random.RandomState(0)
    values = np.cumsum(rng.standard_normal(101))
    for distance in (0.02, 0.1, 0.5, 1.0):
        reach = round(distance * 100)
        pairs = [abs(values[i] - values[j]) for i in range(101) for j in range(i, min(101, i + reach + 1))]
        assert largest_change(values, distance) == pytest.approx(max(pairs))


def test_steep_sigmoids_are_steps_away_from_the_jumps():
    values = FUNCTIONS["wave"](PLACES)
    steps, sigmoids = (constructed(PLACES, values, 5, steepness) for steepness in (None, 1000.0))
    away = np.abs(5 * PLACES - 0.5 - np.round(5 * PLACES - 0.5)) > 0.02
    np.testing.assert_allclose(sigmoids[away], steps[away], atol=1e-6)


def test_errors_fall_with_width_and_follow_the_seed():
    curve = approximation_curve(FUNCTIONS["wave"], widths=[2, 16], n_repeats=2, random_state=0)
    assert (curve.values["constructed"] <= curve.values["bound"] + 1e-4).all()
    assert curve.means["trained"][1] < curve.means["trained"][0]
    assert curve == approximation_curve(FUNCTIONS["wave"], widths=[2, 16], n_repeats=2, random_state=0)
    assert curve.x_label == "hidden units"
    scaled = approximation_curve(lambda x: 1e6 * np.sin(9 * x), widths=[16], n_repeats=1, random_state=0)
    assert scaled.values["trained"][0, 0] < 1e6


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: approximation_curve(3), TypeError, "function must be callable"),
        (lambda: approximation_curve(lambda x: 1 / x), ValueError, "finite number for each"),
        (lambda: approximation_curve(lambda x: x[:3]), ValueError, "got shape .3,."),
        (lambda: approximation_curve(lambda x: float("a")), ValueError, "does not take an array"),
        (lambda: approximation_curve(np.sin, widths=[0]), ValueError, "widths"),
        (lambda: approximation_curve(np.sin, widths=[4, 2]), ValueError, "widths"),
        (lambda: approximation_curve(np.sin, n_repeats=0), ValueError, "n_repeats must be"),
        (lambda: approximation_curve(np.sin, steepness=0), ValueError, "steepness must be"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
