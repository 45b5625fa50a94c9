"""Pieces of the kind "loss": what an attack raises, by its gradient at the logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from skhalfway.attacks._pieces import Piece


def margin_slope(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Gradient of the margin m = logsumexp(other logits) - own logit at the logits.

    Cross-entropy is softplus(m), so this has the direction of its gradient, and it does not vanish where a
    confident source saturates.
    """
    return _others(logits, own).softmax(dim=1).masked_fill_(own, -1.0)


def _others(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return logits.detach().masked_fill(own, -torch.inf)


@dataclass(frozen=True)
class CrossEntropy(Piece):
    """Cross-entropy of the label, exact where probabilities round to 1.

    Its gradient is softmax(logits) - one-hot(label), here as the probability of all other classes times the
    gradient of their margin; that probability never rounds to 0.
    """

    kind, name, paper = "loss", "cross_entropy", "Goodfellow et al., ICLR 2015"

    def slope(self, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        others = _others(logits, own)
        margin = others.logsumexp(dim=1, keepdim=True) - logits.detach()[own][:, None]
        wrong = torch.nn.functional.logsigmoid(margin).exp().clamp_min(torch.finfo(logits.dtype).tiny ** 0.5)
        return wrong * margin_slope(logits, own)


@dataclass(frozen=True)
class Margin(Piece):
    """The largest other logit less that of the label.

    Carlini & Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, section V.A, f_6
    without its end at 0.
    """

    kind, name, paper = "loss", "margin", "Carlini & Wagner, IEEE S&P 2017"

    def slope(self, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        other = _others(logits, own).argmax(dim=1, keepdim=True)
        return torch.zeros_like(logits).scatter_(1, other, 1.0).masked_fill_(own, -1.0)


@dataclass(frozen=True)
class Logit(Piece):
    """The logit of the label alone, whose gradient never fades.

    Zhao, Liu & Larson, "On success and simplicity: a second look at transferable targeted attacks", NeurIPS
    2021, equation 5.
    """

    kind, name, paper = "loss", "logit", "Zhao et al., NeurIPS 2021"

    def slope(self, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(logits).masked_fill_(own, -1.0)


@dataclass(frozen=True)
class ProbabilityMargin(Piece):
    """The largest other probability less that of the label."""

    kind, name, paper = "loss", "probability_margin", "ours"

    def slope(self, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        p = logits.detach().softmax(dim=1)
        other = p.masked_fill(own, -1).argmax(dim=1, keepdim=True)
        weight = torch.zeros_like(p).scatter_(1, other, 1.0).masked_fill_(own, -1.0)
        return p * (weight - (weight * p).sum(dim=1, keepdim=True))
