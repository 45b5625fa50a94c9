"""Masked gradients: sources that other attacks fool more often than their own attack by gradient does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway.attacks._second_opinion import fooled_by_queries

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem

LEVEL = 0.05  # share of the sources that are flagged by chance, where all attacks are as strong as each other
_N_SAMPLES = 64  # what they cost: benchmarks/checkup.md


@dataclass(frozen=True)
class Opinion:
    """How another attack fares on a source's own samples.

    Attributes
    ----------
    attack : str
        What it is, in words.
    n : int
        Samples that both attacks were tried on.
    own : int
        Of those, the ones that the own attack fools.
    gained, lost : int
        Those that the other attack alone fools, and those that the own one alone does.
    """

    attack: str
    n: int
    own: int
    gained: int
    lost: int

    @property
    def p(self) -> float:
        """Probability that chance favours the other attack so much, were both as strong.

        McNemar's test, exact and one-sided: of the b + c samples that one attack alone fools, those that
        the own one misses are binomial with p = 1/2, so P(B >= b) = sum_{k=b}^{b+c} C(b + c, k) / 2^(b + c).
        """
        return chance(self.gained, self.lost)

    def remark(self, own: str, advice: str) -> str:
        """What a user must know of the source; ``own`` names its attack, and advice says what to do."""
        return (
            f"{own} fools it on {self.own} of {self.n} samples, but {self.attack} on "
            f"{self.own + self.gained - self.lost} of the same: its gradients may be masked, or the attack "
            f"too weak for it, and figures that rest on it are too good; {advice}"
        )


def chance(gained: int, lost: int) -> float:
    return float(binom.sf(gained - 1, gained + lost, 0.5))


def compare(attack: str, own: NDArray[np.bool_], other: NDArray[np.bool_]) -> Opinion:
    """Opinion of an attack, from what the own one fools and what it fools."""
    return Opinion(attack, len(own), int(own.sum()), int((other & ~own).sum()), int((own & ~other).sum()))


def ask_with_queries(problem: Problem, X_adv: NDArray[Any]) -> Opinion | None:
    """Opinion of few queries on a small sample, or None where it has no objection to the own attack.

    ``X_adv`` is what the own attack made. First come the samples that it failed on: what queries gain there
    may already be too little, whatever they lose elsewhere.
    """
    rows = np.random.RandomState(0).permutation(len(X_adv))[:_N_SAMPLES]
    own = problem.won(problem.model.predict(X_adv[rows]), rows)
    missed, hit = rows[~own], rows[own]
    if chance(len(missed), 0) >= LEVEL / 2:
        return None
    rng = np.random.RandomState(0)
    gained = int(fooled_by_queries(problem.take(missed), rng).sum())
    if chance(gained, 0) >= LEVEL / 2:
        return None
    lost = len(hit) - int(fooled_by_queries(problem.take(hit), rng).sum()) if len(hit) else 0
    return Opinion("a few queries without a gradient", len(rows), len(hit), gained, lost)


def ask_others(
    i: int,
    names: Sequence[str],
    labels: NDArray[np.intp],
    clean: NDArray[np.intp],
    control: NDArray[np.intp],
    adversarial: NDArray[np.intp],
) -> list[Opinion]:
    """Opinions of noise and of what was made on the other sources, which all were tried on source ``i``.

    Arrays as in :func:`~skhalfway.transfer._counting.count`.
    """
    tried = (adversarial[i, i] >= 0) & (clean[i] == labels[i])
    own, noise = adversarial[i, i] != labels[i], control[i] != labels[i]
    opinions = [compare("noise of the same size", own[tried], noise[tried])]
    for j in range(len(names)):
        if j != i:
            both = tried & (adversarial[j, i] >= 0) & (labels[j] == labels[i])
            other = adversarial[j, i] != labels[i]
            opinions.append(compare(f"samples made on {names[j]!r}", own[both], other[both]))
    return opinions


def objection(queries: Opinion | None, others: Sequence[Opinion]) -> Opinion | None:
    """The opinion that most clearly shows a source's gradients as masked, or None.

    Half of :data:`LEVEL` is for the queries; the others share the rest (Bonferroni).
    """
    shown = [opinion for opinion in others if opinion.p < LEVEL / 2 / len(others)]
    if queries is not None and queries.p < LEVEL / 2:
        shown.append(queries)
    return max(shown, key=lambda opinion: opinion.gained - opinion.lost, default=None)
