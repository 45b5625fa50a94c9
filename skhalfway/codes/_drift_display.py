"""DriftDisplay: draws Drift against depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway.codes._depth import layer_panels, legend_above, name_layers
from skhalfway.codes._drift import Drift
from skhalfway.codes._given import fitted_map
from skhalfway.displays import Display
from skhalfway.displays._style import colours

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_LABELS = {"changed": "share of codes changed", "distance": "mean distance moved\n(units of the map)"}


def _drift(code_map: Any, X: Any, X_adv: Any) -> Drift:
    return fitted_map(code_map).drift(X, X_adv)


class DriftDisplay(Display, draws=[Drift], by=_drift):
    """Lines of :class:`Drift` against depth: share of codes changed, and mean distance moved.

    Make one with ``from_estimator``, which takes a fitted :class:`CodeMap`, samples
    and their perturbed versions, or with ``from_result``.

    Parameters
    ----------
    result : Drift
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The two panels.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by name: changed, noise_changed, distance, noise_distance.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway import AdversarialGenerator
    >>> from skhalfway.codes import CodeMap, DriftDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((10, 10), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> code_map = CodeMap(net, shape=(4, 4), n_iter=2000, random_state=0).fit(X)
    >>> X_adv = AdversarialGenerator(FrozenEstimator(net), eps=0.5).transform(X)
    >>> display = DriftDisplay.from_estimator(code_map, X, X_adv)
    >>> sorted(display.lines_)
    ['changed', 'distance', 'noise_changed', 'noise_distance']
    """

    def plot(
        self,
        axes: Any = None,
        *,
        include_intervals: bool = True,
        level: float = 0.95,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> DriftDisplay:
        """Draw the lines.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes, default=None
            Axes for the share and for the distance. None makes a figure.
        include_intervals : bool, default=True
            Whether to shade the confidence intervals.
        level : float, default=0.95
            Confidence level of the intervals.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.
        legend : bool, default=True
            Whether to add a legend above the first panel.

        Returns
        -------
        display : DriftDisplay
            This object, with ``axes_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there are not two axes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.codes import Drift, DriftDisplay
        >>> drift = Drift(("hidden",), np.ones(4), np.array([[0.0, 0, 1, 0]]), np.zeros((1, 4)))
        >>> DriftDisplay(drift).plot().lines_["changed"].get_ydata().tolist()
        [0.25]
        """
        result = self.result
        self.axes_ = layer_panels(axes, len(_LABELS), len(result.layers))
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, Line2D] = {}
        x = range(len(result.layers))
        perturbed: dict[str, Any] = {"color": colours(3)[2], "ls": "-", "label": "perturbation"}
        control: dict[str, Any] = {"color": "0.35", "ls": "--", "label": "noise of the same norm"}
        for ax, (figure, label) in zip(self.axes_, _LABELS.items(), strict=True):
            for prefix, style in (("", perturbed), ("noise_", control)):
                name = prefix + figure
                style = {"lw": 2.0, "marker": "o", "ms": 4.5} | style | (line_kw or {})
                (self.lines_[name],) = ax.plot(x, getattr(result, name), **style)
                if include_intervals:
                    ends = result.confidence_interval(level, of=name)
                    ax.fill_between(x, *ends, color=self.lines_[name].get_color(), alpha=0.2, lw=0)
            name_layers(ax, result.layers, label)
        if legend:
            legend_above(self.axes_[0])
        return self
