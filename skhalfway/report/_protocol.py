"""Protocol of an audit, and what it does not cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._inputs import Frame
from skhalfway._text import counted, shown
from skhalfway.report._words import budget, listed

if TYPE_CHECKING:
    from skhalfway.report._inputs import Samples
    from skhalfway.report._parts import Surrogates
    from skhalfway.report._setting import Setting

NORMS = {
    np.inf: "L-infinity: no value changes by more than the budget",
    2: "L2: the Euclidean length of the change is at most the budget",
    1: "L1: the sum of the sizes of all changes is at most the budget",
}


ROW_NUMBERS = "row numbers"  # begins what is said of samples without names


def protocol_of(setting: Setting, data: Samples, own: Surrogates | None) -> dict[str, str]:
    """Settings that the figures depend on, in words."""
    generator = setting.generator
    attack = generator.attack
    labels, counts = np.unique(setting.y, return_counts=True)
    shares = [f"{label}: {n}" for label, n in zip(labels, counts, strict=True)]
    said = {
        "samples attacked": f"{len(setting.y):,} of {data.n_given:,}",
        "names of samples": _names_of(setting),
        "samples of each class": ", ".join(shares[:12]) + (", ..." if len(shares) > 12 else ""),
        "attack": f"{attack if isinstance(attack, str) else shown(attack)}; {generator.max_iter} steps with "
        f"a gradient, or at most {generator.max_queries:,} queries per sample without one",
        "norm": NORMS[float(generator.norm)],
        "budgets": ", ".join(budget(eps, generator.eps_unit) for eps in setting.budgets),
        "valid range": _range(generator.clip_values),
        "constraints": "none" if generator.constraints is None else str(generator.constraints),
        "denominator": "samples that the deployed model and the attacked model both classify correctly",
        "noise": "each value moved by the whole budget, up or down at random, within the same limits",
        "units measured on": _measured_on(setting, data),
        "seed": str(setting.seed),
    }
    if own is not None:
        part = "X that are not attacked," if own.split_off else "the reference data"
        by = "their true labels" if own.labelled_by == "reference" else "predictions of the deployed model"
        said["surrogates"] = (
            f"{counted(len(own.names), 'model')} trained on {own.n_rows:,} of {own.n_reference:,} samples of "
            f"{part} with {by}"
        )
    return said


def _names_of(setting: Setting) -> str:
    """What the names of samples on the page are, so that a reader finds the sample."""
    names = getattr(setting.X, "index", None)
    if names is None or callable(names) or np.array_equal(names, setting.row_numbers):
        return f"{ROW_NUMBERS} in X, counted from 0: sample 0 is the first row"
    return "names in the index of X: X.loc[name] is the sample"


def _range(clip_values: Any) -> str:
    if clip_values is None:
        return "none"
    if isinstance(clip_values, str):
        return "range of each column in the data on which units are measured"
    low, high = clip_values
    return f"{shown(low)} to {shown(high)}"


def _measured_on(setting: Setting, data: Samples) -> str:
    if setting.reference is None:
        return "the samples that are attacked, as no reference was given"
    origin = "samples split off X" if data.split_off else "reference samples"
    return f"{len(setting.reference):,} {origin}"


def not_tested(setting: Setting, data: Samples, unmoved: Sequence[str] = ()) -> tuple[str, ...]:
    """What the report does not cover."""
    generator = setting.generator
    norm = NORMS[float(generator.norm)].partition(":")[0]
    said = [
        f"Changes larger than {budget(setting.budgets[-1], generator.eps_unit)}, or in another norm than "
        f"{norm}.",
        "Stronger attacks than those of the protocol: adaptive attacks designed for this model, or attacks "
        "with more steps and queries. Rates are lower bounds of what an attacker can achieve.",
        "Attacks on training data (poisoning), on privacy (who was in the training data), and on the "
        "software around the model.",
        "Other data than these samples, for example after drift or from new kinds of customers.",
    ]
    frame = Frame.of(setting.X)
    if frame is not None:
        names = listed([str(name) for name in frame.names])
        said.append(f"Changes of columns of categories, which have no distance: {names}.")
    if unmoved:
        said.append(
            f"Changes of columns that do not vary in the reference, so that their budget is 0: "
            f"{listed(unmoved)}."
        )
    if generator.constraints is not None:
        said.append("Changes that violate the constraints; real attackers may not keep to these.")
    if len(setting.y) < data.n_given:
        said.append(
            f"{data.n_given - len(setting.y):,} of the {data.n_given:,} samples, which were not drawn."
        )
    return tuple(said)
