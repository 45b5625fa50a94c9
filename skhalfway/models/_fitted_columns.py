"""What a fitted model tells about the columns it was fitted on: their names, and text or numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from skhalfway._checks import meant
from skhalfway._inputs import same_columns
from skhalfway._polars import without_polars
from skhalfway._readable import is_missing
from skhalfway._text import shown

# attributes of scikit-learn's estimators that hold fitted ones, which get the same columns
_INSIDE = (
    "best_estimator_",
    "estimator_",
    "estimators_",
    "calibrated_classifiers_",
    "_preprocessor",
)
_FEW = 6  # columns that a message names
_WORDS = {"text": "text", "number": "numbers", "bool": "bools"}


def names_of(model: Any) -> list[str] | None:
    """Names of the columns that a model was fitted on; None if it stores none."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def columns_for(model: Any, name: str, columns: Sequence[str]) -> list[str]:
    """The columns that a model takes, in the order that it was fitted on; ValueError if some are not there.

    All columns, if the model stores no names. Errors begin with ``name``.
    """
    names = names_of(model)
    if names is None or same_columns(columns, names):
        return list(columns)
    # LightGBM stores blanks as underscores
    found = {name: one for one in reversed(columns) for name in (one.replace(" ", "_"), one)}
    found |= {one: one for one in columns}
    if lacks := [name for name in names if name not in found]:
        more = [one for one in columns if one not in {found.get(name) for name in names}]
        raise ValueError(
            f"{name}: X lacks {_columns(lacks)}, which the model was fitted on{meant(lacks[0], more)}"
            + f"; the model does not know {_columns(more)}" * bool(more)
        )
    return [found[name] for name in names]


def check_columns(model: Any, X: Any, name: str) -> None:
    """Raise if a table lacks columns that a model was fitted on, or has others or another order.

    Errors begin with ``name``. Nothing is checked where X is no DataFrame.
    """
    if not hasattr(X, "columns"):
        return
    given = [str(one) for one in X.columns]
    taken = columns_for(model, name, given)
    if taken == given:
        return
    more = [one for one in given if one not in taken]
    on = f"without {_columns(more)}" if more else "on the same columns in another order"
    columns = shown(taken) if len(taken) <= _FEW else "list(model.feature_names_in_)"
    raise ValueError(f"{name} was fitted {on}; pass X[{columns}]")


def check_kinds(model: Any, X: Any, name: str | None = None) -> None:
    """Raise if columns hold numbers and the model was fitted on text there, or the other way round.

    Errors begin with ``name``. Nothing is checked where X is no DataFrame.
    """
    if not hasattr(X, "columns") or not (known := categories_of(model)):
        return
    X = without_polars(X)
    found = Counter(X.columns)
    begin = "" if name is None else f"{name}: "
    wrong: dict[str, list[str]] = {}
    said = ""
    for name, values in known.items():
        if found[name] != 1:
            continue
        given = X[name].dropna().unique()
        was, now = kind_of(values), kind_of(given)
        if was == now or "" in (was, now) or {was, now} == {"number", "bool"}:
            continue
        wrong.setdefault({"text": "text", "number": "numbers"}.get(was, ""), []).append(name)
        said = said or (
            f"column {shown(name)} held {_WORDS[was]}, such as {_first(values)}, when the model was fitted, "
            f"but holds {_WORDS[now]} in X, such as {_first(given)}"
        )
    if wrong:
        n_more = sum(map(len, wrong.values())) - 1
        more = f" ({n_more} more such column{'s' * (n_more > 1)})" * bool(n_more)
        options = ", ".join(f"{option}={names}" for option, names in wrong.items() if option)
        advice = f"for a .csv file, pass {options} to read_data; for other data, " if options else ""
        raise ValueError(f"{begin}{said}{more}; {advice}convert the column")


def kind_of(values: Any) -> str:
    """Whether values are "text", "number" or "bool"; "" if they are neither, or mixed."""
    kinds = {
        "text"
        if isinstance(value, str)
        else "bool"
        if isinstance(value, (bool, np.bool_))
        else "number"
        if isinstance(value, (int, float, np.number))
        else ""
        for value in values
        if not is_missing(value)
    }
    return kinds.pop() if len(kinds) == 1 else ""


def categories_of(model: Any) -> dict[str, Any]:
    """Categories that encoders of a model were fitted on, by the names of the model's columns.

    Only of encoders that get these columns as they are, or imputed.
    """
    found: dict[str, Any] = {}
    for name, values in _categories(model, names_of(model)):
        found.setdefault(name, values)
    return found


def _categories(estimator: Any, names: list[str] | None) -> Iterator[tuple[str, Any]]:
    if names is None or not type(estimator).__module__.startswith("sklearn."):
        return
    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from _categories(step, names)
            names = _after(step, names)
    elif isinstance(estimator, ColumnTransformer):
        for _, transformer, columns in getattr(
            estimator, "transformers_", ()
        ):  # a search holds an unfitted one
            yield from _categories(transformer, _chosen(columns, names))
    elif isinstance(estimator, FeatureUnion):
        for _, transformer in estimator.transformer_list:
            yield from _categories(transformer, names)
    elif isinstance(values := getattr(estimator, "categories_", None), list) and len(values) == len(names):
        yield from zip(names, values, strict=True)
    elif isinstance(estimator, FrozenEstimator):
        yield from _categories(estimator.estimator, names)
    elif not isinstance(estimator, (BaggingClassifier, SelectorMixin)):  # those inside may get other columns
        for attribute in _INSIDE:
            inner = vars(estimator).get(attribute) if hasattr(estimator, "__dict__") else None
            for one in inner if isinstance(inner, (list, tuple, np.ndarray)) else [inner]:
                held: Any = getattr(one, "estimator", None) if hasattr(one, "calibrators") else one
                if isinstance(held, BaseEstimator):
                    yield from _categories(held, names)


def _after(step: Any, names: list[str] | None) -> list[str] | None:
    """Names of the columns behind a step that leaves values as they are; None behind any other step."""
    if names is None or step is None or step == "passthrough":
        return names
    if (
        isinstance(step, SimpleImputer)
        and hasattr(step, "statistics_")
        and len(step.statistics_) == len(names)
    ):
        return [str(name) for name in step.get_feature_names_out(names)]
    return None


def _chosen(columns: Any, names: list[str]) -> list[str] | None:
    """Names of the columns that a ColumnTransformer was given for one of its transformers."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        plain = all(one is None or isinstance(one, int) for one in (columns.start, columns.stop))
        return names[columns] if plain else None
    picked = np.atleast_1d(np.asarray(columns))
    if not picked.size:
        return []
    return [str(name) for name in (picked if picked.dtype.kind in "OUT" else np.asarray(names)[picked])]


def _first(values: Any) -> str:
    return shown(next(value for value in values if not is_missing(value)))


def _columns(names: Sequence[str]) -> str:
    return f"column {shown(names[0])}" if len(names) == 1 else f"the columns {shown(list(names))}"
