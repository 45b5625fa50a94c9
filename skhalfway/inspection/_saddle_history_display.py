"""SaddleHistoryDisplay: index and loss during training, and the index against the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._panels import panels
from skhalfway.displays._style import colours, dashes, figure_text
from skhalfway.inspection._saddle_history import SaddleHistory, saddle_history

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class SaddleHistoryDisplay(Display, draws=[SaddleHistory], by=saddle_history):
    """Index, loss and norm of the gradient of a :class:`SaddleHistory`, and the index against the loss.

    Make one with ``from_estimator``, which takes a perceptron, samples, labels and ``n_epochs``, or with the
    ``plot`` of the result. In the last panel, the ring marks the first record.

    Parameters
    ----------
    result : SaddleHistory
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The three panels.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines "index", "flat", "loss" and "gradient" by epoch, and "index by loss".

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.inspection import SaddleHistory, SaddleHistoryDisplay
    >>> shares, zeros = np.array([0.5, 0.25, 0.125]), np.zeros(3)
    >>> history = SaddleHistory(np.arange(3), shares, zeros, zeros, np.array([0.7, 0.4, 0.1]), shares, 90)
    >>> list(SaddleHistoryDisplay(history).plot().lines_)
    ['index', 'flat', 'loss', 'gradient', 'index by loss']
    """

    def plot(self, axes: Any = None, *, line_kw: dict[str, Any] | None = None) -> SaddleHistoryDisplay:
        """Draw the panels.

        Parameters
        ----------
        axes : array-like of 3 matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.

        Returns
        -------
        display : SaddleHistoryDisplay
            This object, with ``axes_``, ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there are not three axes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import SaddleHistory, SaddleHistoryDisplay
        >>> shares, zeros = np.array([0.5, 0.25, 0.125]), np.zeros(3)
        >>> history = SaddleHistory(np.arange(3), shares, zeros, zeros, np.array([0.7, 0.4, 0.1]), shares, 90)
        >>> len(SaddleHistoryDisplay(history).plot().axes_)
        3
        """
        result = self.result
        self.axes_ = panels(axes, 3, 3.5, 3.2)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        shares, sizes, both = self.axes_
        few = {"marker": "o", "ms": 3.5} if len(result.epochs) <= 50 else {}
        self.lines_: dict[str, Line2D] = {}
        drawn = {
            "index": (shares, result.index),
            "flat": (shares, result.flat),
            "loss": (sizes, result.losses),
            "gradient": (sizes, result.gradient_norms),
        }
        for (name, (ax, values)), colour, dash in zip(drawn.items(), colours(4), dashes(4), strict=True):
            style = {"color": colour, "ls": dash, "lw": 1.5, "label": name, **few}
            (self.lines_[name],) = ax.plot(result.epochs, values, **style | (line_kw or {}))
        error = np.nan_to_num(result.standard_errors)
        low, high = result.index - error, result.index + error
        if result.bounds is not None:
            low, high = np.minimum(low, result.bounds[:, 0]), np.maximum(high, result.bounds[:, 1])
        if (low < high).any():
            band = {"color": self.lines_["index"].get_color(), "alpha": 0.2, "lw": 0}
            shares.fill_between(result.epochs, low, high, **band)
        shares.set(xlabel="epoch", ylabel="share of eigenvalues", ylim=(-0.02, 1.02))
        sizes.set(xlabel="epoch", yscale="log")
        style = {"color": "0.35", "lw": 1, "marker": "o", "ms": 3.5}
        (line,) = both.plot(result.losses, result.index, **style | (line_kw or {}))
        self.lines_["index by loss"] = line
        both.plot(result.losses[:1], result.index[:1], "o", ms=10, mfc="none", mec="0.35")
        both.set(xlabel="loss", ylabel="index")
        if not np.isnan(result.rank_correlation):
            both.set_title(f"rank correlation {figure_text(result.rank_correlation)}", fontsize="medium")
        for ax in self.axes_:
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
        for ax in (shares, sizes):
            ax.legend(frameon=False)
        return self
