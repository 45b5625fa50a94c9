"""Predictions and scores of estimators, checked and brought into one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import positions
from skhalfway._text import shown

_LARGEST = 1e300


def indices_of(predictions: Any, n_samples: int, classes: NDArray[Any], told: str) -> NDArray[np.intp]:
    """Class indices of predicted labels; ``told`` is the name of the model in messages."""
    predictions = np.asarray(predictions)
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]
    if predictions.ndim == 2:
        raise ValueError(
            f"{told} predicts several outputs (shape {predictions.shape}); "
            "only single-output classifiers are supported"
        )
    if predictions.shape != (n_samples,):
        raise ValueError(
            f"{told} predicts an array of shape {predictions.shape} for {n_samples} samples; "
            "its predict must return one label for each sample"
        )
    indices = positions(predictions, classes)
    if (indices < 0).any():
        raise ValueError(
            f"{told} predicts {shown(predictions[indices < 0][:3])}, not among its classes_ {shown(classes)}"
        )
    return indices


def checked_scores(scores: NDArray[np.float64], X: Any, told: str) -> NDArray[np.float64]:
    """Scores without infinite values; raises if there is not one number for each sample and class."""
    n_samples = np.shape(X)[0]
    if scores.ndim != 2 or len(scores) != n_samples:
        raise ValueError(
            f"{told} gives scores of shape {scores.shape} for {n_samples} samples; "
            "a score for each sample and class is needed"
        )
    undefined = np.isnan(scores).any(axis=1)
    if undefined.any():
        in_X = "X, which holds nan" if _holds_nan(X) else "its computation, since X holds none"
        alone = ""
        if len(scores) == 1 and not _holds_nan(X):
            alone = (
                ". It got a single sample, and statistics of a batch, such as x.std(dim=0), need several: "
                "let it use those of its training data"
            )
        raise ValueError(
            f"{told} gives scores that are nan for {undefined.sum()} of {len(scores)} samples "
            f"(the first is sample {undefined.argmax()}); look for the reason in {in_X}{alone}"
        )
    return scores.clip(-_LARGEST, _LARGEST)


def _holds_nan(X: Any) -> bool:
    array = np.asarray(X)
    return bool(np.isnan(array).any()) if array.dtype.kind == "f" else True


def decides_by_pairs(estimator: Any) -> bool:
    """Whether decision values belong to pairs of classes; for three classes, shapes do not tell."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return getattr(estimator, "decision_function_shape", "ovr") == "ovo"
