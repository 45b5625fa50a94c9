"""Kernels between samples, approximations of kernels, and distances to centres."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
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
from sklearn.preprocessing import KernelCenterer
from torch import nn

from skhalfway._text import shown
from skhalfway.models._distances import ChiSquared, Distances
from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._registry import NotDifferentiableError, register_module


class Kernel(nn.Module):
    """Kernel matrix (n_samples, n_points) by scikit-learn's pairwise kernels, with their default parameters.

    Names and formulas are those of ``sklearn.metrics.pairwise.pairwise_kernels``.
    """

    points: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self, name: str, points: Any, gamma: float | None = None, degree: float = 3, coef0: float = 1
    ) -> None:
        super().__init__()
        points = tensor(points)
        if gamma is None:
            gamma = 1.0 if name == "chi2" else 1 / points.shape[1]
        self.name = {"polynomial": "poly"}.get(name, name)
        self.gamma, self.degree, self.coef0 = gamma, degree, coef0
        if name == "cosine":
            points = torch.nn.functional.normalize(points)
        self.register_buffer("points", points)
        self.register_buffer("shift", -gamma * points.square().sum(dim=1))

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.points.T

    def poly(self, x: torch.Tensor) -> torch.Tensor:
        return (self.gamma * (x @ self.points.T) + self.coef0).pow(self.degree)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.gamma * (x @ self.points.T) + self.coef0)

    def rbf(self, x: torch.Tensor) -> torch.Tensor:
        # -gamma ||x - p||^2 is expanded, so that it is one matrix product, in one piece of memory
        kernel = torch.addmm(self.shift, x, self.points.T, alpha=2 * self.gamma)
        return kernel.sub_(self.gamma * x.square().sum(dim=1, keepdim=True)).exp_()

    def laplacian(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(-self.gamma * torch.cdist(x, self.points, p=1))

    def cosine(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(x) @ self.points.T

    def additive_chi2(self, x: torch.Tensor) -> torch.Tensor:
        return -ChiSquared.apply(x, self.points)

    def chi2(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(self.gamma * self.additive_chi2(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return getattr(self, self.name)(x)


# pairwise_kernels ignores those that a kernel does not have
_PARAMETERS = ("gamma", "degree", "coef0")
_KERNELS = (
    *("additive_chi2", "chi2", "cosine", "laplacian", "linear"),
    *("poly", "polynomial", "rbf", "sigmoid"),
)


def _kernel(estimator: Any, points: Any, parameters: dict[str, Any]) -> Kernel:
    if callable(estimator.kernel) or estimator.kernel not in _KERNELS:
        raise NotDifferentiableError(
            f"{type(estimator).__name__} with kernel={shown(estimator.kernel)} has no gradient here; "
            f"the kernels {', '.join(_KERNELS)} have"
        )
    return Kernel(estimator.kernel, points, **parameters)


@register_module(Nystroem)
def nystroem(estimator: Nystroem) -> nn.Module:
    given = {name: getattr(estimator, name) for name in _PARAMETERS}
    parameters = (estimator.kernel_params or {}) | {k: v for k, v in given.items() if v is not None}
    parameters = {name: value for name, value in parameters.items() if name in _PARAMETERS}
    return nn.Sequential(
        _kernel(estimator, estimator.components_, parameters), dense_layer(estimator.normalization_, 0.0)
    )


@register_module(KernelPCA)
def kernel_pca(estimator: KernelPCA) -> nn.Module:
    parameters = {"gamma": estimator.gamma_, "degree": estimator.degree, "coef0": estimator.coef0}
    kernel = _kernel(estimator, estimator.X_fit_, parameters)
    values, vectors = estimator.eigenvalues_, estimator.eigenvectors_
    # components without variance stay zero
    weight = np.divide(vectors, np.sqrt(values), out=np.zeros_like(vectors), where=values != 0).T
    # centring is an affine map of a kernel's row, so it is merged into the weights
    weight = weight - weight.mean(axis=1, keepdims=True)
    return nn.Sequential(kernel, dense_layer(weight, weight @ _offset(estimator._centerer)))


class Centred(nn.Module):
    offset: torch.Tensor

    def __init__(self, offset: Any) -> None:
        super().__init__()
        self.register_buffer("offset", tensor(offset))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=1, keepdim=True) + self.offset


def _offset(centerer: KernelCenterer) -> np.ndarray:
    return centerer.K_fit_all_ - centerer.K_fit_rows_


@register_module(KernelCenterer)
def kernel_centerer(centerer: KernelCenterer) -> nn.Module:
    return Centred(_offset(centerer))


class Waves(nn.Module):
    """Random Fourier features: ``scale * cos(x)``."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.cos(x)


