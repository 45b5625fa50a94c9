"""Rates, and confidence intervals."""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom
from scipy.stats import norm as normal
from scipy.stats import t as student

from skhalfway._text import shown

# with fewer values, bootstraps and normal approximations are too narrow: in simulations their 95 % intervals
# covered 60 to 90 %, and never with two or three equal values
FEWEST = 10
# smallest and largest possible values of a kind
SHARE, POSITIVE, UNLIMITED = (0.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)
# scale on which intervals of a kind are symmetric: a function, its derivative, and its inverse
_SCALES: dict[tuple[float, float], Any] = {
    SHARE: (logit, lambda x: 1 / (x * (1 - x)), expit),
    POSITIVE: (np.log, lambda x: 1 / x, np.exp),
}
_N_BOOTSTRAPS, _MOST_DRAWN = 1000, 100  # with more repeats, Student's interval is as good


class ConfidenceInterval(NamedTuple):
    """Confidence interval: its lower and upper ends, each a number or an array like the rates.

    Attributes
    ----------
    low, high : float or ndarray
        Ends of the interval.

    Examples
    --------
    >>> from skhalfway.results import ConfidenceInterval
    >>> interval = ConfidenceInterval(0.2, 0.4)
    >>> interval.low, interval.high
    (0.2, 0.4)
    """

    low: Any
    high: Any


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Compute ``part / whole``; nan where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def mean_over(pairs: NDArray[np.bool_], part: NDArray[Any], whole: NDArray[Any]) -> float:
    """Mean of ``part / whole`` over the flagged pairs whose whole is not 0; nan if there are none."""
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
    # with a count of 0 or of all, an end is exactly 0 or 1, whatever rounding does
    low = np.where(count == 0, np.where(total == 0, np.nan, 0.0), centre - half)
    high = np.where(count == total, np.where(total == 0, np.nan, 1.0), centre + half)
    return ConfidenceInterval(low, high)


def difference_interval(
    first: tuple[Any, Any], second: tuple[Any, Any], phi: Any = 0.0, level: float = 0.95
) -> ConfidenceInterval:
    """Newcombe's interval of the second proportion minus the first; nan where a total is 0.

    Each proportion is a pair (count, total). ``phi`` is the correlation of both if they are of the same
    samples, from :func:`paired_phi`, and 0 if they are independent.

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
    """Correlation of two outcomes on the same samples, corrected as in Newcombe's method 10; 0 if unknown."""
    n = both + only_first + only_second + neither
    sides = (both + only_first, only_second + neither, both + only_second, only_first + neither)
    product = float(np.prod([float(side) for side in sides]))
    if product == 0:
        return 0.0
    cross = float(both) * neither - float(only_first) * only_second
    if cross > 0:
        cross = max(cross - n / 2, 0.0)
    return cross / float(np.sqrt(product))


def paired_interval(only_first: Any, only_second: Any, n: Any, level: float = 0.95) -> ConfidenceInterval:
    """Bonett and Price's interval of the second of two shares of n samples minus the first; nan if n is 0.

    It follows from the numbers of samples in one set alone: Wald's interval, after one sample is added to
    each of both numbers. At 95 %, with 10 to 100 samples, it covers 93 to 100 %
    (``tests/test_intervals.py``, by enumeration).

    Bonett & Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37, 2012.
    """
    check_level(level)
    n = np.asarray(n, dtype=float)
    first, second = ((np.asarray(one) + 1) / (n + 2) for one in (only_first, only_second))
    half = normal.ppf((1 + level) / 2) * np.sqrt((first + second - (second - first) ** 2) / (n + 2))
    ends = (np.where(n > 0, np.clip(second - first + way * half, -1, 1), np.nan) for way in (-1, 1))
    return ConfidenceInterval(*ends)


def percentile_interval(
    values: NDArray[np.float64], level: float = 0.95, *, n: Any = np.inf
) -> ConfidenceInterval:
    """Percentile interval of bootstrap replicates (axis 0); nan where all are nan, or ``n`` is too small.

    ``n`` is the number of observations that each value of a replicate is drawn from.

    Efron & Tibshirani, "An introduction to the bootstrap", 1993, section 13.3.
    """
    check_level(level)
    tail = (1 - level) / 2
    # nanquantile warns if all values are nan
    known = ~np.isnan(values).all(axis=0) & (np.asarray(n) >= FEWEST)
    ends = np.full((2, *values.shape[1:]), np.nan)
    if known.any():
        ends[:, known] = np.nanquantile(values[:, known], [tail, 1 - tail], axis=0)
    return ConfidenceInterval(ends[0][()], ends[1][()])


