"""LinearLandscapeDisplay: loss of critical points against the share of negative eigenvalues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._text import counted
from skhalfway.displays import Display
from skhalfway.displays._style import colours, markers
from skhalfway.inspection._linear_landscape import KINDS, LinearLandscape, linear_landscape

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection


class LinearLandscapeDisplay(Display, draws=[LinearLandscape], by=linear_landscape):
    """Critical points of a :class:`LinearLandscape`: their loss against the share of negative curvature.

    Make one with ``from_estimator``, which takes samples and targets, or with the ``plot`` of the result. Bad
    saddles are the points at the left edge, above the line of the minimum. Rings are the ends of gradient
    descents.

    Parameters
    ----------
    result : LinearLandscape
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure that holds them.
    points_ : dict of str to matplotlib PathCollection
        Points by their kind; kinds without points are left out.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skhalfway.inspection import LinearLandscapeDisplay
    >>> display = LinearLandscapeDisplay.from_estimator([[1.0]], [[1.0]], hidden=(1,), random_state=0)
    >>> list(display.points_)
    ['global minimum', 'strict saddle']
    """

    def plot(self, ax: Any = None, *, scatter_kw: dict[str, Any] | None = None) -> LinearLandscapeDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        scatter_kw : dict, default=None
            Passed to ``ax.scatter`` for the points of each kind.

        Returns
        -------
        display : LinearLandscapeDisplay
            This object, with ``ax_``, ``figure_`` and ``points_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> from skhalfway.inspection import LinearLandscapeDisplay, linear_landscape
        >>> landscape = linear_landscape([[1.0]], [[1.0]], hidden=1, n_starts=0)
        >>> LinearLandscapeDisplay(landscape).plot().ax_.get_ylabel()
        'loss'
        """
        result = self.result
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        ax.axhline(result.minimum, color="0.5", lw=1, ls=":", label="minimum")
        self.points_: dict[str, PathCollection] = {}
        values, kinds = result.values, result.kinds
        for kind, colour, marker in zip(KINDS, colours(3), markers(3), strict=True):
            here = kinds == kind
            if here.any():
                style = {"color": colour, "marker": marker, "s": 32, "alpha": 0.8, "label": kind, "zorder": 3}
                points = ax.scatter(result.index[here], values[here], **style | (scatter_kw or {}))
                self.points_[kind] = points
        n = len(result.descents)
        if n:
            ends = {"marker": "o", "s": 110, "facecolors": "none", "edgecolors": "0.3", "zorder": 2}
            label = f"ends of {counted(n, 'descent')}"
            ax.scatter([0.0] * n, result.descents, label=label, **ends)
        ax.set(xlabel="share of negative eigenvalues of the Hessian", ylabel="loss")
        ax.set_title(f"linear network {'-'.join(map(str, result.widths))}", fontsize="medium")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        return self
