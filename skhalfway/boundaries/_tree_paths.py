"""Where predictions of decision trees may first change on a path: all splits that the path meets are known.

A path goes through boxes of leaves, and the sums of an ensemble are constant between two neighbouring splits,
so that no stretch is too narrow to be found. The trees only determine where to query the model; the model's
own predictions decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway.models import Model
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._tree_arrays import TreeEnsemble
from skhalfway.models._tree_input import trees_of

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# share of a path's length: narrower stretches cannot be distinguished from rounding of the points
_NARROWEST = 1e-9
# lead of a class that rounding of the sums can cause, as a share of the sums
_ROUNDING = 1e-9
# approximate number of a tree's leaves on a path, which determines how many pairs are processed at once
_LEAVES = 16


@dataclass(frozen=True)
class Stretches:
    """Parts of paths on which the prediction of trees differs, or may differ, from that at the beginning.

    Attributes
    ----------
    pair : int array of shape (n_stretches,)
        Number of the path; ascending.
    begin, end : arrays of shape (n_stretches,)
        Ends of the stretch, as shares of the path; ascending within a pair.
    """

    pair: Ints
    begin: Floats
    end: Floats


def trees_on(model: Model, A: NDArray[np.floating]) -> TreeEnsemble | None:
    """The trees that a model is made of, over the columns of A; None for any other model.

    It is also None if a column is a category.
    """
    if A.ndim != 2 or A.dtype.kind != "f":
        return None
    try:
        ensemble, made, held = trees_of(model, A)
    except NotDifferentiableError:
        return None
    return None if made.shape[1] or held.any() or ensemble.categories else ensemble


def other_stretches(ensemble: TreeEnsemble, A: Floats, B: Floats, start: Ints, until: Floats) -> Stretches:
    """Stretches, before ``until`` on each path, on which trees predict a class other than ``start``.

    Ties are included. There are none on a path if the trees do not predict ``start`` at its beginning.
    """
    n_values = len(ensemble.roots) * _LEAVES * ensemble.value.shape[1]
    found: list[Stretches] = []
    for part in blocks(len(A), n_values):
        one = _in_block(ensemble, A[part], B[part], start[part], until[part])
        found.append(Stretches(one.pair + part.start, one.begin, one.end))
    arrays = ([getattr(one, name) for one in found] for name in ("pair", "begin", "end"))
    pair, begin, end = (np.concatenate(values) for values in arrays)
    return Stretches(pair, begin, end)


def _in_block(ensemble: TreeEnsemble, A: Floats, B: Floats, start: Ints, until: Floats) -> Stretches:
    pair, leaf, begin, end = _leaves(ensemble, A, B, until)
    # a leaf's values are added where it begins and subtracted where it ends, so that the sum is 0 after the
    # last end of a path, and all paths can be processed as one
    pair, at = np.concatenate([pair, pair]), np.concatenate([begin, end])
    order = np.lexsort([at, pair])
    leaf = np.concatenate([leaf, leaf])[order]
    sign = np.where(order < len(begin), 1.0, -1.0)[:, None]
    pair, at = pair[order], at[order]
    # several splits at one place change the prediction together
    last = np.flatnonzero((np.diff(at) > _NARROWEST) & (np.diff(pair) == 0))
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    sums = np.cumsum(sign * ensemble.value[leaf], axis=0)[last] + ensemble.baseline
    scores = ensemble.response.scores(sums)
    own, rows = start[pair[last]], np.arange(len(last))
    others = scores.copy()
    others[rows, own] = -np.inf
    lead = scores[rows, own] - others.max(axis=1)
    close = _ROUNDING * np.maximum(1.0, np.abs(scores).max(axis=1))
    # on the first stretch of a path, the prediction is that at its beginning
    is_first = np.zeros(len(at), dtype=bool)
    is_first[first] = True
    opening = at[last] <= at[first][np.cumsum(is_first)[last] - 1]
    trusted = np.ones(len(A), dtype=bool)
    trusted[pair[last][opening & (lead < -close)]] = False
    other = (lead <= close) & ~opening & trusted[pair[last]]
    return Stretches(pair[last][other], at[last][other], at[last + 1][other])


def _leaves(ensemble: TreeEnsemble, A: Floats, B: Floats, until: Floats) -> tuple[Ints, Ints, Floats, Floats]:
    """Pair, leaf, begin and end, for all leaves of all trees that paths go through."""
    way = B - A
    n_trees = len(ensemble.roots)
    pair: Ints = np.repeat(np.arange(len(A)), n_trees)
    node: Ints = np.tile(ensemble.roots, len(A))
    low: Floats = np.zeros(len(pair))
    high: Floats = np.repeat(until, n_trees)
    at_missing = ensemble.is_missing(A)
    done: list[tuple[Ints, Ints, Floats, Floats]] = []
    while len(node):
        feature = ensemble.feature[node]
        leaf = feature < 0
        done.append((pair[leaf], node[leaf], low[leaf], high[leaf]))
        pair, node, low, high = pair[~leaf], node[~leaf], low[~leaf], high[~leaf]
        feature = feature[~leaf]
        a, w, threshold = A[pair, feature], way[pair, feature], ensemble.threshold[node]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            split = (threshold - a) / w
        # a constant column goes to one side, and its value may mean missing
        stays = np.where(at_missing[pair, feature], ensemble.missing_left[node], a <= threshold)
        rises = w >= 0
        split = np.where(w == 0, np.where(stays, np.inf, -np.inf), split)
        before, after = split > low, split < high
        near = np.where(rises, ensemble.left[node], ensemble.right[node])
        far = np.where(rises, ensemble.right[node], ensemble.left[node])
        middle = np.clip(split, low, high)
        node = np.concatenate([near[before], far[after]])
        pair = np.concatenate([pair[before], pair[after]])
        low, high = (
            np.concatenate([low[before], middle[after]]),
            np.concatenate([middle[before], high[after]]),
        )
    pairs, leaves, begins, ends = zip(*done, strict=True)
    return np.concatenate(pairs), np.concatenate(leaves), np.concatenate(begins), np.concatenate(ends)
