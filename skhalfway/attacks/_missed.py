"""Samples for which an attack found nothing, and why: counted over all batches, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skhalfway.models import Finding


@dataclass(frozen=True, eq=False)
class Missed:
    """Which samples of one attack were missed for one reason.

    Attributes
    ----------
    where : bool ndarray of shape (n_samples,)
        Which.
    what : str
        What is so of them, as it follows "for 3 of 20 samples".
    advice : str
        What to do.
    least : float, default=0.0
        Share of the samples from which on it is said.
    """

    where: NDArray[np.bool_]
    what: str
    advice: str
    least: float = 0.0

    def spread(self, rows: NDArray[np.intp], n: int) -> Missed:
        """That of ``n`` samples of which these are some."""
        where = np.zeros(n, dtype=bool)
        where[rows] = self.where
        return replace(self, where=where)

    @staticmethod
    def joined(each: Sequence[Sequence[Missed]], sizes: Sequence[int]) -> tuple[Missed, ...]:
        """Those of a whole, from those of its parts of these sizes."""
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
        """What a user must know."""
        n = int(self.where.sum())
        if not n or n < self.least * len(self.where):
            return ()
        message = f"for {n} of {len(self.where)} samples {self.what}"
        return (Finding("attack", "warning", message, self.advice),)
