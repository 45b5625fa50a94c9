"""MemorizationCurveDisplay: accuracies by setting, and the epochs that training took."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhalfway.inspection._memorization import MemorizationCurve, memorization_curve
from skhalfway.inspection._named_display import NamedCurvesDisplay

_EPOCHS = "epochs"
_EPOCHS_LABEL = "epochs until it has\nlearned its data"


class MemorizationCurveDisplay(NamedCurvesDisplay, draws=[MemorizationCurve], by=memorization_curve):
    """Accuracies of a :class:`MemorizationCurve`, and the epochs that training took, in two panels.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : MemorizationCurve
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the accuracies.
    epochs_ax_ : matplotlib Axes or None
        Axes with the epochs; None where these are not drawn.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Points by the name of the figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.inspection import MemorizationCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = MemorizationCurveDisplay.from_estimator(DecisionTreeClassifier(), X, y, random_state=0)
    >>> list(display.lines_)
    ['training accuracy']
    """

    _bounds = (-0.03, 1.03)

    def plot(
        self,
        ax: Any = None,
        *,
        names: list[str] | None = None,
        include_intervals: bool | None = None,
        level: float = 0.95,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> MemorizationCurveDisplay:
        """Draw accuracies, and the epochs that training took in a separate panel.

        Parameters
        ----------
        ax : matplotlib Axes, or two of them, default=None
            Axes for accuracies and for epochs. On a single one, epochs are drawn
            only where ``names`` has nothing else. None makes a figure.
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
            Whether to add a legend, where there are several accuracies.

        Returns
        -------
        display : MemorizationCurveDisplay
            This object, with ``ax_``, ``epochs_ax_``, ``figure_`` and
            ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown, or there are more than two axes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import MemorizationCurve, MemorizationCurveDisplay
        >>> values = {"training accuracy": np.ones((2, 1)), "epochs": np.array([[2.0], [9.0]])}
        >>> curve = MemorizationCurve(np.array(["true labels", "random labels"]), values, None, 1.0)
        >>> list(MemorizationCurveDisplay(curve).plot().lines_)
        ['training accuracy', 'epochs']
        """
        import matplotlib.pyplot as plt

        chosen = self._chosen(names)
        shares = [name for name in chosen if name != _EPOCHS]
        parts = [part for part in (shares, [_EPOCHS] if _EPOCHS in chosen else []) if part]
        if ax is None:
            size = (max(6.8, 1.2 * len(self.result.x)), 4.4 + 2.4 * (len(parts) - 1))
            ratios = [1.6, 1][: len(parts)]
            _, axes = plt.subplots(
                len(parts), figsize=size, layout="constrained", squeeze=False, height_ratios=ratios
            )
            axes = axes[:, 0]
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            if len(axes) > 2:
                raise ValueError(
                    f"ax must be one or two Axes, for accuracies and for epochs; got {len(axes)}"
                )
        self.epochs_ax_: Any = None
        lines: dict[str, Any] = {}
        options: dict[str, Any] = {"include_intervals": include_intervals, "level": level}
        for place, part in zip(axes, parts, strict=False):
            own = {"color": "0.3"} if part == [_EPOCHS] else {}
            super().plot(place, names=part, legend=legend, line_kw=own | (line_kw or {}), **options)
            lines |= self.lines_
            place.set_ylabel(_EPOCHS_LABEL if part == [_EPOCHS] else self.result.y_label)
            if part == [_EPOCHS]:
                self.epochs_ax_ = place
                place.autoscale(axis="y")
                place.set_ylim(bottom=0)
        self.lines_, self.ax_ = lines, axes[0]
        return self
