"""How attacks by gradient follow an ensemble: members' losses, one member in turn, adaptive weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from skhalfway.attacks._losses import cross_entropy_slope, margin_slope
from skhalfway.attacks._pieces import repeated
from skhalfway.models._derivative import derivative
from skhalfway.models._ensemble_model import EnsembleModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from skhalfway.attacks._following import Following
    from skhalfway.attacks._gradient import Batch
    from skhalfway.models import Model

    Slope = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# how much a member's weight grows with the effect of its trial step on the others: beta in AdaEA, section 4.1
_SHARPNESS = 10.0


class Members:
    """Combine the gradients of an ensemble's members into one, during the attack on a batch.

    Attributes
    ----------
    step : int
        Number of the current step.
    size : float
        Length of the step, negative if the loss is to be lowered.
    only : int or None
        The only member that is followed, whatever ``combine`` says; None follows ``combine``.
    """

    def __init__(self, model: EnsembleModel) -> None:
        self._model = model
        self.step, self.size = 0, 0.0
        self.only: int | None = None

    @property
    def weights(self) -> list[float]:
        """Weights of the members, which sum to 1."""
        return [float(weight) for weight in self._model.weights]

    @property
    def combine(self) -> str:
        """The ensemble's parameter ``combine``."""
        return self._model.combine

    @property
    def are_logits(self) -> bool:
        """Whether the ensemble's own logits are followed, as for any other source."""
        return self.only is None and self.combine in ("logits", "probabilities")

    def gradient(
        self, batch: Batch, x: torch.Tensor, dtype: str | None, follow: Following | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradient to follow at the points ``x``, and the logits there; see :meth:`Batch.gradient`."""
        x, change = x.detach().requires_grad_(), None if follow is None else follow.change
        only = self.step % len(self.weights) if self.combine == "serial" else None
        only = only if self.only is None else self.only
        joint = self._model.joint
        if only is not None:
            logits = batch.ask(lambda seen: joint.one(seen, only), x, dtype, change)
            batch.faults.n_gradients += len(logits)
            slope = _slope(logits, batch, follow, margin_slope)
            return derivative(self._model, logits, x, slope, again=False), logits
        each = batch.ask(joint.each, x, dtype, change)
        batch.faults.n_gradients += len(each) * len(each[0])
        if self.combine == "losses":
            slopes = [_slope(logits, batch, follow, cross_entropy_slope) for logits in each]
            weighted = self._shares(x)[:, None, None] * torch.stack(slopes)
            gradient = derivative(self._model, torch.stack(each), x, weighted, again=False)
            return gradient, joint.combined(each).detach()
        weights = self._adapted(batch, x, each)
        logits = (weights.repeat(1, len(each[0]) // len(x))[:, :, None] * torch.stack(each)).sum(dim=0)
        slope = _slope(logits, batch, follow, margin_slope)
        return derivative(self._model, logits, x, slope, again=False), logits

    def _shares(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self._model.weights).to(x)

    def _adapted(self, batch: Batch, x: torch.Tensor, each: list[torch.Tensor]) -> torch.Tensor:
        """Weights of the members at each sample, (n_members, n_samples), by the effect of trial steps.

        ``losses[i, k]`` are the losses of member i after a trial step along member k's gradient.
        """
        trials = []
        for logits in each:
            slope = _slope(logits, batch, None, cross_entropy_slope)
            gradient = derivative(self._model, logits, x, slope, again=True)
            if batch.ball.free is not None:
                gradient = gradient * batch.ball.free
            point = x.detach().clone()
            batch.ball.ascend(point, gradient, self.size)
            batch.ball.confine(point)
            with torch.no_grad():
                said = batch.ask(self._model.joint.each, point)
            trials.append(torch.stack([_losses(one, batch.own) for one in said]))
        losses = torch.stack(trials, dim=1)
        own = losses.diagonal().T[:, None]  # losses of each member after its own trial step
        tiny = torch.finfo(losses.dtype).tiny ** 0.5
        ratio = (own + tiny) / (losses + tiny) if batch.targeted else (losses + tiny) / (own + tiny)
        others = ~torch.eye(len(each), dtype=torch.bool, device=x.device)[:, :, None]
        mean = torch.where(others, ratio, 0.0).sum(dim=0) / (len(each) - 1)
        return torch.softmax(_SHARPNESS * mean + self._shares(x).log()[:, None], dim=0)


def members_of(model: Model) -> Members | None:
    """The object that combines an ensemble's members; None for any other source."""
    return Members(model) if isinstance(model, EnsembleModel) else None


def at_once_of(model: Model, size: int) -> int:
    """Number of copies of samples computed at once; with adaptive weights, one copy of each sample."""
    return 1 if isinstance(model, EnsembleModel) and model.combine == "adaptive" else size


def _slope(logits: torch.Tensor, batch: Batch, follow: Following | None, otherwise: Slope) -> torch.Tensor:
    """Gradient of the mean loss over the copies of a sample, with respect to the logits."""
    own = repeated(batch.own, len(logits) // len(batch.own))
    if follow is None:
        return otherwise(logits, own)
    return follow.weigh(logits, own)[1] / follow.n_copies


def _losses(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each sample, computed as the softplus of a margin, so that it does not round to 0."""
    others = logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return -torch.nn.functional.logsigmoid(logits[own] - others)
