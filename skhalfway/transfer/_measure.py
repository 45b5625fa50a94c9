"""Every source attacked and every target asked, at one budget or at several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from skhalfway._inputs import fingerprints
from skhalfway.attacks._parameters import follows_gradients
from skhalfway.attacks._problem import Problem
from skhalfway.models._check import check_models
from skhalfway.models._collection import predictions
from skhalfway.models._faults import named
from skhalfway.models._warnings import warn, warn_of
from skhalfway.transfer._folder import SamplesFolder, place_for
from skhalfway.transfer._masked import ask_others
from skhalfway.transfer._outcomes import NOT_ASKED, Outcomes, smallest_integers
from skhalfway.transfer._samples import KeptSamples, kept_of
from skhalfway.transfer._source import Attacked, attack
from skhalfway.transfer._targets import read_goals

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model, ModelCheck
    from skhalfway.transfer._scorer import TransferScorer


@dataclass(frozen=True)
class Plan:
    """What is to be measured, checked.

    Attributes
    ----------
    models : dict of str to Model
        Sources and targets, in the order in which they were given.
    sources, targets : tuple of str
        Names of those to attack and of those to ask.
    classes : ndarray of shape (n_classes,)
        Labels of the class indices.
    regions : list of Region
        Where samples may go, at each budget.
    truth : ndarray of shape (n_samples,) or None
        True class indices.
    target : object
        What to aim at, as users give it; None is any other class.
    index : ndarray of shape (n_samples,) or None
        Names of the samples.
    given : array-like of shape (n_samples, ...)
        X, as it was handed in.
    row_index : pandas Index or None, default=None
        Its index.
    partners : ndarray of shape (n_partners, ...) or None, default=None
        Samples of the reference that ``attack="halfway"`` may begin at.
    keep : bool, default=False
        Whether samples are kept.
    folder : SamplesFolder or None, default=None
        Where; None is in memory.
    out_of_reach : list of str, default=()
        What the largest budget is too small to change.
    """

    models: Mapping[str, Model]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    classes: NDArray[Any]
    regions: list[Region]
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
    """What models said.

    Attributes
    ----------
    outcomes : list of Outcomes
        At each budget.
    masked : bool ndarray of shape (n_sources,)
        True where a source's gradients may be masked, at the largest budget.
    checks : dict of str to ModelCheck
        What the check-up of each model found.
    costs : dict of str to dict
        What the attack on each source cost, over all budgets.
    kept : KeptSamples or None
        The samples of the largest budget, where they are kept.
    """

    outcomes: list[Outcomes]
    masked: NDArray[np.bool_]
    checks: dict[str, ModelCheck]
    costs: dict[str, dict[str, float]]
    kept: KeptSamples | None


def try_all(scorer: TransferScorer, plan: Plan, rng: np.random.RandomState) -> Tried:
    """Attack every source at every budget, and ask all models; warn of what misleads.

    At each budget the noise has the same signs and every generator starts from the same seed, as they have
    in separate calls with an int for ``random_state``. Sources are asked too, whether they are targets or
    not, for what was made on the others may show that a source's own attack is too weak.
    """
    models, regions, X, truth = plan.models, plan.regions, plan.samples, plan.truth
    sources = {name: models[name] for name in plan.sources}
    places = [list(models).index(name) for name in sources]
    targeted = plan.target is not None
    scorer._check_sources(sources, regions[0], len(plan.classes), targeted=targeted)
    state = rng.get_state()
    noisy = []
    for region in regions:
        rng.set_state(state)
        noisy.append(region.noise(rng))
    generators = scorer._generators(len(sources), rng)
    clean = predictions(models, X)
    left = clean[places] if truth is None else np.broadcast_to(truth, (len(sources), len(X)))
    goals = read_goals(plan.target, sources, X, plan.classes, left, rng) if targeted else None
    gradients = follows_gradients(scorer._generator.attack)
    checks = check_models(models, X, plan.classes, truth, clean, gradients=gradients)
    warn_of(checks)
    control = np.stack([predictions(models, noise) for noise in noisy])
    # samples that can count for a source: only these are attacked
    needed = np.ones_like(left, dtype=bool) if scorer.condition == "all" else clean[places] == left
    if goals is not None:
        needed &= goals != left
    labels = left if goals is None else goals
    jobs = (
        delayed(_attack_and_try)(name, plan, generators[i], labels[i], needed[i], i)
        for i, name in enumerate(sources)
    )
    each = list(scorer._parallel(jobs, len(sources), "attack"))
    answers = np.stack([part.answers for part in each], axis=1)  # (budget, source, model, sample)
    masked, costs = np.zeros(len(sources), dtype=bool), {}
    for i, (name, part) in enumerate(zip(sources, each, strict=True)):
        if part.source is not None:
            place, tried = places[i], needed[i]
            others = ask_others(
                i,
                plan.sources,
                left[:, tried],
                None if goals is None else goals[:, tried],
                clean[place, tried],
                control[-1, place, tried],
                answers[:, :, place, tried],
            )
            found, masked[i] = named(name, part.source.judged, others)
            for finding in found:
                warn(f"model {name!r}: {finding}")
            checks[name] = checks[name].adding(found)
            costs[name] = part.source.cost
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
            made[np.arange(len(sources)), places],
            made[:, asked],
            goals,
            plan.index,
            known_by,
            row_index=plan.row_index,
        )
        for noise, made in zip(control, answers, strict=True)
    ]
    kept = None
    if plan.keep:
        kept = kept_of({name: part.samples for name, part in zip(sources, each, strict=True)}, plan.given)
    return Tried(outcomes, masked, checks, costs, kept)


@dataclass(frozen=True)
class _Part:
    """What came of one source: the answers of every model, (n_budgets, n_models, n_samples)."""

    answers: NDArray[np.integer[Any]]
    source: Attacked | None
    samples: Any


def _attack_and_try(
    name: str,
    plan: Plan,
    generator: AdversarialGenerator,
    labels: NDArray[np.intp],
    needed: NDArray[np.bool_],
    number: int,
) -> _Part:
    """Attack one source at every budget and ask every model; ``labels`` are those to leave, or to reach."""
    models, n_classes = plan.models, len(plan.classes)
    answers = np.full(
        (len(plan.regions), len(models), len(labels)), NOT_ASKED, dtype=smallest_integers(n_classes)
    )
    samples = place_for(plan.samples, plan.folder, number) if plan.keep else None
    if not needed.any():
        return _Part(answers, None, samples)
    parts = [region.take(needed) for region in plan.regions]
    problem = Problem(models[name], parts[-1], labels[needed], n_classes, plan.target is not None)
    each, source = named(name, attack, generator, problem, parts, plan.partners)
    for place, X_adv in zip(answers, each, strict=True):
        place[:, needed] = predictions(models, X_adv)
    if samples is not None:
        samples[needed] = each[-1]
    return _Part(answers, source, samples)
