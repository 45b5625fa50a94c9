"""Faults of a source's gradients: mended as far as that goes, counted for each sample, and said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway.attacks._norms import largest
from skhalfway.models import Finding

if TYPE_CHECKING:
    from skhalfway.attacks._region import Rows

_TRUST = (
    0.25  # most that a guess may be of what is known: a slope beside a cliff may be steep and lead nowhere
)
MANY = 0.05  # share of samples without a gradient that may move a figure by more than its interval


class Faults:
    """What was wrong with a source's gradients at the samples of one attack.

    Attributes
    ----------
    source : str
        What to call the source.
    partly : bool
        Whether some values never change; gradients by them lead nowhere.
    not_finite : bool ndarray of shape (n_samples,)
        True where a gradient had values that are nan or infinite.
    flat : bool ndarray of shape (n_samples,)
        True where the attack came to its end without a win, in a place where the gradient is exactly 0: more
        steps would not have led on.
    n_gradients : int
        Gradients that were computed, over all samples.
    advice : str
        What to do where samples have no gradient.
    """

    def __init__(self, n: int, source: str, *, partly: bool = False) -> None:
        self.source, self.partly = source, partly
        self.not_finite = np.zeros(n, dtype=bool)
        self.flat = np.ones(n, dtype=bool)
        self.n_gradients = 0
        self.advice = ""

    def mend(
        self,
        gradient: torch.Tensor,
        x: torch.Tensor,
        rows: Rows,
        bounds: tuple[torch.Tensor | None, torch.Tensor | None],
        look: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """The gradient of some rows at ``x``; where it cannot be followed, what comes nearest to it.

        What is missing comes from a point next to ``x``, where ``look`` gives the gradient. Infinite values
        become one to two times as large as the largest that is known in their row, in the order that this
        point tells; values that are nan become what they are there, up to a share of the largest known, or 0.
        Rows without such values stay as they are.
        """
        known = gradient.isfinite()
        whole = known.flatten(1).all(dim=1)
        if whole.all():
            return gradient
        self.not_finite[rows] |= ~whole.cpu().numpy()
        tiny = torch.finfo(x.dtype).tiny
        near = look(_next_to(x, *bounds)).nan_to_num(0.0, 0.0, 0.0)
        most = largest(torch.where(known, gradient, 0.0))
        size = torch.where(most > 0, most, 1.0) * (1 + near.abs() / largest(near).clamp_min(tiny))
        guess = torch.where(most > 0, near.clamp(-_TRUST * most, _TRUST * most), near)
        return torch.where(known, gradient, torch.where(gradient.isnan(), guess, gradient.sign() * size))

    def spread(self, rows: NDArray[np.intp], n: int) -> Faults:
        """The faults of ``n`` samples of which these are some; the others have none."""
        faults = Faults(n, self.source, partly=self.partly)
        faults.flat[:] = False
        faults.advice = self.advice
        if len(rows):
            faults.n_gradients = self.n_gradients
            faults.flat[rows], faults.not_finite[rows] = self.flat, self.not_finite
        return faults

    @staticmethod
    def joined(parts: Sequence[Faults]) -> Faults:
        """The faults of a whole, of whose blocks these are."""
        joined = Faults(0, parts[0].source, partly=any(part.partly for part in parts))
        joined.flat = np.concatenate([part.flat for part in parts])
        joined.not_finite = np.concatenate([part.not_finite for part in parts])
        joined.n_gradients = sum(part.n_gradients for part in parts)
        joined.advice = parts[0].advice
        return joined

    @property
    def many_flat(self) -> bool:
        """Whether so many samples have no gradient that figures may mislead."""
        return bool(self.flat.any() and self.flat.mean() >= MANY)

    def remarks(self) -> tuple[Finding, ...]:
        """What a user must know."""
        n, found = len(self.flat), []
        followed = self.not_finite & ~self.flat if self.many_flat else self.not_finite
        if followed.any():
            message = (
                f"{self.source} has gradients with nan or infinite values on {followed.sum()} of {n} samples"
            )
            close_by = "the attack takes these values from points close by, and may be weaker than it seems"
            found.append(Finding("gradient", "warning", message, close_by))
        if self.many_flat:
            unknown = ", nan or infinite" if (self.flat & self.not_finite).any() else ""
            where = " in all columns that may change" if self.partly else ""
            message = (
                f"{self.source} has a gradient of exactly 0{unknown}{where} on {self.flat.sum()} of {n} "
                "samples, so an attack by gradient cannot move them"
            )
            found.append(Finding("gradient", "warning", message, self.advice))
        return tuple(found)


def _next_to(x: torch.Tensor, low: torch.Tensor | None, high: torch.Tensor | None) -> torch.Tensor:
    """Points next to ``x``, between the bounds."""
    size = largest(x)
    step = sqrt(torch.finfo(x.dtype).eps) * torch.where(size > 0, size, 1.0)
    if low is None or high is None:
        return x + step
    return torch.where(x + step <= high, x + step, torch.maximum(x - step, low))
