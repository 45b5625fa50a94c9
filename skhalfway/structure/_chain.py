"""Chain: the layers of a network in which each layer takes the output of the one before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from torch import fx, nn

from skhalfway._text import brief, shown
from skhalfway.codes._network import check_network
from skhalfway.models import to_module
from skhalfway.models._graph import traced
from skhalfway.models._type_checks import is_skorch_net
from skhalfway.models._views import evaluation_view

DENSE, CONVOLUTION, POOLING = "dense", "convolution", "pooling"
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_PASSING = (nn.Identity, nn.Flatten, nn.Unflatten, nn.modules.dropout._DropoutNd)
# names of functions and methods of tensors, by what they do
_RESHAPING = {"flatten", "view", "reshape", "contiguous", "squeeze", "dropout", "dropout1d", "dropout2d"}
_ASKING = {"size", "dim", "numel", "getattr", "getitem", "len", "mul", "floordiv"}
_ACTIVATIONS = {"relu": "relu", "relu_": "relu", "sigmoid": "sigmoid", "sigmoid_": "sigmoid"}
_ACTIVATIONS |= {"tanh": "tanh", "tanh_": "tanh", "softmax": "softmax", "log_softmax": "softmax"}


@dataclass
class Layer:
    """A layer with weights, or a pooling, with its normalisation and activation.

    Attributes
    ----------
    name : str
        Name as in ``named_modules()``.
    kind : {"dense", "convolution", "pooling"}
        Kind of layer.
    part : nn.Module
        The layer itself.
    weight : ndarray or None
        Weights (n_outputs, n_inputs) of a dense layer, or kernels of a convolution, including a batch
        normalisation that follows.
    bias : ndarray or None
        Biases (n_outputs,), including a batch normalisation that follows.
    activation : str
        ``"none"``, ``"relu"``, ``"sigmoid"``, ``"tanh"``, ``"softmax"``, or the name of another activation.
    """

    name: str
    kind: str
    part: nn.Module = field(repr=False)
    weight: NDArray[np.float64] | None = field(default=None, repr=False)
    bias: NDArray[np.float64] | None = field(default=None, repr=False)
    activation: str = "none"


class Chain:
    """The layers of a fitted network in which each layer takes the output of the one before it.

    Parameters
    ----------
    estimator : object
        A torch module, skorch classifier or MLPClassifier; a Pipeline, search or FrozenEstimator of one.

    Raises
    ------
    TypeError
        If the estimator is no network.
    ValueError
        If layers skip others or run several times, the kind of a layer is not supported, or weights are not
        finite.
    """

    def __init__(self, estimator: Any) -> None:
        inner, own = module_of(estimator)
        self.name = type(inner).__name__
        module = evaluation_view(own)
        # a network that is a single layer gets a name for it
        self._parts = nn.Sequential(module) if not any(module.children()) else module
        self.layers: list[Layer] = []
        self._last: fx.Node | None = None
        for node in self._graph().nodes:
            self._follow(node)
        for layer in self.layers:
            if layer.weight is not None:
                check_weights(f"layer {layer.name!r} of {self.name}", layer.weight, layer.bias)
        if not self.layers:
            raise ValueError(f"{self.name} has no dense layers or convolutions; pass a network with some")

    @property
    def dense(self) -> list[Layer]:
        """The layers; ValueError unless all of them are dense."""
        for layer in self.layers:
            if layer.kind != DENSE:
                raise ValueError(
                    f"layers must be dense, but {layer.name!r} of {self.name} is a "
                    f"{type(layer.part).__name__}; pass a network of nn.Linear layers, or the last part of "
                    "this one as a separate module"
                )
        return self.layers

    def _graph(self) -> fx.Graph:
        try:
            return traced(self._parts)
        except Exception as error:  # a user's forward may raise anything when traced
            raise ValueError(
                f"the order of the layers of {self.name} is unknown, since torch.fx cannot trace it "
                f"({brief(error, 100)}); put them into a torch.nn.Sequential"
            ) from error

    def _follow(self, node: fx.Node) -> None:
        """Process the next node of the graph."""
        name = _name_of(node)
        if node.op == "placeholder":
            self._last = node
        if node.op == "output":
            self._returned(node)
        if node.op in ("placeholder", "output", "get_attr") or name in _ASKING:
            return
        before = [
            one for one in node.all_input_nodes if _name_of(one) not in _ASKING and one.op != "get_attr"
        ]
        if before != [self._last] or node.args[:1] != (self._last,):
            raise ValueError(
                f"{self.name} is no chain of layers: {shown(name or str(node.target))} does not take just "
                "the output of the layer before it; pass a part that is a chain, as a module"
            )
        self._last = node
        if node.op == "call_module":
            self._add(str(node.target), self._parts.get_submodule(str(node.target)))
        elif name in _ACTIVATIONS:
            self._activated(_ACTIVATIONS[name])
        elif name not in _RESHAPING:
            self._refuse(name)

    def _returned(self, node: fx.Node) -> None:
        """Raise ValueError where the returned value, or the first of several, is not the chain's output."""
        given = node.args[0]
        if isinstance(given, dict) and given:
            given = given.get("logits", next(iter(given.values())))
        elif isinstance(given, (list, tuple)) and given:
            given = given[0]
        if given is not self._last:
            what = shown(_name_of(given) or str(given.target)) if isinstance(given, fx.Node) else shown(given)
            raise ValueError(
                f"{self.name} is no chain of layers: it returns {what}, not the output of its last "
                "layer; pass the part that is a chain, as a module"
            )

    def _add(self, name: str, part: nn.Module) -> None:
        if any(layer.name == name for layer in self.layers):
            raise ValueError(
                f"layer {shown(name)} of {self.name} runs several times for one sample; pass a network in "
                "which each layer runs once"
            )
        if isinstance(part, (nn.Linear, *_CONVOLUTIONS)):
            kind = DENSE if isinstance(part, nn.Linear) else CONVOLUTION
            bias = None if part.bias is None else _array(part.bias)
            self.layers.append(Layer(name, kind, part, _array(part.weight), bias))
        elif isinstance(part, _POOLINGS):
            self.layers.append(Layer(name, POOLING, part))
        elif isinstance(part, _NORMALISATIONS):
            self._normalised(name, part)
        elif type(part).__module__ == "torch.nn.modules.activation":
            kind = type(part).__name__.lower()
            self._activated({"logsoftmax": "softmax"}.get(kind, kind))
        elif not isinstance(part, _PASSING):
            self._refuse(f"{name}, a {type(part).__name__}")

    def _activated(self, name: str) -> None:
        if self.layers:
            self.layers[-1].activation = name

    def _normalised(self, name: str, part: Any) -> None:
        """Fold a batch normalisation into the weights of the layer before it."""
        layer = self.layers[-1] if self.layers else None
        if layer is None or layer.weight is None or layer.activation != "none" or part.running_var is None:
            self._refuse(
                f"{name}, a {type(part).__name__} that does not follow a layer with weights directly"
            )
        assert layer is not None and layer.weight is not None
        scale = 1 / np.sqrt(_array(part.running_var) + part.eps)
        shift = -_array(part.running_mean) * scale
        if part.weight is not None:
            scale, shift = scale * _array(part.weight), shift * _array(part.weight) + _array(part.bias)
        layer.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias = shift + (0.0 if layer.bias is None else layer.bias * scale)

    def _refuse(self, what: str) -> None:
        raise ValueError(
            f"{self.name} holds {what}, which is not supported; a network may hold dense layers, "
            "convolutions, poolings, batch normalisations, activations and dropout, one after another"
        )


def module_of(estimator: Any) -> tuple[Any, nn.Module]:
    """The network that an estimator is or ends in, and its torch module."""
    inner = check_network(estimator)[-1]
    if not is_skorch_net(inner):
        return inner, to_module(inner)
    if not hasattr(inner, "module_"):
        raise NotFittedError(
            f"this {type(inner).__name__} has no module yet; call fit, or initialize for random weights"
        )
    return inner, inner.module_


def check_weights(whose: str, *weights: NDArray[np.float64] | None) -> None:
    """Raise ValueError where weights are nan or infinite."""
    if any(weight is not None and not np.isfinite(weight).all() for weight in weights):
        raise ValueError(
            f"{whose} has weights that are nan or inf; check the training data, and train the network again"
        )


def _name_of(node: fx.Node) -> str:
    if node.op == "call_module":
        return ""
    return str(node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.target))


def _array(values: torch.Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().numpy().copy()
