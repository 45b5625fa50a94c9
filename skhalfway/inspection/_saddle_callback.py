"""SaddleCallback: the saddle index of a skorch net during its training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from skhalfway._text import shown
from skhalfway.inspection._saddle import SaddleIndex, check_options, find_saddle
from skhalfway.inspection._saddle_history import SaddleHistory
from skhalfway.results import Provenance
from skhalfway.training._callback import arrays_of, model_of
from skhalfway.training._recording import Recording


class SaddleCallback(Recording):
    """Record :func:`saddle_index` of a skorch net while it is trained.

    It does not change training: the weights are those of a training without it. All records use the same
    random vectors.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), default=None
        Samples on which the loss is measured. None uses the training samples of the net.
    y : array-like of shape (n_samples,), default=None
        Their labels, encoded as for the net.
    every : int, default=1
        Number of epochs between two records. The net is always recorded before training and at its end.
    tol, method, n_probes, n_steps
        Options of :func:`saddle_index`.
    random_state : int, RandomState instance or None, default=None
        Source of the random vectors.

    Attributes
    ----------
    history_ : SaddleHistory
        Index, loss and norm of the gradient by epoch, available when training has ended. ``partial_fit``
        continues it, and ``fit`` starts a new one.

    See Also
    --------
    saddle_history : The same for ``MLPClassifier``.
    skhalfway.training.HalfwayCallback : Records crossings of decision boundaries during training.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skorch import NeuralNetClassifier
    >>> from skhalfway.inspection import SaddleCallback
    >>> X, y = load_iris(return_X_y=True)
    >>> _ = torch.manual_seed(0)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)),
    ...     criterion=torch.nn.CrossEntropyLoss,
    ...     lr=0.1,
    ...     max_epochs=20,
    ...     callbacks=[("saddle", SaddleCallback(X[::3], y[::3], every=10))],
    ...     verbose=0,
    ... )
    >>> net = net.fit(X.astype(np.float32), y)
    >>> dict(net.callbacks_)["saddle"].history_.epochs
    array([ 0., 10., 20.])
    """

    _kept = "history_"
    history_: SaddleHistory

    def __init__(
        self,
        X: Any = None,
        y: Any = None,
        *,
        every: int = 1,
        tol: float = 1e-4,
        method: str = "auto",
        n_probes: int = 4,
        n_steps: int = 200,
        random_state: Any = None,
    ) -> None:
        self.X = X
        self.y = y
        self.every = every
        self.tol = tol
        self.method = method
        self.n_probes = n_probes
        self.n_steps = n_steps
        self.random_state = random_state

    def _begin(self, dataset_train: Any) -> None:
        check_options(self.tol, self.method, self.n_probes, self.n_steps)
        if (self.X is None) != (self.y is None):
            name, other = ("y", "X") if self.y is None else ("X", "y")
            raise ValueError(
                f"X and y must both be given, or neither; got {other}={shown(getattr(self, other))} "
                f"without {name}"
            )
        given = self.X is not None
        self.data_ = (self.X, self.y) if given else arrays_of(dataset_train, "SaddleCallback")

    def _record(self, net: Any) -> SaddleIndex:
        return find_saddle(
            model_of(net).module,
            *self.data_,
            tol=self.tol,
            method=self.method,
            n_probes=self.n_probes,
            n_steps=self.n_steps,
            random_state=self.seed_,
        )

    def _result(self) -> SaddleHistory:
        history = SaddleHistory.of(list(self.records_.values()), list(self.records_))
        origin = Provenance("SaddleCallback", self.get_params(), n_samples=len(self.data_[0]))
        return replace(history, provenance=origin)
