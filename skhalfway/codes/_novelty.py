"""Novelty: how far a sample's codes are from those of training samples with the same predicted class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import brief
from skhalfway.codes._encoder import Encoder
from skhalfway.codes._homogeneity import contingency
from skhalfway.codes._maps import grid_distances
from skhalfway.models import as_model


class ClassCodes:
    """Codes of training samples by their predicted class.

    Parameters
    ----------
    estimator : object
        The fitted network.
    encoder : Encoder
        Its layers and their maps.
    X : ndarray of shape (n_samples, ...)
        The training samples.
    codes : ndarray of shape (n_samples, n_layers)
        Their codes.
    shape : (int, int)
        Rows and columns of each map.
    """

    def __init__(
        self,
        estimator: Any,
        encoder: Encoder,
        X: NDArray[Any],
        codes: NDArray[np.intp],
        shape: tuple[int, int],
    ) -> None:
        self._estimator, self._encoder, self._shape = estimator, encoder, shape
        # a network without classes (a decoder, for example) has codes too; only novelty needs classes
        self._without: str | None = None
        try:
            predicted = as_model(estimator).predict(X)
        except (TypeError, ValueError) as error:
            self._without = brief(error)
        else:
            self._counts = contingency(codes, predicted, shape[0] * shape[1])

    def distances(self, X: NDArray[Any], share: float) -> NDArray[np.float64]:
        """Distances (n, n_layers) from each code within which a share of the samples of its class lies.

        ValueError where the network does not predict classes.
        """
        if self._without is not None:
            raise ValueError(f"novelty needs a network that predicts classes, but: {self._without}")
        codes, predicted = self._encoder.codes(X), as_model(self._estimator).predict(X)
        units = np.arange(self._shape[0] * self._shape[1])
        apart = grid_distances(units[:, None], units[None], self._shape)
        nearest_first = np.argsort(apart, axis=1, kind="stable")
        rising = np.take_along_axis(apart, nearest_first, axis=1)
        reach = np.full((*self._counts.shape[:2], max(self._counts.shape[2], predicted.max() + 1)), np.inf)
        for layer, counts in enumerate(self._counts):
            # for each unit, numbers of samples of each class among its nearest units
            within = counts[nearest_first].cumsum(axis=1)
            # the factor corrects rounding: .05 of 140 samples are 7, although the product is a little more
            wanted = np.maximum(1, np.ceil(share * counts.sum(axis=0) * (1 - 1e-12)))
            first = (within >= wanted).argmax(axis=1)
            known = counts.any(axis=0)
            reach[layer, :, : len(known)][:, known] = np.take_along_axis(rising, first[:, known], axis=1)
        return np.stack([reach[i, codes[:, i], predicted] for i in range(codes.shape[1])], axis=1)
