"""The halfway attack: crossing regression, from predictions alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from skhalfway._blocks import blocks
from skhalfway._checks import check_integer
from skhalfway._vectors import lengths, unit_vectors
from skhalfway.attacks._boundary_walk import Walk, check_walk
from skhalfway.attacks._partners import nearest_partners
from skhalfway.attacks._queries import Queries, begin
from skhalfway.halfway._regression import ridge_regressions

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Outcome, Problem, Settings

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

_TINY = float(np.finfo(float).tiny)
_N_REMEMBERED = 256  # predictions that are remembered for each sample
_NEARER = 0.95  # a partner or leap is queried if it is nearer than this share of the least distance
_PER_START = 500  # queries from each starting point
# constants of the regression, in which the nearest crossing is at distance 1
_WIDTH, _REACH, _PENALTY, _N_REGRESSIONS, _LEAST_CURVATURE = 0.02, 0.7, 3e-5, 6, 0.05


class _Crossings(Walk):
    """A walk that remembers predictions around each sample, and with them where segments cross a boundary."""

    def __init__(self, queries: Queries, samples: slice) -> None:
        super().__init__(queries)
        n, d = self.x0[samples].shape
        self.first = samples.start
        self.change, self.wins = np.zeros((n, _N_REMEMBERED, d)), np.zeros((n, _N_REMEMBERED), dtype=bool)
        self.n_remembered, self.v = np.zeros(n, dtype=np.intp), np.zeros((n, d))

    def won(self, points: Floats, rows: Indices) -> NDArray[np.bool_]:
        """Whether points win; the last predictions are remembered."""
        won = self.queries.won(points, rows)
        order = np.argsort(rows, kind="stable")
        of = rows[order] - self.first
        n_each = np.bincount(of, minlength=len(self.v))
        slot = self.n_remembered[of] + np.arange(len(of)) - np.repeat(np.cumsum(n_each) - n_each, n_each)
        self.change[of, slot % _N_REMEMBERED] = (points - self.x0[rows])[order]
        self.wins[of, slot % _N_REMEMBERED] = won[order]
        self.n_remembered += n_each
        return won

    def start(self, rows: Indices, points: Floats) -> None:
        """Move to new points, and forget the predictions so far."""
        self.point[rows], self.n_steps[rows] = points, 0
        self.n_remembered[rows - self.first], self.v[rows - self.first] = 0, 0.0

    def look_around(self, rows: Indices, n_queries: Indices, radius: float) -> None:
        """Query the ends of segments to points around the current ones."""
        of = np.repeat(rows, np.minimum(n_queries, self.queries.n_left(rows)))
        for block in blocks(len(of), self.x0.shape[1]):
            each = of[block]
            u = self.queries.streams.normal(each, self.x0.shape[1]) * self.movable[each]
            u *= (radius * self.distance(each, 2) / np.maximum(lengths(u), _TINY))[:, None]
            self.won(self.queries.clip(self.point[each] + u, each), each)

    def direction(self, rows: Indices) -> Floats:
        """Direction, of length 1 in the budget's norm, in which a planar boundary is nearest to each sample.

        A query at distance r in the direction u wins if the plane is crossed before it, that is if <v, u> >
        1 / r, where v is the plane's normal divided by its distance. So v is estimated from the predictions
        by logistic regression: ridge regressions of 1 / r on u, each corrected by the errors of the one
        before. Queries near the crossing that was found have larger weights, and the crossing itself counts
        as a known value.
        """
        own = rows - self.first
        crossing = self.point[rows] - self.x0[rows]
        unit = np.maximum(lengths(crossing), _TINY)
        crossing /= unit[:, None]
        change, wins = self.change[own] / unit[:, None, None], self.wins[own]
        near = np.exp(((change - crossing[:, None]) ** 2).sum(axis=2) / (-2 * _REACH**2))
        near *= np.arange(_N_REMEMBERED) < self.n_remembered[own, None]
        r = np.linalg.norm(change, axis=2)
        # a query at the sample itself has no direction, so it is left out
        r[r == 0] = 1.0
        u = np.concatenate([change / r[..., None], crossing[:, None]], axis=1)
        v = self.v[own] * unit[:, None]
        v = np.where((v == 0).all(axis=1, keepdims=True), crossing, v)
        y, weights = np.ones(u.shape[:2]), np.empty(u.shape[:2])
        weights[:, -1] = 0.75
        for _ in range(_N_REGRESSIONS):
            foretold = (u[:, :-1] @ v[..., None])[..., 0]
            share = expit((foretold - 1 / r) / _WIDTH)
            curvature = np.maximum(share * (1 - share), _LEAST_CURVATURE)
            y[:, :-1] = foretold + _WIDTH * (wins - share) / curvature
            weights[:, :-1] = near * curvature
            v = ridge_regressions(u, y, alpha=_PENALTY * u.shape[2], weights=weights)
        self.v[own] = v / unit[:, None]
        if self.norm == np.inf:
            return np.sign(v)
        return unit_vectors(v)

    def leap(self, rows: Indices, direction: Floats) -> NDArray[np.bool_]:
        """Move from the samples straight to the nearest point of the plane, if that wins."""
        size = _NEARER * self.distance(rows, self.norm)[:, None]
        return self.ask(self.queries.clip(self.x0[rows] + size * direction, rows), rows)

    def towards(self, rows: Indices, partners: Floats) -> None:
        """Move to the boundary on the segments to partners, if it is nearer than the best point."""
        change, size = partners - self.x0[rows], _NEARER * self.queries.distances[rows, None]
        if self.norm == 2:
            length = np.maximum(lengths(change)[:, None], _TINY)
            change *= np.minimum(1.0, size / length)
        else:
            change = np.clip(change, -size, size)
        won = self.ask(self.queries.clip(self.x0[rows] + change, rows), rows)
        self.to_boundary(rows[won])


@dataclass(frozen=True)
class Halfway:
    """The halfway attack: estimate the boundary by regression, and move to its nearest point.

    Attributes
    ----------
    settings : Settings
        The generator's.
    n_directions : int
        Number of segments of the first regression; the t-th takes t^(1/4) times as many.
    radius : float
        Distance of their ends from the crossing, as a share of the sample's Euclidean distance.
    sparse : bool
        Whether the last queries set features back, in L2.
    n_partners : int
        Number of partners whose segments are tried first.
    """

    settings: Settings
    n_directions: int
    radius: float
    sparse: bool
    n_partners: int

    def run(self, problem: Problem) -> Outcome:
        """Attack as many samples at once as memory allows."""
        budget = self.settings.max_queries
        with problem.model.evaluating():
            queries = Queries(problem, budget, anywhere=True)
            n_first = min(self.n_partners, max(1, budget // 10))
            points, partners = nearest_partners(queries, max(n_first, budget // _PER_START))
            for samples in blocks(len(queries.x0), _N_REMEMBERED * queries.x0.shape[1]):
                walk = _Crossings(queries, samples)
                rows = np.arange(len(queries.x0))[samples]
                for numbers in partners[:, :n_first].T:
                    towards = rows[queries.open(rows) & (numbers[rows] >= 0)]
                    walk.towards(towards, self._partners(walk, towards, points, numbers))
                begin(queries, rows, from_partners=False)
                walk.point[rows] = queries.nearest[rows]
                rows = rows[np.isfinite(queries.distances[rows])]
                take_steps = partial(self._take_steps, walk, points, partners)
                walk.until_spent(rows, take_steps, sparse=self.sparse)
        return queries.outcome()

    def _partners(self, walk: Walk, rows: Indices, points: Floats, numbers: Indices) -> Floats:
        """Partners of samples, with missing values replaced by the samples' own."""
        partners = walk.queries.own(points[numbers[rows]], rows)
        return walk.queries.clip(np.where(np.isnan(partners), walk.x0[rows], partners), rows)

    def _take_steps(self, walk: _Crossings, points: Floats, partners: Indices, rows: Indices) -> None:
        """Walk from the nearest crossing, then from other partners, at last from the nearest again."""
        queries = walk.queries
        budget = queries.max_queries
        n_starts = max(1, (budget + queries.last) // _PER_START)
        for start in range(n_starts):
            queries.max_queries = budget * (start + 1) // n_starts
            left = rows[queries.open(rows)]
            if start == n_starts - 1 > 0:
                walk.start(left, queries.nearest[left])
            elif start:
                left = left[partners[left, start] >= 0]
                begun = self._partners(walk, left, points, partners[:, start])
                won = walk.queries.won(begun, left)
                left = left[won]
                walk.start(left, begun[won])
            self._walk(walk, left)

    def _walk(self, walk: _Crossings, rows: Indices) -> None:
        """Repeat until the queries are spent: find the boundary, query around, regress, step."""
        open_ = walk.queries.open
        while len(rows := rows[open_(rows)]):
            walk.n_steps[rows] += 1
            walk.to_boundary(rows)
            n_queries = self.n_directions * walk.n_steps[rows] ** 0.25
            walk.look_around(rows, n_queries.astype(np.intp), self.radius)
            left = rows[open_(rows)]
            direction = walk.direction(left)
            lost = ~walk.leap(left, direction)
            walk.step(left[lost], direction[lost], walk.n_steps[left[lost]] ** -0.5)


def halfway(
    settings: Settings,
    n_directions: int = 20,
    radius: float = 0.5,
    sparse: bool = True,
    n_partners: int = 12,
) -> Halfway:
    """The halfway attack, our own and unpublished: crossing regression, for all samples at once.

    First it searches along the segments to partners. Each costs one query, unless it crosses the boundary
    nearer than those before. Then it takes steps. The last 256 predictions around the nearest crossing give,
    by crossing regression, the boundary's normal and distance, and so the nearest point of its plane. If that
    point does not win, the step goes along the boundary as in HopSkipJump. With 1,000 queries or more, it
    begins again at another partner every 500 queries, and the last time at the nearest point of all. As in
    HopSkipJump, the last queries set features back in L2.
    """
    n_directions, radius, sparse = check_walk(n_directions, radius, sparse)
    check_integer("attack_params['n_partners']", n_partners)
    return Halfway(settings, n_directions, radius, sparse, int(n_partners))