def t_interval(
    values: NDArray[np.float64],
    level: float = 0.95,
    *,
    limits: tuple[float, float] = UNLIMITED,
    n_samples: Any = None,
) -> ConfidenceInterval:
    """Confidence interval of the mean of repeats (last axis) over their seeds, within limits of the values.

    It is Student's interval. For shares it is symmetric in the logit of the mean, for values of 0 or more in
    its logarithm; see :func:`mean_t_interval`. With 10 to 100 repeats of these kinds, an end is that of the
    bootstrap-t on the same scale if this is farther from the mean; it is longer on the side of the longer
    tail (Hall, "Theoretical comparison of bootstrap confidence intervals", Annals of Statistics 16, 1988).

    ``n_samples``, an integer or an array like the means, is the number of test samples that each share was
    counted on, the same samples in all repeats. The interval then covers other test samples too. For this,
    the squared half-width of a binomial share of so many samples is added to the squared half-width. That is
    an upper bound, since repeats fail partly on different samples, so that their mean varies less. Without
    ``n_samples`` the interval covers seeds alone, for these test samples.

    The width is never 0:

    - All repeats are equal and ``n_samples`` is given: the interval covers test samples alone (Wilson's
      interval if all are 0 or 1).
    - At least 10 shares are all 0 or all 1, without ``n_samples``: one end follows from the probability of
      this (see :func:`mean_t_interval`).
    - Other repeats that are all equal: nan, since they tell nothing about their spread.
    - Every repeat is 0 or 1, and both occur: Wilson's interval, with each repeat as one outcome.
    - One repeat: nan.

    The coverage at a level of 95 % is in ``benchmarks/coverage.md``. Over seeds it is 93 to 98 % for most
    kinds of shares, and for exponential, gamma(4) and log-normal (s = 0.5) losses; 86 to 95 % for shares that
    are mostly 1 (beta, 3.8 and 0.2); 88 to 94 % for gamma(0.3) losses; 89 to 93 % for log-normal ones with
    s = 1, and 81 to 89 % with s = 1.5. With ``n_samples`` it is 94 to 100 % over seeds and test samples, too
    high since repeats do not fail on the same samples; for three repeats that are mostly 1, on 200 test
    samples or more, it is 88 to 91 %.
    """
    check_level(level)
    n = values.shape[-1]
    all_or_nothing = np.isin(values, (0, 1)).all() and (np.ptp(values, axis=-1) == 1).any()
    if limits == SHARE and n_samples is None and all_or_nothing:
        return wilson_interval(values.sum(axis=-1), n, level)
    mean = np.asarray(values.mean(axis=-1))
    if n < 2:
        return ConfidenceInterval(*np.full((2, *mean.shape), np.nan))
    # rounding of the mean must not give equal values a spread
    same = np.ptp(values, axis=-1) == 0
    error = np.where(same, 0.0, values.std(axis=-1, ddof=1) / np.sqrt(n))
    if limits == UNLIMITED:
        return mean_t_interval(mean, error, n, level)
    quantiles = np.full((2, *mean.shape), student.ppf((1 + level) / 2, n - 1))
    if FEWEST <= n <= _MOST_DRAWN:
        varied = ~same & (mean > limits[0]) & (mean < limits[1])
        if varied.any():
            drawn = _bootstrap_t(values[varied], mean[varied], error[varied], level, limits)
            quantiles[:, varied] = np.maximum(quantiles[:, varied], drawn)
    found = _turned(mean, quantiles * error, limits)
    unknown = mean_t_interval(mean, error, n, level, limits=limits)
    if n_samples is None:
        return ConfidenceInterval(*(np.where(same, a, b)[()] for a, b in zip(unknown, found, strict=True)))
    binomial = normal.ppf((1 + level) / 2) * np.sqrt(mean * (1 - mean) / n_samples)
    found = _turned(mean, np.hypot(quantiles * error, binomial), limits)
    certain = (mean == 0) | (mean == 1)
    wilson = wilson_interval(np.where(certain, mean * n_samples, 0.0), n_samples, level)
    return ConfidenceInterval(*(np.where(certain, a, b)[()] for a, b in zip(wilson, found, strict=True)))


