"""PredictedTransfer: predicted and measured transfer side by side, with their rank correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from skhalfway._text import counted, short, shown
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd


class RankCorrelation(NamedTuple):
    """Spearman's rho of predicted and measured transfer, over ordered pairs of two models.

    Attributes
    ----------
    overall : float
        Rho over all pairs.
    within_target : float
        Rho over the sources of one target, averaged over targets.
    within_source : float
        Rho over the targets of one source, averaged over sources.
    """

    overall: float
    within_target: float
    within_source: float

    def said(self, rho: str, write: Callable[[float], str] = short) -> str:
        """The figures in words, without unknown ones."""
        if np.isnan(self.overall):
            return f"Spearman's {rho} is not known"
        parts = {"": self.overall, "within target ": self.within_target, "within source ": self.within_source}
        known = [f"{where}{write(value)}" for where, value in parts.items() if not np.isnan(value)]
        return f"Spearman's {rho} {', '.join(known)}"


def rank_correlation(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> RankCorrelation:
    """Compare two matrices (n_models, n_models), sources in rows, without their diagonals.

    A rho is nan where fewer than 3 pairs are known, or one of the two matrices is constant.
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


def _numbers(name: str, given: Any) -> NDArray[np.float64]:
    try:
        return frozen(given, float)
    except (TypeError, ValueError) as error:
        allowed = {
            "predicted": "rates, as of HalfwayScorer.predict_transfer, or figures that rank pairs, as of "
            "measurement.agreement",
            "measured": "rates between 0 and 1, or a TransferMatrix",
        }
        raise TypeError(
            f"{name} must be an array of numbers, with a row for each source and a column for each target: "
            f"{allowed[name]}; got {shown(given)}"
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class PredictedTransfer(Result):
    """Predicted and measured transfer for each source and target, side by side.

    Arrays are read-only.

    Parameters
    ----------
    predicted : array-like of shape (n_models, n_models)
        Prediction for each source (row) and target (column): rates, or any
        figure that is meant to rank them, such as the ``agreement`` of a
        :class:`HalfwayMeasurement`. It is nan where there is none.
    measured : TransferMatrix, or array-like of shape (n_models, n_models)
        Measured rates, between 0 and 1 or nan. An object with ``rates`` and
        ``names`` may be passed; only its rates are kept.
    names : sequence of str, default=None
        Names of the models. None uses the names of ``measured``.
    low, high : array-like of shape (n_models, n_models), default=None
        Ends of 95 % prediction intervals of the measured rates; None where there
        are none.

    Raises
    ------
    TypeError
        If ``predicted`` or ``measured`` is no matrix of numbers.
    ValueError
        If matrices or names do not fit together, or rates are out of range.

    See Also
    --------
    PredictedTransferDisplay : Draws both.
    skhalfway.HalfwayScorer.predict_transfer : Predicts rates.
    skhalfway.TransferScorer.transfer : Measures rates.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.halfway import PredictedTransfer
    >>> predicted = np.array([[0.9, 0.4, 0.3], [0.2, 0.8, 0.6], [0.1, 0.5, 0.7]])
    >>> measured = np.array([[1.0, 0.3, 0.1], [0.2, 1.0, 0.5], [0.0, 0.6, 0.9]])
    >>> PredictedTransfer(predicted, measured, names=["lr", "svm", "tree"])
    PredictedTransfer: 3 models, 6 pairs of source and target
    predicted / measured; Spearman's rho .89; rates predicted .07 too high
    source     lr          svm        tree
    lr     (.90 / 1.0)  .40 / .30   .30 / .10
    svm     .20 / .20  (.80 / 1.0)  .60 / .50
    tree    .10 / .00   .50 / .60  (.70 / .90)
    """

    predicted: NDArray[np.float64]
    measured: NDArray[np.float64]
    names: tuple[str, ...] = None  # type: ignore[assignment]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        own = getattr(self.measured, "names", None)
        given = own if self.names is None else self.names
        if given is None:
            raise ValueError("measured has no names; pass names=[...], one for each model")
        names = tuple(given)
        if own is not None and names != tuple(own):
            raise ValueError(f"names are {shown(list(names))}, but measured has {shown(list(own))}")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "measured", getattr(self.measured, "rates", self.measured))
        n = len(names)
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high are the two ends of intervals; pass both or neither")
        ends = () if self.low is None else ("low", "high")
        for name in ("predicted", "measured", *ends):
            matrix = _numbers(name, getattr(self, name))
            if matrix.shape != (n, n):
                raise ValueError(
                    f"{name} must have shape {(n, n)}, a row for each source and a column for each target, "
                    f"for the names {shown(list(names))}; got {matrix.shape}"
                )
            if np.isinf(matrix).any():
                raise ValueError(f"{name} holds infinite values; use nan for unknown ones")
            object.__setattr__(self, name, matrix)
        if ((self.measured < 0) | (self.measured > 1)).any():
            raise ValueError(
                "measured must hold rates between 0 and 1, got values from "
                f"{np.nanmin(self.measured)} to {np.nanmax(self.measured)}"
            )

    @property
    def predicts(self) -> str:
        """Kind of the predictions, inferred from their values: "rate", "agreement" or "figure".

        A symmetric matrix with a diagonal of 1 is an agreement, since transfer
        rates are not symmetric. Other predictions are rates where all are between
        0 and 1, else figures.
        """
        own = np.diag(self.predicted)
        of_itself = bool(np.isfinite(own).any()) and np.allclose(own[np.isfinite(own)], 1, rtol=0, atol=1e-9)
        if of_itself and np.allclose(self.predicted, self.predicted.T, rtol=0, atol=1e-9, equal_nan=True):
            return "agreement"
        pairs = self.predicted[~np.eye(len(own), dtype=bool)]
        return "figure" if ((pairs < 0) | (pairs > 1)).any() else "rate"

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which pairs of two different models have both figures, (n_models, n_models)."""
        return ~np.eye(len(self.names), dtype=bool) & ~np.isnan(self.predicted + self.measured)

    @property
    def correlation(self) -> RankCorrelation:
        """Spearman's rho of predicted and measured transfer, over pairs of two different models."""
        return rank_correlation(self.predicted, self.measured)

    @property
    def bias(self) -> float:
        """Mean of predicted minus measured rates, over pairs of two different models.

        nan where predictions are no rates, or no pair has both figures.
        """
        error = (self.predicted - self.measured)[self.known]
        return float(error.mean()) if error.size and self.predicts == "rate" else np.nan

    @property
    def n_held(self) -> int | None:
        """Number of pairs whose prediction interval holds the measured rate; None without intervals."""
        if self.low is None or self.high is None:
            return None
        inside = (self.measured >= self.low - 1e-9) & (self.measured <= self.high + 1e-9)
        return int((inside & self.known).sum())

    def to_frame(self) -> pd.DataFrame:
        """Both figures, with a row for each source and target.

        Returns
        -------
        frame : DataFrame
            Indexed by (source, target), with columns predicted and measured.

        Examples
        --------
        >>> from skhalfway.halfway import PredictedTransfer
        >>> both = PredictedTransfer([[0.9, 0.4], [0.2, 0.8]], [[1.0, 0.3], [0.1, 1.0]], names=["lr", "svm"])
        >>> both.to_frame().loc[("lr", "svm")].tolist()
        [0.4, 0.3]
        """
        import pandas as pd

        index = pd.MultiIndex.from_product([self.names, self.names], names=["source", "target"])
        columns = {"predicted": self.predicted.ravel(), "measured": self.measured.ravel()}
        return pd.DataFrame(columns, index=index)

    @property
    def errors(self) -> list[str]:
        """Mean error of predicted rates, and how many intervals hold, in words; empty where not known."""
        said = []
        if not np.isnan(self.bias):
            said.append(f"rates predicted {short(abs(self.bias))} too {'high' if self.bias > 0 else 'low'}")
        if self.n_held is not None:
            said.append(f"95 % intervals hold {self.n_held} of {self.known.sum()}")
        return said

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for i, name in enumerate(self.names):
            pairs = zip(self.predicted[i], self.measured[i], strict=True)
            cells = [
                Cell(f"{short(one)} / {short(other)}", shade=float(other), framed=i == j)
                for j, (one, other) in enumerate(pairs)
            ]
            rows.append([name, *cells])
        n_models, n = counted(len(self.names), "model"), counted(int(self.known.sum()), "pair")
        return Table(
            f"PredictedTransfer: {n_models}, {n} of source and target",
            ["source", *self.names],
            rows,
            f"predicted / measured; {'; '.join([self.correlation.said('rho'), *self.errors])}",
            centred=True,
        )
