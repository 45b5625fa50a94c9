"""Any evasion attack of the Adversarial Robustness Toolbox, on any source."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from inspect import signature
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import BoundaryAttack, HopSkipJump
from art.estimators.classification import (
    BlackBoxClassifierNeuralNetwork,
    PyTorchClassifier,
    SklearnClassifier,
)
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from skhalfway._text import shown
from skhalfway.attacks._problem import Outcome
from skhalfway.attacks._queries import Queries, begin
from skhalfway.models._kinds import is_art_classifier
from skhalfway.models._torch import place_of
from skhalfway.models._views import with_part

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

# ART draws from the global generators, which belong to one thread at a time.
_GLOBAL_RANDOMNESS = RLock()


@contextmanager
def global_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators inside, alone among threads; give them back as they were."""
    with _GLOBAL_RANDOMNESS, torch.random.fork_rng(devices=[]):
        states = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])


class _Float32(torch.nn.Module):
    """A Model's logits for ART, which computes in float32 on the CPU, in the region's coordinates."""

    def __init__(self, model: Model, region: Region) -> None:
        super().__init__()
        assert model.module is not None
        self.source = model
        self.place: Any = place_of(model.module)
        self.unit = None if region.unit is None else torch.tensor(region.unit, **self.place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inputs = x.to(**self.place)
        logits = self.source.logits(inputs if self.unit is None else inputs * self.unit)
        return logits.to(x.device, torch.float32)


_DECISION_BASED = (BoundaryAttack, HopSkipJump)

# Attacks without a parameter "targeted" whose generate takes labels to reach, not to leave.
_Y_IS_TARGET = {
    "DecisionTreeAttack",
    "GRAPHITEBlackbox",
    "GRAPHITEWhiteboxPyTorch",
    "LowProFool",
    "SaliencyMapMethod",
    "TargetedUniversalPerturbation",
}


def parameter_names(class_: Any) -> list[str]:
    """Parameters of an attack: what it declares (inherited ones too) and its constructor takes."""
    taken = signature(class_.__init__).parameters
    return [name for name in class_.attack_params if name in taken]


def _wrappers(
    model: Model, region: Region, n_classes: int, clip_values: tuple[Any, Any], *, decisions: bool
) -> Iterator[Any]:
    """The ART estimators that can stand for a source, the most able first."""
    # decision-based attacks hand on float64, which a module of float32 refuses: ours below casts
    own = region.unit is None
    if is_art_classifier(model.estimator) and not decisions and own:
        yield model._called
    shape = region.X.shape[1:]
    if model.has_gradient:
        yield PyTorchClassifier(
            _Float32(model, region),
            loss=torch.nn.CrossEntropyLoss(),
            input_shape=shape,
            nb_classes=n_classes,
            clip_values=clip_values,
            device_type="cpu",
        )

    def predict(x: NDArray[Any]) -> NDArray[np.float64]:
        x = region.to_input(x).astype(region.X.dtype)
        return np.eye(n_classes)[model.predict(x)] if decisions else model.scores(x)

    yield BlackBoxClassifierNeuralNetwork(predict, shape, n_classes, clip_values=clip_values)
    classifier = model.estimator
    while isinstance(classifier, FrozenEstimator):
        classifier = classifier.estimator
    if own and type(classifier).__module__.startswith("sklearn."):
        yield SklearnClassifier(classifier, clip_values=clip_values)


def _as_art_bound(bound: Any) -> float | NDArray[np.float32]:
    limits = np.finfo(np.float32)
    bound = np.clip(bound, limits.min, limits.max)
    return float(bound) if np.ndim(bound) == 0 else np.asarray(bound, dtype=np.float32)


def check_art_targets(attack: Any) -> None:
    """Raise for an attack that moves samples towards no label."""
    class_: Any = attack if isinstance(attack, type) else type(attack)
    if "targeted" not in parameter_names(class_) and class_.__name__ not in _Y_IS_TARGET:
        raise ValueError(f"ART's {class_.__name__} has no targeted form; call generate without target")


def stand_in(attack: Any, model: Model, region: Region, n_classes: int) -> Any:
    """The ART estimator that stands for a source; TypeError where there is none that the attack takes."""
    X = region.start()
    if region.carried is not None:
        raise ValueError(
            "attacks of ART take numbers only, but X holds categories or missing values; "
            f"encode them, or give one of skhalfway's own attacks, not {shown(attack)}"
        )
    # Without bounds ART still needs a finite range: one that no point of the ball leaves.
    low, high = X.min().astype(float) - region.eps, X.max().astype(float) + region.eps
    if (bounds := region.bounds()) is not None:
        low, high = (np.where(np.isfinite(b), b, free) for b, free in zip(bounds, (low, high), strict=True))
        if low.shape == X.shape:  # a range for all samples: each one's own is kept to at the end
            low, high = low.min(axis=0), high.max(axis=0)
    if np.ndim(low) or np.ndim(high):
        low, high = (np.broadcast_to(bound, X.shape[1:]) for bound in (low, high))
    clip_values = _as_art_bound(low), _as_art_bound(high)
    class_: Any = attack if isinstance(attack, type) else type(attack)
    refused = []
    decisions = issubclass(class_, _DECISION_BASED)
    for estimator in _wrappers(model, region, n_classes, clip_values, decisions=decisions):
        if class_.is_estimator_valid(estimator, class_._estimator_requirements):
            return estimator
        refused.append(type(estimator).__name__)
    raise TypeError(
        f"ART's {class_.__name__} cannot attack {type(model.estimator).__name__}: it needs "
        f"{_names(class_._estimator_requirements)}, and the source was offered as {', '.join(refused)}; "
        "attack='auto' attacks any source"
    )


def _names(requirements: Any) -> str:
    each = (one if isinstance(one, tuple) else (one,) for one in requirements)
    return " and ".join(" or ".join(kind.__name__ for kind in kinds) for kinds in each)


def run(
    attack: Any,
    problem: Problem,
    *,
    settings: dict[str, Any],
    attack_params: dict[str, Any],
    seed: int,
) -> Outcome:
    """Run an ART attack, given as a class or an instance, on a Model.

    ``settings`` are the generator's own (eps, norm, max_iter...), passed as far
    as the class takes them; ``attack_params`` go before them. An instance keeps
    its own settings.
    """
    model, region, labels, targeted = problem.model, problem.region, problem.labels, problem.targeted
    n_classes, X = problem.n_classes, region.start()
    class_: Any = attack if isinstance(attack, type) else type(attack)
    decisions = issubclass(class_, _DECISION_BASED)
    estimator = stand_in(attack, model, region, n_classes)
    names = parameter_names(class_)
    if isinstance(attack, type):
        params = {k: v for k, v in settings.items() if k in names} | {"verbose": False, "targeted": targeted}
        params = {k: v for k, v in params.items() if k in names} | attack_params
    else:
        params = {name: getattr(attack, name) for name in names if hasattr(attack, name)}
        params["targeted"] = targeted
        # an instance's summary_writer is None by default, which the constructor refuses
        params = {k: v for k, v in params.items() if k in names and k != "summary_writer"}
    y_is_target = class_.__name__ in _Y_IS_TARGET
    own = not isinstance(attack, type) and attack.estimator is model.estimator and estimator is model._called
    own = own and getattr(attack, "targeted", targeted) == targeted
    # a pool of threads costs more than it gives where rows are asked for one at a time
    threads = threadpool_limits(1) if decisions else nullcontext()
    with global_randomness(seed), model.evaluating(), threads:
        # an attack of its own would switch the user's classifier
        bound: EvasionAttack = (
            with_part(attack, attack.estimator, estimator) if own else class_(estimator, **params)
        )
        X32, one_hot = X.astype(np.float32), np.eye(n_classes, dtype=np.float32)[labels]
        X_adv = X32.copy()
        if decisions:
            # ART draws its own start one row at a time and without a seed
            queries = Queries(problem, np.iinfo(np.int32).max)
            begin(queries, np.random.RandomState(seed))
            rows = np.isfinite(queries.distances) & (queries.distances > 0)
            if rows.any():
                start = queries.nearest[rows].reshape(X32[rows].shape).astype(np.float32)
                X_adv[rows] = bound.generate(X32[rows], y=one_hot[rows], x_adv_init=start)
        else:
            X_adv = bound.generate(X_adv, y=None if y_is_target and not targeted else one_hot)
    # ART computes in float32: what it left alone stays as it was
    return Outcome(region.keep(np.where(X_adv == X32, X, X_adv)))
