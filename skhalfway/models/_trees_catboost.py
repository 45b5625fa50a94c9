"""CatBoost's trees as arrays.

CatBoost compares 32-bit floats. Missing values go to one side of all splits on a column; a border at the end
of the 32-bit range separates them from all numbers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.models._nested_trees import nested_tree
from skhalfway.models._tree_arrays import Tree, TreeEnsemble, join
from skhalfway.models._tree_parsers import refusal
from skhalfway.models._tree_responses import Logits


def catboost(estimator: Any) -> TreeEnsemble:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        model = json.loads(path.read_text())
    scale, baseline = model["scale_and_bias"]
    info = model["features_info"]
    if set(info) != {"float_features"}:
        raise refusal(estimator, "features that are not numbers")
    flat = {f["feature_index"]: f["flat_feature_index"] for f in info["float_features"]}
    nan_left = {f["feature_index"]: f["nan_value_treatment"] != "AsTrue" for f in info["float_features"]}

    def split(of: Any) -> tuple[Any, ...]:
        f, border = of["float_feature_index"], of["border"]
        end = abs(border) >= np.finfo(np.float32).max
        return flat[f], np.copysign(np.inf, border) if end else border, nan_left[f]

    def read(node: Any) -> tuple[Any, ...]:
        if "split" in node:
            return *split(node["split"]), None, None
        return -1, np.nan, False, node["value"], None

    if "trees" in model:
        trees = [nested_tree(tree, ("left", "right"), read) for tree in model["trees"]]
    else:
        trees = [
            _oblivious_tree(list(map(split, tree["splits"] or [])), np.array(tree["leaf_values"]))
            for tree in model["oblivious_trees"]
        ]
    trees = [replace(tree, value=scale * tree.value) for tree in trees]
    shift = 0.0
    if trees[0].value.shape[1] == 1:
        # predict uses this threshold for the probability of the second class
        threshold = estimator.get_probability_threshold()
        shift = float(np.log(threshold / (1 - threshold)))
    one_vs_rest = model["model_info"]["params"]["loss_function"]["type"] == "MultiClassOneVsAll"
    response = Logits(shift=shift, one_vs_rest=one_vs_rest)
    return join(trees, baseline=np.subtract(baseline, shift), response=response, dtype=np.float32)


def _oblivious_tree(splits: list[tuple[Any, ...]], values: NDArray[Any]) -> Tree:
    """A tree with one split at each depth, the first of which is the lowest bit of a leaf's number."""
    depth = len(splits)
    # nodes in order of depth, from left to right: the root's split is the highest bit
    at = np.repeat(np.arange(depth), 2 ** np.arange(depth))
    feature, threshold, missing_left = (
        np.array([split[i] for split in reversed(splits)])[at] for i in range(3)
    )
    n_leaves, inner = 2**depth, np.arange(2**depth - 1)
    leaf = np.full(n_leaves, -1)
    values = values.reshape(n_leaves, -1)
    return Tree(
        np.concatenate([feature, leaf]),
        np.concatenate([threshold, np.full(n_leaves, np.nan)]),
        np.concatenate([missing_left, leaf < -1]),
        np.concatenate([2 * inner + 1, leaf]),
        np.concatenate([2 * inner + 2, leaf]),
        np.concatenate([np.zeros((len(inner), values.shape[1])), values]),
    )
