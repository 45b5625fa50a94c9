"""Making the attack of a result again, from its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator, Constraints
from skhalfway.attacks._parameters import chooses, is_own, kind_of
from skhalfway.attacks._reference import EPS_UNITS
from skhalfway.results import Provenance
from skhalfway.transfer._method import attack_settings

_NAMES = (*EPS_UNITS, "range")
_DESCRIBED = "only its description was recorded"


def generator_of(provenance: Provenance, **given: Any) -> AdversarialGenerator:
    """Make the generator whose attack a provenance records.

    A :class:`~skhalfway.TransferScorer` with this generator, and with ``condition`` and ``random_state`` from
    ``provenance.settings``, repeats the experiment on the same models and samples. A provenance does not hold
    these.

    Parameters
    ----------
    provenance : Provenance
        Provenance of a transfer matrix, or of another result of :class:`~skhalfway.TransferScorer`.
    **given : dict
        Parameters of :class:`~skhalfway.AdversarialGenerator` that take the place of recorded ones. They are
        needed where only a description was recorded: a function or a class as ``attack``, long arrays, a
        projection in ``constraints``.

    Returns
    -------
    generator : AdversarialGenerator
        The generator.

    Raises
    ------
    TypeError
        If ``provenance`` is none.
    ValueError
        If it records no attack; if a parameter was only described, and is not given; if the code of the given
        attack is not the recorded one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> from skhalfway.attacks import Momentum, Recipe
    >>> from skhalfway.transfer import generator_of
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
    >>> recipe = Recipe(Momentum(), reach=2.5)
    >>> generator = AdversarialGenerator(attack=recipe, eps=0.5, random_start=True)
    >>> matrix = TransferScorer(generator, random_state=7).fit(models).transfer(X, y)
    >>> recorded = matrix.provenance.settings
    >>> recorded["attack"], recorded["step_size"], recorded["random_state"]
    ('Recipe(Momentum(decay=1.0), reach=2.5)', 0.03125, 7)
    >>> scorer = TransferScorer(generator_of(matrix.provenance), random_state=recorded["random_state"])
    >>> scorer.fit(models).transfer(X, y) == matrix
    True
    """
    if not isinstance(provenance, Provenance):
        raise TypeError(f"provenance must be that of a result, got {shown(provenance)}")
    settings = provenance.settings
    if "attack" not in settings:
        raise ValueError(f"the provenance of {provenance.made_by} records no attack")
    names = set(AdversarialGenerator().get_params()) - {"random_state"}
    params = {name: value for name, value in settings.items() if name in names} | given
    if "generator__random_state" in settings:
        params.setdefault("random_state", settings["generator__random_state"])
    if "attack" not in given:
        params["attack"] = _attack(settings)
    if provenance.made_by.endswith("curve") and isinstance(settings["eps"], list):
        raise ValueError(
            "a curve has several budgets; pass the provenance of one of its matrices, for example "
            "curve.matrices[1].provenance"
        )
    for name in ("eps", "clip_values", "eps_unit"):
        if name not in given and (isinstance(params.get(name), str) and params[name] not in _NAMES):
            raise ValueError(f"{name} is {params[name]!r}, so {_DESCRIBED}; pass {name}=")
    if isinstance(params.get("clip_values"), list):
        params["clip_values"] = tuple(params["clip_values"])
    if isinstance(params.get("constraints"), Mapping):
        params["constraints"] = _constraints(params["constraints"])
    generator = AdversarialGenerator(**params)
    code, own = settings.get("attack_code"), attack_settings(generator).get("attack_code")
    if code != own:
        raise ValueError(
            f"the attack has code {own}, but the recorded one is {code}; pass attack= with the code and the "
            "values that it had"
        )
    return generator


def _attack(settings: Mapping[str, Any]) -> Any:
    """The attack, from its name or from the code of a recipe."""
    from skhalfway.attacks import Recipe  # imports torch

    attack = settings["attack"]
    if attack.startswith("Recipe("):
        return Recipe.from_text(attack)
    if not is_own(attack) or (kind_of(attack) is None and not chooses(attack)) or "attack_code" in settings:
        raise ValueError(
            f"the attack {attack!r} is no attack of this package, and {_DESCRIBED}; pass attack="
        )
    return attack


def _constraints(recorded: Mapping[str, Any]) -> Constraints:
    if any(isinstance(recorded.get(name), str) for name in ("projection", "mask")):
        raise ValueError(f"of a projection or a mask in the constraints {_DESCRIBED}; pass constraints=")
    return Constraints(**recorded)
