"""CurvesDisplay: Curves as lines with bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import shown
from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes, markers
from skhalfway.inspection._curves import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class CurvesDisplay(Display, draws=[Curves]):
    """Lines of :class:`Curves`, with bands for their intervals.

    What the functions of ``skhalfway.inspection`` return is drawn by their
    ``plot``, or measured and drawn at once by the ``from_estimator`` of a
    display of their own.

    Parameters
    ----------
    result : Curves
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
    >>> from skhalfway.inspection import Curves, CurvesDisplay
    >>> curves = Curves(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.7], [0.8, 0.8]])})
    >>> sorted(CurvesDisplay(curves).plot().lines_)
    ['accuracy']
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        names: list[str] | None = None,
        include_intervals: bool = True,
        level: float = 0.95,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> Any:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        names : list of str, default=None
            Figures to draw. None is all.
        include_intervals : bool, default=True
            Whether to shade the intervals, where figures were repeated.
        level : float, default=0.95
            Their confidence level.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.
        legend : bool, default=True
            Whether to add a legend, where there are several lines.

        Returns
        -------
        display : CurvesDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        import matplotlib.pyplot as plt

        curves, chosen = self.result, self._chosen(names)
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        figure: Any = ax.figure
        named = curves.x.dtype.kind in "OUS"
        x = np.arange(len(curves.x)) if named else curves.x
        if named:
            ax.set_xticks(x, [str(name) for name in curves.x])
        else:
            ax.set_xscale(curves.x_scale)
        ends = curves.interval(level)
        self.lines_: dict[str, Line2D] = {}
        n = len(chosen)
        for name, hue, marker, dash in zip(chosen, colours(n), markers(n), dashes(n), strict=True):
            style: dict[str, Any] = {"lw": 2.0, "marker": marker, "ms": 4.5, "color": hue, "label": name}
            style["ls"] = dash
            (self.lines_[name],) = ax.plot(x, curves.means[name], **style | (line_kw or {}))
            if include_intervals and curves.n_repeats > 1:
                ax.fill_between(x, *ends[name], color=self.lines_[name].get_color(), alpha=0.2, lw=0)
        one = len(chosen) == 1
        ax.set(xlabel=curves.x_label, ylabel=curves.y_label or (chosen[0] if one else ""))
        ax.spines[["top", "right"]].set_visible(False)
        if legend and not one:
            ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, figure
        return self

    def _chosen(self, names: list[str] | None) -> list[str]:
        """The figures to draw; ValueError where one is unknown."""
        known = list(self.result.values)
        unknown = [name for name in names or [] if name not in known]
        if unknown:
            raise ValueError(f"names must be of {shown(known)}, got {shown(unknown)}")
        return known if names is None else list(names)
