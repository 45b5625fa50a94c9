"""Curves over settings that have names: points with error bars, not lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import shown
from skhalfway.displays._style import colours, markers
from skhalfway.inspection._curves_display import CurvesDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class NamedCurvesDisplay(CurvesDisplay):
    """What displays of named settings share; between two names there is nothing for a line to show."""

    _limits: tuple[float | None, float | None] = (None, None)  # of what is drawn on the left
    _beside: tuple[str, ...] = ()  # figures of another unit: drawn on axes of their own

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
        """Draw a point for each figure and setting.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        names : list of str, default=None
            Figures to draw. None is all.
        include_intervals : bool, default=True
            Whether to draw error bars, where figures were repeated.
        level : float, default=0.95
            Confidence level of the error bars.
        line_kw : dict, default=None
            Passed to ``ax.errorbar`` for each figure.
        legend : bool, default=True
            Whether to add a legend, where there are several figures.

        Returns
        -------
        display : CurvesDisplay
            This object, with ``ax_``, ``second_ax_`` (for figures of another
            unit; None where there are none), ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown, or axes are given for figures of two units.
        """
        import matplotlib.pyplot as plt

        curves, chosen = self.result, self._chosen(names)
        if ax is not None and names is None:
            chosen = [name for name in chosen if name not in self._beside]
        parts = [[name for name in chosen if (name in self._beside) == beside] for beside in (False, True)]
        parts = [part for part in parts if part]
        if ax is not None and len(parts) > 1:
            raise ValueError(f"names must be of one unit where ax is given, got {shown(chosen)}")
        if ax is None:
            size = 5.2 + 1.6 * len(parts), 4.4
            _, every = plt.subplots(1, len(parts), figsize=size, layout="constrained", squeeze=False)
            axes = list(every[0])
        else:
            axes = [ax]
        styles = dict(zip(chosen, zip(colours(len(chosen)), markers(len(chosen)), strict=True), strict=True))
        self.lines_ = {}
        for place, part in zip(axes, parts, strict=True):
            self._draw(place, part, styles, line_kw or {}, level if include_intervals else None)
            place.set_ylabel(curves.y_label if part[0] not in self._beside else ", ".join(part))
            place.set_ylim(self._limits if part[0] not in self._beside else (0, None))
            if legend and len(part) > 1:
                # above the points, which may lie anywhere
                place.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3, frameon=False)
        self.ax_, self.second_ax_ = axes[0], axes[1] if len(axes) > 1 else None
        self.figure_: Any = axes[0].figure
        return self

    def _draw(
        self,
        ax: Axes,
        names: list[str],
        styles: dict[str, tuple[Any, str]],
        line_kw: dict[str, Any],
        level: float | None,
    ) -> None:
        """Draw some figures on their axes; their intervals unless the level is None."""
        curves = self.result
        places = np.arange(len(curves.x))
        # figures of one setting stand next to each other
        shifts = (np.arange(len(names)) - (len(names) - 1) / 2) * 0.15
        for name, shift in zip(names, shifts, strict=True):
            hue, marker = styles[name]
            mean = curves.means[name]
            style: dict[str, Any] = {"ls": "none", "marker": marker, "ms": 6.5, "color": hue, "capsize": 3}
            if level is not None and curves.n_repeats > 1:
                low, high = curves.interval(level)[name]
                style["yerr"] = np.nan_to_num(np.stack([mean - low, high - mean]))
            self.lines_[name] = ax.errorbar(places + shift, mean, **style | line_kw).lines[0]
            self.lines_[name].set_label(name)  # matplotlib gives the label to line and bars together
        ax.set_xticks(places, [str(name).replace(" ", "\n") for name in curves.x])
        ax.set(xlabel=curves.x_label, xlim=(-0.5, len(places) - 0.5))
        ax.grid(axis="y", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
