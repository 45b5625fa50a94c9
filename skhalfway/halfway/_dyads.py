"""How sure a share of pairs of samples is: pairs that share a sample are not independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm as normal

from skhalfway._intervals import FEWEST, ConfidenceInterval, check_level, wilson_interval


def dyadic_interval(
    values: NDArray[np.float64], pairs: NDArray[np.intp], n_samples: int, level: float = 0.95
) -> ConfidenceInterval:
    """Interval of the mean of values between 0 and 1, (n_models, n_pairs), over samples that might be drawn.

    The variance counts the products of two values' deviations wherever their pairs have a sample in common
    (Aronow, Samii & Assenova, "Cluster-robust variance estimation for dyadic data", Political Analysis 23,
    2015, section 3), and the interval is symmetric in the logit of the mean. Where all values are 0, or all
    are 1, it is Wilson's of as many trials as there are samples. nan of fewer than 10 samples, and where the
    values are not known.

    Bootstraps do worse for midpoints of nearest neighbours, of which each sample has a few only: weights
    ``w_i * w_j`` of drawn samples hold 96 to 100 % of the time where 95 % are asked for, and ``w_i + w_j`` 65
    to 86 %; this, 92 to 100 % (``benchmarks/coverage.md``).
    """
    check_level(level)
    if n_samples < FEWEST:
        return ConfidenceInterval(*np.full((2, len(values)), np.nan))
    mean = values.mean(axis=1)
    apart = values - mean[:, None]
    at = np.stack(
        [np.bincount(pairs[:, 0], row, n_samples) + np.bincount(pairs[:, 1], row, n_samples) for row in apart]
    )
    # a pair is in the sum of each of its samples, so once too often
    variance = ((at**2).sum(axis=1) - (apart**2).sum(axis=1)) / len(pairs) ** 2
    least = (apart**2).sum(axis=1) / len(
        pairs
    ) ** 2  # where deviations cancel: as if none had a sample in common
    error = np.sqrt(np.maximum(variance, least))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = normal.ppf((1 + level) / 2) * error / (mean * (1 - mean))
        ends = expit(logit(mean) - reach), expit(logit(mean) + reach)
    certain = (mean == 0) | (mean == 1)
    edges = wilson_interval(np.round(mean * n_samples), np.full(len(mean), n_samples), level)
    return ConfidenceInterval(*(np.where(certain, edge, end) for edge, end in zip(edges, ends, strict=True)))
