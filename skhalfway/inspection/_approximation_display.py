"""ApproximationCurveDisplay: errors against width."""

from __future__ import annotations

from typing import Any

from skhalfway.inspection._approximation import ApproximationCurve, approximation_curve
from skhalfway.inspection._curve_result_display import CurveResultDisplay


class ApproximationCurveDisplay(CurveResultDisplay, draws=[ApproximationCurve], by=approximation_curve):
    """Lines of an :class:`ApproximationCurve`.

    Make one with ``from_estimator``, which takes a function, or with the curve's ``plot``.

    Parameters
    ----------
    result : ApproximationCurve
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by the name of the figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.inspection import ApproximationCurveDisplay
    >>> display = ApproximationCurveDisplay.from_estimator(np.sin, widths=[2, 8], n_repeats=1, random_state=0)
    >>> list(display.lines_)
    ['bound', 'constructed', 'trained']
    """

    def plot(self, ax: Any = None, **kwargs: Any) -> ApproximationCurveDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs : dict
            Passed to :meth:`CurveResultDisplay.plot`.

        Returns
        -------
        display : ApproximationCurveDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import ApproximationCurve, ApproximationCurveDisplay
        >>> curve = ApproximationCurve(np.array([1, 2]), {"bound": np.array([[0.5], [0.25]])})
        >>> ApproximationCurveDisplay(curve).plot().ax_.get_ylabel()
        'largest error'
        """
        super().plot(ax, **kwargs)
        widths = self.result.x
        self.ax_.set_xticks(widths, [str(width) for width in widths])
        self.ax_.minorticks_off()
        self.ax_.set(yscale="log", ylabel="largest error")
        return self
