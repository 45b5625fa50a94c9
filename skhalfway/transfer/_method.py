"""What results record of an attack: its parameters as it takes them, and the code of the user's functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from inspect import isroutine, signature
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.attacks._adapters import adapter_of, step_of
from skhalfway.attacks._parameters import is_own, recipe_of
from skhalfway.attacks._problem import PGD_REACH
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.results._provenance import versions

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._adapters import Adapter

# package that the classes of a library's attacks are in -> distribution that has a version
_DISTRIBUTIONS = {
    "art": "adversarial-robustness-toolbox",
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
}
# the generator's parameters that attacks of other libraries take under these names, if they take them at all
_THEIR_NAMES = {
    "max_iter": {"max_iter", "steps"},
    "max_queries": {"n_queries"},
    "step_size": {"eps_step", "abs_stepsize", "rel_stepsize", "alpha"},
}
_FOR_OWN_ATTACKS = ("n_restarts", "random_start", "dtype")  # no attack of others and no callable takes these
# parameters of classes that are in other settings, or change no figure
_ELSEWHERE = {"eps", "norm", "batch_size", "verbose", "targeted", "seed", "n_classes", "device"}
_OUTPUT = {"summary_writer", "tensor_board"}
_REACH = {
    "pgd": PGD_REACH,
    "mifgsm": 1.0,
    "surrogate": PGD_REACH,
}  # lengths of all steps together, in budgets
_WRITTEN = ("__init__", "__call__", "__post_init__")  # methods between underscores that people write
_LONGEST, _DIGITS = 16, 16


def code_of(content: Any) -> str:
    """Fingerprint of the code and the values that a function uses; says so where they cannot be read."""
    try:
        return fingerprint(content)[:_DIGITS]
    except Exception:  # any object may be behind a name that the function uses
        return "not known"


def described(value: Any) -> Any:
    """A parameter, with fingerprints of the code of functions and of the values of long arrays."""
    if isroutine(value) or isinstance(value, partial):
        return f"{name_of(value)}, code {code_of(value)}"
    if isinstance(value, np.ndarray) and value.size > _LONGEST:
        return f"ndarray of shape {value.shape}, {code_of(value)}"
    if isinstance(value, Mapping):
        return {name: described(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) > _LONGEST:
            return f"{type(value).__name__} of length {len(value)}, {code_of(value)}"
        return [described(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type) and not hasattr(value, "as_setting"):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return {name: described(part) for name, part in parts.items() if part is not None}
    return value


def name_of(function: Any) -> str:
    """Name of a callable; a partial has that of its function."""
    if isinstance(function, partial):
        return name_of(function.func)
    return getattr(function, "__name__", type(function).__name__)


def attack_settings(generator: AdversarialGenerator, *, by_gradient: bool = True) -> dict[str, Any]:
    """The parameters of a generator that its attack uses, as it takes them.

    ``by_gradient``: whether any source was attacked by its gradient.
    """
    settings = generator.get_params(deep=False)
    # the name identifies the model; device and batch_size change no figure
    for name in ("estimator", "device", "batch_size"):
        del settings[name]
    if (seed := settings.pop("random_state")) is not None:
        settings["generator__random_state"] = seed
    attack, unused = generator.attack, set[str]()
    if not is_own(attack):
        unused = _unused(generator, adapter_of(attack))
        settings |= _of_others(generator, adapter_of(attack))
    elif attack == "fgsm":
        unused = {"max_iter", "step_size"}  # it takes one step, as long as the budget
    elif not isinstance(attack, str):
        own = [type(piece) for piece in attack.pieces if not _is_of_library(type(piece))]
        if own:
            settings["attack_code"] = code_of([_content(piece) for piece in own])
    settings["step_size"] = step_size(generator, generator.eps, by_gradient=by_gradient)
    return {name: described(value) for name, value in settings.items() if name not in unused}


def step_size(generator: AdversarialGenerator, eps: Any, *, by_gradient: bool = True) -> Any:
    """Length of a step within a budget; None where the attack has no fixed one."""
    attack, given = generator.attack, generator.step_size
    budget = float(eps) if isinstance(eps, Real) else 1.0  # where there are several, steps are shares of them
    if not is_own(attack):
        return _step_of_others(generator, adapter_of(attack), budget)
    if given is not None:
        return float(given)
    if attack == "sigmazero" or (attack == "auto" and generator.norm == 0):
        return 1.0
    recipe = None if isinstance(attack, str) and attack in _REACH else recipe_of(attack)
    reach = recipe.reach if recipe is not None else None
    if isinstance(attack, str) and attack in (*_REACH, "auto"):
        reach = _REACH.get(attack, PGD_REACH if by_gradient else None)
    return None if reach is None else reach * budget / int(generator.max_iter)


def _step_of_others(generator: AdversarialGenerator, adapter: Adapter, eps: float) -> float | None:
    """Length of a step of a class of another library, in the units of the budget; None for anything else."""
    names, given = adapter.parameter_names(), generator.attack_params or {}
    theirs = _THEIR_NAMES["step_size"]
    if not adapter.owner or not adapter.is_class or not theirs & set(names) or theirs & set(given):
        return None
    if "alpha" in names and "steps" not in names and generator.step_size is None:
        defaults = signature(adapter.class_).parameters  # a single step of torchattacks
        return float(eps * defaults["alpha"].default / defaults["eps"].default)
    return step_of(generator, eps)


def _unused(generator: AdversarialGenerator, adapter: Adapter) -> set[str]:
    """Parameters of the generator that an attack of another library, or a callable, does not take."""
    names, given = set(adapter.parameter_names()), generator.attack_params or {}
    own = adapter.owner and adapter.is_class
    taken = {
        name for name, theirs in _THEIR_NAMES.items() if own and names & theirs and not given.keys() & theirs
    }
    return {*_FOR_OWN_ATTACKS, *_THEIR_NAMES} - taken


def _of_others(generator: AdversarialGenerator, adapter: Adapter) -> dict[str, Any]:
    """Settings of an attack of another library, or of a callable."""
    if not adapter.owner:
        return {"attack": name_of(generator.attack), "attack_code": code_of(generator.attack)}
    names, class_ = set(adapter.parameter_names()), adapter.class_
    if adapter.is_class:
        defaults = {name: one.default for name, one in signature(class_).parameters.items()}
        passed_on = set().union(*_THEIR_NAMES.values()) | _ELSEWHERE | {"constraint"}
        params = {name: defaults[name] for name in names - passed_on if name in defaults}
    else:
        params = adapter.own_parameters()
    kept = {k: v for k, v in sorted(params.items()) if isinstance(v, (Real, str)) and k not in _OUTPUT}
    found = {"attack": class_.__name__, "attack_params": {**kept, **(generator.attack_params or {})} or None}
    return found if _is_of_library(class_) else {**found, "attack_code": code_of(_content(class_))}


def _is_of_library(class_: type) -> bool:
    return class_.__module__.partition(".")[0] in {*_DISTRIBUTIONS, "skhalfway", "builtins", "abc"}


def _content(class_: type) -> dict[str, Any]:
    """What a user's class and its bases say, without what Python adds to every class."""
    return {
        f"{base.__qualname__}.{name}": value
        for base in class_.__mro__
        for name, value in sorted(vars(base).items())
        if not _is_of_library(base) and (name in _WRITTEN or not name.startswith(("__", "_abc_")))
    }


def versions_for(attack: Any) -> dict[str, str]:
    """Versions of the package and its dependencies, and of the library that an attack is from."""
    found = versions()
    if is_own(attack):
        return dict(found)
    for base in adapter_of(attack).class_.__mro__:
        name = _DISTRIBUTIONS.get(base.__module__.partition(".")[0])
        if name is None:
            continue
        try:
            return {**found, name: version(name)}
        except PackageNotFoundError:
            break
    return dict(found)
