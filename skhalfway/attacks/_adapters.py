"""Attacks of other libraries and callables of the user: the source is wrapped, the result is made valid."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._devices import devices_of
from skhalfway._randomness import globally_seeded
from skhalfway._readable import is_tensor
from skhalfway._text import brief, shown
from skhalfway.attacks._adapter_sight import Sight, flat_at_end, remarks, too_coarse
from skhalfway.attacks._problem import PGD_REACH, Outcome
from skhalfway.models import Finding
from skhalfway.models._faults import type_name
from skhalfway.models._type_checks import is_made_of, is_torch_module

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

# class that all attacks of a library derive from -> module of this package that adapts them
_LIBRARIES = {
    ("art.attacks.attack", "EvasionAttack"): "_adapter_art",
    ("foolbox.attacks.base", "Attack"): "_adapter_foolbox",
    ("torchattacks.attack", "Attack"): "_adapter_torchattacks",
}


def adapter_of(attack: Any) -> Adapter:
    """The adapter of an attack that is not given by name; TypeError if it is no attack."""
    for base, module in _LIBRARIES.items():
        if is_made_of(attack, *base):
            return _make(module, attack)
    # a network is callable too, but is no attack
    if callable(attack) and not isinstance(attack, type) and not is_torch_module(attack):
        return _make("_adapter_callable", attack)
    raise TypeError(
        "attack must be a string, or a class or an instance of an evasion attack of ART, foolbox or "
        f"torchattacks, or a callable f(model, X, y), got {shown(attack)}"
    )


def _make(module: str, attack: Any) -> Adapter:
    adapter: Adapter = import_module(f"skhalfway.attacks.{module}").ADAPTER(attack)
    return adapter


class Adapter:
    """An attack of another library, given as a class or as an instance, or a callable.

    Attributes
    ----------
    attack : object
        The class, instance or callable that the user gave; it is not changed.
    class_ : type
        Its class.
    is_class : bool
        Whether the class itself was given.
    owner : str
        Name of its library, which messages put before its name.
    lenient : bool
        Whether samples that it returns as nan stay as they were, with a warning; otherwise they are an error.
    one_budget : bool
        Whether it takes only one budget for all samples. It is then run once for each different budget.
    sight : Sight
        Records what the attack sees of the source while it runs.
    """

    owner, lenient, one_budget = "", True, True

    def __init__(self, attack: Any) -> None:
        self.attack, self.is_class = attack, isinstance(attack, type)
        self.class_: Any = attack if self.is_class else type(attack)
        self.sight = Sight()

    # what differs between libraries

    @property
    def by_gradient(self) -> bool:
        """Whether it follows the differentiable module of a source that has one."""
        return True

    @property
    def own_eps(self) -> Any:
        """The budget of an instance; None if it takes the generator's."""
        return None

    def parameter_names(self) -> list[str]:
        """Names that ``attack_params`` may have."""
        return named_parameters(self.class_)

    def own_parameters(self) -> dict[str, Any]:
        """Parameters of an instance, as far as it shows them."""
        return {
            name: getattr(self.attack, name) for name in self.parameter_names() if hasattr(self.attack, name)
        }

    def check_params(self, generator: AdversarialGenerator) -> None:
        """Raise for parameters of the generator that this attack cannot work with, whatever the data."""

    def check_targets(self, generator: AdversarialGenerator, targeted: bool) -> None:
        """Raise if it cannot be targeted and should be, or cannot be untargeted and should be."""

    def check_source(self, model: Model, region: Region, n_classes: int) -> None:
        """Raise for a source that it cannot attack."""

    def hand_out(self, generator: AdversarialGenerator, problem: Problem) -> NDArray[Any]:
        """Samples in the attack's own units, shape and float type."""
        return problem.region.start().astype(np.float32)

    def run(self, X: NDArray[Any], generator: AdversarialGenerator, problem: Problem, seed: int) -> Any:
        """Attack samples that are in the attack's own units."""
        raise NotImplementedError

    def to_z(self, made: NDArray[Any], generator: AdversarialGenerator, region: Region) -> NDArray[Any]:
        """Convert samples from the attack's own units to the region's coordinates."""
        return made

    # what libraries share

    @property
    def name(self) -> str:
        """Name of the attack in messages."""
        return f"{self.owner} {self.class_.__name__}"

    @property
    def label(self) -> str:
        """Name of the attack where messages repeat the parameter ``attack``."""
        return self.class_.__name__

    @property
    def gradient_name(self) -> str:
        """Name, for messages, of an attack that follows the source's gradient; empty for any other."""
        return f"attack={self.label}" if self.by_gradient else ""

    def check(self, generator: AdversarialGenerator) -> None:
        """Raise for parameters that are invalid whatever the data is."""
        if generator.n_restarts != 1 or generator.random_start:
            raise ValueError(
                f"n_restarts and random_start are for gradient attacks; for {self.name} give its own "
                "parameters in attack_params"
            )
        if not self.is_class and generator.attack_params:
            raise ValueError("an attack given as an instance has its parameters; attack_params must be None")
        allowed = self.parameter_names()
        unknown = sorted(set(generator.attack_params or {}) - set(allowed))
        if unknown:
            raise ValueError(
                f"attack_params {shown(unknown)} are not parameters of {self.name}, which takes "
                f"{shown(allowed, 150)}"
            )
        self.check_params(generator)

    def check_task(self, model: Model, region: Region, n_classes: int) -> None:
        """Raise for a source or for samples that the attack cannot be run on."""
        if region.carried is not None:
            raise ValueError(
                f"{self.name} takes numbers only, but X holds categories or missing values; encode them, or "
                "give one of skhalfway's own attacks"
            )
        for _, some, _ in self.parts(region)[:1]:
            self.check_source(model, some, n_classes)

    def parts(self, region: Region) -> list[tuple[NDArray[np.intp], Region, float]]:
        """Groups of samples that are attacked together: their numbers, their region, and the size of 1 there.

        If samples have budgets of their own, those that may not change at all are in no group.
        """
        if not self.one_budget or region.one_unit:
            return [(np.arange(len(region)), region, 1.0)]
        return [(rows, *region.take(rows).alone()) for rows in region.by_unit()]

    def settings(self, generator: AdversarialGenerator, theirs: dict[str, Any]) -> dict[str, Any]:
        """Parameters for the class: the generator's, in the library's names, overridden by attack_params."""
        names = self.parameter_names()
        return {k: v for k, v in theirs.items() if k in names} | (generator.attack_params or {})

    def in_its_name(self, function: Callable[..., Any], *args: Any, model: Model | None = None) -> Any:
        """Call a function of the library or the user, and name the attack in its errors, except the model's.

        ``model`` is None while the attack is being made, from parameters that may be invalid.
        """
        try:
            return function(*args)
        except Warning:  # a warning that the user turned into an error
            raise
        except Exception as error:
            where = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
            # an error inside the model is reported as such; a callable calls the model by itself
            if self.owner and any(name.startswith("skhalfway.models") for name in where):
                raise
            other: type[Exception] = ValueError if model is None else RuntimeError
            kind = next((kind for kind in (TypeError, ValueError) if isinstance(error, kind)), other)
            # callers that have another name for the model replace this one
            before = "" if model is None else f"model {type_name(model.estimator)!r}: "
            raise kind(f"{before}{self.name} raised {type(error).__name__}: {brief(error)}") from error

    def read(self, returned: Any, handed: NDArray[Any]) -> tuple[NDArray[Any], int]:
        """Read the attack's output: an array of the samples' shape without nan.

        Also returns the number of samples that had nan, which are set back to what they were.
        """
        if is_tensor(returned):
            kept = returned.detach().cpu()
            # numpy has no bfloat16
            returned = (kept.float() if kept.is_floating_point() and kept.itemsize < 4 else kept).numpy()
        made = returned if isinstance(returned, np.ndarray) else np.empty(0, dtype=object)
        if made.shape != handed.shape or made.dtype.kind not in "fiu":
            raise ValueError(
                f"{self.name} must return numbers of shape {handed.shape}, as an array or a tensor, got "
                f"{shown(returned)}{f' of type {made.dtype}' if made.shape == handed.shape else ''}"
            )
        # an infinite value is projected back like any other that lies too far away
        undefined = np.isnan(made) if self.lenient else ~np.isfinite(made)
        undefined = undefined.reshape(len(made), -1).any(axis=1)
        if not undefined.any():
            return made, 0
        if not self.lenient:
            raise ValueError(
                f"{self.name} returned nan or infinite values for {undefined.sum()} of {len(made)} samples "
                f"(the first is sample {undefined.argmax()}); return such samples as they were"
            )
        rows = undefined.reshape(-1, *[1] * (made.ndim - 1))
        return np.where(rows, handed, made), int(undefined.sum())


