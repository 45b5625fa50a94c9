"""Auto-PGD in L1: steps along few features, and projections onto ball and bounds at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from skhalfway.attacks._climbed import Climbed
from skhalfway.attacks._norms import L1Ball

if TYPE_CHECKING:
    from collections.abc import Callable

    from skhalfway.attacks._following import Following
    from skhalfway.attacks._gradient import Batch

_LOOK = 0.04  # share of the steps between two reviews of the progress
_SPARSER, _LEAST = 1.5, 0.1  # divisor of features and of steps; the shortest step, in budgets
_SAME = 0.95  # the number of features decreases if it is below this share of the last one


def project(x: torch.Tensor, ball: L1Ball) -> torch.Tensor:
    """The point nearest to ``x`` in the L1 ball between the bounds (Croce & Hein 2021, Proposition 2.1).

    Each change shrinks by the same threshold and is clipped to the bounds. The sum of what is left is
    piecewise linear in the threshold, with kinks where a feature leaves its bound or reaches 0.
    """
    change = (x - ball.x0).flatten(1)
    if ball.low is None or ball.high is None:
        room = torch.full_like(change, torch.inf)
    else:
        room = torch.where(change > 0, (ball.high - ball.x0).flatten(1), (ball.x0 - ball.low).flatten(1))
    room, size = room.clamp_min(0.0), change.abs()
    inner = torch.minimum(size, room)
    over = inner.sum(dim=1, keepdim=True) > ball.eps
    if not over.any():
        return ball.x0 + (inner * change.sign()).reshape(x.shape)
    # the sum of clip(size - t, 0, room) for each threshold t at a kink; its slope counts shrinking features
    ends = torch.cat([size - inner, size], dim=1)
    slope = torch.cat([torch.ones_like(size), -torch.ones_like(size)], dim=1)
    ends, order = ends.sort(dim=1)
    n_shrinking = slope.gather(1, order).cumsum(1)
    fall = (n_shrinking[:, :-1] * ends.diff(dim=1)).cumsum(1)
    excess = inner.sum(dim=1, keepdim=True) - ball.eps
    k = (fall < excess).sum(dim=1, keepdim=True).clamp_max(fall.shape[1] - 1)
    fallen = torch.where(k > 0, fall.gather(1, (k - 1).clamp_min(0)), 0.0)
    threshold = ends.gather(1, k) + (excess - fallen) / n_shrinking.gather(1, k).clamp_min(1.0)
    less = torch.minimum((size - threshold).clamp_min(0.0), room)
    return ball.x0 + (torch.where(over, less, inner) * change.sign()).reshape(x.shape)


def climb_sparsely(
    batch: Batch,
    x: torch.Tensor,
    follow: Following | None,
    value: Callable[[torch.Tensor], torch.Tensor],
    n_steps: int,
) -> torch.Tensor:
    """Raise the loss from ``x``, and return the best points met.

    Croce & Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers", ICML 2021,
    Algorithm 1. The larger balls in which the paper begins (section 3.4) are left out: on 500 digits, two
    networks had the same accuracy under attack with them as without, or a higher one. Our own additions: the
    first step goes to the corner of ball and bounds that seems highest, and features without room do not
    count among the steepest.
    """
    ball, n_look = batch.ball, max(int(_LOOK * n_steps), 1)
    assert isinstance(ball, L1Ball)
    climbed = Climbed(batch, project(x, ball), follow, value)
    n_features = ball.x0[0].numel()
    n_changed = _n_changed(climbed.x, ball)
    # in a sample that has not changed yet, a fifth of the features change at first
    n_before = torch.where(n_changed > 0, n_changed, float(n_features))
    n_free = torch.where(n_changed > 0, n_changed / _SPARSER, n_features / 5)
    size = torch.full_like(n_free, ball.eps)
    each = (-1, *[1] * (ball.x0.ndim - 1))
    for step in range(1, n_steps + 1):
        if step == 1:
            there = climbed.x.clone()
            ball.ascend(there, climbed.gradient, ball.eps)
            climbed.go(project(there, ball), last=n_steps == 1)
            continue
        gradient = _with_room(climbed.gradient, climbed.x, ball).flatten(1)
        steep, order = gradient.abs().sort(dim=1, descending=True)
        taken = torch.arange(n_features, device=steep.device) < n_free[:, None].clamp_min(1.0).floor()
        taken &= steep > 0
        way = torch.zeros_like(gradient).scatter(1, order, taken.to(gradient)) * gradient.sign()
        way /= taken.sum(dim=1, keepdim=True).clamp_min(1)
        there = climbed.x + size.reshape(each) * way.reshape(ball.x0.shape)
        climbed.go(project(there, ball), last=step == n_steps)
        if step % n_look == 0 and step < n_steps:
            n_now = _n_changed(climbed.at_best(), ball)
            fallen = n_now < _SAME * n_before
            n_free, n_before = n_now / _SPARSER, n_now
            size = torch.where(fallen, ball.eps, (size / _SPARSER).clamp_min(_LEAST * ball.eps))
            climbed.back_to_best(fallen)
    return climbed.end()


def _with_room(gradient: torch.Tensor, x: torch.Tensor, ball: L1Ball) -> torch.Tensor:
    if ball.low is None or ball.high is None:
        return gradient
    return torch.where(torch.where(gradient > 0, x < ball.high, x > ball.low), gradient, 0.0)


def _n_changed(x: torch.Tensor, ball: L1Ball) -> torch.Tensor:
    return (x != ball.x0).flatten(1).sum(dim=1).to(x.dtype)
