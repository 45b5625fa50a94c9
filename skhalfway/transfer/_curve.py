"""TransferCurve: the transfer experiments at growing budgets, and what they give together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._intervals import ConfidenceInterval, wilson_interval
from skhalfway._text import short, shown
from skhalfway.transfer._matrix import TransferMatrix, read_masked

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.models import ModelCheck
    from skhalfway.transfer._curve_display import TransferCurveDisplay

UNITS = {
    "input": "input units",
    "std": "standard deviations of each feature",
    "range": "shares of each feature's range",
    "eps": "multiples of the generator's eps",
}


@dataclass(frozen=True, eq=False, repr=False)
class TransferCurve:
    """Transfer rates at growing budgets: a security evaluation curve for every pair.

    Made by :meth:`skhalfway.TransferScorer.transfer_curve`. The first budget
    is 0, where the samples are as they were.

    Parameters
    ----------
    eps : ndarray of shape (n_budgets,)
        The budgets, increasing.
    matrices : tuple of TransferMatrix
        What :meth:`~skhalfway.TransferScorer.transfer` gives at each.
    source_fallen : ndarray of shape (n_budgets, n_models)
        Samples, of those that a source classifies correctly, that fool it
        within the budget: at this one or at a smaller one.
    norm : {np.inf, 2, 1}, default=np.inf
        Norm in which the budgets count.
    eps_unit : {"input", "std", "range", "eps"}, default="input"
        Their unit: the generator's, or multiples of its ``eps`` where that
        has a number for each feature.
    masked : bool ndarray of shape (n_models,), default=None
        True where a source's gradients may be masked, as
        :class:`~skhalfway.TransferMatrix` explains, seen at the largest
        budget; None where that is not known.

    See Also
    --------
    skhalfway.TransferMatrix : The counts at one budget.
    skhalfway.TransferCurveDisplay : Draws it.

    References
    ----------
    .. [1] Biggio & Roli, "Wild patterns: ten years after the rise of
       adversarial machine learning", Pattern Recognition 84, 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> curve = TransferScorer(random_state=0).fit(models).transfer_curve(X, y, eps=[0.2, 0.5, 1.0])
    >>> curve
    TransferCurve: 2 models, Linf budgets in input units
         eps  mean transfer rate  noise  source success
           0  .00 [.00 .00]         .00             .00
         0.2  .10 [.05 .14]         .03             .10
         0.5  .42 [.34 .49]         .10             .42
           1  .96 [.93 .99]         .23             .97
    """

    eps: NDArray[np.float64]
    matrices: tuple[TransferMatrix, ...]
    source_fallen: NDArray[np.int64]
    norm: float = np.inf
    eps_unit: str = "input"
    masked: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrices", tuple(self.matrices))
        eps, fallen = np.array(self.eps, dtype=float), np.array(self.source_fallen)
        if eps.shape != (len(self.matrices),) or not len(eps):
            raise ValueError(
                f"eps must have one budget for each of {len(self.matrices)} matrices, got {shown(eps)}"
            )
        if not (np.isfinite(eps).all() and (np.diff(eps, prepend=-1) > 0).all() and eps[0] >= 0):
            raise ValueError(f"eps must hold increasing finite numbers >= 0, got {shown(eps)}")
        first = self.matrices[0]
        if any((m.names, m.condition) != (first.names, first.condition) for m in self.matrices):
            raise ValueError("the matrices must be of the same models, counted under the same condition")
        if fallen.shape != (len(eps), len(first.names)) or (np.diff(fallen, axis=0) < 0).any():
            raise ValueError(
                f"source_fallen must hold counts that never fall, of shape {(len(eps), len(first.names))}; "
                f"got {shown(fallen)}"
            )
        check_choice("eps_unit", self.eps_unit, UNITS)
        object.__setattr__(self, "masked", read_masked(self.masked, len(first.names)))
        for name, array in (("eps", eps), ("source_fallen", fallen)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return self.matrices[0].names

    @property
    def checks(self) -> Mapping[str, ModelCheck]:
        """What the check-up of each model, by name, found before the attacks."""
        return self.matrices[0].checks

    @property
    def condition(self) -> str:
        """Which samples are eligible."""
        return self.matrices[0].condition

    @property
    def rates(self) -> NDArray[np.float64]:
        """Transfer rates, of shape (n_budgets, n_models, n_models)."""
        return np.stack([matrix.rates for matrix in self.matrices])

    @property
    def noise(self) -> NDArray[np.float64]:
        """Rates of the control, of shape (n_budgets, n_models, n_models)."""
        return np.stack([matrix.noise for matrix in self.matrices])

    @property
    def mean_rates(self) -> NDArray[np.float64]:
        """Mean transfer rate over ordered pairs at each budget."""
        return np.array([matrix.mean_rate for matrix in self.matrices])

    @property
    def standard_errors(self) -> NDArray[np.float64]:
        """Standard errors of the mean rates, over samples."""
        return np.array([matrix.standard_error for matrix in self.matrices])

    @property
    def mean_noise(self) -> NDArray[np.float64]:
        """Mean rate of the control over the same pairs at each budget."""
        return _mean_over_pairs(self.noise)

    @property
    def target_rates(self) -> NDArray[np.float64]:
        """Mean transfer rate to each target from the others, of shape (n_budgets, n_models)."""
        return _mean_over_pairs(self.rates, axis=1)

    @property
    def mean_source_success(self) -> NDArray[np.float64]:
        """Mean of :attr:`source_success` over the models at each budget."""
        return _mean(self.source_success)

    @property
    def source_success(self) -> NDArray[np.float64]:
        """Share of correctly classified samples that fool their source within the budget.

        Of shape (n_budgets, n_models). It never falls, as that of an attack
        that is run anew for a larger budget may.
        """
        eligible = self.matrices[0].source_eligible
        return np.divide(
            self.source_fallen, eligible, out=np.full(self.source_fallen.shape, np.nan), where=eligible > 0
        )

    def confidence_interval(self, level: float = 0.95, *, of: str = "rates") -> ConfidenceInterval:
        """Intervals for the rates.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"rates", "noise", "source_success", "mean_rate"}, default="rates"
            As in :meth:`TransferMatrix.confidence_interval`, at each budget.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, with one entry for each budget.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.
        """
        if of == "source_success":
            return wilson_interval(self.source_fallen, self.matrices[0].source_eligible, level)
        each = [matrix.confidence_interval(level, of=of) for matrix in self.matrices]
        return ConfidenceInterval(*(np.stack(ends) for ends in zip(*each, strict=True)))

    def to_frame(self, *, per: str = "pair") -> pd.DataFrame:
        """Return the curve as a pandas DataFrame.

        Parameters
        ----------
        per : {"pair", "budget"}, default="pair"
            One row for each budget and ordered pair, with counts, rates,
            intervals and the control; or for each budget, with means over pairs.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by (eps, source, target), or by eps.

        Raises
        ------
        ValueError
            If ``per`` is neither.
        """
        import pandas as pd

        if per == "pair":
            frames = {float(eps): m.to_frame() for eps, m in zip(self.eps, self.matrices, strict=True)}
            return pd.concat(frames, names=["eps"])
        if per != "budget":
            raise ValueError(f"per must be 'pair' or 'budget', got {shown(per)}")
        interval = self.confidence_interval(of="mean_rate")
        columns = {
            "mean_rate": self.mean_rates,
            "standard_error": self.standard_errors,
            "low": interval.low,
            "high": interval.high,
            "noise": self.mean_noise,
            "source_success": self.mean_source_success,
        }
        return pd.DataFrame(columns, index=pd.Index(self.eps, name="eps"))

    def plot(self, **kwargs: Any) -> TransferCurveDisplay:
        """Draw the curve.

        Parameters
        ----------
        **kwargs : dict
            Passed to :meth:`skhalfway.TransferCurveDisplay.plot`.

        Returns
        -------
        display : TransferCurveDisplay
            With the axes it drew on.
        """
        from skhalfway.transfer._curve_display import TransferCurveDisplay

        return TransferCurveDisplay.from_curve(self, **kwargs)

    def __repr__(self) -> str:
        norm = "inf" if self.norm == np.inf else f"{self.norm:g}"
        lines = [
            f"TransferCurve: {len(self.names)} models, L{norm} budgets in {UNITS[self.eps_unit]}",
            f"{'eps':>8}  mean transfer rate  noise  source success",
        ]
        for eps, row in self.to_frame(per="budget").iterrows():
            ends = "" if np.isnan(row.low) else f" [{short(row.low)} {short(row.high)}]"
            rate = f"{short(row.mean_rate)}{ends}"
            lines.append(f"{eps:>8.4g}  {rate:<18}  {short(row.noise):>5}  {short(row.source_success):>14}")
        if self.masked is not None and self.masked.any():
            hidden = ", ".join(name for name, flag in zip(self.names, self.masked, strict=True) if flag)
            lines.append(f"gradients possibly masked, so that their own attack is too weak: {hidden}")
        return "\n".join([*lines, *self.matrices[0]._doubts()])


def _mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean of those that are known; nan where none is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    number = known.sum(axis=axis)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def _mean_over_pairs(rates: NDArray[np.float64], axis: Any = (1, 2)) -> NDArray[np.float64]:
    pairs = ~np.eye(rates.shape[-1], dtype=bool)
    return _mean(np.where(pairs, rates, np.nan), axis)
