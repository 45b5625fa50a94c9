"""Inputs of a capacity study, read and checked: data, plans of networks, and the attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from skhalfway._checks import ascending_integers
from skhalfway._inputs import check_finite, check_labels, read_samples, read_targets
from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._parameters import check_unattached
from skhalfway.attacks._per_sample import params_of_rows
from skhalfway.structure._stages import Stages


@dataclass(frozen=True)
class Task:
    """Data and options that all networks of a study share."""

    X: NDArray[np.float32]
    y: NDArray[np.intp]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.intp]
    generator: AdversarialGenerator
    n_steps: int
    n_epochs: int
    batch_size: int
    learning_rate: float


def read_data(X: Any, y: Any, X_test: Any, y_test: Any) -> tuple[Any, Any, Any, Any]:
    """Samples as float32, and labels as class indices."""
    train, test = (
        read_samples(BaseEstimator(), array, reset=True, name=name)
        for array, name in ((X, "X"), (X_test, "X_test"))
    )
    check_finite(train)
    check_finite(test, "X_test")
    if train.ndim not in (2, 4):
        raise ValueError(
            "X must hold rows, (n_samples, n_features), or images, (n_samples, n_channels, height, width), "
            f"got shape {train.shape}"
        )
    if test.shape[1:] != train.shape[1:]:
        raise ValueError(f"X has samples of shape {train.shape[1:]}, X_test of shape {test.shape[1:]}")
    classes, labels = np.unique(read_targets(y, len(train)), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got {shown(classes)}")
    indices = check_labels(y_test, classes, len(test), name="y_test")
    return (
        train.astype(np.float32),
        labels.astype(np.int64),
        test.astype(np.float32),
        indices.astype(np.int64),
    )


def plans_of(data: tuple[Any, Any, Any, Any], n_parameters: Any, depths: Any, ratios: Any) -> list[Stages]:
    """Plans of the networks, ordered by budget."""
    budgets = ascending_integers("n_parameters", np.atleast_1d(n_parameters))
    layers = ascending_integers("depths", np.atleast_1d(depths))
    if budgets[0] < 1 or layers[0] < 1:
        raise ValueError(
            f"n_parameters and depths must be integers >= 1, got {shown(n_parameters)} and {shown(depths)}"
        )
    kept = np.atleast_1d(np.asarray(ratios))
    numbers = kept.ndim == 1 and kept.size and kept.dtype.kind in "iuf"
    if not numbers or not (np.isfinite(kept) & (kept > 0)).all() or len(set(kept.tolist())) < kept.size:
        raise ValueError(f"ratios must be different numbers above 0, got {shown(ratios)}")
    shape, n_classes = data[0].shape[1:], int(data[1].max()) + 1
    plans = []
    for budget in budgets:
        for depth in layers:
            alone = depth == 1 and len(shape) == 1
            for ratio in [1.0] if alone else sorted(map(float, kept)):
                plans.append(Stages(shape, n_classes, int(depth), ratio, int(budget)))
                plans[-1].widths()
    return plans


def own_attack(
    generator: AdversarialGenerator | None, data: tuple[Any, Any, Any, Any]
) -> AdversarialGenerator:
    """A clone of the generator; ValueError where it cannot attack the data of a study."""
    check_unattached(generator, "the networks of the study are attacked")
    made = AdversarialGenerator() if generator is None else clone(generator)
    if made.norm not in (np.inf, 2, 1):
        raise ValueError(
            f"generator.norm must be inf, 2 or 1, since networks are trained with PGD; got {shown(made.norm)}"
        )
    for X in (data[0], data[2]):
        # parameters with an entry per sample cannot be used for batches, whether or not their number fits
        if params_of_rows(made, slice(None), X.shape):
            raise ValueError(
                "budgets and masks with an entry for each sample are not allowed, since both training and "
                "test samples are attacked; pass one for all samples, or one for each feature"
            )
    return made
