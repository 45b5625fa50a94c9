"""scikit-learn's multi-layer perceptrons."""

from __future__ import annotations

from collections import OrderedDict

from sklearn.neural_network import MLPClassifier
from torch import nn

from skhalfway.models._linear import dense_layer
from skhalfway.models._registry import NotDifferentiableError, register_module

_ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


@register_module(MLPClassifier)
def mlp(estimator: MLPClassifier) -> nn.Module:
    if estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1:
        raise NotDifferentiableError("a multilabel MLPClassifier has no single class to attack")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (weight, bias) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True)):
        if i > 0:
            layers[f"activation_{i}"] = _ACTIVATIONS[estimator.activation]()
        layers[f"layer_{i}"] = dense_layer(weight.T, bias)
    return nn.Sequential(layers)
