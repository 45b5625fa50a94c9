"""How samples become codes: through a network's layers, to the nearest units of their maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._randomness import draw_seed
from skhalfway.codes._maps import LayerMap
from skhalfway.codes._network import Activations, Network, joined
from skhalfway.models._faults import named


class Encoder:
    """A fitted network, layers of it, and a map of each.

    Attributes
    ----------
    layers : list of str
        Names of the layers; ``"auto"`` is told by how a sample goes through the network.
    maps : dict of str to LayerMap
        Their maps, once :meth:`fit` was called.
    """

    def __init__(self, estimator: Any, layers: Any, pooling: str, X: NDArray[Any]) -> None:
        self._estimator, self._pooling = estimator, pooling
        self.layers: list[str] = named(type(estimator).__name__, Network(estimator).layers, layers, X)
        self.maps: dict[str, LayerMap] = {}

    def fit(
        self, X: NDArray[Any], shape: tuple[int, int], n_iter: int, rng: np.random.RandomState
    ) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Fit a map to what each layer gives; of more samples than steps, as many are drawn.

        Returns these, and their codes.
        """
        if len(X) > n_iter:
            X = X[rng.permutation(len(X))[:n_iter]]
        given = joined(self.activations(X))
        self.maps = {
            name: LayerMap(activations, shape, n_iter, draw_seed(rng)) for name, activations in given.items()
        }
        return X, self.codes_of(given)

    def activations(self, X: NDArray[Any]) -> Iterator[Activations]:
        """What the layers give for a batch of samples; batch after batch."""
        return Network(self._estimator).activations(X, self.layers, self._pooling)

    def codes(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Codes of samples, (n_samples, n_layers)."""
        return np.concatenate([self.codes_of(batch) for batch in self.activations(X)])

    def codes_of(self, activations: Activations) -> NDArray[np.intp]:
        """Codes of what the layers gave, (n_samples, n_layers)."""
        return np.stack([part.codes(activations[name]) for name, part in self.maps.items()], axis=1)
