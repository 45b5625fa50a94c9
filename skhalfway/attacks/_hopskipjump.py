"""HopSkipJump: small perturbations from predictions alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice
from skhalfway._text import shown
from skhalfway._vectors import unit_vectors
from skhalfway.attacks._boundary_walk import Walk, check_walk
from skhalfway.attacks._queries import Queries, begin

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Outcome, Problem, Settings

# attacks that need no gradient, and the modules that they are in
_STARTS = {"surrogate": "_surrogate", "square": "_square", "halfway": "_halfway"}
_TINY = float(np.finfo(float).tiny)


class _Walk(Walk):
    """A walk whose directions are estimated from predictions: wins are more frequent along them."""

    def direction(
        self, rows: NDArray[np.intp], n_queries: NDArray[np.intp], radius: float
    ) -> NDArray[np.float64]:
        """Directions of more frequent wins, estimated at points around; with the paper's baseline."""
        n_features = self.x0.shape[1]
        estimate = np.empty((len(rows), n_features))
        n_each = np.minimum(n_queries, self.queries.n_left(rows))
        for block in blocks(len(rows), int(n_queries.max(initial=1)) * n_features):
            n, of = n_each[block], np.repeat(rows[block], n_each[block])
            u = unit_vectors(self.queries.streams.normal(of, n_features) * self.movable[of])
            size = np.repeat(radius * self.distance(rows[block], 2), n)[:, None]
            asked = self.queries.clip(self.point[of] + size * u, of)
            u = (asked - self.point[of]) / np.maximum(size, _TINY)  # the direction after clipping
            sign = np.where(self.queries.won(asked, of), 1.0, -1.0)
            first = np.cumsum(n) - n
            mean = np.add.reduceat(sign, first) / n
            baseline = np.where(np.abs(mean) == 1, 0.0, mean)
            estimate[block] = np.add.reduceat((sign - np.repeat(baseline, n))[:, None] * u, first, axis=0)
        if self.norm == np.inf:
            return np.sign(estimate)
        return unit_vectors(estimate)


@dataclass(frozen=True)
class HopSkipJump:
    """Walk along the boundary, towards the sample.

    Attributes
    ----------
    settings : Settings
        The generator's.
    n_directions : int
        Queries for the first direction; the t-th takes sqrt(t) times as many.
    radius : float
        Distance of the queries from the boundary, as a share of the sample's Euclidean distance.
    sparse : bool
        Whether the last queries set features back.
    start : Attack, ndarray of X's shape, or None, default=None
        Adversarial samples to begin at, or the attack that makes them.
    """

    settings: Settings
    n_directions: int
    radius: float
    sparse: bool
    start: Any = None

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples, one step of all of them at a time."""
        with problem.model.evaluating():
            queries = Queries(problem, self.settings.max_queries, anywhere=True)
            if self.start is not None:
                self._begin_at_start(queries)
            begin(queries)
            walk = _Walk(queries)
            rows = np.flatnonzero(np.isfinite(queries.distances))
            walk.until_spent(rows, partial(self._take_steps, walk), sparse=self.sparse)
        return queries.outcome()

    def _begin_at_start(self, queries: Queries) -> None:
        """Query the samples to begin at; given ones must win."""
        problem, given = queries.problem, isinstance(self.start, np.ndarray)
        rows = np.flatnonzero(np.isinf(queries.distances) & queries.open(np.arange(len(queries.x0))))
        if not len(rows):
            return
        X = problem.region.X
        if given:
            numbers = problem.names
            whole = len(self.start)  # unless the number of all samples is known
            if problem.pool is not None:
                whole = problem.pool.n_whole
            elif problem.numbers is None:
                whole = len(X)
            misfits = len(self.start) != whole or numbers.max() >= len(self.start)
            if misfits or self.start.shape[1:] != X.shape[1:]:
                raise ValueError(
                    "attack_params['start'] must hold one adversarial sample for each of X, of shape "
                    f"{X.shape[1:]}, got shape {self.start.shape}"
                )
            made = self.start[numbers].astype(X.dtype)
        else:
            outcome = self.start.run(problem)
            made = outcome.X_adv
            if outcome.n_queries is not None:
                queries.n_asked += outcome.n_queries
        points = problem.region.to_z(made).reshape(queries.x0.shape)[rows].astype(float)
        won = queries.won(queries.clip(points, rows), rows)
        if given and not won.all():
            raise ValueError(
                f"attack_params['start'] must hold adversarial samples, which {(~won).sum()} of {len(won)} "
                "are not for this source, within bounds and constraints; give samples that fool it, or the "
                "name of an attack that makes them, such as 'surrogate'"
            )

    def _take_steps(self, walk: _Walk, rows: NDArray[np.intp]) -> None:
        """Take the steps of Algorithm 2 until the queries are spent."""
        open_ = walk.queries.open
        while len(rows := rows[open_(rows)]):
            walk.n_steps[rows] += 1
            walk.to_boundary(rows)
            rows = rows[open_(rows)]
            root = np.sqrt(walk.n_steps[rows])
            direction = walk.direction(rows, (self.n_directions * root).astype(np.intp), self.radius)
            walk.step(rows, direction, 1 / root)


def hopskipjump(
    settings: Settings, n_directions: int = 25, radius: float = 0.5, sparse: bool = True, start: Any = None
) -> HopSkipJump:
    """HopSkipJumpAttack (Chen, Jordan & Wainwright 2020, Algorithms 1 and 2), all samples at once.

    Differences from the paper:

    - Queries lie at ``radius`` from the boundary. The paper has 1 / n_features, which is too near to see past
      the corners of trees.
    - There are more directions, with fewer queries for each.
    - The binary search ends at 3% of the distance.
    - The result is the nearest of all inputs that won, not the last one.
    - In L2, the last queries set features back to the sample's values if that still wins. There are up to as
      many as features, or a quarter of all queries.

    ``start`` holds adversarial samples of X's shape to begin at, in input units, or is the name of an attack
    that makes them. Samples that this attack does not fool begin as usual.
    """
    walk = check_walk(n_directions, radius, sparse)
    if isinstance(start, str):
        check_choice("attack_params['start']", start, _STARTS)
        home = import_module(f"skhalfway.attacks.{_STARTS[start]}")
        half = replace(settings, max_queries=max(1, settings.max_queries // 2))
        return HopSkipJump(settings, *walk, getattr(home, start)(half))
    if start is not None:
        start = np.asarray(start)
        if start.dtype.kind not in "fiu" or start.ndim < 2:
            raise ValueError(
                "attack_params['start'] must be adversarial samples of X's shape, or the name of an attack, "
                f"one of {list(_STARTS)}; got {shown(start)}"
            )
    return HopSkipJump(settings, *walk, start)
