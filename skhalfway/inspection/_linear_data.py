"""Data of a deep linear network: widths and targets, read and checked, and whitened samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import read_numbers
from skhalfway._readable import read_labels
from skhalfway._text import counted, shown
from skhalfway.models._warnings import warn

SAME = 1e-8  # relative tolerance below which a singular value counts as 0, or two count as equal


def read_widths(hidden: Any) -> tuple[int, ...]:
    """Units of each hidden layer; there is at least one layer."""
    widths = hidden.tolist() if isinstance(hidden, np.ndarray) else hidden
    if not isinstance(widths, (list, tuple)):
        widths = [widths]
    whole = [isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 1 for n in widths]
    if not whole or not all(whole):
        raise ValueError(
            "hidden must be an integer >= 1, or a sequence of them, one for each hidden layer; got "
            f"{shown(hidden)}"
        )
    return tuple(map(int, widths))


def read_outputs(y: Any, n_samples: int) -> NDArray[np.float64]:
    """Targets as they are; labels are one-hot encoded."""
    n_axes = getattr(y, "ndim", None)
    if n_axes is None:
        n_axes = 2 if isinstance(y, (list, tuple)) and any(isinstance(row, (list, tuple)) for row in y) else 1
    if n_axes != 1:
        targets = read_numbers(y, name="y").astype(float)
        if targets.shape[0] != n_samples or targets.ndim != 2:
            raise ValueError(
                f"y must hold a row of targets, or a label, for each of {n_samples} samples; got shape "
                f"{targets.shape}"
            )
        return targets
    labels = read_labels(y, n_samples)
    if labels.dtype.kind == "f" and (between := labels[labels % 1 != 0]).size:
        raise ValueError(
            f"y of one axis holds class labels, but has {shown(between[0])}; pass targets as a column, of "
            f"shape ({n_samples}, 1)"
        )
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"y must hold at least two classes, got {shown(classes)}; targets are passed with two axes"
        )
    return (labels[:, None] == classes).astype(float)


def whitened(X: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The matrix that a network of whitened samples has to equal, and the loss that remains then."""
    u, s, _ = np.linalg.svd(X, full_matrices=False)
    rank = int((s > s.max(initial=0.0) * max(X.shape) * np.finfo(float).eps).sum())
    if rank < X.shape[1]:
        raise ValueError(
            f"X has {counted(X.shape[1], 'feature')} and rank {rank}, and the theory needs full rank: remove "
            f"features that are 0 or depend linearly on others, or use PCA({max(rank, 1)})"
        )
    target = y.T @ u / len(X) ** 0.5
    if np.linalg.norm(target) <= SAME * np.linalg.norm(y) / len(X) ** 0.5:
        raise ValueError(
            "y is orthogonal to all features, so a linear network has nothing to learn; pass other targets"
        )
    return target, float(((y - u @ (u.T @ y)) ** 2).sum() / 2 / len(X))


def warn_of(s: NDArray[np.float64], widths: Sequence[int]) -> None:
    """Warn where the data do not meet the conditions of the theorem."""
    reasons, shared = [], int((s > SAME * s[0]).sum())
    if widths[-1] > widths[0]:
        reasons.append(f"there are {widths[-1]} outputs, more than {counted(widths[0], 'feature')}")
    if shared < len(s):
        reasons.append(
            f"X and y have only {shared} of {len(s)} directions in common, as with labels and centred samples"
        )
    if (s[: shared - 1] - s[1:shared] <= SAME * s[0]).any():
        reasons.append("two singular values are equal")
    if reasons:
        warn(
            f"the theorem does not cover such data: {'; '.join(reasons)}. The points listed are critical "
            "points nevertheless, but there may be others",
            UserWarning,
        )
