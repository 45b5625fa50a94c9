"""Quantiles and powers against scikit-learn's own output."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from skhalfway.models import to_module

QUANTILES = [
    QuantileTransformer(n_quantiles=n, output_distribution=distribution)
    for n in (2, 20, 150)
    for distribution in ("uniform", "normal")
]
POWERS = [PowerTransformer(), PowerTransformer(standardize=False)]
each_transformer = pytest.mark.parametrize("transformer", QUANTILES + POWERS, ids=str)


@pytest.mark.parametrize("data", ["breast", "iris", "digits"])
@each_transformer
def test_output_is_the_transformers_own(transformer, data, load, fit):
    X, _ = load(data)
    fitted = fit(transformer, data)
    # between, on and beyond the quantiles (of digits, several are the same); next to the ends; missing
    X = np.vstack([X, 1.3 * X, -X, X + 1e-8, X - 1e-8, np.full_like(X[:1], np.nan)])
    ours = to_module(fitted)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(ours, fitted.transform(X), atol=1e-7)


@each_transformer
def test_gradient(transformer, load, fit, check_gradient):
    check_gradient(fit(transformer, "breast"), load("breast")[0])


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_gradient_beyond_the_quantiles_is_zero(distribution, load):
    X, _ = load("iris")
    module = to_module(QuantileTransformer(n_quantiles=50, output_distribution=distribution).fit(X))
    x = torch.from_numpy(np.array([X.max(axis=0) + 1, X.min(axis=0) - 1])).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).sum(), x)
    assert (gradient == 0).all()


POSITIVE = np.random.default_rng(0).lognormal(size=(100, 3))


@pytest.mark.parametrize("standardize", [False, True])
def test_box_cox(standardize):
    transformer = PowerTransformer("box-cox", standardize=standardize).fit(POSITIVE)
    X = np.vstack([POSITIVE, 3 * POSITIVE, [[np.nan, 1, 2]]])
    module = to_module(transformer)
    np.testing.assert_allclose(module(torch.from_numpy(X)).numpy(), transformer.transform(X), atol=1e-10)
    assert torch.autograd.gradcheck(module, torch.from_numpy(X[:5]).requires_grad_())


@pytest.mark.parametrize("method", ["box-cox", "yeo-johnson"])
def test_exponents_where_the_power_is_a_logarithm(method):
    transformer = PowerTransformer(method, standardize=False).fit(POSITIVE)
    transformer.lambdas_ = np.array([0.0, 2.0, 1e-5])
    X = POSITIVE if method == "box-cox" else np.vstack([POSITIVE, -POSITIVE, np.zeros((1, 3))])
    module = to_module(transformer)
    np.testing.assert_allclose(module(torch.from_numpy(X)).numpy(), transformer.transform(X), rtol=1e-8)
    assert torch.autograd.gradcheck(module, torch.from_numpy(X[:5]).requires_grad_())


def test_yeo_johnson_has_slope_one_at_zero(load, fit):
    transformer = fit(PowerTransformer(standardize=False), "breast")
    x = torch.zeros(1, transformer.n_features_in_, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(to_module(transformer)(x).sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x))


@each_transformer
def test_missing_values_have_the_gradient_zero_and_spoil_no_other(transformer, load, fit):
    fitted = fit(transformer, "breast")
    x = torch.from_numpy(load("breast")[0][:4].copy())
    known = torch.autograd.functional.jacobian(lambda x: to_module(fitted)(x).sum(dim=0), x)
    x[1, 2] = torch.nan
    gradient = torch.autograd.functional.jacobian(
        lambda x: torch.nan_to_num(to_module(fitted)(x)).sum(dim=0), x
    )
    known[:, 1, 2] = 0
    torch.testing.assert_close(gradient, known)
