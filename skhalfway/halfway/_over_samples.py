"""Confidence intervals for figures of pairs of samples: pairs that share a sample are not independent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit, logit
from scipy.stats import t as student

from skhalfway._intervals import FEWEST, ConfidenceInterval, check_level, ratio

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# transformations in which intervals are symmetric, each with its derivative and its inverse: the logit of a
# share or of twice a figure up to 1/2, the logarithm of a positive figure, Fisher's z of a correlation
SCALES: dict[str, Any] = {
    "share": (logit, lambda x: 1 / (x * (1 - x)), expit),
    "up to a half": (lambda x: logit(2 * x), lambda x: 1 / (x * (1 - 2 * x)), lambda z: expit(z) / 2),
    "positive": (np.log, lambda x: 1 / x, np.exp),
    "correlation": (np.arctanh, lambda x: 1 / (1 - x**2), np.tanh),
}


def mean_influence(values: Floats, counted: Bools) -> Floats:
    """Influence of each pair on the mean of the values that count, (..., n_pairs)."""
    size = counted.sum(axis=-1, keepdims=True).astype(float)
    known = np.where(counted, values, 0.0)
    return np.where(counted, ratio(known - ratio(known.sum(axis=-1, keepdims=True), size), size), 0.0)


def rank_influence(own: Floats, others: Floats, both: Bools) -> Floats:
    """Influence of each pair on Spearman's correlation with each of the others, (n, n_pairs).

    A pair changes the ranks of the others too. F and G are its centred mid-ranks as shares. Its influence on
    the covariance is ``F G + E[G'; x' > x] + E[F'; y' > y]`` minus the mean of this (Hoeffding, "A class of
    statistics with asymptotically normal distribution", Annals of Mathematical Statistics 19, 1948, section
    9). Influences on the variances have the same form; they are 0 where there are no ties.
    """
    found = np.zeros(others.shape)
    for moved, other, count in zip(found, others, both, strict=True):
        x, y = (np.unique(row[count], return_inverse=True)[1].ravel() for row in (own, other))
        if len(x) < 3 or not x.any() or not y.any():
            moved[:] = np.nan
            continue
        f, g = (_below(one, np.ones(len(one))) - 0.5 for one in (x, y))
        covariance, v, w = (f * g).mean(), (f**2).mean(), (g**2).mean()
        moves, moves_v, moves_w = (
            a * b + _above(c, b) + _above(d, a) for a, b, c, d in ((f, g, x, y), (f, f, x, x), (g, g, y, y))
        )
        moves = (moves - covariance / 2 * (moves_v / v + moves_w / w)) / np.sqrt(v * w)
        moved[count] = (moves - moves.mean()) / len(x)
    return found


def _below(place: NDArray[np.intp], weight: Floats) -> Floats:
    """For each entry, the sum of weights at lower places plus half of those at its own, over the size."""
    at = np.bincount(place, weight)
    result: Floats = (np.cumsum(at) - at / 2)[place] / len(place)
    return result


def _above(place: NDArray[np.intp], weight: Floats) -> Floats:
    result: Floats = weight.sum() / len(place) - _below(place, weight)
    return result


def interval_over_samples(
    figure: Floats,
    influence: Floats,
    counted: Bools,
    pairs: NDArray[np.intp],
    level: float,
    *,
    scale: str,
) -> ConfidenceInterval:
    """Confidence interval of a figure of pairs, for the population of samples or for other draws of as many.

    - The influence of a sample is the sum of the influences of its pairs, divided by 1 minus its share of the
      pairs, as if it was left out (HC3).
    - The variance is the sum of squares over samples minus the sum of squares over pairs, since each pair is
      in the sums of two samples. This is the sum of products of all pairs with a common sample (Aronow, Samii
      & Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23, 2015). A pair
      and its reverse count as one.
    - Degrees of freedom of Student's distribution follow Satterthwaite, "An approximate distribution of
      estimates of variance components", Biometrics Bulletin 2, 1946.

    ``benchmarks/coverage.md`` says why this is no bootstrap of samples.

    ``figure`` has any shape; ``influence`` and ``counted`` have that shape and a last axis of pairs. The
    interval is nan where fewer than 10 pairs count, where these have fewer than 10 samples, where all pairs
    have the same sample, and where no pair changes the figure.
    """
    check_level(level)
    shape, n_pairs = figure.shape, len(pairs)
    figure, influence, counted = figure.ravel(), influence.reshape(-1, n_pairs), counted.reshape(-1, n_pairs)
    rows, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(-1, 2)
    n, column = len(rows), np.arange(n_pairs)
    # 1 where a sample is in a pair, also where a pair is a sample and itself
    ends = csr_array((np.ones(2 * n_pairs), (place.T.ravel(), np.tile(column, 2))), (n, n_pairs))
    ends.data[:] = 1.0
    low, high = place.min(axis=1), place.max(axis=1)
    either_way = np.unique(low * n + high, return_inverse=True)[1].ravel()
    dyads = csr_array((np.ones(n_pairs), (either_way, column)), (either_way.max(initial=-1) + 1, n_pairs))
    each = ends @ counted.T.astype(float)
    share = ratio(each, counted.sum(axis=1).astype(float)[None, :])
    squares = ratio(ends @ influence.T, 1 - share) ** 2
    of_pairs = ((dyads @ influence.T) ** 2).sum(axis=0)
    of_samples = squares.sum(axis=0)
    # where the difference is too small, treat pairs as if no two had a sample in common
    variance = np.maximum(of_samples - of_pairs, of_pairs)
    n_own = (each > 0).sum(axis=0)
    varies = (squares**2).sum(axis=0) - ratio(of_samples**2, n_own.astype(float))
    known = (counted.sum(axis=1) >= FEWEST) & (n_own >= FEWEST) & (variance > 0)
    freedom = np.maximum(ratio(2 * variance**2, varies), 1.0)
    freedom = np.where(np.isnan(freedom), n_own - 1.0, freedom)
    reach = student.ppf((1 + level) / 2, freedom) * np.where(known, np.sqrt(variance), np.nan)
    turn, slope, back = SCALES[scale]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = [back(turn(figure) + way * reach * slope(figure)) for way in (-1, 1)]
    return ConfidenceInterval(*(ends_.reshape(shape)[()] for ends_ in found))
