"""NamedCurvesDisplay: draws a CurveResult over named settings as points with error bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skhalfway.displays._style import colours, markers
from skhalfway.inspection._curve_result_display import CurveResultDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class NamedCurvesDisplay(CurveResultDisplay):
    """Base of displays over named settings, which draw points, since a line between names means nothing."""

    _bounds: ClassVar[tuple[float | None, float | None]] = (None, None)  # limits of the y axis

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
        """Draw a point for each figure and setting.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        names : list of str, default=None
            Figures to draw. None is all.
        include_intervals : bool, default=None
            Whether to draw error bars, where measurements were repeated. None
            draws them.
        level : float, default=0.95
            Confidence level of the error bars.
        line_kw : dict, default=None
            Passed to ``ax.errorbar`` for each figure.
        legend : bool, default=True
            Whether to add a legend, where there are several figures.

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
        >>> from skhalfway.inspection import Distillation, DistillationDisplay
        >>> result = Distillation(np.array(["teacher", "plain"]), {"accuracy": np.array([[0.9], [0.8]])})
        >>> DistillationDisplay(result).plot().ax_.get_ylabel()
        'accuracy'
        """
        import matplotlib.pyplot as plt

        curves, chosen = self.result, self._chosen(names)
        n, places = len(chosen), np.arange(len(curves.x))
        if ax is None:
            _, ax = plt.subplots(figsize=(max(6.8, 1.2 * len(places)), 4.4), layout="constrained")
        # figures of one setting stand next to each other
        shifts = (np.arange(n) - (n - 1) / 2) * min(0.15, 0.7 / n)
        self.lines_ = {}
        for name, shift, hue, marker in zip(chosen, shifts, colours(n), markers(n), strict=True):
            mean = curves.means[name]
            style: dict[str, Any] = {"ls": "none", "marker": marker, "ms": 6.5, "color": hue, "capsize": 3}
            if include_intervals is not False and curves.n_repeats > 1:
                low, high = curves.confidence_interval(level, of=name)
                style["yerr"] = np.stack([mean - low, high - mean]).clip(0)
            self.lines_[name] = ax.errorbar(places + shift, mean, **style | (line_kw or {})).lines[0]
            self.lines_[name].set_label(self._labels.get(name, name))
        ax.set_xticks(places, [str(name).replace(" ", "\n") for name in curves.x])
        ax.set(xlabel=curves.x_label, ylabel=chosen[0] if n == 1 else curves.y_label)
        ax.set(xlim=(-0.5, len(places) - 0.5), ylim=self._bounds)
        ax.grid(axis="y", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if legend and n > 1:
            # above the points, which may lie anywhere
            handles = list(self.lines_.values())
            ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=3, frameon=False)
        self.ax_ = ax
        self.figure_: Any = ax.figure
        return self
