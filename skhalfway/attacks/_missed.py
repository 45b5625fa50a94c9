"""Samples for which an attack found nothing, and why: counted over all batches, and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skhalfway.models import Finding


@dataclass(frozen=True, eq=False)
class Missed:
    """Samples for which an attack found nothing, for one reason.

    Attributes
    ----------
    where : bool ndarray of shape (n_samples,)
        True for these samples.
    what : str
        The reason, as it follows "for 3 of 20 samples".
    advice : str
        What users can do.
    least : float, default=0.0
        Smallest share of the samples that is reported.
    """

    where: NDArray[np.bool_]
    what: str
    advice: str
    least: float = 0.0

    def spread(self, rows: NDArray[np.intp], n: int) -> Missed:
        """These as part of ``n`` samples, at ``rows``."""
        where = np.zeros(n, dtype=bool)
        where[rows] = self.where
        return replace(self, where=where)

    @staticmethod
    def joined(each: Sequence[Sequence[Missed]], sizes: Sequence[int]) -> tuple[Missed, ...]:
        """Join those of blocks of samples, of these sizes."""
        begins, n = np.cumsum([0, *sizes]), int(sum(sizes))
        found: dict[tuple[str, str], Missed] = {}
        for begin, part in zip(begins, each, strict=False):
            for missed in part:
                here = missed.spread(np.arange(begin, begin + len(missed.where)), n)
                before = found.get((missed.what, missed.advice))
                both = here.where if before is None else here.where | before.where
                found[missed.what, missed.advice] = replace(here, where=both)
        return tuple(found.values())

    def remarks(self) -> tuple[Finding, ...]:
        """Warnings for users."""
        n = int(self.where.sum())
        if not n or n < self.least * len(self.where):
            return ()
        message = f"for {n} of {len(self.where)} samples {self.what}"
        return (Finding("attack", "warning", message, self.advice),)
