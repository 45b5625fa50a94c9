"""Common ways to prepare samples, on one of which a model may have been trained."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Change = Callable[[NDArray[Any]], NDArray[Any]]


def changes(X: NDArray[Any]) -> dict[str, Change]:
    """Common transformations of samples like these, by name."""
    if not np.isfinite(X).any():
        return {}
    low, high = np.nanmin(X), np.nanmax(X)
    if 0 <= low and high <= 1:
        ways: dict[str, Change] = {"X * 255": lambda X: X * 255, "X * 16": lambda X: X * 16}
        ways["2 * X - 1"] = lambda X: 2 * X - 1
    elif -1 <= low and high <= 1:
        ways = {"(X + 1) / 2": lambda X: (X + 1) / 2, "(X + 1) * 127.5": lambda X: (X + 1) * 127.5}
    elif low >= 0:
        ways = {"X / 255": lambda X: X / 255, "X / 16": lambda X: X / 16}
        ways["X / 127.5 - 1"] = lambda X: X / 127.5 - 1
    else:
        ways = {}
    # images by channel, rows by column
    axes = (0, *range(2, X.ndim)) if X.ndim > 2 else 0
    n_known = np.maximum((~np.isnan(X)).sum(axis=axes, keepdims=True), 1)
    mean = np.nansum(X, axis=axes, keepdims=True, dtype=float) / n_known
    std = np.sqrt(np.nansum((X - mean) ** 2, axis=axes, keepdims=True) / n_known)
    std[std == 0] = 1
    ways[f"X standardised by {'channel' if X.ndim > 2 else 'column'}"] = lambda X: (X - mean) / std
    side = isqrt(X[0].size // 3)
    if X[0].size == 3 * side**2 and side >= 8:
        ways["X with its channels first"] = lambda X: _moved(X, (side, side, 3), -1, 1)
        ways["X with its channels last"] = lambda X: _moved(X, (3, side, side), 1, -1)
    return ways


def _moved(X: NDArray[Any], shape: tuple[int, ...], source: int, destination: int) -> NDArray[Any]:
    return np.moveaxis(X.reshape(-1, *shape), source, destination).reshape(X.shape)
