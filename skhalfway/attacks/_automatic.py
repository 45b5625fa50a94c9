"""attack="auto": by gradient, and by queries where that leads nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skhalfway.attacks._parameters import automatic, make_attack, without_gradient
from skhalfway.models import Finding, NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Outcome, Problem

# of a source with smoothed steps, for each sample that its gradient does not fool: benchmarks/soft_trees.md
N_QUERIES = 100


def run_automatic(generator: AdversarialGenerator, problem: Problem, rng: np.random.RandomState) -> Outcome:
    """Attack the source as it allows; tell in the remarks where that is not as it seems."""
    name, instead = automatic(problem.model, generator.norm), without_gradient(generator.norm)[0]
    try:
        outcome = make_attack(generator, name).run(problem, rng)
    except NotDifferentiableError as error:
        outcome = make_attack(generator, instead).run(problem, rng)
        found = Finding("gradient", "warning", str(error), _instead("it", instead))
        return replace(outcome, remarks=(found,))
    if outcome.faults is None:
        return outcome
    remarks = outcome.faults.remarks(_instead("these", instead))
    X_adv, n_queries = outcome.X_adv.copy(), np.zeros(len(outcome.X_adv), dtype=np.intp)

    def ask(rows: NDArray[np.intp], max_queries: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        part = problem.take(rows)
        asking = clone(generator).set_params(max_queries=max_queries, n_restarts=1, random_start=False)
        made = make_attack(asking, instead).run(part, rng)
        assert made.n_queries is not None
        n_queries[rows] = made.n_queries
        return made.X_adv, part.won(part.model.predict(made.X_adv))

    if outcome.faults.many_flat:
        rows = np.flatnonzero(outcome.faults.flat)
        X_adv[rows] = ask(rows, generator.max_queries)[0]
    elif problem.model.smoothed and instead == "hopskipjump":
        rows = np.flatnonzero(~problem.won(problem.model.predict(X_adv)))
        if len(rows):
            made, won = ask(rows, min(N_QUERIES, generator.max_queries))
            X_adv[rows[won]] = made[won]
    asked = n_queries if n_queries.any() else None
    return replace(outcome, X_adv=X_adv, n_queries=asked, remarks=remarks)


def _instead(what: str, instead: str) -> str:
    near = ", which ends where the source is just fooled, so that less transfers"
    return f"attack='auto' attacks {what} by {instead!r} instead{near if instead == 'hopskipjump' else ''}"
