"""Masked gradients: sources that other attacks fool more often than their own attack by gradient does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway.attacks._gradient import fgsm
from skhalfway.attacks._parameters import KINDS
from skhalfway.attacks._second_opinion import fooled_by_queries
from skhalfway.attacks._square import square

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem, Settings

LEVEL = 0.05  # share of the sources that are doubted by chance, where all attacks are equally strong
# least and most samples, and one of how many: what they cost is in benchmarks/second_opinion.md
N_LEAST, N_MOST, ONE_OF = 32, 64, 4
# where the own attack fools less than this share, so many samples are searched with so many queries for each
LOW, N_SEARCHED, N_QUERIES = 0.25, 24, 200


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
    gained : ndarray of shape (n_gained,)
        Those that the other attack alone fools.
    lost : int
        Number of those that the own attack alone fools.
    """

    attack: str
    n: int
    own: int
    gained: NDArray[np.intp]
    lost: int

    @property
    def p(self) -> float:
        """Probability that chance favours the other attack so much, were both equally strong."""
        return chance(len(self.gained), self.lost)

    @property
    def balance(self) -> int:
        """How many more of the samples the other attack fools."""
        return len(self.gained) - self.lost


def chance(gained: int, lost: int) -> float:
    """McNemar's test, exact and one-sided.

    Of the b + c samples that one of two equal attacks alone fools, those that are the first one's are
    binomial with p = 1/2, so P(B >= b) = sum_{k=b}^{b+c} C(b + c, k) / 2^(b + c).
    """
    return float(binom.sf(gained - 1, gained + lost, 0.5))


def rows_to_ask(n: int) -> NDArray[np.intp]:
    """Which of ``n`` samples the few queries are for."""
    return np.random.RandomState(0).permutation(n)[: int(np.clip(n // ONE_OF, N_LEAST, N_MOST))]


def ask_with_queries(problem: Problem, X_adv: NDArray[Any], settings: Settings) -> Opinion | None:
    """Opinion of few queries on few samples, or None where it has no objection to the own attack.

    Where the own attack fools few, some samples get more queries, by the Square attack: a gradient that is
    not 0 and yet of no use hides behind it what a step or two do not find.

    ``X_adv`` is what the own attack made. First come the samples that it failed on: what queries gain there
    may already be too little, whatever they lose elsewhere.
    """
    rows = np.arange(len(X_adv))
    own = problem.won(problem.model.predict(X_adv))
    missed, hit = rows[~own], rows[own]
    if chance(len(missed), 0) >= LEVEL / 2:
        return None
    searched = own.mean() < LOW and problem.region.norm in KINDS["square"].norms

    def fooled(some: NDArray[np.intp]) -> NDArray[np.bool_]:
        part = problem.take(some)
        found = fooled_by_queries(part, fgsm(settings).run(part).X_adv)
        left = np.flatnonzero(~found)[:N_SEARCHED]
        if searched and len(left):
            rest = part.take(left)
            made = square(replace(settings, max_queries=N_QUERIES)).run(rest).X_adv
            found[left] = rest.won(rest.model.predict(made))
        return found

    gained = missed[fooled(missed)]
    if chance(len(gained), 0) >= LEVEL / 2:
        return None
    lost = int((~fooled(hit)).sum()) if len(hit) else 0
    return Opinion("a few queries", len(rows), len(hit), gained, lost)


def ask_others(
    i: int,
    sources: Sequence[str],
    left: NDArray[Any],
    goals: NDArray[Any] | None,
    clean: NDArray[Any],
    noise: NDArray[Any],
    answers: NDArray[Any],
) -> list[Opinion]:
    """Opinions of what was tried on source ``i`` anyway.

    That is noise, what was made on the other sources, and what its own attack made within smaller budgets.
    ``left`` and ``goals`` (n_sources, n_samples) are the labels that each source's attack leaves and aims at;
    ``clean`` and ``noise`` (n_samples,) what source ``i`` says of the samples and of noise, ``answers``
    (n_budgets, n_sources, n_samples) what it says of the samples made on each source.
    """
    *smaller, largest = answers

    def compare(attack: str, both: NDArray[np.bool_], other: NDArray[np.bool_]) -> Opinion:
        gained, lost = np.flatnonzero(both & other & ~own), int((both & own & ~other).sum())
        return Opinion(attack, int(both.sum()), int((both & own).sum()), gained, lost)

    def won(answer: NDArray[Any]) -> NDArray[np.bool_]:
        return answer != left[i] if goals is None else answer == goals[i]

    right, own = clean == left[i], won(largest[i])
    opinions = [compare("noise of the same size", right, won(noise))]
    for j, name in enumerate(sources):
        if j != i:
            both = right & (largest[j] >= 0) & (left[j] == left[i])
            if goals is not None:
                both &= goals[j] == goals[i]
            opinions.append(compare(f"samples made on {name!r}", both, won(largest[j])))
    for made in smaller:
        opinions.append(compare("the same attack with a smaller budget", right, won(made[i])))
    return opinions


def objection(queries: Opinion | None, others: Sequence[Opinion]) -> Opinion | None:
    """The opinion that most clearly shows a source's own attack as too weak, or None.

    Half of :data:`LEVEL` is for the queries; the others share the rest (Bonferroni).
    """
    shown = [opinion for opinion in others if opinion.p < LEVEL / 2 / len(others)]
    if queries is not None and queries.p < LEVEL / 2:
        shown.append(queries)
    return max(shown, key=lambda opinion: opinion.balance, default=None)
