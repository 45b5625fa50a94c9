"""Figures of several panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def panels(axes: Any, n: int, width: float, height: float, n_columns: int = 3) -> NDArray[Any]:
    """Axes for n panels: the given ones, or those of a new figure with at most n_columns in a row.

    ``width`` and ``height`` of a panel are in inches.
    """
    if axes is not None:
        given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(given) != n:
            raise ValueError(f"axes must hold {n} axes, one for each panel, got {len(given)}")
        return given
    import matplotlib.pyplot as plt

    n_rows = -(-n // n_columns)
    n_columns = -(-n // n_rows)
    size = (width * n_columns, height * n_rows)
    figure, made = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
    for spare in made.ravel()[n:]:
        figure.delaxes(spare)
    return made.ravel()[:n]
