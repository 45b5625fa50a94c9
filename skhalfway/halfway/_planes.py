"""Planes that approximate decision boundaries around samples, estimated from crossings in a few directions.

The boundary of a model around a sample is modelled as a plane of unit normal n at distance D, v = n / D,
plus a nearness c that is the same in all directions. Along the unit direction u it is crossed at the
distance r with 1 / r = <v, u> + c + error.

With K directions in d >> K features, ridge regression only recovers a projection of v, with K / d of its
squared length, and rates based on it are too low. So each model gets a prior, v ~ N(0, s^2 (a S + b I / d)).
Here s is the sample's mean of 1 / r, and S the covariance of differences between classes. The sizes a and b,
and the variances of c and of the errors, maximise the likelihood of all the model's crossings. (Each noise
vector is used with both signs, so that its effect is separated from errors.)

A direction without a crossing has a value of 1 / r below the smallest visible one, not 0; its expectation is
filled in. The part of v that the directions do not determine has the variance of the posterior. How much of
this part two models share is estimated by their correlation along the same directions, over all samples, and
shrunk to 0 where it is uncertain.

This is our own derivation. Lengths are in units of the reach, within which crossings are searched.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, ndtr

from skhalfway._blocks import spread

Array = NDArray[np.float64]

# chosen on the development sets of benchmarks/transfer_prediction2.py
SHARES = (0.03, 0.1, 0.3, 0.6, 0.9, 1.0)  # grid: share of I / d in the prior
SIGNALS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # grid: size of the prior
LEVELS_OF_C = (0.02, 0.2)  # grid: variance of c
ERRORS = (0.003, 0.01, 0.03, 0.1, 0.3)  # grid: variance of errors
N_FITTED = 100  # largest number of samples on which a prior is fitted
RIDGE = 0.03  # penalty on v once the prior is known, relative to the mean variance of <v, u>
CONSTANT = 0.25  # prior variance of c then, relative to the same
DOUBT = 0.12  # standard error at which a correlation is halved
BETWEEN_MEANS = 0.3  # share of differences between class means in S
N_DIFFERENCES = 200  # largest number of differences between samples in S


@dataclass(frozen=True)
class Asked:
    """Crossings of all models along the same directions, in units of the reach.

    ``right`` (n, models) says which samples are classified correctly, and ``crossed`` (n, models, K) which
    directions have a crossing. ``nearness`` (n, models, K) is 1 / r, or 0 without a crossing. ``plain`` and
    ``along`` (n, K, K) are Gram matrices of the directions under I / d and under S.
    """

    right: NDArray[np.bool_]
    nearness: Array
    crossed: NDArray[np.bool_]
    plain: Array
    along: Array


@dataclass(frozen=True)
class Priors:
    """For each model: sizes of S, I / d, c and errors, scales, nearness filled in; correlations of models."""

    along: Array
    plain: Array
    constant: Array
    error: Array
    scale: Array
    nearness: Array
    correlation: Array
    trust: Array


def differences(X: Array, labels: NDArray[np.intp], rng: np.random.RandomState) -> Array:
    """Rows B with S = B'B of trace 1: differences of samples of different classes, and of class means."""
    i, j = rng.randint(len(X), size=(2, 4 * N_DIFFERENCES))
    apart = np.flatnonzero(labels[i] != labels[j])[:N_DIFFERENCES]
    classes = np.unique(labels)
    means = np.stack([X[labels == k].mean(axis=0) for k in classes])
    parts = [(1 - BETWEEN_MEANS, X[i[apart]] - X[j[apart]]), (BETWEEN_MEANS, means - means.mean(axis=0))]
    found = []
    for share, rows in parts:
        largest = np.abs(rows).max(initial=0.0)
        if largest > 0:
            rows = rows / largest
            found.append(np.sqrt(share / (rows**2).sum()) * rows)
    return np.concatenate(found)


