"""The Model of skorch nets, and of estimators that end in one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.models._model import Model
from skhalfway.models._net_input import converts
from skhalfway.models._type_checks import net_dtype


class SkorchModel(Model):
    """A skorch net, or an estimator that ends in one."""

    in_torch = True

    def __init__(self, estimator: Any, classes: NDArray[Any] | None, net: Any) -> None:
        super().__init__(estimator, classes)
        self._net = net
        self._converting: bool | None = None

    def _indices(self, predictions: Any, n_samples: int) -> NDArray[np.intp]:
        # skorch predicts column numbers, whatever the labels
        if np.shape(predictions) != (n_samples,):
            raise ValueError(
                f"{self._told} predicts an array of shape {np.shape(predictions)} for {n_samples} samples; "
                "its predict must return one label for each sample"
            )
        return np.asarray(predictions).astype(np.intp)

    def _flat(self, x: Any) -> Any:
        # a net alone takes images as they are; an estimator with a number of features takes rows
        return x if self.n_features_in_ is None else super()._flat(x)

    def _arrange(self, X: Any) -> Any:
        X = super()._arrange(X)
        return X if self._frame is not None or self.converts(X) else X.astype(net_dtype(self._net))

    def converts(self, X: Any) -> bool:
        """Whether steps before the net convert samples to its float type; determined once."""
        if self._converting is None:
            self._converting = converts(self.estimator, self._net, X)
        return self._converting
