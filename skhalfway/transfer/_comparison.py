"""TransferComparison: paired tests of two transfer experiments on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_different
from skhalfway._intervals import (
    ConfidenceInterval,
    check_level,
    holm,
    level_of_each,
    mcnemar,
    paired_interval,
    percentile_interval,
    ratio,
    wilson_interval,
)
from skhalfway._text import between, counted, short, shown
from skhalfway.models._warnings import warn
from skhalfway.results import Provenance, Result
from skhalfway.results._result import equal
from skhalfway.results._table import Cell, Table
from skhalfway.transfer._counting import mean_rate, read_counts, resampled_means, see
from skhalfway.transfer._outcomes import Outcomes, apart

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.transfer._by_sample import BySample

_N_BOOTSTRAPS = 2000


@dataclass(frozen=True, eq=False, repr=False)
class TransferComparison(Result):
    """Paired differences of two transfer experiments: the other one minus the first.

    :meth:`skhalfway.TransferMatrix.compare` makes it. The samples of a pair of models are those that count in
    both experiments. Arrays are read-only.

    Parameters
    ----------
    sources, targets : tuple of str
        Names of the models.
    n : ndarray of shape (n_sources, n_targets)
        Number of samples that count in both experiments.
    only_first, only_other : ndarray of shape (n_sources, n_targets)
        Number of these samples that fool the target in the first experiment alone, and in the other alone.
    mean_difference : float
        Difference of the two mean transfer rates. Each mean is over the samples that count in its own
        experiment. Where these samples differ, it is not the mean of the differences of pairs.
    mean_interval : ConfidenceInterval
        Confidence interval of that difference, by a bootstrap over samples (2,000 draws, percentiles). Where
        all draws are equal, it follows from the Wilson intervals of the shares that fool in one experiment
        alone. It is nan where a pair has fewer than 10 samples that count.
    level : float, default=0.95
        Confidence level of the interval and of ``significant``.

    See Also
    --------
    TransferComparisonDisplay : Draws it.

    Notes
    -----
    Each cell is tested by McNemar's exact two-sided test [1]_. If the experiments do not differ, a sample
    that fools in only one of them is equally likely to do so in either. ``p`` is adjusted for all cells by
    Holm's method [2]_. The intervals of :meth:`confidence_interval` are another method's [3]_, so an interval
    may leave out 0 although its cell is not significant.

    References
    ----------
    .. [1] McNemar, "Note on the sampling error of the difference between
       correlated proportions or percentages", Psychometrika 12, 1947.
    .. [2] Holm, "A simple sequentially rejective multiple test procedure",
       Scandinavian Journal of Statistics 6, 1979.
    .. [3] Bonett & Price, "Adjusted Wald confidence interval for a difference
       of binomial proportions based on paired data", Journal of Educational
       and Behavioral Statistics 37, 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> weak, strong = (
    ...     TransferScorer(AdversarialGenerator(eps=eps), random_state=0).fit(models).transfer(X, y)
    ...     for eps in (0.4, 0.5)
    ... )
    >>> comparison = weak.compare(strong)
    >>> comparison.significant.tolist()
    [[True, True], [True, True]]
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    n: NDArray[np.int64]
    only_first: NDArray[np.int64]
    only_other: NDArray[np.int64]
    mean_difference: float
    mean_interval: ConfidenceInterval
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        for role in ("sources", "targets"):
            object.__setattr__(self, role, tuple(getattr(self, role)))
            check_different(role, getattr(self, role))
        shape = len(self.sources), len(self.targets)
        for name in ("n", "only_first", "only_other"):
            object.__setattr__(self, name, read_counts(name, getattr(self, name), shape))
        if (self.only_first + self.only_other > self.n).any():
            raise ValueError("the sum of only_first and only_other must not exceed n, the samples of a pair")

    @property
    def differences(self) -> NDArray[np.float64]:
        """Rate of the other experiment minus that of the first, over the samples that count in both."""
        return ratio(self.only_other - self.only_first, self.n)

    @property
    def p(self) -> NDArray[np.float64]:
        """P-values, adjusted for all cells; nan where no sample counts in both."""
        return holm(np.where(self.n > 0, mcnemar(self.only_first, self.only_other), np.nan))

    @property
    def significant(self) -> NDArray[np.bool_]:
        """Whether a difference is significant: ``p`` is at most ``1 - level``."""
        return np.nan_to_num(self.p, nan=1.0) <= 1 - self.level

    def confidence_interval(
        self, level: float | None = None, *, simultaneous: bool = False
    ) -> ConfidenceInterval:
        """Confidence intervals of the differences, over samples.

        Parameters
        ----------
        level : float, default=None
            Confidence level, between 0 and 1; None is ``self.level``.
        simultaneous : bool, default=False
            Whether the level holds for all intervals together (Bonferroni). Each of the m known intervals
            then has the level ``1 - (1 - level) / m``.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, shaped like ``differences``; nan where no sample counts in both experiments.

        Raises
        ------
        ValueError
            If ``level`` is not between 0 and 1.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.results import ConfidenceInterval
        >>> from skhalfway.transfer import TransferComparison
        >>> n, only_first, only_other = np.array([[[100]], [[5]], [[25]]])
        >>> interval = ConfidenceInterval(0.1, 0.3)
        >>> comparison = TransferComparison(("a",), ("b",), n, only_first, only_other, 0.2, interval)
        >>> low, high = comparison.confidence_interval()
        >>> low.round(2), high.round(2)
        (array([[0.09]]), array([[0.3]]))
        """
        level = self.level if level is None else level
        check_level(level)
        each_level = level_of_each(level, self.n > 0, simultaneous)
        return paired_interval(self.only_first, self.only_other, self.n, each_level)

    def to_frame(self) -> pd.DataFrame:
        """Return the comparison as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each pair, indexed by (source, target); ``low`` and ``high`` are the ends of the
            interval of its difference, at ``level``.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.results import ConfidenceInterval
        >>> from skhalfway.transfer import TransferComparison
        >>> n, only_first, only_other = np.array([[[100]], [[5]], [[25]]])
        >>> interval = ConfidenceInterval(0.1, 0.3)
        >>> comparison = TransferComparison(("a",), ("b",), n, only_first, only_other, 0.2, interval)
        >>> comparison.to_frame().loc[("a", "b"), "difference"].round(2)
        np.float64(0.2)
        """
        import pandas as pd

        pairs = pd.MultiIndex.from_product([self.sources, self.targets], names=["source", "target"])
        low, high = self.confidence_interval()
        columns = {
            "n": self.n,
            "only_first": self.only_first,
            "only_other": self.only_other,
            "difference": self.differences,
            "low": low,
            "high": high,
            "p": self.p,
            "significant": self.significant,
        }
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=pairs)

    def _table(self) -> Table:
        p, differences, significant = self.p, self.differences, self.significant
        lows, highs = self.confidence_interval()
        rows: list[list[str | Cell]] = []
        for i, source in enumerate(self.sources):
            rows.append([source])
            for j, target in enumerate(self.targets):
                star = " *" if significant[i, j] else ""
                rows[-1].append(
                    Cell(
                        f"{signed(differences[i, j])}{star}",
                        "" if np.isnan(p[i, j]) else f"(p {_written(p[i, j])})",
                        hint=f"{between(lows[i, j], highs[i, j], signed)} "
                        f"of {self.n[i, j]}, {self.only_other[i, j]} in the other one alone, "
                        f"{self.only_first[i, j]} in the first alone",
                        framed=source == target,
                    )
                )
        low, high = self.mean_interval
        mean = f"{signed(self.mean_difference)} {between(low, high, signed)}".strip()
        n = counted(int(significant.sum()), "pair")
        notes = []
        of_pairs = differences[apart(self.sources, self.targets) & (self.n > 0)]
        if len(of_pairs) and abs(of_pairs.mean() - self.mean_difference) >= 0.005:
            notes.append(
                "the mean rates are over the samples that count in each experiment; the differences of pairs "
                "are over those that count in both"
            )
        return Table(
            f"TransferComparison: mean difference {mean}, {n} with a significant difference",
            ["source", *self.targets],
            rows,
            "transfer rate of the other experiment minus that of the first (p: McNemar's exact test, Holm); "
            f"* p at most {1 - self.level:.2g}",
            notes=notes,
            centred=True,
        )