def fit_priors(asked: Asked) -> Priors:
    """Fit the prior of each model twice: the second time with the values filled in after the first."""
    n_models = asked.nearness.shape[1]
    scale = asked.nearness.mean(axis=2)
    known = asked.right & (scale > 0)
    y = asked.nearness / np.where(scale > 0, scale, 1)[..., None]
    sizes = np.ones((n_models, 4))
    for again in (False, True):
        for m in range(n_models):
            rows = np.flatnonzero(known[:, m])
            if len(rows) > 1:
                sizes[m] = _likeliest(asked, y[:, m], rows[spread(len(rows), N_FITTED)])
        weights, inverses = _weights(asked, sizes, y, known)
        if not again:
            y = _filled(asked, y, weights, inverses, scale)
    correlation, trust = _shared(asked, sizes, weights, inverses, known)
    along, plain, constant, error = sizes.T
    scale = np.where(known, scale, 0.0)
    return Priors(along, plain, constant, error, scale, y, correlation, trust)


def _likeliest(asked: Asked, y: Array, rows: NDArray[np.intp]) -> Array:
    """Sizes of S, I / d, c and errors that maximise the likelihood, on a grid."""
    best, found, y = -np.inf, np.ones(4), y[rows]
    signals, levels, errors = np.array(list(product(SIGNALS, LEVELS_OF_C, ERRORS))).T[:, :, None]
    for share in SHARES:
        values, vectors = np.linalg.eigh((1 - share) * asked.along[rows] + share * asked.plain[rows])
        turned = np.einsum("nkl,nk->nl", vectors, y)
        ones = vectors.sum(axis=1)
        variances = signals[..., None] * np.maximum(values, 0) + errors[..., None]  # (grid, n, k)
        yy, y1, one = (
            (turned**2 / variances).sum(2),
            (turned * ones / variances).sum(2),
            (ones**2 / variances).sum(2),
        )
        volume = np.log(variances).sum(axis=(1, 2)) + np.log1p(levels * one).sum(axis=1)
        overall = (yy - levels * y1**2 / (1 + levels * one)).sum(axis=1) / y.size
        likelihood = -volume / 2 - y.size / 2 * np.log(np.maximum(overall, 1e-300))
        g = int(likelihood.argmax())
        if likelihood[g] > best:
            size = signals[g, 0]
            best = float(likelihood[g])
            found = overall[g] * np.array([(1 - share) * size, share * size, levels[g, 0], errors[g, 0]])
    return found


