"""Networks to be trained: checks of their data, and the weights that training starts with."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch.callbacks import Callback
from skorch.classifier import NeuralNetBinaryClassifier, NeuralNetClassifier

from skhalfway._inputs import check_finite
from skhalfway.inspection._splits import check_makes_module, read_split
from skhalfway.models._training import seeded_clone, train
from skhalfway.models._type_checks import kind_of

# a learning rate so small that rounding leaves every weight unchanged
_NO_STEP = float(np.finfo(float).tiny)


def read_trainable(
    estimator: Any, X: Any, y: Any, X_test: Any, y_test: Any
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Checked samples and labels to train a network with, under ``""``, and to test it, under ``"test "``."""
    split = read_split(estimator, X, y, X_test, y_test)
    if isinstance(estimator, (NeuralNetClassifier, NeuralNetBinaryClassifier)):
        check_makes_module(estimator)
    elif not isinstance(estimator, MLPClassifier):
        raise TypeError(
            "an untrained network is needed: a skorch classifier or an MLPClassifier; "
            f"got {kind_of(estimator)}"
        )
    parts = {"": (split.X, split.y)}
    check_finite(split.X, "X")
    if split.X_test is not None and split.y_test is not None:
        check_finite(split.X_test, "X_test")
        parts["test "] = split.X_test, split.y_test
    return parts


def train_from_initial(estimator: Any, X: Any, y: Any, seed: int) -> tuple[Any, Any]:
    """The network with its initial weights, and the trained one that ``train`` returns for the same seed."""
    if isinstance(estimator, MLPClassifier):
        return initial_mlp(estimator, X, y, seed), train(estimator, X, y, seed)
    recorded = clone(estimator)
    # attributes, since skorch's set_params fails where callbacks are disabled
    if recorded.callbacks == "disable":
        recorded.callbacks, recorded.verbose = [], 0  # skorch's own are then silent, and draw no numbers
    recorded.callbacks = [*(recorded.callbacks or []), _FirstState()]
    trained = train(recorded, X, y, seed)
    (first,) = (callback for _, callback in trained.callbacks_ if isinstance(callback, _FirstState))
    initial = deepcopy(trained)
    initial.module_.load_state_dict(first.state_)
    return initial, trained


class _FirstState(Callback):
    """Keeps the state of a module just before its first batch, after all other callbacks."""

    def initialize(self) -> _FirstState:
        self.state_: Any = None
        return self

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if training and self.state_ is None:
            self.state_ = {name: value.clone() for name, value in net.module_.state_dict().items()}


def initial_mlp(estimator: MLPClassifier, X: Any, y: Any, seed: int) -> MLPClassifier:
    """The perceptron with the initial weights of its training, which do not depend on the solver.

    It is fitted for one epoch, with steps so small that every weight is rounded back to itself.
    """
    still = {"solver": "sgd", "learning_rate": "constant", "learning_rate_init": _NO_STEP, "momentum": 0.0}
    once = {"max_iter": 1, "early_stopping": False, "shuffle": False, "batch_size": "auto", "verbose": False}
    initial = seeded_clone(estimator, seed).set_params(**still, **once)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it must not move at all
        return initial.fit(X, y)
