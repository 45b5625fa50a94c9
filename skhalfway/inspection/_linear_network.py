"""Deep linear networks on whitened samples: weights of critical points, gradients, Hessians, descents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STILL = 1e-9  # norm of a gradient, relative to the largest singular value, at which a descent ends
_ROUNDING = 1e-14  # relative increase of a loss that rounding can cause


def product(matrices: Sequence[Array], n: int) -> Array:
    """Product of matrices, the last one leftmost; for no matrices, the identity of size n."""
    return reduce(lambda so_far, matrix: matrix @ so_far, matrices, np.eye(n))


def balanced(u: Array, s: Array, v: Array, chosen: NDArray[np.bool_], hidden: Sequence[int]) -> list[Array]:
    """Weights whose product is the target u diag(s) v^T, restricted to the chosen directions.

    Each direction has its own unit in each hidden layer, and every layer has the same root of its singular
    value.
    """
    rows = np.flatnonzero(chosen)
    root = s[rows] ** (1 / (len(hidden) + 1))
    first = np.zeros((hidden[0], len(v)))
    first[: len(rows)] = root[:, None] * v[:, rows].T
    weights = [first]
    for before, width in pairwise(hidden):
        weight = np.zeros((width, before))
        weight[np.arange(len(rows)), np.arange(len(rows))] = root
        weights.append(weight)
    last = np.zeros((len(u), hidden[-1]))
    last[:, : len(rows)] = u[:, rows] * root
    return [*weights, last]


def gradients(weights: Sequence[Array], target: Array) -> tuple[Array, list[Array]]:
    """Half the squared distance of the product from the target, and its gradient.

    Weights may be stacked: their leading axes are then those of the stack, and each member has a loss.
    """
    before = [weights[0]]
    for weight in weights[1:]:
        before.append(weight @ before[-1])
    error = before[-1] - target
    found, after = [], error
    for i in range(len(weights) - 1, 0, -1):
        found.append(after @ np.swapaxes(before[i - 1], -1, -2))
        after = np.swapaxes(weights[i], -1, -2) @ after
    return (error**2).sum(axis=(-2, -1)) / 2, [after, *found[::-1]]


def hessian(weights: Sequence[Array], target: Array) -> Array:
    """Hessian of half the squared distance by all weights, each matrix flattened row by row."""
    n_layers, n_in = len(weights), weights[0].shape[1]
    before = [product(weights[:i], n_in) for i in range(n_layers)]
    after = [product(weights[i + 1 :], len(weights[i])) for i in range(n_layers)]
    error = product(weights, n_in) - target
    ends = np.cumsum([0, *(weight.size for weight in weights)])
    whole = np.empty((ends[-1], ends[-1]))
    for i in range(n_layers):
        for j in range(i, n_layers):
            # derivative by entry (c, e) of layer i and by entry (a, b) of layer j
            block = np.einsum("ca,eb->ceab", after[i].T @ after[j], before[i] @ before[j].T)
            if j > i:
                between = product(weights[i + 1 : j], len(weights[i]))
                block += np.einsum("bc,ea->ceab", between, before[i] @ error.T @ after[j])
            block = block.reshape(weights[i].size, weights[j].size)
            whole[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
            whole[ends[j] : ends[j + 1], ends[i] : ends[i + 1]] = block.T
    return whole


def descend(weights: Sequence[Array], target: Array, max_iter: int) -> tuple[Array, NDArray[np.intp]]:
    """Gradient descents from a stack of weights: their last losses, and the number of steps of each.

    A step is accepted where the loss decreases by at least half of what the gradient predicts. The step size
    grows by a quarter after an accepted step, and is halved after a rejected one. Rejected steps are not
    counted.
    """
    now = [weight.copy() for weight in weights]
    loss, slope = gradients(now, target)
    size, n_steps = np.ones(len(loss)), np.zeros(len(loss), dtype=np.intp)
    still = _STILL * np.linalg.norm(target, 2)
    for _ in range(max_iter):
        steep = sum((part**2).sum(axis=(-2, -1)) for part in slope)
        moving = steep > still**2
        if not moving.any():
            break
        there = [weight - size[:, None, None] * part for weight, part in zip(now, slope, strict=True)]
        with np.errstate(over="ignore", invalid="ignore"):  # a step that is far too long is rejected below
            new_loss, new_slope = gradients(there, target)
            along = sum((a * b).sum(axis=(-2, -1)) for a, b in zip(slope, new_slope, strict=True))
            falls = new_loss <= loss - size * steep / 2
            # where the decrease is lost in rounding, accept the step if the gradient has not turned
            falls |= (new_loss <= loss * (1 + _ROUNDING)) & (along >= 0)
        falls &= moving
        loss = np.where(falls, new_loss, loss)
        for old, new in ((now, there), (slope, new_slope)):
            for k, part in enumerate(new):
                old[k] = np.where(falls[:, None, None], part, old[k])
        size = np.where(falls, size * 1.25, size / 2)
        n_steps += falls
    return loss, n_steps
