"""Axes for figures against depth, shared by the displays of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skhalfway.displays._panels import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


def layer_panels(axes: Any, n: int, n_layers: int) -> NDArray[Any]:
    """Panels wide enough for the names of layers."""
    return panels(axes, n, max(3.4, 0.45 * n_layers + 1.2), 3.2)


def name_layers(ax: Axes, layers: Sequence[str], ylabel: str) -> None:
    """Put the names of layers along the horizontal axis, first to last."""
    ax.set_xticks(range(len(layers)), layers, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(xlabel="layer", ylabel=ylabel)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def legend_above(ax: Axes) -> None:
    """Add a legend above the axes, so that it covers nothing."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, frameon=False, fontsize=9)