def _weights(asked: Asked, sizes: Array, y: Array, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """M^-1 y and M^-1, M the covariance of y under the prior, (n, models, K) and (n, models, K, K)."""
    eye = np.eye(y.shape[2])
    inverses = np.stack(
        [
            np.linalg.inv(along * asked.along + plain * asked.plain + constant + error * eye)
            for along, plain, constant, error in sizes
        ],
        axis=1,
    )
    return np.einsum("nmkl,nml->nmk", inverses, y) * known[..., None], inverses


def _filled(asked: Asked, y: Array, weights: Array, inverses: Array, scale: Array) -> Array:
    """Nearness; where not crossed, the expectation of 1 / r given other directions and that r > reach."""
    precision = np.diagonal(inverses, axis1=2, axis2=3)
    expected, deviation = y - weights / precision, 1 / np.sqrt(precision)
    above = (1 / np.where(scale > 0, scale, 1)[..., None] - expected) / deviation
    tail = np.exp(-np.minimum(above**2, 1400) / 2) / np.sqrt(2 * np.pi) / np.maximum(ndtr(above), 1e-12)
    below = expected - deviation * np.where(above < -6, -above, tail)
    return np.where(asked.crossed | ~asked.right[..., None] | (scale == 0)[..., None], y, below)


def _shared(
    asked: Asked, sizes: Array, weights: Array, inverses: Array, known: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Correlation of v of each two models, shrunk by the trust in it, and this trust (1 for one with itself).

    Minimum norm quadratic unbiased estimation (MINQUE) separates what two models share in v, in c and in
    errors.
    """
    n_models, eye = len(sizes), np.eye(weights.shape[2])
    ones = np.ones_like(eye)
    correlation, trust = np.eye(n_models), np.eye(n_models)
    for s in range(n_models):
        for t in range(s):
            rows = known[:, s] & known[:, t]
            along, plain = np.sqrt(sizes[s, :2] * sizes[t, :2])
            parts = [along * asked.along[rows] + plain * asked.plain[rows], ones, eye]
            a, b = inverses[rows, t], inverses[rows, s]
            sides = [a @ part @ b for part in parts]
            gram = np.array([[(side * np.swapaxes(part, -1, -2)).sum() for part in parts] for side in sides])
            z, w = weights[rows, s], weights[rows, t]
            products = [(z[:, None] @ (part @ w[..., None])).sum() for part in parts]
            inverse = np.linalg.pinv(gram)
            doubt = np.sqrt(max(inverse[0, 0], 0.0)) / DOUBT if rows.any() and gram[0, 0] > 0 else np.inf
            trust[s, t] = trust[t, s] = 1 / (1 + doubt**2)
            correlation[s, t] = correlation[t, s] = np.clip(trust[s, t] * (inverse[0] @ products), 0, 1)
    return correlation, trust


@dataclass(frozen=True)
class Planes:
    """Planes of each sample and model: mean and variance of v (n, models, d), and nearness c (n, models)."""

    mean: Array
    variance: Array
    nearness: Array

    def progress(self, norm: float, correlation: Array) -> Array:
        """Expected <a_s, v_t> + ||a_s|| c_t for a step a_s of length 1 that attacks s: (n, source, target).

        In L-inf a = sign(v), in L2 v / ||v||. Let v_s and v_t be Gaussian with means m and standard
        deviations p, and let their undetermined parts have the correlation rho. By Stein's lemma, E
        sign(v_s) v_t is erf(m_s / (sqrt(2) p_s)) m_t + 2 rho p_t phi(m_s / p_s).
        """
        deviation = np.sqrt(self.variance)
        if norm == np.inf:
            z = np.clip(self.mean / np.maximum(deviation, 1e-30), -40, 40)
            move = erf(z / np.sqrt(2))
            unseen = 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
            length = np.sqrt(self.mean.shape[2])
        else:
            size = np.sqrt((self.mean**2).sum(axis=2) + self.variance.sum(axis=2))[..., None]
            size = np.where(size > 0, size, 1.0)
            move, unseen = self.mean / size, deviation / size
            length = 1.0
        # c_t counts even where no boundary of s is known, since s is attacked in some direction
        seen = move @ self.mean.transpose(0, 2, 1) + length * self.nearness[:, None]
        return np.asarray(seen + correlation * (unseen @ deviation.transpose(0, 2, 1)))

    @property
    def seen(self) -> Array:
        """Share of ||v||^2 that the directions determine, (n, models); nan where there is no plane."""
        known = (self.mean**2).sum(axis=2)
        whole = known + self.variance.sum(axis=2)
        return np.divide(known, whole, out=np.full(known.shape, np.nan), where=whole > 0)


def planes(priors: Priors, asked: Asked, rows: slice, directions: Array, spans: Array) -> Planes:
    """Planes of a block of samples, from their directions (n, K, d) and the rows ``spans`` of S."""
    n, k, d = directions.shape
    n_models = len(priors.along)
    mean, variance = np.zeros((2, n, n_models, d))
    nearness = np.zeros((n, n_models))
    eye = np.eye(k)
    through = directions @ spans.T @ spans
    on_diagonal = (spans**2).sum(axis=0)
    for m in range(n_models):
        along, plain, scale = priors.along[m], priors.plain[m], priors.scale[rows, m]
        gram = along * asked.along[rows] + plain * asked.plain[rows]
        towards = along * through + plain / d * directions
        level = np.diagonal(gram, axis1=1, axis2=2).mean()
        ridge = gram + RIDGE * level * eye
        y = (priors.nearness[rows, m] * (scale > 0)[:, None])[..., None]
        weights = np.linalg.solve(ridge + CONSTANT * level, y)[..., 0]
        mean[:, m] = np.einsum("nkf,nk->nf", towards, weights) * scale[:, None]
        nearness[:, m] = CONSTANT * level * weights.sum(axis=1) * scale
        explained = np.einsum("nkf,nkf->nf", towards, np.linalg.solve(ridge, towards))
        left = np.maximum(along * on_diagonal + plain / d - explained, 0)
        variance[:, m] = left * scale[:, None] ** 2
    return Planes(mean, variance, nearness)
