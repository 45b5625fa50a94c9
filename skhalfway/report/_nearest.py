"""Distance to the nearest adversarial example of the deployed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skhalfway.report._parts import NearestSamples

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.report._setting import Setting

N_SAMPLES = 100
N_QUERIES = 500  # queries of a black box for each sample


def nearest_samples(setting: Setting) -> NearestSamples:
    """Search for the nearest adversarial examples: exactly for trees, by gradient, or by queries."""
    X, y = setting.rows(setting.right(N_SAMPLES))
    attack = "tree"
    try:
        generator = _looking(setting, attack)
        generator.generate(X, y)
    except TypeError:  # raised before the attack if the model is not made of trees
        attack = "fmn" if setting.seen(setting.deployed).has_gradient else "hopskipjump"
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
