"""HalfwayCallback: records a TrainingHistory of a skorch net."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback
from skorch.utils import data_from_dataset

from skhalfway._datasets import read_dataset
from skhalfway._inputs import check_labels
from skhalfway._randomness import undisturbed
from skhalfway.boundaries._path_points import read_points
from skhalfway.models import Model, as_model, to_module
from skhalfway.results import Provenance
from skhalfway.training._recorder import Recorder
from skhalfway.training._training import TrainingHistory

FIGURES = ("accuracy", "deviation", "boundary_distance", "crossed")  # agreement is only known at the end


class HalfwayCallback(Callback):
    """Callback that records the crossings of a skorch net while it is trained.

    A crossing is the point on the segment between two samples at which the
    net's prediction changes. The pairs of samples are drawn from the training
    samples (without those that skorch's ``train_split`` keeps for validation)
    when training begins, and stay the same. The callback does not affect
    training: the weights are the same without it.

    It also writes floats to ``net.history``, where skorch's PrintLog shows
    them and other callbacks can use them: ``halfway_accuracy``,
    ``halfway_deviation``, ``halfway_boundary_distance`` and
    ``halfway_crossed``, as in :meth:`TrainingHistory.to_frame`, or nan at
    epochs that are not recorded. ``halfway_deviation_best`` is true if the
    deviation is smaller than ever before, for
    ``Checkpoint(monitor="halfway_deviation_best")``.

    Parameters
    ----------
    n_pairs : int, default=500
        Number of random pairs, and number of nearest pairs; at most the number
        of training samples.
    every : int, default=1
        Number of epochs between two records. The net before training and the
        net at the end are always recorded.
    tol : float, default=1e-3
        Largest error of a crossing; see :func:`skhalfway.halfway.crossings`.
    random_state : int, RandomState instance or None, default=None
        Seed of the pairs.

    Attributes
    ----------
    history_ : TrainingHistory
        Deviation, agreement with the final net, distance of the boundary and
        accuracy. It exists once training has ended. ``partial_fit`` continues
        it, with the same pairs; ``fit`` starts a new one.

    See Also
    --------
    halfway_history : Records estimators with ``partial_fit``.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skorch import NeuralNetClassifier
    >>> from skhalfway.training import HalfwayCallback
    >>> X, y = load_iris(return_X_y=True)
    >>> _ = torch.manual_seed(0)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear(4, 3),
    ...     criterion=torch.nn.CrossEntropyLoss,
    ...     lr=0.1,
    ...     max_epochs=20,
    ...     callbacks=[("halfway", HalfwayCallback(n_pairs=100, every=10, random_state=0))],
    ...     verbose=0,
    ... )
    >>> net = net.fit(X.astype(np.float32), y)
    >>> dict(net.callbacks_)["halfway"].history_.epochs
    array([ 0., 10., 20.])
    >>> [round(accuracy, 2) for accuracy in net.history[9::10, "halfway_accuracy"]]
    [0.66, 0.66]
    """

    def __init__(
        self, *, n_pairs: int = 500, every: int = 1, tol: float = 1e-3, random_state: Any = None
    ) -> None:
        self.n_pairs = n_pairs
        self.every = every
        self.tol = tol
        self.random_state = random_state

    def initialize(self) -> HalfwayCallback:
        """Delete all records.

        Returns
        -------
        self : HalfwayCallback
            This object, in its initial state.
        """
        self.recorder_: Recorder | None = None
        if hasattr(self, "history_"):
            del self.history_
        return self

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Before the first epoch, draw the pairs and record the net as it is.

        Parameters
        ----------
        net : NeuralNetClassifier
            The net in training.
        dataset_train : Dataset
            Training data.
        **kwargs : dict
            Ignored.

        Raises
        ------
        TypeError
            If the data has no labels, or its samples are not in one array.
        """
        if self.recorder_ is not None:
            return
        X, y = arrays_of(dataset_train, "HalfwayCallback")
        points = read_points(BaseEstimator(), X, reset=True)
        model = model_of(net)
        with undisturbed():
            classes = np.arange(model.n_outputs(points))
        self.recorder_ = Recorder(points, check_labels(y, classes, len(points)), **self.get_params())
        self.recorder_.record(model, len(net.history) - 1)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the net, if a record is due, and write to its history.

        Parameters
        ----------
        net : NeuralNetClassifier
            The net in training.
        **kwargs : dict
            Ignored.
        """
        assert self.recorder_ is not None
        if (len(net.history) - self.recorder_.epochs[0]) % self.every == 0:
            self.recorder_.record(model_of(net), len(net.history))
        self._write(net)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Record the final net, and keep the history.

        Parameters
        ----------
        net : NeuralNetClassifier
            The trained net.
        **kwargs : dict
            Ignored.
        """
        if self.recorder_ is None:  # training had no epoch
            return
        if self.recorder_.epochs[-1] < len(net.history):
            self.recorder_.record(model_of(net), len(net.history))
            self._write(net)
        origin = Provenance("HalfwayCallback", self.get_params())
        self.history_: TrainingHistory = TrainingHistory(**self.recorder_.arrays(), provenance=origin)
        self.history_._warn_unknown()

    def _write(self, net: Any) -> None:
        """Write the epoch's values to the net's history; nan if the epoch was not recorded."""
        assert self.recorder_ is not None
        found = dict.fromkeys(FIGURES, np.nan)
        if self.recorder_.epochs[-1] == len(net.history):
            latest = TrainingHistory(**self.recorder_.arrays(-1))
            found = {name: float(getattr(latest, name)[0]) for name in FIGURES}
        before = [row.get("halfway_deviation", np.nan) for row in net.history[:-1]]
        best = found["deviation"] < min((value for value in before if value == value), default=np.inf)
        for name, value in found.items():
            net.history.record(f"halfway_{name}", value)
        net.history.record("halfway_deviation_best", bool(best))


def model_of(net: Any) -> Model:
    """The Model of the net without skorch's data loaders, which are ten times slower than the module."""
    if not hasattr(net, "classes_"):  # skorch does not read the labels of a dataset
        return as_model(to_module(net))
    # as_model checks that labels are column numbers; the training data may lack some of them
    return as_model(as_model(net).module)


def arrays_of(dataset: Any, who: str) -> tuple[Any, Any]:
    """X and y of skorch's training data."""
    try:
        X, y = data_from_dataset(dataset)
    except AttributeError:  # the dataset has no X and y
        with undisturbed():
            X, y = read_dataset(dataset, "the training data")
    if y is None or isinstance(X, (dict, list, tuple)):
        raise TypeError(
            f"{who} needs samples in one array and their labels, got {type(X).__name__} "
            f"and {type(y).__name__}; fit the net on these"
        )
    return X, y
