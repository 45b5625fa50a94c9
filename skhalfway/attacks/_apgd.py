"""Auto-PGD: projected gradient steps whose lengths adapt to the progress of the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import torch

from skhalfway._checks import check_choice, check_integer
from skhalfway._text import shown
from skhalfway.attacks._apgd_l1 import climb_sparsely
from skhalfway.attacks._climbed import Climbed
from skhalfway.attacks._following import Following, at_logits
from skhalfway.attacks._gradient import GradientAttack
from skhalfway.attacks._in_turn import InTurn
from skhalfway.attacks._losses import margin_slope
from skhalfway.attacks._norms import L1Ball

if TYPE_CHECKING:
    from collections.abc import Callable

    from skhalfway._streams import Streams
    from skhalfway.attacks._gradient import Batch
    from skhalfway.attacks._layers import Wires
    from skhalfway.attacks._problem import Problem, Settings

LOSSES = ("ce", "dlr")
_MOMENTUM = 0.75  # share of the new step in the sum; the rest is the share of the step before
_RISING = 0.75  # if a smaller share of steps raises the loss, the steps are too long


def checkpoints(n_steps: int) -> list[int]:
    """Numbers of steps after which Algorithm 1 reviews its progress, at shrinking intervals."""
    before, share, found = 0.0, 0.22, []
    while share < 1:
        found.append(ceil(round(share * n_steps, 6)))
        before, share = share, share + max(share - before - 0.03, 0.06)
    return found


def dlr(
    logits: torch.Tensor, own: torch.Tensor, rival: torch.Tensor | None = None, *, targeted: bool = False
) -> torch.Tensor:
    """Difference of logits ratio, which does not depend on the scale of the logits or an added constant.

    Untargeted (equation 6), it is the largest other logit minus the label's, divided by the largest of all
    logits minus the third largest. Towards a label, ``rival`` (n_samples, 1) or the ``targeted`` one
    (equation 7), it is that label's logit minus the one that it has to exceed, divided by the largest logit
    minus the mean of the third and the fourth. The logit to exceed is the label's own or, in a targeted
    attack, the largest other logit; the paper has the true label's, which is not known here.
    """
    most = logits.topk(3 if rival is None and not targeted else 4, dim=1).values
    label = logits[own]
    if rival is None:
        other = logits.masked_fill(own, -torch.inf).amax(dim=1)
        rise = label - other if targeted else other - label
    else:
        rise = logits.gather(1, rival)[:, 0] - label
    least = most[:, 2] if most.shape[1] == 3 else (most[:, 2] + most[:, 3]) / 2
    return rise / (most[:, 0] - least).clamp_min(1e-12)


def _dlr_slope(value: Callable[..., torch.Tensor], logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        z = logits.detach().requires_grad_()
        return torch.autograd.grad(value(z, own).sum(), z)[0]


@dataclass(frozen=True)
class APGD(GradientAttack):
    """Auto-PGD.

    Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
    attacks", ICML 2020, Algorithm 1; in L1 the variant of their "Mind the box", ICML 2021. Our own addition:
    a point that fools is kept, the one of the largest loss if there are several.

    Attributes
    ----------
    loss : {"ce", "dlr"}
        Loss that is raised.
    rank : int or None, default=None
        Rank of the label to reach among the other labels: 0 is the most probable one at the sample. None is
        any label.
    """

    loss: str = "ce"
    rank: int | None = None

    def climb(
        self, batch: Batch, x: torch.Tensor, size: float, streams: Streams, wires: Wires
    ) -> torch.Tensor:
        """Raise the loss from the points ``x``, and return the best points met."""
        follow, value = self._objective(batch)
        if isinstance(batch.ball, L1Ball):
            return climb_sparsely(batch, x, follow, value, self.n_steps)
        return self._climb(batch, x, follow, value)

    def _objective(self, batch: Batch) -> tuple[Following | None, Callable[[torch.Tensor], torch.Tensor]]:
        """What is differentiated, and the loss that it raises, as a function of logits."""
        own, targeted, rival = batch.own, batch.targeted, None
        if self.rank is not None:
            with torch.no_grad():
                others = batch.logits(batch.ball.x0).masked_fill(own, -torch.inf)
            rival = others.argsort(dim=1, descending=True, stable=True)[:, self.rank : self.rank + 1]
        if self.loss == "dlr":
            value = partial(dlr, rival=rival, targeted=targeted)
            return Following(None, at_logits(partial(_dlr_slope, value))), partial(value, own=own)
        if rival is not None:
            # the margin of two labels alone
            others = torch.ones_like(own).scatter_(1, rival, False) & ~own
            two = partial(torch.Tensor.masked_fill, mask=others, value=-torch.inf)
            return (
                Following(None, at_logits(lambda logits, own: margin_slope(two(logits), own))),
                lambda logits: _margin(two(logits), own),
            )
        if targeted:
            return (
                Following(None, at_logits(lambda logits, own: -margin_slope(logits, own))),
                lambda logits: -_margin(logits, own),
            )
        return None, lambda logits: _margin(logits, own)

    def _climb(
        self,
        batch: Batch,
        x: torch.Tensor,
        follow: Following | None,
        value: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        ball, marks, each = batch.ball, set(checkpoints(self.n_steps)), (-1, *[1] * (x.ndim - 1))
        climbed = Climbed(batch, x, follow, value)
        before = x
        size = torch.full_like(x.flatten(1)[:, 0], 2 * ball.eps)
        n_rises = torch.zeros_like(size)
        shortened, best, mark = torch.ones_like(size, dtype=torch.bool), climbed.best.clone(), 0
        for step in range(1, self.n_steps + 1):
            x, height = climbed.x, climbed.height
            way = torch.zeros_like(x)
            ball.ascend(way, climbed.gradient, 1.0)
            there = torch.addcmul(x, way, size.reshape(each))
            ball.confine(there)
            if step > 1:
                there = x + _MOMENTUM * (there - x) + (1 - _MOMENTUM) * (x - before)
                ball.confine(there)
            before = x
            climbed.go(there, last=step == self.n_steps)
            n_rises += climbed.height > height
            if step in marks and step < self.n_steps:
                # the second condition: no better point since the last review, with steps of the same length
                still = ~shortened & (climbed.best <= best)
                shortened = (n_rises < _RISING * (step - mark)) | still
                size = torch.where(shortened, size / 2, size)
                climbed.back_to_best(shortened)
                best, mark = climbed.best.clone(), step
                n_rises.zero_()
        return climbed.end()


def _margin(logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """The margin, which rises with cross-entropy and has digits where that rounds to 0."""
    return logits.masked_fill(own, -torch.inf).logsumexp(dim=1) - logits[own]


@dataclass(frozen=True)
class Targets(InTurn):
    """Auto-PGD towards several labels in turn, the most probable first."""

    def of(self, problem: Problem) -> InTurn:
        """One attack for each target label, as far as the source has other labels."""
        return replace(self, attacks=self.attacks[: problem.n_classes - 1])


def apgd(settings: Settings, loss: str = "ce", n_targets: int | None = None) -> APGD | InTurn:
    """Auto-PGD (Croce & Hein 2020, Algorithm 1).

    ``loss`` is cross-entropy, ``"ce"``, or the difference of logits ratio, ``"dlr"``, which needs three
    classes, or four in targeted attacks. ``n_targets`` is the number of the most probable other labels that
    are tried as targets, one after another, on the samples that are not fooled yet. With ``"dlr"``, that is
    APGD-T.
    """
    check_choice("attack_params['loss']", loss, LOSSES)
    if n_targets is not None:
        check_integer("attack_params['n_targets']", n_targets)
    if settings.step_size is not None:
        raise ValueError(
            f"attack='apgd' finds the lengths of its steps; step_size must be None, got "
            f"{shown(settings.step_size)}"
        )
    attack = APGD(settings, settings.max_iter, reach=2.0 * settings.max_iter, loss=loss)
    if n_targets is None:
        return attack
    return Targets(tuple(replace(attack, rank=rank) for rank in range(int(n_targets))))


def check_loss(
    params: dict[str, object] | None, n_classes: int, source: str, *, targeted: bool | None
) -> None:
    """Raise if a source has too few classes for the loss of ``attack="apgd"``."""
    params = params or {}
    towards = "n_targets" in params and params["n_targets"] is not None
    if towards and targeted:
        raise ValueError(
            "attack_params['n_targets'] is for untargeted attacks: with target, the label to reach is given; "
            "leave n_targets out"
        )
    n_needed = 4 if towards or targeted else 3
    if params.get("loss") == "dlr" and n_classes < n_needed:
        label = " towards a label" if n_needed == 4 else ""
        raise ValueError(
            f"attack_params['loss']='dlr' needs {n_needed} classes{label}, since it divides by the largest "
            f"logit minus the third{' and fourth' if n_needed == 4 else ''}, and {source} has {n_classes}; "
            "pass 'ce'"
        )
