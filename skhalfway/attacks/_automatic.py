"""attack="auto": by gradient, and by queries where the gradient is of no use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skhalfway.attacks._in_turn import joined, part_of
from skhalfway.attacks._parameters import (
    advice,
    automatic,
    make_attack,
    no_attack_in_0,
    without_gradient,
)
from skhalfway.models import Finding, NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Outcome, Problem

# queries for each sample that the gradient of a smoothed source does not fool: benchmarks/soft_trees.md
N_QUERIES = 100


def run_automatic(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    """Attack a source by its gradient, or else by queries; remarks say where the gradient failed."""
    name, instead = automatic(problem.model, generator.norm), next(iter(without_gradient(generator.norm)), "")
    try:
        outcome = make_attack(generator, name).run(problem)
    except NotDifferentiableError as error:
        if not instead:
            raise TypeError(no_attack_in_0(str(error))) from None
        outcome = make_attack(generator, instead).run(problem)
        found = Finding("gradient", "warning", str(error), _instead("it", instead))
        return replace(outcome, remarks=(found,))
    if (faults := outcome.faults) is None:
        return outcome
    if not instead:
        faults.advice = advice(generator.norm)
        return outcome
    faults.advice = _instead("these", instead)
    if problem.model.smoothed and instead == "hopskipjump":
        left = np.flatnonzero(~problem.won(problem.model.predict(outcome.X_adv)) & ~faults.flat)
        few = clone(generator).set_params(max_queries=min(N_QUERIES, generator.max_queries))
        outcome = _asked(few, instead, problem, outcome, left, only_wins=True)
    return _asked(generator, instead, problem, outcome, np.flatnonzero(faults.flat))


def _asked(
    generator: AdversarialGenerator,
    name: str,
    problem: Problem,
    outcome: Outcome,
    rows: NDArray[np.intp],
    *,
    only_wins: bool = False,
) -> Outcome:
    """An outcome in which an attack by queries replaces some rows, or only those of them that it fools."""
    if not len(rows):
        return outcome
    part = part_of(problem, rows)
    # restarts are for the attack by gradient
    asking = clone(generator).set_params(n_restarts=1, random_start=False)
    made = make_attack(asking, name).run(part)
    taken = part.won(part.model.predict(made.X_adv)) if only_wins else np.ones(len(rows), dtype=bool)
    return joined(outcome, replace(made, missed=()) if only_wins else made, rows, taken)


def _instead(what: str, instead: str) -> str:
    near = ", which stops just beyond the boundary, so that its samples transfer less"
    return f"attack='auto' attacks {what} by {instead!r} instead{near if instead == 'hopskipjump' else ''}"
