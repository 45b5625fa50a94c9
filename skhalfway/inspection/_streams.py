"""Networks trained on a stream of samples: first weights and the order of every epoch are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier

from skhalfway._text import shown
from skhalfway.inspection._splits import check_makes_module, check_trains_on_all
from skhalfway.models._kinds import is_skorch_net
from skhalfway.models._training import seeded, seeded_clone

_SOLVERS = ("sgd", "adam")


def check_streams(estimator: Any) -> None:
    """Raise for what is no network whose first weights and order of samples can be given apart."""
    net = is_skorch_net(estimator)
    if not (net and is_classifier(estimator)) and not isinstance(estimator, MLPClassifier):
        raise TypeError(
            "a network is needed, whose first weights are drawn: a skorch classifier or an MLPClassifier; "
            f"got {type(estimator).__name__}"
        )
    check_trains_on_all(estimator)
    if not net:
        if estimator.solver not in _SOLVERS:
            raise ValueError(
                f"solver must be of {list(_SOLVERS)}, which take samples one after another, "
                f"got {shown(estimator.solver)}"
            )
        return
    check_makes_module(estimator)
    own = {"sampler", "batch_sampler"} & estimator.get_params_for("iterator_train").keys()
    if own:
        raise ValueError(
            f"the order of samples is given to the net, which has an iterator_train__{own.pop()}"
        )


def n_epochs_of(estimator: Any) -> int:
    return int(estimator.max_epochs if is_skorch_net(estimator) else estimator.max_iter)


def train_on_stream(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], orders: Iterator[NDArray[Any]], first: int, rest: int
) -> Any:
    """A fitted clone, from a seed for its first weights, one for what else it draws, and rows for each epoch.

    All epochs are trained, unless a skorch net has a callback that stops it.
    """
    fresh = seeded_clone(estimator, first)
    if not is_skorch_net(estimator):
        fresh.set_params(shuffle=False)
        classes = np.unique(y)
        for order in orders:
            # draws nothing but the first weights: rows are not shuffled
            fresh.partial_fit(X[order], y[order], classes=classes)
        return fresh
    fresh.set_params(iterator_train__sampler=_Stream(orders, len(y)), iterator_train__shuffle=False)
    with seeded(fresh, first):
        fresh.initialize()
    with seeded(fresh, rest):
        return fresh.partial_fit(X, y)


class _Stream:
    """A sampler of torch: each time it is gone through, another epoch's order."""

    def __init__(self, orders: Iterator[NDArray[Any]], n_samples: int) -> None:
        self._orders, self._n_samples = orders, n_samples

    def __iter__(self) -> Iterator[int]:
        return iter(next(self._orders).tolist())

    def __len__(self) -> int:
        return self._n_samples
