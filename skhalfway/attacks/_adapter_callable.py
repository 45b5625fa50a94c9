"""A callable of the user's as an attack: f(model, X, y), in the model's own terms."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import shown
from skhalfway.attacks._adapters import Adapter, named_parameters
from skhalfway.attacks._reference import is_range
from skhalfway.models._kept import weights_kept
from skhalfway.models._skorch_model import SkorchModel
from skhalfway.models._torch_model import TorchModel
from skhalfway.models._type_checks import is_torch_module, net_dtype, unfrozen

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

# the task: parameters that a callable gets if it has parameters of these names
_TASK = ("eps", "norm", "clip_values", "targeted", "random_state")


class CallableAdapter(Adapter):
    """Adapter of a callable, which gets the model, the data and the labels in the user's own form."""

    lenient, one_budget = False, False

    @property
    def name(self) -> str:
        return shown(self.attack)

    @property
    def label(self) -> str:
        return str(getattr(self.attack, "__name__", self.class_.__name__))

    @property
    def by_gradient(self) -> bool:
        return False

    def parameter_names(self) -> list[str]:
        """Parameters that it takes by name beside the model, the samples and the labels."""
        try:
            first = list(signature(self.attack).parameters)[:3]
        except ValueError:  # compiled code has no signature
            return []
        return [name for name in named_parameters(self.attack) if name not in first]

    def check(self, generator: AdversarialGenerator) -> None:
        if generator.n_restarts != 1 or generator.random_start:
            raise ValueError(
                f"n_restarts and random_start are for gradient attacks; {self.name} has to restart by itself"
            )
        try:
            called = signature(self.attack)
        except ValueError:
            return
        params, names = generator.attack_params or {}, self.parameter_names()
        unknown = sorted(set(params) - set(names))
        if unknown and Parameter.VAR_KEYWORD not in {p.kind for p in called.parameters.values()}:
            raise ValueError(
                f"attack_params {shown(unknown)} are unknown to {self.name}, which takes {shown(names, 150)} "
                "beside the model, X and y"
            )
        try:
            called.bind(None, None, None, **(dict.fromkeys(set(_TASK) & set(names)) | params))
        except TypeError as error:
            raise TypeError(
                f"an attack must be callable as f(model, X, y), with attack_params by name, but {self.name} "
                f"is not: {error}"
            ) from error

    def check_targets(self, generator: AdversarialGenerator, targeted: bool) -> None:
        if targeted and "targeted" not in self.parameter_names():
            raise ValueError(
                f"{self.name} knows no target: it has no parameter named targeted, which is True if y holds "
                "labels to reach; add one, or call generate without target"
            )

    def hand_out(self, generator: AdversarialGenerator, problem: Problem) -> NDArray[Any]:
        model, X = problem.model, problem.region.X
        return np.asarray(model._flat(X)).astype(_dtype_of(model, X))

    def run(self, X: NDArray[Any], generator: AdversarialGenerator, problem: Problem, seed: int) -> Any:
        model, region = problem.model, problem.region
        task = {
            "eps": _budgets(region, X),
            "norm": generator.norm,
            "clip_values": _bounds(region, X) if is_range(generator.clip_values) else generator.clip_values,
            "targeted": problem.targeted,
            "random_state": seed,
        }
        classes = np.arange(problem.n_classes) if model.classes_ is None else model.classes_
        known = model.module if is_torch_module(model.estimator) else unfrozen(model._called)
        params = {name: task[name] for name in _TASK if name in self.parameter_names()}
        with weights_kept(_modules_of(known)) as changed:
            made = self.attack(
                known, X, classes[problem.labels], **(params | (generator.attack_params or {}))
            )
        if changed:
            raise ValueError(
                f"it wrote to the weights of the model, which are its owner's: {shown(changed)}; they were "
                "put back as they were; write to a copy"
            )
        return made

    def to_z(self, made: NDArray[Any], generator: AdversarialGenerator, region: Region) -> NDArray[Any]:
        return region.to_z(made.reshape(region.X.shape).astype(float))


def _bounds(region: Region, X: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Measured bounds, in the shape of the samples that the callable gets."""
    return tuple(np.broadcast_to(bound, region.X.shape).reshape(X.shape) for bound in region.limits())


def _budgets(region: Region, X: NDArray[Any]) -> Any:
    """The budget in input units, which broadcasts against the samples; 0 where nothing may change."""
    if region.unit is None:
        return region.eps
    movable, each = region.movable(), region.eps * region.unit
    if region.one_unit:
        return np.where(movable.any(axis=0), each, 0.0)
    if np.prod(each.shape[1:]) > 1:
        return np.where(movable, each, 0.0).reshape(X.shape)
    able = movable.reshape(len(X), -1).any(axis=1)
    return np.where(able, each.ravel(), 0.0).reshape(-1, *[1] * (X.ndim - 1))


def _modules_of(known: Any) -> list[Any]:
    """The torch module that a callable gets, or those that the object it gets holds, as skorch nets do."""
    if is_torch_module(known):
        return [known]
    return [part for part in getattr(known, "__dict__", {}).values() if is_torch_module(part)]


def _dtype_of(model: Model, X: NDArray[Any]) -> str:
    """The float type that a model computes in; X's if it takes any."""
    if isinstance(model, SkorchModel):
        return str(X.dtype) if model.converts(model._flat(X)) else net_dtype(model._net)
    if not isinstance(model, TorchModel):
        return str(X.dtype)
    if model.module is None:
        return "float32"
    from skhalfway.models._torch import dtype_of

    return str(dtype_of(model.module)).removeprefix("torch.")


ADAPTER = CallableAdapter
