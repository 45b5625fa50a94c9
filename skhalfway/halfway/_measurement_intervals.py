"""Confidence intervals of the figures of a HalfwayMeasurement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import FEWEST, ConfidenceInterval, wilson_interval
from skhalfway.halfway._over_samples import interval_over_samples, mean_influence, rank_influence

if TYPE_CHECKING:
    from skhalfway.halfway._measurement import HalfwayMeasurement


def interval_of(measurement: HalfwayMeasurement, of: str, level: float) -> ConfidenceInterval:
    """Interval over samples of a figure, of the shape of the figure."""
    crossings, counted, pairs = measurement.crossings, measurement.counted, measurement.pairs
    if of == "consensus":
        return _consensus_interval(measurement, level)
    if of == "mean_agreement":
        return _mean_interval(measurement, level)
    if of == "deviation":
        influence = mean_influence(np.abs(crossings - 0.5), counted)
        deviation = measurement.deviation
        return interval_over_samples(deviation, influence, counted, pairs, level, scale="up to a half")
    figure = getattr(measurement, of)
    # the figure of a model with itself is certain
    ends = np.full((2, *figure.shape), np.nan)
    enough = np.flatnonzero(counted.sum(axis=1) >= FEWEST)
    ends[:, enough, enough] = figure[enough, enough]
    scale = "correlation" if of == "agreement" else "positive"
    for i, influence, both in _influences(measurement, of):
        found = interval_over_samples(figure[i, i + 1 :], influence, both, pairs, level, scale=scale)
        ends[:, i, i + 1 :] = ends[:, i + 1 :, i] = found
    return ConfidenceInterval(*ends)


def _influences(
    measurement: HalfwayMeasurement, of: str
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
    """Yield a model, influences of pairs on its figures with later ones, and pairs that count for both."""
    for i, own in enumerate(measurement.crossings[:-1]):
        others = measurement.crossings[i + 1 :]
        both = measurement.counted[i] & measurement.counted[i + 1 :]
        if of == "agreement":
            yield i, rank_influence(own, others, both), both
        else:
            yield i, mean_influence(np.abs(own - others) * measurement.lengths, both), both


def _mean_interval(measurement: HalfwayMeasurement, level: float) -> ConfidenceInterval:
    """Interval of the mean agreement, over pairs of two models with a known agreement."""
    pairs, agreement = measurement.pairs, measurement.agreement
    influence, n_known = np.zeros(len(pairs)), 0
    counts, fewest = np.zeros(len(pairs), dtype=bool), len(pairs)
    for i, each, both in _influences(measurement, "agreement"):
        known = ~np.isnan(agreement[i, i + 1 :])
        influence += each[known].sum(axis=0)
        counts |= both[known].any(axis=0)
        fewest = both[known].sum(axis=1).min(initial=fewest)
        n_known += known.sum()
    if not n_known or fewest < FEWEST:
        return ConfidenceInterval(np.nan, np.nan)
    mean = np.asarray(measurement.mean_agreement)
    return interval_over_samples(mean, influence / n_known, counts, pairs, level, scale="correlation")


def _consensus_interval(measurement: HalfwayMeasurement, level: float) -> ConfidenceInterval:
    """Interval of the consensus of each model."""
    halves, n_models = measurement.halves, len(measurement.names)
    if halves is None or measurement.labels is None or n_models < 2:
        return ConfidenceInterval(*np.full((2, n_models), np.nan))
    credit, consensus = measurement._credit, measurement.consensus
    all_of_them = np.ones(credit.shape, dtype=bool)
    influence = mean_influence(credit, all_of_them)
    found = interval_over_samples(consensus, influence, all_of_them, halves, level, scale="share")
    # a consensus of 0 or 1 has no variance: it gets a Wilson interval of as many trials as there are samples
    n = len(np.unique(halves))
    sure = ((consensus == 0) | (consensus == 1)) & (n >= FEWEST)
    edges = wilson_interval(np.where(sure, consensus * n, 0.0), n, level)
    return ConfidenceInterval(*(np.where(sure, a, b) for a, b in zip(edges, found, strict=True)))
