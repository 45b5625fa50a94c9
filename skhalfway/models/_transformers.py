"""Scalers, linear projections and norms as differentiable modules."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.decomposition import (
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    MiniBatchSparsePCA,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from torch import nn

from skhalfway._text import shown
from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._registry import NotDifferentiableError, register_module, to_module


@singledispatch
def to_transform(estimator: Any) -> nn.Module:
    """Module for ``estimator.transform``, while :func:`to_module` may be for its predictions.

    It is for estimators that use another estimator inside them in either way.
    """
    if isinstance(estimator, str) and estimator == "passthrough":
        return nn.Identity()
    if isinstance(estimator, ClassifierMixin):
        raise NotDifferentiableError(f"transform of {type(estimator).__name__} has no gradient here")
    return to_module(estimator)


class Select(nn.Module):
    """Some of the features, in the order given."""

    features: torch.Tensor

    def __init__(self, features: Any) -> None:
        super().__init__()
        self.register_buffer("features", torch.as_tensor(np.asarray(features), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(1, self.features)


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
        # scikit-learn's own lower limit for components without variance
        scale = estimator.explained_variance_**0.5
        weight = weight / scale.clip(torch.finfo(torch.float64).eps)[:, None]
    return dense_layer(weight, -weight @ estimator.mean_)


@register_module(Normalizer)
def normalizer(estimator: Normalizer) -> nn.Module:
    return UnitLength({"l1": 1.0, "l2": 2.0, "max": float("inf")}[estimator.norm])


@register_module(
    TruncatedSVD, GaussianRandomProjection, SparseRandomProjection, NeighborhoodComponentsAnalysis
)
def projection(estimator: Any) -> nn.Module:
    return dense_layer(estimator.components_, 0.0)


@register_module(FastICA)
def fast_ica(estimator: FastICA) -> nn.Module:
    weight = estimator.components_
    return dense_layer(weight, -weight @ estimator.mean_ if estimator.whiten else 0.0)


@register_module(FactorAnalysis)
def factor_analysis(estimator: FactorAnalysis) -> nn.Module:
    """Barber, Bayesian Reasoning and Machine Learning, eq. (21.2.33): the mean of the latent variables."""
    weighted = estimator.components_ / estimator.noise_variance_
    precision = np.eye(len(weighted)) + weighted @ estimator.components_.T
    weight = np.linalg.solve(precision, weighted)
    return dense_layer(weight, -weight @ estimator.mean_)


@register_module(SparsePCA, MiniBatchSparsePCA)
def sparse_pca(estimator: SparsePCA) -> nn.Module:
    """Ridge regression of a sample on the components."""
    components = estimator.components_
    gram = components @ components.T + estimator.ridge_alpha * np.eye(len(components))
    weight = np.linalg.solve(gram, components)
    return dense_layer(weight, -weight @ estimator.mean_)


@register_module(CCA, PLSCanonical, PLSRegression, PLSSVD)
def partial_least_squares(estimator: Any) -> nn.Module:
    axes = estimator.x_weights_ if isinstance(estimator, PLSSVD) else estimator.x_rotations_
    weight = (axes / estimator._x_std[:, None]).T
    return dense_layer(weight, -weight @ estimator._x_mean)


@register_module(FeatureAgglomeration)
def feature_agglomeration(estimator: FeatureAgglomeration) -> nn.Module:
    if estimator.pooling_func is not np.mean:
        raise NotDifferentiableError(
            "FeatureAgglomeration has a gradient here with pooling_func=np.mean, "
            f"not with {shown(estimator.pooling_func)}"
        )
    member = np.eye(estimator.n_clusters_)[estimator.labels_].T
    return dense_layer(member / member.sum(axis=1, keepdims=True), 0.0)


@register_module(BernoulliRBM)
def restricted_boltzmann_machine(estimator: BernoulliRBM) -> nn.Module:
    hidden = dense_layer(estimator.components_, estimator.intercept_hidden_)
    return nn.Sequential(hidden, nn.Sigmoid())


@register_module(TfidfTransformer)
def tfidf(estimator: TfidfTransformer) -> nn.Module:
    if estimator.sublinear_tf:
        raise NotDifferentiableError("TfidfTransformer(sublinear_tf=True) jumps at a count of 0")
    weighted = Affine(scale=1 / estimator.idf_) if estimator.use_idf else nn.Identity()
    return weighted if estimator.norm is None else nn.Sequential(weighted, normalizer(estimator))
