"""AgreementDisplay: heat map of the halfway agreement of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import between
from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, heat_map
from skhalfway.displays._style import figure_text
from skhalfway.halfway._measured import measured
from skhalfway.halfway._measurement import HalfwayMeasurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class AgreementDisplay(Display, draws=[HalfwayMeasurement], by=measured, kind="agreement"):
    """Heat map of the halfway agreement in a :class:`HalfwayMeasurement`.

    Agreement is Spearman's rank correlation of the crossings of two models,
    over pairs of samples that count for both. Make a display with
    ``from_estimator``, which takes a fitted :class:`~skhalfway.HalfwayScorer`,
    samples and labels, or with ``measurement.plot(kind="agreement")``.

    Parameters
    ----------
    result : HalfwayMeasurement
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The heat map itself. Its diagonal, which is 1, is left out.
    text_ : ndarray of shape (n_models, n_models) or None
        The values written in the cells.

    See Also
    --------
    HalfwayMeasurement : The crossings and their figures.
    CrossingsDisplay : Histograms of the crossings of each model.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway.halfway import AgreementDisplay, HalfwayScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
    >>> scorer = HalfwayScorer(n_pairs=100, random_state=0).fit(models)
    >>> display = AgreementDisplay.from_estimator(scorer, X, y)
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['logisticregression', 'svc']
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        include_intervals: bool = False,
        level: float = 0.95,
        cmap: Any = "PuOr_r",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> AgreementDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose size grows with the
            number of models.
        include_values : bool, default=True
            Whether to write the agreement into the cells.
        include_intervals : bool, default=False
            Whether to write confidence intervals (over samples) below the
            agreement, and that of the mean agreement into the title.
        level : float, default=0.95
            Confidence level of the intervals.
        cmap : str or matplotlib Colormap, default="PuOr_r"
            Colour map for values from -1 to 1.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : AgreementDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.

        Raises
        ------
        ValueError
            If ``level`` is out of range.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.halfway import AgreementDisplay, HalfwayMeasurement
        >>> crossings, counted = np.array([[0.4, 0.5, 0.6], [0.3, 0.5, 0.6]]), np.ones((2, 3), dtype=bool)
        >>> pairs = np.arange(6).reshape(3, 2)
        >>> measurement = HalfwayMeasurement(("a", "b"), pairs, np.ones(3), crossings, counted)
        >>> AgreementDisplay(measurement).plot().text_[0, 1].get_text()
        '1.0'
        """
        measurement = self.result
        agreement = measurement.agreement
        mean = f"mean agreement {figure_text(measurement.mean_agreement)}"
        interval = None
        if include_intervals:
            interval = measurement.confidence_interval(level, of="agreement")
            low, high = measurement.confidence_interval(level, of="mean_agreement")
            mean += f" {between(low, high, figure_text)}"
        texts = cell_texts(agreement, interval) if include_values else None
        # the agreement of a model with itself is always 1
        np.fill_diagonal(agreement, np.nan)
        if texts is not None:
            np.fill_diagonal(texts, "")
        ax, self.im_, self.text_ = heat_map(
            ax,
            agreement,
            measurement.names,
            texts=texts,
            colorbar="halfway agreement" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": -1, "vmax": 1} | (im_kw or {}),
            text_kw=text_kw,
            include_intervals=include_intervals,
        )
        # unknown cells are grey, since the colour of 0 is nearly white
        ax.set_facecolor("0.82")
        ax.set_title(f"Do they change their prediction at the same places?\n{mean}", fontsize=10)
        self.ax_, self.figure_ = ax, ax.figure
        return self