class LogFrom(nn.Module):
    def __init__(self, start: float) -> None:
        super().__init__()
        self.start = start

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x + self.start)


@register_module(RBFSampler)
def rbf_sampler(sampler: RBFSampler) -> nn.Module:
    projection = dense_layer(sampler.random_weights_.T, sampler.random_offset_)
    return nn.Sequential(projection, Waves((2 / sampler.n_components) ** 0.5))


@register_module(SkewedChi2Sampler)
def skewed_chi2_sampler(sampler: SkewedChi2Sampler) -> nn.Module:
    return nn.Sequential(LogFrom(sampler.skewedness), rbf_sampler(sampler))


class AdditiveChi2(nn.Module):
    """Vedaldi and Zisserman, Efficient Additive Kernels via Explicit Feature Maps (2011), eq. (16).

    At 0, where the slope is infinite, the gradient is 0.
    """

    def __init__(self, n_steps: int, interval: float) -> None:
        super().__init__()
        self.n_steps, self.interval = n_steps, interval

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _AdditiveChi2.apply(x, self.n_steps, self.interval).flatten(1)


class _AdditiveChi2(torch.autograd.Function):
    """``h sqrt(x) cos(w log x)`` and the same with a sine, for frequencies w and heights h.

    The derivative of each, times x, is half of it plus or minus w times the other, so that nothing else is
    kept.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, n_steps: int, interval: float) -> torch.Tensor:
        positive = x > 0
        safe = torch.where(positive, x, 1.0)
        root, log = safe.sqrt().mul_(positive).mul_(interval**0.5), safe.log_()
        features = x.new_empty(len(x), 2 * n_steps - 1, x.shape[1])
        features[:, 0] = root
        for j in range(1, n_steps):
            height = (2 / np.cosh(np.pi * j * interval)) ** 0.5
            features[:, 2 * j - 1] = torch.cos(j * interval * log).mul_(root).mul_(height)
            features[:, 2 * j] = torch.sin(j * interval * log).mul_(root).mul_(height)
        ctx.save_for_backward(x, features)
        ctx.interval = interval
        return features

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, features = ctx.saved_tensors
        slope = (grad * features).sum(dim=1).div_(2)
        for j in range(1, (features.shape[1] + 1) // 2):
            (cos, sin), (of_cos, of_sin) = (of[:, 2 * j - 1 : 2 * j + 1].unbind(1) for of in (features, grad))
            slope.add_(of_sin * cos - of_cos * sin, alpha=j * ctx.interval)
        return torch.where(x > 0, slope / x, 0.0), None, None


@register_module(AdditiveChi2Sampler)
def additive_chi2_sampler(sampler: AdditiveChi2Sampler) -> nn.Module:
    interval = sampler.sample_interval
    # scikit-learn's choice, from figure 2c of the same article
    return AdditiveChi2(
        sampler.sample_steps, {1: 0.8, 2: 0.5, 3: 0.4}[sampler.sample_steps] if interval is None else interval
    )


class Convolve(nn.Module):
    """Circular convolution of the ``degree`` parts of a row."""

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sketches = x.unflatten(1, (self.degree, -1))
        spectrum = reduce(torch.mul, torch.fft.rfft(sketches).unbind(dim=1))
        return torch.fft.irfft(spectrum, n=sketches.shape[2])


@register_module(PolynomialCountSketch)
def polynomial_count_sketch(sketch: PolynomialCountSketch) -> nn.Module:
    """Count sketches are linear; their convolution sketches the polynomial kernel (Pham and Pagh, 2013)."""
    n_features = sketch.n_features_in_
    weight = np.zeros((sketch.degree, sketch.n_components, sketch.indexHash_.shape[1]))
    np.put_along_axis(weight, sketch.indexHash_[:, None], sketch.bitHash_[:, None], axis=1)
    weight = weight.reshape(-1, weight.shape[2])
    # coef0 adds a last, constant feature
    offset = sketch.coef0**0.5 * weight[:, n_features:].sum(axis=1)
    return nn.Sequential(
        dense_layer(sketch.gamma**0.5 * weight[:, :n_features], offset), Convolve(sketch.degree)
    )


@register_module(KMeans, MiniBatchKMeans, BisectingKMeans)
def k_means(estimator: KMeans) -> nn.Module:
    return Distances(estimator.cluster_centers_)


@register_module(Birch)
def birch(estimator: Birch) -> nn.Module:
    return Distances(estimator.subcluster_centers_)
