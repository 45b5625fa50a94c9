"""Rates, and confidence intervals."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom
from scipy.stats import norm as normal
from scipy.stats import t as student

from skhalfway._text import shown

# bootstraps and normal approximations of fewer are too narrow: in simulations their 95 % held 60 to 90 % of
# the time, with two or three alike even never
FEWEST = 10
SHARE, POSITIVE = (0.0, 1.0), (0.0, np.inf)  # least and most that values of a kind can be


class ConfidenceInterval(NamedTuple):
    """Lower and upper ends, each an array like the rates or a number."""

    low: Any
    high: Any


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """``part / whole``; nan where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def mean_over(pairs: NDArray[np.bool_], part: NDArray[Any], whole: NDArray[Any]) -> float:
    """Mean of ``part / whole`` over those of some pairs whose whole is not 0; nan where there are none."""
    rates = ratio(part, whole)[pairs & (whole > 0)]
    return float(rates.mean()) if len(rates) else np.nan


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


def difference_interval(
    first: tuple[Any, Any], second: tuple[Any, Any], phi: Any = 0.0, level: float = 0.95
) -> ConfidenceInterval:
    """Newcombe's interval of the second proportion less the first; nan where a total is 0.

    Each proportion is a pair (count, total). ``phi`` is the correlation of both where they are of the same
    samples, as of :func:`paired_phi`, and 0 where they are independent.

    Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
    methods", Statistics in Medicine 17, 1998, method 10; and "Improved confidence intervals for the
    difference between binomial proportions based on paired data", the same volume, method 10.
    """
    ends = []
    rates = [float(ratio(np.asarray(count), np.asarray(total))) for count, total in (first, second)]
    for count, total in (first, second):
        ends.append([float(end) for end in wilson_interval(count, total, level)])
    (low, high), (other_low, other_high) = ends
    rate, other = rates
    # distances of the ends from the rates that move the difference down, and up
    down = other - other_low, high - rate
    up = other_high - other, rate - low
    reach = [np.sqrt(max(a**2 - 2 * phi * a * b + b**2, 0.0)) for a, b in (down, up)]
    return ConfidenceInterval(other - rate - reach[0], other - rate + reach[1])


def paired_phi(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Correlation of two outcomes of the same samples, corrected as in Newcombe's method 10; 0 if unknown."""
    n = both + only_first + only_second + neither
    sides = (both + only_first, only_second + neither, both + only_second, only_first + neither)
    product = float(np.prod([float(side) for side in sides]))
    if product == 0:
        return 0.0
    cross = float(both) * neither - float(only_first) * only_second
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    return cross / float(np.sqrt(product))


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


def t_interval(
    values: NDArray[np.float64], level: float = 0.95, *, limits: tuple[float, float] = (-np.inf, np.inf)
) -> ConfidenceInterval:
    """Student's interval of the mean over the last axis, within the limits of what the values can be.

    nan where there is one value only, or where fewer than 10 are all the same: that says nothing of how much
    others may differ. Where values are shares, every one of them is 0 or 1, and both are among those of one
    mean, each is one outcome, all or nothing, and the interval is Wilson's. Else as :func:`mean_t_interval`.
    """
    check_level(level)
    n = values.shape[-1]
    if limits == SHARE and np.isin(values, (0, 1)).all() and (np.ptp(values, axis=-1) == 1).any():
        return wilson_interval(values.sum(axis=-1), n, level)
    error = np.full(values.shape[:-1], np.nan)
    if n > 1:
        # rounding of the mean must not make a spread of values that are the same
        error = np.where(np.ptp(values, axis=-1) == 0, 0.0, values.std(axis=-1, ddof=1) / np.sqrt(n))
    return mean_t_interval(values.mean(axis=-1), error, n, level, limits=limits)


def mean_t_interval(
    mean: Any,
    standard_error: Any,
    n: int,
    level: float = 0.95,
    *,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> ConfidenceInterval:
    """Student's interval of a mean of n values; nan where the error is not known, or is 0 of fewer than 10.

    For values within 0 and 1 it is symmetric in the logit of the mean, for values of 0 or more in its
    logarithm, with the standard error by the delta method: ends stay within the limits. A mean that is a
    limit itself has neither, and a plain interval that is cut there. That is what is done for proportions in
    samples of clusters (Dean & Pagano, "Evaluating confidence interval methods for binomial proportions in
    clustered surveys", Journal of Survey Statistics and Methodology 3, 2015). In a simulation, of 2 to
    10 values from beta, exponential and log-normal distributions, it held 86 to 95 % of the time where 95 %
    are asked for; the plain one, cut at the limits, 69 to 95 %.
    """
    check_level(level)
    mean, error = np.asarray(mean, dtype=float), np.asarray(standard_error, dtype=float)
    if n < 2:
        return ConfidenceInterval(*np.full((2, *mean.shape), np.nan))
    reach = student.ppf((1 + level) / 2, n - 1) * np.where((error == 0) & (n < FEWEST), np.nan, error)
    least, most = limits
    plain = np.clip([mean - reach, mean + reach], least, most)
    ends: list[Any] = list(plain)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if limits == SHARE:
            ends = [expit(logit(mean) + way * reach / (mean * (1 - mean))) for way in (-1, 1)]
        elif limits == POSITIVE:
            ends = [mean * np.exp(way * reach / mean) for way in (-1, 1)]
    # a mean at a limit has no transform, and nothing is to be transformed where all values are the same
    edge = (reach == 0) | (mean == least) | (mean == most)
    return ConfidenceInterval(
        *(np.where(edge, one, other)[()] for one, other in zip(plain, ends, strict=True))
    )


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
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {shown(level)}")
