"""Labelled samples, to train on and to score with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from skhalfway._checks import check_integer
from skhalfway._inputs import check_labels, read_samples
from skhalfway._randomness import undisturbed
from skhalfway._text import shown
from skhalfway.inspection._splits import check_makes_module
from skhalfway.models import as_model
from skhalfway.models._kinds import inner_skorch_net


def read_labelled(X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples as floats, rows or images, and a label for each."""
    array, labels = read_samples(BaseEstimator(), X, reset=True), column_or_1d(y)
    check_consistent_length(array, labels)
    assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    return array, labels


def read_test(
    X_test: Any, y_test: Any, X: NDArray[Any], classes: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples of the same shape as those of ``X``, and labels among ``classes``."""
    array, labels = read_labelled(X_test, y_test)
    if array.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"samples of X_test have shape {array.shape[1:]}, those of X have {X.shape[1:]}; "
            "both must be prepared in the same way"
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
    """Raise ValueError where it is no number, or where repeats would begin with the same weights."""
    check_integer("n_repeats", n_repeats)
    net = inner_skorch_net(estimator)
    if net is not None and n_repeats > 1:
        check_makes_module(net)


def answers_of(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    """The labels that a fitted classifier gives; the column numbers of a torch module."""
    model = as_model(estimator)
    with undisturbed():  # the loaders of torch draw a number whenever they are gone through
        answers = model.predict(X)
    return answers if model.classes_ is None else model.classes_[answers]
