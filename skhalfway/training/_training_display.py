"""TrainingHistoryDisplay: draws a TrainingHistory as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skhalfway._checks import check_choice
from skhalfway._text import shown
from skhalfway.displays import Display
from skhalfway.displays._panels import panels
from skhalfway.displays._style import colours, markers
from skhalfway.training._training import TrainingHistory, halfway_history

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

_LABELS = {
    "accuracy": "accuracy on the pairs",
    "agreement": "agreement with the final\nmodel (rank correlation)",
    "deviation": "halfway deviation\n(share of a path)",
    "boundary_distance": "median distance of the\nboundary (input units)",
}


class TrainingHistoryDisplay(Display, draws=[TrainingHistory], by=halfway_history):
    """Lines of a :class:`TrainingHistory`, with a panel for each measure.

    Make one with ``from_estimator``, which takes the arguments of
    :func:`halfway_history`, or with ``from_result``.

    Parameters
    ----------
    result : TrainingHistory
        The history to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each measure.
    figure_ : matplotlib Figure
        Figure that holds the panels.
    lines_ : dict of str to matplotlib Line2D
        Lines by name: accuracy, agreement, deviation, boundary_distance.

    See Also
    --------
    TrainingHistory : The measures.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skhalfway.training import TrainingHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = TrainingHistoryDisplay.from_estimator(
    ...     SGDClassifier(random_state=0), X, y, n_epochs=5, n_pairs=50, random_state=0
    ... )
    >>> sorted(display.lines_)
    ['accuracy', 'agreement', 'boundary_distance', 'deviation']
    """

    def plot(
        self,
        axes: Any = None,
        *,
        names: Sequence[str] | None = None,
        xscale: str = "linear",
        line_kw: dict[str, Any] | None = None,
    ) -> TrainingHistoryDisplay:
        """Draw each measure over epochs, in a panel of its own.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            One for each measure. None makes a new figure.
        names : list of str, default=None
            Measures to draw: accuracy, agreement, deviation, boundary_distance.
            None draws all.
        xscale : {"linear", "log"}, default="linear"
            Scale of the epochs. "log" magnifies the beginning, where most
            changes happen, and leaves out the record at epoch 0.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.

        Returns
        -------
        display : TrainingHistoryDisplay
            This object, with ``axes_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown, the number of axes is wrong, or the scale is
            unknown.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.training import TrainingHistory, TrainingHistoryDisplay
        >>> history = TrainingHistory(
        ...     epochs=np.array([0, 1]),
        ...     crossings=np.array([[0.9, 0.1], [0.7, 0.4]]),
        ...     counted=np.array([[True, True], [True, True]]),
        ...     distances=np.array([[np.inf, 3.0], [2.0, 3.0]]),
        ...     accuracy=np.array([0.5, 1.0]),
        ... )
        >>> display = TrainingHistoryDisplay.from_result(history).plot(names=["accuracy"])
        >>> list(display.lines_)
        ['accuracy']
        """
        history = self.result
        chosen = list(_LABELS) if names is None else list(names)
        if not chosen or (unknown := [name for name in chosen if name not in _LABELS]):
            raise ValueError(f"names must be of {list(_LABELS)}, got {shown(unknown if chosen else chosen)}")
        check_choice("xscale", xscale, ("linear", "log"))
        self.axes_ = panels(axes, len(chosen), 3.8, 2.7, n_columns=2)
        self.figure_ = self.axes_[0].figure
        styles = dict(zip(_LABELS, zip(colours(4), markers(4), strict=True), strict=True))
        self.lines_: dict[str, Line2D] = {}
        first, last = history.epochs[history.epochs > 0].min(initial=1.0), max(history.epochs[-1], 1.0)
        for ax, name in zip(self.axes_, chosen, strict=True):
            hue, marker = styles[name]
            style: dict[str, Any] = {"lw": 2.0, "ms": 3.5, "color": hue, "marker": marker} | (line_kw or {})
            (self.lines_[name],) = ax.plot(history.epochs, getattr(history, name), **style)
            ax.set_xscale(xscale)
            ax.set_xlim(*((0, 1.03 * last) if xscale == "linear" else (0.9 * first, 1.1 * last)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
            ax.set(xlabel="epoch", ylabel=_LABELS[name])
            if name in ("accuracy", "agreement"):
                ax.set_ylim(min(-0.02, ax.get_ylim()[0]), 1.03)
            else:
                ax.set_ylim(bottom=0)
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
        return self
