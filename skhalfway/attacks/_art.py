"""Any evasion attack of the Adversarial Robustness Toolbox, on any source."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
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

from skhalfway.models._torch import dtype_of

if TYPE_CHECKING:
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
    """A Model's logits for ART, which computes in float32."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.module is not None
        self.source, self.dtype = model, dtype_of(model.module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.source.logits(x.to(self.dtype)).float()


_DECISION_BASED = (BoundaryAttack, HopSkipJump)


def _wrappers(
    model: Model, X: NDArray[Any], n_classes: int, clip_values: tuple[Any, Any], *, decisions: bool
) -> Iterator[Any]:
    """The ART estimators that can stand for a source, the most able first."""
    from skhalfway.models._model import is_art_classifier

    if is_art_classifier(model.estimator):
        yield model.estimator
    shape = X.shape[1:]
    if model.has_gradient:
        yield PyTorchClassifier(
            _Float32(model),
            loss=torch.nn.CrossEntropyLoss(),
            input_shape=shape,
            nb_classes=n_classes,
            clip_values=clip_values,
            device_type="cpu",
        )

    def predict(x: NDArray[Any]) -> NDArray[np.float64]:
        x = x.astype(X.dtype)
        return np.eye(n_classes)[model.predict(x)] if decisions else model.scores(x)

    yield BlackBoxClassifierNeuralNetwork(predict, shape, n_classes, clip_values=clip_values)
    if type(model.estimator).__module__.startswith("sklearn."):
        yield SklearnClassifier(model.estimator, clip_values=clip_values)


def _start_points(
    model: Model,
    X: NDArray[Any],
    labels: NDArray[np.intp],
    clip_values: tuple[Any, Any],
    *,
    targeted: bool,
    n_draws: int = 100,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Points where a decision-based attack may begin, and whether one was found.

    The nearest other sample of X that lies where the attack wants to be, else
    a random point. ART draws its own one row at a time and without a seed.
    """
    spare = np.random.uniform(*clip_values, size=(n_draws, *X.shape[1:])).astype(X.dtype)
    pool = np.concatenate([X, spare])
    predicted = model.predict(pool)
    flat = torch.from_numpy(pool.reshape(len(pool), -1).astype(np.float32))
    distance = torch.cdist(flat[: len(X)], flat).numpy()
    own, there = labels[:, None], predicted[None, :]
    distance[(there != own) if targeted else (there == own)] = np.inf
    nearest = distance.argmin(axis=1)
    return pool[nearest], np.isfinite(distance[np.arange(len(X)), nearest])


def _as_art_bound(bound: Any) -> float | NDArray[np.float32]:
    return float(bound) if np.ndim(bound) == 0 else np.asarray(bound, dtype=np.float32)


def run(
    attack: Any,
    model: Model,
    X: NDArray[Any],
    labels: NDArray[np.intp],
    *,
    n_classes: int,
    targeted: bool,
    bounds: tuple[NDArray[Any], NDArray[Any]] | None,
    settings: dict[str, Any],
    attack_params: dict[str, Any],
    seed: int,
) -> NDArray[Any]:
    """Run an ART attack, given as a class or an instance, on a Model.

    ``settings`` are the generator's own (eps, norm, max_iter...), passed as far
    as the class takes them; ``attack_params`` go before them. An instance keeps
    its own settings.
    """
    eps = settings["eps"]
    # Without bounds ART still needs a range: one that no point of the ball leaves.
    low, high = (X.min() - eps, X.max() + eps) if bounds is None else bounds
    clip_values = _as_art_bound(low), _as_art_bound(high)
    class_: Any = attack if isinstance(attack, type) else type(attack)
    refused = []
    decisions = issubclass(class_, _DECISION_BASED)
    for estimator in _wrappers(model, X, n_classes, clip_values, decisions=decisions):
        if class_.is_estimator_valid(estimator, class_._estimator_requirements):
            break
        refused.append(type(estimator).__name__)
    else:
        raise TypeError(
            f"ART's {class_.__name__} cannot attack {type(model.estimator).__name__}: it needs "
            f"{class_._estimator_requirements}, and the source was offered as {', '.join(refused)}"
        )
    names = class_.attack_params
    if isinstance(attack, type):
        params = {k: v for k, v in settings.items() if k in names} | {"verbose": False, "targeted": targeted}
        params = {k: v for k, v in params.items() if k in names} | attack_params
    else:
        params = {name: getattr(attack, name) for name in names if hasattr(attack, name)}
        params["targeted"] = targeted
        params = {k: v for k, v in params.items() if k in names}
    if targeted and "targeted" not in names:
        raise ValueError(f"ART's {class_.__name__} has no targeted form; call generate without target")
    own = not isinstance(attack, type) and attack.estimator is estimator
    with global_randomness(seed), model.evaluating():
        bound: EvasionAttack = attack if own else class_(estimator, **params)
        X32, one_hot = X.astype(np.float32), np.eye(n_classes, dtype=np.float32)[labels]
        if not decisions:
            return bound.generate(X32.copy(), y=one_hot)
        start, found = _start_points(model, X, labels, clip_values, targeted=targeted)
        if found.any():
            X32[found] = bound.generate(
                X32[found], y=one_hot[found], x_adv_init=start[found].astype(np.float32)
            )
        return X32
