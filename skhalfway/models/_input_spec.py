"""What a fitted classifier says of its input, to compare data with."""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.base import BaseEstimator

from skhalfway.models._columns import column_names
from skhalfway.models._faults import type_name
from skhalfway.models._model import Model


def reader_named(name: str) -> Any:
    """An object that ``read_samples`` keeps a width and column names on, and that its errors call so."""
    return type(name, (BaseEstimator,), {})()


def reader_of(model: Model) -> Any:
    """An object with a fitted classifier's width, column names and type name, for ``read_samples``."""
    reader = reader_named(type_name(model.estimator))
    own = {"n_features_in_": model.n_features_in_, "feature_names_in_": column_names(model.estimator)}
    for name, value in own.items():
        if value is not None:
            setattr(reader, name, copy(value))
    return reader
