"""The input specification of a fitted classifier, with which data is compared."""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.base import BaseEstimator

from skhalfway.models._columns import column_names
from skhalfway.models._faults import type_name
from skhalfway.models._model import Model


def reader_named(name: str) -> Any:
    """An object on which ``read_samples`` keeps the number and names of columns; errors use its name."""
    return type(name, (BaseEstimator,), {})()


def reader_of(model: Model) -> Any:
    """An object with a classifier's number of features, column names and type name, for ``read_samples``."""
    reader = reader_named(type_name(model.estimator))
    own = {"n_features_in_": model.n_features_in_, "feature_names_in_": column_names(model.estimator)}
    for name, value in own.items():
        if value is not None:
            setattr(reader, name, copy(value))
    return reader
