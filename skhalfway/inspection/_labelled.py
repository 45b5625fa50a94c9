"""Labelled samples for training and for scoring, read and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skhalfway._checks import check_integer
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels, read_samples, read_targets
from skhalfway._randomness import undisturbed
from skhalfway._text import shown
from skhalfway.inspection._splits import check_makes_module
from skhalfway.models import as_model
from skhalfway.models._faults import answers, type_named
from skhalfway.models._type_checks import inner_skorch_net


@takes_datasets
def read_labelled(X: Any, y: Any, suffix: str = "") -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples as floats (rows or images), and a label for each."""
    array = read_samples(BaseEstimator(), X, reset=True, name=f"X{suffix}")
    return array, read_targets(y, len(array), name=f"y{suffix}")


@takes_datasets
def read_test(
    X_test: Any, y_test: Any, X: NDArray[Any], classes: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples of the same shape as those of ``X``, and labels among ``classes``."""
    array, labels = read_labelled(X_test, y_test, "_test")
    if array.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"samples of X_test have shape {array.shape[1:]}, those of X have {X.shape[1:]}; "
            "preprocess both in the same way"
        )
    check_labels(labels, classes, len(array), name="y_test")
    return array, labels


def check_net_labels(estimator: Any, classes: NDArray[Any]) -> None:
    """Raise ValueError where a skorch net, which predicts column numbers, would be given other labels."""
    if inner_skorch_net(estimator) is not None and not np.array_equal(classes, np.arange(len(classes))):
        raise ValueError(
            f"{type(estimator).__name__} predicts column numbers, so it needs the labels 0, 1, ..., got "
            f"{shown(classes)}; encode them with sklearn.preprocessing.LabelEncoder"
        )


def check_repeats(estimator: Any, n_repeats: Any) -> None:
    """Raise ValueError where n_repeats is no integer, or where repeats would start with the same weights."""
    check_integer("n_repeats", n_repeats)
    net = inner_skorch_net(estimator)
    if net is not None and n_repeats > 1:
        check_makes_module(net)


def answers_of(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    """The labels that a fitted classifier predicts; column numbers for a torch module."""
    model = as_model(estimator)
    with undisturbed():  # torch's data loaders draw a random number at each pass
        indices = type_named(model, answers, model, X)
    return indices if model.classes_ is None else model.classes_[indices]
