"""Under which names a fitted estimator, or what is inside it, takes its columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from skhalfway._inputs import same_columns
from skhalfway.models._type_checks import _is_instance, is_torch_module


def column_names(estimator: Any, n_columns: int | None = None) -> Any:
    """Names of the columns that an estimator was fitted with, so many of them; None where it keeps none.

    Parts keep names where the whole does not, or better ones: a meta-estimator repeats what LightGBM keeps,
    which writes blanks as underscores, while another part would refuse them.
    """
    if n_columns is None:
        n_columns = getattr(estimator, "n_features_in_", None)
    found = [names for names in _kept_names(estimator, set()) if len(names) == n_columns]
    if not found:
        return None
    blanks = (names for names in found if any(" " in str(name) for name in names))
    return next((names for names in blanks if same_columns(names, found[0])), found[0])


def _kept_names(estimator: Any, seen: set[int]) -> Iterator[Any]:
    """Names that an estimator keeps, and, where these may be LightGBM's or are none, those of its parts."""
    seen.add(id(estimator))
    own = getattr(estimator, "feature_names_in_", None)
    if _is_instance(estimator, "catboost", "CatBoost"):
        own = estimator.feature_names_
        # columns that had no names are numbered
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
    """Estimators inside of one that may see its columns as they are."""
    if isinstance(estimator, FrozenEstimator):
        yield estimator.estimator
    elif isinstance(estimator, Pipeline):
        yield estimator.steps[0][1]
    elif not is_torch_module(estimator):
        for value in list(getattr(estimator, "__dict__", {}).values()):
            for part in value if isinstance(value, list) else [value]:
                if any(hasattr(part, method) for method in ("predict", "predict_proba", "transform")):
                    yield part
