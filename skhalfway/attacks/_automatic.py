"""attack="auto": by gradient, and by queries where that leads nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skhalfway.attacks._parameters import automatic, make_attack, without_gradient
from skhalfway.models import Finding, NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Outcome, Problem


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
    if outcome.faults.many_flat:
        rows = np.flatnonzero(outcome.faults.flat)
        part = make_attack(generator, instead).run(problem.take(rows), rng)
        assert part.n_queries is not None
        X_adv, n_queries = outcome.X_adv.copy(), np.zeros(len(outcome.X_adv), dtype=np.intp)
        X_adv[rows], n_queries[rows] = part.X_adv, part.n_queries
        outcome = replace(outcome, X_adv=X_adv, n_queries=n_queries)
    return replace(outcome, remarks=remarks)


def _instead(what: str, instead: str) -> str:
    near = ", which ends where the source is just fooled, so that less transfers"
    return f"attack='auto' attacks {what} by {instead!r} instead{near if instead == 'hopskipjump' else ''}"
