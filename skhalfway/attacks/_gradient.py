"""The gradient attacks: one loop, and a few lines for each attack."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway.attacks._norms import BALLS, keep_budget, lengths, random_in_ball
from skhalfway.models._torch import device_of, dtype_of

if TYPE_CHECKING:
    from skhalfway.attacks._norms import Ball
    from skhalfway.attacks._problem import Problem
    from skhalfway.models import Model


@dataclass(frozen=True)
class GradientAttack:
    """Projected steps along the gradient of the loss.

    Attributes
    ----------
    n_steps : int
        Number of gradients.
    step_size : float
        Length of a step, in input units.
    decay : float, default=0.0
        Share of the accumulated gradient that is kept at each step.
    """

    n_steps: int
    step_size: float
    decay: float = 0.0

    def run(
        self, model: Model, x: torch.Tensor, own: torch.Tensor, ball: Ball, *, targeted: bool
    ) -> torch.Tensor:
        """Attack from the start points ``x``, whose memory is used for the result.

        The loss is cross-entropy, away from the labels or (``targeted``)
        towards them. Its gradient at the logits is taken up to a positive
        factor per sample, which no step below depends on:
        cross-entropy is softplus(m) with the margin
        m = logsumexp(other logits) - own logit, so the gradient of m has its
        direction, and it does not vanish where a confident source saturates.

        Parameters
        ----------
        model : Model
            Differentiable source, in evaluation mode.
        x : Tensor of shape (n_samples, ...)
            Start points.
        own : bool Tensor of shape (n_samples, n_classes)
            True at each sample's label.
        ball : Ball
            Budget and bounds.
        targeted : bool
            Whether the labels are where to go rather than where to leave.

        Returns
        -------
        x : Tensor of shape (n_samples, ...)
            End points.
        """
        size = -self.step_size if targeted else self.step_size
        momentum: torch.Tensor | None = None
        for _ in range(self.n_steps):
            x.requires_grad_()
            logits = model.logits(x)
            slope = logits.detach().masked_fill(own, -torch.inf).softmax(dim=1).masked_fill_(own, -1.0)
            (gradient,) = torch.autograd.grad(logits, x, slope)
            x = x.detach()
            if self.decay:
                gradient.div_(lengths(gradient, 1).clamp_min_(torch.finfo(x.dtype).tiny))
                momentum = gradient if momentum is None else momentum.mul_(self.decay).add_(gradient)
                gradient = momentum.clone()
            ball.ascend(x, gradient, size)
            ball.confine(x)
        return x


def margins(model: Model, x: torch.Tensor, own: torch.Tensor, *, targeted: bool) -> torch.Tensor:
    """Largest other logit minus the label's own, or its negative: positive where an attack won."""
    with torch.no_grad():
        logits = model.logits(x)
        margin = logits.masked_fill(own, -torch.inf).amax(dim=1) - logits[own]
    return -margin if targeted else margin


def run_in_batches(
    attack: GradientAttack,
    problem: Problem,
    *,
    n_restarts: int,
    random_start: bool,
    batch_size: int,
    device: Any,
    rng: np.random.RandomState,
) -> NDArray[Any]:
    """Run an attack on all samples, some at a time; of several restarts keep the largest margin."""
    X, eps, norm, bounds = problem.X, problem.eps, problem.norm, problem.bounds
    module = problem.model.module
    assert module is not None
    device = device_of(module) if device is None else torch.device(device)
    model = problem.model.on(device)
    place: dict[str, Any] = {"dtype": dtype_of(module), "device": device}
    low, high = (None, None) if bounds is None else (torch.tensor(b, **place) for b in bounds)
    X_adv, best = X.copy(), np.full(len(X), -np.inf)
    with model.evaluating():
        for restart in range(n_restarts):
            at_random = random_start or restart > 0
            # drawn at once, so that they do not depend on the batches
            start = random_in_ball(rng, X.shape, eps, norm) if at_random else None
            for begin in range(0, len(X), batch_size):
                batch = slice(begin, begin + batch_size)
                x0 = torch.tensor(X[batch], **place)
                ball = BALLS[norm](x0, eps, low, high)
                x = x0.clone()
                if start is not None:
                    x += torch.from_numpy(start[batch]).to(**place)
                    ball.confine(x)
                label = torch.from_numpy(problem.labels[batch]).to(device)
                own = torch.nn.functional.one_hot(label, problem.n_classes).bool()
                x = attack.run(model, x, own, ball, targeted=problem.targeted)
                end = x.cpu().numpy()
                if not np.isfinite(end).all():
                    raise ValueError(
                        f"{type(model.estimator).__name__} has gradients that are not finite; "
                        "look for overflow in its outputs"
                    )
                kept = keep_budget(X[batch], end, eps, norm, bounds)
                if n_restarts == 1:
                    X_adv[batch] = kept
                    continue
                margin = margins(model, x, own, targeted=problem.targeted).cpu().numpy()
                better = margin > best[batch]
                best[batch][better] = margin[better]
                X_adv[batch][better] = kept[better]
    return X_adv


def fgsm(eps: float, max_iter: int, step_size: float | None) -> GradientAttack:
    """Fast gradient (sign) method: one step of length eps (Goodfellow et al. 2015, section 4)."""
    if step_size is not None:
        raise ValueError(
            f"attack='fgsm' takes one step of length eps; step_size must be None, got {step_size}"
        )
    return GradientAttack(n_steps=1, step_size=eps)


def pgd(eps: float, max_iter: int, step_size: float | None) -> GradientAttack:
    """Projected gradient descent (Madry et al. 2018, section 2.1); its steps add up to 2.5 eps."""
    return GradientAttack(max_iter, 2.5 * eps / max_iter if step_size is None else step_size)


def mifgsm(eps: float, max_iter: int, step_size: float | None, decay: float = 1.0) -> GradientAttack:
    """Momentum iterative method (Dong et al. 2018, Algorithm 1); its steps add up to eps."""
    if not isinstance(decay, Real) or not isfinite(decay) or decay < 0:
        raise ValueError(f"attack_params['decay'] must be a finite number >= 0, got {decay!r}")
    return GradientAttack(max_iter, eps / max_iter if step_size is None else step_size, decay)


ATTACKS = {"fgsm": fgsm, "pgd": pgd, "mifgsm": mifgsm}
