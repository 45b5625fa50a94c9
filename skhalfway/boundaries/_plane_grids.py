"""Grids on planes through three samples: axes, coordinates and points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def gram_schmidt(corners: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Axes of the planes through (n_planes, 3, n_features), and the corners' coordinates (n_planes, 3, 2)."""
    first = corners[:, 1].astype(float) - corners[:, 0]
    second = corners[:, 2].astype(float) - corners[:, 0]
    anchors = np.zeros((len(corners), 3, 2))
    anchors[:, 1, 0] = np.linalg.norm(first, axis=1)
    first /= _divisor(anchors[:, 1, 0])
    # a second pass removes what rounding left of the first axis
    for _ in range(2):
        along = (first * second).sum(axis=1)
        anchors[:, 2, 0] += along
        second -= along[:, None] * first
    anchors[:, 2, 1] = np.linalg.norm(second, axis=1)
    return np.stack([first, second / _divisor(anchors[:, 2, 1])], axis=1), anchors


def _divisor(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths as a column, with 1 in place of 0."""
    return np.where(lengths == 0, 1.0, lengths)[:, None]


def on_a_line(corners: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether three samples (n_planes, 3, n_features) lie on a line, up to rounding."""
    at = gram_schmidt(corners)[1]
    size = np.linalg.norm(corners.astype(float), axis=2).max(axis=1)
    return np.minimum(at[:, 1, 0], at[:, 2, 1]) <= 16 * np.finfo(corners.dtype).eps * size


def axes(anchors: NDArray[np.float64], resolution: int, padding: float) -> tuple[NDArray[np.float64], ...]:
    """Grid coordinates x and y, each (n_planes, resolution), around anchors (n_planes, 3, 2)."""
    low, high = anchors.min(axis=1), anchors.max(axis=1)
    low, high = low - padding * (high - low), high + padding * (high - low)
    axes = np.linspace(low, high, resolution, axis=1)
    return axes[..., 0], axes[..., 1]


def grid_shares(
    anchors: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shares of the three samples in the points of the grids, row by row, (n_planes, resolution**2, 3).

    With these barycentric coordinates, points need no copy of the plane's axes, which are as wide as samples.
    """
    width, shift, height = anchors[:, 1, :1], anchors[:, 2, :1], anchors[:, 2, 1:]
    third = (y / height)[:, :, None]
    second = (x / width)[:, None, :] - third * (shift / width)[:, :, None]
    shares = np.broadcast_arrays(1 - second - third, second, third)
    return np.stack(shares, axis=-1).reshape(len(x), -1, 3)


def mix(shares: NDArray[np.float64], corners: NDArray[Any]) -> NDArray[Any]:
    """Points of one plane or of several, in the corners' float type."""
    planes = corners.shape[: shares.ndim - 2]
    points = shares @ corners.reshape(*planes, 3, -1)
    return points.astype(corners.dtype, copy=False).reshape(
        *shares.shape[:-1], *corners.shape[shares.ndim - 1 :]
    )
