"""Kernels, their approximations and distances, against scikit-learn's own output."""

import numpy as np
import pytest
import torch
from sklearn.cluster import Birch, BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.decomposition import KernelPCA
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import KERNEL_PARAMS, pairwise_kernels
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KernelCenterer

from skhalfway.models import NotDifferentiableError, as_model, to_module
from skhalfway.models._kernels import Kernel

NOT_NEGATIVE = {"additive_chi2", "chi2"}
PARAMETERS = {"gamma": 0.07, "degree": 2, "coef0": 0.4}
KERNELS = [(name, {}) for name in KERNEL_PARAMS] + [
    (name, {p: PARAMETERS[p] for p in taken}) for name, taken in KERNEL_PARAMS.items() if taken
]
each_kernel = pytest.mark.parametrize(("name", "parameters"), KERNELS)

rng = np.random.default_rng(0)
SMALL = {"n_components": 20, "random_state": 0}


@each_kernel
def test_kernel_is_scikit_learns_own(name, parameters):
    points, X = rng.uniform(size=(5, 4)), rng.uniform(0, 2, size=(9, 4))
    X[0], X[1], points[0] = 0, points[1], 0
    if name not in NOT_NEGATIVE:
        X[2:4] *= -1
    kernel = Kernel(name, points, **parameters)
    ours = kernel(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(ours, pairwise_kernels(X, points, name, **parameters), atol=1e-12)


@each_kernel
def test_gradient_of_kernels(name, parameters):
    points, x = rng.uniform(size=(5, 4)), torch.from_numpy(rng.uniform(size=(3, 4)))
    kernel = Kernel(name, points, **parameters)
    assert torch.autograd.gradcheck(kernel, x.requires_grad_())


@pytest.mark.parametrize("name", KERNEL_PARAMS)
def test_gradient_of_kernels_is_finite_at_a_point_and_at_zero(name):
    points = np.array([[0.0, 0.0], [0.5, 0.2]])
    x = torch.tensor(points, requires_grad=True)
    (gradient,) = torch.autograd.grad(Kernel(name, points)(x).sum(), x)
    assert torch.isfinite(gradient).all()


APPROXIMATIONS = [
    *(Nystroem(name, **SMALL) for name in KERNEL_PARAMS),
    Nystroem("rbf", gamma=0.02, **SMALL),
    Nystroem("poly", gamma=0.1, coef0=0.5, degree=2, **SMALL),
    Nystroem("polynomial", kernel_params={"gamma": 0.1, "degree": 4}, **SMALL),
    Nystroem("chi2", kernel_params={"gamma": 0.3, "degree": 4}, **SMALL),
    *(KernelPCA(8, kernel=name) for name in ("linear", "poly", "rbf", "sigmoid", "cosine")),
    KernelPCA(8, kernel="rbf", gamma=0.1),
    KernelPCA(8, kernel="poly", degree=2, coef0=2, gamma=0.1),
    RBFSampler(**SMALL),
    RBFSampler(gamma="scale", **SMALL),
    SkewedChi2Sampler(skewedness=0.5, **SMALL),
    *(AdditiveChi2Sampler(sample_steps=n) for n in (1, 2, 3)),
    AdditiveChi2Sampler(sample_steps=4, sample_interval=0.3),
    PolynomialCountSketch(**SMALL),
    PolynomialCountSketch(degree=3, gamma=0.2, coef0=0.7, n_components=21, random_state=0),
    PolynomialCountSketch(degree=1, **SMALL),
    KMeans(4, n_init=1, random_state=0),
    MiniBatchKMeans(4, n_init=1, random_state=0),
    BisectingKMeans(4, random_state=0),
    Birch(threshold=1.5, n_clusters=3),
]
each_approximation = pytest.mark.parametrize("transformer", APPROXIMATIONS, ids=str)


@each_approximation
def test_output_is_the_transformers_own(transformer, load, fit):
    X, _ = load("digits")
    fitted = fit(transformer, "digits")
    # rows that it did not see, zeros among them; none is negative
    X = np.vstack([X[:50], 1.7 * X[50:100], np.zeros_like(X[:1])])
    ours = to_module(fitted)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(ours, fitted.transform(X), atol=1e-6)


@each_approximation
def test_gradient(transformer, load, fit, check_gradient):
    # where every feature is positive, as some kernels need
    check_gradient(fit(transformer, "digits"), load("digits")[0] + 0.5)


def test_centred_kernel_matrix(load):
    X, _ = load("iris")
    K = X[:20] @ X[:20].T
    centerer = KernelCenterer().fit(K)
    K = X @ X[:20].T
    ours = to_module(centerer)(torch.from_numpy(K)).numpy()
    np.testing.assert_allclose(ours, centerer.transform(K.copy()), atol=1e-10)


def test_components_without_variance(load):
    X, _ = load("iris")
    pca = KernelPCA(8, kernel="linear", remove_zero_eig=False).fit(X)
    ours = to_module(pca)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(ours, pca.transform(X), atol=1e-8)


def test_additive_chi2_is_flat_at_zero():
    x = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    sampler = AdditiveChi2Sampler().fit(np.ones((1, 2)))
    (gradient,) = torch.autograd.grad(to_module(sampler)(x).sum(), x)
    assert (gradient == 0).all()


@pytest.mark.parametrize("estimator", [Nystroem, KernelPCA])
def test_kernels_of_the_users_own_have_no_gradient(estimator, load):
    X, _ = load("iris")
    fitted = estimator(n_components=3, kernel=_overlap).fit(X)
    with pytest.raises(
        NotDifferentiableError, match=f"{estimator.__name__} with kernel=.* has no gradient here"
    ):
        to_module(fitted)


def _overlap(a, b):
    return np.minimum(a, b).sum()


@pytest.mark.parametrize(
    "transformer", [Nystroem(n_components=30, random_state=0), RBFSampler(random_state=0)]
)
def test_in_front_of_a_classifier(transformer, load, fit, check_logits):
    X, _ = load("digits")
    check_logits(fit(make_pipeline(transformer, LogisticRegression(max_iter=20)), "digits"), X)
    assert as_model(fit(make_pipeline(transformer, LogisticRegression(max_iter=20)), "digits")).has_gradient
