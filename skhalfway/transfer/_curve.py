"""TransferCurve: transfer experiments at increasing budgets, and their joint results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._intervals import ConfidenceInterval, level_of_each, wilson_interval
from skhalfway._text import between, counted, short, shown
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table
from skhalfway.transfer._counting import read_counts, source_fooled_by_budget
from skhalfway.transfer._doubted import doubted
from skhalfway.transfer._matrix import TransferMatrix, read_masked
from skhalfway.transfer._shown import failures_of, models_of

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.models import ModelCheck

UNITS = {
    "input": "input units",
    "std": "standard deviations of each feature",
    "range": "shares of each feature's range",
    "eps": "multiples of the generator's eps",
}


def unit_of(curve: TransferCurve) -> str:
    """Unit of the budgets of a curve, in words."""
    return "changed features" if curve.norm == 0 else UNITS[curve.eps_unit]


@dataclass(frozen=True, eq=False, repr=False)
class TransferCurve(Result):
    """Transfer rates at increasing budgets: a security evaluation curve [1]_ for every pair.

    :meth:`skhalfway.TransferScorer.transfer_curve` makes such a curve. Its first budget is 0, at which the
    samples are unchanged.

    Parameters
    ----------
    eps : ndarray of shape (n_budgets,)
        The budgets, increasing.
    matrices : tuple of TransferMatrix
        Result of :meth:`~skhalfway.TransferScorer.transfer` at each budget.
    source_fooled : ndarray of shape (n_budgets, n_sources)
        Number of samples that a source classifies correctly and that fool it within the budget, that is at
        this budget or at a smaller one.
    norm : {np.inf, 2, 1, 0}, default=np.inf
        Norm of the budgets.
    eps_unit : {"input", "std", "range", "eps"}, default="input"
        Unit of the budgets: the generator's unit, or "eps" for multiples of its ``eps``, where that has a
        number for each feature or sample.
    masked : bool ndarray of shape (n_sources,), default=None
        True where a source's gradients may be masked at the largest budget, as
        :class:`~skhalfway.TransferMatrix` explains; None where that is not known.

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
    TransferCurve: 2 models, 150 samples, Linf budgets in input units
    eps  mean transfer rate  noise  source success
    0    .00 [.00 .03]       .00    .00
    0.2  .10 [.05 .14]       .01    .10
    0.5  .42 [.34 .49]       .07    .42
    1    .96 [.93 .99]       .20    .97
    """

    eps: NDArray[np.float64]
    matrices: tuple[TransferMatrix, ...]
    source_fooled: NDArray[np.int64]
    norm: float = np.inf
    eps_unit: str = "input"
    masked: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrices", tuple(self.matrices))
        eps = frozen(self.eps, float)
        if eps.shape != (len(self.matrices),) or not len(eps):
            raise ValueError(
                f"eps must hold one budget for each of {len(self.matrices)} matrices, got {shown(eps)}"
            )
        if not (np.isfinite(eps).all() and (np.diff(eps, prepend=-1) > 0).all() and eps[0] >= 0):
            raise ValueError(f"eps must hold increasing finite numbers >= 0, got {shown(eps)}")
        first = self.matrices[0]
        kinds = [(m.names, m.sources, m.targets, m.condition, m.goal) for m in self.matrices]
        if any(kind != kinds[0] for kind in kinds):
            raise ValueError("matrices must all have the same models, sources, targets, condition and goal")
        fooled = read_counts("source_fooled", self.source_fooled, (len(eps), len(first.sources)))
        if (np.diff(fooled, axis=0) < 0).any():
            raise ValueError("source_fooled must hold counts that never decrease from a budget to the next")
        eligible = [matrix.source_eligible for matrix in self.matrices]
        if not all(np.array_equal(one, eligible[0]) for one in eligible) or (fooled > eligible[0]).any():
            raise ValueError(
                "matrices must all be of the same samples, and source_fooled must not exceed their "
                "source_eligible, since it counts a part of these samples"
            )
        check_choice("eps_unit", self.eps_unit, UNITS)
        object.__setattr__(self, "masked", read_masked(self.masked, len(first.sources)))
        object.__setattr__(self, "eps", eps)
        object.__setattr__(self, "source_fooled", fooled)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return self.matrices[0].names

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the models that were attacked."""
        return self.matrices[0].sources

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the models that the samples were tried on."""
        return self.matrices[0].targets

    @property
    def n_samples(self) -> int:
        """Number of samples in the experiment."""
        return self.matrices[0].n_samples

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each model on the clean samples, (n_models,)."""
        return self.matrices[0].accuracy

    @property
    def checks(self) -> Mapping[str, ModelCheck]:
        """Findings about each model, by name, from the check before the attacks."""
        return self.matrices[0].checks

    @property
    def condition(self) -> str:
        """Which samples are eligible."""
        return self.matrices[0].condition

    @property
    def rates(self) -> NDArray[np.float64]:
        """Transfer rates, of shape (n_budgets, n_sources, n_targets)."""
        return np.stack([matrix.rates for matrix in self.matrices])

    @property
    def noise(self) -> NDArray[np.float64]:
        """Rates of the noise control, of shape (n_budgets, n_sources, n_targets)."""
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
        """Mean rate of the noise control over the same pairs at each budget."""
        return _mean_over_pairs(self.noise, self.matrices[0]._pairs)

    @property
    def target_rates(self) -> NDArray[np.float64]:
        """Mean transfer rate to each target from the others, of shape (n_budgets, n_targets)."""
        return _mean_over_pairs(self.rates, self.matrices[0]._pairs, axis=1)

    @property
    def mean_source_success(self) -> NDArray[np.float64]:
        """Mean of :attr:`source_success` over the sources at each budget."""
        return mean_of_known(self.source_success)

    @property
    def source_success(self) -> NDArray[np.float64]:
        """Share of correctly classified samples that fool their own source within the budget.

        Of shape (n_budgets, n_sources). It never decreases with the budget, since a sample that fools at a
        smaller budget counts at larger ones too, even where the attack, run again, fails there.
        """
        eligible = self.matrices[0].source_eligible
        return np.divide(
            self.source_fooled, eligible, out=np.full(self.source_fooled.shape, np.nan), where=eligible > 0
        )

    def confidence_interval(
        self, level: float = 0.95, *, of: str = "rates", simultaneous: bool = False
    ) -> ConfidenceInterval:
        """Confidence intervals of the rates.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"rates", "noise", "source_success", "mean_rate"}, default="rates"
            Which rates, as in :meth:`~skhalfway.TransferMatrix.confidence_interval`, at each budget.
        simultaneous : bool, default=False
            Whether the level holds for all intervals at a budget together (Bonferroni).

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
            whole = self.matrices[0].source_eligible
            return wilson_interval(self.source_fooled, whole, level_of_each(level, whole > 0, simultaneous))
        each = [m.confidence_interval(level, of=of, simultaneous=simultaneous) for m in self.matrices]
        return ConfidenceInterval(*(np.stack(ends) for ends in zip(*each, strict=True)))

    def subset(self, rows: Any) -> TransferCurve:
        """Count some of the samples only, for example those of a class.

        Parameters
        ----------
        rows : array-like of int or bool
            Numbers of the samples, or a mask of shape (n_samples,), as in :meth:`TransferMatrix.subset
            <skhalfway.TransferMatrix.subset>`.

        Returns
        -------
        curve : TransferCurve
            Curve of these samples.

        Raises
        ------
        ValueError
            If the matrices hold only counts, or there are no such samples.
        """
        matrices = tuple(matrix.subset(rows) for matrix in self.matrices)
        fooled = source_fooled_by_budget([matrix._known("subset") for matrix in matrices], matrices[0].goal)
        origin = self.provenance
        if origin is not None:
            origin = replace(origin, n_samples=matrices[0].n_samples)
        return replace(self, matrices=matrices, source_fooled=fooled, provenance=origin)

    def exposure(self, target: str | None = None) -> pd.DataFrame:
        """Find, for each sample, the smallest budget at which its adversarial version fools a target.

        Parameters
        ----------
        target : str, default=None
            Name of the target. None looks for samples that fool at least one other model.

        Returns
        -------
        frame : DataFrame
            One row for each sample, the most exposed first, with the index of X, else numbers. Its columns:

            - ``label``: the true label, only where labels are known;
            - ``eps``: the smallest budget at which the version of any source fools; inf where none does, nan
              where the sample counts for no source;
            - ``fooled_by``, ``of`` and ``noise``: as in
              :meth:`TransferMatrix.exposure <skhalfway.TransferMatrix.exposure>`, at the largest budget;
            - ``from <source>``: as ``eps``, for the samples made on that source alone.

        Raises
        ------
        ValueError
            If the matrices hold only counts, or there is no such target.
        """
        frame = self._exposure(target)
        return frame.sort_values(["eps", "fooled_by"], ascending=[True, False], kind="stable")

    def _exposure(self, target: str | None) -> pd.DataFrame:
        """Exposure, in the order of the samples."""
        each = [matrix._exposed(target) for matrix in self.matrices]
        smallest = self._smallest_eps([one.fooled for one in each], [one.eligible for one in each])
        frame = self.matrices[-1]._exposure(target)
        # samples made on the target itself are no transfer
        others = [i for i, name in enumerate(self.sources) if name != target]
        least = np.fmin.reduce(smallest[others]) if others else np.full(len(frame), np.nan)
        frame.insert(int("label" in frame), "eps", least)
        for i in others:
            frame[f"from {self.sources[i]}"] = smallest[i]
        return frame

    def _smallest_eps(
        self, fooled: list[NDArray[np.bool_]], eligible: list[NDArray[np.bool_]]
    ) -> NDArray[np.float64]:
        """Smallest budget at which a sample fools; inf where it never does, nan where it never counts."""
        found = np.stack(fooled)
        eps = np.where(found.any(axis=0), self.eps[found.argmax(axis=0)], np.inf)
        return np.where(np.any(eligible, axis=0), eps, np.nan)

    def to_frame(self, *, per: str = "pair") -> pd.DataFrame:
        """Return the curve as a pandas DataFrame.

        Parameters
        ----------
        per : {"pair", "budget"}, default="pair"
            "pair": one row for each budget and ordered pair, with counts, rates, intervals and the noise
            control. "budget": one row for each budget, with means over pairs.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by (eps, source, target), or by eps.

        Raises
        ------
        ValueError
            If ``per`` is neither of the two.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferCurve, TransferMatrix
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> each = [TransferMatrix(("a", "b"), n, f, none, none, n[0], f[0]) for f in (none, n // 4)]
        >>> TransferCurve([0, 0.5], each, [[0, 0], [25, 25]]).to_frame(per="budget")["mean_rate"].tolist()
        [0.0, 0.25]
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

    def _table(self) -> Table:
        norm = "inf" if self.norm == np.inf else f"{self.norm:g}"
        first = self.matrices[0]
        title = f"TransferCurve: {models_of(first)}"
        if first.outcomes is not None:
            title += f", {counted(first.n_samples, 'sample')}"
        rows: list[list[str | Cell]] = []
        for eps, row in self.to_frame(per="budget").iterrows():
            ends = between(row.low, row.high)
            figures = (Cell(short(row.noise)), Cell(short(row.source_success)))
            rows.append(
                [f"{eps:.4g}", Cell(short(row.mean_rate), ends, shade=float(row.mean_rate)), *figures]
            )
        notes = []
        if weak := doubted(self):
            notes.append(
                "masked gradients, random answers or a weak attack, so that attacks on these are too weak: "
                + ", ".join(weak)
            )
        return Table(
            f"{title}, L{norm} budgets in {unit_of(self)}",
            ["eps", "mean transfer rate", "noise", "source success"],
            rows,
            notes=[*notes, *failures_of(first), *first._doubts()],
        )


def mean_of_known(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean of the values that are not nan; nan where all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    number = known.sum(axis=axis)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def _mean_over_pairs(
    rates: NDArray[np.float64], pairs: NDArray[np.bool_], axis: Any = (1, 2)
) -> NDArray[np.float64]:
    return mean_of_known(np.where(pairs, rates, np.nan), axis)
