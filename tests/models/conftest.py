"""Data sets, fitted estimators and the measurements that the tests of ``models`` share."""

import warnings
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from skhalfway.models import Model, as_model, to_module
from skhalfway.models._member_outputs import decision, log_probability


@cache
def _load(name):
    if name == "breast":
        X, y = load_breast_cancer(return_X_y=True)
        return scale(X)[:200], y[:200]
    if name == "iris":
        return load_iris(return_X_y=True)
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@cache
def _fit(estimator, name, relabel=None):
    X, y = _load(name)
    with warnings.catch_warnings():
        # how well a fit converges, and that a class or a default is deprecated, is not tested here
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return clone(estimator).fit(X, y if relabel is None else relabel(y))


def _logits(model, X):
    with model.evaluating():
        return model.logits(torch.from_numpy(X)).detach().numpy()


def _check_logits(estimator, X):
    """Compare logits with the estimator's own scores, both with its predictions."""
    model = as_model(estimator)
    z = _logits(model, X)
    assert z.shape == (len(X), len(estimator.classes_))
    if hasattr(estimator, "decision_function"):
        own = estimator.decision_function(X)
        np.testing.assert_allclose(z[:, 1] - z[:, 0] if own.ndim == 1 else z, own, atol=1e-5)
    else:
        np.testing.assert_allclose(softmax(z, axis=1), estimator.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(estimator.classes_[z.argmax(axis=1)], estimator.predict(X))
    np.testing.assert_array_equal(estimator.classes_[model.predict(X)], estimator.predict(X))


def _check_gradient(part, X):
    """Compare the gradient with central differences, near a few rows of X."""
    forward = part.logits if isinstance(part, Model) else to_module(part)
    step = 1e-6
    for row in X[[10, -10]]:
        # off the data, where zero pixels, and equal ones, are edges
        x = torch.from_numpy(row + np.random.default_rng(0).normal(scale=0.1, size=row.shape))
        moves = step * torch.eye(len(x), dtype=torch.float64)
        rise = (forward(x + moves) - forward(x - moves)).detach() / (2 * step)
        gradient = torch.autograd.functional.jacobian(lambda x: forward(x[None])[0], x)
        np.testing.assert_allclose(gradient.T.numpy(), rise.numpy(), rtol=1e-4, atol=1e-5)


def _agreement(estimator, X):
    model = as_model(estimator)
    return (_logits(model, X).argmax(axis=1) == model.predict(X)).mean()


def _check_responses(estimator, X, atol=1e-5):
    """Compare what a meta-estimator would ask with what the estimator answers."""
    assert as_model(estimator).has_gradient
    for name, respond in {"predict_proba": log_probability, "decision_function": decision}.items():
        if not hasattr(estimator, name):
            continue
        own = getattr(estimator, name)(X)
        ours = respond(estimator)(torch.from_numpy(X)).detach()
        ours = ours.exp() if name == "predict_proba" else ours
        np.testing.assert_allclose(ours.numpy().reshape(own.shape), own, atol=atol, err_msg=name)


@pytest.fixture(scope="session")
def load():
    """``load(name)`` gives the X and y of "breast" (2 classes), "iris" (3) or "digits" (10)."""
    return _load


@pytest.fixture(scope="session")
def fit():
    """``fit(estimator, name, relabel=None)`` gives a clone fitted to that data, the same at every call."""
    return _fit


@pytest.fixture(scope="session")
def logits():
    """``logits(model, X)`` gives an array, in the float type of X."""
    return _logits


@pytest.fixture(scope="session")
def check_logits():
    """``check_logits(estimator, X)`` fails where they, or the predictions, are not the estimator's own."""
    return _check_logits


@pytest.fixture(scope="session")
def check_gradient():
    """``check_gradient(model_or_transformer, X)`` fails where a float64 gradient is wrong."""
    return _check_gradient


@pytest.fixture(scope="session")
def agreement():
    """``agreement(estimator, X)`` is the share of X whose largest logit is its prediction."""
    return _agreement


@pytest.fixture(scope="session")
def check_responses():
    """``check_responses(estimator, X)`` fails where its probabilities or decisions, as modules, are off."""
    return _check_responses
