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
_N_REMEMBERED = 256  # answers of each sample
_NEARER = 0.95  # what a partner or a leap is worth asking for, as a share of the least distance
_PER_START = 500  # queries
# of the regression, where the nearest crossing is at distance 1
_WIDTH, _REACH, _PENALTY, _N_REGRESSIONS, _LEAST_CURVATURE = 0.02, 0.7, 3e-5, 6, 0.05


class _Crossings(Walk):
    """A walk that remembers the answers around each of its samples: where segments cross, or do not yet."""

    def __init__(self, queries: Queries, samples: slice) -> None:
        super().__init__(queries)
        n, d = self.x0[samples].shape
        self.first = samples.start
        self.change, self.wins = np.zeros((n, _N_REMEMBERED, d)), np.zeros((n, _N_REMEMBERED), dtype=bool)
        self.n_remembered, self.v = np.zeros(n, dtype=np.intp), np.zeros((n, d))

    def won(self, points: Floats, rows: Indices) -> NDArray[np.bool_]:
        """Whether points win; the last answers are remembered."""
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
        """Go elsewhere, and forget what was seen before."""
        self.point[rows], self.n_steps[rows] = points, 0
        self.n_remembered[rows - self.first], self.v[rows - self.first] = 0, 0.0

    def look_around(self, rows: Indices, n_queries: Indices, radius: float) -> None:
        """Ask at the ends of segments to points around."""
        of = np.repeat(rows, np.minimum(n_queries, self.queries.n_left(rows)))
        for block in blocks(len(of), self.x0.shape[1]):
            each = of[block]
            u = self.queries.streams.normal(each, self.x0.shape[1]) * self.movable[each]
            u *= (radius * self.distance(each, 2) / np.maximum(lengths(u), _TINY))[:, None]
            self.won(self.queries.clip(self.point[each] + u, each), each)

    def direction(self, rows: Indices) -> Floats:
        """Where a boundary that is a plane comes nearest to each sample: of length 1, in the budget's norm.

        A question at distance r in the direction u is won where the plane is crossed on the way to it, that
        is where <v, u> > 1 / r, v the normal over the distance. Of that the answers tell by logistic
        regression: ridge regressions of 1 / r on u, each corrected by what the last foretold wrongly. Those
        near the crossing found count for more, and the crossing itself is one that is known.
        """
        own = rows - self.first
        crossing = self.point[rows] - self.x0[rows]
        unit = np.maximum(lengths(crossing), _TINY)
        crossing /= unit[:, None]
        change, wins = self.change[own] / unit[:, None, None], self.wins[own]
        near = np.exp(((change - crossing[:, None]) ** 2).sum(axis=2) / (-2 * _REACH**2))
        near *= np.arange(_N_REMEMBERED) < self.n_remembered[own, None]
        r = np.linalg.norm(change, axis=2)
        # what has no direction says nothing of the boundary's
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
        """Go from the samples straight to where the plane comes nearest, where that wins."""
        size = _NEARER * self.distance(rows, self.norm)[:, None]
        return self.ask(self.queries.clip(self.x0[rows] + size * direction, rows), rows)

    def towards(self, rows: Indices, partners: Floats) -> None:
        """Go to the boundary on the way to partners, where it is nearer than what was found."""
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
    """From the nearest crossing on, regress the boundary and go where it is nearest.

    Attributes
    ----------
    settings : Settings
        The generator's.
    n_directions : int
        Segments of the first regression; the t-th takes t^(1/4) times as many.
    radius : float
        How far from the crossing they end, as a share of the sample's Euclidean distance.
    sparse : bool
        Whether features are set back at last, in L2.
    n_partners : int
        Partners to look towards at first.
    """

    settings: Settings
    n_directions: int
    radius: float
    sparse: bool
    n_partners: int

    def run(self, problem: Problem) -> Outcome:
        """Attack as many samples at once as can be remembered."""
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
        """Partners of samples, whose missing values are the samples' own."""
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
        """Find the boundary, look around, regress, step; until the queries are spent."""
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
    """Crossing regression made into an attack, all samples at once. It is ours, and in no paper.

    First, along the segments to partners, of which each costs one query unless it crosses nearer than those
    before. Then steps: answers around the nearest crossing, the last 256 of them, give by crossing regression
    the boundary's normal and distance, so where its plane comes nearest to the sample; if that does not win,
    a step goes along the boundary as HopSkipJump's do. Of 1,000 queries or more, every 500 begin at another
    partner, the last at the nearest of all. As with HopSkipJump, the last queries set features back in L2.
    """
    n_directions, radius, sparse = check_walk(n_directions, radius, sparse)
    check_integer("attack_params['n_partners']", n_partners)
    return Halfway(settings, n_directions, radius, sparse, int(n_partners))
