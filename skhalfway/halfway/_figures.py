"""Figures of crossings: halfway deviation of a model, agreement and boundary distance of two models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skhalfway._intervals import ratio


def deviation(positions: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean distance of crossings from 1/2 over the pairs that count, of shape (n_models,)."""
    away = np.where(counted, np.abs(positions - 0.5), 0.0)
    return ratio(away.sum(axis=1), counted.sum(axis=1).astype(float))


def agreement(positions: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rank correlation (Spearman) of two models' crossings, over pairs that count for both.

    The result has shape (n_models, n_models). It is nan where all crossings of a model are at one position,
    or fewer than 3 pairs count.
    """
    n = len(positions)
    found = np.full((n, n), np.nan)
    for i, j in zip(*np.triu_indices(n), strict=True):
        both = counted[i] & counted[j]
        if both.sum() < 3:
            continue
        # ranks from 1 to n, minus their mean
        a, b = (rankdata(positions[k, both]) - (both.sum() + 1) / 2 for k in (i, j))
        spread = (a @ a) * (b @ b)
        found[i, j] = found[j, i] = np.clip(a @ b / np.sqrt(spread), -1, 1) if spread > 0 else np.nan
    return found


def boundary_distance(
    positions: NDArray[np.float64], counted: NDArray[np.bool_], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean distance of two models' crossings along the path, over pairs that count for both.

    The result has shape (n_models, n_models) and the units of ``lengths``.
    """
    n = len(positions)
    found = np.empty((n, n))
    for i in range(n):
        both = counted[i] & counted[i:]
        apart = np.where(both, np.abs(positions[i] - positions[i:]) * lengths, 0.0)
        found[i, i:] = found[i:, i] = ratio(apart.sum(axis=1), both.sum(axis=1).astype(float))
    return found


def mean_of_pairs(matrix: NDArray[np.float64]) -> float:
    """Mean over pairs of two models with a known figure; nan where none is known."""
    upper = matrix[np.triu_indices(len(matrix), 1)]
    known = upper[~np.isnan(upper)]
    return float(known.mean()) if len(known) else np.nan


def finely(value: float) -> str:
    """A figure with three decimals and without a leading zero, since deviations are small."""
    return " - " if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)
