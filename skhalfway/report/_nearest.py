"""How far the nearest sample that fools the deployed model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skhalfway.report._parts import NearestSamples

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.report._setting import Setting

N_SAMPLES = 100
N_QUERIES = 500  # of a black box, for each sample


def nearest_samples(setting: Setting) -> NearestSamples:
    """Look for the nearest sample: exactly for trees, by gradient, or by queries."""
    X, y = setting.rows(setting.right(N_SAMPLES))
    name = setting.deployed
    gradient = "fmn" if setting.seen(name).has_gradient else "hopskipjump"
    if not gradient == "fmn" and setting.generator.norm == 1:
        raise ValueError("no attack of a black box looks for the nearest sample in L1")
    attack = "tree"
    try:
        generator = _looking(setting, attack)
        generator.generate(X, y)
    except (TypeError, ValueError):  # of models that are no trees, before anything is attacked
        attack = gradient
        generator = _looking(setting, attack)
        generator.generate(X, y)
    assert generator.distances_ is not None
    constraints = setting.generator.constraints
    exact = attack == "tree" and (constraints is None or constraints.projection is None)
    return NearestSamples(np.asarray(generator.distances_), attack, exact)


def _looking(setting: Setting, attack: str) -> AdversarialGenerator:
    return setting.attack_on(
        setting.deployed,
        attack=attack,
        attack_params=None,
        eps=np.inf,
        max_queries=N_QUERIES,
        n_restarts=1,
        random_start=False,
    )
