"""Crossing regression: distance and normal of a boundary, from crossings around a sample."""

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
    """Unit normals over distances, n / D, of the boundaries around samples, each approximated by a plane.

    From a sample, the plane of unit normal n at distance D is crossed along the unit direction u at the
    distance r = D / <n, u>. So 1 / r is linear in u, and a ridge regression of it gives v = n / D. Then D =
    1 / ||v||, and the shortest step to the plane is v / ||v||^2 in L2 and sign(v) / ||v||_1 in L-inf. This
    is our own derivation.

    Parameters
    ----------
    directions : ndarray of shape (n_samples, n_segments, n_features)
        Unit vectors of the segments.
    distances : ndarray of shape (n_samples, n_segments)
        Euclidean distances > 0 of the crossings; nan or inf where there is none, which counts as 1 / r = 0.
    alpha : float, default=1e-3
        Penalty on ||v||^2, > 0, as of :class:`~sklearn.linear_model.Ridge` with no intercept.
    weights : ndarray of shape (n_samples, n_segments), default=None
        Weights of the segments, >= 0; 0 where a sample has fewer segments. None gives all the weight 1.

    Returns
    -------
    v : ndarray of shape (n_samples, n_features)
        Normals over distances, in the inverse of the units of ``distances``.
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
    """Coefficients (n, d) of n ridge regressions of y (n, k) on X (n, k, d), without intercept."""
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
