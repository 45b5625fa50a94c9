"""The grid of cells on which decision trees are constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway.models._tree_arrays import TreeEnsemble

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]


class Cells:
    """Cells of each feature: its values, cut at the thresholds of an ensemble.

    A value lies in cell j of its feature if j thresholds are smaller. The cells of all features, one feature
    after another, are *slots*. In features of whole numbers, each cell contains a whole number. Features of
    one-hot groups are also cut between 0 and 1.

    Parameters
    ----------
    ensemble : TreeEnsemble
        The trees.
    n_features : int
        Number of features.
    dtypes : dtype or sequence of dtype
        Float type of all features, or of each.
    whole : sequence of int, default=()
        Features that hold whole numbers.
    groups : sequence of int arrays, default=()
        Features of each one-hot group.

    Attributes
    ----------
    first, last : int arrays of shape (n_features,)
        Slots of each feature's cell 0 and of its last one.
    feature : int array of shape (n_slots,)
        Feature of each slot.
    bottom, top : arrays of shape (n_slots,)
        Smallest and largest value of each slot, in the coarser float type of the feature's and the library's.
    groups : sequence of int arrays
        As given.
    grouped : bool array of shape (n_features,)
        Whether a feature is in a one-hot group.
    is_empty : bool array of shape (n_slots,)
        Whether all values of a slot count as missing.
    numeric : bool array of shape (n_nodes,)
        Whether a node splits numbers.
    rank : int array of shape (n_nodes,)
        The last cell that goes left there.
    reach : int array of shape (2, n_nodes)
        The first and the last cell of its feature with which a node is reached.
    """

    @np.errstate(over="ignore")  # a threshold, or the float next to it, may be too large for the type
    def __init__(
        self,
        ensemble: TreeEnsemble,
        n_features: int,
        dtypes: Any,
        whole: Sequence[int] | Ints = (),
        groups: Sequence[Ints] = (),
    ) -> None:
        self.ensemble = ensemble
        self.numeric = (ensemble.feature >= 0) & (ensemble.category_row < 0)
        types = [dtypes] * n_features if isinstance(dtypes, (np.dtype, type)) else dtypes
        missing = np.broadcast_to(ensemble.missing, n_features)
        self.groups, self.grouped = groups, np.zeros(n_features, dtype=bool)
        self.grouped[[feature for group in groups for feature in group]] = True
        is_whole = self.grouped.copy()
        is_whole[list(whole)] = True
        self.rank = np.zeros(len(ensemble.threshold), dtype=np.intp)
        self._edges, bottoms, tops = [], [], []
        for f, own in enumerate(types):
            type_ = min(np.dtype(ensemble.dtype), np.dtype(own), key=lambda float_: float_.itemsize).type
            here = self.numeric & (ensemble.feature == f)
            threshold = _at_most(ensemble.threshold[here], type_)
            if is_whole[f]:
                threshold = np.floor(threshold) + type_(0)  # no -0.0
            cut = np.append(threshold, type_(0)) if self.grouped[f] else threshold
            edges, rank = np.unique(cut, return_inverse=True)
            self.rank[here] = rank[: len(threshold)]
            bottom, top = _ends(edges, missing[f], ensemble.missing_within, whole=bool(is_whole[f]))
            self._edges.append(edges)
            bottoms.append(bottom)
            tops.append(top)
        n_cells = np.array([len(edges) + 1 for edges in self._edges])
        self.first, self.last = np.cumsum(n_cells) - n_cells, np.cumsum(n_cells) - 1
        self.feature = np.repeat(np.arange(n_features), n_cells)
        self.bottom, self.top = np.concatenate(bottoms), np.concatenate(tops)
        self.is_empty = self.bottom > self.top

        self._parent = np.full(len(self.rank), -1)
        splits = np.flatnonzero(ensemble.feature >= 0)
        for child in (ensemble.left, ensemble.right):
            self._parent[child[splits]] = splits
        self.reach = np.stack([np.zeros(len(self.rank), dtype=np.intp), n_cells[ensemble.feature] - 1])
        nodes = np.flatnonzero(self.numeric)
        for i, above, left in self._ancestors(nodes):
            same = ensemble.feature[nodes[i]] == ensemble.feature[above]
            _narrow(self.reach, nodes[i[same]], self.rank[above[same]], left[same])

    def of(self, x: NDArray[Any]) -> Ints:
        """Cell of each value, shape (n_samples, n_features); -1 where it is missing."""
        x = x.astype(self.ensemble.dtype)
        cells = np.stack([np.searchsorted(edges, x[:, f]) for f, edges in enumerate(self._edges)], axis=1)
        return np.where(self.ensemble.is_missing(x), -1, cells)

    def boxes(self, leaves: Ints) -> Ints:
        """First and last cells of each feature in leaves, shape (2, n_leaves, n_features)."""
        shape = len(leaves), len(self.first)
        boxes = np.stack([np.zeros(shape, dtype=np.intp), np.tile(self.last - self.first, (shape[0], 1))])
        by_feature = boxes.reshape(2, -1)
        for i, above, left in self._ancestors(leaves):
            _narrow(by_feature, i * shape[1] + self.ensemble.feature[above], self.rank[above], left)
        return boxes

    def _ancestors(self, nodes: Ints) -> Iterator[tuple[Ints, Ints, Bools]]:
        """For each height: positions in ``nodes``, their numeric ancestors, whether left of them."""
        i, below = np.arange(len(nodes)), nodes
        while len(below):
            above = self._parent[below]
            i, below, above = (a[above >= 0] for a in (i, below, above))
            use = self.numeric[above]
            yield i[use], above[use], (self.ensemble.left[above] == below)[use]
            below = above


class Boxes(NamedTuple):
    """Boxes in which all trees are constant.

    Attributes
    ----------
    cells : int array of shape (2, n_boxes, n_features)
        First and last cells of each feature.
    leaves : int array of shape (n_boxes, n_trees)
        The leaf of each tree there.
    sums : array of shape (n_boxes, n_sums)
        Sum of all trees' responses there.
    """

    cells: Ints
    leaves: Ints
    sums: Floats


def joint_boxes(cells: Cells, most: int) -> Boxes | None:
    """Intersections of leaves of all trees; None if boxes times features are more than ``most``.

    Boxes of leaves that intersect pairwise have a common point (Helly's theorem for boxes). For a single
    tree, these are the boxes of its leaves, however many.
    """
    ensemble = cells.ensemble
    leaf = np.flatnonzero(ensemble.feature < 0)
    tree = np.searchsorted(ensemble.roots, leaf, side="right") - 1
    own = [leaf[tree == k] for k in range(len(ensemble.roots))]
    joint, leaves = cells.boxes(own[0]), own[0][:, None]
    # a leaf is unreachable if no number of the feature's type lies between its thresholds
    there = (joint[0] <= joint[1]).all(axis=1)
    joint, leaves = joint[:, there], leaves[there]
    most = most // len(cells.first)
    for more in own[1:]:
        if len(leaves) > most:
            return None
        boxes, n_met, met = cells.boxes(more), 0, []
        for i, one in enumerate(more):
            both = np.stack([np.maximum(joint[0], boxes[0, i]), np.minimum(joint[1], boxes[1, i])])
            there = (both[0] <= both[1]).all(axis=1)
            met.append((both[:, there], np.pad(leaves[there], [(0, 0), (0, 1)], constant_values=one)))
            n_met += int(there.sum())
            if n_met > most:
                return None
        joint = np.concatenate([boxes for boxes, _ in met], axis=1)
        leaves = np.concatenate([both for _, both in met])
    return Boxes(joint, leaves, ensemble.value[leaves].sum(axis=1) + ensemble.baseline)


def _at_most(numbers: Floats, type_: Any) -> NDArray[Any]:
    """Numbers rounded down to a float type."""
    rounded = numbers.astype(type_)
    return np.where(rounded > numbers, np.nextafter(rounded, type_(-np.inf)), rounded)


def _ends(edges: NDArray[Any], missing: float, within: float, *, whole: bool) -> tuple[Floats, Floats]:
    """Smallest and largest value, or whole number, between edges, in their float type."""
    type_ = edges.dtype.type
    up, down = type_(np.inf), type_(-np.inf)
    after = np.nextafter(edges, up)
    if whole:
        after = np.maximum(after, edges + type_(1))
    bottom, top = np.append(down, after), np.append(edges, up)
    # leave out the number that stands for a missing value
    first, last = type_(missing - within), type_(missing + within)
    bottom = np.where((bottom >= first) & (bottom <= last), np.nextafter(last, up), bottom)
    top = np.where((top >= first) & (top <= last), np.nextafter(first, down), top)
    if whole:
        bottom, top = np.ceil(bottom), np.floor(top)
    return bottom.astype(float), top.astype(float)


def _narrow(interval: Ints, where: Ints, rank: Ints, left: Bools) -> None:
    """Cut intervals (2, n) of cells to one side of splits, in place."""
    first, last = interval[:, where]
    interval[0, where] = np.where(left, first, np.maximum(first, rank + 1))
    interval[1, where] = np.where(left, np.minimum(last, rank), last)
