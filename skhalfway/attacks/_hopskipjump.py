"""HopSkipJump: small changes from predictions alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._vectors import unit_vectors
from skhalfway.attacks._queries import Queries, begin
from skhalfway.attacks._walk import Walk, check_walk

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Outcome, Problem, Settings

_TINY = float(np.finfo(float).tiny)


class _Walk(Walk):
    """A walk by directions in which winning becomes more frequent."""

    def direction(
        self, rows: NDArray[np.intp], n_queries: NDArray[np.intp], radius: float
    ) -> NDArray[np.float64]:
        """Directions in which winning becomes more frequent, from points around; with the baseline."""
        n_features = self.x0.shape[1]
        estimate = np.empty((len(rows), n_features))
        n_each = np.minimum(n_queries, self.queries.n_left(rows))
        for block in blocks(len(rows), int(n_queries.max(initial=1)) * n_features):
            n, of = n_each[block], np.repeat(rows[block], n_each[block])
            u = unit_vectors(self.queries.streams.normal(of, n_features) * self.movable[of])
            size = np.repeat(radius * self.distance(rows[block], 2), n)[:, None]
            asked = self.queries.clip(self.point[of] + size * u, of)
            u = (asked - self.point[of]) / np.maximum(size, _TINY)  # what the bounds left of it
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
        How far from the boundary they are, as a share of the sample's Euclidean distance.
    sparse : bool
        Whether features are set back at last.
    """

    settings: Settings
    n_directions: int
    radius: float
    sparse: bool

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples, one step of all of them at a time."""
        with problem.model.evaluating():
            queries = Queries(problem, self.settings.max_queries, anywhere=True)
            begin(queries)
            walk = _Walk(queries)
            rows = np.flatnonzero(np.isfinite(queries.distances))
            walk.until_spent(rows, partial(self._take_steps, walk), sparse=self.sparse)
        return queries.outcome()

    def _take_steps(self, walk: _Walk, rows: NDArray[np.intp]) -> None:
        """The steps of Algorithm 2, numbered on, until the queries are spent."""
        open_ = walk.queries.open
        while len(rows := rows[open_(rows)]):
            walk.n_steps[rows] += 1
            walk.to_boundary(rows)
            rows = rows[open_(rows)]
            root = np.sqrt(walk.n_steps[rows])
            direction = walk.direction(rows, (self.n_directions * root).astype(np.intp), self.radius)
            walk.step(rows, direction, 1 / root)


def hopskipjump(
    settings: Settings, n_directions: int = 25, radius: float = 0.5, sparse: bool = True
) -> HopSkipJump:
    """HopSkipJumpAttack (Chen, Jordan & Wainwright 2020, Algorithms 1 and 2), all samples at once.

    Not in the paper: ``radius``, where it has 1 / n_features, too near to see anything around the corners of
    trees; fewer queries for each direction, of which there are more; a binary search to within 3% of the
    distance; the nearest of all inputs that won rather than the last; and in L2 the last queries, up to one
    for each feature or a quarter of the budget, set features back to what they were where that still wins.
    """
    return HopSkipJump(settings, *check_walk(n_directions, radius, sparse))
