"""How sure figures of pairs of samples are: pairs that share a sample are not independent of each other."""

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

# how figures are turned for an interval that is symmetric: the logit of one from 0 to 1, or of twice one
# from 0 to 1/2, the logarithm of one from 0 on, and of a correlation Fisher's z
SCALES: dict[str, Any] = {
    "share": (logit, lambda x: 1 / (x * (1 - x)), expit),
    "up to a half": (lambda x: logit(2 * x), lambda x: 1 / (x * (1 - 2 * x)), lambda z: expit(z) / 2),
    "positive": (np.log, lambda x: 1 / x, np.exp),
    "correlation": (np.arctanh, lambda x: 1 / (1 - x**2), np.tanh),
}


def mean_influence(values: Floats, counted: Bools) -> Floats:
    """How much each pair, counted once more, moves the mean of the values that count, (..., n_pairs)."""
    size = counted.sum(axis=-1, keepdims=True).astype(float)
    known = np.where(counted, values, 0.0)
    return np.where(counted, ratio(known - ratio(known.sum(axis=-1, keepdims=True), size), size), 0.0)


def rank_influence(own: Floats, others: Floats, both: Bools) -> Floats:
    """How much each pair, counted once more, moves Spearman's correlation with each other's, (n, n_pairs).

    A pair moves the ranks of the others too. With F and G its mid-ranks as shares, C, V and W the covariance
    and the variances of all, the covariance moves by ``F G + E[G'; x' > x] + E[F'; y' > y]`` less its mean
    (Hoeffding, "A class of statistics with asymptotically normal distribution", Annals of Mathematical
    Statistics 19, 1948, section 9), and likewise the variances, which do not move where no two are tied.
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
    """Mean of the weights of those at lower places, and of half of those at the same, for each."""
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
    """Interval of a figure of pairs for other samples: the population's, or other draws of as many.

    What a sample moves is the sum of what its pairs do; it counts as if it was left out (divided by one less
    its share of the pairs, HC3). The variance is the sum of the squares over samples, less the squares over
    pairs, each of which is in the sums of two samples: products of all pairs that have a sample in common
    (Aronow, Samii & Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23,
    2015). A pair and its reverse count as one. Student's distribution has the degrees of freedom by which the
    sum of squares varies (Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2, 1946). Why not a bootstrap of samples: ``benchmarks/coverage.md``.

    ``figure`` has any shape, ``influence`` and ``counted`` that shape and an axis of pairs behind. nan where
    fewer than 10 pairs count, or of fewer than 10 samples; where all pairs are of one sample; and where no
    pair moves the figure, of which nothing can be told.
    """
    check_level(level)
    shape, n_pairs = figure.shape, len(pairs)
    figure, influence, counted = figure.ravel(), influence.reshape(-1, n_pairs), counted.reshape(-1, n_pairs)
    rows, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(-1, 2)
    n, column = len(rows), np.arange(n_pairs)
    # 1 where a sample is in a pair; a pair of a sample and itself has it once
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
    # where they cancel: as if no two pairs had a sample in common
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
