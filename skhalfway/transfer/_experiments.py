"""One experiment, from the user's arguments to the result: a matrix, or a curve of matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from numbers import Real
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_length
from skhalfway._index import index_of, row_index_of
from skhalfway._inputs import check_labels
from skhalfway._randomness import own_rng, undisturbed
from skhalfway._text import shown
from skhalfway.attacks._budget import check_count
from skhalfway.attacks._parameters import own_eps
from skhalfway.results import Provenance
from skhalfway.transfer._counting import source_fooled_by_budget
from skhalfway.transfer._curve import TransferCurve
from skhalfway.transfer._folder import read_place
from skhalfway.transfer._matrix import TransferMatrix
from skhalfway.transfer._measure import Plan, Tried, try_all
from skhalfway.transfer._method import step_size, versions_for
from skhalfway.transfer._outcomes import NOT_ASKED
from skhalfway.transfer._samples import kept_in

if TYPE_CHECKING:
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.transfer._scorer import TransferScorer


Measured = TypeVar("Measured", TransferMatrix, TransferCurve)


def read_budgets(eps: Any) -> list[float]:
    """Increasing budgets, checked."""
    budgets = list(eps) if np.ndim(eps) == 1 and not isinstance(eps, Mapping) else []
    numbers = bool(budgets) and all(
        isinstance(e, Real) and not isinstance(e, (bool, np.bool_)) and e < np.inf for e in budgets
    )
    rising = numbers and _rise(budgets)
    if rising:
        check_length("the last eps", budgets[-1])
        budgets = [float(e) for e in budgets]
        rising = _rise(budgets)  # compared as given: fractions may differ by less than floats can
    if not rising:
        raise ValueError(
            f"eps must be a sequence of finite numbers > 0, each larger than the one before; got "
            f"{shown(eps)}; one budget alone is given as [0.1]"
        )
    return budgets


def _rise(budgets: list[Any]) -> bool:
    return all(smaller < larger for smaller, larger in pairwise([0, *budgets]))


def measure_matrix(scorer: TransferScorer, X: Any, y: Any, target: Any, keep_samples: Any) -> TransferMatrix:
    """Result of :meth:`TransferScorer.transfer`."""
    begin, rng = perf_counter(), own_rng(scorer.random_state)
    with undisturbed(), _nothing_yet(), scorer._gathered(X, y) as (X, array, y):
        models, region, classes = scorer._start(X, array)
        folder = read_place(keep_samples, scorer._roles(models)[0])
        keep = folder is not None or bool(keep_samples)
        plan = replace(_plan(scorer, models, [region], classes, X, y, target), keep=keep, folder=folder)
        tried = try_all(scorer, plan, rng)
        if folder is not None and tried.kept is not None:
            tried = replace(tried, kept=kept_in(folder, tried.kept, X, tried.outcomes[-1]))
    matrix = _matrix(scorer, tried, 0, _origin(scorer, "TransferScorer.transfer", plan, tried, begin))
    return _unless_interrupted(tried, matrix)


def measure_curve(scorer: TransferScorer, X: Any, y: Any, eps: Any, target: Any) -> TransferCurve:
    """Result of :meth:`TransferScorer.transfer_curve`."""
    budgets = read_budgets(eps)
    begin, rng = perf_counter(), own_rng(scorer.random_state)
    generator = scorer._generator
    with undisturbed(), _nothing_yet(), scorer._gathered(X, y) as (X, array, y):
        models, region, classes = scorer._start(X, array)
        if generator.norm == 0:
            for budget in budgets:
                check_count("eps", budget)
        if (own := own_eps(generator.attack)) is not None:
            raise ValueError(
                f"an attack that is given as an instance keeps its own eps, {shown(own)}, so it has no "
                "curve; pass its class, and its parameters as attack_params"
            )
        regions = [replace(region, eps=budget) for budget in budgets]
        plan = _plan(scorer, models, regions, classes, X, y, target)
        tried = try_all(scorer, plan, rng)
    # budget 0: the samples are unchanged
    first = tried.outcomes[0]
    clean, own = first.clean[first.target_places], first.clean[first.source_places]
    lost = first.failed[:, :, None] & (first.adversarial == NOT_ASKED)
    unchanged = replace(
        first,
        noise=clean,
        own=np.where(first.failed.any(axis=1, keepdims=True) & (first.own == NOT_ASKED), NOT_ASKED, own),
        adversarial=np.where(lost, NOT_ASKED, clean),
    )
    tried = replace(tried, outcomes=[unchanged, *tried.outcomes])
    origin = _origin(scorer, "TransferScorer.transfer_curve", plan, tried, begin)
    unit = generator.eps_unit if isinstance(generator.eps, Real) else "eps"
    every = np.array([0.0, *budgets])
    by_gradient = any("gradients" in cost for cost in tried.costs.values())

    def at_budget(eps: Any) -> dict[str, Any]:
        if "step_size" not in origin.settings:
            return {"eps": eps}
        if isinstance(eps, list):
            each = [at_budget(one)["step_size"] for one in eps]
            return {"eps": eps, "step_size": None if None in each else each}
        return {"eps": eps, "step_size": step_size(generator, eps, by_gradient=by_gradient)}

    matrices = []
    for k, budget in enumerate(every.tolist()):
        settings = {**origin.settings, **at_budget(budget), "eps_unit": unit}
        matrices.append(_matrix(scorer, tried, k, replace(origin, settings=settings, costs={}, seconds=None)))
    curve = TransferCurve(
        every,
        tuple(matrices),
        source_fooled_by_budget(tried.outcomes, matrices[0].goal),
        float(generator.norm),
        unit,
        tried.masked,
        provenance=replace(origin, settings={**origin.settings, **at_budget(budgets), "eps_unit": unit}),
    )
    return _unless_interrupted(tried, curve)


@contextmanager
def _nothing_yet() -> Iterator[None]:
    """Mark an interrupt that comes before there is any result."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.partial = None  # type: ignore[attr-defined]
        raise


