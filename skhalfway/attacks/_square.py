"""The Square attack: random search within the budget, from scores alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import is_number
from skhalfway._text import shown
from skhalfway._vectors import unit_vectors
from skhalfway.attacks._queries import Queries

if TYPE_CHECKING:
    from skhalfway._streams import Streams
    from skhalfway.attacks._problem import Outcome, Problem, Settings

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

# shares of the queries after which the share of features is halved: the authors' 10, 50, 200... of 10,000
_HALVED_AT = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_N_TILES = 5


def bump(n_rows: int, n_columns: int) -> Floats:
    """Sums of 1, 1/4, 1/9... that rise towards the middle, of length 1 (the paper's equation 2)."""
    distance = np.maximum.outer(*(np.abs(np.arange(n) - n // 2) for n in (n_rows, n_columns)))
    terms = 1.0 / np.arange(1, max(n_rows, n_columns) // 2 + 2) ** 2
    heights = terms[::-1].cumsum()[::-1][distance]
    return unit_vectors(heights.ravel()).reshape(heights.shape)


def _bumps(rows: Indices, side: int, streams: Streams) -> Floats:
    """Squares with a bump upwards and one downwards, one above the other or side by side."""
    pair = np.concatenate([bump(side // 2, side), -bump(side - side // 2, side)])
    return np.where(streams.uniform(rows, 1, 1) < 0.5, pair, pair.T)


class _Squares:
    """Parts of images (n_channels, height, width): squares, at the same place in each channel."""

    def __init__(self, shape: tuple[int, ...], norm: float) -> None:
        self.shape, self.norm, self.n_channels = shape, norm, shape[0]

    def first(self, rows: Indices, streams: Streams) -> Floats:
        """First change of images, (n_rows, n_channels, n_pixels): stripes in Linf, tiles of bumps in L2."""
        n, (c, h, w) = len(rows), self.shape
        if self.norm == np.inf:
            return np.repeat(streams.signs(rows, c, 1, w), h, axis=2).reshape(n, c, -1)
        side = max(1, min(h, w) // _N_TILES)
        down, right = h // side, w // side
        tiles = (
            streams.signs(rows, c, down, 1, right, 1) * _bumps(rows, side, streams)[:, None, None, :, None]
        )
        change = np.zeros((n, c, h, w))
        change[:, :, : down * side, : right * side] = tiles.reshape(n, c, down * side, right * side)
        return change.reshape(n, c, -1)

    def places(self, rows: Indices, share: float, streams: Streams) -> Indices:
        """Random pixels to change, (n_rows, n_changed)."""
        _, h, w = self.shape
        side = max(1, round(sqrt(share * h * w)))
        if self.norm == 2:
            side = max(3, side + (side + 1) % 2)
        side = min(side, h, w)
        top, left = (streams.integers(rows, n - side + 1)[:, None, None] for n in (h, w))
        step = np.arange(side)
        return ((top + step[:, None]) * w + left + step).reshape(len(rows), -1)

    def change(self, rows: Indices, n_changed: int, streams: Streams) -> Floats:
        """Changes of these pixels, (n_rows, n_channels, n_changed): one sign in Linf, a bump in L2."""
        sign = streams.signs(rows, self.n_channels, 1)
        if self.norm == np.inf:
            return np.repeat(sign, n_changed, axis=2)
        return sign * _bumps(rows, round(sqrt(n_changed)), streams).reshape(len(rows), 1, -1)


class _Subsets:
    """Parts of rows, which have no squares: random features, each with a sign of its own."""

    n_channels = 1

    def __init__(self, movable: NDArray[np.bool_]) -> None:
        each = movable.sum(axis=1)
        self.movable, self.n_movable = movable, int(each.max(initial=0))
        self.each = None if np.isin(each, (0, self.n_movable)).all() else each

    def first(self, rows: Indices, streams: Streams) -> Floats:
        return self.change(rows, self.movable.shape[1], streams)

    def places(self, rows: Indices, share: float, streams: Streams) -> Indices:
        size = max(1, round(share * self.n_movable))
        drawn = streams.uniform(rows, self.movable.shape[1]) + ~self.movable[rows]
        if self.each is None:
            places = drawn.argpartition(size - 1, axis=1)[:, :size]
            # in the order that a full sort gives, since signs depend on it
            order = np.take_along_axis(drawn, places, axis=1).argsort(axis=1)
            return np.take_along_axis(places, order, axis=1)
        # the same share of the features that may change in a sample; spare places name one that may not
        order = drawn.argsort(axis=1)
        own = np.maximum(1, np.rint(share * self.each[rows]))[:, None]
        return np.where(np.arange(size) < own, order[:, :size], order[:, -1:])

    def change(self, rows: Indices, n_changed: int, streams: Streams) -> Floats:
        return streams.signs(rows, 1, n_changed)


@dataclass(frozen=True)
class Search:
    """The next points of a random search, as arrays (n_rows, n_channels, n_pixels)."""

    queries: Queries
    parts: _Squares | _Subsets
    movable: NDArray[np.bool_]
    streams: Streams

    def first(self, rows: Indices) -> Floats:
        """Random points as far as the budget goes."""
        region = self.queries.problem.region
        change = self.parts.first(rows, self.streams).reshape(len(rows), -1) * self.movable[rows]
        if region.norm == 2:
            change = unit_vectors(change)
        return self.queries.clip(self.queries.x0[rows] + region.eps * change, rows)

    def next(self, point: Floats, rows: Indices, share: float) -> Floats:
        """Points with a random part of them changed."""
        channels = len(rows), self.parts.n_channels, -1
        x0 = self.queries.x0[rows]
        move = self._linf if self.queries.problem.region.norm == np.inf else self._l2
        moved = move((point - x0).reshape(channels), self.movable[rows].reshape(channels), rows, share)
        asked = [self.queries.clip(x0 + change.reshape(x0.shape), rows) for change in moved]
        # the second is used where the first would change nothing
        return np.where((asked[0] == point).all(axis=1, keepdims=True), asked[-1], asked[0])

    def _linf(self, change: Floats, movable: NDArray[np.bool_], rows: Indices, share: float) -> list[Floats]:
        """Algorithm 2: move a part to one end of the budget or the other."""
        places = self._part(rows, share)
        to = self.queries.problem.region.eps * self.parts.change(rows, places.shape[2], self.streams)
        return [_put(change, places, sign * to) for sign in (1, -1)]

    def _l2(self, change: Floats, movable: NDArray[np.bool_], rows: Indices, share: float) -> list[Floats]:
        """Algorithm 3: add a bump to a part, with the share of the budget that is taken from another part."""
        here, there = self._part(rows, share), self._part(rows, share)
        unused = self.queries.problem.region.eps**2 - (change**2).sum(axis=(1, 2))
        rest = _put(_put(change, here, 0.0), there, 0.0)
        available = (change**2).sum(axis=2) - (rest**2).sum(axis=2)
        available += np.maximum(unused, 0.0)[:, None] / self.parts.n_channels
        bumps = unit_vectors(self.parts.change(rows, here.shape[2], self.streams))
        new = bumps + unit_vectors(np.take_along_axis(change, here, 2))
        new *= np.take_along_axis(movable, here, 2)
        return [_put(rest, here, unit_vectors(new) * np.sqrt(np.maximum(available, 0.0))[:, :, None])]

    def _part(self, rows: Indices, share: float) -> Indices:
        places = self.parts.places(rows, share, self.streams)
        return np.repeat(places[:, None], self.parts.n_channels, axis=1)


def _put(array: Floats, places: Indices, values: Floats | float) -> Floats:
    array = array.copy()
    np.put_along_axis(array, places, values, 2)
    return array


def search_of(queries: Queries) -> Search:
    """Parts that suit the samples: squares of images, subsets of the features of rows."""
    region = queries.problem.region
    shape, movable = region.X.shape[1:], region.movable().reshape(queries.x0.shape)
    parts = _Squares(shape, region.norm) if len(shape) == 3 else _Subsets(movable)
    return Search(queries, parts, movable, queries.streams)


@dataclass(frozen=True)
class Square:
    """Random changes of a part of each sample; those that lower the margin are kept.

    Attributes
    ----------
    settings : Settings
        The generator's.
    p : float
        Share of the features that change at first.
    """

    settings: Settings
    p: float

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples, one query of all of them at a time."""
        region, budget = problem.region, self.settings.max_queries
        rows = np.arange(len(region))
        with problem.model.evaluating():
            queries = Queries(problem, budget)
            search = search_of(queries)
            point, least = queries.x0.copy(), np.full(len(region), np.inf)
            for i in count():
                # the last query is reserved to check by a prediction whether a win by scores is one
                rows = rows[queries.open(rows) & (queries.n_left(rows) >= 2)]
                if not len(rows):
                    break
                share = self.p / 2 ** np.searchsorted(_HALVED_AT, i / budget)
                asked = search.next(point[rows], rows, share) if i else search.first(rows)
                scores = queries.scores(asked, rows)
                height = margin(scores, problem.labels[rows], targeted=problem.targeted)
                lower = height <= least[rows]
                point[rows[lower]], least[rows[lower]] = asked[lower], height[lower]
                wins = problem.won(scores.argmax(axis=1), rows)
                queries.won(asked[wins], rows[wins], budget=True)
            # those that found no win keep the lowest margin
            lost = np.isinf(queries.distances)
            queries.nearest[lost] = point[lost]
        return replace(queries.outcome(), distances=None)


def margin(scores: Floats, labels: Indices, *, targeted: bool) -> Floats:
    """The margin that an attack lowers: the label's score minus the largest other; negative if targeted."""
    index, others = np.arange(len(scores)), scores.copy()
    others[index, labels] = -np.inf
    height = scores[index, labels] - others.max(axis=1)
    return -height if targeted else height


def square(settings: Settings, p: float = 0.8) -> Square:
    """Square attack (Andriushchenko et al. 2020, Algorithms 1 to 3) on images (n, n_channels, height, width).

    Differences from the paper:

    - Rows have no geometry, so a random subset of as many features replaces a square, and each feature has a
      sign of its own.
    - Targeted attacks use a margin of scores too, rather than cross-entropy.
    - A win by scores counts only if a prediction, the sample's last query, confirms it.
    """
    if not is_number(p) or not 0 < p <= 1:
        raise ValueError(f"attack_params['p'] must be a number in (0, 1], got {shown(p)}")
    return Square(settings, float(p))