def signed(value: float) -> str:
    """A difference with its sign, as ``+.12``."""
    if np.isnan(value):
        return " - "
    return f"{'-' if round(value, 2) < 0 else '+'}{short(abs(value))}"


def _written(p: float) -> str:
    return "<.01" if p < 0.005 else short(p).strip()


def compare(first: BySample, second: BySample, level: float) -> TransferComparison:
    """Compare two experiments on the same samples."""
    check_level(level)
    one, other = first._known("compare"), second._known("compare")
    own_count, their_count = (first.condition, first.goal), (second.condition, second.goal)
    kinds = (
        ("sources", one.sources, other.sources),
        ("targets", one.targets, other.targets),
        ("condition and goal", own_count, their_count),
    )
    for what, own, theirs in kinds:
        if own != theirs:
            raise ValueError(
                f"the two experiments have different {what}, {shown(own)} and {shown(theirs)}, and cannot be "
                "paired; measure both with the same ones"
            )
    samples: tuple[tuple[str, Any, Any], ...] = (
        ("numbers", one.n_samples, other.n_samples),
        ("indexes", one.sample_names, other.sample_names),
        ("labels", _labels(one), _labels(other)),
    )
    for parts, mine, others_own in samples:
        if equal(mine, others_own):
            continue
        if parts == "indexes" and sorted(map(repr, mine.tolist())) == sorted(map(repr, others_own.tolist())):
            raise ValueError(
                "the two experiments have the same samples in another order; sort both by index, with "
                "matrix.subset(np.argsort(matrix.outcomes.sample_names))"
            )
        raise ValueError(
            f"the two experiments have different samples: their {parts} differ; attack the same X and y"
        )
    _warn_of_other_values(one.fingerprints, other.fingerprints)
    failed = one.failed | other.failed  # both means must be over the same pairs
    seen, others = (see(*count).without(failed) for count in ((one, *own_count), (other, *their_count)))
    both = seen.eligible & others.eligible
    only_first, only_other = both & seen.fooled & ~others.fooled, both & others.fooled & ~seen.fooled
    n = both.sum(axis=2)
    first_means, other_means = resampled_means((seen, others), _N_BOOTSTRAPS, np.random.RandomState(0))
    counting = n[seen.pairs & (n > 0)]
    draws = other_means - first_means
    interval = percentile_interval(draws, level, n=counting.min(initial=one.n_samples))
    if np.isfinite(interval.low) and np.ptp(draws) == 0:
        # a spread of 0 in the sample does not mean that the difference is known without error
        pairs = seen.pairs & (n > 0)
        first_ends, other_ends = (
            wilson_interval(part.sum(axis=2)[pairs], n[pairs], level) for part in (only_first, only_other)
        )
        interval = ConfidenceInterval(
            (other_ends.low - first_ends.high).mean(), (other_ends.high - first_ends.low).mean()
        )
    return TransferComparison(
        one.sources,
        one.targets,
        n,
        only_first.sum(axis=2),
        only_other.sum(axis=2),
        mean_rate(others) - mean_rate(seen),
        ConfidenceInterval(float(interval.low), float(interval.high)),
        level,
        provenance=_origin((first.provenance, second.provenance), level, one.n_samples),
    )


