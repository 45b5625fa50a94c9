"""CurveResultDisplay: draws a CurveResult as lines with bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skhalfway._text import shown
from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes, markers
from skhalfway.inspection._curve_result import CurveResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_N_BANDS = 5


class CurveResultDisplay(Display, draws=[CurveResult]):
    """Lines of :class:`CurveResult`, with bands for their confidence intervals.

    The results of the functions in ``skhalfway.inspection`` have a ``plot``
    method. Each function also has a display, whose ``from_estimator`` measures
    and draws in one call.

    Parameters
    ----------
    result : CurveResult
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
    >>> from skhalfway.inspection import CurveResult, CurveResultDisplay
    >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.7], [0.8, 0.8]])})
    >>> sorted(CurveResultDisplay(curves).plot().lines_)
    ['accuracy']
    """

    _labels: ClassVar[Mapping[str, str]] = {}  # by figure, where the legend says more than its name

    def plot(
        self,
        ax: Axes | None = None,
        *,
        names: list[str] | None = None,
        include_intervals: bool | None = None,
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
        include_intervals : bool, default=None
            Whether to shade the confidence intervals, where measurements were
            repeated. None shades them for up to 5 lines, since more bands hide
            each other.
        level : float, default=0.95
            Confidence level of the intervals.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.
        legend : bool, default=True
            Whether to add a legend beside the axes, where there are several
            lines.

        Returns
        -------
        display : CurveResultDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import CurveResult, CurveResultDisplay
        >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.7], [0.8, 0.8]])})
        >>> CurveResultDisplay(curves).plot(level=0.9).lines_["accuracy"].get_ydata().round(2).tolist()
        [0.6, 0.8]
        """
        import matplotlib.pyplot as plt

        curves, chosen = self.result, self._chosen(names)
        n = len(chosen)
        beside, labels = legend and n > 1, [self._labels.get(name, name) for name in chosen]
        shaded = n <= _N_BANDS if include_intervals is None else include_intervals
        if ax is None:
            # room for the legend
            width = 0.6 + 0.08 * max(len(line) for label in labels for line in label.split("\n"))
            size = (6.4 + beside * width, max(4.4, 0.24 * n + 1))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        figure: Any = ax.figure
        named = curves.x.dtype.kind in "OUS"
        x = np.arange(len(curves.x)) if named else curves.x
        if named:
            ax.set_xticks(x, [str(name) for name in curves.x])
        else:
            ax.set_xscale(curves.x_scale)
            if curves.x_scale == "log":
                ax.xaxis.set_major_formatter("{x:g}")
        self.lines_: dict[str, Line2D] = {}
        styles = zip(colours(n), markers(n), dashes(n), strict=True)
        for name, label, (hue, marker, dash) in zip(chosen, labels, styles, strict=True):
            style: dict[str, Any] = {"lw": 2.0, "marker": marker, "ms": 4.5, "color": hue, "ls": dash}
            style["label"] = label
            (self.lines_[name],) = ax.plot(x, curves.means[name], **style | (line_kw or {}))
            if shaded and curves.n_repeats > 1:
                ends = curves.confidence_interval(level, of=name)
                ax.fill_between(x, *ends, color=self.lines_[name].get_color(), alpha=0.2, lw=0)
        ax.set(xlabel=curves.x_label, ylabel=curves.y_label or (chosen[0] if n == 1 else ""))
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if beside:
            # beside the lines, which may run anywhere
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        self.ax_, self.figure_ = ax, figure
        return self

    def _chosen(self, names: list[str] | None) -> list[str]:
        """The figures to draw; ValueError where one is unknown."""
        known = list(self.result.values)
        unknown = [name for name in names or [] if name not in known]
        if unknown:
            raise ValueError(f"names must be of {shown(known)}, got {shown(unknown)}")
        return known if names is None else list(names)
