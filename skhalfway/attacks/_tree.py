"""Attack ``"tree"``: the nearest adversarial samples of trees, through their boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skhalfway._checks import check_integer
from skhalfway.attacks._problem import Outcome
from skhalfway.attacks._trees import nearest_adversarial
from skhalfway.models import NotDifferentiableError
from skhalfway.models._tree_parsers import tree_ensemble

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem, Settings
    from skhalfway.models import Model
    from skhalfway.models._tree_arrays import TreeEnsemble


@dataclass(frozen=True)
class TreeAttack:
    """The search, within what the region allows of each feature.

    Attributes
    ----------
    n_starts : int
        Searches of an ensemble that may fail to find anything nearer.
    """

    n_starts: int

    def run(self, problem: Problem, rng: np.random.RandomState) -> Outcome:
        """Attack all samples."""
        region, model = problem.region, problem.model
        ensemble = trees_of(model)
        shape, n = region.X.shape, len(region)
        low, high = (np.broadcast_to(bound, shape) for bound in region.limits())
        if region.carried is not None:
            # a missing value has no place between bounds, and never moves
            numbers = ~np.isnan(region.X)
            own = region.carried & numbers
            low, high = (np.where(own, region.X, b) for b in (low, high))
            low, high = np.where(numbers, low, -np.inf), np.where(numbers, high, np.inf)
        points, _ = nearest_adversarial(
            ensemble,
            lambda X: model.predict(X.reshape(-1, *shape[1:])),
            region.X.reshape(n, -1),
            problem.labels,
            region.norm,
            low.reshape(n, -1),
            high.reshape(n, -1),
            unit=1.0 if region.unit is None else region.unit.ravel(),
            targeted=problem.targeted,
            rng=rng,
            n_starts=self.n_starts,
        )
        valid, X_adv, distances = region.keep_found(points.reshape(shape))
        won = problem.won(model.predict(valid))
        return Outcome(X_adv, distances=np.where(won, distances, np.inf), at_any_budget=True)


def trees_of(model: Model) -> TreeEnsemble:
    """The source's trees; TypeError where it is not made of any."""
    try:
        return tree_ensemble(model.estimator)
    except NotDifferentiableError as error:
        raise TypeError(
            f"attack='tree' needs a decision tree or an ensemble of them, but {error}; "
            "attack='auto' attacks any source"
        ) from None


def tree(settings: Settings, n_starts: int = 10) -> TreeAttack:
    """Nearest boxes of a tree, and a local search over those of an ensemble (see ``nearest_adversarial``)."""
    check_integer("attack_params['n_starts']", n_starts)
    return TreeAttack(int(n_starts))
