"""One-hot groups on the cells of trees: a change of category moves two columns at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skhalfway._blocks import blocks
from skhalfway.attacks._tree_cells import Bools, Cells, Floats, Ints

if TYPE_CHECKING:
    from skhalfway.attacks._tree_moves import TreeTask


class Switches(NamedTuple):
    """Changes of category: position of the row, number of the category, margin and height there, costs.

    ``dearer`` is the rise of the group's cost, and ``total`` the cost of the whole point.
    """

    row: Ints
    category: Ints
    margin: Floats
    height: Floats
    dearer: Floats
    total: Floats


class Groups:
    """One-hot groups of columns. The categories of all groups are numbered consecutively.

    Attributes
    ----------
    columns : list of int array
        Columns of each group.
    first : int array of shape (n_groups,)
        Number of each group's first category.
    patterns : list of int arrays of shape (n_categories, n_categories)
        For each group, the cells of its columns in each category.
    """

    def __init__(self, cells: Cells, columns: Sequence[Ints]) -> None:
        self.columns = list(columns)
        sizes = [len(group) for group in self.columns]
        self.first = np.cumsum([0, *sizes])[:-1]
        self.of = np.repeat(np.arange(len(sizes)), sizes)
        n_features = len(cells.first)
        zero, one = cells.of(np.zeros((1, n_features)))[0], cells.of(np.ones((1, n_features)))[0]
        self.patterns = [
            np.where(np.eye(len(group), dtype=bool), one[group], zero[group]) for group in self.columns
        ]

    def __len__(self) -> int:
        return len(self.columns)

    def put(self, at: Ints, rows: Ints, categories: Ints) -> None:
        """Give rows of cells these categories, in place."""
        for g, columns in enumerate(self.columns):
            here = self.of[categories] == g
            at[rows[here, None], columns] = self.patterns[g][categories[here] - self.first[g]]

    def chosen(self, at: Ints) -> list[Ints]:
        """The category of each row of cells, for each group, counted from its first."""
        return [
            (at[:, None, columns] == pattern).all(axis=2).argmax(axis=1)
            for columns, pattern in zip(self.columns, self.patterns, strict=True)
        ]

    def prices(self, task: TreeTask, row: Ints, group: int) -> Floats:
        """Cost of each category of a group, (n_rows, n_categories, n_columns)."""
        return task.price(row[:, None, None], self.columns[group], self.patterns[group])

    def cheapest(self, task: TreeTask, rows: Ints, boxes: Ints, group: int) -> tuple[Ints, Floats]:
        """The cheapest category that each box allows, and its price, both (n_rows, n_boxes).

        ``boxes`` are first and last cells (2, n_boxes, n_features).
        """
        columns, pattern = self.columns[group], self.patterns[group]
        first, last = boxes[:, :, None, columns]
        allowed = ((pattern >= first) & (pattern <= last)).all(axis=2)
        price = task.total(self.prices(task, rows, group))[:, None]
        price = np.where(allowed, price, np.inf)
        best = price.argmin(axis=2)
        return best, np.take_along_axis(price, best[:, :, None], axis=2)[:, :, 0]

    def switches(self, task: TreeTask, row: Ints, cells: Ints, prices: Floats, limit: Floats) -> Switches:
        """All changes of category within the limit, from points given by their cells."""
        found: list[tuple[Ints, Ints, Floats, Floats]] = []
        for g, (columns, now) in enumerate(zip(self.columns, self.chosen(cells), strict=True)):
            others = np.delete(prices, columns, axis=1)
            others = np.hstack([others, np.zeros((len(row), 1))])
            there = task.total(self.prices(task, row, g))
            total = task.with_rest(task.total(others)[:, None], there)
            dearer = there - task.total(prices[:, columns])[:, None]
            i, category = np.nonzero(total <= limit[:, None])
            other = category != now[i]
            i, category = i[other], category[other]
            found.append((i, self.first[g] + category, dearer[i, category], total[i, category]))
        i, category, dearer, total = (np.concatenate(parts) for parts in zip(*found, strict=True))
        margin, height = np.empty(len(i)), np.empty(len(i))
        ensemble = task.cells.ensemble
        for block in blocks(len(i), cells.shape[1] + len(ensemble.roots)):
            moved, of = cells[i[block]], row[i[block]]
            self.put(moved, np.arange(len(moved)), category[block])
            sums = ensemble.sums(task.points(moved, of))
            margin[block] = task.margin(of, sums)
            height[block] = task.height(of, sums, margin[block])
        return Switches(i, category, margin, height, dearer, total)

    def enter(
        self, task: TreeTask, row: Ints, cells: Ints, prices: Floats, at: Ints, feature: Ints, limit: Floats
    ) -> Bools:
        """Change the categories of points at positions ``at``, within limits; return where that was done.

        The new category is that of a grouped feature, or, if the point has it already, the sample's own.
        Cells and prices change in place.
        """
        done = np.zeros(len(at), dtype=bool)
        for columns, pattern in zip(self.columns, self.patterns, strict=True):
            here = np.flatnonzero(np.isin(feature, columns))
            each, place = np.arange(len(here)), (feature[here, None] == columns).argmax(axis=1)
            left = cells[at[here][:, None], columns][each, place] == pattern[place, place]
            own = (task.home[row[here]][:, None, columns] == pattern).all(axis=2).argmax(axis=1)
            goal = np.where(left, own, place)
            price = task.price(row[here, None], columns, pattern[goal])
            others = prices[at[here]]
            others[:, columns] = 0.0
            total = task.with_rest(task.total(others), task.total(price))
            done[here] = within = (total <= limit[here]) & ~(left & (own == place))
            changed = at[here[within], None], columns
            cells[changed], prices[changed] = pattern[goal[within]], price[within]
        return done

    def together(self, task: TreeTask, values: Floats) -> Floats:
        """Prices of features, with each group's price on its first column and 0 on its others."""
        values = values.copy()
        for columns in self.columns:
            values[:, columns[0]] = task.total(values[:, columns])
            values[:, columns[1:]] = 0.0
        return values

    def as_first(self, kept: Bools) -> Bools:
        """Copy the value of each group's first column to all of its columns, in place."""
        for columns in self.columns:
            kept[:, columns] = kept[:, columns[:1]]
        return kept
