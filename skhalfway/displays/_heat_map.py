"""Heat maps of matrices with names on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval
from skhalfway.displays._style import MINUS, figure_text
from skhalfway.results._table import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


def cell_texts(values: NDArray[np.float64], interval: ConfidenceInterval | None = None) -> NDArray[Any]:
    """What stands in the cells: values, and their intervals below them."""
    texts = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        texts[place] = figure_text(value)
        if interval is not None:
            low, high = (figure_text(end[place]) for end in interval)
            # a dash next to a minus cannot be read
            joint = " to " if MINUS in low + high else "\u2013"
            texts[place] += f"\n{low}{joint}{high}"
    return texts


def heat_map_axes(n_rows: int, n_columns: int, *, include_values: bool, include_intervals: bool) -> Axes:
    """Axes of a new figure, with room for as many rows and columns."""
    import matplotlib.pyplot as plt

    cell = (0.85 if include_intervals else 0.62) if include_values else 0.35
    width, height = (min(max(cell * n, 2.8 if n_rows == n_columns else 1.2), 20) for n in (n_columns, n_rows))
    return plt.subplots(figsize=(width + 2.2, height + 1.4), layout="compressed")[1]


def heat_map(
    ax: Axes,
    values: NDArray[np.float64],
    names: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    texts: NDArray[Any] | None,
    colorbar: str | None,
    im_kw: dict[str, Any],
    text_kw: dict[str, Any] | None,
) -> tuple[AxesImage, NDArray[Any] | None]:
    """Draw a matrix with the names of its rows and columns; return the image, and what is in the cells.

    Without names of columns they are those of the rows. ``texts`` are for the cells, ``colorbar`` is its
    label; None is for none.
    """
    columns = names if columns is None else columns
    n = len(columns)
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
        written = np.empty(values.shape, dtype=object)
        for (i, j), text in np.ndenumerate(texts):
            style: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": size,
                "color": ink_on(255 * shade[i, j]),
            }
            written[i, j] = ax.text(j, i, text, **style | (text_kw or {}))
    ax.set_yticks(range(len(names)), names)
    ax.set_xticks(range(n), columns, rotation=45, ha="right", rotation_mode="anchor")
    if colorbar is not None:
        figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03, label=colorbar)
    return image, written
