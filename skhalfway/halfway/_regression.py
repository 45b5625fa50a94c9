"""Crossing regression: where a boundary lies, and which way it faces, from crossings around one point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks


def crossing_normals(
    directions: NDArray[np.float64],
    distances: NDArray[np.float64],
    *,
    alpha: float = 1e-3,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Normals over distances of the boundaries around samples, each seen as a plane.

    From a sample, the plane of unit normal n at distance D is crossed along the unit direction u at the
    distance r = D / <n, u>. So 1 / r is linear in u, and v = n / D its ridge regression: D = 1 / ||v||, the
    plane's nearest point is v / ||v||^2 away in L2, and sign(v) / ||v||_1 in L-inf. Our own derivation.

    Parameters
    ----------
    directions : ndarray of shape (n_samples, n_segments, n_features)
        Unit vectors.
    distances : ndarray of shape (n_samples, n_segments)
        Euclidean distances > 0 of the crossings; nan or inf where there is none, which counts as 1 / r = 0.
    alpha : float, default=1e-3
        Penalty on ||v||^2, > 0, as of :class:`~sklearn.linear_model.Ridge` with no intercept.
    weights : ndarray of shape (n_samples, n_segments), default=None
        What each segment counts for, >= 0; 0 where a sample has fewer. None: 1.

    Returns
    -------
    v : ndarray of shape (n_samples, n_features)
        In one over the units of ``distances``.
    """
    crossed = np.isfinite(distances)
    nearness = np.where(crossed, 1 / np.where(crossed, distances, 1.0), 0.0)
    return ridge_regressions(directions, nearness, alpha=alpha, weights=weights)


def ridge_regressions(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    alpha: float,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Coefficients (n, d) of as many ridge regressions of y (n, k) on X (n, k, d), with no intercept."""
    n, k, d = X.shape
    coefficients = np.empty((n, d))
    for block in blocks(n, k * d + min(k, d) ** 2):
        u, v = X[block], y[block, :, None]
        if weights is not None:
            root = np.sqrt(weights[block, :, None])
            u, v = root * u, root * v
        ut = u.transpose(0, 2, 1)
        if k < d:
            solved = ut @ np.linalg.solve(u @ ut + alpha * np.eye(k), v)
        else:
            solved = np.linalg.solve(ut @ u + alpha * np.eye(d), ut @ v)
        coefficients[block] = solved[..., 0]
    return coefficients
