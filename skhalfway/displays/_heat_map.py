"""Heat maps of matrices with names on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import all_signed
from skhalfway.displays._style import MINUS, end_text, figure_text
from skhalfway.results._table import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


def cell_texts(values: NDArray[np.float64], interval: ConfidenceInterval | None = None) -> NDArray[Any]:
    """Texts of the cells: values, and their intervals below them."""
    texts = np.empty(values.shape, dtype=object)
    # a dash next to a minus sign is hard to read, and all cells of a map have one format
    joint = "\u2013"
    if interval is not None and any(MINUS in end_text(end) for ends in interval for end in np.ravel(ends)):
        joint = " to "
    for place, value in np.ndenumerate(values):
        texts[place] = figure_text(value)
        if interval is not None:
            low, high = (end_text(end[place]) for end in interval)
            texts[place] += f"\n{low}{joint}{high}"
    return texts


def difference_texts(values: NDArray[np.float64], interval: ConfidenceInterval | None = None) -> NDArray[Any]:
    """Texts of cells that hold differences, with signs (``-.00`` is below 0), and intervals below them."""
    texts = np.empty(values.shape, dtype=object)
    for place, value in np.ndenumerate(values):
        ends = () if interval is None else [float(end[place]) for end in interval]
        text, *written = (one.replace("-", MINUS) for one in all_signed(float(value), *ends, decimals=2))
        known = [] if not ends else [" to ".join(written)]
        texts[place] = "\u2013" if np.isnan(value) else "\n".join([text, *known])
    return texts


def _new_axes(
    n_rows: int,
    n_columns: int,
    *,
    include_values: bool,
    include_intervals: bool,
    longest_name: int = 0,
    longest_text: int = 0,
) -> Axes:
    """Axes of a new figure, sized for the numbers of rows and columns and for the title.

    ``longest_name`` is the largest number of characters in the name of a row, ``longest_text`` that in a line
    of a cell, where cells hold more than a rate.
    """
    import matplotlib.pyplot as plt

    cell = (0.85 if include_intervals else 0.62) if include_values else 0.35
    beside = max(2.2, 1.2 + 0.09 * longest_name)
    width = min(max(max(cell, 0.07 * longest_text) * n_columns, 5.0 - beside, 1.2), 20)
    # cells of that width are about square; the label of a colour bar needs a minimum height
    least = 2.8 if n_rows == n_columns else float(np.clip(0.6 + width * n_rows / n_columns, 1.2, 2.4))
    height = min(max(cell * n_rows, least), 20)
    return plt.subplots(figsize=(width + beside, height + 1.4), layout="compressed")[1]


def fit(ax: Axes, written: NDArray[Any] | None) -> None:
    """Shrink the texts of the cells until they fit, once all else is drawn."""
    if written is None or not written.size:
        return
    figure: Any = ax.figure
    figure.draw_without_rendering()  # the layout moves the axes
    cell = np.abs(np.diff(ax.transData.transform([(0, 0), (1, 1)]), axis=0))[0]
    boxes = [text.get_window_extent() for text in written.flat]
    most = np.max([(box.width, box.height) for box in boxes], axis=0)
    share = float((0.94 * cell / most).min())
    if share < 1:
        for text in written.flat:
            text.set_fontsize(share * text.get_fontsize())


def heat_map(
    ax: Axes | None,
    values: NDArray[np.float64],
    names: Sequence[str],
    columns: Sequence[str] | None = None,
    *,
    texts: NDArray[Any] | None,
    colorbar: str | None,
    im_kw: dict[str, Any],
    text_kw: dict[str, Any] | None,
    include_intervals: bool = False,
    longest_name: int | None = None,
    longest_text: int = 0,
) -> tuple[Axes, AxesImage, NDArray[Any] | None]:
    """Draw a matrix with the names of its rows and columns; return axes, image, and the texts of the cells.

    Without axes, a new figure is made that is large enough for names and texts. Without ``columns``, their
    names are those of the rows. ``texts`` are those of the cells and ``colorbar`` is the label of a colour
    bar; None leaves them out.
    """
    columns = names if columns is None else columns
    n = len(columns)
    if ax is None:
        ax = _new_axes(
            *values.shape,
            include_values=texts is not None,
            include_intervals=include_intervals,
            longest_name=max(map(len, names), default=0) if longest_name is None else longest_name,
            longest_text=longest_text,
        )
    figure: Any = ax.figure
    image = ax.imshow(values, **im_kw)
    written = None
    if texts is not None:
        # the font size follows from the width of a cell
        points = ax.get_window_extent().width / figure.dpi * 72 / n
        longest = max(len(line) for text in texts.flat for line in text.split("\n"))
        size = min(10.0, points / max(2.6, 0.6 * longest))
        # cells with nan are white
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
    return ax, image, written
