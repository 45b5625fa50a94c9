"""Decision trees, forests and boosted trees of scikit-learn as arrays.

Missing values go where ``missing_go_to_left`` says; an infinite threshold separates them from all numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from skhalfway._inputs import category_codes
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._tree_arrays import Tree, TreeEnsemble, join
from skhalfway.models._tree_parsers import refusal
from skhalfway.models._tree_responses import Logits, Shares


def _tree(estimator: Any) -> Tree:
    tree = estimator.tree_
    split = tree.children_left >= 0
    return Tree(
        np.where(split, tree.feature, -1),
        tree.threshold,
        tree.missing_go_to_left,
        tree.children_left,
        tree.children_right,
        tree.value[:, 0],
    )


def decision_tree(estimator: Any) -> TreeEnsemble:
    return forest(estimator, [estimator])


def forest(estimator: Any, members: Any = None) -> TreeEnsemble:
    if estimator.n_outputs_ > 1:
        raise refusal(estimator, "several outputs")
    members = estimator.estimators_ if members is None else members
    return join(map(_tree, members), response=Shares(len(members)), dtype=np.float32)


def boosted_trees(estimator: Any) -> list[Tree]:
    """Trees of a GradientBoostingClassifier, without its ``init``."""
    n_sums = estimator.estimators_.shape[1]
    return [
        _tree(member).adding_to(k, n_sums, estimator.learning_rate)
        for stage in estimator.estimators_
        for k, member in enumerate(stage)
    ]


def gradient_boosting(estimator: Any) -> TreeEnsemble:
    baseline: Any = 0.0
    if estimator.init_ != "zero":
        if not isinstance(estimator.init_, DummyClassifier):
            raise NotDifferentiableError(
                f"{type(estimator).__name__} that starts from a {type(estimator.init_).__name__} "
                "is not made of decision trees alone"
            )
        baseline = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))[0]
    response = Logits(factor=2.0 if estimator.loss == "exponential" else 1.0)
    return join(boosted_trees(estimator), baseline=baseline, response=response, dtype=np.float32)


def histogram_boosting(estimator: Any) -> TreeEnsemble:
    column = np.arange(estimator.n_features_in_)
    categories: dict[int, NDArray[np.float64]] = {}
    if estimator.is_categorical_ is not None:
        # categories are encoded as numbers, and their columns come first
        column = np.argsort(~estimator.is_categorical_, kind="stable")
        encoder = estimator._preprocessor.named_transformers_["encoder"]
        categories = {
            int(c): category_codes(known) for c, known in zip(column, encoder.categories_, strict=False)
        }

    def trees() -> Iterator[Tree]:
        for stage in estimator._predictors:
            for k, predictor in enumerate(stage):
                nodes = predictor.nodes
                feature = np.where(nodes["is_leaf"], -1, column[nodes["feature_idx"]])
                in_left = {}
                for node in np.flatnonzero(nodes["is_categorical"]):
                    bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]].astype("<u4")
                    bits = np.unpackbits(bits.view(np.uint8), bitorder="little").astype(bool)
                    known = categories[feature[node]]
                    in_left[int(node)] = known[bits[: len(known)]]
                tree = Tree(
                    feature,
                    nodes["num_threshold"],
                    nodes["missing_go_to_left"],
                    nodes["left"].astype(np.intp),
                    nodes["right"].astype(np.intp),
                    nodes["value"][:, None],
                    in_left,
                )
                yield tree.adding_to(k, len(stage))

    return join(trees(), baseline=estimator._baseline_prediction.ravel(), categories=categories)
