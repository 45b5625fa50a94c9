"""Transformers that change the distribution of features: quantiles and powers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import PowerTransformer, QuantileTransformer
from torch import nn

from skhalfway.models._linear import tensor
from skhalfway.models._registry import register_module, to_module


class PerFeature(nn.Module):
    """A map of each feature separately; missing values stay missing, with a gradient of 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        missing = torch.isnan(x)
        # every map here has a finite slope at 1
        return torch.where(missing, torch.nan, self.map(torch.where(missing, 1.0, x)))

    def map(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Quantiles(PerFeature):
    """Position of a value among the quantiles of its feature, and the normal quantile of that.

    It is linear between neighbouring quantiles, so the gradient is their slope, and 0 beyond the first and
    the last. At a value that equals several quantiles, the position is the mean of the first's and the
    last's.
    """

    quantiles: torch.Tensor
    references: torch.Tensor
    # scikit-learn's BOUNDS_THRESHOLD: a normal quantile this close to an end counts as the end
    threshold = 1e-7

    def __init__(self, quantiles: Any, references: Any, normal: bool) -> None:
        super().__init__()
        self.normal = normal
        self.register_buffer("quantiles", tensor(quantiles.T))
        self.register_buffer("references", tensor(references))

    def _interpolate(self, columns: torch.Tensor, last: bool) -> torch.Tensor:
        """Interpolate between a neighbour and the last (or the first) quantile that is equal."""
        n_quantiles = self.quantiles.shape[1]
        upper = torch.searchsorted(self.quantiles, columns.detach(), right=last).clamp(1, n_quantiles - 1)
        low, high = self.quantiles.gather(1, upper - 1), self.quantiles.gather(1, upper)
        width = torch.where(high > low, high - low, 1.0)
        below, above = self.references[upper - 1], self.references[upper]
        return below + (columns - low) / width * (above - below)

    def map(self, x: torch.Tensor) -> torch.Tensor:
        first, last = self.quantiles[:, 0], self.quantiles[:, -1]
        columns = torch.clamp(x, first, last).T.contiguous()
        position = 0.5 * (self._interpolate(columns, last=True) + self._interpolate(columns, last=False)).T
        margin = self.threshold if self.normal else 0.0
        at_end = x + margin > last if self.normal else x >= last
        at_start = x - margin < first if self.normal else (x < first) | (x == first)
        position = torch.where(at_start, 0.0, torch.where(at_end, 1.0, position))
        if not self.normal:
            return position
        margin -= float(np.spacing(1))
        return torch.special.ndtri(position.clamp(margin, 1 - margin))


@register_module(QuantileTransformer)
def quantile_transformer(transformer: QuantileTransformer) -> nn.Module:
    normal = transformer.output_distribution == "normal"
    return Quantiles(transformer.quantiles_, transformer.references_, normal)


class BoxCox(PerFeature):
    """Box and Cox, An Analysis of Transformations (1964), eq. (1)."""

    exponent: torch.Tensor

    def __init__(self, exponent: Any) -> None:
        super().__init__()
        self.register_buffer("exponent", tensor(exponent))

    def map(self, x: torch.Tensor) -> torch.Tensor:
        return _power_of_log(x.log(), self.exponent)


class YeoJohnson(BoxCox):
    """Yeo and Johnson, A New Family of Power Transformations (2000), eq. (2.1)."""

    def map(self, x: torch.Tensor) -> torch.Tensor:
        right = _power_of_log(x.clamp_min(0).log1p(), self.exponent)
        left = -_power_of_log((-x).clamp_min(0).log1p(), 2 - self.exponent)
        return torch.where(x >= 0, right, left)


def _power_of_log(log: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """``(u^exponent - 1) / exponent`` of ``log = log u``, and its limit ``log u`` at exponent 0."""
    zero = exponent.abs() < np.spacing(1.0)
    safe = torch.where(zero, 1.0, exponent)
    return torch.where(zero, log, torch.expm1(safe * log) / safe)


@register_module(PowerTransformer)
def power_transformer(transformer: PowerTransformer) -> nn.Module:
    power = {"box-cox": BoxCox, "yeo-johnson": YeoJohnson}[transformer.method](transformer.lambdas_)
    return nn.Sequential(power, to_module(transformer._scaler)) if transformer.standardize else power
