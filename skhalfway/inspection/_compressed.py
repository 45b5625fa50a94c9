"""Fewer weights, fewer values of weights, and training that keeps to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.frozen import FrozenEstimator

from skhalfway.inspection._weights import Weights
from skhalfway.models._training import seeded
from skhalfway.models._type_checks import is_skorch_net, net_dtype

# puts the values of a matrix where the compression wants them
Projections = Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]


def matrices_of(weights: Weights) -> Weights:
    """Matrices and kernels: what is compressed. Biases, and scales of normalisation, have one axis."""
    return {name: weight for name, weight in weights.items() if weight.ndim > 1}


def prune(weights: Weights, share: float, *, scope: str) -> tuple[Weights, Projections, float]:
    """The smallest weights set to 0, and the share of all parameters that is left."""
    matrices = matrices_of(weights)
    sizes = [np.abs(matrix).ravel() for matrix in matrices.values()]
    if scope == "global":
        ends = np.cumsum([len(size) for size in sizes])[:-1]
        kept = np.split(_largest(np.concatenate(sizes), share), ends)
    else:
        kept = [_largest(size, share) for size in sizes]
    masks = {name: mask.reshape(matrices[name].shape) for name, mask in zip(matrices, kept, strict=True)}
    pruned = {name: weight * masks[name] if name in masks else weight for name, weight in weights.items()}
    n_zeros = sum(int((~mask).sum()) for mask in masks.values())
    size = 1 - n_zeros / sum(weight.size for weight in weights.values())
    return pruned, {name: partial(np.multiply, mask) for name, mask in masks.items()}, size


def _largest(sizes: NDArray[Any], share: float) -> NDArray[np.bool_]:
    """Where the largest are: that share of them, to the nearest number."""
    kept = np.ones(len(sizes), dtype=bool)
    kept[np.argsort(sizes, kind="stable")[: round((1 - share) * len(sizes))]] = False
    return kept


def quantize(weights: Weights, bits: int, *, codebook: str) -> tuple[Weights, Projections, float]:
    """As many values in each matrix as ``bits`` tell apart, and bits stored over bits before.

    The bits stored are those of Han et al., Deep compression (2016): for each weight of a matrix which value
    it has, for each value all its bits; and here the biases, unchanged.
    """
    quantized, projections, stored = dict(weights), {}, 0
    for name, matrix in matrices_of(weights).items():
        values, groups = shared_values(matrix.ravel(), 2**bits, codebook=codebook)
        quantized[name] = values[groups].reshape(matrix.shape).astype(matrix.dtype)
        projections[name] = partial(_group_means, groups)
        stored += matrix.size * bits + 2**bits * 8 * matrix.itemsize - 8 * matrix.nbytes
    whole = 8 * sum(weight.nbytes for weight in weights.values())
    return quantized, projections, 1 + stored / whole


def shared_values(flat: NDArray[Any], k: int, *, codebook: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """At most ``k`` ascending values, and for each number the index of the nearest.

    Uniform ones lie evenly from the least to the greatest; k-means starts there, as in Han et al. (2016).
    """
    flat = flat.astype(float)
    values = np.linspace(flat.min(), flat.max(), k)
    if codebook == "kmeans":
        distinct = np.unique(flat)
        if len(distinct) <= k:
            values = distinct
        else:
            means = KMeans(k, init=values[:, None], n_init=1, random_state=0).fit(flat[:, None])
            values = np.sort(means.cluster_centers_[:, 0])
    return values, np.searchsorted((values[1:] + values[:-1]) / 2, flat)


def _group_means(groups: NDArray[np.intp], matrix: NDArray[Any]) -> NDArray[Any]:
    """Each weight replaced by the mean of its group: the nearest matrix whose groups share their values."""
    totals = np.bincount(groups, weights=matrix.ravel())
    means = totals / np.maximum(np.bincount(groups), 1)
    return means[groups].reshape(matrix.shape).astype(matrix.dtype)


def fine_tune(network: Any, X: Any, y: Any, projections: Projections, *, n_epochs: int, seed: int) -> None:
    """Train a compressed network on; after each step matrices are put back to what the compression allows.

    That is gradient descent projected: pruned weights stay 0 and the others move as they would, a shared
    value moves by the mean of the steps of its weights.
    """
    while isinstance(network, FrozenEstimator):
        network = network.estimator
    if is_skorch_net(network):
        _fine_tune_skorch(network, X, y, projections, n_epochs, seed)
    else:
        _fine_tune_mlp(network, X, y, projections, n_epochs, seed)


def _fine_tune_skorch(net: Any, X: Any, y: Any, projections: Projections, n_epochs: int, seed: int) -> None:
    import torch

    weights = dict(net.module_.named_parameters())

    def project(*_: Any) -> None:
        with torch.no_grad():
            for name, projection in projections.items():
                weights[name].copy_(torch.from_numpy(projection(weights[name].cpu().numpy())))

    net.set_params(max_epochs=n_epochs)
    hook = net.optimizer_.register_step_post_hook(project)
    try:
        with seeded(net, seed):
            net.partial_fit(X.astype(net_dtype(net)), y)
    finally:
        hook.remove()


def _fine_tune_mlp(mlp: Any, X: Any, y: Any, projections: Projections, n_epochs: int, seed: int) -> None:
    rng, n = np.random.RandomState(seed), len(y)
    batch_size = min(200, n) if mlp.batch_size == "auto" else min(mlp.batch_size, n)
    for _ in range(n_epochs):
        order = rng.permutation(n)
        for begin in range(0, n, batch_size):
            rows = order[begin : begin + batch_size]
            # one step at a time
            mlp.set_params(batch_size=len(rows)).partial_fit(X[rows], y[rows])
            for name, projection in projections.items():
                i = int(name.removeprefix("coefs."))
                mlp.coefs_[i] = projection(mlp.coefs_[i].T).T
