"""TrainingHistoryDisplay: a TrainingHistory as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes, markers
from skhalfway.training._training import TrainingHistory, halfway_history

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_LABELS = {
    "accuracy": "accuracy on the pairs (share)",
    "agreement": "agreement with the final model (correlation)",
    "deviation": "halfway deviation (of crossings from 1/2)",
}


class TrainingHistoryDisplay(Display, draws=[TrainingHistory], by=halfway_history):
    """Lines of a :class:`TrainingHistory`.

    Use ``from_estimator``, with what :func:`halfway_history` takes, or :meth:`from_result` to make one.

    Parameters
    ----------
    result : TrainingHistory
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with accuracy, agreement and deviation.
    distance_ax_ : matplotlib Axes or None
        Axes below, with the distance.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by name: accuracy, agreement, deviation, boundary_distance.

    See Also
    --------
    TrainingHistory : The figures.

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
        ax: Axes | None = None,
        *,
        include_distance: bool = True,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> TrainingHistoryDisplay:
        """Draw the lines over epochs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, without the distance. None makes a figure.
        include_distance : bool, default=True
            Whether to draw the boundary's median distance, on axes of its own
            below.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each line.
        legend : bool, default=True
            Whether to add a legend, below the axes.

        Returns
        -------
        display : TrainingHistoryDisplay
            This object, with ``ax_``, ``distance_ax_``, ``figure_`` and
            ``lines_``.
        """
        import matplotlib.pyplot as plt

        self.distance_ax_ = None
        if ax is None:
            n_rows = 2 if include_distance else 1
            _, every = plt.subplots(
                n_rows,
                1,
                figsize=(6.4, 3.0 + 1.6 * n_rows),
                height_ratios=[2, 1][:n_rows],
                sharex=True,
                squeeze=False,
                layout="constrained",
            )
            ax, *others = every[:, 0]
            self.distance_ax_ = others[0] if others else None
        history = self.result
        style: dict[str, Any] = {"lw": 2.0, "ms": 3.5} | (line_kw or {})
        self.lines_: dict[str, Line2D] = {}
        n = len(_LABELS)
        looks = zip(_LABELS.items(), colours(n), markers(n), dashes(n), strict=True)
        for (name, label), hue, marker, dash in looks:
            look = {"color": hue, "marker": marker, "ls": dash, "label": label} | style
            (self.lines_[name],) = ax.plot(history.epochs, getattr(history, name), **look)
        ax.set(xlabel="epoch", xlim=(0, history.epochs[-1] * 1.05))
        ax.set_ylim(min(-0.02, ax.get_ylim()[0]), 1.02)
        if self.distance_ax_ is not None:
            (self.lines_["boundary_distance"],) = self.distance_ax_.plot(
                history.epochs, history.boundary_distance, **{"color": "0.35", "marker": "o"} | style
            )
            self.distance_ax_.set(xlabel="epoch", ylabel="median distance of\nthe boundary (input units)")
            self.distance_ax_.set_ylim(bottom=0)
            ax.set_xlabel("")
        for place in (ax, self.distance_ax_):
            if place is not None:
                place.grid(alpha=0.3)
                place.spines[["top", "right"]].set_visible(False)
        if legend:
            # above the lines, which may run anywhere
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2, frameon=False)
        self.ax_: Any = ax
        self.figure_: Any = ax.figure
        return self
