"""CapacityStudyDisplay: a figure by the shape of networks, with a line for each depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._checks import check_choice
from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes, markers
from skhalfway.structure._capacity import CapacityStudy, capacity_study

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class CapacityStudyDisplay(Display, draws=[CapacityStudy], by=capacity_study):
    """Lines of :class:`CapacityStudy`: a figure by the width of the last stage over that of the first.

    There is a line for each depth and number of parameters, with confidence intervals. A network with a
    single dense layer before the last is a point at 1.

    Parameters
    ----------
    result : CapacityStudy
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of (int, int) to matplotlib Line2D
        Lines by (number of parameters, depth).

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.structure import CapacityStudy, CapacityStudyDisplay
    >>> values = {"robust accuracy": np.array([[0.5, 0.54], [0.6, 0.62]])}
    >>> depth, ratio, budget = np.array([2, 2]), np.array([1.0, 0.5]), np.array([1000, 1000])
    >>> study = CapacityStudy(depth, ratio, ((20, 20), (26, 13)), budget, values, n_test=200)
    >>> list(CapacityStudyDisplay(study).plot().lines_)
    [(1000, 2)]
    """

    def plot(
        self,
        ax: Any = None,
        *,
        name: str = "robust accuracy",
        level: float = 0.95,
        line_kw: dict[str, Any] | None = None,
    ) -> CapacityStudyDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        name : str, default="robust accuracy"
            Name of the figure to draw.
        level : float, default=0.95
            Confidence level of the intervals.
        line_kw : dict, default=None
            Passed to ``ax.errorbar`` for each line.

        Returns
        -------
        display : CapacityStudyDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there is no such figure.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.structure import CapacityStudy, CapacityStudyDisplay
        >>> values = {"accuracy": np.array([[0.5, 0.54]])}
        >>> study = CapacityStudy([2], [1.0], [(20, 20)], [1000], values, n_test=200)
        >>> CapacityStudyDisplay(study).plot(name="accuracy").ax_.get_ylabel()
        'accuracy'
        """
        study = self.result
        check_choice("name", name, study.values)
        low, high = study.confidence_interval(level, of=name)
        mean = study.means[name]
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        lines = list(dict.fromkeys(zip(study.budget.tolist(), study.depth.tolist(), strict=True)))
        several = len(set(study.budget.tolist())) > 1
        self.lines_: dict[tuple[int, int], Line2D] = {}
        n = len(lines)
        # points of one ratio are shifted, so that their intervals do not overlap
        shifts = 1.03 ** (np.arange(n) - (n - 1) / 2)
        for line, shift, hue, marker, dash in zip(
            lines, shifts, colours(n), markers(n), dashes(n), strict=True
        ):
            rows = np.flatnonzero((study.budget == line[0]) & (study.depth == line[1]))
            label = f"depth {line[1]}" + (f", {line[0]:,} parameters" if several else "")
            style: dict[str, Any] = {"color": hue, "marker": marker, "ls": dash, "capsize": 3, "label": label}
            reach = np.stack([mean[rows] - low[rows], high[rows] - mean[rows]])
            if not np.isnan(reach).any():
                style["yerr"] = reach.clip(0)
            drawn = ax.errorbar(study.ratio[rows] * shift, mean[rows], **style | (line_kw or {}))
            self.lines_[line] = drawn.lines[0]
        ax.set_xscale("log")
        ratios = np.unique(study.ratio)
        ax.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
        ax.minorticks_off()
        ax.set(xlabel="width of the last stage over that of the first", ylabel=name)
        if not several:
            ax.set_title(f"{study.budget[0]:,} parameters", fontsize="medium")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        return self
