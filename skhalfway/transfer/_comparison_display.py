"""TransferComparisonDisplay: paired differences of two experiments as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import between
from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, fit, heat_map
from skhalfway.transfer._comparison import TransferComparison, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TransferComparisonDisplay(Display, draws=[TransferComparison]):
    """Paired differences of two transfer experiments, as a heat map.

    Parameters
    ----------
    result : TransferComparison
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The heat map itself.
    text_ : ndarray of shape (n_sources, n_targets) or None
        The differences written in the cells; those beyond chance with a star.

    See Also
    --------
    TransferComparison : What is drawn.
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> TransferComparisonDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose size grows with the
            number of models.
        include_values : bool, default=True
            Whether to write the differences into the cells.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours, from those that fool less in the other experiment to those
            that fool more.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : TransferComparisonDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.
        """
        comparison = self.result
        differences = comparison.differences
        texts = None
        if include_values:
            stars = np.where(comparison.significant, " *", "").astype(object)
            texts = cell_texts(differences) + stars
        most = max(0.01, float(np.abs(np.nan_to_num(differences)).max()))
        ax, self.im_, self.text_ = heat_map(
            ax,
            differences,
            comparison.sources,
            comparison.targets,
            texts=texts,
            colorbar="difference" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": -most, "vmax": most} | (im_kw or {}),
            text_kw=text_kw,
        )
        ax.set(xlabel="target", ylabel="source")
        low, high = comparison.mean_interval
        ends = between(low, high, signed)
        ax.set_title(
            f"the other experiment less the first:\nmean {signed(comparison.mean_difference)} {ends}\n"
            f"(*: beyond chance at the level {comparison.level:g},\nall cells together)",
            fontsize=10,
        )
        fit(ax, self.text_)
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        return self
