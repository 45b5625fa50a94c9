"""What users hand in: containers in, float arrays inside, the same containers out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

FLOATS = [np.float64, np.float32, np.float16]


def _is_tensor(X: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def read_samples(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any]:
    """Check samples of shape (n_samples, n_features), or images of any more axes.

    Returns a float array; integers become float64. The number of features and
    their names are kept on ``estimator`` (``reset``) or compared with what it
    keeps.
    """
    if _is_tensor(X):
        if str(X.dtype) == "torch.bfloat16":
            raise TypeError("X is a tensor of bfloat16, which numpy has not; convert it with X.float()")
        X = X.detach().cpu().numpy()
    # The first axis of an image holds channels: only rows have a width to compare.
    if not reset and getattr(X, "ndim", 2) > 2:
        return check_array(X, dtype=FLOATS, allow_nd=True, estimator=estimator, input_name="X")
    return validate_data(estimator, X, dtype=FLOATS, allow_nd=True, reset=reset)


def container_of(X: Any) -> Callable[[NDArray[Any]], Any]:
    """Return a function that puts an array of X's shape into X's container and float types.

    Where a column must be rounded it is rounded towards X: a distance never grows.
    """
    if _is_tensor(X):
        import torch

        return lambda array: torch.from_numpy(array).to(X.device)
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        import pandas as pd

        def frame(array: NDArray[Any]) -> Any:
            columns = [
                round_towards(array[:, i], np.asarray(X.iloc[:, i], dtype=float), dtype)
                for i, dtype in enumerate(X.dtypes)
            ]
            restored = pd.concat([pd.Series(c, index=X.index) for c in columns], axis=1)
            restored.columns = X.columns
            return restored

        return frame
    return lambda array: array


def round_towards(values: NDArray[Any], anchor: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """``values`` in the float type ``dtype``, no further from ``anchor`` than they were."""
    dtype = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    if dtype.kind != "f":
        dtype = np.dtype(float)
    rounded = values.astype(dtype)
    away = np.abs(rounded.astype(float) - anchor) > np.abs(values.astype(float) - anchor)
    return np.where(away, np.nextafter(rounded, anchor.astype(dtype)), rounded)


def positions(labels: Any, classes: NDArray[Any]) -> NDArray[np.intp]:
    """Index in ``classes`` of each label; -1 where it is not there."""
    labels = np.asarray(labels)
    order = np.argsort(classes)
    place = np.searchsorted(classes, labels, sorter=order)
    found = order[np.minimum(place, len(order) - 1)]
    return np.where(classes[found] == labels, found, -1)


def check_labels(y: Any, classes: NDArray[Any], n_samples: int, *, name: str = "y") -> NDArray[np.intp]:
    """Class indices of labels, one per sample."""
    y = np.asarray(y.detach().cpu() if _is_tensor(y) else y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != (n_samples,):
        raise ValueError(f"{name} must hold one label per sample, shape ({n_samples},); got shape {y.shape}")
    # numbers and strings do not sort together
    indices = positions(y, classes) if (y.dtype.kind in "biuf") == (classes.dtype.kind in "biuf") else None
    if indices is None or (indices < 0).any():
        strange = y if indices is None else y[indices < 0]
        raise ValueError(
            f"{name} holds labels that are not among the classes {classes.tolist()}: "
            f"{np.unique(strange)[:5].tolist()}"
        )
    return indices
