"""Attack ``"tree"``: the nearest adversarial samples of trees, through their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer
from skhalfway._text import percent
from skhalfway.attacks._problem import Outcome
from skhalfway.attacks._trees import nearest_adversarial
from skhalfway.models import Model, NotDifferentiableError
from skhalfway.models._tree_input import trees_of
from skhalfway.models._tree_parsers import unwrapped
from skhalfway.models._tree_sums import tree_sums
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem, Settings


# rounding may part the two where classes are as good as equal
_AGREES = 0.99


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
        x = region.X.reshape(len(region), -1)
        with _refusing():
            ensemble, made = trees_of(model, x)
        _check_reading(model, ensemble.predict(np.hstack([x, made])) == model.predict(region.X))
        low, high = (np.broadcast_to(bound, region.X.shape).reshape(x.shape) for bound in region.limits())
        if region.carried is not None:
            # a missing value has no place between bounds, and never moves
            numbers = ~np.isnan(x)
            own = region.carried.reshape(x.shape) & numbers
            low, high = (np.where(own, x, b) for b in (low, high))
            low, high = np.where(numbers, low, -np.inf), np.where(numbers, high, np.inf)
        unit, one = region.flat_units(), np.ones(made.shape)
        if region.one_unit:
            unit, one = unit[0], one[0]
        points, _ = nearest_adversarial(
            ensemble,
            lambda X: model.predict(X[:, : x.shape[1]].reshape(-1, *region.X.shape[1:])),
            np.hstack([x, made]),
            problem.labels,
            region.norm,
            np.hstack([low, made]),
            np.hstack([high, made]),
            unit=np.append(unit, one, axis=-1),
            targeted=problem.targeted,
            rng=rng,
            n_starts=self.n_starts,
        )
        points = points[:, : x.shape[1]].reshape(region.X.shape)
        valid, X_adv, distances = region.keep_found(points)
        won = problem.won(model.predict(valid))
        distances = problem.nearest(X_adv, np.where(won, distances, np.inf))
        return Outcome(X_adv, distances=distances, at_any_budget=True)


def check_trees(model: Model, n_features: int) -> None:
    """TypeError for a source that is not made of trees, as far as no samples are needed to tell."""
    with _refusing():
        tree_sums(model.estimator, n_features)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except NotDifferentiableError as error:
        raise TypeError(
            f"attack='tree' needs a decision tree or an ensemble of them, but {error}; "
            "attack='auto' attacks any source"
        ) from None


def _check_reading(model: Model, agrees: NDArray[np.bool_]) -> None:
    """Warn where a classifier is not what its trees were read as: what is nearest is then not found."""
    share = float(agrees.mean())
    if share < _AGREES:
        name = type(unwrapped(model.estimator)).__name__
        warn(
            f"{name}.predict differs from its trees, as they are read here, on {percent(1 - share)} of the "
            "samples: attack='tree' may miss adversarial samples; other attacks do not depend on the reading"
        )


def tree(settings: Settings, n_starts: int = 10) -> TreeAttack:
    """Nearest boxes of a tree, and a local search over those of an ensemble (see ``nearest_adversarial``)."""
    check_integer("attack_params['n_starts']", n_starts)
    return TreeAttack(int(n_starts))