def _unless_interrupted(tried: Tried, result: Measured) -> Measured:
    """Return the result, or raise the user's interrupt with the partial result in it."""
    if tried.interrupt is not None:
        tried.interrupt.partial = result  # type: ignore[attr-defined]
        raise tried.interrupt
    return result


def _matrix(scorer: TransferScorer, tried: Tried, k: int, origin: Provenance) -> TransferMatrix:
    outcomes = tried.outcomes[k]
    return TransferMatrix.of(
        outcomes,
        scorer.condition,
        goal="other" if outcomes.goals is None else "target",
        checks=tried.checks,
        masked=tried.masked,
        kept=tried.kept,
        provenance=origin,
    )


def _plan(
    scorer: TransferScorer,
    models: Mapping[str, Any],
    regions: list[WholeRegion],
    classes: NDArray[Any],
    X: Any,
    y: Any,
    target: Any,
) -> Plan:
    sources, targets = scorer._roles(models)
    every = scorer._with_ensembles(models)
    chosen = {name: model for name, model in every.items() if name in {*sources, *targets}}
    n = len(regions[0].X)
    truth = None if y is None else check_labels(y, classes, n)
    return Plan(
        models=chosen,
        sources=sources,
        targets=targets,
        classes=classes,
        regions=regions,
        truth=truth,
        target=target,
        index=index_of(X, n),
        row_index=row_index_of(X, n),
        given=X,
        partners=scorer._partners,
        out_of_reach=scorer._say_out_of_reach(regions[-1], X),
    )


def _origin(scorer: TransferScorer, made_by: str, plan: Plan, tried: Tried, begin: float) -> Provenance:
    """Provenance of the result."""
    settings = {
        **scorer._settings(plan.samples, plan.out_of_reach, tried.costs),
        "condition": scorer.condition,
    }
    if plan.target is not None:
        settings["target"] = plan.target if np.ndim(plan.target) == 0 else "a label for each sample"
    return Provenance(
        made_by,
        settings,
        n_samples=len(plan.samples),
        versions=versions_for(scorer._generator.attack),
        seconds=perf_counter() - begin,
        costs=tried.costs,
    )
