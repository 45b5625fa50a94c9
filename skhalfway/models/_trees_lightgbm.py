"""LightGBM's trees as arrays.

Each split has a type of missing values: none (nan is then read as 0), nan, or zero (nan is then read as 0,
and values close to 0 count as missing). Missing values go in the default direction. The number 1e300 stands
for infinity, at splits that separate missing values from all numbers. A number close to 0 is read as 0, so
that a threshold among these numbers does not separate them. At a split by category, the listed categories go
left and all others right, and a number counts as a category without its fraction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import category_codes
from skhalfway._text import shown
from skhalfway.models._nested_trees import nested_tree
from skhalfway.models._tree_arrays import TreeEnsemble, join
from skhalfway.models._tree_parsers import refusal
from skhalfway.models._tree_responses import Logits

_INFINITE = 1e300 * (1 - 1e-9)
# numbers up to this size count as 0, in 32 bits
_ZERO = float(np.float32(1e-35))


def lightgbm(estimator: Any) -> TreeEnsemble:
    """Arrays of an LGBMClassifier or of a Booster."""
    booster = getattr(estimator, "booster_", estimator)
    model = booster.dump_model()
    objective, *parameters = model.get("objective", "none").split()
    if objective not in ("binary", "multiclass", "multiclassova"):
        raise refusal(estimator, f"objective={shown(objective)}")
    n_sums = model["num_tree_per_iteration"]
    known = _pandas_categories(estimator, booster, model)
    zero_is_missing = False

    def read(node: Any) -> tuple[Any, ...]:
        nonlocal zero_is_missing
        if "leaf_coeff" in node:
            raise refusal(estimator, "linear_tree=True")
        if "split_feature" not in node:
            return -1, np.nan, False, node["leaf_value"], None
        column, threshold = node["split_feature"], node["threshold"]
        if node["decision_type"] == "==":
            left = np.array(threshold.split("||"), dtype=int)
            return column, np.nan, False, None, known[column][left] if known else left.astype(float)
        zero_is_missing |= node["missing_type"] == "Zero"
        missing_left = node["default_left"] if node["missing_type"] != "None" else threshold >= 0
        return column, _as_read(threshold), missing_left, None, None

    factor = n_sums / len(model["tree_info"]) if model["average_output"] else 1.0
    trees = [
        nested_tree(tree["tree_structure"], ("left_child", "right_child"), read).adding_to(
            i % n_sums, n_sums, factor
        )
        for i, tree in enumerate(model["tree_info"])
    ]
    sigmoid = next((float(p.removeprefix("sigmoid:")) for p in parameters if p.startswith("sigmoid:")), 1.0)
    return join(
        trees,
        response=Logits(factor=sigmoid, one_vs_rest=objective == "multiclassova"),
        missing=0.0 if zero_is_missing else np.nan,
        missing_within=_ZERO if zero_is_missing else 0.0,
        category_of="" if known else "trunc",
    )


def _as_read(threshold: float) -> float:
    """The largest number that goes left."""
    if abs(threshold) >= _INFINITE:
        return float(np.copysign(np.inf, threshold))
    if -_ZERO <= threshold < _ZERO:
        return _ZERO if threshold >= 0 else float(np.nextafter(-_ZERO, -np.inf))
    return threshold


def _pandas_categories(estimator: Any, booster: Any, model: Any) -> dict[int, NDArray[np.float64]]:
    """Codes of the categories of each column of pandas categories, in the order of LightGBM's numbers."""
    kept = model["pandas_categorical"]
    if not kept:
        return {}
    columns = booster.params.get("categorical_column", [])
    if len(columns) != len(kept):
        raise refusal(estimator, "pandas categories of columns that the model does not name")
    return {column: category_codes(values) for column, values in zip(columns, kept, strict=True)}
