"""One source attacked at all budgets, with a second opinion where that is done by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.attacks._parameters import advice, gradient_attack
from skhalfway.attacks._problem import Problem
from skhalfway.transfer._masked import Opinion, ask_with_queries, objection

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model


@dataclass(frozen=True)
class Said:
    """What is said of a source, beside what was made on it.

    Attributes
    ----------
    by_attack : tuple of str
        Remarks of its attack, at the largest budget.
    by_gradient : str
        That attack, where it is one by gradient; else empty.
    advice : str
        What to do where gradients are of no use.
    queries : Opinion or None
        Objection of few queries to it.
    """

    by_attack: tuple[str, ...]
    by_gradient: str
    advice: str
    queries: Opinion | None

    def remarks(self, name: str, others: Sequence[Opinion] = ()) -> tuple[list[str], bool]:
        """What a user must know of the source of that name; and whether its gradients may be masked."""
        shown = objection(self.queries, others) if self.by_gradient else None
        said = [*self.by_attack, *([] if shown is None else [shown.remark(self.by_gradient, self.advice)])]
        return [f"model {name!r}: {remark}" for remark in said], shown is not None


def attack(
    generator: AdversarialGenerator,
    model: Model,
    regions: list[Region],
    labels: NDArray[np.intp],
    n_classes: int,
) -> tuple[list[NDArray[Any]], Said]:
    """Adversarial samples within every budget, the largest one last, and what is said of the source then."""
    each, remarks = _attack(generator, model, regions, labels, n_classes)
    by_gradient, queries = gradient_attack(generator.attack, model), None
    if by_gradient:
        queries = ask_with_queries(Problem(model, regions[-1], labels, n_classes), each[-1])
    return each, Said(remarks, by_gradient, advice(generator.norm), queries)


def _attack(
    generator: AdversarialGenerator,
    model: Model,
    regions: list[Region],
    labels: NDArray[np.intp],
    n_classes: int,
) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Adversarial samples within every budget, the largest one last, and remarks at that one.

    An attack that looks for the nearest adversarial samples does so once, within the largest budget: where
    a sample's lies farther away than a smaller one, it is brought back into that. Any other attack is run
    for each budget: an end point within one is no good start for another, whose steps are longer.
    """
    *smaller, largest = regions
    outcome = generator._attack(model, largest, labels, n_classes)
    if not outcome.at_any_budget or outcome.distances is None:
        each = [generator._attack(model, region, labels, n_classes).X_adv for region in smaller]
        return [*each, outcome.X_adv], outcome.remarks
    z = largest.to_z(outcome.X_adv)
    shape = (-1, *[1] * (z.ndim - 1))
    each = [
        np.where((outcome.distances <= region.eps).reshape(shape), outcome.X_adv, region.keep(z))
        for region in regions
    ]
    return each, outcome.remarks
