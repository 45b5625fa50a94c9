"""One training on two spheres: the classifier's errors, and their distances from other points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skhalfway._blocks import blocks
from skhalfway._randomness import draw_seed, undisturbed
from skhalfway._vectors import unit_vectors
from skhalfway.attacks import AdversarialGenerator
from skhalfway.inspection._caps import cap_distance
from skhalfway.inspection._splits import read_split
from skhalfway.models import Model, as_model
from skhalfway.models._training import train

_INNER, _OUTER = 0, 1
_N_KNOWN = 100  # largest number of misclassified test points that are given to the attack


@dataclass(frozen=True)
class Spheres:
    """Two concentric spheres, of radius 1 and ``radius``, from which points are drawn."""

    n_features: int
    radius: float

    def draw(self, n: int, rng: np.random.RandomState) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Points of the inner and the outer sphere in turn, and their labels."""
        y = np.arange(n) % 2
        points = unit_vectors(rng.standard_normal((n, self.n_features)))
        return points * np.where(y == _INNER, 1.0, self.radius)[:, None], y


def measure_errors(
    n_train: int,
    seed: int,
    *,
    estimator: Any,
    spheres: Spheres,
    n_test: int,
    n_attacked: int,
    attack: str,
    limits: dict[str, Any],
) -> list[float]:
    """Figures of one training, in the order of their names."""
    rng = np.random.RandomState(seed)
    # a seed for each purpose, so that test points are the same for all numbers of training samples
    training, drawing, testing, attacking = (draw_seed(rng) for _ in range(4))
    split = read_split(estimator, *spheres.draw(n_train, np.random.RandomState(drawing)))
    with undisturbed():  # a net draws random numbers even in prediction
        model = as_model(train(estimator, split.X, split.y, training))
        rates, right, wrong = _test(model, spheres, n_test, n_attacked, np.random.RandomState(testing))
        right, wrong = right.astype(split.X.dtype), wrong.astype(split.X.dtype)
        name = ("fmn" if model.has_gradient else "hopskipjump") if attack == "auto" else attack
        generator = AdversarialGenerator(attack=name, eps=np.inf, norm=2, random_state=attacking, **limits)
        distance = _distances(generator, model, right, wrong).mean() if len(right) else np.inf
    error, inner = rates
    bound = cap_distance(inner, spheres.n_features) if 0 < inner < 1 else np.nan
    return [error, inner, distance if np.isfinite(distance) else np.nan, bound]


def _test(
    model: Model, spheres: Spheres, n_test: int, n_attacked: int, rng: np.random.RandomState
) -> tuple[tuple[float, float], NDArray[np.float64], NDArray[np.float64]]:
    """Error on both spheres and on the inner one; some inner points classified correctly, and some not."""
    errors, totals = np.zeros(2), np.zeros(2)
    found: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    limits = {True: n_attacked, False: _N_KNOWN}
    for block in blocks(n_test, spheres.n_features):
        X, y = spheres.draw(min(block.stop, n_test) - block.start, rng)
        right = model.predict(X) == y
        totals += np.bincount(y, minlength=2)
        errors += np.bincount(y, weights=~right, minlength=2)
        for which, points in found.items():
            points.append(X[(y == _INNER) & (right == which)][: limits[which]])
    of_right, of_wrong = (np.concatenate(found[which])[: limits[which]] for which in (True, False))
    return (errors.sum() / totals.sum(), errors[_INNER] / totals[_INNER]), of_right, of_wrong


def _distances(
    generator: AdversarialGenerator, model: Model, right: NDArray[Any], wrong: NDArray[Any]
) -> NDArray[np.float64]:
    """Distances on the inner sphere from points to the nearest error that was found; inf where none was.

    ``wrong`` are known errors. They are part of the attacked batch, since black-box attacks start at other
    samples of it.
    """
    known = np.full(len(right), np.inf)
    if len(wrong):
        known = pairwise_distances_argmin_min(right, wrong)[1]
    # all points of a ray are the same point of the sphere
    source = make_pipeline(Normalizer(), FrozenEstimator(model.estimator)).fit(right)
    generator.set_params(estimator=FrozenEstimator(source))
    X = np.concatenate([right, wrong])
    assert model.classes_ is not None
    errors = generator.generate(X, y=np.full(len(X), model.classes_[_INNER]))[: len(right)]
    assert generator.distances_ is not None
    distances = np.linalg.norm(unit_vectors(errors.astype(float)) - right, axis=1)
    return np.minimum(np.where(np.isfinite(generator.distances_[: len(right)]), distances, np.inf), known)
