"""attack="auto": by gradient, and by queries where that leads nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skhalfway.attacks._parameters import automatic, make_attack, without_gradient
from skhalfway.models import NotDifferentiableError

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
        return replace(outcome, remarks=(f"{error}; attack='auto' attacks it by {instead!r} instead",))
    if outcome.faults is None:
        return outcome
    remarks = outcome.faults.remarks(f"attack='auto' attacks these by {instead!r} instead")
    if outcome.faults.many_flat:
        rows = np.flatnonzero(outcome.faults.flat)
        part = make_attack(generator, instead).run(problem.take(rows), rng)
        assert part.n_queries is not None
        X_adv, n_queries = outcome.X_adv.copy(), np.zeros(len(outcome.X_adv), dtype=np.intp)
        X_adv[rows], n_queries[rows] = part.X_adv, part.n_queries
        outcome = replace(outcome, X_adv=X_adv, n_queries=n_queries)
    return replace(outcome, remarks=remarks)
