"""Scalers, PCA and Normalizer as differentiable modules."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from torch import nn

from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._registry import register_module


class Affine(nn.Module):
    """Map ``x`` to ``(x - shift) / scale + offset``, each per feature."""

    shift: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, shift: Any = None, scale: Any = None, offset: Any = None) -> None:
        super().__init__()
        self.register_buffer("shift", tensor(0.0 if shift is None else shift))
        self.register_buffer("scale", tensor(1.0 if scale is None else scale))
        self.register_buffer("offset", tensor(0.0 if offset is None else offset))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.shift) / self.scale + self.offset


class Clamp(nn.Module):
    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(self.low, self.high)


class UnitLength(nn.Module):
    """Each row divided by its norm; a zero row stays zero, as in scikit-learn."""

    def __init__(self, order: float) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = torch.linalg.vector_norm(x, self.order, dim=1, keepdim=True)
        return x / torch.where(length == 0, 1.0, length)


@register_module(StandardScaler)
def standard_scaler(scaler: StandardScaler) -> nn.Module:
    # mean_ is there even when with_mean=False
    return Affine(scaler.mean_ if scaler.with_mean else None, scaler.scale_)


@register_module(MaxAbsScaler)
def max_abs_scaler(scaler: MaxAbsScaler) -> nn.Module:
    # the parameter clip came with scikit-learn 1.9
    affine = Affine(scale=scaler.scale_)
    return nn.Sequential(affine, Clamp(-1, 1)) if getattr(scaler, "clip", False) else affine


@register_module(RobustScaler)
def robust_scaler(scaler: RobustScaler) -> nn.Module:
    return Affine(scaler.center_, scaler.scale_)


@register_module(MinMaxScaler)
def min_max_scaler(scaler: MinMaxScaler) -> nn.Module:
    affine = Affine(scale=1 / scaler.scale_, offset=scaler.min_)
    return nn.Sequential(affine, Clamp(*scaler.feature_range)) if scaler.clip else affine


@register_module(PCA, IncrementalPCA)
def pca(estimator: PCA) -> nn.Module:
    weight = estimator.components_
    if estimator.whiten:
        # scikit-learn's own floor for components of no variance
        scale = estimator.explained_variance_**0.5
        weight = weight / scale.clip(torch.finfo(torch.float64).eps)[:, None]
    return dense_layer(weight, -weight @ estimator.mean_)


@register_module(Normalizer)
def normalizer(estimator: Normalizer) -> nn.Module:
    return UnitLength({"l1": 1.0, "l2": 2.0, "max": float("inf")}[estimator.norm])
