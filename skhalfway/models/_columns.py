"""Column names of a fitted estimator, or of the estimators inside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skhalfway._inputs import same_columns
from skhalfway.models._type_checks import _is_instance, is_torch_module


def column_names(estimator: Any, n_columns: int | None = None) -> Any:
    """Names of the ``n_columns`` columns that an estimator was fitted with; None if it keeps none.

    Parts may keep names if the whole does not, or better ones: a meta-estimator repeats the names of
    LightGBM, which replaces blanks by underscores, while another part would refuse these.
    """
    if n_columns is None:
        n_columns = getattr(estimator, "n_features_in_", None)
    found = [names for names in _kept_names(estimator, set()) if len(names) == n_columns]
    if not found:
        return None
    blanks = (names for names in found if any(" " in str(name) for name in names))
    return next((names for names in blanks if same_columns(names, found[0])), found[0])


def _kept_names(estimator: Any, seen: set[int]) -> Iterator[Any]:
    """Names that an estimator keeps, and those of its parts, if it has none or they may be LightGBM's."""
    seen.add(id(estimator))
    own = getattr(estimator, "feature_names_in_", None)
    if _is_instance(estimator, "catboost", "CatBoost"):
        own = estimator.feature_names_
        # numbers stand for columns without names
        if own is not None and list(own) == [str(i) for i in range(len(own))]:
            own = None
    if own is not None:
        yield own
        if not any("_" in str(name) for name in own):
            return
    for part in _parts(estimator):
        if id(part) not in seen:
            yield from _kept_names(part, seen)


def _parts(estimator: Any) -> Iterator[Any]:
    """Estimators inside another one that may get its columns unchanged."""
    if isinstance(estimator, FrozenEstimator):
        yield estimator.estimator
    elif isinstance(estimator, Pipeline):
        yield estimator.steps[0][1]
    elif not is_torch_module(estimator):
        for value in list(getattr(estimator, "__dict__", {}).values()):
            for part in value if isinstance(value, list) else [value]:
                if any(hasattr(part, method) for method in ("predict", "predict_proba", "transform")):
                    yield part
