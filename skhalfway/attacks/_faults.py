"""Faults of a source's gradients: mended if possible, counted for each sample, and reported."""

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

# largest size of a value taken from a nearby point, as a share of the known ones: near a jump it may mislead
_TRUST = 0.25
MANY = 0.05  # share of samples without a gradient that may change a rate by more than its interval


class Faults:
    """Faults of a source's gradients at the samples of one attack.

    Attributes
    ----------
    source : str
        Name of the source in messages.
    partly : bool
        Whether some values never change, so that gradients with respect to them do not count.
    not_finite : bool ndarray of shape (n_samples,)
        True for samples with nan or infinite values in a gradient.
    flat : bool ndarray of shape (n_samples,)
        True for samples that end without a win where the gradient is exactly 0, so that more steps would not
        help.
    n_gradients : int
        Number of gradients computed, over all samples.
    advice : str
        What users can do about samples without a gradient.
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
        """The gradient of some rows at ``x``, with values that are not finite replaced.

        ``look`` computes the gradient at a point next to ``x``. Infinite values become one to two times as
        large as the largest finite value of their row, ordered by the gradient at that point. Values that are
        nan become those at that point, up to a share of the row's largest finite value, or 0. Rows without
        such values stay as they are.
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
        """These faults as those of ``n`` samples, at ``rows``; the other samples have none."""
        faults = Faults(n, self.source, partly=self.partly)
        faults.flat[:] = False
        faults.advice = self.advice
        if len(rows):
            faults.n_gradients = self.n_gradients
            faults.flat[rows], faults.not_finite[rows] = self.flat, self.not_finite
        return faults

    @staticmethod
    def joined(parts: Sequence[Faults]) -> Faults:
        """Join the faults of blocks of samples."""
        joined = Faults(0, parts[0].source, partly=any(part.partly for part in parts))
        joined.flat = np.concatenate([part.flat for part in parts])
        joined.not_finite = np.concatenate([part.not_finite for part in parts])
        joined.n_gradients = sum(part.n_gradients for part in parts)
        joined.advice = parts[0].advice
        return joined

    @property
    def many_flat(self) -> bool:
        """Whether enough samples have no gradient to mislead."""
        return bool(self.flat.any() and self.flat.mean() >= MANY)

    def remarks(self) -> tuple[Finding, ...]:
        """Warnings for users."""
        n, found = len(self.flat), []
        followed = self.not_finite & ~self.flat if self.many_flat else self.not_finite
        if followed.any():
            message = (
                f"{self.source} has gradients with nan or infinite values on {followed.sum()} of {n} samples"
            )
            close_by = "the attack takes these values from nearby points, and may be weaker than it seems"
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
