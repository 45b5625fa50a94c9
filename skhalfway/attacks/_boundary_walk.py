"""Walks along a boundary, for HopSkipJump and the halfway attack: bisection, steps, resetting features."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_bool, check_integer, check_length
from skhalfway._vectors import lengths
from skhalfway.attacks._queries import Queries

_TOLERANCE = 0.03  # of the binary search, as a share of the distance
_N_HALVINGS = 6  # most halvings of a step before it is given up: at a corner of a tree none may win
_SPARSE_SHARE = 4  # 1 / share of the queries that is reserved for setting features back


class Walk:
    """The current points of all samples on a walk along the boundary."""

    def __init__(self, queries: Queries) -> None:
        region = queries.problem.region
        self.queries, self.norm, self.x0 = queries, region.norm, queries.x0
        self.movable = region.movable().reshape(self.x0.shape)
        self.point = queries.nearest.copy()
        self.n_steps = np.zeros(len(self.x0), dtype=np.intp)

    def distance(self, rows: NDArray[np.intp], norm: float) -> NDArray[np.float64]:
        return lengths(self.point[rows] - self.x0[rows], norm)

    def won(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether points win; samples may repeat."""
        return self.queries.won(points, rows)

    def ask(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Query one point for each sample, and move to those that win."""
        won = self.won(points, rows)
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

    def step(self, rows: NDArray[np.intp], direction: NDArray[np.float64], share: NDArray[Any]) -> None:
        """Step in a direction by a share of the distance, halved until it wins ("geometric progression")."""
        size = share * self.distance(rows, self.norm)
        for _ in range(_N_HALVINGS):
            left = self.queries.open(rows)
            rows, direction, size = rows[left], direction[left], size[left]
            lost = ~self.ask(self.queries.clip(self.point[rows] + size[:, None] * direction, rows), rows)
            rows, direction, size = rows[lost], direction[lost], size[lost] / 2

    def revert(self, rows: NDArray[np.intp]) -> None:
        """Set features back to the sample's values if that still wins, those that moved most first.

        Features are set back in groups. The next group is twice as large after a win, half as large after a
        loss.
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

    def until_spent(
        self, rows: NDArray[np.intp], take_steps: Callable[[NDArray[np.intp]], None], *, sparse: bool
    ) -> None:
        """Take steps until the queries are spent; in L2, where sparse, the last queries set features back."""
        budget, kept_back = self.queries.max_queries, 0
        if sparse and self.norm == 2:
            kept_back = min(self.x0.shape[1], budget // _SPARSE_SHARE)
        self.queries.max_queries = budget - kept_back
        take_steps(rows)
        self.queries.max_queries = budget
        if kept_back:
            self.revert(rows)
            take_steps(rows)


def check_walk(n_directions: Any, radius: Any, sparse: Any) -> tuple[int, float, bool]:
    """Raise for parameters that are invalid for a walk."""
    check_integer("attack_params['n_directions']", n_directions)
    check_length("attack_params['radius']", radius)
    check_bool("attack_params['sparse']", sparse)
    return int(n_directions), float(radius), bool(sparse)
