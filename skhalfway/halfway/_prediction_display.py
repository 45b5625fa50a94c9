"""PredictedTransferDisplay: predicted against measured transfer, as a scatter of pairs of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from skhalfway._text import shown
from skhalfway.displays import Display
from skhalfway.displays._style import colours, figure_text, markers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RankCorrelation(NamedTuple):
    """Spearman's rho of a prediction with what was measured, over ordered pairs of two models.

    Attributes
    ----------
    overall : float
        Over all pairs.
    within_target : float
        Over the sources of one target, averaged over targets.
    within_source : float
        Over the targets of one source, averaged over sources.
    """

    overall: float
    within_target: float
    within_source: float


def rank_correlation(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> RankCorrelation:
    """Compare two matrices (n_models, n_models), sources in rows, without their diagonals.

    nan where fewer than 3 pairs are known, or one of both is constant.
    """
    known = ~np.eye(len(predicted), dtype=bool) & np.isfinite(predicted) & np.isfinite(measured)
    matrices = np.where(known, predicted, np.nan), np.where(known, measured, np.nan)
    columns = [_spearman(*pair) for pair in zip(*(matrix.T for matrix in matrices), strict=True)]
    rows = [_spearman(*pair) for pair in zip(*matrices, strict=True)]
    return RankCorrelation(_spearman(*matrices), _mean_of_known(columns), _mean_of_known(rows))


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    known = ~np.isnan(a)
    a, b = a[known], b[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(spearmanr(a, b).statistic)


def _mean_of_known(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


class PredictedTransferDisplay(Display):
    """Predicted against measured transfer: a mark for each source and target.

    Use :meth:`from_estimator` or :meth:`from_matrices` to make one.

    Parameters
    ----------
    predicted : array-like of shape (n_models, n_models)
        Prediction for each source (row) and target (column): rates, or any
        figure that is meant to rank them. nan where there is none.
    measured : TransferMatrix, or array-like of shape (n_models, n_models)
        Measured rates, between 0 and 1 or nan: an array, or an object that
        has them as ``rates``, and ``names``.
    names : sequence of str, default=None
        Names of the models; None are those that ``measured`` has.

    Attributes
    ----------
    rho_ : RankCorrelation
        Spearman's rho ``overall``, ``within_target`` (over the sources of one
        target, averaged over targets) and ``within_source``. Pairs of a model
        with itself are not in it.
    ax_ : matplotlib Axes
        Axes with the marks.
    figure_ : matplotlib Figure
        Figure that holds them.
    marks_ : dict of str to matplotlib Line2D
        The marks of each target, over its sources.
    identity_ : matplotlib Line2D or None
        The line where both are the same.

    Raises
    ------
    ValueError
        If matrices, or names, do not fit together, or rates are out of range.

    See Also
    --------
    skhalfway.HalfwayScorer.predict_transfer : Predicts rates.
    skhalfway.TransferScorer.transfer : Measures them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.halfway import PredictedTransferDisplay
    >>> predicted = np.array([[0.9, 0.4, 0.3], [0.2, 0.8, 0.6], [0.1, 0.5, 0.7]])
    >>> measured = np.array([[1.0, 0.3, 0.1], [0.2, 1.0, 0.5], [0.0, 0.6, 0.9]])
    >>> display = PredictedTransferDisplay.from_matrices(predicted, measured, names=["lr", "svm", "tree"])
    >>> round(display.rho_.overall, 3)
    0.886
    """

    def __init__(self, predicted: Any, measured: Any, names: Sequence[str] | None = None) -> None:
        own = getattr(measured, "names", None)
        given = own if names is None else names
        if given is None:
            raise ValueError("measured has no names; pass names=[...], one for each model")
        self.names = tuple(given)
        if own is not None and self.names != tuple(own):
            raise ValueError(f"names are {shown(list(self.names))}, but measured is of {shown(list(own))}")
        self.measured = np.array(getattr(measured, "rates", measured), dtype=float)
        self.predicted = np.array(predicted, dtype=float)
        n = len(self.names)
        for name, matrix in (("predicted", self.predicted), ("measured", self.measured)):
            if matrix.shape != (n, n):
                raise ValueError(
                    f"{name} must have shape {(n, n)}, a row for each source and a column for each target, "
                    f"for the names {shown(list(self.names))}; got {matrix.shape}"
                )
            if np.isinf(matrix).any():
                raise ValueError(f"{name} holds infinite values; put nan where nothing is known")
        if ((self.measured < 0) | (self.measured > 1)).any():
            raise ValueError(
                "measured must hold rates between 0 and 1, got values from "
                f"{np.nanmin(self.measured)} to {np.nanmax(self.measured)}"
            )

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, measured: Any, *, eps: float, norm: float = np.inf, **kwargs: Any
    ) -> PredictedTransferDisplay:
        """Predict and draw.

        Parameters
        ----------
        estimator : HalfwayScorer
            Fitted scorer.
        X : array-like of shape (n_samples, n_features)
            Samples that were attacked.
        y : array-like of shape (n_samples,)
            True labels.
        measured : TransferMatrix, or array-like of shape (n_models, n_models)
            What an attack of that budget did to the same models.
        eps : float
            Budget, in input units.
        norm : {np.inf, 2}, default=np.inf
            Norm in which it counts.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : PredictedTransferDisplay
            With the axes it drew on.
        """
        names = tuple(estimator.models_)
        # names are compared before models are asked
        cls(np.zeros((len(names), len(names))), measured, names)
        predicted = estimator.predict_transfer(X, y, eps=eps, norm=norm)
        return cls.from_matrices(predicted, measured, names=names, **kwargs)

    @classmethod
    def from_matrices(
        cls, predicted: Any, measured: Any, *, names: Sequence[str] | None = None, **kwargs: Any
    ) -> PredictedTransferDisplay:
        """Draw what was already predicted and measured.

        Parameters
        ----------
        predicted : array-like of shape (n_models, n_models)
            Predictions.
        measured : TransferMatrix, or array-like of shape (n_models, n_models)
            Measured rates.
        names : sequence of str, default=None
            Names of the models; None are those that ``measured`` has.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : PredictedTransferDisplay
            With the axes it drew on.
        """
        return cls(predicted, measured, names).plot(**kwargs)

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
            Whether predictions are rates: then both axes have one scale, and
            the line where they are equal is drawn. None: if all of them are
            between 0 and 1.
        xlabel : str, default=None
            What was predicted. None is "predicted transfer rate", or
            "prediction" if it is no rate.
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
        """
        import matplotlib.pyplot as plt

        n = len(self.names)
        pairs = ~np.eye(n, dtype=bool)
        n_known = (pairs & ~np.isnan(self.predicted + self.measured)).sum()
        if identity is None:
            identity = not ((self.predicted < 0) | (self.predicted > 1))[pairs].any()
        self.rho_ = rank_correlation(self.predicted, self.measured)
        if ax is None:
            # room for the legend's names
            _, ax = plt.subplots(figsize=(6.4, max(4.8, 0.24 * (n + 2))), layout="compressed")
        self.marks_: dict[str, Any] = {}
        mark: dict[str, Any] = {"ls": "", "mec": "k", "mew": 0.6, "alpha": 0.85, "zorder": 3}
        mark |= {"ms": 7 if n <= 10 else 5.5, "clip_on": False}
        for j, (name, colour, marker) in enumerate(zip(self.names, colours(n), markers(n), strict=True)):
            style = mark | {"color": colour, "marker": marker, "label": name} | (mark_kw or {})
            sources = pairs[:, j]
            (self.marks_[name],) = ax.plot(self.predicted[sources, j], self.measured[sources, j], **style)
        self.identity_ = None
        if identity:
            line: dict[str, Any] = {"color": "0.45", "ls": "--", "lw": 1.2, "zorder": 1}
            (self.identity_,) = ax.plot([0, 1], [0, 1], **line | (line_kw or {}))
            ax.set(xlim=(-0.02, 1.02), aspect="equal")
        rho, within_target, within_source = map(figure_text, self.rho_)
        ax.set(
            xlabel=xlabel or ("predicted transfer rate" if identity else "prediction"),
            ylabel="measured transfer rate",
            ylim=(-0.02, 1.02),
        )
        ax.set_title(
            f"{n_known} pairs of source and target: Spearman's \u03c1 = {rho}\n"
            f"within target {within_target}, within source {within_source}",
            fontsize=10,
        )
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if legend:
            handles = list(self.marks_.values())
            beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
            ax.legend(handles=handles, title="target", **beside)
        self.ax_, self.figure_ = ax, ax.figure
        return self
