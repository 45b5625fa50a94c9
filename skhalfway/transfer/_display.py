"""TransferMatrixDisplay: a transfer matrix as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, fit, heat_map
from skhalfway.transfer._doubted import doubted
from skhalfway.transfer._matrix import TransferMatrix
from skhalfway.transfer._shown import (
    ALL_OTHERS,
    drawn_origin,
    failed_pairs,
    known_pairs,
    marked,
    mean_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TransferMatrixDisplay(Display, draws=[TransferMatrix]):
    """Heat map of a :class:`~skhalfway.TransferMatrix`.

    Use :meth:`from_estimator` or :meth:`from_result` to make one.

    Parameters
    ----------
    result : TransferMatrix
        The matrix to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The heat map itself.
    text_ : ndarray of shape (n_sources, n_targets) or None
        The values written in the cells; one row with ``sources="leave_one_out"``.

    See Also
    --------
    skhalfway.TransferMatrix : The counts and rates.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import TransferMatrixDisplay, TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
    >>> scorer = TransferScorer().fit(models)
    >>> display = TransferMatrixDisplay.from_estimator(scorer, X, y)
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['logisticregression', 'svc']
    """

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, **kwargs: Any) -> TransferMatrixDisplay:
        """Attack and draw the heat map.

        Parameters
        ----------
        estimator : TransferScorer
            Fitted scorer.
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels; see :meth:`skhalfway.TransferScorer.transfer`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TransferMatrixDisplay
            Display that holds the axes.
        """
        return cls.from_result(estimator.transfer(X, y), **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        include_intervals: bool = False,
        level: float = 0.95,
        simultaneous: bool = False,
        cmap: Any = "YlOrRd",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> TransferMatrixDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose size grows with the
            number of models.
        include_values : bool, default=True
            Whether to write the rates into the cells.
        include_intervals : bool, default=False
            Whether to write the confidence intervals below the rates.
        level : float, default=0.95
            Confidence level of the intervals.
        simultaneous : bool, default=False
            Whether the level holds for all intervals together, as rates of many pairs should be compared
            (:meth:`~skhalfway.TransferMatrix.confidence_interval`).
        cmap : str or matplotlib Colormap, default="YlOrRd"
            Colours from rate 0 to rate 1.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : TransferMatrixDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.
        """
        from matplotlib.patches import Rectangle

        matrix, texts, one_each = self.result, None, self.result._one_each
        names = marked(matrix) if one_each is None else [ALL_OTHERS]

        def drawn(values: Any) -> Any:
            """Values to draw: a matrix, or one row where each target has a single source."""
            return values if one_each is None else values[one_each, np.arange(len(one_each))][None]

        if include_values:
            interval = None
            if include_intervals:
                interval = matrix.confidence_interval(level, simultaneous=simultaneous)
            texts = cell_texts(matrix.rates, interval)
            texts[failed_pairs(matrix)] = "failed"
            texts[matrix._aside] = "member"
        ax, self.im_, self.text_ = heat_map(
            ax,
            drawn(matrix.rates),
            names,
            matrix.targets,
            texts=None if texts is None else drawn(texts),
            colorbar="transfer rate" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": 0, "vmax": 1} | (im_kw or {}),
            text_kw=text_kw,
            include_intervals=include_intervals,
            longest_name=max(map(len, matrix.sources if one_each is None else names), default=0),  # no marks
        )
        own = [
            (i, matrix.targets.index(name)) for i, name in enumerate(matrix.sources) if name in matrix.targets
        ]
        for i, j in own:
            # a frame marks models as their own targets: that is no transfer
            ax.add_patch(Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, ec="k", lw=1))
        ax.set(xlabel="target", ylabel="source")
        title = drawn_origin(matrix.provenance) + mean_of(matrix) + known_pairs(matrix)
        if matrix.condition != "both_correct":
            title += f'\n(condition="{matrix.condition}")'
        if matrix.goal == "target":
            title += "\n(to the label that the attack aims at)"
        if own:
            title += "\n(framed: sources on themselves)"
        if doubted(matrix):
            title += "\n(*: other attacks fool it more often)"
        ax.set_title(title, fontsize=10)
        fit(ax, self.text_)
        figure: Any = ax.figure  # matplotlib's type allows a SubFigure too
        self.ax_, self.figure_ = ax, figure
        return self
