"""Support vector machines with every built-in kernel."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from sklearn.svm import SVC, NuSVC
from torch import nn

from skhalfway._text import shown
from skhalfway.models._linear import tensor
from skhalfway.models._registry import NotDifferentiableError, register_module


class KernelMachine(nn.Module):
    """Decision values (n_samples, n_pairs), one for each pair of classes.

    The value of the pair (i, j), i < j, is positive if class i wins, as with
    ``decision_function_shape="ovo"``. With two classes the sign is
    scikit-learn's: positive for ``classes_[1]``.
    """

    support: torch.Tensor
    shift: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, estimator: SVC) -> None:
        super().__init__()
        self.gamma, self.coef0, self.degree = estimator._gamma, estimator.coef0, estimator.degree
        self.kernel = estimator.kernel
        support = tensor(estimator.support_vectors_)
        self.register_buffer("support", support.T.contiguous())
        self.register_buffer("shift", -self.gamma * support.square().sum(dim=1))
        self.register_buffer("weight", tensor(_pairwise_weights(estimator)))
        self.register_buffer("bias", tensor(estimator.intercept_))

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.support

    def poly(self, x: torch.Tensor) -> torch.Tensor:
        return (self.gamma * (x @ self.support) + self.coef0).pow(self.degree)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.gamma * (x @ self.support) + self.coef0)

    def rbf(self, x: torch.Tensor) -> torch.Tensor:
        # -gamma ||x - s||^2 is expanded, so that it is one matrix product, in one piece of memory
        kernel = torch.addmm(self.shift, x, self.support, alpha=2 * self.gamma)
        return kernel.sub_(self.gamma * x.square().sum(dim=1, keepdim=True)).exp_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, getattr(self, self.kernel)(x), self.weight)


def _pairwise_weights(estimator: SVC) -> np.ndarray:
    """Dual coefficients as a matrix (n_support, n_pairs), zero outside the pair's classes."""
    dual = estimator.dual_coef_
    dual = dual.toarray() if hasattr(dual, "toarray") else dual
    n_classes = len(estimator.classes_)
    if n_classes == 2:
        return dual.T
    owner = np.repeat(np.arange(n_classes), estimator.n_support_)
    weights = np.zeros((dual.shape[1], n_classes * (n_classes - 1) // 2))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        # libsvm's layout: row j - 1 holds class i's weights against a later class j
        weights[owner == i, pair] = dual[j - 1, owner == i]
        weights[owner == j, pair] = dual[i, owner == j]
    return weights


class Votes(nn.Module):
    """Logits from pairwise decisions: votes, made differentiable.

    scikit-learn counts votes, which is a step function. Here the score of a class
    is the sum over its pairs of ``logsigmoid(8 * decision)``: the log-probability
    that it wins all of them, if each pair is a steep logistic model. This is our
    choice. On digits, of nine forms tried, PGD at eps 0.15 is strongest with it,
    or within 0.001 of the strongest, for all four kernels. The class of the
    largest logit is the SVC's own prediction on at least 99.3 % of the samples
    (``benchmarks/svc_votes.md``).
    """

    steepness = 8.0
    into_first: torch.Tensor
    into_second: torch.Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        first, second = np.array(list(combinations(range(n_classes), 2))).T
        self.register_buffer("into_first", tensor(np.eye(n_classes)[first]))
        self.register_buffer("into_second", tensor(np.eye(n_classes)[second]))

    def forward(self, decisions: torch.Tensor) -> torch.Tensor:
        decisions = self.steepness * decisions
        won = torch.nn.functional.logsigmoid(decisions)
        # logsigmoid(-d) = logsigmoid(d) - d
        return won @ self.into_first + (won - decisions) @ self.into_second


@register_module(SVC, NuSVC)
def svc(estimator: SVC) -> nn.Module:
    if estimator.kernel not in ("linear", "poly", "rbf", "sigmoid"):
        raise NotDifferentiableError(
            f"{type(estimator).__name__} with kernel={shown(estimator.kernel)} has no gradient here; "
            "the kernels 'linear', 'poly', 'rbf' and 'sigmoid' have"
        )
    machine = KernelMachine(estimator)
    n_classes = len(estimator.classes_)
    return machine if n_classes == 2 else nn.Sequential(machine, Votes(n_classes))