def named_parameters(function: Any) -> list[str]:
    """Parameters that can be given by name."""
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD, Parameter.POSITIONAL_ONLY)
    return [name for name, p in signature(function).parameters.items() if p.kind not in variable]


def run_adapter(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    """Run an attack that is not given by name, and make its output valid and within the budget.

    The attack gets a copy of the samples and a view of the source, and global random generators are seeded
    for it. Values that it does not change stay exactly as they are, whatever float type it computes in.
    """
    adapter, region, seed = adapter_of(generator.attack), problem.region, problem.seed
    problem = replace(problem, model=problem.model.on(devices_of(generator.device)[0]))
    X_adv, n_undefined, n_flat, n_coarse = region.X.copy(), 0, 0, 0
    for rows, some, step in adapter.parts(region):
        part, asking = replace(problem, region=some, labels=problem.labels[rows]), generator
        if step != 1 and generator.step_size is not None:
            asking = copy(generator)
            asking.step_size = step * generator.step_size
        X_adv[rows], *numbers = _run_part(adapter, asking, part, seed)
        n_undefined, n_flat, n_coarse = np.add((n_undefined, n_flat, n_coarse), numbers).tolist()
    found = remarks(adapter.name, n_flat, n_coarse, len(region))
    if n_undefined:
        message = f"{adapter.name} returned nan for {n_undefined} of {len(region)} samples"
        undefined = Finding("attack", "warning", message, "these stay as they are; look at its parameters")
        found = (undefined, *found)
    return Outcome(X_adv, remarks=found)


def _run_part(
    adapter: Adapter, generator: AdversarialGenerator, problem: Problem, seed: int
) -> tuple[NDArray[Any], int, int, int]:
    """Attack the samples of one group.

    Also returns the numbers of samples for which the attack returned nan, ended at a gradient of 0, and had
    too few digits.
    """
    region, handed = problem.region, adapter.hand_out(generator, problem)
    given = handed.copy(), generator, problem, seed
    with globally_seeded(seed), problem.model.evaluating():
        returned = adapter.in_its_name(adapter.run, *given, model=problem.model)
    made, n_undefined = adapter.read(returned, handed)
    unmoved = (made == handed).reshape(region.X.shape)
    z = np.where(unmoved, region.start(), adapter.to_z(made, generator, region))
    X_adv = region.keep(z)
    if not adapter.owner:  # a callable gets samples as the model takes them
        return X_adv, n_undefined, 0, 0
    with problem.model.evaluating():
        flat = flat_at_end(adapter.sight, made, X_adv, problem, generator.batch_size)
    coarse = too_coarse(handed, partial(adapter.to_z, generator=generator, region=region), problem)
    return X_adv, n_undefined, int(flat.sum()), int(coarse.sum())


def step_of(generator: AdversarialGenerator, eps: float) -> float:
    """Length of a step, as attacks of several steps take it."""
    if generator.step_size is not None:
        return float(generator.step_size)
    return PGD_REACH * eps / generator.max_iter
