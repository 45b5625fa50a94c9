"""Ensembles in a scorer: leave-one-out ensembles, and pairs that are no transfer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from skhalfway._text import shown
from skhalfway.models import Ensemble, Finding, Model
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._faults import named
from skhalfway.models._type_checks import is_ensemble, unfrozen
from skhalfway.models._warnings import warn

LEAVE_ONE_OUT = "leave_one_out"


def holds_members(model: Any) -> bool:
    """Whether a model, as given by the user or wrapped as a Model, is an ensemble."""
    return isinstance(model, EnsembleModel) or is_ensemble(unfrozen(model))


def all_but(name: str) -> str:
    """Name of the ensemble of all models but one."""
    return f"all but {name}"


def check_leave_one_out(models: Mapping[str, Any], targets: Iterable[str]) -> None:
    """Raise where leave-one-out ensembles cannot be made, or their names are taken."""
    given = [name for name, model in models.items() if holds_members(model)]
    if given:
        raise ValueError(
            f"sources='leave_one_out' makes ensembles of the models, but {shown(given)} are ensembles "
            "themselves; leave them out, or name sources"
        )
    if len(models) < 3:
        raise ValueError(
            "sources='leave_one_out' attacks each model through an ensemble of the others, so it needs at "
            f"least 3 models, got {len(models)}"
        )
    taken = [all_but(name) for name in targets if all_but(name) in models]
    if taken:
        raise ValueError(
            f"with sources='leave_one_out' {shown(taken)} are names of ensembles; give the models other names"
        )


def with_ensembles(models: Mapping[str, Model], targets: Sequence[str], combine: str) -> dict[str, Model]:
    """The models, and for each target the ensemble of all other models with a gradient."""
    members = {name: model for name, model in models.items() if named(name, getattr, model, "has_gradient")}
    black_boxes = [name for name in models if name not in members]
    if black_boxes:
        warn(
            f"sources='leave_one_out': {shown(black_boxes)} have no gradient, so no ensemble contains them; "
            "they are still targets. An attacker who has them may fool the others more often. To include "
            "them, add surrogates: classifiers with a gradient that are trained on their predictions"
        )
    found: dict[str, Model] = dict(models)
    for target in targets:
        others = {name: model for name, model in members.items() if name != target}
        if len(others) < 2:
            raise ValueError(
                f"sources='leave_one_out' needs at least two models with a gradient beside {target!r}, got "
                f"{len(others)}: {shown(list(others))}"
            )
        ensemble = Ensemble([(name, model.estimator) for name, model in others.items()], combine=combine)
        first = next(iter(others.values()))
        weights = np.full(len(others), 1 / len(others))
        model = EnsembleModel(ensemble, first.classes_, others, combine, weights)
        model.name, model._frame = all_but(target), first._frame
        found[all_but(target)] = model
    return found


def pairs_aside(
    models: Mapping[str, Model], sources: Iterable[str], targets: Iterable[str], *, one_each: bool
) -> tuple[tuple[str, str], ...]:
    """Pairs of a source and a target that are no transfer.

    These are an ensemble and one of its members, compared by identity. Where each target has an ensemble of
    its own (``one_each``), they are also that ensemble and any other target.
    """
    pairs = []
    for source in sources:
        ensemble = models[source]
        members = list(ensemble.members.values()) if isinstance(ensemble, EnsembleModel) else []
        inside = {id(unfrozen(member.estimator)) for member in members}
        for target in targets:
            held = id(unfrozen(models[target].estimator)) in inside
            if held or (one_each and source != all_but(target)):
                pairs.append((source, target))
    return tuple(pairs)


def remark(model: Model) -> list[Finding]:
    """Note that a model is an ensemble, if it is one."""
    if not isinstance(model, EnsembleModel):
        return []
    return [
        Finding(
            "ensemble",
            "note",
            f"it is an ensemble (combine={model.combine!r}) of {', '.join(model.members)}; it is a source, "
            "not a target",
            "no action is needed",
        )
    ]
