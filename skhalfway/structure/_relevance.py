"""Relevances: the shares of a neuron's positive input weights that come from each neuron before it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skhalfway._text import brief
from skhalfway.structure._chain import DENSE, POOLING, Chain, Layer

_MOST = 50_000_000  # largest number of entries of a matrix of relevances
_POOLED = {1: nn.functional.avg_pool1d, 2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}


def relevances(chain: Chain, n_matrices: int, shape: tuple[int, ...] | None) -> list[NDArray[np.float64]]:
    """Matrices of relevances of the last layers, (n_before, n_after) each; ``shape`` is that of a sample.

    ``R_ij = max(w_ij, 0) / sum_k max(w_kj, 0)`` is the positive part of the weight from i to j over the sum
    of those into j, and 0 for a neuron without positive input weights. For a convolution, the sum is over
    its kernel. For a pooling over windows of f inputs, each relevance is ``1 / f``.
    """
    layers = chain.layers[-n_matrices:]
    if all(layer.kind == DENSE for layer in layers):
        for before, after in pairwise(layers):
            assert before.weight is not None
            _check_taken(after, len(before.weight), f"the one before it, {before.name!r},", chain.name)
        return [_of_dense(layer) for layer in layers]
    if shape is None:
        raise ValueError(
            f"{chain.name} has convolutions or poolings, whose number of neurons depends on the shape of "
            "samples; pass a sample or more as X"
        )
    found, size = [], torch.Size(shape)
    for number, layer in enumerate(chain.layers):
        wanted = number >= len(chain.layers) - n_matrices
        matrix, size = _laid_out(layer, size, chain.name, wanted)
        if wanted:
            assert matrix is not None
            found.append(matrix)
    return found


def _of_dense(layer: Layer) -> NDArray[np.float64]:
    assert layer.weight is not None
    return _shares(layer.weight.clip(min=0).T)


def _check_taken(layer: Layer, n_given: int, giver: str, name: str) -> None:
    """Raise ValueError where a dense layer takes another number of values than it gets."""
    assert layer.weight is not None
    if n_given != layer.weight.shape[1]:
        remedy = "samples of the shape that the network takes"
        if giver != "X":
            remedy = "a network in which each layer takes one value from each neuron of the layer before it"
        raise ValueError(
            f"layer {layer.name!r} of {name} takes {layer.weight.shape[1]} values, but {giver} gives it "
            f"{n_given}; pass {remedy}"
        )


def _shares(positive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns divided by their sums; columns of zeros stay zero."""
    sums = positive.sum(axis=0)
    return np.divide(positive, sums, out=np.zeros_like(positive), where=sums > 0)


def _laid_out(
    layer: Layer, size: torch.Size, name: str, wanted: bool
) -> tuple[NDArray[np.float64] | None, torch.Size]:
    """The matrix of a layer for inputs of a size (None unless wanted), and the size of its output."""
    if layer.kind == DENSE:
        assert layer.weight is not None
        _check_taken(layer, size.numel(), "X", name)
        return (_of_dense(layer) if wanted else None), torch.Size([len(layer.weight)])
    part: Any = layer.part
    if layer.kind == POOLING and set(np.ravel(getattr(part, "dilation", 1))) != {1}:
        raise ValueError(
            f"layer {layer.name!r} of {name} is a {type(part).__name__} with dilation={part.dilation}, but "
            "poolings must have dilation=1"
        )
    weight = None if layer.weight is None else torch.from_numpy(layer.weight.clip(min=0))

    def spread(x: torch.Tensor) -> torch.Tensor:
        if weight is not None:
            conv, padding = getattr(nn.functional, f"conv{x.ndim - 2}d"), part.padding
            if part.padding_mode != "zeros":
                sides = part._reversed_padding_repeated_twice
                x, padding = nn.functional.pad(x, sides, mode=part.padding_mode), 0
            return conv(x, weight, None, part.stride, padding, part.dilation, part.groups)
        stride = part.kernel_size if part.stride is None else part.stride
        return _POOLED[x.ndim - 2](
            x, part.kernel_size, stride, part.padding, part.ceil_mode, count_include_pad=True
        )

    try:
        after = spread(torch.zeros(1, *size, dtype=torch.float64)).shape[1:]
    except RuntimeError as error:
        raise ValueError(
            f"layer {layer.name!r} of {name} does not take inputs of shape {tuple(size)} "
            f"({brief(error, 80)}); pass samples of the shape that the network takes"
        ) from error
    if not wanted:
        return None, after
    if size.numel() * after.numel() > _MOST:
        raise ValueError(
            f"layer {layer.name!r} of {name} connects {size.numel()} neurons to {after.numel()}, which is "
            "too many; lower n_layers, which is counted from the output, or pass a smaller network"
        )
    with torch.no_grad():
        matrix = (
            spread(torch.eye(size.numel(), dtype=torch.float64).reshape(size.numel(), *size))
            .flatten(1)
            .numpy()
        )
    if layer.kind == POOLING:
        return matrix, after
    assert weight is not None
    # the sum is over the whole kernel, also at the edges of the image
    sums = weight.flatten(1).sum(dim=1).numpy()
    sums = np.repeat(sums, after[1:].numel())
    return np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0), after
