"""HomogeneityDisplay: draws Homogeneity against depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skhalfway._text import shown
from skhalfway.codes._depth import layer_panels, legend_above, name_layers
from skhalfway.codes._given import measured_homogeneity
from skhalfway.codes._homogeneity import Homogeneity
from skhalfway.displays import Display
from skhalfway.displays._style import colours

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_LABELS = {
    "shared": "share of samples in\ncodes of several classes",
    "class_entropy": "entropy of class given code\n(bits)",
    "purity": "mean purity of codes",
    "code_entropy": "entropy of code given class\n(bits)",
    "n_codes": "codes used",
}


class HomogeneityDisplay(Display, draws=[Homogeneity], by=measured_homogeneity, kind="measures", first=True):
    """Lines of :class:`Homogeneity` against depth, with a panel for each measure.

    Make one with ``from_estimator``, which takes a fitted :class:`CodeMap`, samples
    and their classes, or with ``from_result``.

    Parameters
    ----------
    result : Homogeneity
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each measure.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by measure.
    control_lines_ : dict of str to matplotlib Line2D
        Lines of the control.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.codes import CodeMap, HomogeneityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((10, 10), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> code_map = CodeMap(net, shape=(4, 4), n_iter=2000, random_state=0).fit(X)
    >>> display = HomogeneityDisplay.from_estimator(code_map, X, y)
    >>> sorted(display.lines_)
    ['class_entropy', 'code_entropy', 'n_codes', 'purity', 'shared']
    """

    def plot(
        self,
        axes: Any = None,
        *,
        names: Sequence[str] | None = None,
        include_intervals: bool = True,
        include_control: bool = True,
        level: float = 0.95,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> HomogeneityDisplay:
        """Draw the lines.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Axes, one for each measure. None makes a figure.
        names : list of str, default=None
            Measures to draw. None is all.
        include_intervals : bool, default=True
            Whether to shade the intervals.
        include_control : bool, default=True
            Whether to draw the control as a dashed line. It is not drawn for
            ``n_codes``, which shuffling does not change.
        level : float, default=0.95
            Confidence level of the intervals.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each measure's line.
        legend : bool, default=True
            Whether to add a legend above the first panel that has a control.

        Returns
        -------
        display : HomogeneityDisplay
            This object, with ``axes_``, ``figure_``, ``lines_`` and
            ``control_lines_``.

        Raises
        ------
        ValueError
            If a name is unknown, or there are not as many axes as measures.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.codes import Homogeneity, HomogeneityDisplay
        >>> drawn, counts = {"shared": np.array([[0.4, 0.6]])}, np.array([[[5, 5], [10, 0]]])
        >>> homogeneity = Homogeneity(("hidden",), np.array([0, 1]), (1, 2), counts, drawn, drawn)
        >>> HomogeneityDisplay(homogeneity).plot(names=["shared"]).lines_["shared"].get_ydata().tolist()
        [0.5]
        """
        result = self.result
        chosen = list(_LABELS) if names is None else list(names)
        if not chosen or (unknown := [name for name in chosen if name not in _LABELS]):
            raise ValueError(f"names must be of {list(_LABELS)}, got {shown(unknown if chosen else chosen)}")
        self.axes_ = layer_panels(axes, len(chosen), len(result.layers))
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, Line2D] = {}
        self.control_lines_: dict[str, Line2D] = {}
        x, hue = range(len(result.layers)), colours(1)[0]
        for ax, name in zip(self.axes_, chosen, strict=True):
            style: dict[str, Any] = {"lw": 2.0, "marker": "o", "ms": 4.5, "color": hue, "label": "codes"}
            (self.lines_[name],) = ax.plot(x, result.values[name], **style | (line_kw or {}))
            if include_intervals:
                ends = result.confidence_interval(level, of=name)
                ax.fill_between(x, *ends, color=self.lines_[name].get_color(), alpha=0.2, lw=0)
            if include_control and name != "n_codes":
                (self.control_lines_[name],) = ax.plot(
                    x, result.control[name], lw=1.5, ls="--", color="0.35", label="shuffled labels"
                )
                if include_intervals:
                    ends = result.control_interval(level, of=name)
                    ax.fill_between(x, *ends, color="0.35", alpha=0.2, lw=0)
            name_layers(ax, result.layers, _LABELS[name])
            if legend and name == next(iter(self.control_lines_), None):
                legend_above(ax)
        return self
