"""Pruning, quantisation, and fine-tuning that keeps to either."""

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

# by name, a function that replaces a matrix by the nearest one that the compression allows
Projections = Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]]


def matrices_of(weights: Weights) -> Weights:
    """Matrices and kernels, which are compressed; biases and scales of normalisation have one axis."""
    return {name: weight for name, weight in weights.items() if weight.ndim > 1}


def prune(weights: Weights, share: float, *, scope: str) -> tuple[Weights, Projections, float]:
    """Set the smallest weights to 0; also return projections and the share of all parameters that is left."""
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
    """Mask of the largest entries: the given share of them, rounded to a whole number."""
    kept = np.ones(len(sizes), dtype=bool)
    kept[np.argsort(sizes, kind="stable")[: round((1 - share) * len(sizes))]] = False
    return kept


def quantize(weights: Weights, bits: int, *, codebook: str) -> tuple[Weights, Projections, float]:
    """Give each matrix at most ``2**bits`` values; also return projections and bits stored over bits before.

    Stored bits are counted as in Han et al., Deep compression (2016): for each weight of a matrix the index
    of its value, and each value at full precision; here also the biases, unchanged.
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

    Uniform values are evenly spaced from the smallest to the largest number; k-means starts from these, as in
    Han et al. (2016).
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
    """Train a compressed network further, projecting matrices after each step to what the compression allows.

    This is projected gradient descent: pruned weights stay 0 while the others move as usual, and a shared
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
