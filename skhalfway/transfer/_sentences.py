"""Sentences that tell how often a target was fooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import mcnemar
from skhalfway._text import between, percent
from skhalfway.transfer._counting import see
from skhalfway.transfer._doubted import doubted

if TYPE_CHECKING:
    from skhalfway.transfer._matrix import TransferMatrix

_LEVEL = 0.05  # of the test whether two sources differ


def sentence(matrix: TransferMatrix, j: int) -> str:
    """Sentence for the target at position j."""
    others = np.flatnonzero(matrix._transfers[:, j])
    failed = [name for name in matrix.sources if (name, matrix.targets[j]) in matrix.failures]
    failed = [name for name in failed if name != matrix.targets[j]]
    lost = ""
    if failed:
        lost = f" Samples made on {', '.join(failed)} are left out: they failed, or are incomplete."
    if not len(others):
        return f"has no sample that counts with any other model.{lost}"
    rates, noise = matrix.rates[others, j], matrix.noise[others, j].mean()
    ranked = others[np.argsort(-rates, kind="stable")]
    names = [matrix.sources[i] for i in ranked]
    name = matrix.targets[j]
    hidden = ""
    if name in doubted(matrix):
        hidden = " As a source it may fool others more often, as the attack on it misses what others find."
    if len(others) == 1:
        share, made = percent(rates.max()), names[0]
    else:
        share, made = percent(rates.mean()), f"the other {len(others)} models"
        if rates.any():
            most = f"those made on {names[0]} ({percent(rates.max())})"
            tied = _tied(matrix, ranked, j)
            if tied:
                also = names[1] if tied == 1 else f"{tied} others"
                most += f", a tie with {also}"
            made += f", most by {most}"
    done = "is fooled by" if matrix.goal == "other" else "predicts the label aimed at for"
    said = f"{done} {share} of the samples made on {made}; by noise of the same size, {percent(noise)}."
    return f"{said}{_any(matrix, j) if len(others) > 1 else ''}{lost}{hidden}"


def _any(matrix: TransferMatrix, j: int) -> str:
    """Sentence on how many samples fool the target when made on at least one source."""
    if matrix.outcomes is None:
        return ""
    low, high = matrix.confidence_interval(of="fooled_by_any")
    fooled, n = matrix.fooled_by_any[j], matrix.eligible_for_any[j]
    does = "fool it" if matrix.goal == "other" else "make it predict that label"
    return f" At least one source's samples {does} on {fooled} of {n} {between(low[j], high[j])}."


def _tied(matrix: TransferMatrix, ranked: NDArray[np.intp], j: int) -> int:
    """Number of sources whose rates do not differ significantly from the highest one.

    Each test is on the samples that count for both sources.
    """
    if matrix.outcomes is None:
        return 0
    seen = see(matrix.outcomes, matrix.condition, matrix.goal)
    worst, n_tied = ranked[0], 0
    for other in ranked[1:]:
        both = seen.eligible[worst, j] & seen.eligible[other, j]
        one, two = seen.fooled[worst, j] & both, seen.fooled[other, j] & both
        if mcnemar((one & ~two).sum(), (two & ~one).sum()) < _LEVEL:
            break
        n_tied += 1
    return n_tied
