"""Vectors and their lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def lengths(x: NDArray[Any], norm: float = 2) -> NDArray[Any]:
    """Norm over the last axis, without overflow or underflow of the squares."""
    if not x.shape[-1]:
        return np.zeros(x.shape[:-1], dtype=x.dtype)
    limits = np.finfo(x.dtype)
    with np.errstate(over="ignore"):
        length = np.asarray(np.linalg.norm(x, norm, axis=-1))
        unsure = (length == np.inf) | (length < limits.tiny**0.5 / limits.eps)
        if unsure.any():
            # scaling by powers of two is exact
            exponent = np.frexp(np.abs(x[unsure]).max(axis=-1, initial=0.0))[1]
            scaled = np.linalg.norm(np.ldexp(x[unsure], -exponent[:, None]), norm, axis=-1)
            length[unsure] = np.ldexp(scaled, exponent)
    return length


def unit_vectors(x: NDArray[Any]) -> NDArray[np.float64]:
    """Scale the last axis of ``x`` to L2 length 1; vectors of length 0 stay 0."""
    length = lengths(x)[..., None]
    return x / np.where(length > 0, length, 1.0)
