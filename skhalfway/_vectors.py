"""Vectors and their lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unit_vectors(x: NDArray[Any]) -> NDArray[np.float64]:
    """``x`` with the last axis of L2 length 1, or 0 where it is 0."""
    # the root of the smallest square that is not 0 is larger than this
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.finfo(float).tiny)
