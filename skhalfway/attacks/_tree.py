"""Attack ``"tree"``: the nearest adversarial samples of trees, found through their leaves' boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer
from skhalfway._rounding import types_of
from skhalfway._text import percent
from skhalfway.attacks._missed import Missed
from skhalfway.attacks._problem import Outcome
from skhalfway.attacks._trees import nearest_adversarial
from skhalfway.models import Finding, Model, NotDifferentiableError
from skhalfway.models._tree_input import trees_of
from skhalfway.models._tree_parsers import unwrapped
from skhalfway.models._tree_sums import tree_sums

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem, Settings
    from skhalfway.models._tree_arrays import TreeEnsemble


# least agreement of a classifier with its trees as read here: rounding may decide near-ties
_AGREES = 0.99


@dataclass(frozen=True)
class TreeAttack:
    """The search for the nearest adversarial sample, within the region.

    Attributes
    ----------
    n_starts : int
        Number of searches of an ensemble without a nearer result, after which it stops.
    """

    n_starts: int

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples."""
        region, model = problem.region, problem.model
        x = region.X.reshape(len(region), -1)
        others = x[:0] if problem.pool is None else problem.pool.problem.region.X.reshape(-1, x.shape[1])
        with _refusing():
            ensemble, made, held = trees_of(model, np.vstack([x, others]))
        made, made_of_others = made[: len(x)], made[len(x) :]
        if problem.pool is None:
            pool, asked = None, np.hstack([x, made])
            remarks = _differs(model, ensemble.predict(asked) == model.predict(region.X))
        else:
            pool, said = np.hstack([others, made_of_others]), problem.pool.predicted
            remarks = problem.pool.once("reading", lambda: _differs(model, ensemble.predict(pool) == said))
        low, high = (np.broadcast_to(bound, region.X.shape).reshape(x.shape) for bound in region.limits())
        if region.carried is not None:
            # a missing value has no bounds, and never changes
            numbers = ~np.isnan(x)
            own = region.carried.reshape(x.shape) & numbers
            low, high = (np.where(own, x, b) for b in (low, high))
            low, high = np.where(numbers, low, -np.inf), np.where(numbers, high, np.inf)
        rules = region.rules
        groups, stuck = ([], []) if rules is None else _parted(rules.one_hot, ensemble, held, made.shape[1])
        for group in stuck:
            low, high = np.array(low), np.array(high)
            low[:, group] = high[:, group] = x[:, group]
        unit, one = region.flat_units(), np.ones(made.shape)
        if region.one_unit:
            unit, one = unit[0], one[0]
        points, found = nearest_adversarial(
            ensemble,
            lambda X: model.predict(X[:, : x.shape[1]].reshape(-1, *region.X.shape[1:])),
            np.hstack([x, made]),
            problem.labels,
            region.norm,
            np.hstack([low, made]),
            np.hstack([high, made]),
            unit=np.append(unit, one, axis=-1),
            whole=() if rules is None else rules.integer,
            groups=groups,
            types=types_of(region.types, x.shape[1] + made.shape[1], x.dtype),
            targeted=problem.targeted,
            streams=problem.streams(),
            pool=pool,
            n_starts=self.n_starts,
        )
        points = points[:, : x.shape[1]].reshape(region.X.shape)
        valid, X_adv, distances = region.keep_found(points)
        won = problem.won(model.predict(valid))
        missed = _missed(problem, found, won, stuck=bool(stuck))
        distances = np.where(won, distances, np.inf)
        distances = problem.nearer(X_adv, distances, np.flatnonzero(found & (distances > region.eps)))
        return Outcome(X_adv, distances=distances, at_any_budget=True, remarks=remarks, missed=missed)


def _parted(
    groups: Sequence[NDArray[np.intp]], ensemble: TreeEnsemble, held: NDArray[np.bool_], n_made: int
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    """Split one-hot groups into those whose category the search may change, and those that it may not.

    The latter have columns that the trees or steps treat as categories, or in which 0 or 1 counts as missing.
    """
    numbers = np.repeat([[0.0], [1.0]], len(held) + n_made, axis=1)
    stays = held | ensemble.is_missing(numbers)[:, : len(held)].any(axis=0)
    free = [group for group in groups if not stays[group].any()]
    return free, [group for group in groups if stays[group].any()]


def _missed(
    problem: Problem, found: NDArray[np.bool_], won: NDArray[np.bool_], *, stuck: bool
) -> tuple[Missed, ...]:
    """Samples without a result because of constraints that the search does not know."""
    rules, missed = problem.region.rules, []
    other = "surrogate" if problem.region.norm == 1 else "hopskipjump"
    advice = f"attack={other!r} queries samples that satisfy all constraints"
    if rules is not None and rules.projection is not None:
        what = "constraints.projection, which attack='tree' does not know, undid the result"
        missed.append(Missed(found & ~won, what, advice))
    if stuck:
        what = (
            "attack='tree' found nothing, and did not try other categories in one_hot groups that the source "
            "treats as categories itself, or in which it takes 0 or 1 for missing"
        )
        missed.append(Missed(~won, what, advice))
    return tuple(missed)


def check_trees(model: Model, n_features: int) -> None:
    """Raise TypeError for a source that is not made of trees, if that is known without samples."""
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


def _differs(model: Model, agrees: NDArray[np.bool_]) -> tuple[Finding, ...]:
    """Warning for a classifier that disagrees with its trees as read here."""
    share = float(agrees.mean())
    if share >= _AGREES:
        return ()
    name = type(unwrapped(model.estimator)).__name__
    message = (
        f"{name}.predict differs from its trees, as attack='tree' reads them, on {percent(1 - share)} of the "
        "samples, so it may miss adversarial samples"
    )
    return (Finding("attack", "warning", message, "other attacks do not read the trees"),)


def tree(settings: Settings, n_starts: int = 10) -> TreeAttack:
    """The nearest box of a tree, or a local search over those of an ensemble: ``nearest_adversarial``."""
    check_integer("attack_params['n_starts']", n_starts)
    return TreeAttack(int(n_starts))
