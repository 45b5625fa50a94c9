"""Any evasion attack of the Adversarial Robustness Toolbox, on any source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from copy import copy
from inspect import signature
from numbers import Real
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
from threadpoolctl import threadpool_limits

from skhalfway._text import shown
from skhalfway.attacks._adapter_source import Source, finite_range
from skhalfway.attacks._adapters import Adapter, step_of
from skhalfway.attacks._queries import Queries, begin
from skhalfway.models._type_checks import is_art_classifier, unfrozen
from skhalfway.models._views import with_part

if TYPE_CHECKING:
    from skhalfway.attacks._adapter_sight import Sight
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

_DECISION_BASED = (BoundaryAttack, HopSkipJump)

# Attacks without a parameter "targeted" whose labels are those to reach, not to leave.
_Y_IS_TARGET = {
    "DecisionTreeAttack",
    "GRAPHITEBlackbox",
    "GRAPHITEWhiteboxPyTorch",
    "LowProFool",
    "SaliencyMapMethod",
    "TargetedUniversalPerturbation",
}


class ArtAdapter(Adapter):
    """A class gets the generator's settings as far as it takes them; an instance keeps its own."""

    owner = "ART's"
    _twin: Any = None  # for this run, the twin of a source that is one of ART's classifiers

    @property
    def _decisions(self) -> bool:
        """Whether it queries predictions only."""
        return issubclass(self.class_, _DECISION_BASED)

    @property
    def own_eps(self) -> Any:
        return None if self.is_class else getattr(self.attack, "eps", None)

    @property
    def gradient_name(self) -> str:
        needs = [getattr(mixin, "__name__", "") for mixin in self.class_._estimator_requirements]
        return super().gradient_name if any("Gradients" in need for need in needs) else ""

    def parameter_names(self) -> list[str]:
        """Parameters that it declares (inherited ones too) and its constructor takes."""
        taken = signature(self.class_.__init__).parameters
        return [name for name in self.class_.attack_params if name in taken]

    def own_parameters(self) -> dict[str, Any]:
        # some of ART's attacks hold a parameter in the attack of another class that they are made of
        held = (getattr(self.attack, "_attack", None), self.attack)
        return {
            name: getattr(at, name) for at in held for name in self.parameter_names() if hasattr(at, name)
        }

    def check_params(self, generator: AdversarialGenerator) -> None:
        if self.is_class:
            return
        for name in ("eps", "norm"):
            theirs, ours = getattr(self.attack, name, None), getattr(generator, name)
            theirs = np.inf if theirs == "inf" else theirs
            if isinstance(theirs, Real) and (not isinstance(ours, Real) or theirs != ours):
                remedy = (
                    "both the same" if isinstance(ours, Real) else "the attack's class, which takes these"
                )
                raise ValueError(
                    f"the attack has {name}={shown(theirs)} but the generator {name}={shown(ours)}; "
                    f"give {remedy}"
                )

    def check_targets(self, generator: AdversarialGenerator, targeted: bool) -> None:
        name = self.class_.__name__
        if targeted and "targeted" not in self.parameter_names() and name not in _Y_IS_TARGET:
            raise ValueError(f"{self.name} has no targeted form; call generate without target")

    def check_source(self, model: Model, region: Region, n_classes: int) -> None:
        self._stand_in(model, region, n_classes)

    def _stand_in(self, model: Model, region: Region, n_classes: int) -> Any:
        """An ART estimator for a source that the attack takes; TypeError if there is none."""
        low, high = finite_range(region)
        if low.ndim or high.ndim:
            low, high = (np.broadcast_to(bound, region.X.shape[1:]) for bound in (low, high))
        clip_values = _as_art_bound(low), _as_art_bound(high)
        requirements, refused = self.class_._estimator_requirements, []
        for estimator in self._wrappers(model, region, n_classes, clip_values):
            if self.class_.is_estimator_valid(estimator, requirements):
                return estimator
            refused.append(type(estimator).__name__)
        raise TypeError(
            f"{self.name} cannot attack {type(model.estimator).__name__}: it needs {_names(requirements)}, "
            f"and the source was offered as {', '.join(refused)}; attack='auto' attacks any source"
        )

    def _wrappers(
        self, model: Model, region: Region, n_classes: int, clip_values: tuple[Any, Any]
    ) -> Iterator[Any]:
        """ART estimators that can represent a source, the most capable first."""
        # decision-based attacks pass on float64, which a module of float32 refuses; ours below casts
        own, shape, decisions = region.unit is None, region.X.shape[1:], self._decisions
        if is_art_classifier(model.estimator) and not decisions and own:
            self._twin = _watched(model._called, self.sight)
            yield self._twin

        def predict(x: NDArray[Any]) -> NDArray[np.float64]:
            x = region.to_input(x).astype(region.X.dtype)
            return np.eye(n_classes)[model.predict(x)] if decisions else model.scores(x)

        def offered_by_gradient() -> Any:
            return PyTorchClassifier(
                Source(model, region, sight=self.sight),
                loss=torch.nn.CrossEntropyLoss(),
                input_shape=shape,
                nb_classes=n_classes,
                clip_values=clip_values,
                device_type="cpu",
            )

        # an attack that needs predictions only queries the source itself, not a smooth copy of it
        if model.has_gradient and self.gradient_name:
            yield offered_by_gradient()
        yield BlackBoxClassifierNeuralNetwork(predict, shape, n_classes, clip_values=clip_values)
        classifier = unfrozen(model.estimator)
        if own and type(classifier).__module__.startswith("sklearn."):
            yield SklearnClassifier(classifier, clip_values=clip_values)
        if model.has_gradient and not self.gradient_name:
            yield offered_by_gradient()

    def _made(self, estimator: Any, generator: AdversarialGenerator, problem: Problem) -> EvasionAttack:
        """The attack on an ART estimator."""
        attack, model, names = self.attack, problem.model, self.parameter_names()
        if self.is_class:
            eps = problem.region.eps
            theirs = {
                "eps": eps,
                "norm": generator.norm,
                "max_iter": generator.max_iter,
                "eps_step": step_of(generator, eps),
                "batch_size": generator.batch_size,
                "verbose": False,
                "targeted": problem.targeted,
            }
            return self.class_(estimator, **self.settings(generator, theirs))
        own = attack.estimator is model.estimator and estimator is self._twin
        if own and getattr(attack, "targeted", problem.targeted) == problem.targeted:
            # bound to the user's own classifier, the attack would change its mode
            bound: EvasionAttack = with_part(attack, attack.estimator, estimator)
            return bound
        params = self.own_parameters()
        params["targeted"] = problem.targeted
        # an instance's summary_writer is None by default, which the constructor refuses
        params = {k: v for k, v in params.items() if k in names and k != "summary_writer"}
        return self.class_(estimator, **params)

    def run(self, X: NDArray[Any], generator: AdversarialGenerator, problem: Problem, seed: int) -> Any:
        estimator = self._stand_in(problem.model, problem.region, problem.n_classes)
        one_hot = np.eye(problem.n_classes, dtype=np.float32)[problem.labels]
        # for single rows, a pool of threads costs more time than it saves
        with threadpool_limits(1) if self._decisions else nullcontext():
            bound = self._made(estimator, generator, problem)
            if not self._decisions:
                to_leave = self.class_.__name__ in _Y_IS_TARGET and not problem.targeted
                return bound.generate(X, y=None if to_leave else one_hot)
            # ART draws its own start one row at a time and without a seed
            queries = Queries(problem, np.iinfo(np.int32).max)
            begin(queries)
            rows = np.isfinite(queries.distances) & (queries.distances > 0)
            if rows.any():
                start = queries.nearest[rows].reshape(X[rows].shape).astype(np.float32)
                X[rows] = bound.generate(X[rows], y=one_hot[rows], x_adv_init=start)
            return X


def _watched(classifier: Any, sight: Sight) -> Any:
    """A twin of an ART classifier that shows the gradients of its loss."""
    if not hasattr(classifier, "loss_gradient"):
        return classifier
    twin, loss_gradient = copy(classifier), classifier.loss_gradient

    def noting(*args: Any, **kwargs: Any) -> Any:
        gradient = loss_gradient(*args, **kwargs)
        sight.note(gradient)
        return gradient

    def of_loss(X: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[Any]:
        one_hot = np.eye(classifier.nb_classes, dtype=np.float32)[labels]
        return np.asarray(loss_gradient(X, one_hot))

    twin.loss_gradient, sight.of_loss = noting, of_loss
    return twin


def _as_art_bound(bound: Any) -> float | NDArray[np.float32]:
    limits = np.finfo(np.float32)
    bound = np.clip(bound, limits.min, limits.max)
    return float(bound) if np.ndim(bound) == 0 else np.asarray(bound, dtype=np.float32)


def _names(requirements: Any) -> str:
    each = (one if isinstance(one, tuple) else (one,) for one in requirements)
    return " and ".join(" or ".join(kind.__name__ for kind in kinds) for kinds in each)


ADAPTER = ArtAdapter