def mean_t_interval(
    mean: Any, standard_error: Any, n: int, level: float = 0.95, *, limits: tuple[float, float] = UNLIMITED
) -> ConfidenceInterval:
    """Student's interval of a mean of n values; nan where the error is not known, or is 0.

    For values from 0 to 1 it is symmetric in the logit of the mean, for values of 0 or more in its logarithm.
    The standard error on that scale follows from the delta method, and the ends stay within the limits. This
    is common for proportions in samples of clusters (Dean & Pagano, "Evaluating confidence interval methods
    for binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3, 2015). A
    mean that equals a limit has no transform; its interval is the plain one, cut at the limit.

    If 10 or more shares are all 1, the lower end is the mean with which this has the probability 1 - level at
    most: ``(1 - level)**(1 / n)``. If all are 0, the upper end follows in the same way.
    """
    check_level(level)
    mean, error = np.asarray(mean, dtype=float), np.asarray(standard_error, dtype=float)
    if n < 2:
        return ConfidenceInterval(*np.full((2, *mean.shape), np.nan))
    reach = student.ppf((1 + level) / 2, n - 1) * np.where(error == 0, np.nan, error)
    low, high = _turned(mean, np.stack([reach, reach]), limits)
    if limits == SHARE and n >= FEWEST:
        least = (1 - level) ** (1 / n)
        low = np.where((error == 0) & (mean == 1), least, np.where((error == 0) & (mean == 0), 0.0, low))
        high = np.where(
            (error == 0) & (mean == 0), 1 - least, np.where((error == 0) & (mean == 1), 1.0, high)
        )
    return ConfidenceInterval(low[()], high[()])


def _turned(mean: Any, reach: Any, limits: tuple[float, float]) -> tuple[Any, Any]:
    """Ends at the distances ``reach`` (2, ...) below and above a mean, on the scale that keeps the limits."""
    (down, up), (least, most) = reach, limits
    plain = np.clip([mean - down, mean + up], least, most)
    ends: list[Any] = list(plain)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if limits in _SCALES:
            turn, slope, back = _SCALES[limits]
            ends = [back(turn(mean) + way * slope(mean)) for way in (-down, up)]
    # a mean at a limit has no transform
    edge = (mean == least) | (mean == most)
    low, high = (np.where(edge, one, other) for one, other in zip(plain, ends, strict=True))
    return low, high


def _bootstrap_t(
    values: NDArray[np.float64], mean: Any, error: Any, level: float, limits: tuple[float, float]
) -> NDArray[np.float64]:
    """Number of standard errors from each mean to the ends of its interval, (2, n_means)."""
    turn, slope, _ = _SCALES[limits]
    weights = _draws(values.shape[-1])
    apart = values - mean[:, None]
    moved = apart @ weights.T
    spread = np.maximum(apart**2 @ weights.T - moved**2, 0.0)
    # draws of equal values have no standard error
    drawn_error = np.sqrt(
        np.where(spread > 1e-12 * error[:, None] ** 2, spread, np.nan) / (values.shape[-1] - 1)
    )
    drawn = mean[:, None] + moved
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (turn(drawn) - turn(mean)[:, None]) / (slope(drawn) * drawn_error)
    low, high = np.nanquantile(t, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return np.stack([high, -low])


@cache
def _draws(n: int) -> NDArray[np.float64]:
    """Weights of n values in 1,000 bootstrap samples, the same in every call."""
    return np.random.RandomState(0).multinomial(n, np.full(n, 1 / n), _N_BOOTSTRAPS) / n


def mean_interval(mean: float, standard_error: float, level: float = 0.95) -> ConfidenceInterval:
    """Normal interval of a mean of shares, cut to 0 and 1; nan if the standard error is not known."""
    check_level(level)
    half = normal.ppf((1 + level) / 2) * standard_error
    low, high = np.clip([mean - half, mean + half], 0, 1)
    return ConfidenceInterval(float(low), float(high))


def simultaneous_level(level: float, n: int) -> float:
    """Level of each of n intervals so that all hold together at ``level``, whatever their dependence.

    This follows from Bonferroni's inequality: P(any fails) <= n (1 - level of each).
    """
    check_level(level)
    return 1 - (1 - level) / max(int(n), 1)


def level_of_each(level: float, known: NDArray[np.bool_], simultaneous: bool) -> float:
    """Level of each interval: ``level``, or the one at which all known ones hold together."""
    return simultaneous_level(level, known.sum()) if simultaneous else level


def mcnemar(only_one: NDArray[Any], only_other: NDArray[Any]) -> NDArray[np.float64]:
    """Two-sided exact p-value of McNemar's test, from the numbers of samples in one set alone.

    Let b samples be in the first set alone and c samples in the second alone. If both sets have the same
    probability, b is binomial with b + c draws and probability 1/2; p is twice the smaller tail, at most 1.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947.
    """
    fewer, both = np.minimum(only_one, only_other), np.asarray(only_one) + only_other
    return np.minimum(1.0, 2 * binom.cdf(fewer, both, 0.5))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values of several tests, adjusted so that the level holds for all tests together; nan stays nan.

    The k-th smallest of m values is multiplied by m - k + 1, and made no smaller than the one before (Holm,
    "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979).
    """
    adjusted = np.full(p.shape, np.nan)
    known = np.argsort(p, axis=None, kind="stable")[: int((~np.isnan(p)).sum())]
    steps = p.flat[known] * np.arange(len(known), 0, -1)
    adjusted.flat[known] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def check_level(level: float) -> None:
    if not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {shown(level)}")
