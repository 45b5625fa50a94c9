"""Tangents of a manifold at samples, and projections onto them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.utils.validation import check_is_fitted

from skhalfway._blocks import blocks
from skhalfway._inputs import under_names
from skhalfway._text import shown

# Directions along which a decoder moves less than this share of its largest movement count as rounding.
_RANK_TOL = 1e-6

Projection = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def check_manifold(manifold: Any) -> None:
    missing = [name for name in ("transform", "inverse_transform") if not hasattr(manifold, name)]
    if missing or isinstance(manifold, type):
        what = f"{type(manifold).__name__} has no {' and no '.join(missing)}" if missing else shown(manifold)
        raise TypeError(f"a manifold is a fitted transformer with an inverse, but got {what}; try PCA")
    check_is_fitted(manifold)


def projections(manifold: Any, X: NDArray[Any]) -> Iterator[tuple[slice, Projection]]:
    """Yield blocks of rows, each with a function that projects changes of these rows onto the manifold."""
    n_features = getattr(manifold, "n_features_in_", X.shape[1])
    if X.shape[1] != n_features:
        raise ValueError(
            f"X has {X.shape[1]} features, but the manifold was fitted on {n_features}; pass X as in its fit"
        )
    if isinstance(manifold, (PCA, IncrementalPCA)):
        # components are orthonormal, with whitening too; QR makes float32 ones orthonormal in float64
        V = np.linalg.qr(manifold.components_.T.astype(float))[0]
        yield slice(None), lambda change: change @ V @ V.T
        return
    names = getattr(manifold, "feature_names_in_", None)
    n_latents = np.shape(manifold.transform(under_names(X[:1], names)))[1]
    # for each latent, a tangent and two points for differences, of n_features values each
    for rows in blocks(len(X), 3 * n_features * n_latents):
        yield rows, partial(_along, _tangents(manifold, under_names(X[rows], names)))


def _along(basis: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("nfk,nk->nf", basis, np.einsum("nfk,nf->nk", basis, change))


def _tangents(manifold: Any, X: Any) -> NDArray[np.float64]:
    """Orthonormal tangents at samples, (n_samples, n_features, n_tangents); 0 in place of missing ones."""
    Z = np.asarray(manifold.transform(X), dtype=float)
    own = getattr(manifold, "jacobian", None)
    jacobian = _differences(manifold, Z) if own is None else np.asarray(own(Z), dtype=float)
    orthonormal, triangle = np.linalg.qr(jacobian)
    # if the Jacobian is rank-deficient, QR completes the basis with arbitrary directions, which R identifies
    left, stretch, _ = np.linalg.svd(triangle)
    full = stretch > _RANK_TOL * stretch.max(axis=1, keepdims=True)
    return orthonormal @ (left * full[:, None])


def _differences(manifold: Any, Z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Jacobian of ``inverse_transform`` by central differences."""
    n, k = Z.shape
    # the step at which rounding errors and curvature errors have the same size
    step = np.cbrt(np.finfo(float).eps) * np.maximum(1.0, np.abs(Z))
    steps = step[:, :, None] * np.eye(k)
    ends = np.stack([Z[:, None] + steps, Z[:, None] - steps]).reshape(-1, k)
    decoded = np.asarray(manifold.inverse_transform(ends))
    if decoded.dtype != float:
        raise ValueError(
            f"inverse_transform of {type(manifold).__name__} returns {decoded.dtype}, too coarse to compute "
            "derivatives from; fit it on float64, or give it a method jacobian(Z)"
        )
    plus, minus = decoded.reshape(2, n, k, -1)
    return np.swapaxes((plus - minus) / (2 * step[:, :, None]), 1, 2)
