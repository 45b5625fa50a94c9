"""Trees that are stored as nested dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skhalfway.models._tree_arrays import Tree


def nested_tree(root: Any, children: tuple[str, str], read: Callable[[Any], tuple[Any, ...]]) -> Tree:
    """The tree below a node; ``read`` returns a node's feature, threshold, missing_left, value, in_left."""
    nodes: list[Any] = [root]
    left, right = [], []
    for node in nodes:  # the list grows during the loop
        leaf = children[0] not in node
        left.append(-1 if leaf else len(nodes))
        right.append(-1 if leaf else len(nodes) + 1)
        if not leaf:
            nodes += [node[side] for side in children]
    feature, threshold, missing_left, value, in_left = zip(*map(read, nodes), strict=True)
    return Tree(
        np.array(feature),
        np.array(threshold),
        np.array(missing_left),
        np.array(left),
        np.array(right),
        np.array([np.atleast_1d(v) for v in _filled(value)]),
        {i: v for i, v in enumerate(in_left) if v is not None},
    )


def _filled(values: tuple[Any, ...]) -> list[Any]:
    """Values in which zeros, in the shape of the others, replace None."""
    shape = np.shape(next(value for value in values if value is not None))
    return [np.zeros(shape) if value is None else value for value in values]
