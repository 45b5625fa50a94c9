"""Sources that other attacks fool more often than their own attack, as where gradients are masked."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway.attacks._gradient import fgsm
from skhalfway.attacks._parameters import KINDS
from skhalfway.attacks._second_opinion import fooled_by_queries
from skhalfway.attacks._square import square
from skhalfway.models import NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem, Settings

LEVEL = 0.05  # share of the sources that are doubted by chance if all attacks are equally strong
# samples for a second opinion: one of 4, within these limits; benchmarks/second_opinion.md has the costs
N_LEAST, N_MOST, ONE_OF = 32, 64, 4
# where the own attack fools less than LOW, N_SEARCHED samples get N_QUERIES queries each
LOW, N_SEARCHED, N_QUERIES = 0.25, 24, 200


@dataclass(frozen=True)
class Opinion:
    """Success of another attack on a source, compared with its own attack.

    Attributes
    ----------
    attack : str
        Description of the other attack.
    n : int
        Number of samples that both attacks were tried on.
    own : int
        Number of these samples on which the own attack succeeds.
    gained : ndarray of shape (n_gained,)
        Samples on which the other attack alone succeeds.
    lost : int
        Number of samples on which the own attack alone succeeds.
    """

    attack: str
    n: int
    own: int
    gained: NDArray[np.intp]
    lost: int

    @property
    def p(self) -> float:
        """P-value: probability of so large a gain if both attacks were equally strong."""
        return chance(len(self.gained), self.lost)

    @property
    def balance(self) -> int:
        """On how many more samples the other attack succeeds."""
        return len(self.gained) - self.lost


def chance(gained: int, lost: int) -> float:
    """P-value of McNemar's test, exact and one-sided.

    Let b and c be the numbers of samples on which only the one or only the other attack succeeds. If both
    are equally strong, b is binomial with b + c draws and p = 1/2, and the p-value is
    P(B >= b) = sum_{k=b}^{b+c} C(b + c, k) / 2^(b + c).
    """
    return float(binom.sf(gained - 1, gained + lost, 0.5))


def rows_to_ask(n: int) -> NDArray[np.intp]:
    """Which of ``n`` samples get the few queries."""
    return np.random.RandomState(0).permutation(n)[: int(np.clip(n // ONE_OF, N_LEAST, N_MOST))]


def ask_with_queries(problem: Problem, X_adv: NDArray[Any], settings: Settings) -> Opinion | None:
    """Opinion of few queries on few samples; None where it does not contradict the own attack.

    Where the own attack succeeds on few samples, some samples get more queries, by the Square attack: if a
    gradient is not 0 but useless, one or two steps find too little.

    ``X_adv`` are the samples that the own attack made. Those on which it failed are tried first: if the gain
    there is already too small, the others need no queries.
    """
    rows = np.arange(len(X_adv))
    own = problem.won(problem.model.predict(X_adv))
    missed, hit = rows[~own], rows[own]
    if chance(len(missed), 0) >= LEVEL / 2:
        return None
    searched = own.mean() < LOW and problem.region.norm in KINDS["square"].norms

    def fooled(some: NDArray[np.intp]) -> NDArray[np.bool_]:
        part = problem.take(some)
        found = fooled_by_queries(part, _first_step(part, X_adv[some], settings))
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


def _first_step(problem: Problem, X_adv: NDArray[Any], settings: Settings) -> NDArray[Any]:
    """One step along the gradient; ``X_adv`` where the source has none."""
    if problem.model.has_gradient:
        with suppress(NotDifferentiableError):
            return fgsm(settings).run(problem).X_adv
    return X_adv


def ask_others(
    i: int,
    sources: Sequence[str],
    left: NDArray[Any],
    goals: NDArray[Any] | None,
    clean: NDArray[Any],
    noise: NDArray[Any],
    answers: NDArray[Any],
) -> list[Opinion]:
    """Opinions from samples that source ``i`` has predicted anyway.

    These are noise, the samples made on the other sources, and those of its own attack at smaller budgets.
    ``left`` and ``goals`` (n_sources, n_samples) are the labels that each source's attack moves away from and
    aims at. ``clean`` and ``noise`` (n_samples,) are the predictions of source ``i`` for clean samples and
    noise, ``answers`` (n_budgets, n_sources, n_samples) those for the samples made on each source.
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
        opinions.append(compare("the same attack at a smaller budget", right, won(made[i])))
    return opinions


def objection(queries: Opinion | None, others: Sequence[Opinion]) -> Opinion | None:
    """The opinion that shows most clearly that a source's own attack is too weak, or None.

    The queries are tested at half of :data:`LEVEL`; the others share the rest (Bonferroni).
    """
    shown = [opinion for opinion in others if opinion.p < LEVEL / 2 / len(others)]
    if queries is not None and queries.p < LEVEL / 2:
        shown.append(queries)
    return max(shown, key=lambda opinion: opinion.balance, default=None)
