"""agreement: the share of points on which two boundaries agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._entries import takes_datasets
from skhalfway.models import as_model
from skhalfway.models._faults import classes_of, type_named
from skhalfway.perturbation._binary import read_samples


@takes_datasets
def agreement(f: Any, g: Any, Z: Any) -> float:
    """Share of points that two boundaries, or two classifiers, put on the same side.

    Parameters
    ----------
    f : array-like of shape (n_features,), or object
        Direction of a linear boundary through the origin, or a fitted
        classifier of two classes.
    g : array-like of shape (n_features,), or object
        The other boundary or classifier.
    Z : array-like of shape (n_samples, n_features)
        Points on which they are compared.

    Returns
    -------
    share : float
        Share between 0 and 1.

    Raises
    ------
    ValueError
        If numbers of features differ, or a classifier does not have two classes.
    TypeError
        If an object is neither a direction nor a classifier.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import agreement
    >>> agreement([1.0, 0.0], [1.0, 1.0], [[1, 0], [2, -1], [1, -2], [-1, 0]])
    0.75
    """
    Z = read_samples(Z, name="Z")
    return float((_positive_side(f, Z) == _positive_side(g, Z)).mean())


def _positive_side(f: Any, Z: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each point is on the side of the second class."""
    if isinstance(f, (list, tuple, np.ndarray)):
        direction = read_samples([f], name="a direction")[0]
        if direction.shape != Z.shape[1:]:
            raise ValueError(f"a direction has shape {direction.shape}, but Z has {Z.shape[1]} features")
        return Z @ direction > 0
    model = as_model(f)
    n_classes = len(classes_of(model, Z))
    if n_classes != 2:
        raise ValueError(f"{type(f).__name__} has {n_classes} classes, but must have two")
    return type_named(model, model.predict, Z) == 1
