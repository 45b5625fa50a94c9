"""Several attacks in turn, each on the samples that none before it fooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.attacks._pool import Pool
from skhalfway.attacks._problem import Attack, Outcome, Problem

if TYPE_CHECKING:
    from skhalfway.attacks._faults import Faults


def standing(problem: Problem, X_adv: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of the samples with which no attack has won yet."""
    return np.flatnonzero(~problem.won(problem.model.predict(X_adv)))


def part_of(problem: Problem, rows: NDArray[np.intp]) -> Problem:
    """The problem of some samples, with the same knowledge of the whole as for all samples."""
    return replace(problem.take(rows), pool=problem.pool or Pool.of(problem))


def joined(outcome: Outcome, made: Outcome, rows: NDArray[np.intp], taken: NDArray[np.bool_]) -> Outcome:
    """Join an outcome and that of a further attack on ``rows``, whose samples are used where ``taken``.

    A sample counts as without a gradient if no attack found one.
    """
    n = len(outcome.X_adv)
    X_adv = outcome.X_adv.copy()
    X_adv[rows[taken]] = made.X_adv[taken]
    n_queries = outcome.n_queries
    if made.n_queries is not None:
        n_queries = np.zeros(n, dtype=np.intp) if n_queries is None else n_queries.copy()
        n_queries[rows] += made.n_queries
    return replace(
        outcome,
        X_adv=X_adv,
        n_queries=n_queries,
        faults=_both(outcome.faults, made.faults, rows, n),
        of_substitute=_both(outcome.of_substitute, made.of_substitute, rows, n),
        missed=outcome.missed + tuple(each.spread(rows, n) for each in made.missed),
        remarks=tuple(dict.fromkeys((*outcome.remarks, *made.remarks))),
    )


def _both(one: Faults | None, other: Faults | None, rows: NDArray[np.intp], n: int) -> Faults | None:
    """Faults of two attacks, the second of which was on some rows."""
    if other is None:
        return one
    if one is None:
        return other.spread(rows, n)
    both = one.spread(np.arange(n), n)
    both.n_gradients += other.n_gradients
    both.flat[rows] &= other.flat
    both.not_finite[rows] |= other.not_finite
    return both


@dataclass(frozen=True)
class InTurn:
    """Attacks, one after another, each on the samples that none before it fooled.

    The result for a sample that none of them fools is that of the first one.
    """

    attacks: Sequence[Attack]

    def of(self, problem: Problem) -> InTurn:
        """The attacks for a source."""
        return self

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples by the first, and the rest by the others."""
        first, *others = self.of(problem).attacks
        outcome = replace(first.run(problem), distances=None, at_any_budget=False)
        for attack in others:
            rows = standing(problem, outcome.X_adv)
            if not len(rows):
                break
            part = part_of(problem, rows)
            made = attack.run(part)
            taken = part.won(part.model.predict(made.X_adv))
            outcome = joined(outcome, made, rows, taken)
        return outcome
