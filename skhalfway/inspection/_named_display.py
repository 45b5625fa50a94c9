"""Curves over settings that have names: points with error bars, not lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays._style import colours, markers
from skhalfway.inspection._curves_display import CurvesDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class NamedCurvesDisplay(CurvesDisplay):
    """What displays of named settings share; between two names there is nothing for a line to show."""

    _limits: tuple[float | None, float | None] = (None, None)  # of what is drawn on the left
    _beside: tuple[str, ...] = ()  # figures of another unit: drawn hollow, with an axis on the right

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
            This object, with ``ax_``, ``right_ax_`` (None where no figure has
            another unit), ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        import matplotlib.pyplot as plt

        curves, chosen = self.curves, self._chosen(names)
        if ax is None:
            _, ax = plt.subplots(figsize=(6.8, 4.4), layout="constrained")
        beside = [name for name in chosen if name in self._beside]
        self.right_ax_ = ax.twinx() if beside else None
        ends = curves.interval(level)
        places = np.arange(len(curves.x))
        # figures of one setting stand next to each other
        shifts = (np.arange(len(chosen)) - (len(chosen) - 1) / 2) * 0.15
        self.lines_ = {}
        hues = colours(len(chosen))
        for name, shift, hue, marker in zip(chosen, shifts, hues, markers(len(chosen)), strict=True):
            mean = curves.means[name]
            style: dict[str, Any] = {"ls": "none", "marker": marker, "ms": 6.5, "color": hue, "label": name}
            style |= {"capsize": 3, "mfc": "w"} if name in beside else {"capsize": 3}
            if include_intervals and curves.n_repeats > 1:
                style["yerr"] = np.stack([mean - ends[name].low, ends[name].high - mean])
            axes = self.right_ax_ if name in beside and self.right_ax_ is not None else ax
            self.lines_[name] = axes.errorbar(places + shift, mean, **style | (line_kw or {})).lines[0]
            self.lines_[name].set_label(name)  # matplotlib gives the label to line and bars together
        ax.set_xticks(places, [str(name).replace(" ", "\n") for name in curves.x])
        rest = [name for name in chosen if name not in beside]
        ax.set(xlabel=curves.x_label, ylabel=curves.y_label or (rest[0] if len(rest) == 1 else ""))
        ax.set(xlim=(-0.5, len(places) - 0.5), ylim=self._limits)
        ax.grid(axis="y", alpha=0.3)
        ax.spines[["top"] if beside else ["top", "right"]].set_visible(False)
        if self.right_ax_ is not None:
            self.right_ax_.set_ylabel(", ".join(beside))
            self.right_ax_.set_ylim(bottom=0)
            self.right_ax_.spines["top"].set_visible(False)
        if legend and len(chosen) > 1:
            handles = list(self.lines_.values())
            # above the points, which may lie anywhere
            ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3, frameon=False)
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self
