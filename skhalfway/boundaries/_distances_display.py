"""InterBoundaryDistanceDisplay: distances to two models' boundaries from each sample, as a scatter plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.boundaries._distances import InterBoundaryDistance, inter_boundary_distance
from skhalfway.displays import Display

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class InterBoundaryDistanceDisplay(Display, draws=[InterBoundaryDistance], by=inter_boundary_distance):
    """Scatter plot of the distances to the target's and the source's boundary, with a mark for each sample.

    On the diagonal line, both boundaries are at the same place. The distance
    of a mark from the line, along an axis, is the inter-boundary distance.

    Parameters
    ----------
    result : InterBoundaryDistance
        The distances to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the marks.
    figure_ : matplotlib Figure
        Figure that holds the axes.
    marks_ : matplotlib Line2D
        Samples from which both boundaries were found.
    beyond_ : matplotlib Line2D
        Samples from which one or no boundary was found: open marks at
        ``max_distance``.
    identity_ : matplotlib Line2D
        The line of equal distances.

    See Also
    --------
    InterBoundaryDistance : The distances.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.boundaries import InterBoundaryDistance
    >>> result = InterBoundaryDistance(
    ...     "random", 5.0, np.arange(3), source=np.array([1.0, 2.0, np.inf]), target=np.array([1.5, 2.0, 4.0])
    ... )
    >>> display = result.plot()
    >>> len(display.marks_.get_xdata()), len(display.beyond_.get_xdata())
    (2, 1)
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        mark_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> InterBoundaryDistanceDisplay:
        """Draw a mark for each sample.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        mark_kw : dict, default=None
            Passed to ``ax.plot`` for the marks.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for the line.

        Returns
        -------
        display : InterBoundaryDistanceDisplay
            This object, with its attributes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.boundaries import InterBoundaryDistance, InterBoundaryDistanceDisplay
        >>> result = InterBoundaryDistance("random", 5.0, np.arange(1), np.array([1.0]), np.array([1.5]))
        >>> display = InterBoundaryDistanceDisplay.from_result(result).plot(mark_kw={"color": "k"})
        >>> display.marks_.get_xdata().tolist()
        [1.0]
        """
        import matplotlib.pyplot as plt

        result = self.result
        if ax is None:
            _, ax = plt.subplots(figsize=(5.4, 5.2), layout="compressed")
        most = float(result.max_distance)
        source, target = (np.minimum(part, most) for part in (result.source, result.target))
        met = np.isfinite(result.source) & np.isfinite(result.target)
        line: dict[str, Any] = {"color": "0.45", "ls": "--", "lw": 1.2, "zorder": 1}
        (self.identity_,) = ax.plot([0, most], [0, most], **line | (line_kw or {}))
        mark: dict[str, Any] = {"ls": "", "marker": "o", "ms": 5, "mec": "#2b6ca3", "mew": 0.8, "zorder": 3}
        mark |= {"mfc": "#8fbbe0", "alpha": 0.85, "clip_on": False} | (mark_kw or {})
        (self.marks_,) = ax.plot(source[met], target[met], **mark)
        (self.beyond_,) = ax.plot(source[~met], target[~met], **mark | {"mfc": "none", "marker": "s"})
        if not met.all():
            handles = [self.marks_, self.beyond_]
            names = ["both boundaries met", f"not both within {most:.3g}"]
            ax.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
        ax.set(
            xlabel="distance to the source's boundary",
            ylabel="distance to the target's boundary",
            xlim=(-0.02 * most, 1.02 * most),
            ylim=(-0.02 * most, 1.02 * most),
            aspect="equal",
        )
        apart = result.medians.inter_boundary
        said = "not known" if np.isnan(apart) else f"{apart:.3g}"
        ax.set_title(
            f"{len(result)} samples, {result.direction} directions\nmedian distance between both {said}",
            fontsize=10,
        )
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
