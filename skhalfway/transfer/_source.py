"""One source attacked at all budgets, and doubted where that is done by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skhalfway._randomness import own_rng
from skhalfway.attacks._parameters import advice, gradient_attack
from skhalfway.attacks._partners import keep_partners
from skhalfway.attacks._problem import Problem, Settings
from skhalfway.models import Finding
from skhalfway.transfer._masked import N_MOST, Opinion, ask_with_queries, objection

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._problem import Outcome
    from skhalfway.attacks._region import Region

_N_STEPS, _N_RESTARTS = 40, 5


@dataclass(frozen=True)
class Attacked:
    """A source that was attacked, to be judged with what others say of it.

    Attributes
    ----------
    generator : AdversarialGenerator
        Its attack.
    problem : Problem
        The task at the largest budget.
    remarks : tuple of Finding
        What the attack found remarkable in the source.
    by_gradient : str
        The attack, in words, where it follows the source's gradient; else empty.
    flat : bool ndarray of shape (n_samples,)
        Where its gradient was 0.
    queries : Opinion or None
        Objection of few queries to that attack.
    cost : dict of str to float
        ``seconds`` that the attack took, and ``queries`` or ``gradients`` that it used, over all budgets.
    """

    generator: AdversarialGenerator
    problem: Problem
    remarks: tuple[Finding, ...]
    by_gradient: str
    flat: NDArray[np.bool_]
    queries: Opinion | None
    cost: dict[str, float]

    def judged(self, others: Sequence[Opinion] = ()) -> tuple[list[Finding], bool]:
        """What a user must know of the source; and whether its gradients may be masked."""
        shown = objection(self.queries, others) if self.by_gradient else None
        if shown is None:
            return list(self.remarks), False
        rows = shown.gained[:N_MOST]
        # what an attack by gradient finds from other starts was not hidden, unless it had no gradient
        hidden = self.flat[rows] | ~self._fooled_after_restarts(rows)
        masked = bool(2 * hidden.sum() > len(rows))
        message = (
            f"{self.by_gradient} fools it on {shown.own} of {shown.n} samples, but {shown.attack} on "
            f"{shown.own + shown.balance} of the same, so it seems safer than it is"
        )
        finding = Finding("attack", "warning", message, self._remedy(masked))
        return [*self.remarks, finding], masked

    def _remedy(self, masked: bool) -> str:
        if not masked:
            # that of a smooth copy leads only so far
            others = ", and 'hopskipjump', or 'tree' for trees, may be" if self.problem.model.smoothed else ""
            stronger = f"attack='pgd' with n_restarts={_N_RESTARTS} is stronger{others}"
            return f"the attack is too weak here, and {stronger}"
        if self.generator.attack == "auto" and self.flat.any():
            return "its gradients are masked; raise max_queries, or see whether attack='square' finds more"
        return f"its gradients may be masked, and {advice(self.generator.norm)}"

    def _fooled_after_restarts(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        problem, stronger = self.problem.take(rows), clone(self.generator)
        stronger.set_params(attack="pgd", attack_params=None, step_size=None, max_iter=_N_STEPS)
        stronger.set_params(n_restarts=_N_RESTARTS, random_start=True, random_state=0)
        outcome = stronger._attack(
            problem.model, problem.region, problem.labels, problem.n_classes, targeted=problem.targeted
        )
        return problem.won(problem.model.predict(outcome.X_adv))


def attack(
    generator: AdversarialGenerator,
    problem: Problem,
    regions: list[Region],
    partners: NDArray[Any] | None = None,
) -> tuple[list[NDArray[Any]], Attacked]:
    """Adversarial samples within every budget, the largest one last, and the source to be judged for that.

    ``partners`` are samples that the attack may begin at, where it is one that does.
    """
    if partners is not None:
        generator._partners = keep_partners(problem.model, partners, None, own_rng(generator.random_state))
    each, outcome, cost = _attack(generator, problem, regions)
    by_gradient, queries = gradient_attack(generator.attack, problem.model), None
    if isinstance(generator.attack, str) and outcome.faults is None:
        by_gradient = ""  # "auto" found no gradient after all
    if by_gradient:
        settings = Settings(batch_size=generator.batch_size, device=generator.device)
        queries = ask_with_queries(problem, each[-1], settings)
    flat = np.zeros(len(problem.region), dtype=bool) if outcome.faults is None else outcome.faults.flat
    return each, Attacked(generator, problem, outcome.remarks, by_gradient, flat, queries, cost)


def _attack(
    generator: AdversarialGenerator, problem: Problem, regions: list[Region]
) -> tuple[list[NDArray[Any]], Outcome, dict[str, float]]:
    """Adversarial samples within every budget, what the attack found at the largest one, and what it cost.

    An attack that looks for the nearest adversarial samples does so once, within the largest budget: where
    a sample's lies farther away than a smaller one, it is brought back into that. Any other attack is run
    for each budget: an end point within one is no good start for another, whose steps are longer.
    """
    *smaller, largest = regions

    cost: dict[str, float] = {}
    begin = perf_counter()

    def run(region: Region) -> Outcome:
        outcome = generator._attack(
            problem.model, region, problem.labels, problem.n_classes, targeted=problem.targeted
        )
        if outcome.n_queries is not None:
            cost["queries"] = cost.get("queries", 0) + int(outcome.n_queries.sum())
        if outcome.faults is not None:
            cost["gradients"] = cost.get("gradients", 0) + outcome.faults.n_gradients
        return outcome

    outcome = run(largest)
    if not outcome.at_any_budget or outcome.distances is None:
        each = [*(run(region).X_adv for region in smaller), outcome.X_adv]
        return each, outcome, {"seconds": perf_counter() - begin, **cost}
    z = largest.to_z(outcome.X_adv)
    far = outcome.distances.reshape(-1, *[1] * (z.ndim - 1))
    each = [np.where(far <= region.eps, outcome.X_adv, region.keep(z, full=True)) for region in regions]
    return each, outcome, {"seconds": perf_counter() - begin, **cost}
