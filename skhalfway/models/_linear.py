"""Linear classifiers: logits are an affine function of the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.svm import LinearSVC
from torch import nn

from skhalfway.models._registry import register_module


def tensor(array: Any) -> torch.Tensor:
    """Float64 tensor of an array, a sparse matrix or a number, as a copy."""
    dense = array.toarray() if hasattr(array, "toarray") else array
    return torch.from_numpy(np.array(dense, dtype=np.float64, order="C"))


def dense_layer(weight: Any, bias: Any) -> nn.Linear:
    """Linear layer with frozen float64 ``weight`` (n_out, n_in) and ``bias`` (n_out,)."""
    # RidgeClassifier's weight is a vector if there are two classes
    weight = torch.atleast_2d(tensor(weight))
    n_out, n_in = weight.shape
    layer = nn.Linear(n_in, n_out, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(tensor(np.broadcast_to(bias, len(weight))), requires_grad=False)
    return layer


@register_module(LinearClassifierMixin, LinearSVC)
def linear_classifier(estimator: Any) -> nn.Module:
    return dense_layer(estimator.coef_, estimator.intercept_)
