"""Masks over the channels of a network's layers, learned with fixed weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skhalfway._blocks import blocks
from skhalfway.codes._network import Network
from skhalfway.models import Model
from skhalfway.models._outputs import columns_of

_SUM = 1e-4  # tolerance for a sum of probabilities to be 1


class Masks:
    """A network whose layers are masked, and its samples.

    Parameters
    ----------
    network : Network
        The network with its layers and preprocessing.
    model : Model
        The same network as a classifier.
    names : sequence of str
        Names of the layers that are masked.
    X : ndarray of shape (n_samples, ...)
        Samples.
    """

    def __init__(self, network: Network, model: Model, names: Sequence[str], X: NDArray[Any]) -> None:
        self._network, self._model = network, model
        self._parts: list[nn.Module] = [network._parts[name] for name in names]
        self._x = network._tensor(X, slice(None))
        self._masks: list[torch.Tensor] = []  # masks in use; none if empty
        self._said: list[torch.Tensor] = []
        with self._hooked(), torch.no_grad():
            self._ask(self._x[:2])
        self.n_channels = [said.shape[1] for said in self._said]

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        def hook(number: int) -> Any:
            def called(_part: nn.Module, _given: Any, output: torch.Tensor) -> torch.Tensor:
                if self._masks:
                    mask = self._masks[number].to(output)
                    output = output * mask.reshape(1, -1, *[1] * (output.ndim - 2))
                self._said.append(output.clone())  # the next layer may work in place
                return output

            return called

        handles = [part.register_forward_hook(hook(i)) for i, part in enumerate(self._parts)]
        try:
            with self._network._evaluating():
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _ask(self, x: torch.Tensor) -> torch.Tensor:
        """Logits for samples; outputs of the masked layers are kept in ``_said``."""
        self._said.clear()
        module = self._network._module
        output = columns_of(module(x), len(x), type(module).__name__)
        if output.shape[1] == 1:  # the logit of the second class
            return torch.cat([torch.zeros_like(output), output], dim=1)
        seen = output.detach()
        if (seen >= 0).all() and (seen.sum(dim=1) - 1).abs().max() < _SUM:  # probabilities
            return output.clamp_min(torch.finfo(output.dtype).tiny).log()
        return output

    def learned(
        self,
        rows: NDArray[np.intp],
        target: int,
        right: NDArray[np.bool_],
        *,
        beta: float,
        step: float,
        n_epochs: int,
        batch_size: int,
        rng: np.random.RandomState,
    ) -> tuple[list[NDArray[np.bool_]], float]:
        """Mask of each layer for a class, learned on its samples; ``right`` ones are classified correctly.

        The second value is the share of all channels that twice as many epochs would change, if logits went
        on as in the last quarter of the epochs. It is 1 if the steps are too few to undo the random start.
        """
        x, correct = self._x[rows], torch.from_numpy(right)
        logits = [torch.from_numpy(rng.standard_normal(n)).to(x) for n in self.n_channels]
        labels = torch.full((len(rows),), target, device=x.device)
        late = max(1, n_epochs // 4)
        for epoch in range(n_epochs):
            if epoch == n_epochs - late:
                early = [m.clone() for m in logits]
            order = torch.from_numpy(rng.permutation(len(rows)))
            for part in order.split(batch_size):
                gradients = self._gradients(logits, x[part], labels[part], correct[part], beta)
                for m, gradient in zip(logits, gradients, strict=True):
                    length = torch.linalg.vector_norm(gradient)
                    if length > 0:
                        m -= step * gradient / length
        ahead = [m + (m - was) * n_epochs / late for m, was in zip(logits, early, strict=True)]
        moving = sum(int(((m > 0) != (then > 0)).sum()) for m, then in zip(logits, ahead, strict=True))
        share = moving / sum(self.n_channels)
        if step * n_epochs * -(-len(rows) // batch_size) < max(self.n_channels) ** 0.5:  # length of the start
            share = 1.0
        return [(m > 0).cpu().numpy() for m in logits], share

    def _gradients(
        self,
        logits: list[torch.Tensor],
        x: torch.Tensor,
        labels: torch.Tensor,
        correct: torch.Tensor,
        beta: float,
    ) -> tuple[torch.Tensor, ...]:
        with self._hooked():
            self._masks = []
            with torch.no_grad():
                self._ask(x)
            before = [said.clone() for said in self._said]
            given = [m.clone().requires_grad_() for m in logits]
            self._masks = [torch.sigmoid(m) for m in given]
            try:
                loss = functional.cross_entropy(self._ask(x), labels)
                if correct.any():
                    for said, was in zip(self._said, before, strict=True):
                        loss = loss + functional.mse_loss(said[correct], was[correct])
                loss = loss + beta * sum((mask**2).mean() for mask in self._masks)
                return torch.autograd.grad(loss / len(logits), given)
            finally:
                self._masks = []

    def answers(self, masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.intp]:
        """Class indices that the network predicts for all samples under binary masks."""
        found = []
        with self._hooked(), torch.no_grad():
            self._masks = [torch.from_numpy(mask).to(self._x) for mask in masks]
            try:
                for part in blocks(len(self._x), int(np.prod(self._x.shape[1:]))):
                    found.append(self._ask(self._x[part]).argmax(dim=1).cpu().numpy())
            finally:
                self._masks = []
        return np.concatenate(found)
