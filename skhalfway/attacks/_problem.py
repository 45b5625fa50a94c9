"""What an attack is asked: which source, which samples, which budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from skhalfway.models import Model

Bounds = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Problem:
    """One attack's task, checked.

    Attributes
    ----------
    model : Model
        The source.
    X : ndarray of shape (n_samples, ...)
        Samples, of a float type.
    labels : ndarray of shape (n_samples,)
        Class indices to leave or, where ``targeted``, to reach.
    n_classes : int
        Number of the source's classes.
    eps : float
        Budget, in input units.
    norm : {np.inf, 2, 1}
        Norm of the budget.
    bounds : tuple of two ndarrays, or None
        Smallest and largest valid data, to broadcast against a sample.
    targeted : bool, default=False
        What ``labels`` are for.
    """

    model: Model
    X: NDArray[Any]
    labels: NDArray[np.intp]
    n_classes: int
    eps: float
    norm: float
    bounds: Bounds | None
    targeted: bool = False


def read_bounds(clip_values: Any, X: NDArray[Any]) -> Bounds | None:
    """Lower and upper bounds that broadcast against a sample; X is checked to be between."""
    if clip_values is None:
        return None
    try:
        low, high = (np.asarray(bound, dtype=float) for bound in clip_values)
        fits = np.broadcast_shapes(low.shape, high.shape, X.shape[1:]) == X.shape[1:]
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            "clip_values must be None or a pair (min, max) of numbers, or of arrays of the shape of "
            f"a sample, {X.shape[1:]}; got {clip_values!r}"
        )
    if not (low < high).all():
        raise ValueError(f"clip_values must have min < max, got {clip_values!r}")
    if (X < low).any() or (X > high).any():
        raise ValueError(
            f"data outside clip_values={clip_values}: X has min {X.min()} and max {X.max()}; "
            f"scale X or pass clip_values that hold it"
        )
    return low, high
