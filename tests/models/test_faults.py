"""Whose fault an error is: the samples', where that can be seen, and else the model's, by its name."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skhalfway.models._faults import explained, named, type_name

GAPS = np.ones((3, 4))
GAPS[2, 1] = np.nan


def raising(error):
    def function(*args):
        raise error

    return function


@pytest.mark.parametrize("said", ["NaN is here", "some nan", "Input contains NAN", "missing values"])
def test_gaps_that_a_model_complains_of_are_named(said):
    message = r"Input X contains NaN, in X\[2, 1\], and the model takes no missing values; impute them"
    with pytest.raises(ValueError, match=message):
        explained(GAPS, raising(RuntimeError(said)))
    # whole samples have none, so that it means something else
    with pytest.raises(RuntimeError, match=said):
        explained(np.ones((3, 4)), raising(RuntimeError(said)))


def test_what_is_said_of_something_else_is_the_models():
    with pytest.raises(RuntimeError, match="no such weight"):
        explained(GAPS, raising(RuntimeError("no such weight")))


@pytest.mark.parametrize(
    ("shape", "looks"),
    [
        ((2, 8, 8, 3), True),
        ((2, 8, 8, 1), True),
        ((2, 8, 8, 4), True),
        ((2, 5, 8, 3), True),
        ((2, 8, 8, 2), False),
        ((2, 8, 8, 5), False),
        ((2, 3, 8, 3), False),
        ((2, 1, 8, 3), False),
        ((2, 4, 8, 3), False),
        ((2, 3, 8, 8), False),
        ((2, 8, 3), False),
        ((2, 8, 8, 8, 3), False),
    ],
)
def test_images_with_their_channels_last(shape, looks):
    """1, 3 or 4 channels, where the second axis cannot be these."""
    error, message = RuntimeError("expected 3 channels"), "expected 3 channels"
    if looks:
        message = r"looks like \(n, height, width, channels\).* The model says: expected 3 channels"
    with pytest.raises(ValueError if looks else RuntimeError, match=message):
        explained(np.zeros(shape), raising(error))


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no"), ValueError, "model 'net': no"),
        (TypeError("no"), TypeError, "model 'net': no"),
        (NotFittedError("no"), NotFittedError, "model 'net': no"),
        (KeyError("no"), RuntimeError, "model 'net' raised KeyError: 'no'"),
        (ValueError("model 'inner': no"), ValueError, "model 'net': no"),
        (ValueError("model 'inner' raised KeyError: no"), ValueError, "model 'net' raised KeyError: no"),
        (ValueError("of model 'inner': no"), ValueError, "model 'net': of model 'inner': no"),
    ],
)
def test_a_models_error_has_its_name_once(error, kind, message):
    with pytest.raises(kind) as raised:
        named("net", raising(error))
    assert type(raised.value) is kind and str(raised.value) == message
    assert raised.value.__cause__ is error
    assert named("net", max, 1, 2) == 2


def test_warnings_that_are_errors_stay_warnings():
    with pytest.raises(UserWarning, match="^mind$"):
        named("net", raising(UserWarning("mind")))


def test_a_frozen_model_is_called_by_what_is_in_it():
    assert type_name(FrozenEstimator(FrozenEstimator(LogisticRegression()))) == "LogisticRegression"
