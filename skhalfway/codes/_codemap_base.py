"""Base of CodeMap: checks of parameters, tags, routing of metadata, and random streams."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skhalfway._checks import check_choice, check_integer, check_random_state
from skhalfway._randomness import draw_seed
from skhalfway.codes._maps import check_shape
from skhalfway.codes._network import POOLINGS, check_layers, check_network
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._routing import FitRouter


class CodeMapBase(FitRouter, TransformerMixin, BaseEstimator):
    """A transformer of samples into codes, a column for each layer."""

    estimator: Any
    layers: Any
    shape: tuple[int, int]
    n_iter: int
    pooling: str
    random_state: Any
    layers_: list[str]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns of ``transform``, which are the layers.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of input features. If given, they must be those seen in ``fit``.

        Returns
        -------
        names : ndarray of shape (n_layers,)
            Names of the layers.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X, y).get_feature_names_out().tolist()
        ['activation_1', 'layer_1']
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(self.layers_, dtype=object)

    def _fitted_by_name(self) -> dict[str, Any]:
        return {"estimator": self.estimator}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "maps_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not counts_as_fitted(self.estimator)
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check_params(self) -> None:
        check_kind(self.estimator)
        check_network(self.estimator)
        check_shape(self.shape)
        check_integer("n_iter", self.n_iter)
        check_choice("pooling", self.pooling, POOLINGS)
        check_layers(self.layers)

    def _stream(self) -> np.random.RandomState:
        """A separate random stream, so that noise does not repeat data that was drawn with the same seed."""
        return np.random.RandomState(draw_seed(check_random_state(self.random_state)))
