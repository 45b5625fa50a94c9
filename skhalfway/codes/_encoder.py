"""Encoder: turns samples into codes, from a network's activations to the nearest units of maps."""

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
    """A fitted network, some of its layers, and a map of each.

    Attributes
    ----------
    layers : list of str
        Names of the layers; with ``"auto"``, they are chosen by a forward pass of a sample.
    maps : dict of str to LayerMap
        Their maps, available after :meth:`fit`.
    """

    def __init__(self, estimator: Any, layers: Any, pooling: str, X: NDArray[Any]) -> None:
        self._estimator, self._pooling = estimator, pooling
        self.layers: list[str] = named(type(estimator).__name__, Network(estimator).layers, layers, X)
        self.maps: dict[str, LayerMap] = {}

    def fit(
        self, X: NDArray[Any], shape: tuple[int, int], n_iter: int, rng: np.random.RandomState
    ) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Fit a map to the activations of each layer; return the samples used and their codes.

        Where there are more samples than steps, ``n_iter`` samples are drawn.
        """
        if len(X) > n_iter:
            X = X[rng.permutation(len(X))[:n_iter]]
        given = joined(self.activations(X))
        self.maps = {
            name: LayerMap(activations, shape, n_iter, draw_seed(rng)) for name, activations in given.items()
        }
        return X, self.codes_of(given)

    def activations(self, X: NDArray[Any]) -> Iterator[Activations]:
        """Activations of the layers, yielded batch by batch."""
        return Network(self._estimator).activations(X, self.layers, self._pooling)

    def codes(self, X: NDArray[Any]) -> NDArray[np.intp]:
        """Codes of samples, (n_samples, n_layers)."""
        return np.concatenate([self.codes_of(batch) for batch in self.activations(X)])

    def codes_of(self, activations: Activations) -> NDArray[np.intp]:
        """Codes of activations, (n_samples, n_layers)."""
        return np.stack([part.codes(activations[name]) for name, part in self.maps.items()], axis=1)
