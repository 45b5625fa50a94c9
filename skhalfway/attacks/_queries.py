"""Queries: predictions that black-box attacks count, and points at which they begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import LARGEST
from skhalfway.attacks._missed import Missed
from skhalfway.attacks._partners import known_points
from skhalfway.attacks._pool import nearest
from skhalfway.attacks._problem import Outcome

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem

_N_NEIGHBORS = 4
_N_ROUNDS, _N_DRAWS = 6, 16
_MANY = 0.05  # share of samples without any result that may change a rate by more than its interval
_SO_THEY_STAY = "so that they stay as they are"
BEGIN_AT = (
    "give training data to begin at (fit of a generator, reference of a scorer), raise max_queries, or widen "
    "clip_values"
)


class Queries:
    """Predictions of valid inputs, counted for each sample, and the nearest input of each that wins.

    The samples themselves are queried first, since the source may misclassify them already. Points are rows
    in the region's coordinates, flattened.

    Parameters
    ----------
    problem : Problem
        The task.
    max_queries : int
        Largest number of predictions for each sample.
    anywhere : bool, default=False
        Whether points outside the budget are queried, too.

    Attributes
    ----------
    max_queries : int
        Number of predictions that may be queried for each sample, without the last.
    last : int
        Number of predictions that are reserved for the end. It is 1 if the nearest winning input may lie
        outside the budget, since its projection into the budget has to be queried too.
    x0 : ndarray of shape (n_samples, n_features)
        The samples.
    shared : ndarray of shape (n_samples, n_features)
        The samples in coordinates that all samples share; ``x0`` if the region's coordinates are shared.
    stretch : ndarray of shape (n_samples, 1) or (n_samples, n_features), or None
        Factors from shared coordinates to each sample's own; see :meth:`own`.
    low, high : ndarray of shape (n_samples, n_features)
        Bounds of the samples; infinite if there are none.
    predicted : ndarray of shape (n_samples,)
        Class indices of the samples themselves.
    n_asked : ndarray of shape (n_samples,)
        Number of predictions queried for each sample.
    distances : ndarray of shape (n_samples,)
        Norm of the smallest winning perturbation; inf if none was found.
    nearest : ndarray of shape (n_samples, n_features)
        Nearest winning point, as it was queried; the sample if none was found.
    X_nearest : ndarray of shape (n_samples, ...)
        Input at that point.
    streams : Streams
        Random numbers for each sample.
    """

    def __init__(self, problem: Problem, max_queries: int, *, anywhere: bool = False) -> None:
        region = problem.region
        self._anywhere, self.last = anywhere, int(anywhere and np.isfinite(region.eps))
        self.problem, self.max_queries, self.streams = problem, max_queries - self.last, problem.streams()
        flat = len(region), int(np.prod(region.X.shape[1:]))
        self.x0: NDArray[np.float64] = region.start().reshape(flat).astype(float)
        self.shared, self.stretch = self.x0, None
        if region.unit is not None and not region.one_unit:
            unit = region.shared_unit()
            self.shared = region.in_shared_unit().reshape(flat)
            own = region.unit.reshape(len(region), int(np.prod(region.unit.shape[1:])))
            self.stretch = (np.ones(1) if unit is None else unit.ravel()) / own
        bounds = region.bounds() or (np.full(1, -np.inf), np.full(1, np.inf))
        self.low, self.high = (np.broadcast_to(bound, region.X.shape).reshape(flat) for bound in bounds)
        self.predicted = np.empty(len(region), dtype=np.intp)
        for block in blocks(*flat):
            self.predicted[block] = problem.model.predict(region.X[block])
        self.n_asked = np.ones(len(region), dtype=np.intp)
        self.distances = np.where(problem.won(self.predicted), 0.0, np.inf)
        self.nearest, self.X_nearest = self.x0.copy(), region.X.copy()
        self._goal = region.eps if np.isfinite(region.eps) else 0.0
        # samples that may not change at all need no queries
        self._stays: NDArray[np.bool_] | None = None
        if region.free is not None:
            self._stays = np.logical_not(region.movable().reshape(flat).any(axis=1))

    def others(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The pool of all samples, in the coordinates that they share, and the source's predictions."""
        pool = self.problem.pool
        return (self.shared, self.predicted) if pool is None else (pool.shared, pool.predicted)

    def columns(self) -> NDArray[np.bool_]:
        """Columns that may change in some sample; only these count in distances between samples."""
        pool = self.problem.pool
        region = self.problem.region if pool is None else pool.problem.region
        columns: NDArray[np.bool_] = np.logical_or.reduce(region.movable().reshape(-1, self.x0.shape[1]))
        return columns

    def n_left(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Number of predictions that may still be queried for samples."""
        return np.maximum(self.max_queries - self.n_asked[rows], 0)

    def open(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which samples have not reached the goal and may be queried again.

        The goal is to win within the budget. With an infinite budget, it is never reached.
        """
        is_open = (self.n_asked[rows] < self.max_queries) & (self.distances[rows] > self._goal)
        return is_open if self._stays is None else is_open & ~self._stays[rows]

    def own(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Convert points, one for each row, from shared coordinates to the samples' own."""
        return points if self.stretch is None else points * self.stretch[rows]

    def clip(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Points between the bounds of their samples."""
        return np.clip(points, self.low[rows], self.high[rows])

    def predict(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Class indices of the valid inputs nearest to points between the bounds; ``rows`` may repeat."""
        model = self.problem.model
        return np.concatenate([model.predict(X) for _, X in self._ask(points, rows, budget=False)])

    def scores(self, points: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Scores of the valid inputs within the budget."""
        model = self.problem.model
        return np.concatenate([model.scores(X) for _, X in self._ask(points, rows, budget=True)])

    def won(
        self, points: NDArray[np.float64], rows: NDArray[np.intp], *, budget: bool = False
    ) -> NDArray[np.bool_]:
        """Whether valid inputs win, within the budget or not; the nearest winning ones are remembered."""
        wins = np.empty(len(rows), dtype=bool)
        for block, X in self._ask(points, rows, budget=budget):
            of = rows[block]
            wins[block] = won = self.problem.won(self.problem.model.predict(X), of)
            if won.any():
                self._remember(points[block][won], X[won], of[won])
        return wins

    def _ask(
        self, points: NDArray[np.float64], rows: NDArray[np.intp], *, budget: bool
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The valid inputs to query, some at a time; they are counted."""
        region = self.problem.region
        self.n_asked += np.bincount(rows, minlength=len(self.n_asked))
        for block in blocks(len(points), self.x0.shape[1]):
            z = points[block].reshape(-1, *region.X.shape[1:])
            yield block, region.keep(z, rows[block], budget=budget)

    def _remember(self, points: NDArray[np.float64], X: NDArray[Any], rows: NDArray[np.intp]) -> None:
        distance = self._distance(points, X, rows)
        order = np.lexsort((distance, rows))
        best = order[np.unique(rows[order], return_index=True)[1]]
        best = best[distance[best] < self.distances[rows[best]]]
        of = rows[best]
        self.distances[of], self.nearest[of], self.X_nearest[of] = distance[best], points[best], X[best]

    def _distance(
        self, points: NDArray[np.float64], X: NDArray[Any], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Norm of winning perturbations: at most the budget if the region accepts them unchanged.

        The region decides cases within the rounding of X's float type.
        """
        region = self.problem.region
        distance = region.distance(X, rows)
        rounding = 16 * region.eps * float(np.finfo(region.X.dtype).eps)
        edge = np.flatnonzero(np.abs(distance - region.eps) <= rounding)
        if len(edge) and np.isfinite(region.eps):
            kept = region.keep(points[edge].reshape(X[edge].shape), rows[edge])
            passes = ((kept == X[edge]) | np.isnan(X[edge])).reshape(len(edge), -1).all(axis=1)
            over = np.nextafter(region.eps, np.inf)
            distance[edge] = np.where(
                passes, np.minimum(distance[edge], region.eps), np.maximum(distance[edge], over)
            )
        return distance

    def outcome(self) -> Outcome:
        """The nearest winning inputs; those outside the budget are projected into it, and queried again."""
        region, X_adv, distances = self.problem.region, self.X_nearest.copy(), self.distances
        missed: tuple[Missed, ...] = ()
        far = np.flatnonzero(distances > region.eps)
        X_adv[far] = region.keep(self.nearest[far].reshape(X_adv[far].shape), far)
        if self.last:
            back = far[np.isfinite(distances[far])]
            self.n_asked[back] += 1
            distances = self.problem.nearer(X_adv, distances, back)
        if self._anywhere:
            nothing = np.isinf(distances)
            if self._stays is not None:
                nothing &= ~self._stays
            what = "of the target class" if self.problem.targeted else "of another class"
            missed = (Missed(nothing, f"no input {what} was found, {_SO_THEY_STAY}", BEGIN_AT, _MANY),)
        return Outcome(X_adv, self.n_asked, distances, missed=missed)


def begin(queries: Queries, samples: NDArray[np.intp] | None = None, *, from_partners: bool = True) -> None:
    """Query points that may win, for each of the samples (or all) that has not won, until one does.

    The first points are the nearest partners, then the nearest other samples (of X, or of the pool of all
    samples) with a label that would win. Each costs a query, as a point that is valid for one sample may be
    invalid for another. The last are random points between the bounds around the sample, at growing
    distances, as far as known samples spread.
    """
    samples = np.arange(len(queries.x0)) if samples is None else samples
    if not (np.isinf(queries.distances[samples]) & queries.open(samples)).any():
        return
    points, predicted = queries.others()
    spread = np.ptp(points, axis=0)
    if queries.problem.partners is not None:
        known, labels = known_points(queries)
        if len(known):
            spread = np.nan_to_num(np.fmax.reduce(known) - np.fmin.reduce(known))
        if from_partners:
            _begin_at(queries, samples, known, labels)
    _begin_at(queries, samples, points, predicted)
    _begin_anywhere(queries, samples, spread)


def _begin_at(
    queries: Queries,
    samples: NDArray[np.intp],
    points: NDArray[np.float64],
    predicted: NDArray[np.intp],
) -> None:
    """Query the nearest of these points that may win."""
    problem, columns = queries.problem, queries.columns()
    seen, mine = np.nan_to_num(points[:, columns]), queries.shared[:, columns]
    for label in np.unique(problem.labels):
        rows = samples[(problem.labels[samples] == label) & np.isinf(queries.distances[samples])]
        pool = np.flatnonzero((predicted == label) == problem.targeted)
        if not (len(rows) and len(pool)):
            continue
        neighbors = nearest(mine[rows], seen[pool], _N_NEIGHBORS, problem.region.norm)[1]
        for others in neighbors.T:
            left = np.isinf(queries.distances[rows]) & queries.open(rows)
            asked = queries.own(points[pool[others[left]]], rows[left])
            asked = np.where(np.isnan(asked), queries.x0[rows[left]], asked)
            queries.won(queries.clip(asked, rows[left]), rows[left])


def _begin_anywhere(queries: Queries, samples: NDArray[np.intp], spread: NDArray[np.float64]) -> None:
    """Query random points, first within one spread of the data, in the last round within 32 spreads.

    In features without a spread, the last round goes to the bounds or, if there are none, to 32 times the
    sample's value or 1.
    """
    x0 = queries.x0
    for k in range(_N_ROUNDS):
        rows = samples[np.isinf(queries.distances[samples]) & queries.open(samples)]
        for block in blocks(len(rows), _N_DRAWS * x0.shape[1]):
            of = np.repeat(rows[block], np.minimum(_N_DRAWS, queries.n_left(rows[block])))
            low, high = queries.low[of], queries.high[of]
            bounded = (np.abs(low) <= LARGEST) & (np.abs(high) <= LARGEST)
            width = np.where(bounded, np.where(bounded, high, 0.0) - np.where(bounded, low, 0.0), 0.0)
            size = np.maximum(np.abs(x0[of]), 1.0)
            unknown = np.where(width > 0, width / 2 ** (_N_ROUNDS - 1), size)
            own = np.where(spread > 0, queries.own(np.broadcast_to(spread, low.shape), of), unknown) * 2.0**k
            low, high = np.maximum(low, x0[of] - own), np.minimum(high, x0[of] + own)
            drawn = low + (high - low) * queries.streams.uniform(of, x0.shape[1])
            queries.won(queries.clip(drawn, of), of)
