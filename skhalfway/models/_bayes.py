"""Classifiers by the density of each class: quadratic discriminants and naive Bayes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from torch import nn

from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._registry import register_module
from skhalfway.models._responses import floored_log


class Quadratic(nn.Module):
    """``bias - ||W (x - mean)||^2 / 2`` for each class: means (n_classes, n), W (n_classes, n, n_out)."""

    mean: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, mean: Any, weight: Any, bias: Any) -> None:
        super().__init__()
        self.register_buffer("mean", tensor(mean)[:, None])
        self.register_buffer("weight", tensor(weight))
        self.register_buffer("bias", tensor(bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whitened = torch.bmm(x - self.mean, self.weight)
        return self.bias - whitened.square().sum(dim=2).T / 2


class DiagonalQuadratic(Quadratic):
    """The same where W is diagonal, given as (n_classes, n)."""

    def __init__(self, mean: Any, weight: Any, bias: Any) -> None:
        super().__init__(mean, np.asarray(weight)[:, None], bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias - ((x - self.mean) * self.weight).square().sum(dim=2).T / 2


class SoftStep(nn.Module):
    """A step at ``threshold``, softened: a sigmoid of width ``temperature``, in units of the input.

    scikit-learn counts a value at the threshold, often a zero, as below it.
    So the sigmoid's middle lies 6 widths above: at the threshold it is 0.0025.
    Far from it a trace, one millionth, of a slower step gives the direction.
    """

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
    # symmetric, so that a class of fewer directions has a matrix of the same shape
    weight = [(r * s**-0.5) @ r.T for r, s in zip(rotations, scalings, strict=True)]
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
    # priors count where there is one class only, which leaves nothing to tell apart
    return dense_layer(estimator.feature_log_prob_, 0.0)


@register_module(BernoulliNB)
def bernoulli_nb(estimator: BernoulliNB) -> nn.Module:
    log, log_rest = estimator.feature_log_prob_, np.log(-np.expm1(estimator.feature_log_prob_))
    linear = dense_layer(log - log_rest, estimator.class_log_prior_ + log_rest.sum(axis=1))
    return linear if estimator.binarize is None else nn.Sequential(SoftStep(estimator.binarize), linear)
