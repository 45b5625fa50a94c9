"""Minimum-norm attacks in L2: Carlini & Wagner's attack, and DDN (decoupled direction and norm)."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

import torch

from skhalfway._checks import check_integer, check_positive, is_number
from skhalfway._text import shown
from skhalfway.attacks._minimum import MinimumAttack
from skhalfway.attacks._norms import at_least_tiny, largest

if TYPE_CHECKING:
    from skhalfway.attacks._boundary import Field
    from skhalfway.attacks._problem import Settings

_INSIDE = 1 - 1e-6  # share of the range in which a sample begins, as tanh has no slope at its ends
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # Adam's own defaults


@dataclass(frozen=True)
class CarliniWagner(MinimumAttack):
    """The L2 attack of Carlini & Wagner, IEEE S&P 2017, section VI.A.

    It minimises the squared distance plus c * max(0, -margin) over w, where tanh(w) maps to the range of each
    feature, and searches c for each sample. Our own addition: distances are in multiples of the estimated
    distance of the boundary, and margins in multiples of the sample's own, so that they fit any scale.

    Attributes
    ----------
    n_searches : int
        Number of values of c that are tried, each with all steps.
    c : float
        First value of c.
    """

    n_searches: int
    c: float

    def search(self, field: Field, n_steps: int) -> None:
        x0, width = field.x0, (field.high - field.low).clamp_min(torch.finfo(field.x0.dtype).tiny)
        middle, half = (field.low + field.high) / 2, width / 2
        begin = torch.atanh(((x0 - middle) / half).clamp(-1, 1) * _INSIDE)
        still = width <= torch.finfo(x0.dtype).tiny
        if field.free is not None:
            still = still | (field.free == 0)
        margins, slope = field.slope(*field.logits(x0))
        unit = field.lengths(field.climb(x0, slope, margins.abs())).clamp_min(torch.finfo(x0.dtype).eps)
        usual = margins.abs().clamp_min(torch.finfo(x0.dtype).eps)
        c = torch.full_like(unit, self.c)
        low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
        rate = self.settings.step_size or 0.3
        for _ in range(self.n_searches):
            w, first, second, ever = begin.clone(), torch.zeros_like(x0), torch.zeros_like(x0), c < 0
            for k in range(1, n_steps + 1):
                bent = w.tanh()
                x = torch.where(still | (w == begin), x0, middle + half * bent)
                leaf, logits = field.logits(x)
                margins, slope = field.slope(leaf, logits)
                ever |= field.offer_likely(x, logits)
                pull = 2 * (x - x0) / unit**2
                push = torch.where(margins <= 0, c * slope / usual, 0.0)
                # stop samples without a gradient, which only rounding errors would move
                lost = (margins <= 0) & ~slope.any(dim=1, keepdim=True)
                gradient = torch.where(lost, 0.0, (pull - push) * half * (1 - bent**2))
                first = _BETA_1 * first + (1 - _BETA_1) * gradient
                second = _BETA_2 * second + (1 - _BETA_2) * gradient**2
                step = first / (1 - _BETA_1**k) / ((second / (1 - _BETA_2**k)).sqrt() + _EPSILON)
                w = w - rate * step
            high, low = torch.where(ever, torch.minimum(high, c), high), torch.where(ever, low, c)
            c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)


@dataclass(frozen=True)
class DDN(MinimumAttack):
    """Decoupled direction and norm: Rony et al., CVPR 2019, Algorithm 1.

    Our own addition: the first radius and the first step are the distance of the boundary, as the first
    gradient estimates it, rather than 1, so that they fit any scale of the data.

    Attributes
    ----------
    gamma : float
        Share by which the radius changes after each step.
    """

    gamma: float

    def search(self, field: Field, n_steps: int) -> None:
        x, tiny = field.x0, torch.finfo(field.x0.dtype).tiny
        radius = first = torch.empty(0)
        for k in range(n_steps):
            leaf, logits = field.logits(x)
            margins, slope = field.slope(leaf, logits)
            if k == 0:
                radius = field.lengths(field.climb(x, slope, margins.abs())).clamp_min(tiny)
                step = self.settings.step_size
                first = radius if step is None else torch.full_like(radius, step)
            won = field.offer_likely(x, logits)
            slope = slope / at_least_tiny(largest(slope))
            length = first * (0.01 + 0.99 * (1 + cos(pi * k / n_steps)) / 2)
            change = x - field.x0 + length * slope / field.lengths(slope).clamp_min(tiny)
            radius = radius * torch.where(won, 1 - self.gamma, 1 + self.gamma)
            x = field.x0 + radius * change / field.lengths(change).clamp_min(tiny)
            x = torch.clamp(x, field.low, field.high)
        field.offer(x)


def cw(settings: Settings, n_searches: int = 5, c: float = 1.0) -> CarliniWagner:
    """Carlini & Wagner's L2 attack; ``c`` is the first of ``n_searches`` weights of the margin.

    ``step_size`` is the learning rate of Adam, 0.3 if it is None. ``max_iter`` is the number of steps of each
    search.
    """
    check_integer("attack_params['n_searches']", n_searches)
    check_positive("attack_params['c']", c)
    return CarliniWagner(settings, int(n_searches), float(c))


def ddn(settings: Settings, gamma: float = 0.05) -> DDN:
    """Decoupled direction and norm; ``step_size``, if given, is the length of the first step."""
    if not is_number(gamma) or not 0 < gamma < 1:
        raise ValueError(f"attack_params['gamma'] must be a number between 0 and 1, got {shown(gamma)}")
    return DDN(settings, float(gamma))
