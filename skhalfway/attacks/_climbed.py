"""The state of an ascent: where it is, and the best points that it met."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from skhalfway.attacks._following import Following
    from skhalfway.attacks._gradient import Batch


class Climbed:
    """Current points of an ascent, one for each sample of a batch, and the best points so far.

    Parameters
    ----------
    batch : Batch
        The samples.
    x : Tensor
        Points at which the ascent begins.
    follow : Following or None
        What is differentiated; None is the margin.
    value : callable
        Function of logits that returns the values (n_samples,) to raise.

    Attributes
    ----------
    x, height, gradient : Tensor
        Current points, and the value and the gradient there.
    best : Tensor of shape (n_samples,)
        Largest value so far.
    """

    def __init__(
        self,
        batch: Batch,
        x: torch.Tensor,
        follow: Following | None,
        value: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        self._batch, self._follow, self._value = batch, follow, value
        self._each = (-1, *[1] * (x.ndim - 1))
        self._logits = torch.empty(0)
        self.best = torch.full_like(x.flatten(1)[:, 0], -torch.inf)
        self._won = torch.zeros_like(self.best, dtype=torch.bool)
        self._most = self.best.clone()
        self._at_best, self._kept = x, x
        self.gradient = self._gradient_at_best = torch.zeros_like(x)
        self.go(x, last=False)

    def go(self, x: torch.Tensor, *, last: bool) -> None:
        """Move to points, and compute the gradient there unless they are the ``last``."""
        batch, self.x = self._batch, x
        if last:
            batch.look_back(self.gradient, self._logits)
            with torch.no_grad():
                logits = batch.logits(x)
        else:
            self.gradient, logits = batch.gradient(x, self._follow)
            if batch.ball.free is not None:
                self.gradient = self.gradient * batch.ball.free
        self._logits = logits = logits.detach()
        self.height = self._value(logits).to(self.best.dtype)
        better = self.height > self.best
        self.best = torch.where(better, self.height, self.best)
        rows = better.reshape(self._each)
        self._at_best = torch.where(rows, x, self._at_best)
        self._gradient_at_best = torch.where(rows, self.gradient, self._gradient_at_best)
        won = batch.margins(logits) > 0
        kept = (won & ~self._won) | ((won == self._won) & (self.height > self._most))
        self._won |= won
        self._most = torch.where(kept, self.height, self._most)
        self._kept = torch.where(kept.reshape(self._each), x, self._kept)

    def back_to_best(self, which: torch.Tensor) -> None:
        """Set some samples back to their best points."""
        rows = which.reshape(self._each)
        self.x = torch.where(rows, self._at_best, self.x)
        self.gradient = torch.where(rows, self._gradient_at_best, self.gradient)
        self.height = torch.where(which, self.best, self.height)

    def at_best(self) -> torch.Tensor:
        """The points of the largest value."""
        return self._at_best

    def end(self) -> torch.Tensor:
        """The points to return: those of the largest value among points that won, or else among all."""
        self._batch.faults.flat[self._batch.rows] &= ~self._won.cpu().numpy()
        return self._kept
