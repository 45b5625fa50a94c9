"""Rates, and confidence intervals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import norm as normal
from scipy.stats import t as student

from skhalfway._text import shown

# bootstraps and normal approximations of fewer are too narrow: in simulations their 95 % held 60 to 90 % of
# the time, with two or three alike even never
FEWEST = 10


class ConfidenceInterval(NamedTuple):
    """Lower and upper ends, each an array like the rates or a number."""

    low: Any
    high: Any


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """``part / whole``; nan where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def wilson_interval(count: Any, total: Any, level: float = 0.95) -> ConfidenceInterval:
    """Wilson's score interval of a proportion; nan where ``total`` is 0.

    Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22, 1927.
    """
    check_level(level)
    z = normal.ppf((1 + level) / 2)
    count, total = np.asarray(count, dtype=float), np.asarray(total, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = count / total
        centre = (rate + z**2 / (2 * total)) / (1 + z**2 / total)
        half = z / (1 + z**2 / total) * np.sqrt(rate * (1 - rate) / total + z**2 / (4 * total**2))
    # the ends of a certain outcome are exactly 0 and 1; rounding must not move them
    low = np.where(count == 0, np.where(total == 0, np.nan, 0.0), centre - half)
    high = np.where(count == total, np.where(total == 0, np.nan, 1.0), centre + half)
    return ConfidenceInterval(low, high)


def percentile_interval(
    values: NDArray[np.float64], level: float = 0.95, *, n: Any = np.inf
) -> ConfidenceInterval:
    """The middle ``level`` of bootstrap replicates (axis 0); nan where all are, or ``n`` is too few.

    ``n`` is how many observations each value of a replicate is drawn from.

    Efron & Tibshirani, "An introduction to the bootstrap", 1993, section 13.3.
    """
    check_level(level)
    tail = (1 - level) / 2
    # nanquantile warns of what is nan throughout
    known = ~np.isnan(values).all(axis=0) & (np.asarray(n) >= FEWEST)
    ends = np.full((2, *values.shape[1:]), np.nan)
    if known.any():
        ends[:, known] = np.nanquantile(values[:, known], [tail, 1 - tail], axis=0)
    return ConfidenceInterval(ends[0][()], ends[1][()])


def repeats_interval(
    values: NDArray[np.float64], level: float = 0.95, within: tuple[float, float] = (-np.inf, np.inf)
) -> ConfidenceInterval:
    """Interval of the mean over repeats, on the last axis, of figures that lie ``within`` two ends.

    Student's, cut off at these ends, where the mean cannot be; of outcomes that are all or nothing (each 0 or
    1, not all the same) Wilson's, since Student's of three holds 27 % of the time and not 95 %; nan of one
    repeat, and where fewer than 10 are all the same, which says nothing of how much others differ.
    """
    n = values.shape[-1]
    low, high = (np.clip(end, *within) for end in t_interval(values, level))
    same = np.ptp(values, axis=-1) == 0
    outcomes = ((values == 0) | (values == 1)).all(axis=-1) & ~same & (within == (0, 1))
    exact = wilson_interval((values == 1).sum(axis=-1), n, level)
    unknown = same & (n < FEWEST)
    low, high = (np.where(outcomes, whole, end) for end, whole in ((low, exact.low), (high, exact.high)))
    return ConfidenceInterval(*(np.where(unknown, np.nan, end)[()] for end in (low, high)))


def t_interval(values: NDArray[np.float64], level: float = 0.95) -> ConfidenceInterval:
    """Student's interval of the mean over the last axis; nan where there is one value only."""
    check_level(level)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < 2:
        unknown = np.full(mean.shape, np.nan)[()]
        return ConfidenceInterval(unknown, unknown)
    reach = student.ppf((1 + level) / 2, n - 1) * values.std(axis=-1, ddof=1) / np.sqrt(n)
    return ConfidenceInterval(mean - reach, mean + reach)


def mean_interval(mean: float, standard_error: float, level: float = 0.95) -> ConfidenceInterval:
    """Normal interval of a mean of shares, which lies between 0 and 1; nan where the error is not known."""
    check_level(level)
    half = normal.ppf((1 + level) / 2) * standard_error
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return ConfidenceInterval(float(low), float(high))


def simultaneous_level(level: float, n: int) -> float:
    """Level of each of n intervals that hold together at a level, however they depend on each other.

    Bonferroni's inequality: P(any fails) <= n (1 - level of each).
    """
    check_level(level)
    return 1 - (1 - level) / max(int(n), 1)


def mcnemar(only_one: NDArray[Any], only_other: NDArray[Any]) -> NDArray[np.float64]:
    """Two-sided exact p of McNemar's test, of how many samples one and the other alone has.

    Where both are equal, the b of the b + c samples that only one has are binomial with probability 1/2;
    p is twice the smaller tail, at most 1.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947.
    """
    fewer, both = np.minimum(only_one, only_other), np.asarray(only_one) + only_other
    return np.minimum(1.0, 2 * binom.cdf(fewer, both, 0.5))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values of several tests, adjusted so that together they err no more often than each; nan stays nan.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
    1979: the k-th smallest of m is multiplied by m - k + 1, and made no smaller than the one before.
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.argsort(p, axis=None, kind="stable")[: int((~np.isnan(p)).sum())]
    steps = p.flat[known] * np.arange(len(known), 0, -1)
    adjusted.flat[known] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {shown(level)}")
