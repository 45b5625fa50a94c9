"""Elastic weight consolidation (EWC): a penalty holds the weights that earlier tasks need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, jacrev, vmap

from skhalfway._blocks import blocks
from skhalfway.models import to_module
from skhalfway.models._switched import switched
from skhalfway.models._torch import place_of, two_columns


def fisher_diagonal(module: nn.Module, X: NDArray[Any]) -> dict[str, torch.Tensor]:
    """Diagonal of the Fisher information of each weight, averaged over samples.

    ``sum over classes c of p(c|x) (d log p(c|x) / d weight)**2``: the expectation over the module's predicted
    classes is exact, a sum over all classes. It uses neither sampled classes nor labels.
    """
    weights = {name: weight.detach() for name, weight in _trained(module).items()}
    x = torch.tensor(X, **place_of(module))

    def log_probabilities(weights: dict[str, torch.Tensor], sample: torch.Tensor) -> Any:
        log_p = two_columns(functional_call(module, weights, (sample[None],))).log_softmax(dim=1)[0]
        return log_p, log_p

    derivatives = vmap(jacrev(log_probabilities, has_aux=True), in_dims=(None, 0))
    totals = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with switched(module), torch.no_grad():
        n_classes = two_columns(module(x[:1])).shape[1]
        n_values = n_classes * sum(weight.numel() for weight in weights.values())
        for block in blocks(len(x), n_values):
            slopes, log_p = derivatives(weights, x[block])
            for name, slope in slopes.items():
                totals[name] += torch.einsum("bc,bc...->...", log_p.exp(), slope.square())
    return {name: total / len(x) for name, total in totals.items()}


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


class ElasticWeights:
    """Elastic weight consolidation of a skorch net, in proportion to each weight's importance (Fisher).

    It adds the gradient of ``penalty / 2 * F * (w - w_task)**2``, summed over weights and earlier tasks, with
    the diagonal Fisher information F: the penalty of Kirkpatrick et al. (2017).
    """

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty
        self._stiffness: dict[str, torch.Tensor] = {}
        self._moment: dict[str, torch.Tensor] = {}

    def consolidate(self, net: Any, X: NDArray[Any]) -> None:
        """Add the penalty of a learned task: its samples decide how important each weight is."""
        module = to_module(net)
        weights = _trained(module)
        if not all(weight.isfinite().all() for weight in weights.values()):
            raise ValueError(
                f"training led to weights that are not finite: with penalty={self.penalty}, steps overshoot "
                "the quadratic penalty of elastic weight consolidation; lower penalty, or the learning rate"
            )
        for name, fisher in fisher_diagonal(module, X).items():
            self._stiffness[name] = self._stiffness.get(name, 0) + fisher
            self._moment[name] = self._moment.get(name, 0) + fisher * weights[name].detach()

    @contextmanager
    def holding(self, net: Any) -> Iterator[None]:
        """Context in which gradients include that of the penalty."""
        if not self._stiffness:
            yield
            return
        module = to_module(net)
        weights = _trained(module).items()
        hooks = [weight.register_hook(partial(self._pulled, name, weight)) for name, weight in weights]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _pulled(self, name: str, weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        pull = self._stiffness[name] * weight.detach() - self._moment[name]
        return gradient + self.penalty * pull
