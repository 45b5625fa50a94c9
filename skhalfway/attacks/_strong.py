"""attack="auto-strong": several strong attacks in turn, each on the samples that none before it fooled."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.attacks._in_turn import joined, part_of, standing
from skhalfway.attacks._missed import Missed
from skhalfway.attacks._parameters import KINDS, make_attack, no_attack_in_0, without_gradient
from skhalfway.attacks._parameters import advice as instead_of_gradients
from skhalfway.attacks._problem import Outcome
from skhalfway.models import Finding, NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.models import Model

Stage = tuple[str, dict[str, Any] | None]

_N_TARGETS = 9  # as in AutoAttack
_MANY = 0.05  # share of samples that only queries fool, from which on a warning is given
_MASKED = "attacks by gradient fail, and attacks by queries do not, so that its gradients may be masked"
_KEEP_BOTH = "an attack by gradient alone would overestimate its robustness"


def stages(model: Model, norm: float, n_classes: int, *, targeted: bool) -> list[Stage]:
    """The attacks for a source that support the norm, in their order."""
    if norm == 0:
        return [("sigmazero", None)]
    found: list[Stage] = [("tree", None)] if _of_trees(model) else []
    if model.has_gradient:
        found.append(("apgd", {"loss": "ce"}))
        if norm == 1:
            found.append(("pgd", None))
        if n_classes >= 4:
            towards = {} if targeted else {"n_targets": _N_TARGETS}
            found.append(("apgd", {"loss": "dlr", **towards}))
        elif n_classes == 3 and not targeted:
            found.append(("apgd", {"loss": "dlr"}))
        found.append(("fmn", None))
    found.append(("square", None))
    if not model.has_gradient or model.smoothed:
        found += [(name, None) for name in without_gradient(norm)[:1]]
    known = [stage for stage in found if norm in KINDS[stage[0]].norms]
    return known or [(without_gradient(norm)[0], None)]


def _of_trees(model: Model) -> bool:
    from skhalfway.attacks._tree import check_trees

    if model.n_features_in_ is None:
        return False
    try:
        check_trees(model, model.n_features_in_)
    except TypeError:
        return False
    return True


def run_strong(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    """Attack a source by each stage in turn, and join their outcomes and remarks."""
    model, n = problem.model, len(problem.region)
    outcome: Outcome | None = None
    refused: list[Finding] = []
    by_queries = np.zeros(n, dtype=bool)
    rows: NDArray[np.intp] = np.arange(n)
    for name, params in stages(model, generator.norm, problem.n_classes, targeted=problem.targeted):
        if outcome is not None:
            rows = standing(problem, outcome.X_adv)
        if refused and KINDS[name].gradient:
            continue
        if not len(rows):
            break
        attack = make_attack(_for_stage(generator, name, params), name)
        part = problem if outcome is None else part_of(problem, rows)
        try:
            made = attack.run(part)
        except NotDifferentiableError as error:
            advice = "attack='auto-strong' attacks it by queries alone"
            refused.append(Finding("gradient", "warning", str(error), advice))
            continue
        made = replace(made, distances=None, at_any_budget=False)
        won = part.won(model.predict(made.X_adv))
        if made.faults is not None:
            made.faults.advice = "attack='auto-strong' attacks these by queries too"
            if generator.norm == 0:
                made.faults.advice = instead_of_gradients(0)
        elif outcome is not None and outcome.faults is not None and not model.smoothed:
            by_queries[rows[won]] = True
        outcome = made if outcome is None else joined(outcome, made, rows, won)
    if refused and generator.norm == 0:
        raise TypeError(no_attack_in_0(refused[0].message))
    if model.has_gradient and not model.smoothed and generator.norm != 0:
        outcome = _without_gradient(generator, problem, outcome)
    assert outcome is not None
    if outcome.faults is not None:
        by_queries &= ~outcome.faults.flat  # the faults report these already
    masked = (Missed(by_queries, _MASKED, _KEEP_BOTH, _MANY),) if by_queries.any() else ()
    # a failed search counts only for samples that no attack fooled
    stands = np.zeros(n, dtype=bool)
    stands[standing(problem, outcome.X_adv)] = True
    missed = tuple(replace(each, where=each.where & stands) for each in outcome.missed)
    return replace(outcome, missed=(*missed, *masked), remarks=(*refused, *outcome.remarks))


def _without_gradient(generator: AdversarialGenerator, problem: Problem, outcome: Outcome | None) -> Outcome:
    """Add an attack that works on any source, where the source turned out to have no gradient."""
    name = without_gradient(generator.norm)[0]
    attack = make_attack(_for_stage(generator, name, None), name)
    if outcome is None:
        return replace(attack.run(problem), distances=None, at_any_budget=False)
    rows = standing(problem, outcome.X_adv)
    if outcome.faults is not None:
        rows = rows[outcome.faults.flat[rows]]
    if not len(rows):
        return outcome
    part = part_of(problem, rows)
    made = attack.run(part)
    return joined(outcome, made, rows, part.won(part.model.predict(made.X_adv)))


def _for_stage(
    generator: AdversarialGenerator, name: str, params: dict[str, Any] | None
) -> AdversarialGenerator:
    """The generator with an attack; restarts are kept for attacks that support them."""
    one = copy(generator)
    one.attack, one.attack_params = name, params
    if not KINDS[name].restarts or name == "surrogate":
        one.n_restarts, one.random_start = 1, False
    return one
