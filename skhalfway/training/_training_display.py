"""TrainingHistoryDisplay: a TrainingHistory as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway.displays._style import colours
from skhalfway.training._training import TrainingHistory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_LABELS = {
    "accuracy": "accuracy on the pairs",
    "agreement": "agreement with the final model",
    "deviation": "halfway deviation",
}


class TrainingHistoryDisplay:
    """Lines of a :class:`TrainingHistory`.

    Use :meth:`from_estimator` or :meth:`from_history` to make one.

    Parameters
    ----------
    history : TrainingHistory
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with accuracy, agreement and deviation.
    distance_ax_ : matplotlib Axes or None
        The same with an axis of its own, on the right, for the distance.
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

    def __init__(self, history: TrainingHistory) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, plot_kw: dict[str, Any] | None = None, **kwargs: Any
    ) -> TrainingHistoryDisplay:
        """Train, record and draw.

        Parameters
        ----------
        estimator : object
            Classifier with ``partial_fit``, which is trained.
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their labels.
        plot_kw : dict, default=None
            Passed to :meth:`plot`.
        **kwargs : dict
            Passed to :func:`halfway_history`.

        Returns
        -------
        display : TrainingHistoryDisplay
            With the axes it drew on.
        """
        from skhalfway.training._training import halfway_history

        return cls.from_history(halfway_history(estimator, X, y, **kwargs), **plot_kw or {})

    @classmethod
    def from_history(cls, history: TrainingHistory, **kwargs: Any) -> TrainingHistoryDisplay:
        """Draw a history that was already recorded.

        Parameters
        ----------
        history : TrainingHistory
            What to draw.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TrainingHistoryDisplay
            With the axes it drew on.
        """
        if not isinstance(history, TrainingHistory):
            raise TypeError(f"from_history needs a TrainingHistory, got {type(history).__name__}")
        return cls(history).plot(**kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_distance: bool = True,
        line_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> TrainingHistoryDisplay:
        """Draw the lines over epochs, on a scale that is linear up to 1 and logarithmic beyond.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        include_distance : bool, default=True
            Whether to draw the boundary's median distance, dashed, with an
            axis on the right.
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

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
        figure: Any = ax.figure
        history = self.history
        style: dict[str, Any] = {"lw": 2.0, "marker": "o", "ms": 3.5} | (line_kw or {})
        self.lines_: dict[str, Line2D] = {}
        hues = dict(zip(_LABELS, colours(3), strict=True))
        for name, label in _LABELS.items():
            values = getattr(history, name)
            (self.lines_[name],) = ax.plot(history.epochs, values, label=label, color=hues[name], **style)
        ax.set_xscale("symlog", linthresh=1)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlabel="epoch", ylabel="share, correlation, or position", xlim=(0, history.epochs[-1] * 1.05))
        ax.set_ylim(min(-0.02, ax.get_ylim()[0]), 1.02)
        ax.grid(alpha=0.3)
        ax.spines["top"].set_visible(False)
        self.distance_ax_ = None
        if include_distance:
            self.distance_ax_ = ax.twinx()
            (self.lines_["boundary_distance"],) = self.distance_ax_.plot(
                history.epochs,
                history.boundary_distance,
                label="median distance of the boundary (right)",
                color="0.35",
                **style | {"ls": "--"},
            )
            self.distance_ax_.set_ylabel("distance in input units", color="0.35")
            self.distance_ax_.set_ylim(bottom=0)
            self.distance_ax_.spines["top"].set_visible(False)
        else:
            ax.spines["right"].set_visible(False)
        if legend:
            # below the lines, which may run anywhere
            ax.legend(
                handles=list(self.lines_.values()),
                loc="upper center",
                bbox_to_anchor=(0.5, -0.17),
                ncol=2,
                frameon=False,
            )
        self.ax_, self.figure_ = ax, figure
        return self
