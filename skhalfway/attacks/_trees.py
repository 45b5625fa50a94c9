"""The nearest adversarial points of decision trees: exact for one tree, a local search for many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._parallel import pause
from skhalfway._streams import Streams
from skhalfway.attacks._tree_cells import Bools, Boxes, Cells, Floats, Ints, joint_boxes
from skhalfway.attacks._tree_moves import TreeTask
from skhalfway.models._tree_arrays import TreeEnsemble

# largest blocks: trees times samples, and leaves times features times samples
_TREES_AT_ONCE, _BOXES_AT_ONCE = 2**15, 2**22
# largest number of joint boxes of several trees, times features, for which the exact nearest is found
_BOXES = 2**18
# fewer trees than this make a search so fast that more searches are made
_FEW = 30
# random points that are drawn if the search from a sample finds nothing
_N_DRAWN = 1000


def nearest_adversarial(
    ensemble: TreeEnsemble,
    predict: Callable[[NDArray[Any]], NDArray[Any]],
    x: NDArray[Any],
    labels: Ints,
    norm: float,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    *,
    unit: ArrayLike = 1.0,
    types: Sequence[np.dtype[Any]] | None = None,
    whole: Ints | Sequence[int] = (),
    groups: Sequence[Ints] = (),
    targeted: bool = False,
    streams: Streams | None = None,
    pool: NDArray[Any] | None = None,
    n_starts: int = 10,
) -> tuple[NDArray[Any], Bools]:
    """Search for the points nearest to samples that trees classify differently.

    The result is exact for a single tree, and for several trees whose leaves' boxes have few intersections:
    it is the nearest point of all boxes in which every tree is constant. For more trees, it is found by local
    search.

    The local search changes one feature at a time, and knows the exact scores of all changes. A change moves
    one or more trees to another leaf, as in Zhang, Zhang and Hsieh, An Efficient Adversarial Attack for Tree
    Ensembles (2020), section 3, who move by leaves. Beginning at the sample, it makes the change of the
    largest gain of margin for its price, until the point is adversarial. Then it starts again with a lower
    limit of price, from a random part of the best change, moved into a random leaf of a random tree. (This
    large neighbourhood search is our own addition.)

    Parameters
    ----------
    ensemble : TreeEnsemble
        The trees.
    predict : callable
        Function that predicts class indices of rows. These predictions decide whether a point is adversarial.
    x : array of shape (n_samples, n_features)
        Samples. Missing values and categories stay as they are.
    labels : int array of shape (n_samples,)
        Class indices to leave or, where ``targeted``, to reach.
    norm : {np.inf, 2, 1}
        Norm of distances.
    low, high : array-like that broadcasts to x, default=-np.inf, np.inf
        Bounds; x lies between them.
    unit : array-like that broadcasts to (n_features,), or of x's shape, default=1.0
        Divisor of the change of each feature in the norm.
    types : sequence of dtype, default=None
        Float type of each feature; only its values are considered. None is x's.
    whole : int array, default=()
        Features that hold whole numbers.
    groups : sequence of int arrays, default=()
        Features of each one-hot group, which change as a whole: none of them counts as missing where it is
        0 or 1, nor is split by category.
    targeted : bool, default=False
        Whether ``labels`` are to be reached.
    streams : Streams, default=None
        Random numbers of each sample, for all starts but the first. None has seed 0.
    pool : array of shape (n_others, n_features), default=None
        Samples to begin at if the search from a sample finds nothing. None is ``x``.
    n_starts : int, default=10
        Number of searches without a nearer result, after which it stops. For fewer than 30 trees there are
        proportionally more, as each takes less time. Exact results need no search.

    Returns
    -------
    x_adv : array of shape (n_samples, n_features)
        Adversarial points in x's float type; the sample itself if it is one, or if none was found.
    found : bool array of shape (n_samples,)
        Samples for which ``predict`` is fooled.
    """
    x_adv, pool = x.copy(), x if pool is None else pool
    streams = Streams(0, np.arange(len(x))) if streams is None else streams
    found = (predict(x) == labels) == targeted
    low, high = (np.broadcast_to(np.asarray(bound, dtype=float), x.shape) for bound in (low, high))
    units = np.asarray(unit, dtype=float)
    units = units if units.ndim == 2 else np.broadcast_to(units, x.shape[1:])
    cells = Cells(ensemble, x.shape[1], x.dtype if types is None else types, whole, groups)
    left = np.flatnonzero(~found)
    boxes = joint_boxes(cells, _BOXES)
    size = max(1, _TREES_AT_ONCE // len(ensemble.roots))
    for begin in range(0, len(left), size):
        rows = left[begin : begin + size]
        own = units[rows] if units.ndim == 2 else units
        task = TreeTask(cells, x[rows], labels[rows], norm, low[rows], high[rows], own, targeted)
        at = (
            _search(task, streams.take(rows), n_starts, pool)
            if boxes is None
            else _nearest_boxes(task, boxes)
        )
        points = task.points(at)
        fooled = (predict(points) == labels[rows]) == targeted
        x_adv[rows[fooled]], found[rows] = points[fooled], fooled
    return x_adv, found


def _nearest_boxes(task: TreeTask, boxes: Boxes) -> Ints:
    """Nearest cells in the boxes with an adversarial class; the sample's own if there are none."""
    at, groups = task.home.copy(), task.groups
    features = np.arange(task.home.shape[1])
    size = max(1, _BOXES_AT_ONCE // boxes.cells[0].size)
    for begin in range(0, len(at), size):
        pause()
        rows = np.arange(begin, min(begin + size, len(at)))
        row, box = np.indices((len(rows), len(boxes.sums))).reshape(2, -1)
        margin = task.margin(rows[row], boxes.sums[box])
        near = np.clip(task.home[rows, None], *boxes.cells)
        prices = task.price(rows[:, None, None], features, near)
        choices = [groups.cheapest(task, rows, boxes.cells, g) for g in range(len(groups))]
        if len(groups):
            prices[:, :, task.cells.grouped] = 0.0
            prices = np.concatenate([prices, *(cost[:, :, None] for _, cost in choices)], axis=2)
        price = task.total(prices)
        is_open = _is_open(task, rows)[:, boxes.leaves].all(axis=2)
        price[(margin.reshape(price.shape) <= task.enough) | ~is_open] = np.inf
        nearest = price.argmin(axis=1)
        reached = np.isfinite(price[np.arange(len(rows)), nearest])
        at[rows[reached]] = near[reached, nearest[reached]]
        for g, (choice, _) in enumerate(choices):
            groups.put(at, rows[reached], groups.first[g] + choice[reached, nearest[reached]])
    return at


def _is_open(task: TreeTask, rows: Ints) -> Bools:
    """Whether samples can reach nodes, given their missing values and categories."""
    ensemble = task.cells.ensemble
    is_open = np.ones((len(rows), len(ensemble.feature)), dtype=bool)
    for nodes in ensemble.levels():
        splits = nodes[ensemble.feature[nodes] >= 0]
        home = task.home[rows[:, None], ensemble.feature[splits]]
        left = task.goes_left(rows[:, None], splits, home)
        free = task.cells.numeric[splits] & (home >= 0)
        is_open[:, ensemble.left[splits]] = is_open[:, splits] & (free | left)
        is_open[:, ensemble.right[splits]] = is_open[:, splits] & (free | ~left)
    return is_open


def _search(task: TreeTask, streams: Streams, n_starts: int, pool: NDArray[Any]) -> Ints:
    """Nearest adversarial cells that local searches find; the sample's own if there are none."""
    groups, (n, n_features) = task.groups, task.home.shape
    at, best = task.home.copy(), task.home.copy()
    # price of the best point, and limit for the next: finite, as the price outside the bounds is infinite
    record, limit = np.full(n, np.inf), np.full(n, np.finfo(float).max)
    n_failed = np.zeros(n, dtype=int)
    better, sent = np.zeros((2, n), dtype=bool)
    n_starts = n_starts * max(1, _FEW // len(task.cells.ensemble.roots))
    height = np.full(n, -np.inf)
    row = np.arange(n)
    while len(row):
        pause()
        prices = task.prices(row, at[row])
        spent, rest = task.total(prices), task.rest(prices)
        margin, climbed, moves = task.moves(row, at[row], task.room(rest, limit[row]))
        i, feature, cell, margin_there, climbed_there = moves
        price = task.price(row[i], feature, cell)
        total = task.with_rest(rest[i, feature], price)
        dearer = price - prices[i, feature]
        if len(groups):
            changes = groups.switches(task, row, at[row], prices, limit[row])
            # categories are numbered after the features
            switched = n_features + changes.category
            order = np.concatenate([i, changes.row]).argsort(kind="stable")
            i, feature, cell, margin_there, climbed_there, dearer, total = (
                np.concatenate(pair)[order]
                for pair in (
                    (i, changes.row),
                    (feature, switched),
                    (cell, np.zeros_like(switched)),
                    (margin_there, changes.margin),
                    (climbed_there, changes.height),
                    (dearer, changes.dearer),
                    (total, changes.total),
                )
            )
        within = total <= limit[row[i]]
        crossing = _largest(i, np.where(within & (margin_there > task.enough), -total, -np.inf), len(row))
        gain = climbed_there - climbed[i]
        dearer = np.maximum(dearer, 1e-12)
        step = _largest(i, np.where(within & (gain > 1e-8), gain / dearer, -np.inf), len(row))

        across = (margin > task.enough) & (spent <= limit[row])
        crosses = (crossing >= 0) & ~(across & (spent <= total[crossing]))
        # a step has to raise the height; if only rounding made it seem so, the search is stuck
        rises = climbed > height[row]
        height[row] = climbed
        move = np.where(crosses, crossing, np.where(across | ~rises, -1, step))
        moved = move >= 0
        which, rows = move[moved], row[moved]
        alone = feature[which] < n_features
        at[rows[alone], feature[which[alone]]] = cell[which[alone]]
        groups.put(at, rows[~alone], feature[which[~alone]] - n_features)
        won = crosses | across
        record[row[won]] = np.where(crosses, total[crossing], spent)[won]
        best[row[won]] = at[row[won]]
        better[row[won]], height[row[won]] = True, -np.inf
        limit[row[won]] = np.nextafter(record[row[won]] * (1 - 1e-9), -np.inf)

        stuck = row[~won & ~moved]
        lost, stuck = stuck[np.isinf(record[stuck])], stuck[np.isfinite(record[stuck])]
        n_failed[stuck] += ~better[stuck]
        better[stuck] = False
        finished = n_failed[stuck] >= n_starts
        row = np.setdiff1d(row, np.concatenate([stuck[finished], lost[sent[lost]]]))
        for one in lost[~sent[lost]]:
            at[one] = _elsewhere(task, one, pool, streams)
        sent[lost] = True
        height[lost], height[stuck] = -np.inf, -np.inf
        stuck = stuck[~finished]
        limit[stuck] = np.nextafter(record[stuck] * (1 - streams.uniform(stuck) ** 2 / 2), -np.inf)
        at[stuck] = _another_start(task, stuck, best[stuck], limit[stuck], streams)
    return best


def _another_start(task: TreeTask, row: Ints, cells: Ints, limit: Floats, streams: Streams) -> Ints:
    """Start from a random part of the changes, within a random share of a limit, in a leaf of a tree."""
    prices, order = task.groups.together(task, task.prices(row, cells)), streams.uniform(row, cells.shape[1])
    share = streams.uniform(row, 1)
    if task.norm == np.inf:
        kept = (prices <= limit[:, None]) & (order < share)
    else:
        ranked = order.argsort(axis=1)
        paid = np.take_along_axis(prices, ranked, axis=1).cumsum(axis=1)
        kept = np.empty(cells.shape, dtype=bool)
        np.put_along_axis(kept, ranked, paid <= share * limit[:, None], axis=1)
    part = np.where(task.groups.as_first(kept), cells, task.home[row])
    return _into_leaves(task, row, part, limit, streams)


def _into_leaves(task: TreeTask, row: Ints, cells: Ints, limit: Floats, streams: Streams) -> Ints:
    """Move each point into a random leaf of one tree, among those within a limit of price."""
    grid, ensemble = task.cells, task.cells.ensemble
    at, prices, i = cells.copy(), task.prices(row, cells), np.arange(len(row))
    node = ensemble.roots[streams.integers(row, len(ensemble.roots))]
    while len(inner := i[ensemble.feature[node] >= 0]):
        here, r = node[inner], row[inner]
        feature = ensemble.feature[here]
        cell = at[inner, feature]
        left = task.goes_left(r, here, cell)
        first = np.where(left, grid.rank[here] + 1, grid.reach[0, here])
        last = np.where(left, grid.reach[1, here], grid.rank[here])
        there = np.clip(task.home[r, feature], first, last)
        price = task.price(r, feature, there)
        total = task.with_rest(task.rest(prices[inner])[np.arange(len(inner)), feature], price)
        across = (cell >= 0) & grid.numeric[here] & (total <= limit[inner]) & (first <= last)
        across &= streams.uniform(row[inner]) < 0.5
        grouped = np.flatnonzero(across & grid.grouped[feature])
        moved = inner[grouped]
        across[grouped] = task.groups.enter(
            task, r[grouped], at, prices, moved, feature[grouped], limit[moved]
        )
        alone = across & ~grid.grouped[feature]
        one = inner[alone], feature[alone]
        at[one], prices[one] = there[alone], price[alone]
        node[inner] = np.where(left ^ across, ensemble.left[here], ensemble.right[here])
    return at


def _elsewhere(task: TreeTask, row: int, pool: NDArray[Any], streams: Streams) -> Ints:
    """Cells of the nearest adversarial point among a pool and random points, or else the sample's."""
    grid, ensemble = task.cells, task.cells.ensemble
    share = streams.uniform(np.array([row]), _N_DRAWN, len(grid.first))[0]
    slot = grid.first + (share * (grid.last - grid.first + 1)).astype(int)
    drawn = np.where(np.isfinite(grid.top[slot]), grid.top[slot], grid.bottom[slot])
    for columns in task.groups.columns:
        category = (share[:, columns[0]] * len(columns)).astype(int)
        drawn[:, columns] = np.arange(len(columns)) == category[:, None]
    points = np.concatenate([pool, drawn.astype(pool.dtype)])
    stays = (task.home[row] < 0) | np.isin(np.arange(pool.shape[1]), list(ensemble.categories))
    points = np.where(stays | np.isnan(points), task.x[row], points.clip(task.low[row], task.high[row]))
    points = points.astype(pool.dtype)
    for columns in task.groups.columns:
        none = points[:, columns].sum(axis=1) != 1  # clipped to the bounds, no category may be left
        points[np.ix_(none, columns)] = task.x[row, columns]
    cells = np.where(stays, task.home[row], grid.of(points))
    rows = np.full(len(points), row)
    margin = task.margin(rows, ensemble.sums(points))
    price = task.total(task.prices(rows, cells))
    price[margin <= task.enough] = np.inf
    nearest = price.argmin()
    return cells[nearest] if np.isfinite(price[nearest]) else task.home[row]


def _largest(group: Ints, value: Floats, n_groups: int) -> Ints:
    """Position of each group's largest value, -1 if that is -inf; groups are sorted, and none is empty."""
    starts = np.searchsorted(group, np.arange(n_groups))
    largest = np.maximum.reduceat(value, starts)
    reached = np.flatnonzero(value == largest[group])
    return np.where(np.isinf(largest), -1, reached[np.searchsorted(reached, starts)])
