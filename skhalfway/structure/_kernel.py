"""The kernel at initialisation of a wide network with a given graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import shown

_N_INPUTS = 10


def correlations(value: Any) -> NDArray[np.float64]:
    """A matrix of correlations of inputs; a number stands for ten inputs with that correlation."""
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.full(1, np.nan)
    if array.ndim == 0:
        array = np.full((_N_INPUTS, _N_INPUTS), float(array))
        np.fill_diagonal(array, 1.0)
    square = array.ndim == 2 and len(array) > 0 and array.shape[0] == array.shape[1]
    if not square or not np.allclose(array, array.T) or not np.allclose(np.diag(array), 1):
        raise ValueError(
            "correlation must be a number from -1/9 to 1, or a symmetric matrix of numbers with ones on "
            f"its diagonal; got {shown(value)}"
        )
    if np.linalg.eigvalsh(array)[0] < -1e-8:
        if np.ndim(value) == 0:
            raise ValueError(
                "correlation must be a number from -1/9 to 1, since it stands for ten inputs with that "
                f"correlation to each other; got {shown(value)}"
            )
        raise ValueError(
            "correlation must be a matrix without negative eigenvalues, since no inputs have such "
            f"correlations; got {shown(value)}"
        )
    return array


def rectified(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation after a linear map with He initialisation and a ReLU: the arc-cosine kernel."""
    r = np.clip(r, -1, 1)
    return (np.sqrt(1 - r**2) + r * (np.pi - np.arccos(r))) / np.pi


def wide_kernel(
    edges: list[tuple[Any, Any, str]], nodes: list[Any], inputs: NDArray[np.float64], order: str
) -> NDArray[np.float64]:
    """Second moments of the output's units, (n_inputs, n_inputs), over random weights.

    The value of an edge with weights is independent of all other values, since it has its own weights; that
    of a skip is not. So the moments of all pairs of nodes are computed, and the means, since those of ReLUs
    are positive.
    """
    moments: dict[Any, dict[Any, NDArray[np.float64]]] = {nodes[0]: {nodes[0]: inputs}}
    means = {nodes[0]: np.zeros(len(inputs))}
    for number, node in enumerate(nodes[1:], 1):
        brought = [(begin, kind) for begin, end, kind in edges if end == node]
        new = [_through(moments[begin][begin], order) for begin, kind in brought if kind == "weights"]
        skips = [begin for begin, kind in brought if kind == "skip"]
        mean = sum((one[1] for one in new), np.zeros(len(inputs)))
        own = sum((one[0] - np.outer(one[1], one[1]) for one in new), np.zeros_like(inputs))
        own = own + np.outer(mean, mean)
        for begin in skips:
            # cross terms of skips and edges with weights
            own = own + np.outer(means[begin], mean) + np.outer(mean, means[begin])
            for other in skips:
                own = own + moments[begin][other]
        row = {}
        for other in nodes[:number]:
            row[other] = np.outer(mean, means[other])
            for begin in skips:
                row[other] = row[other] + moments[begin][other]
        for other, moment in row.items():
            moments[other][node] = moment.T
        moments[node] = row | {node: own}
        means[node] = mean + sum((means[begin] for begin in skips), np.zeros(len(inputs)))
    return moments[nodes[-1]][nodes[-1]]


def _through(moment: NDArray[np.float64], order: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Moments and means after an edge with weights, for units with these second moments."""
    size = np.sqrt(np.diag(moment))
    scale = np.outer(size, size)
    after = scale * rectified(np.divide(moment, scale, out=np.zeros_like(moment), where=scale > 0))
    # the mean of the ReLU of a normal variable of variance 2 k is sqrt(k / pi)
    return after, size / np.sqrt(np.pi) if order == "relu_last" else np.zeros(len(size))
