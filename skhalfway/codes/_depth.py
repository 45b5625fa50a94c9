"""Figures against depth: the axes that the displays of layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


def panels(axes: Any, n: int, n_layers: int, n_rows_within: int = 0) -> NDArray[Any]:
    """As many axes, in rows of at most three: those given, or those of a new figure with room for layers."""
    if axes is not None:
        given = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(given) != n:
            raise ValueError(f"{n} axes are needed, one for each panel, got {len(given)}")
        return given
    import matplotlib.pyplot as plt

    n_rows = -(-n // 3)
    n_columns = -(-n // n_rows)
    width, height = max(3.4, 0.45 * n_layers + 1.2), max(3.2, 0.45 * n_rows_within + 1.2)
    figure, made = plt.subplots(
        n_rows, n_columns, figsize=(width * n_columns, height * n_rows), layout="constrained", squeeze=False
    )
    for spare in made.ravel()[n:]:
        figure.delaxes(spare)
    return made.ravel()[:n]


def name_layers(ax: Axes, layers: Sequence[str], ylabel: str) -> None:
    """Layers along the axis, first to last."""
    ax.set_xticks(range(len(layers)), layers, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel="layer", ylabel=ylabel)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
