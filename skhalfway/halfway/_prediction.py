"""Transfer rates predicted from each model's own answers: no attack, no gradient, no pair of models asked.

Our own method. Around a sample, every model is asked how far its answer holds along the same few unit
directions u. Crossing regression (:mod:`skhalfway.halfway._regression`) fits the distances r by
1 / r = <v, u> + c: a flat boundary has v = n / D, the way there over the distance; c is how near a boundary
is whichever way one goes, as around a sample on an island. An attack on a source s moves the sample by
eps a, to first order a = sign(v_s) in L-inf and v_s / ||v_s|| in L2, and a target t is fooled where
eps (<a, v_t> + ||a|| c_t) >= 1. As v and c are estimates, the left-hand side is taken for log-normal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from skhalfway.halfway._regression import crossing_normals
from skhalfway.models import Model
from skhalfway.models._faults import named

# chosen on the development sets of benchmarks/transfer_prediction.py
N_DIRECTIONS = 20
N_HALVINGS = 3
REACH = 2.0  # in median distances to the nearest sample of another class, or in twice the budget
LEVELS = np.geomspace(0.08, 1, 2**N_HALVINGS - 1)  # where on the way to there a model may be asked
PENALTY = 0.03
CONSTANT = 0.5  # what c is multiplied by in the regression: it is penalised 4 times as much as v
SPREAD = 0.5  # standard deviation of the logarithm of what is compared with 1

Array = NDArray[np.float64]


def predict_rates(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    *,
    eps: float,
    norm: float,
    names: Sequence[str] = (),
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Array:
    """Transfer rates (source, target) to expect of samples that both classify right; nan without any.

    ``labels`` are class indices, ``norm`` is np.inf or 2. A model is asked 1 + ``N_DIRECTIONS`` *
    ``N_HALVINGS`` times for a sample.
    """
    budgets = [(eps, norm)]
    return predict_all(
        models,
        X,
        labels,
        budgets,
        names=names,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
    )[0]


def predict_all(
    models: Sequence[Model],
    X: NDArray[Any],
    labels: NDArray[np.intp],
    budgets: Sequence[tuple[float, float]],
    *,
    names: Sequence[str] = (),
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Array:
    """As :func:`predict_rates`, of shape (budget, source, target), for the price of one (eps, norm).

    The largest decides how far models are asked, where that is further than the distance of classes needs.
    """
    flat = X.reshape(len(X), -1).astype(float)
    reach = reach_of(flat, labels, budgets)
    rng = check_random_state(random_state)
    given, n, d = Shared((list(models), list(names))), len(models), flat.shape[1]
    parts = list(blocks(len(X), max(n, N_DIRECTIONS) * d + n * n))
    expected, eligible = np.zeros((len(budgets), n, n)), np.zeros((n, n))

    def jobs() -> Iterator[Any]:
        for part in parts:
            directions = towards_others(flat, labels, np.arange(len(X))[part], rng)
            yield from (
                delayed(_boundaries_of)(given, i, X[part], labels[part], directions, reach) for i in range(n)
            )

    each = side_by_side(
        jobs(), n * len(parts), n_jobs=n_jobs, verbose=verbose, what="predict transfer", unit="part"
    )
    while found := list(islice(each, n)):
        right, normals, nearness = (np.stack(each, axis=1) for each in zip(*found, strict=True))
        both = right[:, :, None] & right[:, None]
        eligible += both.sum(axis=0)
        for total, (eps, norm) in zip(expected, budgets, strict=True):
            # where a model is wrong its boundary is not known, and nothing is likely
            total += probabilities(normals, nearness, eps, norm).sum(axis=0)
    return np.divide(expected, eligible, out=np.full(expected.shape, np.nan), where=eligible > 0)


def probabilities(normals: Array, nearness: Array, eps: float, norm: float) -> Array:
    """How likely moves across the source's boundary cross the target's: (sample, source, target).

    ``normals`` v have shape (n_samples, n_models, n_features), ``nearness`` c (n_samples, n_models).
    """
    moves = np.sign(normals) if norm == np.inf else unit_vectors(normals)
    lengths = np.linalg.norm(moves, axis=2)
    progress = moves @ normals.transpose(0, 2, 1) + lengths[:, :, None] * nearness[:, None]
    likely = np.zeros(progress.shape)
    ahead = progress > 0
    likely[ahead] = ndtr((np.log(eps) + np.log(progress[ahead])) / SPREAD)
    return likely


def _boundaries_of(given: Shared[tuple[list[Model], list[str]]], i: int, *args: Any) -> Any:
    models, names = given.value
    return named(names[i], boundaries, models[i], *args) if names else boundaries(models[i], *args)


def boundaries(
    model: Model, X: NDArray[Any], labels: NDArray[np.intp], directions: Array, reach: float
) -> tuple[NDArray[np.bool_], Array, Array]:
    """Whether a model is right on each sample; v and c of its boundary there, 0 where it is wrong."""
    right = model.predict(X) == labels
    fitted = np.zeros((len(X), directions.shape[2] + 1))
    if right.any():
        ways = directions[right]
        distances = reach * _crossing_levels(model, X[right], labels[right], reach * ways)
        with_constant = np.concatenate([ways, np.full((*ways.shape[:2], 1), CONSTANT)], axis=2)
        fitted[right] = crossing_normals(with_constant, distances, alpha=PENALTY)
    return right, fitted[:, :-1], CONSTANT * fitted[:, -1]


def _crossing_levels(model: Model, X: NDArray[Any], labels: NDArray[np.intp], ways: Array) -> Array:
    """Where on its ways from each sample a model errs, as a share of the way; nan where it does not.

    Found by halving between ``LEVELS``: to a factor, which is all that the regression needs.
    """
    held = np.zeros(ways.shape[:2], dtype=np.intp)  # levels at which the label still holds
    flat, limits = X.reshape(len(X), 1, -1), np.finfo(X.dtype)
    for step in 2 ** np.arange(N_HALVINGS - 1, -1, -1):
        points = flat + LEVELS[held + step - 1][..., None] * ways
        asked = np.clip(points, limits.min, limits.max).astype(X.dtype, copy=False).reshape(-1, *X.shape[1:])
        holds = model.predict(asked).reshape(held.shape) == labels[:, None]
        held += np.where(holds, step, 0)
    ratio = np.sqrt(LEVELS[1] / LEVELS[0])
    return np.where(held < len(LEVELS), LEVELS[np.minimum(held, len(LEVELS) - 1)] / ratio, np.nan)


def towards_others(
    X: Array, labels: NDArray[np.intp], rows: NDArray[np.intp], rng: np.random.RandomState
) -> Array:
    """Unit vectors (n_rows, N_DIRECTIONS, n_features): half towards samples of other classes, half noise.

    The samples are drawn at random. The noise of one row is orthogonal as far as there are dimensions: paths
    between samples alone would say nothing about directions that the data do not take, but attacks do.
    """
    counts = np.bincount(labels)
    begins, n_own = (np.cumsum(counts) - counts)[labels[rows], None], counts[labels[rows], None]
    order = np.argsort(labels, kind="stable")
    drawn = rng.randint(len(X) - n_own, size=(len(rows), N_DIRECTIONS))
    partners = order[np.where(drawn < begins, drawn, drawn + n_own)]
    n_features = X.shape[1]
    noise = [
        np.linalg.qr(rng.standard_normal((len(rows), n_features, min(n_features, N_DIRECTIONS - have))))[0]
        for have in range(0, N_DIRECTIONS, n_features)
    ]
    others = unit_vectors(X[partners] - X[rows, None])
    return unit_vectors(others + np.concatenate(noise, axis=2).transpose(0, 2, 1))


def reach_of(X: Array, labels: NDArray[np.intp], budgets: Sequence[tuple[float, float]]) -> float:
    """How far to look for a boundary, in input units: a few times as far as classes, and moves, go."""
    if (labels == labels[0]).all():
        raise ValueError("predicting transfer needs samples of at least 2 classes, but y holds only one")
    apart = float(np.median(np.linalg.norm(X[nearest_other(X, labels)] - X, axis=1)))
    if apart == 0:
        raise ValueError(
            "half of the samples or more are also there under another label, so there is no distance between "
            "classes; look for repeated samples"
        )
    longest = max(eps * (np.sqrt(X.shape[1]) if norm == np.inf else 1) for eps, norm in budgets)
    return max(REACH * apart, 2 * REACH * float(longest))
