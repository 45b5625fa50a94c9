"""The generator's parameters: which are allowed, and the attack they make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._checks import (
    check_bool,
    check_choice,
    check_integer,
    check_length,
    check_norm,
    check_random_state,
    meant,
)
from skhalfway._devices import check_device, devices_of
from skhalfway._text import shown
from skhalfway.attacks._adapters import adapter_of
from skhalfway.attacks._budget import check_eps, check_number_of_features
from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._limits import is_bounded
from skhalfway.attacks._of_ensembles import check_follows
from skhalfway.attacks._problem import Attack, Settings
from skhalfway.attacks._reference import EPS_UNITS
from skhalfway.models._precision import check_dtype
from skhalfway.models._type_checks import is_made_of

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

NORMS = (np.inf, 2, 1)  # true norms: the perturbation has a length
ALL_NORMS = (*NORMS, 0)  # 0 is the number of features that change


@dataclass(frozen=True)
class Kind:
    """What an attack can do. ``module`` holds the function that makes it, which has the attack's name.

    Attributes
    ----------
    module : str
        Private module of this package.
    norms : tuple
        Norms that it supports.
    gradient : bool
        Whether it needs the source's gradient.
    restarts : bool
        Whether it supports random starts and restarts.
    nearest : bool
        Whether it looks for the nearest adversarial sample, so that a budget may be infinite.
    partners : bool
        Whether it begins at other samples, which may be training data.
    """

    module: str
    norms: tuple[float, ...] = NORMS
    gradient: bool = False
    restarts: bool = False
    nearest: bool = False
    partners: bool = False


KINDS = {
    "fgsm": Kind("_gradient", gradient=True, restarts=True),
    "pgd": Kind("_gradient", gradient=True, restarts=True),
    "mifgsm": Kind("_gradient", gradient=True, restarts=True),
    "apgd": Kind("_apgd", gradient=True, restarts=True),
    "deepfool": Kind("_minimum", norms=(np.inf, 2), gradient=True, nearest=True),
    "fmn": Kind("_minimum", gradient=True, nearest=True),
    "cw": Kind("_minimum_l2", norms=(2,), gradient=True, nearest=True),
    "ddn": Kind("_minimum_l2", norms=(2,), gradient=True, nearest=True),
    "sigmazero": Kind("_sigma_zero", norms=(0,), gradient=True, nearest=True),
    "hopskipjump": Kind("_hopskipjump", norms=(np.inf, 2), nearest=True, partners=True),
    "halfway": Kind("_halfway", norms=(np.inf, 2), nearest=True, partners=True),
    "square": Kind("_square", norms=(np.inf, 2)),
    "surrogate": Kind("_surrogate", restarts=True),
    "tree": Kind("_tree", nearest=True),
}


AUTOMATIC = ("auto", "auto-strong")  # names that choose attacks for each source
RECIPE = Kind("_gradient", gradient=True, restarts=True)


def is_own(attack: Any) -> bool:
    """Whether an attack is one of this package's, or chosen by it; any other is run by an adapter."""
    return isinstance(attack, str) or is_made_of(attack, "skhalfway.attacks._recipe", "Recipe")


def chooses(attack: Any) -> bool:
    """Whether it is a name for attacks that are chosen for each source."""
    return isinstance(attack, str) and attack in AUTOMATIC


def kind_of(attack: Any) -> Kind | None:
    """The kind of an attack of this package; None for "auto", "auto-strong" and anything else."""
    if isinstance(attack, str) and attack in (*KINDS, *AUTOMATIC):
        return KINDS.get(attack)
    return RECIPE if is_own(attack) and recipe_of(attack) is not None else None


def recipe_of(attack: Any) -> Any:
    """The recipe that an attack is, or that its name stands for; None if it is no recipe."""
    from skhalfway.attacks import _attack_names  # imported late, as it imports torch

    return _attack_names.recipe_of(attack)


