"""Decision trees of any library as plain arrays: :class:`TreeEnsemble`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV

from skhalfway._inputs import category_codes
from skhalfway._text import shown
from skhalfway.models._kinds import is_instance
from skhalfway.models._registry import NotDifferentiableError


@dataclass(frozen=True)
class Tree:
    """One tree's nodes, the root first.

    Attributes
    ----------
    feature : int array of shape (n_nodes,)
        Column that a node splits on; -1 at a leaf.
    threshold : array of shape (n_nodes,)
        A value goes left where it is at most this.
    missing_left : bool array of shape (n_nodes,)
        Where nan goes, and a category that is not known.
    left, right : int arrays of shape (n_nodes,)
        Children.
    value : array of shape (n_nodes, n_outputs)
        What a leaf adds to the outputs.
    in_left : dict of int to array
        For each node that splits by category, those that go left.
    """

    feature: NDArray[Any]
    threshold: NDArray[Any]
    missing_left: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    value: NDArray[Any]
    in_left: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class TreeEnsemble:
    """All nodes of all trees, one tree after another; the outputs are the sum of the leaves' values.

    The arrays over nodes are those of :class:`Tree`. Further:

    Attributes
    ----------
    roots : int array of shape (n_trees,)
        First node of each tree.
    baseline : array of shape (n_outputs,)
        What the sum starts from.
    probabilities : bool
        Whether the sum, over the number of trees, is a probability; else it is a logit.
    dtype : type
        Float type in which the library compares.
    strict : bool
        Whether the library's test is ``x < t``, with values of training data for t; ``threshold`` holds
        the float before t.
    missing : float
        Value that counts as nan.
    categories : dict of int to array of shape (n_categories,)
        Known values of each column by which a node splits into categories.
    category_row : int array of shape (n_nodes,)
        The node's row of ``goes_left``; -1 where it does not split by category.
    goes_left : bool array of shape (n_rows, largest n_categories + 1)
        Which categories of the node's column go left; last, those not known.
    """

    feature: NDArray[np.intp]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    value: NDArray[np.float64]
    roots: NDArray[np.intp]
    baseline: NDArray[np.float64]
    probabilities: bool
    dtype: type
    strict: bool
    missing: float
    categories: dict[int, NDArray[np.float64]]
    category_row: NDArray[np.intp]
    goes_left: NDArray[np.bool_]

    def levels(self) -> Iterator[NDArray[np.intp]]:
        """Nodes at each depth: the roots; then the left children of all splits, then the right ones."""
        nodes = self.roots
        while len(nodes):
            yield nodes
            splits = nodes[self.feature[nodes] >= 0]
            nodes = np.concatenate([self.left[splits], self.right[splits]])

    def codes(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Column of ``goes_left`` for each value of a categorical column."""
        codes = np.full(X.shape, self.goes_left.shape[1] - 1)
        for f, known in self.categories.items():
            equal = X[:, f, None] == known
            codes[:, f] = np.where(equal.any(axis=1), equal.argmax(axis=1), codes[:, f])
        return codes

    def leaves(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Leaf that each sample reaches in each tree, shape (n_samples, n_trees)."""
        codes = self.codes(X)
        X = X.astype(self.dtype)
        X[self.missing == X] = np.nan
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

    def outputs(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities or logits, shape (n_samples, n_outputs)."""
        total = self.value[self.leaves(X)].sum(axis=1) + self.baseline
        return total / len(self.roots) if self.probabilities else total

    def predict(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Class index of each sample."""
        outputs = self.outputs(X)
        return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0).astype(np.intp)


def join(
    trees: Iterable[Tree],
    *,
    baseline: Any = 0.0,
    probabilities: bool = False,
    dtype: type = np.float64,
    strict: bool = False,
    missing: float = np.nan,
    categories: Mapping[int, NDArray[np.float64]] | None = None,
) -> TreeEnsemble:
    """An ensemble of trees; ``categories`` are by default those that go left somewhere."""
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
    width = 1 + max([0, *map(len, known.values())])
    goes_left = np.repeat(missing_left[list(in_left), None], width, axis=1)
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
        probabilities,
        dtype,
        strict,
        missing,
        {f: known[f] for f in sorted(used)},
        category_row,
        goes_left,
    )


def tree_ensemble(estimator: Any) -> TreeEnsemble:
    """Arrays of a fitted classifier made of decision trees.

    Raises
    ------
    NotDifferentiableError
        If the estimator, or a part of it, is no such thing.
    """
    while isinstance(estimator, (FrozenEstimator, BaseSearchCV)):
        search = isinstance(estimator, BaseSearchCV)
        estimator = estimator.best_estimator_ if search else estimator.estimator
    for package, name, parse in _PARSERS:
        if is_instance(estimator, package, name):
            return parse(estimator)
    raise NotDifferentiableError(f"{type(estimator).__name__} is not made of decision trees")


def _refuse(estimator: Any, why: str) -> NotDifferentiableError:
    return NotDifferentiableError(f"{type(estimator).__name__} with {why} has no gradient here")


# -- scikit-learn


def _sklearn_tree(estimator: Any) -> Tree:
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


def _decision_tree(estimator: Any) -> TreeEnsemble:
    return _forest(estimator, [estimator])


def _forest(estimator: Any, members: Any = None) -> TreeEnsemble:
    if estimator.n_outputs_ > 1:
        raise _refuse(estimator, "several outputs")
    members = estimator.estimators_ if members is None else members
    return join(map(_sklearn_tree, members), probabilities=True, dtype=np.float32)


def boosted_trees(estimator: Any) -> list[Tree]:
    """Trees of a GradientBoostingClassifier, without what its ``init`` adds."""
    trees = []
    n_outputs = estimator.estimators_.shape[1]
    for stage in estimator.estimators_:
        for k, member in enumerate(stage):
            tree = _sklearn_tree(member)
            trees.append(_adding_to(tree, k, n_outputs, estimator.learning_rate))
    return trees


def _adding_to(tree: Tree, output: int, n_outputs: int, factor: float = 1.0) -> Tree:
    """The tree of one output, its values in that column."""
    value = np.zeros((len(tree.value), n_outputs))
    value[:, output] = factor * tree.value[:, 0]
    return Tree(**{**vars(tree), "value": value})


def _gradient_boosting(estimator: Any) -> TreeEnsemble:
    baseline: Any = 0.0
    if estimator.init_ != "zero":
        if not isinstance(estimator.init_, DummyClassifier):
            raise NotDifferentiableError(
                f"{type(estimator).__name__} that starts from a {type(estimator.init_).__name__} "
                "is not made of decision trees alone"
            )
        baseline = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))[0]
    return join(boosted_trees(estimator), baseline=baseline, dtype=np.float32)


def _hist_gradient_boosting(estimator: Any) -> TreeEnsemble:
    column = np.arange(estimator.n_features_in_)
    categories: dict[int, NDArray[np.float64]] = {}
    if estimator.is_categorical_ is not None:
        # categories were made numbers, and their columns the first
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
                yield _adding_to(tree, k, len(stage))

    return join(trees(), baseline=estimator._baseline_prediction.ravel(), categories=categories)


# -- XGBoost


def _xgboost(estimator: Any) -> TreeEnsemble:
    booster = estimator.get_booster()
    if "best_iteration" in booster.attributes():
        # as predict does
        booster = booster[: booster.best_iteration + 1]
    learner = json.loads(booster.save_raw("json"))["learner"]
    kind, objective = learner["gradient_booster"]["name"], learner["objective"]["name"]
    if kind != "gbtree":
        raise _refuse(estimator, f"booster={shown(kind)}")
    if objective not in ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax"):
        raise _refuse(estimator, f"objective={shown(objective)}")
    base_score = np.atleast_1d(json.loads(learner["learner_model_param"]["base_score"])).astype(float)
    n_outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    model = learner["gradient_booster"]["model"]
    trees = []
    for k, nodes in zip(model["tree_info"], model["trees"], strict=True):
        if int(nodes["tree_param"]["size_leaf_vector"]) > 1:
            raise _refuse(estimator, "multi_strategy='multi_output_tree'")
        if any(nodes["split_type"]):
            raise _refuse(estimator, "splits by category")
        left = np.array(nodes["left_children"])
        condition = np.array(nodes["split_conditions"], dtype=np.float32)
        tree = Tree(
            np.where(left < 0, -1, nodes["split_indices"]),
            np.nextafter(condition, np.float32(-np.inf)),
            np.array(nodes["default_left"]),
            left,
            np.array(nodes["right_children"]),
            condition[:, None],
        )
        trees.append(_adding_to(tree, k, n_outputs))
    return join(
        trees,
        # of the objectives, one keeps it as a probability
        baseline=np.log(base_score / (1 - base_score)) if objective == "binary:logistic" else base_score,
        dtype=np.float32,
        strict=True,
        missing=np.nan if estimator.missing is None else estimator.missing,
    )


# -- LightGBM and CatBoost


def _nested_tree(root: Any, children: tuple[str, str], read: Callable[[Any], tuple[Any, ...]]) -> Tree:
    """Tree of nested dictionaries; ``read`` gives feature, threshold, missing_left, value, in_left of one."""
    nodes: list[Any] = [root]
    left, right = [], []
    for node in nodes:  # grows
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
    """Values with zeros for None, in the shape of the others."""
    shape = np.shape(next(value for value in values if value is not None))
    return [np.zeros(shape) if value is None else value for value in values]


def _lightgbm(estimator: Any) -> TreeEnsemble:
    model = estimator.booster_.dump_model()
    objective = model.get("objective", "none").split()[0]
    if objective not in ("binary", "multiclass", "multiclassova"):
        raise _refuse(estimator, f"objective={shown(objective)}")
    if model["pandas_categorical"]:
        raise _refuse(estimator, "pandas categories, instead of numbers for them,")
    n_outputs = model["num_tree_per_iteration"]

    def read(node: Any) -> tuple[Any, ...]:
        if "leaf_coeff" in node:
            raise _refuse(estimator, "linear_tree=True")
        if "split_feature" not in node:
            return -1, np.nan, False, node["leaf_value"], None
        if node["missing_type"] == "Zero":
            raise _refuse(estimator, "zero_as_missing=True")
        if node["decision_type"] == "==":
            return node["split_feature"], np.nan, False, None, np.array(node["threshold"].split("||"), float)
        missing_left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
        return node["split_feature"], node["threshold"], missing_left, None, None

    factor = n_outputs / len(model["tree_info"]) if model["average_output"] else 1.0
    trees = [
        _adding_to(
            _nested_tree(tree["tree_structure"], ("left_child", "right_child"), read),
            i % n_outputs,
            n_outputs,
            factor,
        )
        for i, tree in enumerate(model["tree_info"])
    ]
    return join(trees)


def _catboost(estimator: Any) -> TreeEnsemble:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        model = json.loads(path.read_text())
    scale, baseline = model["scale_and_bias"]
    info = model["features_info"]
    if set(info) != {"float_features"}:
        raise _refuse(estimator, "features that are not numbers")
    flat = {f["feature_index"]: f["flat_feature_index"] for f in info["float_features"]}
    nan_left = {f["feature_index"]: f["nan_value_treatment"] != "AsTrue" for f in info["float_features"]}

    def split(of: Any) -> tuple[Any, ...]:
        f, border = of["float_feature_index"], of["border"]
        # float32's ends part nan from all numbers
        end = abs(border) >= np.finfo(np.float32).max
        return flat[f], np.copysign(np.inf, border) if end else border, nan_left[f]

    def read(node: Any) -> tuple[Any, ...]:
        if "split" in node:
            return *split(node["split"]), None, None
        return -1, np.nan, False, node["value"], None

    if "trees" in model:
        trees = [_nested_tree(tree, ("left", "right"), read) for tree in model["trees"]]
    else:
        trees = [
            _oblivious_tree(list(map(split, tree["splits"] or [])), np.array(tree["leaf_values"]))
            for tree in model["oblivious_trees"]
        ]
    trees = [Tree(**{**vars(tree), "value": scale * tree.value}) for tree in trees]
    if trees[0].value.shape[1] == 1:
        # predict asks for this probability of the second class
        threshold = estimator.get_probability_threshold()
        baseline = baseline - np.log(threshold / (1 - threshold))
    return join(trees, baseline=baseline, dtype=np.float32)


def _oblivious_tree(splits: list[tuple[Any, ...]], values: NDArray[Any]) -> Tree:
    """Tree with one split at each depth; the first is the lowest bit of a leaf's number."""
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


_PARSERS: list[tuple[str, str, Callable[[Any], TreeEnsemble]]] = [
    ("sklearn.tree", "DecisionTreeClassifier", _decision_tree),
    ("sklearn.ensemble._forest", "ForestClassifier", _forest),
    ("sklearn.ensemble", "GradientBoostingClassifier", _gradient_boosting),
    ("sklearn.ensemble", "HistGradientBoostingClassifier", _hist_gradient_boosting),
    ("xgboost", "XGBClassifier", _xgboost),
    ("lightgbm", "LGBMClassifier", _lightgbm),
    ("catboost", "CatBoostClassifier", _catboost),
]
