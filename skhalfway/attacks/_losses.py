"""Pieces of the kind "loss": what an attack raises, given as the gradient with respect to the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from skhalfway.attacks._pieces import Piece, Run, check_number

if TYPE_CHECKING:
    from skhalfway.models import Model


def margin_slope(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Gradient of the margin m = logsumexp(other logits) - own logit, with respect to the logits.

    Cross-entropy is softplus(m), so its gradient has the same direction. Unlike that, the margin's gradient
    does not vanish where a confident source saturates.
    """
    return _others(logits, own).softmax(dim=1).masked_fill_(own, -1.0)


def cross_entropy_slope(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Gradient of cross-entropy with respect to the logits, which never rounds to 0."""
    _, wrong, _ = _probabilities(logits, own)
    return wrong * margin_slope(logits, own)


def _probabilities(logits: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Probabilities of the label, of all other classes together, and each other class's share of that.

    The first two never round to 0.
    """
    others = _others(logits, own)
    margin = others.logsumexp(dim=1, keepdim=True) - logits.detach()[own][:, None]
    least = torch.finfo(logits.dtype).tiny ** 0.5
    mine, rest = ((sign * margin).neg().sigmoid().clamp_min(least) for sign in (1.0, -1.0))
    return mine, rest, others.softmax(dim=1)


def _others(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return logits.detach().masked_fill(own, -torch.inf)


@dataclass(frozen=True)
class CrossEntropy(Piece):
    """Cross-entropy of the label, with a gradient that is exact even where probabilities round to 1.

    The gradient is softmax(logits) - one-hot(label). It is computed as the probability of all other classes,
    which never rounds to 0, times the gradient of their margin.

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
    """The largest other logit minus that of the label.

    Carlini & Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, section V.A, f_6
    without the cut-off at 0.

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
    """The logit of the label alone, whose gradient does not vanish as the attack succeeds.

    Zhao, Liu & Larson, "On success and simplicity: a second look at transferable targeted attacks", NeurIPS
    2021. For two classes it is the difference of the logits, since one of them may be a constant.

    Examples
    --------
    >>> from skhalfway.attacks import Logit, Recipe
    >>> Recipe(Logit())
    Recipe(Logit())
    """

    kind, name, paper = "loss", "logit", "Zhao et al., NeurIPS 2021"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        others = torch.full_like(logits, 1.0 if logits.shape[1] == 2 else 0.0)
        return others.masked_fill_(own, -1.0)


@dataclass(frozen=True)
class ProbabilityMargin(Piece):
    """The largest other probability minus that of the label.

    Examples
    --------
    >>> from skhalfway.attacks import ProbabilityMargin, Recipe
    >>> Recipe(ProbabilityMargin())
    Recipe(ProbabilityMargin())
    """

    kind, name, paper = "loss", "probability_margin", "ours"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        mine, rest, shares = _probabilities(logits, own)
        most, other = shares.max(dim=1, keepdim=True)
        slope = rest * shares * (mine - rest * most)
        slope = slope.scatter_add(1, other, rest * most)
        return torch.where(own, -mine * rest * (1 + most), slope)


@dataclass(frozen=True)
class OwnProbability(Piece):
    """The probability of the label alone, which the attack lowers.

    Examples
    --------
    >>> from skhalfway.attacks import OwnProbability, Recipe
    >>> Recipe(OwnProbability())
    Recipe(OwnProbability())
    """

    kind, name, paper = "loss", "own_probability", "Ma et al., ICCV 2023"

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        mine, _, _ = _probabilities(logits, own)
        return mine * cross_entropy_slope(logits, own)


@dataclass(frozen=True)
class PoincareTriplet(Piece):
    """Distance of the logits from the label in the Poincare ball, plus a triplet loss in targeted attacks.

    Li et al., "Towards transferable targeted attack", CVPR 2020. Logits are scaled to a 1-norm of 1. The
    triplet loss compares the angle to the target with the angle to the source's prediction at the clean
    sample. The mean of the logits is subtracted first: a shift of all logits changes no prediction, but would
    change this loss.

    Parameters
    ----------
    weight : float, default=0.01
        Weight of the triplet loss.
    gap : float, default=0.007
        Margin of the triplet loss, by which the angle to the target should be smaller.

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

    def check_source(self, model: Model) -> None:
        if model.classes_ is not None:
            self._check_classes(len(model.classes_))

    def _check_classes(self, n_classes: int) -> None:
        if n_classes == 2:
            raise ValueError(
                "PoincareTriplet, 'potrip', needs three classes or more: two logits minus their mean, scaled "
                "to a 1-norm of 1, are the same everywhere, so that the gradient is 0; take another loss"
            )

    def prepare(self, run: Run) -> None:
        self._check_classes(run.batch.own.shape[1])
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
