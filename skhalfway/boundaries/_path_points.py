"""Points that can be joined by straight paths: checked samples without categories or missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import check_labels, check_no_categories, read_samples
from skhalfway.models import Model, as_model
from skhalfway.models._collection import ModelCollection
from skhalfway.models._faults import classes_of
from skhalfway.models._input_spec import reader_of


def read_points(reader: Any, X: Any, *, reset: bool, name: str = "X") -> NDArray[Any]:
    """Check samples, and that each value is a number, since there is no point between two categories.

    For ``reader`` and ``reset``, see :func:`skhalfway._inputs.read_samples`.
    """
    check_no_categories(X, name, "no point lies halfway between two")
    points = read_samples(reader, X, reset=reset, name=name)
    if np.isnan(points).any():
        raise ValueError(f"{name} contains NaN: no path leads through a missing value; impute it")
    return points


def read_labelled(estimator: Any, X: Any, y: Any) -> tuple[Model, NDArray[Any], NDArray[np.intp]]:
    """A fitted classifier, samples and class indices, checked against each other."""
    model = as_model(estimator)
    reader = reader_of(model)
    points = read_points(reader, X, reset=not hasattr(reader, "n_features_in_"))
    return model, points, check_labels(y, classes_of(model, points), len(points))


class PathModels(ModelCollection):
    """Several models that predict points on paths."""

    _takes = ("models must be fitted models", "")  # functions fit no models, unlike a scorer

    def __init__(self) -> None:
        self.estimators = None
        self.n_jobs = None

    def _read(self, X: Any, *, reset: bool) -> NDArray[Any]:
        return read_points(self, X, reset=reset)


def read_several(models: Any, X: Any) -> tuple[dict[str, Model], NDArray[Any], NDArray[Any]]:
    """Several fitted classifiers by name, points, and the labels of class indices, checked together."""
    reader = PathModels()
    reader._fit_models(models, None, {})
    return reader._read_for_models(X)


def read_several_labelled(
    models: Any, X: Any, y: Any
) -> tuple[dict[str, Model], NDArray[Any], NDArray[np.intp]]:
    """Like :func:`read_labelled`, for several fitted classifiers."""
    seen, points, classes = read_several(models, X)
    return seen, points, check_labels(y, classes, len(points))
