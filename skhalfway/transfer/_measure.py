"""Attacks on every source and predictions of every target, at one budget or at several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import fingerprints
from skhalfway._progress import announced
from skhalfway._randomness import draw_seed
from skhalfway.attacks._parameters import follows_gradients
from skhalfway.engine._store import store_of
from skhalfway.models._check import check_models
from skhalfway.models._warnings import warn, warn_of
from skhalfway.transfer._asking import ask_blocks
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._cells import run_all
from skhalfway.transfer._failures import Care, Failed, Failures
from skhalfway.transfer._folder import SamplesFolder, place_for
from skhalfway.transfer._leave_one_out import pairs_aside, remark
from skhalfway.transfer._masked import ask_others
from skhalfway.transfer._outcomes import Outcomes
from skhalfway.transfer._samples import KeptSamples, kept_of
from skhalfway.transfer._source import sources_of
from skhalfway.transfer._targets import read_goals

if TYPE_CHECKING:
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.models import Model, ModelCheck
    from skhalfway.transfer._scorer import TransferScorer


@dataclass(frozen=True)
class Plan:
    """The checked plan of an experiment.

    Attributes
    ----------
    models : dict of str to Model
        Sources and targets, in the order in which they were given.
    sources, targets : tuple of str
        Names of the models to attack, and of those to try the samples on.
    classes : ndarray of shape (n_classes,)
        Labels of the class indices.
    regions : list of WholeRegion
        Allowed regions of the samples, at each budget.
    truth : ndarray of shape (n_samples,) or None
        True class indices.
    target : object
        The user's ``target``; None for untargeted attacks.
    index : ndarray of shape (n_samples,) or None
        Names of the samples.
    given : array-like of shape (n_samples, ...)
        X as the user passed it.
    row_index : pandas Index or None, default=None
        Index of X.
    partners : ndarray of shape (n_partners, ...) or None, default=None
        Samples of the reference that attacks by queries may start from.
    keep : bool, default=False
        Whether adversarial samples are kept.
    folder : SamplesFolder or None, default=None
        Folder to keep them in; None is in memory.
    out_of_reach : list of str, default=()
        Columns that the largest budget is too small to change.
    """

    models: Mapping[str, Model]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    classes: NDArray[Any]
    regions: list[WholeRegion]
    truth: NDArray[np.intp] | None
    target: Any
    index: NDArray[Any] | None
    given: Any
    row_index: Any = None
    partners: NDArray[Any] | None = None
    keep: bool = False
    folder: SamplesFolder | None = None
    out_of_reach: Sequence[str] = ()

    @property
    def samples(self) -> NDArray[Any]:
        """The samples."""
        return self.regions[0].X


@dataclass(frozen=True)
class Tried:
    """Results of an experiment.

    Attributes
    ----------
    outcomes : list of Outcomes
        Predictions at each budget.
    masked : bool ndarray of shape (n_sources,) or None
        True where a source's gradients may be masked, at the largest budget; None if no source was tested.
    checks : dict of str to ModelCheck
        Findings about each model.
    costs : dict of str to dict
        Cost of the attack on each source, over all budgets.
    kept : KeptSamples or None
        Adversarial samples of the largest budget, where they are kept.
    interrupt : KeyboardInterrupt or None, default=None
        The user's interrupt, if it came before all samples were attacked.
    """

    outcomes: list[Outcomes]
    masked: NDArray[np.bool_] | None
    checks: dict[str, ModelCheck]
    costs: dict[str, dict[str, float]]
    kept: KeptSamples | None
    interrupt: KeyboardInterrupt | None = None


def try_all(scorer: TransferScorer, plan: Plan, rng: np.random.RandomState) -> Tried:
    """Attack every source at every budget, let all models predict, and warn of misleading figures.

    At each budget the noise has the same signs and every generator the same seed, as in separate calls with
    an int for ``random_state``. Sources predict too, whether they are targets or not, since samples made on
    other sources may show that a source's own attack is too weak.
    """
    models, regions, X, truth = plan.models, plan.regions, plan.samples, plan.truth
    sources = {name: models[name] for name in plan.sources}
    places = [list(models).index(name) for name in sources]
    targeted = plan.target is not None
    scorer._check_sources(sources, regions[0], len(plan.classes), targeted=targeted)
    seed = draw_seed(rng)
    generators = scorer._generators(len(sources), rng)
    memory = store_of(scorer.memory)
    failures = Failures(Care(scorer.error_score == "raise", scorer.timeout))
    kept = None if memory is None else CellStore.of(memory, models, X, failures.call)
    clean, *control = ask_blocks(
        models, regions, seed, scorer._parallel, kept, failures, verbose=scorer.verbose
    )
    left = clean[places] if truth is None else np.broadcast_to(truth, (len(sources), len(X)))
    goals = None
    if targeted:
        goals = read_goals(plan.target, sources, X, plan.classes, left, seed, failures.call)
    known = {name: models[name] for name in failures.known(models)}
    said = clean[[name in known for name in models]]
    gradients = follows_gradients(scorer._generator.attack)
    with announced("check models", len(known), "model", scorer.verbose, failures.call) as call:
        checks = check_models(known, X, plan.classes, truth, said, gradients=gradients, call=call)
    warn_of(checks)
    checks |= {name: check.adding(remark(known[name])) for name, check in checks.items()}
    # only samples that can count for a source are attacked
    needed = np.ones_like(left, dtype=bool) if scorer.condition == "all" else clean[places] == left
    if goals is not None:
        needed &= goals != left
    labels = left if goals is None else goals
    n_classes = len(plan.classes)
    attacked = sources_of(
        scorer, sources, generators, regions, labels, needed, clean[places], n_classes, targeted, failures
    )
    keep = partial(place_for, X, plan.folder) if plan.keep else None
    made = run_all(attacked, models, X.shape, scorer._parallel, keep, kept, failures)
    answers = made.answers
    masked, costs, tested = np.zeros(len(sources), dtype=bool), {}, False
    for i, (name, part) in enumerate(zip(sources, made.attacked, strict=True)):
        if part is None or failures.has_lost(name):
            continue
        costs[name] = part.account.cost
        place, tried = places[i], needed[i]
        others = ask_others(
            i,
            plan.sources,
            left[:, tried],
            None if goals is None else goals[:, tried],
            clean[place, tried],
            control[-1][place, tried],
            answers[:, :, place, tried],
        )
        judged: Any = None
        try:
            if failures.interrupt is None:
                judged = failures.care(name, part.judged, others)
        except KeyboardInterrupt as interrupt:
            failures.interrupt = interrupt
        if judged is None:  # who ended the run may have said so
            judged = Failed(str(failures.interrupt) or "the user interrupted")
        if isinstance(judged, Failed):
            found = part.unjudged(judged.reason)
        else:
            (found, masked[i]), tested = judged, True
        if failures.interrupt is None:
            for finding in found:
                warn(f"model {name!r}: {finding}")
        checks[name] = checks[name].adding(found)
    asked = [list(models).index(name) for name in plan.targets]
    known_by = fingerprints(X)
    outcomes = [
        Outcomes(
            tuple(models),
            plan.sources,
            plan.targets,
            plan.classes,
            truth,
            clean,
            noise[asked],
            said[np.arange(len(sources)), places],
            said[:, asked],
            goals,
            plan.index,
            known_by,
            row_index=plan.row_index,
            failures=failures.pairs(plan.sources, plan.targets),
            set_aside=pairs_aside(models, plan.sources, plan.targets, one_each=scorer._leaves_one_out),
        )
        for noise, said in zip(control, answers, strict=True)
    ]
    samples = made.samples
    given = None if samples is None else kept_of(dict(zip(sources, samples, strict=True)), plan.given)
    return Tried(outcomes, masked if tested else None, checks, costs, given, failures.interrupt)
