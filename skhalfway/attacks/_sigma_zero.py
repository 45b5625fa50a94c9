"""The attack that changes the fewest features: sigma-zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

import torch

from skhalfway._checks import check_positive
from skhalfway.attacks._minimum import MinimumAttack
from skhalfway.attacks._norms import largest

if TYPE_CHECKING:
    from skhalfway.attacks._boundary import Field
    from skhalfway.attacks._problem import Settings

_N_SINGLE = 16  # features of the least gain that are tried for restoring one by one at the end


@dataclass(frozen=True)
class SigmaZero(MinimumAttack):
    """sigma-zero: Cinà et al., ICLR 2025, Algorithm 1.

    The attack follows the gradient of the margin (until it has won) plus that of a smooth count of the
    changed features, sum_i d_i^2 / (d_i^2 + sigma), divided by their number. The gradient is divided by its
    largest value. Changes below a threshold tau are set to 0 after each step; tau rises if the attack has
    won, and falls if it has not. Changes d are shares of the range of a feature, which in the paper is
    [0, 1].

    Our own additions:

    - Margins are in multiples of the sample's own, so that they fit any scale of the logits.
    - A feature at the end of its range, which cannot go further, does not count in the largest value, so that
      fewer steps suffice.
    - If boundaries were planes, a sort by slope times room would give the fewest features that win. These are
      tried before the first step, and at the best point found in the last tenth of the steps.
    - At the end, features are restored if the attack still wins without them.

    Attributes
    ----------
    sigma : float
        Smoothness of the count; smaller values are closer to the true count.
    tau : float
        First threshold, as a share of a feature's range.
    t : float
        Change of tau, as a share of a step.
    """

    sigma: float
    tau: float
    t: float

    def search(self, field: Field, n_steps: int) -> None:
        x0, tiny = field.x0, torch.finfo(field.x0.dtype).tiny
        width = field.high - field.low
        still = width <= tiny
        if field.free is not None:
            still = still | (field.free == 0)
        width = torch.where(still, 1.0, width)
        if not field.batch.targeted:
            # this also finds the rival whose boundary needs the fewest features
            field.offer(torch.clamp(x0 + field.to_boundary(x0)[0], field.low, field.high))
        usual = field.slope(*field.logits(x0))[0].abs().clamp_min(torch.finfo(x0.dtype).eps)
        x, d = x0, torch.zeros_like(x0)
        won = torch.zeros_like(x0[:, :1], dtype=torch.bool)
        tau = torch.full_like(x0[:, :1], self.tau)
        first = 1.0 if self.settings.step_size is None else self.settings.step_size
        for k in range(n_steps):
            _, slope = field.slope(*field.logits(x))
            square = d.square()
            fewer = 2 * self.sigma * d / (square + self.sigma).square() / d.shape[1]
            gradient = fewer - torch.where(won, 0.0, (slope / usual * width).nan_to_num())
            no_room = torch.where(gradient < 0, x >= field.high, x <= field.low)
            gradient = torch.where(still | no_room, 0.0, gradient)
            gradient = gradient / largest(gradient).clamp_min(tiny)
            step = first * (0.1 + 0.9 * (1 + cos(pi * k / n_steps)) / 2)
            x = torch.clamp(x0 + (d - step * gradient) * width, field.low, field.high)
            d = (x - x0) / width
            kept = (d.abs() >= tau) & (d != 0)
            x, d = torch.where(kept, x, x0), torch.where(kept, d, 0.0)
            won = field.offer(x)
            tau = (tau + torch.where(won, step, -step) * self.t).clamp(0, 1)

    def finish(self, field: Field, n_steps: int) -> None:
        for _ in range(n_steps):
            x, _ = field.found()
            leaf, logits = field.logits(x)
            margins, slope = field.slope(leaf, logits)
            rise = (-margins - (slope * (field.x0 - x)).sum(1, keepdim=True)).nan_to_num(0.0)
            # a little beyond, so that it still wins when it is rounded to the data's float type
            change = field.climb(field.x0, slope, (1.001 * rise).clamp_min(0.0))
            field.offer(torch.clamp(field.x0 + change, field.low, field.high))
        self._restore(field)

    @staticmethod
    def _restore(field: Field) -> None:
        """Set features back that are not needed: many at once, by bisection, then single ones."""
        x, distances = field.found()
        _, slope = field.slope(*field.logits(x))
        changed = x != field.x0
        # the least gain first; features that have not changed come last
        gain = torch.where(changed, slope * (x - field.x0), torch.inf)
        order = gain.argsort(dim=1, stable=True)
        rank = torch.zeros_like(order).scatter_(
            1, order, torch.arange(x.shape[1], device=x.device).expand_as(x)
        )
        n_changed = changed.sum(dim=1, keepdim=True)
        low, high = torch.zeros_like(n_changed), n_changed  # restored and won; restored and lost
        low = torch.where(distances.isfinite(), low, high)
        while (left := high - low > 1).any():
            middle = torch.where(left, (low + high) // 2, low)
            won = field.offer(torch.where(rank < middle, field.x0, x))
            low, high = torch.where(left & won, middle, low), torch.where(left & ~won, middle, high)
        least = torch.where(rank < low, field.x0, x)
        for k in range(min(_N_SINGLE, int(n_changed.max()))):
            # by the bisection, the feature at which it ended is needed
            tried = torch.where(rank == low + k, field.x0, least)
            won = field.offer(tried)
            least = torch.where(won & distances.isfinite(), tried, least)


def sigmazero(settings: Settings, sigma: float = 1e-3, tau: float = 0.3, t: float = 0.01) -> SigmaZero:
    """sigma-zero; ``step_size`` is the first step, as a share of each feature's range, 1 if it is None."""
    for name, value in (("sigma", sigma), ("tau", tau), ("t", t)):
        check_positive(f"attack_params[{name!r}]", value)
    return SigmaZero(settings, float(sigma), float(tau), float(t))
