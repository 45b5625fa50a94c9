"""PredictedTransferDisplay: measured against predicted transfer, as a scatter of pairs of models."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours, figure_text, markers
from skhalfway.halfway._predicted import PredictedTransfer
from skhalfway.halfway._scorer import HalfwayScorer
from skhalfway.results import Provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_CALLED = {"agreement": "agreement", "figure": "prediction", "rate": "prediction"}


def _predicted(
    scorer: HalfwayScorer, X: Any, y: Any, measured: Any, *, eps: float, norm: float = np.inf
) -> PredictedTransfer:
    """Predictions of a scorer, with the measured rates of an attack of the same budget on the same models."""
    names = tuple(scorer.models_)
    # names are compared before models are asked
    PredictedTransfer(np.zeros((len(names), len(names))), measured, names)
    begin = perf_counter()
    predicted = scorer.predict_transfer(X, y, eps=eps, norm=norm)
    settings = {"eps": eps, "norm": norm, "random_state": scorer.random_state}
    seconds, n = perf_counter() - begin, int(np.shape(X)[0])
    origin = Provenance("HalfwayScorer.predict_transfer", settings, n_samples=n, seconds=seconds)
    return PredictedTransfer(predicted.rates, measured, names, provenance=origin)


class PredictedTransferDisplay(Display, draws=[PredictedTransfer], by=_predicted):
    """Measured against predicted transfer: a mark for each source and target.

    Make one with the ``plot`` of a :class:`PredictedTransfer`, or with
    ``from_estimator``. This takes a fitted :class:`~skhalfway.HalfwayScorer`,
    samples, labels, the measured rates, and ``eps`` and ``norm`` of the attack.

    Parameters
    ----------
    result : PredictedTransfer
        What to draw.

    Attributes
    ----------
    rho_ : RankCorrelation
        Spearman's rho: ``overall``, ``within_target`` (over the sources of one
        target, averaged over targets) and ``within_source``. Pairs of a model
        with itself are left out.
    ax_ : matplotlib Axes
        Axes with the marks.
    figure_ : matplotlib Figure
        Figure that holds them.
    marks_ : dict of str to matplotlib Line2D
        The marks of each target, over its sources.
    identity_ : matplotlib Line2D or None
        The line where both are equal.

    See Also
    --------
    PredictedTransfer : The figures.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.halfway import PredictedTransfer, PredictedTransferDisplay
    >>> predicted = np.array([[0.9, 0.4, 0.3], [0.2, 0.8, 0.6], [0.1, 0.5, 0.7]])
    >>> measured = np.array([[1.0, 0.3, 0.1], [0.2, 1.0, 0.5], [0.0, 0.6, 0.9]])
    >>> result = PredictedTransfer(predicted, measured, names=["lr", "svm", "tree"])
    >>> display = PredictedTransferDisplay.from_result(result)
    >>> round(display.rho_.overall, 3)
    0.886
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        identity: bool | None = None,
        xlabel: str | None = None,
        legend: bool = True,
        mark_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> PredictedTransferDisplay:
        """Draw a mark for each pair of two models.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        identity : bool, default=None
            Whether to draw the line of equality and give both axes the same scale,
            as suits predicted rates. None does so where ``predicts`` of the result
            is "rate".
        xlabel : str, default=None
            Label of the predictions. None is "predicted transfer rate", or
            "agreement" or "prediction" where they are no rates.
        legend : bool, default=True
            Whether to add a legend of targets, beside the axes.
        mark_kw : dict, default=None
            Passed to ``ax.plot`` for the marks.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for the line.

        Returns
        -------
        display : PredictedTransferDisplay
            This object, with its attributes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> from skhalfway.halfway import PredictedTransfer, PredictedTransferDisplay
        >>> both = PredictedTransfer([[0.9, 0.4], [0.2, 0.8]], [[1.0, 0.3], [0.1, 1.0]], names=["lr", "svm"])
        >>> list(PredictedTransferDisplay(both).plot(legend=False).marks_)
        ['lr', 'svm']
        """
        import matplotlib.pyplot as plt

        result, n = self.result, len(self.result.names)
        pairs = ~np.eye(n, dtype=bool)
        predicts = result.predicts
        if identity is None:
            identity = predicts == "rate"
        self.rho_ = result.correlation
        if ax is None:
            # room for the legend's names, and for the title above them
            _, ax = plt.subplots(figsize=(6.8, max(4.8, 0.24 * (n + 6))), layout="compressed")
        self.marks_: dict[str, Any] = {}
        mark: dict[str, Any] = {"ls": "", "mec": "k", "mew": 0.6, "alpha": 0.85, "zorder": 3}
        mark |= {"ms": 7 if n <= 10 else 5.5, "clip_on": False}
        for j, (name, colour, marker) in enumerate(zip(result.names, colours(n), markers(n), strict=True)):
            style = mark | {"color": colour, "marker": marker, "label": name} | (mark_kw or {})
            sources = pairs[:, j]
            (self.marks_[name],) = ax.plot(result.predicted[sources, j], result.measured[sources, j], **style)
        self.identity_ = None
        if identity:
            line: dict[str, Any] = {"color": "0.45", "ls": "--", "lw": 1.2, "zorder": 1}
            (self.identity_,) = ax.plot([0, 1], [0, 1], **line | (line_kw or {}))
            ax.set(xlim=(-0.02, 1.02), aspect="equal")
        ax.set(
            xlabel=xlabel or ("predicted transfer rate" if identity else _CALLED[predicts]),
            ylabel="measured transfer rate",
            ylim=(-0.02, 1.02),
        )
        said = self.rho_.said("\u03c1", figure_text).replace(", within target", ",\nwithin target")
        about = [f"{result.known.sum()} pairs of source and target", said, *result.errors]
        ax.set_title("\n".join(about), fontsize=10, loc="left")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if legend:
            handles = list(self.marks_.values())
            beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
            ax.legend(handles=handles, title="target", **beside)
        self.ax_, self.figure_ = ax, ax.figure
        return self
