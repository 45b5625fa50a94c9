"""Classifiers by the density of each class: quadratic discriminants and naive Bayes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from torch import nn

from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._member_outputs import floored_log
from skhalfway.models._memory import at_once
from skhalfway.models._registry import register_module


class Quadratic(nn.Module):
    """``bias - ||(x - mean) W||^2 / 2`` for each class: means (n_classes, n), W (n_classes, n, n_out)."""

    mean: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, mean: Any, weight: Any, bias: Any) -> None:
        super().__init__()
        self.register_buffer("mean", tensor(mean))
        self.register_buffer("weight", tensor(weight))
        self.register_buffer("bias", tensor(bias))

    def lengths(self, x: torch.Tensor) -> torch.Tensor:
        """Norms (n_samples, n_classes); only products, not differences, are kept for the gradient."""
        whitened = ((x - mean) @ weight for mean, weight in zip(self.mean, self.weight, strict=True))
        return torch.stack([torch.linalg.vector_norm(rows, dim=1) for rows in whitened], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias - self.lengths(x).square() / 2


class DiagonalQuadratic(Quadratic):
    """:class:`Quadratic` with diagonal W, given as (n_classes, n)."""

    def lengths(self, x: torch.Tensor) -> torch.Tensor:
        return _DiagonalLengths.apply(x, self.mean, self.weight)


class _DiagonalLengths(torch.autograd.Function):
    """``||(x - mean) * weight||`` for each row of means and weights, (n_samples, n_classes).

    Differences are computed for as many classes at a time as a cache holds. Squares that are expanded would
    be one matrix product, but lose digits by cancellation. The gradient is such a product, for which x is
    kept.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, mean: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        parts = zip(*(of.split(at_once(x.numel())) for of in (mean, weight)), strict=True)
        whitened = ((x - some_mean[:, None]).mul_(some_weight[:, None]) for some_mean, some_weight in parts)
        lengths = torch.cat([torch.linalg.vector_norm(rows, dim=2) for rows in whitened]).T
        ctx.save_for_backward(x, mean, weight, lengths)
        return lengths

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, mean, weight, lengths = ctx.saved_tensors
        grad, squares, centre = grad / torch.where(lengths == 0, 1.0, lengths), weight.square(), mean.mean(0)
        # relative to the middle of the means, so that fewer digits cancel
        return (grad @ squares) * (x - centre) - grad @ (squares * (mean - centre)), None, None


class SoftStep(nn.Module):
    """A step at ``threshold``, softened: a sigmoid of width ``temperature``, in units of the input.

    scikit-learn counts a value at the threshold, often a zero, as below it.
    So the sigmoid's middle lies 6 widths above: at the threshold it is 0.0025.
    Far from it a trace, one millionth, of a slower step gives the direction.
    """

    smoothed = True
    temperature: float = 1e-3

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        beyond = (x - self.threshold) / self.temperature - 6
        return torch.sigmoid(beyond) + 1e-6 * torch.nn.functional.softsign(beyond)


@register_module(QuadraticDiscriminantAnalysis)
def quadratic_discriminant(estimator: QuadraticDiscriminantAnalysis) -> nn.Module:
    """Log-posteriors (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", eq. 4.12)."""
    scalings, rotations = estimator.scalings_, estimator.rotations_
    weight = np.zeros((len(scalings), len(rotations[0]), max(map(len, scalings))))
    for w, r, s in zip(weight, rotations, scalings, strict=True):
        # a class with fewer samples than features has fewer directions
        w[:, : len(s)] = r * s**-0.5
    log_det = np.array([np.log(s).sum() for s in scalings])
    return Quadratic(estimator.means_, weight, floored_log(estimator.priors_) - log_det / 2)


@register_module(GaussianNB)
def gaussian_nb(estimator: GaussianNB) -> nn.Module:
    bias = floored_log(estimator.class_prior_) - np.log(2 * np.pi * estimator.var_).sum(axis=1) / 2
    return DiagonalQuadratic(estimator.theta_, estimator.var_**-0.5, bias)


@register_module(MultinomialNB)
def multinomial_nb(estimator: MultinomialNB) -> nn.Module:
    return dense_layer(estimator.feature_log_prob_, estimator.class_log_prior_)


@register_module(ComplementNB)
def complement_nb(estimator: ComplementNB) -> nn.Module:
    # priors only matter with a single class, which has no other to compare with
    return dense_layer(estimator.feature_log_prob_, 0.0)


@register_module(BernoulliNB)
def bernoulli_nb(estimator: BernoulliNB) -> nn.Module:
    log, log_rest = estimator.feature_log_prob_, np.log(-np.expm1(estimator.feature_log_prob_))
    linear = dense_layer(log - log_rest, estimator.class_log_prior_ + log_rest.sum(axis=1))
    return linear if estimator.binarize is None else nn.Sequential(SoftStep(estimator.binarize), linear)
