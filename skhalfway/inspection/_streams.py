"""Training with given initial weights and a given order of the samples in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier

from skhalfway._randomness import undisturbed
from skhalfway._text import shown
from skhalfway.inspection._splits import check_makes_module, check_trains_on_all
from skhalfway.models._training import seeded, seeded_clone
from skhalfway.models._type_checks import is_skorch_net, kind_of

_SOLVERS = ("sgd", "adam")


def check_streams(estimator: Any) -> None:
    """Raise unless it is a network whose initial weights and order of samples can be set separately."""
    net = is_skorch_net(estimator)
    if not (net and is_classifier(estimator)) and not isinstance(estimator, MLPClassifier):
        raise TypeError(
            "a network with random initial weights is needed: a skorch classifier or an MLPClassifier; "
            f"got {kind_of(estimator)}"
        )
    check_trains_on_all(estimator)
    if not net:
        if estimator.solver not in _SOLVERS:
            raise ValueError(
                f"solver must be of {list(_SOLVERS)}, which train on batches of samples, "
                f"got {shown(estimator.solver)}"
            )
        return
    check_makes_module(estimator)
    own = {"sampler", "batch_sampler"} & estimator.get_params_for("iterator_train").keys()
    if own:
        raise ValueError(
            f"the order of samples is set here, but the net has its own iterator_train__{own.pop()}; "
            "remove that"
        )


def n_epochs_of(estimator: Any) -> int:
    return int(estimator.max_epochs if is_skorch_net(estimator) else estimator.max_iter)


def train_on_stream(
    estimator: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    orders: Iterator[NDArray[Any]],
    first: int,
    rest: int,
    *,
    begin: Callable[[Any], Any] | None = None,
    note: Callable[[Any], None] | None = None,
) -> Any:
    """A clone trained with seed ``first`` for initial weights, ``rest`` for all else, and an order per epoch.

    All epochs are trained, unless a skorch net has a callback that stops it. ``begin`` takes the untrained
    clone, and returns the network to train; an MLPClassifier has no weights yet, a net has its initial ones.
    ``note`` is called with the network before the first epoch and after each.
    """
    fresh = seeded_clone(estimator, first)
    if not is_skorch_net(estimator):
        if begin is not None:
            fresh = begin(fresh)
        fresh.set_params(shuffle=False)
        classes = np.unique(y)
        if note is not None:
            note(fresh)
        for order in orders:
            # rows are not shuffled, so it draws nothing but the initial weights
            fresh.partial_fit(X[order], y[order], classes=classes)
            if note is not None:
                note(fresh)
        return fresh
    fresh.set_params(iterator_train__sampler=_Stream(orders, len(y)), iterator_train__shuffle=False)
    with seeded(fresh, first):
        fresh.initialize()
    if begin is not None:
        fresh = begin(fresh)
    if note is not None:
        fresh.callbacks_.append(("note", _noting(note)))
    with seeded(fresh, rest):
        return fresh.partial_fit(X, y)


def _noting(note: Callable[[Any], None]) -> Any:
    from skorch.callbacks import Callback

    class Noting(Callback):
        def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
            if not net.history[:-1]:  # the first epoch; before it, the net does not know its classes
                with undisturbed():
                    note(net)

        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            with undisturbed():  # a net draws random numbers even in prediction
                note(net)

    return Noting()


class _Stream:
    """A sampler for torch whose every pass yields the order of the next epoch."""

    def __init__(self, orders: Iterator[NDArray[Any]], n_samples: int) -> None:
        self._orders, self._n_samples = orders, n_samples

    def __iter__(self) -> Iterator[int]:
        return iter(next(self._orders).tolist())

    def __len__(self) -> int:
        return self._n_samples