def _origin(
    origins: tuple[Provenance | None, Provenance | None], level: float, n_samples: int
) -> Provenance | None:
    """Provenance of a comparison: the settings that both experiments share, and those that differ."""
    if origins == (None, None):
        return None
    first, other = ({} if origin is None else dict(origin.settings) for origin in origins)
    shared = {name: value for name, value in first.items() if name in other and equal(value, other[name])}
    apart = {
        role: {name: value for name, value in settings.items() if name not in shared}
        for role, settings in (("first", first), ("other", other))
    }
    return Provenance("TransferMatrix.compare", {**shared, **apart, "level": level}, n_samples=n_samples)


def _warn_of_other_values(own: NDArray[Any] | None, theirs: NDArray[Any] | None) -> None:
    """Warn where samples with the same names have different values, as far as fingerprints are known."""
    differ = 0 if own is None or theirs is None else int((own != theirs).sum())
    if differ:
        warn(
            f"{differ} of the {counted(len(np.asarray(own)), 'sample')} have other values in the other "
            "experiment, and are paired all the same. That is right only if they are the same samples, for "
            "example in other units; otherwise attack the same X",
            UserWarning,
        )


def _labels(outcomes: Outcomes) -> Any:
    return None if outcomes.labels is None else outcomes.classes[outcomes.labels]
