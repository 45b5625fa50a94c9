"""Pieces of the kind "loss": what an attack raises, by its gradient at the logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from skhalfway.attacks._pieces import Piece, Run, check_number


def margin_slope(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Gradient of the margin m = logsumexp(other logits) - own logit at the logits.

    Cross-entropy is softplus(m), so this has the direction of its gradient, and it does not vanish where a
    confident source saturates.
    """
    return _others(logits, own).softmax(dim=1).masked_fill_(own, -1.0)


def cross_entropy_slope(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Gradient of cross-entropy at the logits, which never rounds to 0."""
    others = _others(logits, own)
    margin = others.logsumexp(dim=1, keepdim=True) - logits.detach()[own][:, None]
    wrong = torch.nn.functional.logsigmoid(margin).exp().clamp_min(torch.finfo(logits.dtype).tiny ** 0.5)
    return wrong * margin_slope(logits, own)


def _others(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return logits.detach().masked_fill(own, -torch.inf)


@dataclass(frozen=True)
class CrossEntropy(Piece):
    """Cross-entropy of the label, exact where probabilities round to 1.

    Its gradient is softmax(logits) - one-hot(label), here as the probability of all other classes times the
    gradient of their margin; that probability never rounds to 0.

    Examples
    --------
    >>> from skhalfway.attacks import CrossEntropy, Recipe
    >>> Recipe(CrossEntropy())
    Recipe(CrossEntropy())
    """

    kind, name, paper = "loss", "cross_entropy", "Goodfellow et al., ICLR 2015"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return cross_entropy_slope(logits, own)


@dataclass(frozen=True)
class Margin(Piece):
    """The largest other logit less that of the label.

    Carlini & Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, section V.A, f_6
    without its end at 0.

    Examples
    --------
    >>> from skhalfway.attacks import Margin, Recipe
    >>> Recipe(Margin())
    Recipe(Margin())
    """

    kind, name, paper = "loss", "margin", "Carlini & Wagner, IEEE S&P 2017"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        other = _others(logits, own).argmax(dim=1, keepdim=True)
        return torch.zeros_like(logits).scatter_(1, other, 1.0).masked_fill_(own, -1.0)


@dataclass(frozen=True)
class Logit(Piece):
    """The logit of the label alone, whose gradient never fades.

    Zhao, Liu & Larson, "On success and simplicity: a second look at transferable targeted attacks", NeurIPS
    2021.

    Examples
    --------
    >>> from skhalfway.attacks import Logit, Recipe
    >>> Recipe(Logit())
    Recipe(Logit())
    """

    kind, name, paper = "loss", "logit", "Zhao et al., NeurIPS 2021"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(logits).masked_fill_(own, -1.0)


@dataclass(frozen=True)
class ProbabilityMargin(Piece):
    """The largest other probability less that of the label.

    Examples
    --------
    >>> from skhalfway.attacks import ProbabilityMargin, Recipe
    >>> Recipe(ProbabilityMargin())
    Recipe(ProbabilityMargin())
    """

    kind, name, paper = "loss", "probability_margin", "ours"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        p = logits.detach().softmax(dim=1)
        other = p.masked_fill(own, -1).argmax(dim=1, keepdim=True)
        weight = torch.zeros_like(p).scatter_(1, other, 1.0).masked_fill_(own, -1.0)
        return p * (weight - (weight * p).sum(dim=1, keepdim=True))


@dataclass(frozen=True)
class OwnProbability(Piece):
    """The probability of the label alone, which falls.

    Examples
    --------
    >>> from skhalfway.attacks import OwnProbability, Recipe
    >>> Recipe(OwnProbability())
    Recipe(OwnProbability())
    """

    kind, name, paper = "loss", "own_probability", "Ma et al., ICCV 2023"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        p = logits.detach().softmax(dim=1)
        mine = p[own][:, None]
        return mine * (p - own.to(p.dtype))


@dataclass(frozen=True)
class PoincareTriplet(Piece):
    """Distance of the logits from the label in the Poincare ball, and, of targeted attacks, a triplet's loss.

    Li et al., "Towards transferable targeted attack", CVPR 2020: logits are scaled to a
    1-norm of 1; the triplet compares the angles to the target and to what the source predicts at the sample.
    Their mean is taken off first, since a shift of all logits says nothing, and would count here.

    Parameters
    ----------
    weight : float, default=0.01
        Of the triplet's loss.
    gap : float, default=0.007
        By which the angle to the target shall be the smaller one.

    Examples
    --------
    >>> from skhalfway.attacks import PoincareTriplet, Recipe
    >>> Recipe(PoincareTriplet(weight=0.5))
    Recipe(PoincareTriplet(weight=0.5, gap=0.007))
    """

    kind, name, paper = "loss", "poincare_triplet", "Li et al., CVPR 2020"
    weight: float = 0.01
    gap: float = 0.007

    def __post_init__(self) -> None:
        check_number(self, "weight", 0)
        check_number(self, "gap", 0)

    def prepare(self, run: Run) -> None:
        if run.batch.targeted and self.name not in run.kept:
            with torch.no_grad():
                run.kept[self.name] = run.batch.logits(run.batch.ball.x0).argmax(dim=1)

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        given = logits.detach().requires_grad_()
        z = given - given.mean(dim=1, keepdim=True)
        label = own.to(z.dtype)
        total = _poincare(z, label)
        if run.batch.targeted:
            first = run.kept[self.name].repeat(len(z) // run.n)
            before = torch.zeros_like(label).scatter_(1, first[:, None], 1.0)
            total = total + self.weight * (_angle(z, label) - _angle(z, before) + self.gap).clamp_min(0.0)
        (slope,) = torch.autograd.grad(total.sum(), given)
        return slope


def _poincare(z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    tiny = torch.finfo(z.dtype).tiny
    u = z / z.abs().sum(dim=1, keepdim=True).clamp_min(tiny)
    v = (label - 1e-5).clamp_min(0.0)
    room = (1 - (u * u).sum(dim=1)) * (1 - (v * v).sum(dim=1))
    beyond = 2 * ((u - v) ** 2).sum(dim=1) / room.clamp_min(1e-7)
    return torch.acosh(1 + beyond.clamp_min(1e-7))


def _angle(z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """1 - |cos| of the angle between logits and a label."""
    length = torch.linalg.vector_norm(z, dim=1).clamp_min(torch.finfo(z.dtype).tiny)
    return 1 - (z * label).sum(dim=1).abs() / length
