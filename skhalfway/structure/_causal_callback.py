"""CausalCallback: the causal structure of a skorch net during its training."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhalfway.results import Provenance
from skhalfway.structure._causal import FIGURES, CausalStructure
from skhalfway.structure._causal_layers import measure_all
from skhalfway.structure._chain import Chain
from skhalfway.structure._information import Bits
from skhalfway.structure._noise import read_wirings
from skhalfway.training._recording import Recording


class CausalCallback(Recording):
    """Record :func:`causal_structure` of a skorch net while it is trained.

    It does not change training: the weights are those of a training without it. All records use the same
    noise.

    Parameters
    ----------
    every : int, default=1
        Number of epochs between two records. The net is always recorded before training and at its end.
    input_range, ranges, n_bins, joint, correction
        Options of :func:`causal_structure`.
    n_samples : int, default=10000
        Number of noise samples for each record.
    random_state : int, RandomState instance or None, default=None
        Source of the noise.

    Attributes
    ----------
    structure_ : CausalStructure
        Figures by epoch and layer, available when training has ended. ``partial_fit`` continues it, and
        ``fit`` starts a new one.

    See Also
    --------
    causal_structure : The same for a network that is trained already.
    skhalfway.training.HalfwayCallback : Records crossings of decision boundaries during training.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skorch import NeuralNetClassifier
    >>> from skhalfway.structure import CausalCallback
    >>> X, y = load_iris(return_X_y=True)
    >>> _ = torch.manual_seed(0)
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Sigmoid(), torch.nn.Linear(5, 3)),
    ...     criterion=torch.nn.CrossEntropyLoss,
    ...     lr=0.1,
    ...     max_epochs=20,
    ...     callbacks=[("causal", CausalCallback(every=10, joint="never", random_state=0))],
    ...     verbose=0,
    ... )
    >>> net = net.fit(X.astype(np.float32) / 8, y)
    >>> dict(net.callbacks_)["causal"].structure_.epochs
    array([ 0., 10., 20.])
    """

    _kept = "structure_"
    structure_: CausalStructure

    def __init__(
        self,
        *,
        every: int = 1,
        input_range: Any = (0, 1),
        ranges: Any = None,
        n_bins: int = 8,
        n_samples: int = 10_000,
        joint: str = "auto",
        correction: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.every = every
        self.input_range = input_range
        self.ranges = ranges
        self.n_bins = n_bins
        self.n_samples = n_samples
        self.joint = joint
        self.correction = correction
        self.random_state = random_state

    def _record(self, net: Any) -> list[Bits]:
        wirings = read_wirings(Chain(net.module_), self.input_range, self.ranges)
        self.layers_ = tuple(wirings)
        return measure_all(
            wirings,
            np.random.RandomState(self.seed_),
            n_bins=self.n_bins,
            n_samples=self.n_samples,
            joint=self.joint,
            correction=self.correction,
            warns=not self.records_,  # for the first record only
        )

    def _result(self) -> CausalStructure:
        bits = list(self.records_.values())
        figures = {name: np.array([[getattr(one, name) for one in row] for row in bits]) for name in FIGURES}
        return CausalStructure(
            self.layers_,
            **figures,
            epochs=np.array(list(self.records_), dtype=float),
            provenance=Provenance("CausalCallback", self.get_params()),
        )
