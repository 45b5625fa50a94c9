"""Parsers of trees: which function reads the trees of which library."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV

from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._tree_arrays import TreeEnsemble
from skhalfway.models._type_checks import _is_instance

# type by package and name; module of this package and function that read it
_PARSERS = [
    ("sklearn.tree", "DecisionTreeClassifier", "_trees_sklearn", "decision_tree"),
    ("sklearn.ensemble._forest", "ForestClassifier", "_trees_sklearn", "forest"),
    ("sklearn.ensemble", "GradientBoostingClassifier", "_trees_sklearn", "gradient_boosting"),
    ("sklearn.ensemble", "HistGradientBoostingClassifier", "_trees_sklearn", "histogram_boosting"),
    ("xgboost", "XGBClassifier", "_trees_xgboost", "xgboost"),
    ("xgboost", "Booster", "_trees_xgboost", "xgboost"),
    ("lightgbm", "LGBMClassifier", "_trees_lightgbm", "lightgbm"),
    ("lightgbm", "Booster", "_trees_lightgbm", "lightgbm"),
    ("catboost", "CatBoostClassifier", "_trees_catboost", "catboost"),
]


def tree_ensemble(estimator: Any) -> TreeEnsemble:
    """Arrays of a fitted classifier made of decision trees.

    Raises
    ------
    NotDifferentiableError
        If the estimator, or a part of it, is not made of decision trees.
    """
    estimator = unwrapped(estimator)
    for package, name, module, function in _PARSERS:
        if _is_instance(estimator, package, name):
            parse: Callable[[Any], TreeEnsemble] = getattr(
                import_module(f"skhalfway.models.{module}"), function
            )
            return parse(estimator)
    raise NotDifferentiableError(f"{type(estimator).__name__} is not made of decision trees")


def unwrapped(estimator: Any) -> Any:
    """The classifier inside frozen estimators and searches."""
    while isinstance(estimator, (FrozenEstimator, BaseSearchCV)):
        search = isinstance(estimator, BaseSearchCV)
        estimator = estimator.best_estimator_ if search else estimator.estimator
    return estimator


def refusal(estimator: Any, why: str) -> NotDifferentiableError:
    """The error for an estimator that cannot be read; ``why`` says which part of it."""
    return NotDifferentiableError(f"{type(estimator).__name__} with {why} has no gradient here")
