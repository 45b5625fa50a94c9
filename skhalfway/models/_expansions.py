"""Features made of features: polynomials and splines."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from torch import nn

from skhalfway.models._linear import tensor
from skhalfway.models._registry import NotDifferentiableError, register_module


class Products(nn.Module):
    """Output i is the product of the features ``factors[i]``, counted from 1; 0 is a factor of 1."""

    factors: torch.Tensor

    def __init__(self, factors: Any) -> None:
        super().__init__()
        self.register_buffer("factors", torch.tensor(factors))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # factor by factor: the product rule holds at 0, and no power is taken
        with_one = torch.nn.functional.pad(x, (1, 0), value=1.0)
        product = with_one[:, self.factors[:, 0]]
        for factor in self.factors.T[1:]:
            product = product * with_one[:, factor]
        return product


@register_module(PolynomialFeatures)
def polynomial_features(expansion: PolynomialFeatures) -> nn.Module:
    powers = expansion.powers_
    factors = np.zeros((len(powers), max(1, powers.sum(axis=1).max())), dtype=np.int64)
    for row, power in zip(factors, powers, strict=True):
        row[: power.sum()] = np.repeat(np.arange(len(power)) + 1, power)
    return Products(factors)


class Splines(nn.Module):
    """B-splines of each feature, as a polynomial on each interval between knots.

    ``coefficients[m]`` (n_features, n_intervals, n_splines) holds the m-th derivative at the interval's
    left end over m!: Taylor's formula, which is exact there. A missing value gives zeros.
    Beyond knots that the transformer refuses to leave, the polynomials go on: it is the estimator that
    refuses, as it predicts.
    """

    left: torch.Tensor
    ends: torch.Tensor
    coefficients: torch.Tensor
    slopes: torch.Tensor

    def __init__(self, splines: list[Any], extrapolation: str, n_splines: int) -> None:
        super().__init__()
        self.extrapolation = extrapolation
        degree = splines[0].k
        knots = np.array([spline.t[degree : len(spline.t) - degree] for spline in splines])
        left, ends = knots[:, :-1], knots[:, [0, -1]]
        self.register_buffer("left", tensor(left))
        self.register_buffer("ends", tensor(ends))
        derivatives = [
            [spline(at, nu=m)[:, :n_splines] / factorial(m) for spline, at in zip(splines, left, strict=True)]
            for m in range(degree + 1)
        ]
        self.register_buffer("coefficients", tensor(derivatives))
        slopes = [spline(at, nu=1)[:, :n_splines] for spline, at in zip(splines, ends, strict=True)]
        self.register_buffer("slopes", tensor(slopes))

    def _inside(self, x: torch.Tensor) -> torch.Tensor:
        interval = torch.searchsorted(self.left, x.detach().T.contiguous(), right=True).T - 1
        interval = interval.clamp_min(0)
        feature = torch.arange(x.shape[1], device=x.device)
        step = (x - self.left[feature, interval])[:, :, None]
        value = torch.zeros_like(step)
        for coefficients in self.coefficients.flip(0):
            value = value * step + coefficients[feature, interval]
        return value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, last = self.ends.T
        missing = torch.isnan(x)
        x = torch.where(missing, first, x)
        if self.extrapolation == "periodic":
            x = first + torch.remainder(x - first, torch.where(last > first, last - first, 1.0))
        if self.extrapolation in ("constant", "linear"):
            value = self._inside(torch.clamp(x, first, last))
        else:
            value = self._inside(x)
        if self.extrapolation == "linear":
            below, above = torch.relu(first - x)[:, :, None], torch.relu(x - last)[:, :, None]
            value = value - below * self.slopes[:, 0] + above * self.slopes[:, 1]
        return torch.where(missing[:, :, None], 0.0, value).flatten(1)


@register_module(SplineTransformer)
def spline_transformer(transformer: SplineTransformer) -> nn.Module:
    if transformer.degree == 0:
        raise NotDifferentiableError("SplineTransformer(degree=0) is made of steps, which have no gradient")
    splines = transformer.bsplines_
    if transformer.degree == 1 and transformer.extrapolation == "linear" and len(splines) > 1:
        # it raises its degree for one feature and keeps it so for those that follow
        raise NotDifferentiableError(
            "SplineTransformer(degree=1, extrapolation='linear') jumps inside the range of all features but "
            "the first; use one for each feature, or degree=2"
        )
    n_splines = splines[0].c.shape[1] - (not transformer.include_bias)
    return Splines(splines, transformer.extrapolation, n_splines)
