"""HopSkipJump: small changes from predictions alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite, log2, sqrt
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway.attacks._queries import Queries, begin

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Outcome, Problem, Settings

_TINY = float(np.finfo(float).tiny)
_TOLERANCE = 0.03  # of the binary search, as a share of the distance
_N_HALVINGS = 6  # then the step is given up: at a corner of a tree none may win
_SPARSE_SHARE = 4  # one query of so many is kept back to set features back


class _Walk:
    """Points of all samples on their way along the boundary."""

    def __init__(self, queries: Queries, rng: np.random.RandomState) -> None:
        region = queries.problem.region
        self.queries, self.rng, self.norm, self.x0 = queries, rng, region.norm, queries.x0
        self.movable = region.movable().reshape(self.x0.shape)
        self.point = queries.nearest.copy()

    def distance(self, rows: NDArray[np.intp], norm: float) -> NDArray[np.float64]:
        return np.linalg.norm(self.point[rows] - self.x0[rows], norm, axis=1)

    def ask(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Ask for a point of each sample, and go to those that win."""
        won = self.queries.won(points, rows)
        self.point[rows[won]] = points[won]
        return won

    def to_boundary(self, rows: NDArray[np.intp]) -> None:
        """Binary search for the boundary, from each point towards its sample (Algorithm 1)."""
        change = self.point[rows] - self.x0[rows]
        longest = np.abs(change).max(axis=1, keepdims=True)
        lost, wins = np.zeros(len(rows)), np.ones(len(rows))
        for _ in range(ceil(log2(1 / _TOLERANCE))):
            left = np.flatnonzero(self.queries.open(rows))
            middle = (lost[left] + wins[left]) / 2
            share, part = middle[:, None], change[left]
            part = (
                share * part
                if self.norm == 2
                else np.clip(part, -share * longest[left], share * longest[left])
            )
            won = self.ask(self.x0[rows[left]] + part, rows[left])
            wins[left[won]], lost[left[~won]] = middle[won], middle[~won]

    def direction(self, rows: NDArray[np.intp], n_queries: int, radius: float) -> NDArray[np.float64]:
        """Directions in which winning becomes more frequent, from points around; with the baseline."""
        n_features = self.x0.shape[1]
        estimate = np.empty((len(rows), n_features))
        n_each = np.minimum(n_queries, self.queries.n_left(rows))
        for block in blocks(len(rows), n_queries * n_features):
            n, of = n_each[block], np.repeat(rows[block], n_each[block])
            u = self.rng.standard_normal((len(of), n_features)) * self.movable[of]
            u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), _TINY)
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
        return estimate / np.maximum(np.linalg.norm(estimate, axis=1, keepdims=True), _TINY)

    def step(self, rows: NDArray[np.intp], direction: NDArray[np.float64], share: float) -> None:
        """Go there by a share of the distance, halved until that wins ("geometric progression")."""
        size = share * self.distance(rows, self.norm)
        for _ in range(_N_HALVINGS):
            left = self.queries.open(rows)
            rows, direction, size = rows[left], direction[left], size[left]
            lost = ~self.ask(self.queries.clip(self.point[rows] + size[:, None] * direction, rows), rows)
            rows, direction, size = rows[lost], direction[lost], size[lost] / 2

    def revert(self, rows: NDArray[np.intp]) -> None:
        """Set features back where that still wins, those that moved most first.

        In groups: the next is twice as large after a win, half as large after a loss.
        """
        self.point[rows] = self.queries.nearest[rows]
        moved = np.abs(self.point[rows] - self.x0[rows])
        rank, n_moved = moved.argsort(axis=1)[:, ::-1].argsort(axis=1), (moved > 0).sum(axis=1)
        next_, size = np.zeros(len(rows), dtype=np.intp), np.ones(len(rows), dtype=np.intp)
        while (left := self.queries.open(rows) & (next_ < n_moved)).any():
            rows, rank, n_moved, next_, size = (a[left] for a in (rows, rank, n_moved, next_, size))
            group = (rank >= next_[:, None]) & (rank < (next_ + size)[:, None])
            won = self.ask(np.where(group, self.x0[rows], self.point[rows]), rows)
            next_ = next_ + np.where(won, size, size == 1)
            size = np.where(won, 2 * size, np.maximum(size // 2, 1))


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

    def run(self, problem: Problem, rng: np.random.RandomState) -> Outcome:
        """Attack all samples, one step of all of them at a time."""
        budget = self.settings.max_queries
        with problem.model.evaluating():
            queries = Queries(problem, budget)
            begin(queries, rng)
            walk = _Walk(queries, rng)
            rows = np.flatnonzero(np.isfinite(queries.distances))
            kept_back = 0
            if self.sparse and problem.region.norm == 2:
                kept_back = min(int(walk.movable.sum(axis=1).max(initial=0)), budget // _SPARSE_SHARE)
            queries.max_queries = budget - kept_back
            t = self._walk(walk, rows, 1)
            queries.max_queries = budget
            if kept_back:
                walk.revert(rows)
                self._walk(walk, rows, t)
        return queries.outcome()

    def _walk(self, walk: _Walk, rows: NDArray[np.intp], t: int) -> int:
        """The steps of Algorithm 2 from the t-th on, until the queries are spent; the next one's number."""
        open_ = walk.queries.open
        while len(rows := rows[open_(rows)]):
            walk.to_boundary(rows)
            rows = rows[open_(rows)]
            direction = walk.direction(rows, int(self.n_directions * sqrt(t)), self.radius)
            walk.step(rows, direction, 1 / sqrt(t))
            t += 1
        return t


def hopskipjump(
    settings: Settings, n_directions: int = 25, radius: float = 0.5, sparse: bool = True
) -> HopSkipJump:
    """HopSkipJumpAttack (Chen, Jordan & Wainwright 2020, Algorithms 1 and 2), all samples at once.

    Not in the paper: ``radius``, where it has 1 / n_features, too near to see anything around the corners of
    trees; fewer queries for each direction, of which there are more; a binary search to within 3% of the
    distance; the nearest of all inputs that won rather than the last; and in L2 the last queries, up to one
    for each feature or a quarter of the budget, set features back to what they were where that still wins.
    """
    if not isinstance(n_directions, Integral) or isinstance(n_directions, bool) or n_directions < 1:
        raise ValueError(f"attack_params['n_directions'] must be an integer >= 1, got {n_directions!r}")
    if not isinstance(radius, Real) or isinstance(radius, bool) or not isfinite(radius) or radius <= 0:
        raise ValueError(f"attack_params['radius'] must be a finite number > 0, got {radius!r}")
    if not isinstance(sparse, (bool, np.bool_)):
        raise ValueError(f"attack_params['sparse'] must be True or False, got {sparse!r}")
    return HopSkipJump(settings, int(n_directions), float(radius), bool(sparse))
