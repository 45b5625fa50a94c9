"""ReproducibilityDisplay: agreement of models on planes, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import short
from skhalfway.boundaries._reproducibility import Reproducibility, reproducibility
from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, fit, heat_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ReproducibilityDisplay(Display, draws=[Reproducibility], by=reproducibility):
    """Heat map of the scores of a :class:`Reproducibility`.

    Parameters
    ----------
    result : Reproducibility
        The scores to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds the axes.
    im_ : matplotlib AxesImage
        The heat map itself, without the diagonal, which is always 1.
    text_ : ndarray of shape (n_models, n_models) or None
        The values written in the cells.

    See Also
    --------
    Reproducibility : The scores.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.boundaries import Reproducibility
    >>> scores = np.array([[1.0, 0.9], [0.9, 1.0]])
    >>> display = Reproducibility(("a", "b"), scores, np.full((2, 2), 0.01), n_planes=500).plot()
    >>> display.text_[0, 1].get_text()
    '.90'
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        include_intervals: bool = False,
        level: float = 0.95,
        cmap: Any = "YlOrRd",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> ReproducibilityDisplay:
        r"""Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure, whose size grows with the
            number of models.
        include_values : bool, default=True
            Whether to write the scores into the cells.
        include_intervals : bool, default=False
            Whether to write confidence intervals below the scores.
        level : float, default=0.95
            Confidence level of the intervals.
        cmap : str or matplotlib Colormap, default="YlOrRd"
            Colours from 0 to 1.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : ReproducibilityDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.boundaries import Reproducibility, ReproducibilityDisplay
        >>> scores = np.array([[1.0, 0.9], [0.9, 1.0]])
        >>> result = Reproducibility(("a", "b"), scores, np.full((2, 2), 0.01), n_planes=500)
        >>> display = ReproducibilityDisplay.from_result(result).plot(include_intervals=True)
        >>> display.text_[0, 1].get_text()
        '.90\n.88–.92'
        """  # noqa: RUF002 - the dash of an interval
        result = self.result
        scores, texts = np.array(result.scores), None
        if include_values:
            texts = cell_texts(scores, result.confidence_interval(level) if include_intervals else None)
            np.fill_diagonal(texts, "")
        # the agreement of a model with itself is not drawn
        np.fill_diagonal(scores, np.nan)
        ax, self.im_, self.text_ = heat_map(
            ax,
            scores,
            result.names,
            texts=texts,
            colorbar="share of a plane" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": 0, "vmax": 1} | (im_kw or {}),
            text_kw=text_kw,
            include_intervals=include_intervals,
        )
        ax.set_facecolor("0.82")
        ax.set_title(f"agreement of models\n(mean score {short(result.mean_score).strip()})", fontsize=10)
        fit(ax, self.text_)
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        return self
