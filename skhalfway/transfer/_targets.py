"""Labels that targeted attacks aim at: one for all, one for each sample, the least likely, or random ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import check_labels
from skhalfway._streams import Streams
from skhalfway._text import shown
from skhalfway.models import Model
from skhalfway.models._faults import explained, named
from skhalfway.transfer._schedule import blocks_of

_PURPOSE = 1  # of draws
CHOICES = ("least_likely", "random")


def read_goals(
    target: Any,
    sources: Mapping[str, Model],
    X: NDArray[Any],
    classes: NDArray[Any],
    left: NDArray[np.intp],
    seed: int,
    call: Callable[..., Any] = named,
) -> NDArray[np.intp]:
    """Class indices that the attack on each source aims at, (n_sources, n_samples).

    ``left`` are the labels to leave, of the same shape; a random one is any other. ``call`` calls a function
    of a model, by its name; where it gives no labels, the source has none to aim at.
    """
    if isinstance(target, str) and target in CHOICES and not (classes == target).any():
        if target == "random":
            rows = np.arange(left.shape[1])
            step = 1 + Streams(seed, rows, _PURPOSE).integers(rows, len(classes) - 1)
            return (left + step) % len(classes)
        each = zip(sources.items(), left, strict=True)
        each = zip(sources.items(), left, strict=True)
        found = [(call(name, _least_likely, model, X, leave), leave) for (name, model), leave in each]
        return np.stack([goal if isinstance(goal, np.ndarray) else leave for goal, leave in found])
    if np.ndim(target) == 0:
        known = classes.tolist()
        if target not in known:
            also = f"; or one of {list(CHOICES)}"
            raise ValueError(
                f"no model knows the target label {shown(target)}; it must be one of {known}{also}"
            )
        return np.full(left.shape, known.index(target))
    return np.broadcast_to(check_labels(target, classes, len(X), name="target"), left.shape)


def _least_likely(model: Model, X: NDArray[Any], left: NDArray[np.intp]) -> NDArray[np.intp]:
    """The class, other than the one to leave, that a model holds for the least likely."""
    least = np.empty(len(X), dtype=np.intp)
    for rows in blocks_of(X.shape):
        scores = np.array(explained(X[rows], model.scores, X[rows]))
        scores[np.arange(len(scores)), left[rows]] = np.inf
        least[rows] = scores.argmin(axis=1)
    return least