def check_parameters(generator: AdversarialGenerator) -> None:
    """Raise for parameters that are invalid whatever the data is."""
    for name in ("max_iter", "max_queries", "n_restarts"):
        value = getattr(generator, name)
        check_integer(name, value)
    check_integer("batch_size", generator.batch_size, or_auto=True)
    check_bool("random_start", generator.random_start)
    check_device(generator.device, several=True)
    check_dtype(generator.dtype, [] if generator.device is None else devices_of(generator.device))
    check_random_state(generator.random_state)
    if generator.step_size is not None:
        check_length("step_size", generator.step_size)
    check_norm(generator.norm, ALL_NORMS)
    check_choice("eps_unit", generator.eps_unit, EPS_UNITS)
    if generator.constraints is not None and not isinstance(generator.constraints, Constraints):
        raise TypeError(
            f"constraints must be a Constraints or None, got {shown(generator.constraints)}; write them as "
            "Constraints(immutable=[...], integer=[...])"
        )
    if generator.attack_params is not None and not isinstance(generator.attack_params, dict):
        raise TypeError(f"attack_params must be a dict or None, got {shown(generator.attack_params)}")
    kind = kind_of(generator.attack)
    nearest = kind is not None and kind.nearest
    if generator.norm == 0:
        _check_norm_0(generator)
    if not nearest and isinstance(generator.eps, Real) and generator.eps == np.inf:
        names = ", ".join(repr(name) for name, each in KINDS.items() if each.nearest)
        raise ValueError(
            "eps must be a finite number > 0, got inf, which only attacks that look for the nearest "
            f"adversarial sample take: {names}"
        )
    check_eps(generator.eps, infinite=nearest)
    if not is_own(generator.attack):
        adapter_of(generator.attack).check(generator)
    elif kind is not None:
        make_attack(generator, generator.attack)
    elif not chooses(generator.attack):
        from skhalfway.attacks._attack_names import names as of_recipes

        known = [*AUTOMATIC, *KINDS]
        raise ValueError(
            f"unknown attack {shown(generator.attack)}; give {', '.join(map(repr, known))}, a name "
            "of list_attacks() or a Recipe, an attack of ART, foolbox or torchattacks, or a callable"
            f"{meant(generator.attack, known) or meant(generator.attack, of_recipes())}"
        )
    elif generator.attack_params:
        raise ValueError(
            f"attack={generator.attack!r} chooses an attack for each source, so attack_params must be None; "
            "name the attack to set them"
        )
    elif generator.attack == "auto-strong" and generator.step_size is not None:
        raise ValueError(
            "attack='auto-strong' has attacks that find the lengths of their steps; step_size must be None, "
            f"got {shown(generator.step_size)}"
        )


def _check_norm_0(generator: AdversarialGenerator) -> None:
    """Raise for an attack that does not support norm 0, and for a budget that is not a number of features."""
    own, kind = is_own(generator.attack), kind_of(generator.attack)
    if own and kind is not None and 0 not in kind.norms:
        raise ValueError(_unknown_norm(generator.attack, kind.norms, 0))
    if not own and adapter_of(generator.attack).owner:
        raise ValueError(
            f"{adapter_of(generator.attack).name} works with norm np.inf, 2 or 1, got 0; {_knowing_0()}, and "
            "a callable of your own may too"
        )
    check_number_of_features(generator.eps, generator.eps_unit)


def _knowing_0() -> str:
    """Which attacks support norm 0, in words."""
    return (
        " and ".join(f"attack={name!r}" for name, kind in KINDS.items() if 0 in kind.norms)
        + " supports norm 0"
    )


def _unknown_norm(attack: Any, norms: tuple[float, ...], norm: Any) -> str:
    """Message for an attack that does not support a norm."""
    *most, last = ("np.inf" if each == np.inf else str(each) for each in norms)
    allowed = f"{', '.join(most)} or {last}" if most else last
    remedy = f"; {_knowing_0()}" if norm == 0 else ""
    if norms == (0,):
        remedy = "; pass norm=0, or name an attack that supports that norm, such as 'fmn'"
    return f"attack={attack!r} works with norm {allowed}, got {shown(norm)}{remedy}"


