"""Costs of changing a sample, and the exact effect of changing one feature, for decision trees."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway.attacks._tree_cells import Bools, Cells, Floats, Ints
from skhalfway.attacks._tree_groups import Groups

# responses that are multiples of the inverse of this have exact sums
_FINEST = 2**20
# lines of a table of leaves: position of the row that can reach the leaf, its tree, the leaf; the feature to
# move for that (-1: none), and the first and last cell to which it may move
_ROW, _TREE, _NODE, _MOVED, _FIRST, _LAST = range(6)


class Moves(NamedTuple):
    """Moves of one feature: position of the row, the feature, its new cell, margin and height there."""

    row: Ints
    feature: Ints
    cell: Ints
    margin: Floats
    height: Floats


class TreeTask:
    """Samples, the labels to leave or reach, and the prices of changes.

    The price of a change of one feature is its length in the norm's units; in L2, the square of that. The
    price of a sample is the sum of its features' prices; in L-inf, the largest.

    Attributes
    ----------
    unit : array of shape (n_features,) or (n_samples, n_features)
        Divisor of the change of each feature in the norm.
    home : int array of shape (n_samples, n_features)
        The samples' cells; -1 where a value is missing.
    groups : Groups
        One-hot groups of features, which change as a whole.
    enough : float
        Margin above which a point is adversarial.
    """

    def __init__(
        self,
        cells: Cells,
        x: NDArray[Any],
        labels: Ints,
        norm: float,
        low: Floats,
        high: Floats,
        unit: Floats,
        targeted: bool,
    ) -> None:
        self.cells, self.x, self.labels, self.norm = cells, x, labels, norm
        self.low, self.high, self.unit, self.targeted = low, high, unit, targeted
        self.home = cells.of(x)
        self.groups = Groups(cells, cells.groups)
        self._codes = cells.ensemble.codes(x)
        # exact sums may tie, and the first class wins; XGBoost's sums are of 32 bits, with rounding errors
        self._response = cells.ensemble.response
        fine = (cells.ensemble.value[cells.ensemble.feature < 0] * _FINEST % 1).any()
        alone = len(cells.ensemble.roots) == 1 and cells.ensemble.probabilities
        exact = self._response.by_votes if self._response.guides else alone or not fine
        self._tie, self.enough = (1e-9, 0.0) if exact else (0.0, 1e-5 if cells.ensemble.strict else 1e-9)

    def value(self, row: Ints, feature: Ints, cell: Ints) -> Floats:
        """The value in a cell that is nearest to a sample's."""
        cells, x, home = self.cells, self.x[row, feature], self.home[row, feature]
        slot = cells.first[feature] + cell
        value = np.where(cell > home, cells.bottom[slot], np.where(cell < home, cells.top[slot], x))
        return np.where(home < 0, x, value)

    def price(self, row: Ints, feature: Ints, cell: Ints) -> Floats:
        """Price of moving a feature to a cell: infinite outside the bounds, 0 for a missing value."""
        value, x = self.value(row, feature, cell), self.x[row, feature]
        length = np.abs(value - x) / (self.unit[feature] if self.unit.ndim == 1 else self.unit[row, feature])
        fits = (value >= self.low[row, feature]) & (value <= self.high[row, feature])
        fits &= ~self.cells.is_empty[self.cells.first[feature] + cell]
        price = np.where(fits, length**2 if self.norm == 2 else length, np.inf)
        return np.where(self.home[row, feature] < 0, 0.0, price)

    def prices(self, row: Ints, cells: Ints) -> Floats:
        """Price of each feature of points, given by their cells (n_rows, n_features)."""
        return self.price(row[:, None], np.arange(cells.shape[1]), cells)

    def total(self, prices: Floats) -> Floats:
        return prices.max(axis=-1) if self.norm == np.inf else prices.sum(axis=-1)

    def rest(self, prices: Floats) -> Floats:
        """For each feature, the price of all other features."""
        if self.norm != np.inf:
            return np.maximum(prices.sum(axis=1, keepdims=True) - prices, 0.0)
        top = np.sort(np.hstack([np.zeros((len(prices), 1)), prices]), axis=1)[:, -2:]
        largest = prices.argmax(axis=1)[:, None] == np.arange(prices.shape[1])
        return np.where(largest, top[:, :1], top[:, 1:])

    def with_rest(self, rest: Floats, price: Floats) -> Floats:
        return np.maximum(rest, price) if self.norm == np.inf else rest + price

    def room(self, rest: Floats, limit: Floats) -> Floats:
        """Largest price of each feature with which the point stays within a limit, if no other changes."""
        if self.norm == np.inf:
            return np.where(rest <= limit[:, None], limit[:, None], -1.0)
        return limit[:, None] - rest

    def margin(self, row: Ints, sums: Floats) -> Floats:
        """Largest other score of sums (n_rows, n_sums) minus the label's; its negative where targeted."""
        scores = self._response.scores(sums)
        return self._lead(row, scores - self._tie * np.arange(scores.shape[1]))

    def height(self, row: Ints, sums: Floats, margin: Floats) -> Floats:
        """What a search raises: the margin, or a substitute that still changes if the margin is constant."""
        return self._lead(row, self._response.guide(sums)) if self._response.guides else margin

    def _lead(self, row: Ints, scores: Floats) -> Floats:
        label = np.arange(len(row)), self.labels[row]
        own, others = scores[label], scores.copy()
        others[label] = -np.inf
        return own - others.max(axis=1) if self.targeted else others.max(axis=1) - own

    def points(self, cells: Ints, row: Ints | None = None) -> NDArray[Any]:
        """Points in cells that are nearest to the samples, or to those in ``row``, in their float type."""
        row = np.arange(len(cells)) if row is None else row
        return self.value(row[:, None], np.arange(cells.shape[1]), cells).astype(self.x.dtype)

    def goes_left(self, row: Ints, node: Ints, cell: Ints) -> Bools:
        """Whether samples go left at a node if their value of its feature lies in a cell."""
        ensemble = self.cells.ensemble
        left = np.where(cell < 0, ensemble.missing_left[node], cell <= self.cells.rank[node])
        if not ensemble.categories:
            return left
        line, code = ensemble.category_row[node], self._codes[row, ensemble.feature[node]]
        return np.where(line < 0, left, ensemble.goes_left[line, code])

    def moves(self, row: Ints, cells: Ints, room: Floats) -> tuple[Floats, Floats, Moves]:
        """Margins and heights of points, and every move of one feature within the limits ``room``.

        A point is given by its cells and reaches a leaf by moving one feature if the leaf's box excludes
        it in that feature only. This changes the scores in an interval of the feature's cells. Among
        cells with equal scores, between two ends of intervals, the one next to the sample is a move.
        Features of one-hot groups do not move alone.
        """
        grid, ensemble = self.cells, self.cells.ensemble
        leaves = self._within_one_move(row, cells, room)
        aside = leaves[_MOVED] >= 0
        i, tree, leaf = leaves[: _NODE + 1, ~aside]
        stay = np.empty((len(row), len(ensemble.roots)), dtype=np.intp)
        stay[i, tree] = leaf
        sums = ensemble.value[stay].sum(axis=1) + ensemble.baseline

        i, tree, leaf, feature, first, last = leaves[:, aside]
        change = ensemble.value[leaf] - ensemble.value[stay[i, tree]]
        # rows and slots on one line; an extra slot in each row ends its last feature's intervals
        width = len(grid.feature) + 1
        begin = i * width + grid.first[feature]
        # features away from the sample's cell have moves that change no score; each row has at least one move
        away, moved = np.nonzero((cells != self.home[row]) & ~grid.grouped)
        quiet = np.concatenate([away * width + grid.first[moved], np.arange(len(row)) * width])
        place = np.concatenate([begin + first, begin + last + 1, quiet])
        order = place.argsort(kind="stable")
        change = np.concatenate([change, -change, np.zeros((len(quiet), change.shape[1]))])[order].cumsum(
            axis=0
        )
        place = place[order]
        distinct = np.append(place[1:] != place[:-1], True)
        place, change = place[distinct], change[distinct]
        end = np.append(place[1:], place[-1] + width) - 1
        kept = place % width < width - 1
        i, slot = np.divmod(place[kept], width)
        feature = grid.feature[slot]
        end = np.minimum(end[kept] - i * width, grid.last[feature])
        home = self.home[row[i], feature]
        cell = np.clip(home, slot - grid.first[feature], end - grid.first[feature])
        there = sums[i] + change[kept]
        margin = self.margin(row[i], there)
        stays = (home < 0) | grid.grouped[feature]
        margin[stays] = -np.inf
        height = self.height(row[i], there, margin)
        height[stays] = -np.inf
        here = self.margin(row, sums)
        return here, self.height(row, sums, here), Moves(i, feature, cell, margin, height)

    def _within_one_move(self, row: Ints, cells: Ints, room: Floats) -> Ints:
        """Table of the leaves that points reach unchanged or by moving one feature (see ``_ROW``...)."""
        grid, ensemble = self.cells, self.cells.ensemble
        n_trees = len(ensemble.roots)
        front = np.zeros((6, len(row) * n_trees), dtype=np.intp)
        front[_ROW] = np.repeat(np.arange(len(row)), n_trees)
        front[_TREE] = np.tile(np.arange(n_trees), len(row))
        front[_NODE] = np.tile(ensemble.roots, len(row))
        front[_MOVED] = -1
        leaves = []
        while front.size:
            is_leaf = ensemble.feature[front[_NODE]] < 0
            leaves.append(front[:, is_leaf])
            front = front[:, ~is_leaf]
            i, _, node, moved, first, last = front
            feature, rank = ensemble.feature[node], grid.rank[node]
            cell = cells[i, feature]
            left = self.goes_left(row[i], node, cell)
            free = moved == feature

            ahead = front[:, ~free]
            ahead[_NODE] = np.where(left, ensemble.left[node], ensemble.right[node])[~free]
            able = (moved < 0) & (cell >= 0) & grid.numeric[node] & ~grid.grouped[feature]
            across, to_left, at = front[:, able], ~left[able], node[able]
            across[_NODE] = np.where(to_left, ensemble.left[at], ensemble.right[at])
            across[_MOVED] = feature[able]
            across[_FIRST] = np.where(to_left, grid.reach[0, at], rank[able] + 1)
            across[_LAST] = np.where(to_left, rank[able], grid.reach[1, at])
            # CatBoost's trees have unreachable leaves
            across = across[:, across[_FIRST] <= across[_LAST]]
            # a feature that is free to move may be on both sides
            lower, upper = free & (first <= rank), free & (last > rank)
            down, up = front[:, lower], front[:, upper]
            down[_NODE], down[_LAST] = ensemble.left[node[lower]], np.minimum(last, rank)[lower]
            up[_NODE], up[_FIRST] = ensemble.right[node[upper]], np.maximum(first, rank + 1)[upper]
            aside = np.concatenate([across, down, up], axis=1)
            i, feature = aside[_ROW], aside[_MOVED]
            nearest = np.clip(self.home[row[i], feature], aside[_FIRST], aside[_LAST])
            affordable = self.price(row[i], feature, nearest) <= room[i, feature]
            front = np.concatenate([ahead, aside[:, affordable]], axis=1)
        return np.concatenate(leaves, axis=1)
