"""Full-batch gradient descent on the hidden layer of a network with a frozen output layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

import torch
from torch.nn.functional import leaky_relu, logsigmoid, softplus

LOSSES = ("exponential", "logistic")
_SUFFICIENT = 0.5  # smallest share of the decrease predicted by the gradient (Armijo)
_FARTHEST = 1.0  # largest change of a margin in a step
_DIVERGED = 700.0  # logarithm of a loss beyond which it overflows
_USUAL_STEPS = 20  # typical number of steps where samples are no more than features
_FAR = 15.0  # margin from which logistic and exponential loss are equal in float precision


@dataclass(frozen=True)
class Descent:
    """Outcome of training: smallest margin, mean loss before each step and at the end, time of flow."""

    margin: float
    losses: list[float]
    time: float


def descend(
    x: torch.Tensor,
    sign: torch.Tensor,
    weights: torch.Tensor,
    read_out: torch.Tensor,
    *,
    gamma: float,
    loss: str,
    margin: float,
    max_time: float,
    max_iter: int,
    learning_rate: float | None,
) -> Descent:
    """Train ``weights`` in place until all margins are at least ``margin``; see OneHiddenLayerClassifier.

    Weights move in the span of the samples. Where there are fewer samples than features, a step changes
    coefficients of the samples, and needs their inner products only. With few hidden units, computing the
    inner products would cost more than it saves.
    """
    spanned = x.shape[0] <= min(x.shape[1], _USUAL_STEPS * len(weights))
    inputs = weights @ x.T
    moving, onwards = (torch.zeros_like(inputs), x @ x.T) if spanned else (weights, x.T)
    spare, pulls = torch.empty_like(inputs), torch.empty_like(inputs)
    # safe: one over the largest curvature of the logarithm of the loss between kinks; step: one over that
    # curvature where all samples have equal weight and are orthogonal
    safe = 1 / float(x.square().sum(dim=1).max())
    step = safe * len(x)
    margins = sign * (read_out @ leaky_relu(inputs, gamma))
    log_loss, pull = _log_loss(margins, loss)
    losses, time = [exp(log_loss)], 0.0
    while margins.min() < margin and time < max_time and len(losses) <= max_iter:
        level = exp(max(log_loss, -_DIVERGED))  # a step on the logarithm of the loss is 1 / level on the loss
        pull *= sign
        # torch.where is ten times slower
        torch.gt(inputs, 0, out=pulls).mul_((1 - gamma) * pull).add_(gamma * pull)
        change = (pulls if spanned else pulls @ x).mul_(read_out[:, None])
        if learning_rate is not None:
            step = min(learning_rate, max_time - time) * level
            inputs.addmm_(change, onwards, alpha=step)
            margins = sign * (read_out @ leaky_relu(inputs, gamma))
            log_loss, pull = _log_loss(margins, loss)
            if not log_loss < _DIVERGED:
                raise ValueError(
                    f"the loss diverges with learning_rate={learning_rate}; lower it, or pass None"
                )
        else:
            moved = change @ onwards
            slope = torch.dot(change.flatten(), (moved if spanned else change).flatten())
            promised = _SUFFICIENT * float(slope)
            step = min(2 * step, (max_time - time) * level)
            while True:
                torch.add(inputs, moved, alpha=step, out=spare)
                after = sign * (read_out @ leaky_relu(spare, gamma))
                lower, pull = _log_loss(after, loss)
                near = (after - margins).abs().max() <= _FARTHEST
                # at a kink, no step along the gradient may decrease the loss; a safe step crosses it
                if (near and lower <= log_loss - promised * step) or step <= safe:
                    break
                step = max(step / 2, safe)
            inputs, spare, margins, log_loss = spare, inputs, after, lower
        moving.add_(change, alpha=step)
        time += step / level
        losses.append(exp(log_loss))
    if spanned:
        weights.addmm_(moving, x)
    return Descent(float(margins.min()), losses, time)


def _log_loss(margins: torch.Tensor, loss: str) -> tuple[float, torch.Tensor]:
    """Logarithm of the mean loss, and minus its derivative by each margin, without underflow."""
    if loss == "exponential":
        losses = slopes = -margins
    else:
        losses = torch.where(margins > _FAR, -margins, softplus(-margins).log())
        slopes = logsigmoid(-margins)
    total = torch.logsumexp(losses, 0)
    return float(total) - log(len(margins)), torch.exp(slopes - total)
