"""Every model attacked and asked, at one budget or at several: what these share is done once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import delayed

from skhalfway._checks import check_length
from skhalfway._inputs import check_labels
from skhalfway._randomness import own_rng, undisturbed
from skhalfway._text import shown
from skhalfway.attacks._parameters import follows_gradients, own_eps
from skhalfway.attacks._problem import Problem
from skhalfway.models._check import check_models
from skhalfway.models._collection import predictions
from skhalfway.models._faults import named
from skhalfway.models._warnings import warn, warn_of
from skhalfway.transfer._counting import count
from skhalfway.transfer._curve import TransferCurve
from skhalfway.transfer._masked import ask_others
from skhalfway.transfer._source import Attacked, attack

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model, ModelCheck
    from skhalfway.transfer._scorer import TransferScorer


def read_budgets(eps: Any) -> list[float]:
    """Increasing budgets, checked."""
    budgets = list(eps) if np.ndim(eps) == 1 and not isinstance(eps, Mapping) else []
    numbers = bool(budgets) and all(
        isinstance(e, Real) and not isinstance(e, (bool, np.bool_)) and e < np.inf for e in budgets
    )
    if not numbers or not all(smaller < larger for smaller, larger in pairwise([0, *budgets])):
        raise ValueError(
            f"eps must be a sequence of finite numbers > 0, each larger than the one before; got "
            f"{shown(eps)}. For one budget call transfer"
        )
    check_length("the last eps", budgets[-1])
    return [float(e) for e in budgets]


def measure(scorer: TransferScorer, X: Any, y: Any, eps: Any) -> TransferCurve:
    """What :meth:`TransferScorer.transfer_curve` gives."""
    budgets = read_budgets(eps)
    rng = own_rng(scorer.random_state)
    with undisturbed():
        return _measure(scorer, X, y, budgets, rng)


def _measure(
    scorer: TransferScorer, X: Any, y: Any, budgets: list[float], rng: np.random.RandomState
) -> TransferCurve:
    models, region, classes = scorer._start(X)
    generator = scorer._generator
    if (own := own_eps(generator.attack)) is not None:
        raise ValueError(
            f"an instance of an attack keeps its own eps, {shown(own)}, so it has no curve; "
            "give its class, and its parameters as attack_params"
        )
    regions = [replace(region, eps=budget) for budget in budgets]
    tried = try_all(scorer, models, regions, y, classes, rng)
    labels, clean = tried.labels, tried.clean
    # before any change
    control = np.concatenate([clean[None], tried.control])
    adversarial = np.broadcast_to(clean, (1, *tried.adversarial.shape[1:]))
    adversarial = np.concatenate([adversarial, tried.adversarial])
    names, source = tuple(models), np.arange(len(models))
    fallen = (adversarial[:, source, source] != labels) & (clean == labels)
    return TransferCurve(
        np.array([0.0, *budgets]),
        tuple(
            replace(count(names, labels, clean, noise, made, scorer.condition), checks=tried.checks)
            for noise, made in zip(control, adversarial, strict=True)
        ),
        np.logical_or.accumulate(fallen).sum(axis=2),
        float(generator.norm),
        generator.eps_unit if isinstance(generator.eps, Real) else "eps",
        tried.masked,
    )


@dataclass(frozen=True)
class Tried:
    """What models say.

    Attributes
    ----------
    labels : ndarray of shape (n_models, n_samples)
        What each source's attack leaves.
    clean : ndarray of shape (n_models, n_samples)
        Predictions for the samples themselves.
    control : ndarray of shape (n_budgets, n_models, n_samples)
        Predictions for noise.
    adversarial : ndarray of shape (n_budgets, n_models, n_models, n_samples)
        Predictions for what was made on each source (first) by each target (second).
    masked : bool ndarray of shape (n_models,)
        True where a source's gradients may be masked, at the largest budget.
    checks : dict of str to ModelCheck
        What the check-up of each model found.
    """

    labels: NDArray[np.intp]
    clean: NDArray[np.intp]
    control: NDArray[np.intp]
    adversarial: NDArray[np.intp]
    masked: NDArray[np.bool_]
    checks: dict[str, ModelCheck]


def try_all(
    scorer: TransferScorer,
    models: Mapping[str, Model],
    regions: list[Region],
    y: Any,
    classes: NDArray[Any],
    rng: np.random.RandomState,
) -> Tried:
    """Attack every model at every budget, and ask all models; warn of what misleads.

    At each budget the noise has the same signs and every generator starts from the same seed, as they have
    in separate calls with an int for ``random_state``.
    """
    array = regions[0].X
    truth = None if y is None else check_labels(y, classes, len(array))
    scorer._check_sources(models, regions[0], len(classes))
    state = rng.get_state()
    noisy = []
    for region in regions:
        rng.set_state(state)
        noisy.append(region.noise(rng))
    generators = scorer._generators(len(models), rng)
    clean = predictions(models, array)
    gradients = follows_gradients(scorer._generator.attack)
    checks = check_models(models, array, classes, truth, clean, gradients=gradients)
    warn_of(checks)
    control = np.stack([predictions(models, noise) for noise in noisy])
    labels = clean if truth is None else np.broadcast_to(truth, clean.shape)
    # samples that can count for a source: only these are attacked
    everything = scorer.condition == "all"
    jobs = (
        delayed(_attack_and_try)(name, models, one, regions, label, len(classes), everything | (own == label))
        for name, one, label, own in zip(models, generators, labels, clean, strict=True)
    )
    each = list(scorer._parallel(jobs, len(models), "attack"))
    adversarial = np.stack([predicted for predicted, _ in each], axis=1)
    masked = np.zeros(len(models), dtype=bool)
    for i, (name, (_, source)) in enumerate(zip(models, each, strict=True)):
        if source is not None:
            tried, seen = adversarial[-1, i, i] >= 0, (labels, clean, control[-1], adversarial)
            others = ask_others(i, list(models), *(answers[..., tried] for answers in seen))
            found, masked[i] = named(name, source.judged, others)
            for finding in found:
                warn(f"model {name!r}: {finding}")
            checks[name] = checks[name].adding(found)
    return Tried(labels, clean, control, adversarial, masked, checks)


def _attack_and_try(
    name: str,
    models: Mapping[str, Model],
    generator: AdversarialGenerator,
    regions: list[Region],
    labels: NDArray[np.intp],
    n_classes: int,
    needed: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], Attacked | None]:
    """What every model predicts, at every budget, for the samples attacked on one; -1 where none was made."""
    predicted = np.full((len(regions), len(models), len(labels)), -1, dtype=np.intp)
    if not needed.any():
        return predicted, None
    parts = [region.take(needed) for region in regions]
    problem = Problem(models[name], parts[-1], labels[needed], n_classes)
    each, source = named(name, attack, generator, problem, parts)
    for place, X_adv in zip(predicted, each, strict=True):
        place[:, needed] = predictions(models, X_adv)
    return predicted, source
