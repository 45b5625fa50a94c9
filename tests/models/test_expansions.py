"""Polynomials and splines against scikit-learn's own output."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from skhalfway.models import NotDifferentiableError, to_module

EXTRAPOLATIONS = ["constant", "linear", "continue", "periodic"]
SPLINES = [
    SplineTransformer(5, degree=degree, knots=knots, extrapolation=extrapolation)
    for degree in (1, 2, 3)
    for knots in ("uniform", "quantile")
    for extrapolation in EXTRAPOLATIONS
    if (degree, extrapolation) != (1, "linear")
]
TRANSFORMERS = [
    PolynomialFeatures(),
    PolynomialFeatures(3),
    PolynomialFeatures((2, 3), include_bias=False),
    PolynomialFeatures(3, interaction_only=True),
    PolynomialFeatures(0),
    PolynomialFeatures(1, include_bias=False),
    *SPLINES,
    SplineTransformer(4, include_bias=False),
    SplineTransformer(4, sparse_output=True),
    SplineTransformer(knots=np.array([[0.0] * 4, [2.0] * 4, [5.0] * 4])),
]
each_transformer = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)


@each_transformer
def test_output_is_the_transformers_own(transformer, load, fit):
    X, _ = load("iris")
    fitted = fit(transformer, "iris")
    X = np.vstack([X, 1.7 * X, -X, np.zeros_like(X[:1])])
    expected = fitted.transform(X)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    np.testing.assert_allclose(to_module(fitted)(torch.from_numpy(X)).numpy(), expected, rtol=1e-9, atol=1e-9)


@each_transformer
@pytest.mark.parametrize("scale", [0.9, 2.0], ids=["inside", "beyond"])
def test_gradient(transformer, scale, load, fit, check_gradient):
    check_gradient(fit(transformer, "iris"), scale * load("iris")[0])


def test_polynomials_keep_their_gradient_at_zero():
    module = to_module(PolynomialFeatures().fit(np.zeros((1, 2))))
    x = torch.tensor([[0.0, 3.0]], dtype=torch.float64)
    # 1, a, b, a^2, ab, b^2
    gradient = torch.autograd.functional.jacobian(module, x)[0, :, 0]
    assert gradient.tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [3, 0], [0, 6]]


def test_a_missing_value_gives_no_spline_and_the_gradient_zero(load, fit):
    module = to_module(fit(SplineTransformer(4), "iris"))
    x = torch.from_numpy(load("iris")[0][:3].copy())
    x[1, 2] = torch.nan
    x.requires_grad_()
    value = module(x)
    (gradient,) = torch.autograd.grad(value.square().sum(), x)
    assert (value[1].reshape(4, -1)[2] == 0).all()
    assert gradient[1, 2] == 0
    assert torch.isfinite(gradient).all()


def test_splines_that_may_not_extrapolate_go_on(load, fit):
    X, _ = load("iris")
    strict, free = (to_module(fit(SplineTransformer(extrapolation=e), "iris")) for e in ("error", "continue"))
    for x in (torch.from_numpy(X), torch.from_numpy(2 * X)):
        torch.testing.assert_close(strict(x), free(x))


@pytest.mark.parametrize(
    ("transformer", "reason"),
    [
        (SplineTransformer(degree=0), "degree=0.* is made of steps"),
        (
            SplineTransformer(degree=1, extrapolation="linear"),
            "jumps inside the range of all features but the first",
        ),
    ],
)
def test_splines_without_a_gradient(transformer, reason, load, fit):
    with pytest.raises(NotDifferentiableError, match=reason):
        to_module(fit(transformer, "iris"))


def test_one_linear_spline_goes_on_linearly(load):
    X = load("iris")[0][:, :1]
    fitted = SplineTransformer(degree=1, extrapolation="linear").fit(X)
    X = np.vstack([X, 2 * X, -X])
    np.testing.assert_allclose(to_module(fitted)(torch.from_numpy(X)).numpy(), fitted.transform(X), atol=1e-9)
