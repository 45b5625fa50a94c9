"""Transfer rates predicted from each model's own predictions, with no attack and no gradient.

This is our own method. Around a sample, the distances r at which the prediction of each model changes are
measured, along the same few unit directions for all models. :mod:`skhalfway.halfway._planes` turns them
into planes v = n / D (unit normal over distance) with their uncertainty, and into c, the nearness of a
boundary that is the same in all directions, as around an isolated sample. An attack on a source s moves the
sample by eps a; to first order a = sign(v_s) in L-inf and v_s / ||v_s|| in L2. A target t is fooled where
eps (<a, v_t> + ||a|| c_t) >= 1. Only the expectation of the left-hand side is known, so it is modelled as
log-normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from scipy.special import ndtr

from skhalfway._blocks import blocks
from skhalfway._checks import check_random_state
from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared
from skhalfway._vectors import unit_vectors
from skhalfway.boundaries._nearest import nearest_other
from skhalfway.halfway._planes import Asked, differences, fit_priors, planes
from skhalfway.models import Model
from skhalfway.models._faults import named

# chosen on the development sets of benchmarks/transfer_prediction2.py
N_DIRECTIONS = 24
N_HALVINGS = 5
REACH = 2.0  # in units of the median distance to the nearest sample of another class, or of twice the budget
LEVELS = np.geomspace(0.02, 1, 2**N_HALVINGS - 1)  # shares of the reach at which models may be queried
SPREAD = 0.4  # standard deviation of the logarithm of the log-normal left-hand side

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """Predicted ``rates`` (budget, source, target) of ordered pairs of models, and their reliability.

    ``eligible`` counts the samples that both classify correctly. ``reliability``, from 0 to 1, says how far
    the directions determine the rates; it is nan without such samples.
    """

    rates: Array
    eligible: NDArray[np.intp]
    reliability: Array


def predict_rates(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    *,
    eps: float,
    norm: float,
    **options: Any,
) -> Array:
    """Predicted transfer rates (source, target) on samples that both classify correctly; nan without any."""
    return predict_all(models, X, labels, [(eps, norm)], **options)[0]


def predict_all(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    budgets: Sequence[tuple[float, float]],
    **options: Any,
) -> Array:
    """As :func:`predict_rates`, but of shape (budget, source, target), at the cost of one budget (eps, norm).

    The reach follows the largest budget, or the distance of classes where that is larger.
    """
    return predict(models, X, labels, budgets, **options).rates


def predict(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    budgets: Sequence[tuple[float, float]],
    *,
    names: Sequence[str] = (),
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Prediction:
    """Predicted rates for several budgets (eps, norm), with norm np.inf or 2, and their reliability.

    ``labels`` are class indices. Each model makes 1 + ``N_DIRECTIONS`` * ``N_HALVINGS`` predictions a sample.
    """
    flat = X.reshape(len(X), -1).astype(float)
    reach = reach_of(flat, labels, budgets)
    rng = check_random_state(random_state)
    spans = differences(flat, labels, rng)
    parts = list(blocks(len(X), 2 * (max(len(models), N_DIRECTIONS)) * flat.shape[1] + len(models) ** 2))
    seeds = rng.randint(2**31 - 1, size=len(parts))

    def directions(j: int) -> Array:
        rows = np.arange(len(X))[parts[j]]
        return towards_others(flat, labels, rows, np.random.RandomState(seeds[j]))

    asked = _ask(models, X, labels, reach, parts, directions, spans, names, n_jobs, verbose)
    priors = fit_priors(asked)
    both = asked.right[:, :, None] & asked.right[:, None]
    eligible, n_models = both.sum(axis=0), len(models)
    expected, determined = np.zeros((len(budgets), n_models, n_models)), np.zeros((n_models, n_models))
    for j, part in enumerate(parts):
        found = planes(priors, asked, part, directions(j), spans)
        progress = {norm: found.progress(norm, priors.correlation) for norm in {norm for _, norm in budgets}}
        for total, (eps, norm) in zip(expected, budgets, strict=True):
            # samples that a model misclassifies are not counted
            total += (probabilities(progress[norm], eps / reach) * both[part]).sum(axis=0)
        seen = np.nan_to_num(found.seen)
        of_two = np.sqrt(seen[:, :, None] * seen[:, None])
        met = (seen > 0)[:, :, None] & (seen > 0)[:, None]
        determined += ((of_two + (1 - of_two) * priors.trust) * (both[part] & met)).sum(axis=0)
    some = eligible > 0
    rates, reliability = (
        np.divide(total, eligible, out=np.full(total.shape, np.nan), where=np.broadcast_to(some, total.shape))
        for total in (expected, determined)
    )
    return Prediction(rates, eligible, np.minimum(reliability, 1.0))


def _ask(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    reach: float,
    parts: list[slice],
    directions: Any,
    spans: Array,
    names: Sequence[str],
    n_jobs: int | None,
    verbose: int,
) -> Asked:
    """Crossings of all models along the directions of each block, with Gram matrices of the directions."""
    given, n = Shared((list(models), list(names))), len(models)
    grams: list[tuple[Array, Array]] = []

    def jobs() -> Iterator[Any]:
        for j, part in enumerate(parts):
            ways = directions(j)
            along = ways @ spans.T
            grams.append((ways @ ways.transpose(0, 2, 1) / ways.shape[2], along @ along.transpose(0, 2, 1)))
            yield from (delayed(_asked)(given, i, X[part], labels[part], ways, reach) for i in range(n))

    each = side_by_side(
        jobs(), n * len(parts), n_jobs=n_jobs, verbose=verbose, what="predict transfer", unit="part"
    )
    found = []
    while block := list(islice(each, n)):
        found.append([np.stack(part, axis=1) for part in zip(*block, strict=True)])
    right, levels = (np.concatenate(part) for part in zip(*found, strict=True))
    plain, along = (np.concatenate(part) for part in zip(*grams, strict=True))
    crossed = np.isfinite(levels)
    return Asked(right, np.where(crossed, 1 / np.where(crossed, levels, 1.0), 0.0), crossed, plain, along)


def probabilities(progress: Array, eps: float) -> Array:
    """Probability that a move of size ``eps`` crosses a boundary at the distance 1 / progress."""
    likely = np.zeros(progress.shape)
    ahead = progress > 0
    likely[ahead] = ndtr((np.log(eps) + np.log(progress[ahead])) / SPREAD)
    return likely


def _asked(given: Shared[tuple[list[Model], list[str]]], i: int, *args: Any) -> Any:
    models, names = given.value
    return named(names[i], crossing_levels, models[i], *args) if names else crossing_levels(models[i], *args)


def crossing_levels(
    model: Model, X: NDArray[Any], labels: NDArray[np.intp], directions: Array, reach: float
) -> tuple[NDArray[np.bool_], Array]:
    """Whether a model classifies each sample correctly; shares of the reach at its crossings, nan without.

    Crossings are found by bisection over ``LEVELS``, so to within a factor, which suffices for the
    regression.
    """
    right = model.predict(X) == labels
    levels = np.full(directions.shape[:2], np.nan)
    if not right.any():
        return right, levels
    # number of levels, from the nearest on, at which the label is still predicted
    held = np.zeros((int(right.sum()), directions.shape[1]), dtype=np.intp)
    own, ways = X[right], reach * directions[right]
    flat, limits = own.reshape(len(own), 1, -1), np.finfo(X.dtype)
    for step in 2 ** np.arange(N_HALVINGS - 1, -1, -1):
        points = flat + LEVELS[held + step - 1][..., None] * ways
        asked = np.clip(points, limits.min, limits.max).astype(X.dtype, copy=False).reshape(-1, *X.shape[1:])
        holds = model.predict(asked).reshape(held.shape) == labels[right][:, None]
        held += np.where(holds, step, 0)
    ratio = np.sqrt(LEVELS[1] / LEVELS[0])
    levels[right] = np.where(held < len(LEVELS), LEVELS[np.minimum(held, len(LEVELS) - 1)] / ratio, np.nan)
    return right, levels


def towards_others(
    X: Array, labels: NDArray[np.intp], rows: NDArray[np.intp], rng: np.random.RandomState
) -> Array:
    """Unit vectors (n_rows, N_DIRECTIONS, n_features): half towards samples of other classes, half noise.

    The samples are drawn at random. Noise vectors are orthogonal as far as there are dimensions. Each is used
    twice, with both signs, towards different samples, so that its effect is separated from errors. Paths
    between samples alone would tell nothing about directions off the data, which attacks take.
    """
    counts = np.bincount(labels)
    begins, n_own = (np.cumsum(counts) - counts)[labels[rows], None], counts[labels[rows], None]
    order = np.argsort(labels, kind="stable")
    drawn = rng.randint(len(X) - n_own, size=(len(rows), N_DIRECTIONS))
    partners = order[np.where(drawn < begins, drawn, drawn + n_own)]
    n_features, n_noises = X.shape[1], N_DIRECTIONS // 2
    drawn_noise = [
        np.linalg.qr(rng.standard_normal((len(rows), n_features, min(n_features, n_noises - have))))[0]
        for have in range(0, n_noises, n_features)
    ]
    noise = np.concatenate(drawn_noise, axis=2).transpose(0, 2, 1)
    others = unit_vectors(X[partners] - X[rows, None])
    return unit_vectors(others + np.concatenate([noise, -noise], axis=1))


def reach_of(X: Array, labels: NDArray[np.intp], budgets: Sequence[tuple[float, float]]) -> float:
    """Distance within which boundaries are searched, in input units; it grows with classes and budgets."""
    if (labels == labels[0]).all():
        raise ValueError("y must hold at least 2 classes to predict transfer, but it holds only one")
    apart = float(np.median(np.linalg.norm(X[nearest_other(X, labels)] - X, axis=1)))
    if apart == 0:
        raise ValueError(
            "half of the samples or more also occur with another label, so the distance between classes is "
            "0; remove repeated samples"
        )
    longest = max(eps * (np.sqrt(X.shape[1]) if norm == np.inf else 1) for eps, norm in budgets)
    return max(REACH * apart, 2 * REACH * float(longest))
