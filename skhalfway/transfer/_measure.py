"""Every model attacked and asked, at one budget or at several: what these share is done once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.parallel import delayed

from skhalfway._inputs import check_labels
from skhalfway.attacks._problem import Problem
from skhalfway.models import ModelWarning
from skhalfway.models._collection import named, predictions
from skhalfway.transfer._counting import count
from skhalfway.transfer._curve import TransferCurve
from skhalfway.transfer._masked import ask_others
from skhalfway.transfer._source import Attacked, attack

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model
    from skhalfway.transfer._scorer import TransferScorer


def read_budgets(eps: Any) -> list[float]:
    """Increasing budgets, checked."""
    budgets = list(eps) if np.ndim(eps) == 1 and not isinstance(eps, Mapping) else []
    numbers = bool(budgets) and all(
        isinstance(e, Real) and not isinstance(e, (bool, np.bool_)) for e in budgets
    )
    if not numbers or not np.isfinite(budgets).all() or not (np.diff(budgets, prepend=0) > 0).all():
        raise ValueError(
            f"eps must be a sequence of finite numbers > 0, each larger than the one before; got {eps!r}. "
            "For one budget call transfer"
        )
    return [float(e) for e in budgets]


def measure(scorer: TransferScorer, X: Any, y: Any, eps: Any) -> TransferCurve:
    """What :meth:`TransferScorer.transfer_curve` gives."""
    budgets = read_budgets(eps)
    models, region, classes = scorer._start(X)
    generator = scorer._generator
    own_eps = None if isinstance(generator.attack, (str, type)) else getattr(generator.attack, "eps", None)
    if own_eps is not None:
        raise ValueError(
            f"an instance of an attack keeps its own eps, {own_eps}, so it has no curve; "
            "give its class, and its parameters as attack_params"
        )
    regions = [replace(region, eps=budget) for budget in budgets]
    tried = try_all(scorer, models, regions, y, classes)
    for remark in tried.remarks:
        warnings.warn(remark, ModelWarning, stacklevel=3)
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
            count(names, labels, clean, noise, made, scorer.condition)
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
    remarks : tuple of str
        What a user must know of the models to read the figures, to be warned of.
    """

    labels: NDArray[np.intp]
    clean: NDArray[np.intp]
    control: NDArray[np.intp]
    adversarial: NDArray[np.intp]
    masked: NDArray[np.bool_]
    remarks: tuple[str, ...]


def try_all(
    scorer: TransferScorer,
    models: Mapping[str, Model],
    regions: list[Region],
    y: Any,
    classes: NDArray[Any],
) -> Tried:
    """Attack every model at every budget, and ask all models.

    At each budget the noise has the same signs and every generator starts from the same seed, as they have
    in separate calls with an int for ``random_state``.
    """
    array = regions[0].X
    truth = None if y is None else check_labels(y, classes, len(array))
    rng = check_random_state(scorer.random_state)
    state = rng.get_state()
    noisy = []
    for region in regions:
        rng.set_state(state)
        noisy.append(region.noise(rng))
    generators = scorer._generators(len(models), rng)
    with ExitStack() as stack:
        # outside the threads, which share the models
        for model in models.values():
            stack.enter_context(model.evaluating())
        clean = predictions(models, array)
        control = np.stack([predictions(models, noise) for noise in noisy])
        labels = clean if truth is None else np.broadcast_to(truth, clean.shape)
        # samples that can count for a source: only these are attacked
        everything = scorer.condition == "all"
        jobs = (
            delayed(_attack_and_try)(
                name, models, one, regions, label, len(classes), everything | (own == label)
            )
            for name, one, label, own in zip(models, generators, labels, clean, strict=True)
        )
        each = list(scorer._parallel(jobs, len(models), "attack"))
        adversarial = np.stack([predicted for predicted, _ in each], axis=1)
        remarks: list[str] = []
        masked = np.zeros(len(models), dtype=bool)
        for i, (name, (_, source)) in enumerate(zip(models, each, strict=True)):
            if source is not None:
                seen = labels, clean, control[-1], adversarial[-1]
                tried = adversarial[-1, i, i] >= 0
                others = ask_others(i, list(models), *(answers[..., tried] for answers in seen))
                said, masked[i] = named(name, source.judged, name, others)
                remarks += said
    return Tried(labels, clean, control, adversarial, masked, tuple(remarks))


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
