"""XGBoost's trees as arrays.

XGBoost compares 32-bit floats, and strictly: ``x < t`` goes left. A missing value (``nan``, or the number
given as ``missing``) goes in the default direction. At a split by category, the listed categories go right,
and unknown, negative or too large ones left; a number counts as the whole number below it.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import category_codes
from skhalfway._text import shown
from skhalfway.models._tree_arrays import Tree, TreeEnsemble, join
from skhalfway.models._tree_parsers import refusal
from skhalfway.models._tree_responses import Logits

_OBJECTIVES = ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax")


def xgboost(estimator: Any) -> TreeEnsemble:
    """Arrays of an XGBClassifier or of a Booster."""
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    if "best_iteration" in booster.attributes() and booster is not estimator:
        # the classifier's predict uses the best iteration, too
        booster = booster[: booster.best_iteration + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    kind, objective = learner["gradient_booster"]["name"], learner["objective"]["name"]
    if kind not in ("gbtree", "dart"):
        raise refusal(estimator, f"booster={shown(kind)}")
    if objective not in _OBJECTIVES:
        raise refusal(estimator, f"objective={shown(objective)}")
    base_score = np.atleast_1d(json.loads(learner["learner_model_param"]["base_score"])).astype(float)
    n_sums = max(1, int(learner["learner_model_param"]["num_class"]))
    model = learner["gradient_booster"]
    weights = model.get("weight_drop")
    model = model.get("gbtree", model)["model"]
    known = _categories(estimator, learner, model)
    trees = []
    for i, (k, nodes) in enumerate(zip(model["tree_info"], model["trees"], strict=True)):
        if int(nodes["tree_param"]["size_leaf_vector"]) > 1:
            raise refusal(estimator, "multi_strategy='multi_output_tree'")
        left = np.array(nodes["left_children"])
        condition = np.array(nodes["split_conditions"], dtype=np.float32)
        tree = Tree(
            np.where(left < 0, -1, nodes["split_indices"]),
            np.nextafter(condition, np.float32(-np.inf)),
            np.array(nodes["default_left"]),
            left,
            np.array(nodes["right_children"]),
            condition[:, None],
            {
                node: np.delete(known[nodes["split_indices"][node]], right)
                for node, right in _splits_by_category(nodes)
            },
        )
        trees.append(tree.adding_to(k, n_sums, 1.0 if weights is None else weights[i]))
    if objective == "binary:logitraw":
        # the classifier treats these scores as probabilities, and predicts by a threshold of 0.5
        baseline: Any = base_score - 0.5
        response = Logits(why_no_probability="objective='binary:logitraw' gives no probabilities")
    else:
        # one of the objectives stores it as a probability
        baseline = np.log(base_score / (1 - base_score)) if objective == "binary:logistic" else base_score
        response = Logits()
    missing = getattr(estimator, "missing", np.nan)
    return join(
        trees,
        baseline=baseline,
        response=response,
        dtype=np.float32,
        strict=True,
        missing=np.nan if missing is None else float(missing),
        categories=known,
        category_of="" if model.get("cats", {}).get("enc") else "floor",
        unknown_left=True,
    )


def _splits_by_category(nodes: Any) -> list[tuple[int, Any]]:
    """Nodes that split by category, with the categories that go right."""
    ends = np.cumsum(nodes["categories_sizes"])
    parts = np.split(np.array(nodes["categories"], dtype=int), ends[:-1]) if len(ends) else []
    return list(zip(nodes["categories_nodes"], parts, strict=True))


def _categories(estimator: Any, learner: Any, model: Any) -> dict[int, NDArray[np.float64]]:
    """Codes of the categories of each column by which a tree splits, in the order of their numbers."""
    largest: dict[int, int] = {}
    for nodes in model["trees"]:
        for node, right in _splits_by_category(nodes):
            column = nodes["split_indices"][node]
            largest[column] = max(largest.get(column, 0), int(right.max(initial=0)))
    if not largest:
        return {}
    if "cats" not in model and learner["feature_names"]:
        raise refusal(estimator, "splits by category of a DataFrame, fitted before XGBoost 3.1,")
    kept = model.get("cats", {}).get("enc")
    return {
        column: category_codes(_values(kept[column])) if kept else np.arange(n + 1.0)
        for column, n in largest.items()
    }


def _values(kept: Any) -> list[Any]:
    """A column's categories: numbers, or concatenated texts."""
    if "offsets" not in kept:
        return list(kept["values"])
    text = bytes(kept["values"])
    return [text[start:end].decode() for start, end in pairwise(kept["offsets"])]
