"""AdversarialSpheresDisplay: mean distance to the nearest error against the error rate, and its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays._style import colours, markers
from skhalfway.inspection._caps import cap_distance
from skhalfway.inspection._curve_result_display import CurveResultDisplay
from skhalfway.inspection._spheres import AdversarialSpheres, adversarial_spheres

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

_N_CURVE = 100


class AdversarialSpheresDisplay(CurveResultDisplay, draws=[AdversarialSpheres], by=adversarial_spheres):
    """Mean distance to the nearest error against the error rate, and its bound, of `AdversarialSpheres`.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : AdversarialSpheres
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        The line of the bound, under "bound".
    points_ : dict of int to matplotlib PathCollection
        By the number of training samples, a point for each training.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skhalfway.inspection import AdversarialSpheresDisplay
    >>> display = AdversarialSpheresDisplay.from_estimator(
    ...     GaussianNB(), n_features=100, n_train=[50, 200], n_attacked=50, n_repeats=1, random_state=0
    ... )
    >>> list(display.points_)
    [50, 200]
    """

    def plot(  # type: ignore[override]
        self,
        ax: Axes | None = None,
        *,
        legend: bool = True,
        point_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> AdversarialSpheresDisplay:
        """Draw a point for each training, and the bound.

        The axis of errors is logarithmic, so trainings without a test error are not
        shown; where no training has a test error, it is linear.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        legend : bool, default=True
            Whether to add a legend, beside the axes.
        point_kw : dict, default=None
            Passed to ``ax.scatter`` for each number of training samples.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for the bound.

        Returns
        -------
        display : AdversarialSpheresDisplay
            This object, with its attributes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import AdversarialSpheres, AdversarialSpheresDisplay
        >>> values = {"inner error": np.array([[0.1]]), "distance": np.array([[0.05]])}
        >>> curves = AdversarialSpheres(np.array([1000]), values, n_features=500)
        >>> list(AdversarialSpheresDisplay(curves).plot().lines_)
        ['bound']
        """
        import matplotlib.pyplot as plt
        from matplotlib.ticker import LogLocator

        if ax is None:
            # room for the legend
            _, ax = plt.subplots(figsize=(7.8 if legend else 6.4, 4.4), layout="constrained")
        error, distance = self.result.values["inner error"], self.result.values["distance"]
        n = len(self.result.x)
        self.points_: dict[int, PathCollection] = {}
        for i, (hue, marker) in enumerate(zip(colours(n), markers(n), strict=True)):
            size = int(self.result.x[i])
            style: dict[str, Any] = {"color": hue, "marker": marker, "s": 36, "zorder": 3}
            style |= {"label": f"{size:,} training samples"}
            self.points_[size] = ax.scatter(error[i], distance[i], **style | (point_kw or {}))
        seen = error[(error > 0) & (error < 1)]
        self.lines_: dict[str, Line2D] = {}
        if len(seen):
            shares = np.geomspace(seen.min() / 2, min(seen.max() * 1.5, 0.5 + seen.max() / 2), _N_CURVE)
            bound = [cap_distance(share, self.result.n_features) for share in shares]
            style = {"color": "0.3", "lw": 1.5, "label": "bound"}
            (self.lines_["bound"],) = ax.plot(shares, bound, **style | (line_kw or {}))
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        ax.set(xlabel="error on the inner sphere", ylabel="mean distance to the nearest error")
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
        if legend:
            # beside the points, which may lie anywhere
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        self.ax_: Any = ax
        self.figure_: Any = ax.figure
        return self
