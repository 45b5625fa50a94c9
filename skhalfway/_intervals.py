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

# bootstraps and normal approximations of fewer are too narrow: in simulations their 95 % held 60 to 90 % of
# the time, with two or three alike even never
FEWEST = 10
# least and most that values of a kind can be
SHARE, POSITIVE, UNLIMITED = (0.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)
# on which scale intervals of a kind are symmetric: its function, the slope of that, and its inverse
_SCALES: dict[tuple[float, float], Any] = {
    SHARE: (logit, lambda x: 1 / (x * (1 - x)), expit),
    POSITIVE: (np.log, lambda x: 1 / x, np.exp),
}
_N_BOOTSTRAPS, _MOST_DRAWN = 1000, 100  # of more repeats than that, Student's does as well


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
    values: NDArray[np.float64],
    level: float = 0.95,
    *,
    limits: tuple[float, float] = UNLIMITED,
    n_samples: Any = None,
) -> ConfidenceInterval:
    """Interval of the mean of repeats (last axis) over their seeds, within the limits of what values can be.

    Student's; of shares it is symmetric in the logit of the mean, of values of 0 or more in its logarithm,
    see :func:`mean_t_interval`. Of 10 to 100 repeats of these it is the bootstrap-t's on that scale, which is
    longer on the side of the longer tail, where that is longer than Student's (Hall, "Theoretical comparison
    of bootstrap confidence intervals", Annals of Statistics 16, 1988).

    ``n_samples``, an integer or an array like the means, says on how many test samples each of the shares was
    counted, the same ones in all repeats. The interval then covers other test samples too: to the square of
    its reach that of a binomial share of as many is added, which is the most that they can do: repeats fail
    on different samples to some degree, of which their mean gains. Without it, it covers seeds alone, for the
    test samples as they are.

    It is never of width 0. Where all repeats are the same, it covers test samples alone if ``n_samples`` is
    given (Wilson's where all are 0 or 1); else shares of 10 repeats that are all 0 or all 1 have one by how
    seldom that is (see :func:`mean_t_interval`), and all others nan, since repeats that are the same say
    nothing of how much others may differ. Where every repeat is 0 or 1, and both occur, each is one outcome,
    all or nothing, and the interval is Wilson's. nan of one repeat.

    What it holds where 95 % are asked for is in ``benchmarks/coverage.md``: over seeds 93 to 98 % of shares
    of most kinds, of exponential, gamma(4) and log-normal (s = 0.5) losses; of shares mostly 1 (beta, 3.8 and
    0.2) 86 to 95 %, of gamma(0.3) losses 88 to 94, of log-normal ones 89 to 93 (s = 1) and 81 to 89
    (s = 1.5). With ``n_samples`` it holds 94 to 100 % over seeds and test samples, too often since repeats do
    not fail on the same ones; and of three repeats that are mostly 1, on 200 test samples or more, 88 to 91.
    """
    check_level(level)
    n = values.shape[-1]
    all_or_nothing = np.isin(values, (0, 1)).all() and (np.ptp(values, axis=-1) == 1).any()
    if limits == SHARE and n_samples is None and all_or_nothing:
        return wilson_interval(values.sum(axis=-1), n, level)
    mean = np.asarray(values.mean(axis=-1))
    if n < 2:
        return ConfidenceInterval(*np.full((2, *mean.shape), np.nan))
    # rounding of the mean must not make a spread of values that are the same
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

    For values within 0 and 1 it is symmetric in the logit of the mean, for values of 0 or more in its
    logarithm, with the standard error by the delta method: ends stay within the limits. That is what is done
    for proportions in samples of clusters (Dean & Pagano, "Evaluating confidence interval methods for
    binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3, 2015). A mean
    that is a limit itself has neither, and a plain interval that is cut there.

    Where 10 or more shares are all 1, it reaches down to the mean with which that happens with probability
    1 - level, at most: ``(1 - level)**(1 / n)``. Where they are all 0, likewise.
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
    """Ends as far below and above a mean as ``reach`` (2, ...) says, on the scale that keeps the limits."""
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
    """How many standard errors an interval reaches below and above each mean, (2, n_means)."""
    turn, slope, _ = _SCALES[limits]
    weights = _draws(values.shape[-1])
    apart = values - mean[:, None]
    moved = apart @ weights.T
    spread = np.maximum(apart**2 @ weights.T - moved**2, 0.0)
    # draws of values that are all the same have no error
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
    """Shares of n values in 1,000 bootstrap samples, the same in every call."""
    return np.random.RandomState(0).multinomial(n, np.full(n, 1 / n), _N_BOOTSTRAPS) / n


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
