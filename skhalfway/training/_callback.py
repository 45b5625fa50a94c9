"""HalfwayCallback: a TrainingHistory of a skorch net."""

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

FIGURES = ("accuracy", "deviation", "boundary_distance", "crossed")  # agreement is known at the end only


class HalfwayCallback(Callback):
    """Record the crossings of a skorch net while it is trained.

    On pairs of the training samples (not of those that skorch's
    ``train_split`` keeps for validation), drawn as training begins and the
    same throughout. Training is not disturbed: weights come out as they do
    without it.

    Figures also go to ``net.history``, as floats, where skorch's PrintLog shows
    them and other callbacks can follow them: ``halfway_accuracy``,
    ``halfway_deviation``, ``halfway_boundary_distance`` and
    ``halfway_crossed``, which are those of :meth:`TrainingHistory.to_frame`,
    nan at epochs that are not recorded; and ``halfway_deviation_best``, true
    where the deviation is smaller than ever before, for
    ``Checkpoint(monitor="halfway_deviation_best")``.

    Parameters
    ----------
    n_pairs : int, default=500
        Random pairs, and nearest ones: as many of each; at most the number of
        training samples.
    every : int, default=1
        Epochs between two records. The net as it is before training and at
        its end is always recorded.
    tol : float, default=1e-3
        Largest error of a crossing; see :func:`skhalfway.halfway.crossings`.
    random_state : int, RandomState instance or None, default=None
        Draws the pairs.

    Attributes
    ----------
    history_ : TrainingHistory
        Deviation, agreement with the final net, distance of the boundary and
        accuracy; there once training has ended. ``partial_fit`` continues it,
        on the same pairs; ``fit`` begins anew.

    See Also
    --------
    halfway_history : The same for estimators with ``partial_fit``.

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
        """Forget what was recorded.

        Returns
        -------
        self : HalfwayCallback
            As it was made.
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
            What it is trained on.
        **kwargs : dict
            Ignored.

        Raises
        ------
        TypeError
            If the data has no labels, or is not samples in one array.
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
        """Record the net, where it is time, and write figures to its history.

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
        """Record the net that came out, and keep the history.

        Parameters
        ----------
        net : NeuralNetClassifier
            The trained net.
        **kwargs : dict
            Ignored.
        """
        if self.recorder_ is None:  # no epoch
            return
        if self.recorder_.epochs[-1] < len(net.history):
            self.recorder_.record(model_of(net), len(net.history))
            self._write(net)
        origin = Provenance("HalfwayCallback", self.get_params())
        self.history_: TrainingHistory = TrainingHistory(**self.recorder_.arrays(), provenance=origin)
        self.history_._warn_unknown()

    def _write(self, net: Any) -> None:
        """Figures of the epoch to the net's history: nan where it was not recorded."""
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
    """The net without skorch's data loaders, which take an order of magnitude longer than the module."""
    if not hasattr(net, "classes_"):  # it learns from a dataset that skorch asks for no labels
        return as_model(to_module(net))
    # labels are columns: as_model has made sure, and the training data may lack some
    return as_model(as_model(net).module)


def arrays_of(dataset: Any, who: str) -> tuple[Any, Any]:
    """X and y of what skorch trains on."""
    try:
        X, y = data_from_dataset(dataset)
    except AttributeError:  # it has no X and y
        with undisturbed():
            X, y = read_dataset(dataset, "the training data")
    if y is None or isinstance(X, (dict, list, tuple)):
        raise TypeError(
            f"{who} needs samples in one array and their labels, got {type(X).__name__} "
            f"and {type(y).__name__}"
        )
    return X, y
