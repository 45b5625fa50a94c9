"""Steps of learning from perturbations: target classes, noise to start from, checks of estimators."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice
from skhalfway._inputs import check_labels, read_samples, read_targets, table_like
from skhalfway._rounding import round_towards
from skhalfway._text import shown
from skhalfway.models import as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._faults import classes_of
from skhalfway.models._input_spec import reader_of

LABELS = ("random", "next")
BASES = ("data", "noise")


def trainable(estimator: Any) -> Any:
    """The estimator to clone and train, which is the inner one of a FrozenEstimator."""
    check_kind(estimator)
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if counts_as_fitted(estimator):
        raise TypeError(
            f"estimator must be trainable on the perturbed samples, but {type(estimator).__name__} counts as "
            "fitted; pass it as source, and as estimator a classifier with fit (skorch makes one from a "
            "torch module)"
        )
    return estimator


def check_source(source: Any, X: Any, array: NDArray[Any], labels: NDArray[Any]) -> None:
    """Raise where a source is no classifier, or a fitted one that does not fit this data."""
    check_kind(source)
    if not counts_as_fitted(source):
        return
    model = as_model(source)
    read_samples(reader_of(model), X, reset=model.n_features_in_ is None)
    check_labels(labels, classes_of(model, array), len(array))


def read_labels(y: Any, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The classes, and the index among them of each sample's label."""
    classes, truth = np.unique(read_targets(y, len(X)), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y must hold at least 2 classes, since samples are perturbed towards another class; got one "
            f"class, {shown(classes)}"
        )
    return classes, truth


def other_labels(
    truth: NDArray[np.intp], n_classes: int, labels: str, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Target class indices other than the true ones: random ones, or the next."""
    step = rng.randint(1, n_classes, size=len(truth)) if labels == "random" else 1
    return (truth + step) % n_classes


def uniform_noise(
    X: NDArray[Any], clip_values: Any, n_samples: int, rng: np.random.RandomState
) -> NDArray[Any]:
    """Samples that are uniform in ``clip_values``, else in the range of each feature, in X's float type."""
    low, high = (X.min(axis=0), X.max(axis=0)) if clip_values is None else clip_values
    low, high = (np.broadcast_to(np.asarray(bound, dtype=float), X.shape[1:]) for bound in (low, high))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        range_ = (
            "X holds NaN" if clip_values is None else f"the generator has clip_values={shown(clip_values)}"
        )
        raise ValueError(
            f"base='noise' is uniform in a finite range, but {range_}; give the generator finite clip_values"
        )
    noise = np.empty((n_samples, *X.shape[1:]), dtype=X.dtype)
    for block in blocks(n_samples, low.size):
        draw = rng.uniform(low, high, size=noise[block].shape).clip(low, high)
        # rounded towards the middle, since a shorter float type may round a draw beyond its bound
        noise[block] = round_towards(draw, (low + high) / 2, X.dtype)
    return noise


def check_start(labels: Any, base: Any, n_noise: Any) -> None:
    """Raise ValueError unless the parameters define the samples to perturb and their targets."""
    for name, value, allowed in (("labels", labels, LABELS), ("base", base, BASES)):
        check_choice(name, value, allowed)
    if base == "noise" and labels != "random":
        raise ValueError(
            f"labels={shown(labels)} needs the samples' own labels, which base='noise' does not have; "
            "use labels='random'"
        )
    if n_noise is not None and (
        not isinstance(n_noise, Integral) or isinstance(n_noise, bool) or n_noise < 1
    ):
        raise ValueError(f"n_noise must be None or an integer >= 1, got {shown(n_noise)}")
    if n_noise is not None and base != "noise":
        raise ValueError(
            f"n_noise={shown(n_noise)} is allowed with base='noise' only, got base={shown(base)}"
        )


def start(
    data: Any,
    array: NDArray[Any],
    truth: NDArray[np.intp],
    classes: NDArray[Any],
    *,
    labels: str,
    base: str,
    n_noise: int | None,
    clip_values: Any,
    rng: np.random.RandomState,
) -> tuple[Any, NDArray[np.intp]]:
    """Samples to perturb, and the target class index of each."""
    if base == "data":
        samples, assigned = data, other_labels(truth, len(classes), labels, rng)
    else:
        n = len(array) if n_noise is None else int(n_noise)
        samples = uniform_noise(array, clip_values, n, rng)
        if data is not array:
            samples = table_like(data, samples)
        assigned = rng.randint(len(classes), size=n)
    unused = np.setdiff1d(np.arange(len(classes)), assigned)
    if len(unused):
        raise ValueError(
            f"no target of {len(assigned)} samples is {shown(classes[unused])}, so these cannot be "
            "learned; use more samples or another random_state"
        )
    return samples, assigned
