"""Training and test samples, read and checked for an estimator that is not trained yet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import check_labels, check_no_categories, read_samples, read_targets
from skhalfway._text import shown
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._input_spec import reader_named
from skhalfway.models._type_checks import inner_skorch_net, net_dtype


class Split(NamedTuple):
    """Training samples and labels, and test samples and labels, which may be None."""

    X: NDArray[Any]
    y: NDArray[Any]
    X_test: NDArray[Any] | None
    y_test: NDArray[Any] | None


def read_split(
    estimator: Any, X: Any, y: Any, X_test: Any = None, y_test: Any = None, *, needs_test: bool = False
) -> Split:
    """Checked samples and labels; for a skorch net, in its float type and with labels encoded as 0, 1, ..."""
    check_kind(estimator)
    if counts_as_fitted(estimator):
        raise TypeError(
            f"an unfitted classifier is needed, to be cloned and trained, but {type(estimator).__name__} "
            "counts as fitted"
        )
    if not hasattr(estimator, "predict"):
        raise TypeError(f"a classifier is needed, but {type(estimator).__name__} has no predict")
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test belong together: give both or neither")
    if needs_test and X_test is None:
        raise ValueError("X_test and y_test are needed, to score networks with; got None")
    net = inner_skorch_net(estimator)
    reader = reader_named(type(estimator).__name__)

    def read(samples: Any, name: str) -> NDArray[Any]:
        check_no_categories(samples, name)
        array = read_samples(reader, samples, reset=name == "X", name=name)
        return array if net is None else array.astype(net_dtype(net))

    def as_learned(indices: NDArray[np.intp]) -> NDArray[Any]:
        return classes[indices] if net is None else indices.astype(_label_dtype(net))

    X = read(X, "X")
    classes, indices = np.unique(read_targets(y, len(X)), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got {shown(classes)}")
    if X_test is None:
        return Split(X, as_learned(indices), None, None)
    X_test = read(X_test, "X_test")
    if X_test.shape[1:] != X.shape[1:]:
        raise ValueError(f"X has samples of shape {X.shape[1:]}, X_test of shape {X_test.shape[1:]}")
    indices_test = check_labels(y_test, classes, len(X_test), name="y_test")
    return Split(X, as_learned(indices), X_test, as_learned(indices_test))


def _label_dtype(net: Any) -> str:
    from skorch.classifier import NeuralNetBinaryClassifier

    # the binary loss takes floats from 0 to 1, the loss for several classes takes column numbers
    return net_dtype(net) if isinstance(net, NeuralNetBinaryClassifier) else "int64"


def check_trains_on_all(estimator: Any) -> None:
    """Raise ValueError where an estimator would hold samples back from training."""
    net = inner_skorch_net(estimator)
    if net is not None:
        if net.train_split is not None:
            raise ValueError(
                "the net holds samples back from training, for validation; pass train_split=None to "
                f"{type(net).__name__}, so that it trains on all of X"
            )
        return
    for name, value in estimator.get_params().items():
        if name.split("__")[-1] == "early_stopping" and value:
            raise ValueError(
                f"{name}={shown(value)} may hold samples back from training; pass {name}=False to "
                f"{type(estimator).__name__}, so that it trains on all of X"
            )


def check_makes_module(net: Any) -> None:
    """Raise ValueError where a skorch net's module is an instance, whose weights no seed can change."""
    from torch import nn

    if isinstance(net.module, nn.Module) and not net.get_params_for("module"):
        raise ValueError(
            "the net's module is an instance already, with weights that are drawn; pass its class, or a "
            f"function that makes it, to {type(net).__name__}, so that weights can be drawn again"
        )
