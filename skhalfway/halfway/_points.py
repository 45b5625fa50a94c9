"""Points that a straight path can join."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import Frame, check_labels, read_samples
from skhalfway.models import Model, as_model
from skhalfway.models._reader import reader_of


def read_points(reader: Any, X: Any, *, reset: bool, name: str = "X") -> NDArray[Any]:
    """Check samples, and that each value is a number: between categories there is no halfway.

    As :func:`skhalfway._inputs.read_samples`, whose ``reader`` and ``reset`` these are.
    """
    frame = Frame.of(X)
    if frame is not None:
        raise ValueError(
            f"{name} has columns of categories, {list(frame.names)}, and no point lies halfway between two; "
            "encode them as numbers, or leave them out"
        )
    points = read_samples(reader, X, reset=reset)
    if np.isnan(points).any():
        raise ValueError(f"{name} contains NaN: through a missing value leads no path; impute it")
    return points


def read_labelled(estimator: Any, X: Any, y: Any) -> tuple[Model, NDArray[Any], NDArray[np.intp]]:
    """A fitted classifier, samples and class indices, checked against each other."""
    model = as_model(estimator)
    reader = reader_of(model)
    points = read_points(reader, X, reset=not hasattr(reader, "n_features_in_"))
    classes = np.arange(model.n_outputs(points)) if model.classes_ is None else model.classes_
    return model, points, check_labels(y, classes, len(points))
