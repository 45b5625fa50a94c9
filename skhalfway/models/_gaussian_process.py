"""Gaussian process classifiers: kernels, and the Laplace approximation's probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sklearn.gaussian_process import GaussianProcessClassifier, kernels
from sklearn.gaussian_process._gpc import COEFS, LAMBDAS, _BinaryGaussianProcessClassifierLaplace
from torch import nn

from skhalfway.models._distances import Distances
from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import register_delegate
from skhalfway.models._registry import NotDifferentiableError, register_module


class Kernel(nn.Module):
    """``kernel(x)`` between rows and fixed points; ``kernel.diagonal(x)``: of each row with itself."""

    def diagonal(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Stationary(Kernel):
    """A function of the distance between rows, each divided by the length scales."""

    length: torch.Tensor

    def __init__(self, points: Any, length: Any, of_distance: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.register_buffer("length", tensor(length))
        self.distances = Distances(points / length)
        self.of_distance = of_distance

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.of_distance(self.distances(x / self.length))

    def diagonal(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_ones(len(x))


# Rasmussen & Williams, "Gaussian Processes for Machine Learning", section 4.2.1
def _rbf(d: torch.Tensor) -> torch.Tensor:
    return torch.exp(-d.square() / 2)


def _matern_1(d: torch.Tensor) -> torch.Tensor:
    return torch.exp(-d)


def _matern_3(d: torch.Tensor) -> torch.Tensor:
    d = d * math.sqrt(3)
    return (1 + d) * torch.exp(-d)


def _matern_5(d: torch.Tensor) -> torch.Tensor:
    d = d * math.sqrt(5)
    return (1 + d + d.square() / 3) * torch.exp(-d)


def _rational_quadratic(d: torch.Tensor, alpha: float) -> torch.Tensor:
    return (1 + d.square() / (2 * alpha)) ** -alpha


def _exp_sine_squared(d: torch.Tensor, length: float, periodicity: float) -> torch.Tensor:
    return torch.exp(-2 * (torch.sin(math.pi / periodicity * d) / length).square())


_MATERN = {0.5: _matern_1, 1.5: _matern_3, 2.5: _matern_5, math.inf: _rbf}


class Constant(Kernel):
    def __init__(self, points: Any, value: float) -> None:
        super().__init__()
        self.n_points, self.value = len(points), float(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_tensor(self.value).expand(len(x), self.n_points)

    def diagonal(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_tensor(self.value).expand(len(x))


class White(Constant):
    """White noise, whose covariance of a row with any other point is 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros(1).expand(len(x), self.n_points)


class DotProduct(Kernel):
    points: torch.Tensor

    def __init__(self, points: Any, value: float) -> None:
        super().__init__()
        self.register_buffer("points", tensor(points))
        self.value = float(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.points.T + self.value

    def diagonal(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().sum(dim=1) + self.value


class Combined(Kernel):
    def __init__(
        self, combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], first: Kernel, second: Kernel
    ) -> None:
        super().__init__()
        self.combine, self.first, self.second = combine, first, second

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.combine(self.first(x), self.second(x))

    def diagonal(self, x: torch.Tensor) -> torch.Tensor:
        return self.combine(self.first.diagonal(x), self.second.diagonal(x))


def to_kernel(kernel: Any, points: Any) -> Kernel:
    """A kernel of scikit-learn between rows and ``points`` (n_points, n_features)."""
    # Matern is a subclass of RBF, so it comes first
    if isinstance(kernel, kernels.Matern):
        if kernel.nu in _MATERN:
            return Stationary(points, kernel.length_scale, _MATERN[kernel.nu])
        raise NotDifferentiableError(
            f"Matern(nu={kernel.nu}) needs a Bessel function, of which torch has no gradient; "
            "nu may be 0.5, 1.5, 2.5 or inf"
        )
    if isinstance(kernel, kernels.RBF):
        return Stationary(points, kernel.length_scale, _rbf)
    if isinstance(kernel, kernels.RationalQuadratic):
        return Stationary(points, kernel.length_scale, partial(_rational_quadratic, alpha=kernel.alpha))
    if isinstance(kernel, kernels.ExpSineSquared):
        wave = partial(_exp_sine_squared, length=kernel.length_scale, periodicity=kernel.periodicity)
        return Stationary(points, 1.0, wave)
    if isinstance(kernel, kernels.ConstantKernel):
        return Constant(points, kernel.constant_value)
    if isinstance(kernel, kernels.WhiteKernel):
        return White(points, kernel.noise_level)
    if isinstance(kernel, kernels.DotProduct):
        return DotProduct(points, kernel.sigma_0**2)
    if isinstance(kernel, kernels.Sum):
        return Combined(torch.add, to_kernel(kernel.k1, points), to_kernel(kernel.k2, points))
    if isinstance(kernel, kernels.Product):
        return Combined(torch.mul, to_kernel(kernel.k1, points), to_kernel(kernel.k2, points))
    if isinstance(kernel, kernels.Exponentiation):
        return Combined(torch.pow, to_kernel(kernel.kernel, points), Constant(points, kernel.exponent))
    raise NotDifferentiableError(f"the kernel {type(kernel).__name__} has no gradient here")


class LaplaceProcess(nn.Module):
    """Log-odds of the two-class Gaussian process by Laplace's approximation.

    Rasmussen & Williams, Algorithm 3.2. The mean of the sigmoid over the latent Gaussian is approximated by
    five error functions, as in Williams & Barber 1998, appendix A.
    """

    residual: torch.Tensor
    whitening: torch.Tensor
    rate: torch.Tensor
    coefficient: torch.Tensor

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.register_buffer("residual", tensor(estimator.y_train_ - estimator.pi_))
        curvature = tensor(estimator.W_sr_).diag()
        # the matrix with the Cholesky factor L has no eigenvalue below 1, so it can be inverted safely
        whitening = torch.linalg.solve_triangular(tensor(estimator.L_), curvature, upper=False)
        self.register_buffer("whitening", whitening.T.contiguous())
        self.register_buffer("rate", tensor(LAMBDAS[:, 0]))
        self.register_buffer("coefficient", tensor(COEFS[:, 0]))
        self.kernel = to_kernel(estimator.kernel_, estimator.X_train_)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k = self.kernel(x)
        mean = k @ self.residual
        variance = self.kernel.diagonal(x) - torch.linalg.vector_norm(k @ self.whitening, dim=1).square()
        # the integral of erf(rate f) over f ~ N(mean, variance)
        slope = self.rate / (1 + 2 * self.rate.square() * variance[:, None]).sqrt()
        probability = (torch.erf(slope * mean[:, None]) @ self.coefficient + self.coefficient.sum()) / 2
        return torch.special.logit(probability, eps=torch.finfo(x.dtype).tiny)[:, None]


@register_module(_BinaryGaussianProcessClassifierLaplace)
def laplace_process(estimator: Any) -> nn.Module:
    return LaplaceProcess(estimator)


@register_delegate(GaussianProcessClassifier)
def gaussian_process(estimator: GaussianProcessClassifier, respond: Callable[[Any], nn.Module]) -> nn.Module:
    # for several classes, this is scikit-learn's own OneVsRestClassifier or OneVsOneClassifier
    return respond(estimator.base_estimator_)
