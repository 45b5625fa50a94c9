"""Work on many rows with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_MAX_VALUES = 2**22  # maximum number of values in memory: 32 MiB of float64
SCANNED = 2**18  # the same for data that are only scanned


def blocks(n_rows: int, n_values: int, most: int | None = None) -> Iterator[slice]:
    """Slices of rows with ``n_values`` each, so that a slice has at most ``most`` values."""
    size = max(1, (_MAX_VALUES if most is None else most) // max(1, n_values))
    return (slice(begin, begin + size) for begin in range(0, n_rows, size))


def spread(n_rows: int, most: int) -> NDArray[np.intp]:
    """Evenly spaced positions of at most ``most`` of the rows."""
    return np.unique(np.linspace(0, n_rows - 1, most).astype(np.intp))
