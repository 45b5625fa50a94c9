"""Gaussian process classifiers and their kernels against scikit-learn's."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import (
    RBF,
    CompoundKernel,
    ConstantKernel,
    DotProduct,
    ExpSineSquared,
    Matern,
    PairwiseKernel,
    RationalQuadratic,
    WhiteKernel,
)

from skhalfway.models import NotDifferentiableError, as_model
from skhalfway.models._gaussian_process import to_kernel

KERNELS = {
    "RBF": RBF(2.0),
    "RBF of a length each": RBF([1.0, 2.0, 0.5, 3.0]),
    **{f"Matern {nu}": Matern(1.5, nu=nu) for nu in (0.5, 1.5, 2.5, np.inf)},
    "rational quadratic": RationalQuadratic(2.0, alpha=0.7),
    "periodic": ExpSineSquared(2.0, periodicity=9.0),
    # small, as the five error functions lose digits next to 0 and 1
    "dot product": 0.05 * DotProduct(1.5),
    "sum": RBF(2.0) + ConstantKernel(0.3),
    "product and noise": 1.5 * Matern(2.0, nu=1.5) + WhiteKernel(0.2),
    "power": DotProduct(1.0) ** 2,
    "nested": (0.5 * RBF(1.0) + RationalQuadratic(1.0)) * (DotProduct(1.0) + WhiteKernel(0.1)),
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def process(kernel, **parameters):
    return GaussianProcessClassifier(kernel, optimizer=None, **parameters)


@each_kernel
def test_kernel(kernel, load):
    X, _ = load("iris")
    x, points = torch.from_numpy(X[::7]), X[::5] + 0.01
    ours = to_kernel(kernel, points)
    np.testing.assert_allclose(ours(x), kernel(x.numpy(), points), rtol=1e-9)
    np.testing.assert_allclose(ours.diagonal(x), kernel.diag(x.numpy()), rtol=1e-9)


@each_kernel
def test_several_classes(kernel, load, fit, check_logits, check_gradient):
    X, _ = load("iris")
    classifier = fit(process(kernel), "iris")
    check_logits(classifier, X)
    check_gradient(as_model(classifier), X)


@pytest.mark.parametrize("kernel", [None, 2.0 * RBF(5.0), Matern(4.0, nu=2.5)], ids=str)
def test_two_classes(kernel, load, fit, check_logits, check_gradient, check_responses):
    X, _ = load("breast")
    classifier = fit(process(kernel), "breast")
    check_logits(classifier, X + 0.1)
    check_responses(classifier, X + 0.1)
    check_gradient(as_model(classifier), X)


def test_tuned_kernel(load, check_logits):
    X, y = load("iris")
    check_logits(GaussianProcessClassifier(1.0 * RBF(1.0)).fit(X[50:], y[50:]), X)


def test_one_against_one(load, fit, agreement, check_gradient):
    X, _ = load("iris")
    classifier = fit(process(RBF(2.0), multi_class="one_vs_one"), "iris")
    assert agreement(classifier, X) > 0.99
    check_gradient(as_model(classifier), X)


def test_gradient_at_a_training_sample_is_finite(load, fit):
    X, _ = load("iris")
    model = as_model(fit(process(Matern(nu=0.5)), "iris"))
    x = torch.from_numpy(X[:3]).requires_grad_()
    (gradient,) = torch.autograd.grad(model.logits(x).sum(), x)
    assert torch.isfinite(gradient).all()


def test_module_copies(load, fit):
    X, _ = load("iris")
    x = torch.from_numpy(X)
    module = as_model(fit(process(KERNELS["nested"]), "iris")).module
    for copy in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(copy(x), module(x))


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (Matern(nu=1.0), r"Matern\(nu=1.0\) needs a Bessel function.* nu may be 0.5, 1.5, 2.5 or inf"),
        (1.0 * PairwiseKernel(metric="laplacian"), "the kernel PairwiseKernel has no gradient here"),
        (CompoundKernel([RBF(), RBF()]), "the kernel CompoundKernel has no gradient here"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_kernels(kernel, message):
    with pytest.raises(NotDifferentiableError, match=message):
        to_kernel(kernel, np.zeros((3, 2)))


def test_a_refused_kernel_makes_a_black_box(fit):
    model = as_model(fit(process(Matern(nu=1.0)), "breast"))
    assert not model.has_gradient
    assert "Bessel" in model.why_black_box
