"""Decision trees of any library as plain arrays: :class:`TreeEnsemble`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.models._tree_responses import Logits, Response, Shares


@dataclass(frozen=True)
class Tree:
    """One tree's nodes, the root first.

    Attributes
    ----------
    feature : int array of shape (n_nodes,)
        Column that a node splits on; -1 at a leaf.
    threshold : array of shape (n_nodes,)
        A value goes left if it is at most this.
    missing_left : bool array of shape (n_nodes,)
        Whether nan goes left.
    left, right : int arrays of shape (n_nodes,)
        Children.
    value : array of shape (n_nodes, n_sums)
        Contribution of a leaf to the sums.
    in_left : dict of int to array
        For each node that splits by category, the categories that go left.
    """

    feature: NDArray[Any]
    threshold: NDArray[Any]
    missing_left: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    value: NDArray[Any]
    in_left: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)

    def adding_to(self, column: int, n_sums: int, factor: float = 1.0) -> Tree:
        """The tree, which has a single sum, with its values in one column of several."""
        value = np.zeros((len(self.value), n_sums))
        value[:, column] = factor * self.value[:, 0]
        return replace(self, value=value)


@dataclass(frozen=True)
class TreeEnsemble:
    """All nodes of all trees, one tree after another, with the sums of their leaves' values.

    The arrays over nodes are those of :class:`Tree`. There are further attributes:

    Attributes
    ----------
    roots : int array of shape (n_trees,)
        First node of each tree.
    baseline : array of shape (n_sums,)
        Initial value of the sums.
    response : Response
        Scores, probabilities and decisions as functions of the sums.
    dtype : type
        Float type in which the library compares.
    strict : bool
        Whether the library's test is ``x < t``, with values of training data for t; ``threshold`` holds
        the float before t.
    missing : float or array of shape (n_features,)
        Value that counts as nan; nan if there is none.
    missing_within : float
        Distance from ``missing`` within which values count as nan, too.
    category_of : {"", "trunc", "floor"}
        How the library turns a number that is not whole into a category; "" if it is no category.
    categories : dict of int to array of shape (n_categories,)
        Known values of each column by which a node splits into categories.
    category_row : int array of shape (n_nodes,)
        The node's row of ``goes_left``; -1 if it does not split by category.
    goes_left : bool array of shape (n_rows, largest n_categories + 2)
        Which categories of the node's column go left; the last two are unknown categories and nan.
    """

    feature: NDArray[np.intp]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    value: NDArray[np.float64]
    roots: NDArray[np.intp]
    baseline: NDArray[np.float64]
    response: Response
    dtype: type
    strict: bool
    missing: Any
    missing_within: float
    category_of: str
    categories: dict[int, NDArray[np.float64]]
    category_row: NDArray[np.intp]
    goes_left: NDArray[np.bool_]

    @property
    def probabilities(self) -> bool:
        """Whether the sums, divided by the number of trees, are probabilities; otherwise they are logits."""
        return isinstance(self.response, Shares)

    def levels(self) -> Iterator[NDArray[np.intp]]:
        """Nodes at each depth: the roots; then the left children of all splits, then the right ones."""
        nodes = self.roots
        while len(nodes):
            yield nodes
            splits = nodes[self.feature[nodes] >= 0]
            nodes = np.concatenate([self.left[splits], self.right[splits]])

    def is_missing(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Mask of values that count as nan, shape (n_samples, n_features)."""
        if np.isnan(self.missing).all():
            return np.isnan(X)
        low, high = self.missing - self.missing_within, self.missing + self.missing_within
        return np.isnan(X) | ((X >= low) & (X <= high))

    def codes(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Column of ``goes_left`` for each value of a categorical column."""
        codes = np.full(X.shape, self.goes_left.shape[1] - 2)
        for f, known in self.categories.items():
            x = getattr(np, self.category_of)(X[:, f]) if self.category_of else X[:, f]
            equal = x[:, None] == known
            codes[:, f] = np.where(equal.any(axis=1), equal.argmax(axis=1), codes[:, f] + np.isnan(x))
        return codes

    def leaves(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Leaf that each sample reaches in each tree, shape (n_samples, n_trees)."""
        codes = self.codes(X)
        X = X.astype(self.dtype)
        X[self.is_missing(X)] = np.nan
        rows = np.arange(len(X))[:, None]
        nodes = np.tile(self.roots, (len(X), 1))
        while ((feature := self.feature[nodes]) >= 0).any():
            x = X[rows, feature]
            left = np.where(np.isnan(x), self.missing_left[nodes], x <= self.threshold[nodes])
            if self.categories:
                row = self.category_row[nodes]
                left = np.where(row < 0, left, self.goes_left[row, codes[rows, feature]])
            nodes = np.where(feature < 0, nodes, np.where(left, self.left[nodes], self.right[nodes]))
        return nodes

    def sums(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Sums of the leaves' values and the baseline, shape (n_samples, n_sums)."""
        sums: NDArray[np.float64] = self.value[self.leaves(X)].sum(axis=1) + self.baseline
        return sums

    def outputs(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities or logits, shape (n_samples, n_outputs)."""
        sums = self.sums(X)
        return self.response.probability(sums) if self.probabilities else sums

    def predict(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Class index of each sample."""
        return self.response.scores(self.sums(X)).argmax(axis=1)


def join(
    trees: Iterable[Tree],
    *,
    baseline: Any = 0.0,
    response: Response | None = None,
    dtype: type = np.float64,
    strict: bool = False,
    missing: float = np.nan,
    missing_within: float = 0.0,
    categories: Mapping[int, NDArray[np.float64]] | None = None,
    category_of: str = "",
    unknown_left: bool | None = None,
) -> TreeEnsemble:
    """Make an ensemble of trees.

    By default, ``response`` is that of logits, ``categories`` are those that go left at some node, and
    unknown categories go where nan goes (``unknown_left``).
    """
    trees = list(trees)
    sizes = [len(tree.feature) for tree in trees]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    value = np.concatenate([tree.value for tree in trees]).astype(float)
    feature = np.concatenate([tree.feature for tree in trees]).astype(np.intp)
    in_left = {
        root + node: left
        for root, tree in zip(roots, trees, strict=True)
        for node, left in tree.in_left.items()
    }
    known = dict(categories or {})
    for node, left in in_left.items():
        if categories is None:
            known[feature[node]] = np.union1d(known.get(feature[node], []), left)
    missing_left = np.concatenate([tree.missing_left for tree in trees]).astype(bool)
    category_row = np.full(len(feature), -1)
    category_row[list(in_left)] = np.arange(len(in_left))
    width = 2 + max([0, *map(len, known.values())])
    goes_left = np.repeat(missing_left[list(in_left), None], width, axis=1)
    if unknown_left is not None:
        goes_left[:, :-1] = unknown_left
    for row, (node, left) in enumerate(in_left.items()):
        values = known[feature[node]]
        goes_left[row, : len(values)] = np.isin(values, left)
    used = {int(feature[node]) for node in in_left}
    return TreeEnsemble(
        feature,
        np.concatenate([tree.threshold for tree in trees]).astype(float),
        missing_left,
        np.concatenate([tree.left + root for root, tree in zip(roots, trees, strict=True)]),
        np.concatenate([tree.right + root for root, tree in zip(roots, trees, strict=True)]),
        value,
        roots,
        np.broadcast_to(baseline, value.shape[1:]).astype(float),
        Logits() if response is None else response,
        dtype,
        strict,
        missing,
        missing_within,
        category_of,
        {f: known[f] for f in sorted(used)},
        category_row,
        goes_left,
    )
