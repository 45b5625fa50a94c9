"""Pieces of the kind "step": which way an attack goes, given gradients so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from skhalfway.attacks._norms import lengths
from skhalfway.attacks._pieces import Piece, Run, check_number


@dataclass(frozen=True)
class Momentum(Piece):
    """Go along a sum of all gradients so far, of which the older count less.

    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, Algorithm 1:
    ``g = decay * g + gradient / ||gradient||_1``.

    Parameters
    ----------
    decay : float, default=1.0
        What is left of the sum at each step.
    """

    kind, name, paper = "step", "momentum", "Dong et al., CVPR 2018"
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "decay", 0)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        tiny = torch.finfo(gradient.dtype).tiny
        gradient = gradient.div_(lengths(gradient, 1).clamp_min_(tiny))
        before = run.kept.get("momentum")
        total = gradient if before is None else before.mul_(self.decay).add_(gradient)
        run.kept["momentum"] = total
        return total.clone()


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum whose gradient is taken ahead, where the sum alone would lead.

    Lin et al., "Nesterov accelerated gradient and scale invariance for adversarial attacks", ICLR 2020,
    section 3.1. The sum is measured there in the mean size of a value, as in the authors' code; in
    the 1-norm of the text the way ahead would be nothing beside a step.
    """

    kind, name, paper = "step", "nesterov", "Lin et al., ICLR 2020"

    def ahead(self, run: Run, x: torch.Tensor) -> torch.Tensor:
        before = run.kept.get("momentum")
        if before is None:
            return x
        return x + run.size * self.decay * before[0].numel() * before
