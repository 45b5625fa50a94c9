"""TransferComparison: paired tests of two transfer experiments on the same samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    ratio,
)
from skhalfway._text import all_signed, counted, short, shown, signed
from skhalfway.results import Result
from skhalfway.results._table import Cell, Table
from skhalfway.transfer._counting import read_counts
from skhalfway.transfer._outcomes import apart

if TYPE_CHECKING:
    import pandas as pd


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
    pairs : tuple of (str, str), default=None
        Pairs (source, target) that are tested. None is all, including each source on itself.

    See Also
    --------
    TransferComparisonDisplay : Draws it.

    Notes
    -----
    Each pair is tested by McNemar's exact two-sided test [1]_. If the experiments do not differ, a sample
    that fools in only one of them is equally likely to do so in either. ``p`` is adjusted by Holm's method
    [2]_ for all pairs that are tested; ``p_unadjusted`` is not. The adjustment counts both directions of a
    pair, and each source on itself. If the question is about some pairs only, name them before looking at the
    result, as ``compare(other, pairs=[("a", "b")])``. The intervals of :meth:`confidence_interval` are
    another method's [3]_, so an interval may leave out 0 although its difference is not significant.

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
    pairs: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        check_level(self.level)
        for role in ("sources", "targets"):
            object.__setattr__(self, role, tuple(getattr(self, role)))
            check_different(role, getattr(self, role))
        object.__setattr__(self, "pairs", read_pairs(self.pairs, self.sources, self.targets))
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
    def tested(self) -> NDArray[np.bool_]:
        """Whether each pair is tested: it is one of ``pairs``, and a sample counts in both experiments."""
        if self.pairs is None:
            return self.n > 0
        named = [[(source, target) in self.pairs for target in self.targets] for source in self.sources]
        return np.array(named, dtype=bool).reshape(self.n.shape) & (self.n > 0)

    @property
    def p_unadjusted(self) -> NDArray[np.float64]:
        """P-values of each pair by itself; nan for pairs that are not tested."""
        return np.where(self.tested, mcnemar(self.only_first, self.only_other), np.nan)

    @property
    def p(self) -> NDArray[np.float64]:
        """P-values, adjusted for all pairs that are tested; nan for the others."""
        return holm(self.p_unadjusted)

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
            One row for each pair, indexed by (source, target). ``low`` and ``high`` are the ends of the
            interval of its difference, at ``level``. ``p`` is adjusted by Holm's method, ``p_unadjusted`` is
            not.

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
            "p_unadjusted": self.p_unadjusted,
            "significant": self.significant,
        }
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=pairs)

    def _table(self) -> Table:
        p, unadjusted, differences, significant = (
            self.p,
            self.p_unadjusted,
            self.differences,
            self.significant,
        )
        lows, highs = self.confidence_interval()
        rows: list[list[str | Cell]] = []
        for i, source in enumerate(self.sources):
            rows.append([source])
            for j, target in enumerate(self.targets):
                star, tested = " *" if significant[i, j] else "", not np.isnan(p[i, j])
                raw = f", p {_written(unadjusted[i, j])} before the adjustment" if tested else ""
                rows[-1].append(
                    Cell(
                        f"{signed(differences[i, j])}{star}",
                        f"(p {_written(p[i, j])})" if tested else "",
                        hint=f"{_ends(lows[i, j], highs[i, j])} "
                        f"of {self.n[i, j]}, {self.only_other[i, j]} in the other one alone, "
                        f"{self.only_first[i, j]} in the first alone{raw}",
                        framed=source == target,
                    )
                )
        notes = []
        of_pairs = differences[apart(self.sources, self.targets) & (self.n > 0)]
        if len(of_pairs) and abs(of_pairs.mean() - self.mean_difference) >= 0.005:
            notes.append(
                "the mean rates are over the samples that count in each experiment; the differences of pairs "
                "are over those that count in both"
            )
        return Table(
            f"TransferComparison: mean difference {self._mean()}, {self._n_significant()}",
            ["source", *self.targets],
            rows,
            "transfer rate of the other experiment minus that of the first (p: McNemar's exact test, Holm's "
            f"adjustment for {counted(int(self.tested.sum()), 'test')}); * p at most {1 - self.level:.2g}",
            notes=notes,
            centred=True,
        )

    def _mean(self) -> str:
        """The mean difference and its interval, in words."""
        low, high = self.mean_interval
        if np.isnan(low) or np.isnan(high):
            return signed(self.mean_difference).strip()
        mean, *ends = all_signed(self.mean_difference, low, high)
        return f"{mean} [{' '.join(ends)}]"

    def _n_significant(self) -> str:
        """Numbers of significant differences among those that are tested, in words."""
        others = apart(self.sources, self.targets)
        n, n_own = ((self.tested & some).sum() for some in (others, ~others))
        found, found_own = ((self.significant & some).sum() for some in (others, ~others))
        text = f"{found} of {counted(int(n), 'pair')} with a significant difference"
        themselves = "source on itself" if n_own == 1 else "sources on themselves"
        return f"{text} ({found_own} of {n_own} {themselves})" if n_own else text


def _ends(low: float, high: float) -> str:
    return "" if np.isnan(low) or np.isnan(high) else f"[{' '.join(all_signed(low, high))}]"


def read_pairs(
    pairs: Any, sources: Sequence[str], targets: Sequence[str]
) -> tuple[tuple[str, str], ...] | None:
    """Different pairs of a source and a target, checked."""
    if pairs is None:
        return None
    must = f"pairs must hold (source, target), of the sources {shown(list(sources))} and the targets "
    must = f"{must}{shown(list(targets))}, as [({sources[0]!r}, {targets[-1]!r})]; got {shown(pairs)}"
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise TypeError(must)
    read = tuple(tuple(pair) if isinstance(pair, (list, tuple)) else (pair,) for pair in pairs)
    if not read or any(len(pair) != 2 or pair[0] not in sources or pair[1] not in targets for pair in read):
        raise ValueError(must)
    if len(set(read)) < len(read):
        raise ValueError(f"pairs must hold each pair once, got {shown(pairs)}")
    return read


def _written(p: float) -> str:
    return "<.01" if p < 0.005 else short(p).strip()
