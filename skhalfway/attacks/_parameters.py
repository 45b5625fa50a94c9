"""The generator's parameters: which are allowed, and the attack they make."""

from __future__ import annotations

from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._gradient import GradientAttack

NORMS = (np.inf, 2, 1)
GRADIENT_ATTACKS = ("fgsm", "pgd", "mifgsm")


def check_parameters(generator: AdversarialGenerator) -> None:
    """Raise for what no data could make right."""
    for name in ("max_iter", "n_restarts", "batch_size"):
        value = getattr(generator, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {value!r}")
    for name in ("eps", "step_size"):
        value = getattr(generator, name)
        if name == "step_size" and value is None:
            continue
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < np.inf:
            raise ValueError(f"{name} must be a finite number > 0, got {value!r}")
    norm = generator.norm
    if not isinstance(norm, Real) or isinstance(norm, bool) or norm not in NORMS:
        raise ValueError(f"norm must be np.inf, 2 or 1, got {norm!r}")
    if generator.attack_params is not None and not isinstance(generator.attack_params, dict):
        raise TypeError(f"attack_params must be a dict or None, got {generator.attack_params!r}")
    if not isinstance(generator.attack, str):
        _check_art_attack(generator)
    elif generator.attack in GRADIENT_ATTACKS:
        gradient_attack(generator, generator.attack)
    elif generator.attack == "auto":
        if generator.attack_params:
            _check_art_params(generator, black_box_attack())
    else:
        raise ValueError(
            f"unknown attack {generator.attack!r}; give 'auto', {', '.join(map(repr, GRADIENT_ATTACKS))}, "
            "or a class or an instance of an ART evasion attack"
        )


def _check_art_attack(generator: AdversarialGenerator) -> None:
    from art.attacks import EvasionAttack

    class_ = generator.attack if isinstance(generator.attack, type) else type(generator.attack)
    if not issubclass(class_, EvasionAttack):
        raise TypeError(
            "attack must be a string, or a class or an instance of an ART evasion attack, "
            f"got {generator.attack!r}"
        )
    if class_ is generator.attack:
        _check_art_params(generator, class_)
        return
    if generator.attack_params:
        raise ValueError("an instance of an attack has its parameters; attack_params must be None")
    for name in ("eps", "norm"):
        theirs, ours = getattr(generator.attack, name, None), getattr(generator, name)
        theirs = np.inf if theirs == "inf" else theirs
        if isinstance(theirs, Real) and theirs != ours:
            raise ValueError(
                f"the attack has {name}={theirs} but the generator {name}={ours}; give both the same"
            )


def _check_art_params(generator: AdversarialGenerator, class_: Any) -> None:
    from skhalfway.attacks._art import parameter_names

    allowed = parameter_names(class_)
    unknown = sorted(set(generator.attack_params or {}) - set(allowed))
    if unknown:
        raise ValueError(
            f"attack_params {unknown} are not parameters of ART's {class_.__name__}, which takes {allowed}"
        )


def gradient_attack(generator: AdversarialGenerator, name: str) -> GradientAttack:
    """Make the gradient attack of that name, with the generator's settings."""
    from skhalfway.attacks._gradient import ATTACKS

    make = ATTACKS[name]
    allowed = list(signature(make).parameters)[3:]
    # under "auto" they belong to the black-box attack
    params = generator.attack_params if generator.attack_params and generator.attack != "auto" else {}
    unknown = sorted(set(params) - set(allowed))
    if unknown:
        raise ValueError(f"attack_params {unknown} are unknown to attack={name!r}, which takes {allowed}")
    return make(generator.eps, generator.max_iter, generator.step_size, **params)


def black_box_attack() -> Any:
    """ART's attack under ``"auto"`` where a source has no gradient."""
    from art.attacks.evasion import HopSkipJump

    return HopSkipJump
