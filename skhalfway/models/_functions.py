"""FunctionTransformer: numpy functions by torch's of the same name, and users' own if torch can run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skhalfway._text import shown
from skhalfway.models._linear import tensor
from skhalfway.models._registry import NotDifferentiableError, register_module


class Function(nn.Module):
    def __init__(self, function: Callable[..., torch.Tensor], arguments: dict[str, Any]) -> None:
        super().__init__()
        self.function, self.arguments = function, arguments

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, **self.arguments)


@register_module(FunctionTransformer)
def function_transformer(transformer: FunctionTransformer) -> nn.Module:
    function, arguments = transformer.func, transformer.kw_args or {}
    if function is None:
        return nn.Identity()
    samples = _samples(getattr(transformer, "n_features_in_", 3))
    reasons = []
    for candidate in _candidates(function):
        module = Function(candidate, arguments)
        reason = _difference(module, transformer, samples)
        if not reason:
            return module
        reasons.append(reason)
    name = getattr(function, "__name__", repr(function))
    raise NotDifferentiableError(
        f"FunctionTransformer of {shown(name)} has no gradient here: given a torch tensor, {reasons[-1]}; "
        "write the function so that it takes numpy arrays and torch tensors"
    )


def _candidates(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Functions that may compute the function on tensors: for numpy's or scipy's, torch's of that name."""
    if isinstance(function, np.ufunc) or getattr(function, "__module__", "") == "numpy":
        for namespace in (torch, torch.special):
            if hasattr(namespace, function.__name__):
                yield getattr(namespace, function.__name__)
    yield function


def _samples(n_features: int) -> np.ndarray:
    """Rows of all magnitudes and both signs, of zeros and of whole numbers."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(12, n_features)) * np.logspace(-2, 2, 12)[:, None]
    return np.vstack([spread, rng.uniform(size=(4, n_features)), np.zeros((1, n_features)), np.round(spread)])


def _difference(module: Function, transformer: FunctionTransformer, samples: np.ndarray) -> str:
    """How the module differs from the transformer on samples; empty if it does not."""
    x = tensor(samples).requires_grad_()
    try:
        ours = module(x)
    except Exception as error:  # the function is the user's, and may raise anything
        return f"it raises {type(error).__name__}: {error}"
    if not isinstance(ours, torch.Tensor):
        return f"it returns a {type(ours).__name__}"
    if not ours.requires_grad:
        return "its result does not depend on it"
    try:
        with np.errstate(all="ignore"):
            expected = np.asarray(transformer.func(samples.copy(), **module.arguments), dtype=float)
    except Exception as error:  # as above
        return f"its result cannot be checked: on an array it raises {type(error).__name__}: {error}"
    if ours.shape != expected.shape or not np.allclose(ours.detach().numpy(), expected, equal_nan=True):
        return "it returns something else than for an array"
    return ""
