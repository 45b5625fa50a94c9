"""Persistent homology of a network: components and loops that appear and end as weaker paths are added."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

# 1, .9, ..., .2, .1, .09, ..., 2e-7, 1e-7: nine levels in each decade, as in the authors' code
LEVELS = np.array([float(f"{tens}e{-power}") for power in range(1, 8) for tens in range(10, 1, -1)] + [1e-7])
_SAME = 1e-9  # relative tolerance within which a relevance reaches a level


def gudhi() -> Any:
    """The library that computes persistent homology."""
    try:
        return import_module("gudhi")
    except ImportError as error:
        raise ImportError(
            "network_topology needs the library gudhi: pip install 'skhalfway[structure]'"
        ) from error


def level_of(relevance: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The number, from 1, of the first level that a relevance reaches; inf where it reaches none."""
    number = np.searchsorted(-levels, -relevance * (1 + _SAME)) + 1.0
    return np.where(number > len(levels), np.inf, number)


def best_paths(matrices: list[NDArray[np.float64]]) -> dict[tuple[int, int], NDArray[np.float64]]:
    """For each two layers, the largest product of relevances along a path between two neurons of them."""
    best = {(i, i + 1): matrix for i, matrix in enumerate(matrices)}
    for length in range(2, len(matrices) + 1):
        for begin in range(len(matrices) - length + 1):
            before, last = best[begin, begin + length - 1], matrices[begin + length - 1]
            product = np.zeros((len(before), last.shape[1]))
            for j in range(len(last)):
                np.maximum(product, before[:, j, None] * last[j], out=product)
            best[begin, begin + length] = product
    return best


def persistence(
    matrices: list[NDArray[np.float64]], levels: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Births and deaths, (n, 2) each, of connected components (H0) and loops (H1), over the field Z2.

    They are numbers of levels, or, without levels, minus the logarithm of the relevance. A path whose product
    of relevances reaches a level is a simplex with all its faces. So two neurons are joined, and three form a
    triangle, from the level of the best path through them. All neurons are there from the first level.
    """
    tree = gudhi().SimplexTree()
    sizes = [len(matrices[0]), *(matrix.shape[1] for matrix in matrices)]
    first = np.concatenate([[0], np.cumsum(sizes)])

    def time(relevance: NDArray[np.float64]) -> NDArray[np.float64]:
        if levels is not None:
            return level_of(relevance, levels)
        with np.errstate(divide="ignore"):
            return -np.log(np.minimum(relevance, 1))

    def insert(vertices: list[NDArray[np.intp]], times: NDArray[np.float64]) -> None:
        there = np.isfinite(times)
        tree.insert_batch(np.array([v[there] for v in vertices], dtype=np.int32), times[there])

    born = 1.0 if levels is not None else 0.0
    insert([np.arange(first[-1])], np.full(first[-1], born))
    best = best_paths(matrices)
    for (a, c), relevance in best.items():
        i, k = np.nonzero(relevance)
        insert([first[a] + i, first[c] + k], time(relevance[i, k]))
    for a, c in best:
        for b in range(a + 1, c):
            for j in range(sizes[b]):
                through = best[a, b][:, j, None] * best[b, c][j]
                i, k = np.nonzero(through)
                insert([first[a] + i, np.full(len(i), first[b] + j), first[c] + k], time(through[i, k]))
    tree.compute_persistence(homology_coeff_field=2, min_persistence=0.0, persistence_dim_max=True)
    zero, one = (np.asarray(tree.persistence_intervals_in_dimension(d)).reshape(-1, 2) for d in (0, 1))
    return zero[np.lexsort(zero.T[::-1])], one[np.lexsort(one.T[::-1])]