def check_unattached(generator: Any, instead: str, allowed: str = "an AdversarialGenerator or None") -> None:
    """Raise unless ``generator`` has no source of its own, so that its owner can set one.

    ``instead`` tells users how to name the source, ``allowed`` what ``generator`` may be.
    """
    from skhalfway.attacks._generator import AdversarialGenerator

    if generator is None:
        return
    if not isinstance(generator, AdversarialGenerator):
        raise TypeError(f"generator must be {allowed}, got {shown(generator)}")
    if generator.estimator is not None:
        raise ValueError(f"generator.estimator must be None, got {shown(generator.estimator)}; {instead}")
    check_parameters(generator)


def make_attack(generator: AdversarialGenerator, name: Any) -> Attack:
    """Make the attack of that name or recipe, with the generator's settings."""
    kind = kind_of(name)
    assert kind is not None
    if generator.norm not in kind.norms:
        raise ValueError(_unknown_norm(name, kind.norms, generator.norm))
    if not kind.restarts and (generator.n_restarts != 1 or generator.random_start):
        raise ValueError(
            f"attack={name!r} takes no n_restarts and random_start; "
            f"{', '.join(repr(other) for other, kind in KINDS.items() if kind.restarts)} do"
        )
    home = import_module(f"skhalfway.attacks.{kind.module}")
    make = home.by_recipe(recipe_of(name)) if kind is RECIPE else getattr(home, name)
    params = generator.attack_params or {}
    allowed_params = _parameter_names(make)
    unknown = sorted(set(params) - set(allowed_params))
    if unknown:
        raise ValueError(
            f"attack_params {shown(unknown)} are unknown to attack={name!r}, which takes {allowed_params}"
        )
    settings = Settings(
        max_iter=int(generator.max_iter),
        max_queries=int(generator.max_queries),
        step_size=None if generator.step_size is None else float(generator.step_size),
        n_restarts=int(generator.n_restarts),
        random_start=bool(generator.random_start),
        batch_size=Settings.batch_size
        if isinstance(generator.batch_size, str)
        else int(generator.batch_size),
        device=devices_of(generator.device)[0],
        dtype=generator.dtype,
    )
    attack: Attack = make(settings, **params)
    return attack


@cache
def _parameter_names(make: Callable[..., Attack]) -> list[str]:
    """Parameters that an attack takes beside its settings."""
    return list(signature(make).parameters)[1:]


def follows_gradients(attack: Any) -> bool:
    """Whether an attack follows gradients, at least for sources that have one."""
    if not is_own(attack):
        return adapter_of(attack).by_gradient
    kind = kind_of(attack)
    return kind is None or kind.gradient


def takes_gradients(generator: AdversarialGenerator, model: Model) -> bool:
    """Whether an attack of this package computes the gradients of a source."""
    if not model.has_gradient:
        return False
    kind = kind_of(automatic(model, generator.norm) if chooses(generator.attack) else generator.attack)
    return kind is not None and kind.gradient


def own_eps(attack: Any) -> Any:
    """The budget of an attack given as an instance of another library; None if it takes the generator's."""
    return None if is_own(attack) else adapter_of(attack).own_eps


def automatic(model: Model, norm: float) -> str:
    """The attack that ``"auto"`` stands for, for a source."""
    if model.has_gradient:
        return "sigmazero" if norm == 0 else "pgd"
    return without_gradient(norm)[0]


def no_attack_in_0(why: str) -> str:
    """Message for a source without a gradient in norm 0; ``why`` says why it has none."""
    return f"norm=0 needs gradients, but {why}; {advice(0)}"


