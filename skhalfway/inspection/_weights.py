"""The weights of fitted networks, of skorch, torch and scikit-learn, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

from skhalfway._text import shown
from skhalfway.models._as_model import as_model
from skhalfway.models._type_checks import is_skorch_net, is_torch_module, kind_of

Weights = dict[str, NDArray[Any]]


def weights_of(network: Any) -> Weights:
    """Copies of a fitted network's weights, by name; the first axis of a matrix or kernel is its outputs."""
    inner = _network(network)
    if isinstance(inner, MLPClassifier):
        return {
            f"{name}.{i}": np.array(array.T if name == "coefs" else array)
            for i in range(len(inner.coefs_))
            for name, array in (("coefs", inner.coefs_[i]), ("intercepts", inner.intercepts_[i]))
        }
    module = inner.module_ if is_skorch_net(inner) else inner
    return {name: weight.detach().cpu().numpy().copy() for name, weight in module.named_parameters()}


def with_weights(network: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    """A copy of a fitted network with other weights; the network itself is not changed."""
    own = weights_of(network)
    shapes = {name: weight.shape for name, weight in own.items()}
    given = {name: weight.shape for name, weight in weights.items()}
    if shapes != given:
        raise ValueError(f"the network has weights of shapes {shown(shapes)}, got {shown(given)}")
    copy = deepcopy(network)
    inner = _network(copy)
    if isinstance(inner, MLPClassifier):
        for name, weight in weights.items():
            kind, i = name.split(".")
            array = weight.T if kind == "coefs" else weight
            getattr(inner, f"{kind}_")[int(i)] = array.astype(own[name].dtype)
        return copy
    import torch

    module = inner.module_ if is_skorch_net(inner) else inner
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(np.array(weights[name])))
    return copy


def _network(network: Any) -> Any:
    """The network that holds the weights, behind any FrozenEstimator; TypeError where there is none."""
    while isinstance(network, FrozenEstimator):
        network = network.estimator
    if is_skorch_net(network) or isinstance(network, MLPClassifier):
        as_model(network)  # raises where it is not fitted
    elif not is_torch_module(network):
        raise TypeError(
            "a network with weights is needed: a skorch classifier, an MLPClassifier or a torch module; "
            f"got {kind_of(network)}"
        )
    return network
