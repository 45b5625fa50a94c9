"""RobustnessDisplay: accuracy on clean samples, by source, and in the worst case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.transfer._robustness import Robustness
from skhalfway.transfer._shown import drawn_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RobustnessDisplay(Display, draws=[Robustness]):
    """Accuracy of a classifier on clean samples, by source, and in the worst case, with intervals.

    Parameters
    ----------
    result : Robustness
        The figures to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure that holds them.
    points_ : list of matplotlib ErrorbarContainer
        One point for each row, from the top.

    See Also
    --------
    Robustness : The figures that are drawn.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.transfer import Robustness, RobustnessDisplay
    >>> labels = np.array([0, 0, 1, 1])
    >>> robustness = Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
    >>> len(RobustnessDisplay.from_result(robustness).points_)
    3
    """

    def plot(
        self, ax: Axes | None = None, *, level: float = 0.95, line_kw: dict[str, Any] | None = None
    ) -> RobustnessDisplay:
        """Draw a point with its Wilson interval for each row.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose height grows with the number of sources.
        level : float, default=0.95
            Confidence level.
        line_kw : dict, default=None
            Passed to ``ax.errorbar``.

        Returns
        -------
        display : RobustnessDisplay
            This object, with ``ax_``, ``figure_`` and ``points_``.
        """
        import matplotlib.pyplot as plt

        rows = self.result.rows(level)
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.2 + 0.34 * len(rows)), layout="constrained")
        clean, made, worst = colours(3)
        hues = [clean, *[made] * (len(rows) - 2), worst]
        marks = ["o", *["s"] * (len(rows) - 2), "D"]
        self.points_ = []
        for place, (row, hue, mark) in enumerate(zip(rows, hues, marks, strict=True)):
            _, share, low, high = row
            style: dict[str, Any] = {"color": hue, "marker": mark, "ms": 6, "capsize": 3}
            reach = np.array([[share - low], [high - share]]).clip(0)
            self.points_.append(ax.errorbar(share, place, xerr=reach, **style | (line_kw or {})))
        ax.set_yticks(range(len(rows)), [name for name, _, _, _ in rows])
        ax.set(xlabel="accuracy", xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
        if title := drawn_origin(self.result.provenance).strip():
            ax.set_title(title, fontsize=10)
        ax.grid(axis="x", alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        return self