def without_gradient(norm: float) -> list[str]:
    """Names of attacks that need no gradient in that norm; ``"auto"`` takes the first."""
    kinds = {name: kind for name, kind in KINDS.items() if name != "tree"}
    return [name for name, kind in kinds.items() if not kind.gradient and norm in kind.norms]


def begins_elsewhere(generator: AdversarialGenerator) -> bool:
    """Whether the attack, or the one to which ``"auto"`` may turn, begins at other samples."""
    name = generator.attack
    if chooses(name):
        name = next(iter(without_gradient(generator.norm)), "sigmazero")
    kind = kind_of(name)
    return kind is not None and kind.partners


def advice(norm: float) -> str:
    """Advice for a source whose gradients are of no use."""
    if norm == 0:
        return "no attack without a gradient supports norm 0; pass norm=np.inf, 2 or 1"
    *most, last = map(repr, without_gradient(norm))
    return f"attack={', '.join(most)} and {last} need no gradient" if most else f"attack={last} needs none"


def gradient_attack(attack: Any, model: Model) -> str:
    """Name, for messages, of an attack that follows the source's gradient; empty for any other attack."""
    if not model.has_gradient:
        return ""
    if not is_own(attack):
        return adapter_of(attack).gradient_name
    return f"attack={attack!r}" if follows_gradients(attack) else ""


def check_source(
    generator: AdversarialGenerator,
    model: Model,
    region: Region | WholeRegion,
    n_classes: int,
    *,
    targeted: bool | None = False,
) -> None:
    """Raise, before any sample is attacked, for a source that the attack cannot attack.

    ``targeted`` is None while it is not known yet.
    """
    if targeted is not None:
        check_targets(generator, targeted)
    if generator.norm == 0 and not is_bounded(region):
        raise ValueError(
            "in norm 0 a feature may move through its whole range, so clip_values must be finite for all "
            f"columns that may change, got {shown(generator.clip_values)}; pass clip_values=(min, max) or "
            "'range'"
        )
    if not is_own(generator.attack):
        adapter = adapter_of(generator.attack)
        check_follows(model, generator.attack, by_gradient=adapter.by_gradient, stepwise=False)
        given = region.take(slice(None))  # such an attack gets all samples at once
        adapter.check_task(model, given, n_classes)
        return
    name = generator.attack
    if generator.norm == 0 and not model.has_gradient:
        raise TypeError(no_attack_in_0(model.why_black_box))
    if name == "auto":
        name = automatic(model, generator.norm)
        make_attack(generator, name)  # the parameters of a named attack are checked already
    if takes_gradients(generator, model) and model.in_torch:
        check_dtype(generator.dtype, [model.device] if generator.device is None else [])
    kind = kind_of(name)
    if kind is not None and kind.gradient and not model.has_gradient:
        raise TypeError(
            f"attack={name!r} needs gradients, but {model.why_black_box}; "
            "attack='auto' attacks black boxes too"
        )
    if name == "cw" and not is_bounded(region):
        raise ValueError(
            "attack='cw' searches the range of valid data, so clip_values must be finite for all columns, "
            f"got {shown(generator.clip_values)}; pass finite ones, or take 'ddn' or 'fmn', which need none"
        )
    if name == "apgd":
        from skhalfway.attacks._apgd import check_loss

        source = type(model.estimator).__name__
        check_loss(generator.attack_params, n_classes, source, targeted=targeted)
    if kind is not None:
        check_follows(model, name, by_gradient=kind.gradient, stepwise=kind.module == RECIPE.module)
    if name == "tree":
        from skhalfway.attacks._tree import check_trees

        check_trees(model, region.X[0].size)
    if kind is RECIPE:
        recipe_of(name).check_source(model, region.X.shape[1:])


def check_targets(generator: AdversarialGenerator, targeted: bool) -> None:
    """Raise if the attack cannot be targeted and should be, or cannot be untargeted and should be."""
    if not is_own(generator.attack):
        adapter_of(generator.attack).check_targets(generator, targeted)
