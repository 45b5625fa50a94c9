"""Labels that targeted attacks aim at: one for all samples, one for each, the least likely, or random."""

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

    ``left``, of the same shape, are the labels to move away from; a random goal is any other label. ``call``
    calls a function of a model by its name. Where this fails, the goals of the source are ``left``.
    """
    if isinstance(target, str) and target in CHOICES and not (classes == target).any():
        if target == "random":
            rows = np.arange(left.shape[1])
            step = 1 + Streams(seed, rows, _PURPOSE).integers(rows, len(classes) - 1)
            return (left + step) % len(classes)
        each = zip(sources.items(), left, strict=True)
        found = [(call(name, _least_likely, model, X, leave), leave) for (name, model), leave in each]
        return np.stack([goal if isinstance(goal, np.ndarray) else leave for goal, leave in found])
    if np.ndim(target) == 0:
        known = classes.tolist()
        if target not in known:
            raise ValueError(
                f"no model knows the target label {shown(target)}; it must be one of {shown(known)}; or one "
                f"of {list(CHOICES)}"
            )
        return np.full(left.shape, known.index(target))
    return np.broadcast_to(check_labels(target, classes, len(X), name="target"), left.shape)


def _least_likely(model: Model, X: NDArray[Any], left: NDArray[np.intp]) -> NDArray[np.intp]:
    """The least likely class by a model's scores, other than the one to move away from."""
    least = np.empty(len(X), dtype=np.intp)
    for rows in blocks_of(X.shape):
        scores = np.array(explained(X[rows], model.scores, X[rows]))
        scores[np.arange(len(scores)), left[rows]] = np.inf
        least[rows] = scores.argmin(axis=1)
    return least
