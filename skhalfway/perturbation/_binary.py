"""Inputs of the theory, read and checked: samples, the slope gamma, and labels of two classes as signs."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import read_rows
from skhalfway._readable import read_labels
from skhalfway._text import shown


def read_samples(X: Any, *, name: str = "X", n_features: int | None = None) -> NDArray[np.float64]:
    """Samples as float64 rows."""
    X = read_rows(X, name=name).astype(float)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(f"{name} has {X.shape[1]} features, the boundary has {n_features}")
    return X


def check_gamma(gamma: Any, *, relu: bool = False) -> None:
    """Raise ValueError unless gamma is a slope: 1 is a linear network, and 0 a ReLU (if ``relu``)."""
    number = isinstance(gamma, Real) and not isinstance(gamma, bool)
    if not number or not (0 < float(gamma) <= 1 or (relu and gamma == 0)):
        raise ValueError(f"gamma must be a number in {'[' if relu else '('}0, 1], got {shown(gamma)}")


def signs(y: Any, n_samples: int | None = None, *, both: bool = True) -> NDArray[np.float64]:
    """Labels as -1 and +1: the second of two classes, in their sorted order, is +1.

    Labels that are -1 and +1 already may all be equal, unless ``both`` classes are required.
    """
    y = read_labels(y, n_samples)
    classes, indices = np.unique(y, return_inverse=True)
    if not both and y.dtype.kind in "if" and np.isin(classes, (-1, 1)).all():
        return y.astype(np.float64)
    if len(classes) != 2:
        raise ValueError(
            f"y must hold two classes, got {len(classes)}: {shown(classes[:5])}"
            + ("" if both else "; pass labels of a single class as -1 or +1")
        )
    return np.where(indices == 1, 1.0, -1.0)
