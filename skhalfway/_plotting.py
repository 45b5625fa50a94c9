"""What the displays share: heat maps of square matrices, and colours that most eyes can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# Petroff, "Accessible color sequences for data visualization", arXiv 2107.02270, 2021: ten colours
_PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_MINUS = "\u2212"
_MARKERS = "osD^v<>PX"


def colours(n: int) -> list[Any]:
    """As many colours; those of a palette made for colour-blind eyes too, where it has enough."""
    if n <= len(_PALETTE):
        return list(_PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def markers(n: int) -> list[str]:
    """As many markers, in a cycle."""
    return [_MARKERS[i % len(_MARKERS)] for i in range(n)]


def figure_text(value: float, decimals: int = 2) -> str:
    """Write a figure without a leading zero, with a true minus sign."""
    text = short(abs(value)) if decimals == 2 else f"{abs(value):.{decimals}f}".removeprefix("0")
    return f"{_MINUS}{text}" if round(value, decimals) < 0 else text


def cell_texts(values: NDArray[np.float64], interval: ConfidenceInterval | None = None) -> NDArray[Any]:
    """What stands in the cells: values, and their intervals below them."""
    texts = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        texts[place] = figure_text(value)
        if interval is not None:
            low, high = (figure_text(end[place]) for end in interval)
            # a dash next to a minus cannot be read
            joint = " to " if _MINUS in low + high else "\u2013"
            texts[place] += f"\n{low}{joint}{high}"
    return texts


def heat_map_axes(n: int, *, include_values: bool, include_intervals: bool) -> Axes:
    """Axes of a new figure, with room for as many rows and columns."""
    import matplotlib.pyplot as plt

    cell = (0.85 if include_intervals else 0.62) if include_values else 0.35
    side = min(max(cell * n, 2.8), 20)
    return plt.subplots(figsize=(side + 2.2, side + 1.4), layout="compressed")[1]


def heat_map(
    ax: Axes,
    values: NDArray[np.float64],
    names: Sequence[str],
    *,
    texts: NDArray[Any] | None,
    colorbar: str | None,
    im_kw: dict[str, Any],
    text_kw: dict[str, Any] | None,
) -> tuple[AxesImage, NDArray[Any] | None]:
    """Draw a square matrix, names on both sides; return the image, and what is written in the cells.

    ``texts`` are for the cells, ``colorbar`` is its label; None is for none.
    """
    n = len(names)
    figure: Any = ax.figure
    image = ax.imshow(values, **im_kw)
    written = None
    if texts is not None:
        # cells are what the axes leave for each model, at whatever size
        points = ax.get_window_extent().width / figure.dpi * 72 / n
        longest = max(len(line) for text in texts.flat for line in text.split("\n"))
        size = min(10.0, points / max(2.6, 0.6 * longest))
        # what is unknown is not painted
        shade = np.where(np.isnan(values)[..., None], 1.0, image.to_rgba(values)[..., :3])
        dark = shade @ (0.299, 0.587, 0.114) < 0.5
        written = np.empty((n, n), dtype=object)
        for (i, j), text in np.ndenumerate(texts):
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": size,
                "color": "w" if dark[i, j] else "k",
            }
            written[i, j] = ax.text(j, i, text, **style | (text_kw or {}))
    ax.set_yticks(range(n), names)
    ax.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor")
    if colorbar is not None:
        figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03, label=colorbar)
    return image, written
