"""Unsupervised pre-training: hidden layers learned one after another, as denoising autoencoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from torch import nn
from torch.nn.functional import mse_loss

from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.inspection._initial import initial_mlp
from skhalfway.models._training import seeded, seeded_clone
from skhalfway.models._type_checks import is_skorch_net
from skhalfway.structure._chain import Chain

_RATE, _BATCH = 0.001, 32
_ACTIVATIONS = {"none": nn.Identity(), "relu": nn.ReLU(), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh()}
_OF_MLP = {"identity": "none", "relu": "relu", "logistic": "sigmoid", "tanh": "tanh"}


class Pretraining(NamedTuple):
    """How hidden layers are pre-trained: epochs for each, and the share of its inputs that is set to 0."""

    n_epochs: int
    noise: float


class _Dense(NamedTuple):
    """A hidden layer; its weights, of shape (n_outputs, n_inputs), may share memory with those of the net."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    activation: str


def first_weights(
    net: Any, X: NDArray[Any], y: NDArray[Any], first: int, pretraining: Pretraining | None, seed: int
) -> Any:
    """An untrained network with the initial weights of its seed, pre-trained or not."""
    if is_skorch_net(net):
        if pretraining is not None:
            pretrain_net(net, X, pretraining, seed)
        return net
    begun = untrained_mlp(net, X, y, first)
    if pretraining is not None:
        pretrain_mlp(begun, X, pretraining, seed)
    return begun


def check_pretraining(estimator: Any, X: NDArray[Any]) -> None:
    """Raise ValueError where a network has no hidden layers that can be pre-trained on the samples."""
    if not is_skorch_net(estimator):
        if not np.size(estimator.hidden_layer_sizes):
            raise ValueError("pretraining trains hidden layers, but the estimator has hidden_layer_sizes=()")
        if X.ndim != 2:
            raise ValueError(f"MLPClassifier takes X with two axes, got shape {X.shape}")
        return
    net = seeded_clone(estimator, 0)
    with seeded(net, 0):
        net.initialize()
        _dense_layers(net, int(np.prod(X.shape[1:])))


def _dense_layers(net: Any, n_inputs: int) -> list[_Dense]:
    """Hidden layers of an initialised skorch net."""
    name, module = type(net).__name__, net.module_
    try:
        layers = Chain(net).dense
    except ValueError as error:
        raise ValueError(f"pretraining='autoencoder' needs a chain of dense layers: {error}") from error
    if len(layers) < 2:
        raise ValueError(
            f"pretraining='autoencoder' trains hidden layers, but {name} has none; pass a network of two "
            "dense layers or more"
        )
    parts: list[Any] = [module.get_submodule(layer.name) for layer in layers]
    ends = [n_inputs, *(part.out_features for part in parts)]
    for layer, part, n_before in zip(layers, parts, ends, strict=False):
        if part.in_features != n_before:
            raise ValueError(
                f"pretraining='autoencoder' needs each layer to take the outputs of the one before it, but "
                f"{n_before} values become {part.in_features} inputs of {shown(layer.name)} in {name}"
            )
    known = {id(weight) for part in parts for weight in part.parameters(False)}
    if others := [key for key, weight in module.named_parameters() if id(weight) not in known]:
        raise ValueError(
            f"pretraining='autoencoder' takes dense layers only, but {name} also has {shown(others)}; remove "
            "normalisations and other parts with weights"
        )
    for layer in layers[:-1]:
        if layer.activation not in _ACTIVATIONS:
            raise ValueError(
                f"pretraining='autoencoder' takes the activations {list(_ACTIVATIONS)}, but "
                f"{shown(layer.name)} of {name} has {shown(layer.activation)}"
            )
    hidden = zip(layers[:-1], parts[:-1], strict=True)
    return [_Dense(part.weight, part.bias, layer.activation) for layer, part in hidden]


def pretrain_net(net: Any, X: NDArray[Any], pretraining: Pretraining, seed: int) -> None:
    """Pre-train the hidden layers of an initialised skorch net as autoencoders of X."""
    layers = _dense_layers(net, int(np.prod(X.shape[1:])))
    _pretrain(layers, torch.as_tensor(X.reshape(len(X), -1)).to(layers[0].weight), pretraining, seed)


def untrained_mlp(estimator: MLPClassifier, X: NDArray[Any], y: NDArray[Any], seed: int) -> MLPClassifier:
    """An untrained perceptron with the initial weights of a seed, to be trained with ``partial_fit``."""
    initial = initial_mlp(estimator, X, y, seed)
    initial.set_params(**seeded_clone(estimator, seed).get_params())
    # reset to the state before training, so that partial_fit makes a new optimiser
    del initial._optimizer
    initial.t_, initial.n_iter_, initial.loss_curve_ = 0, 0, []
    initial.best_loss_, initial._no_improvement_count = np.inf, 0
    return initial


def pretrain_mlp(mlp: MLPClassifier, X: NDArray[Any], pretraining: Pretraining, seed: int) -> None:
    """Pre-train the hidden layers of an initialised perceptron as autoencoders of X."""
    kind = _OF_MLP[mlp.activation]
    # these share the memory of the perceptron's arrays
    hidden = zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True)
    layers = [_Dense(torch.from_numpy(w).T, torch.from_numpy(b), kind) for w, b in hidden]
    _pretrain(layers, torch.as_tensor(X).to(layers[0].weight), pretraining, seed)


def _pretrain(layers: list[_Dense], X: torch.Tensor, pretraining: Pretraining, seed: int) -> None:
    """Train one layer after another, each on the activations of the layer before it."""
    rng = np.random.RandomState(seed)
    for layer in layers:
        activation = _ACTIVATIONS[layer.activation]
        autoencoder = DenoisingAutoencoder(layer.weight, layer.bias, activation)
        generator = torch.Generator().manual_seed(draw_seed(rng))
        with torch.enable_grad():
            autoencoder.learn(X, pretraining, generator)
        with torch.no_grad():
            layer.weight.copy_(autoencoder.weight)
            if layer.bias is not None:
                layer.bias.copy_(autoencoder.bias)
            X = autoencoder.encoded(X)


class DenoisingAutoencoder(nn.Module):
    """Reconstructs samples x from inputs with some values set to 0: ``W.T @ activation(W @ x + b) + c``."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, activation: nn.Module) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        begin = weight.new_zeros(len(weight)) if bias is None else bias.detach().clone()
        # a layer without a bias keeps a bias of 0
        self.bias = nn.Parameter(begin, requires_grad=bias is not None)
        self.offset = nn.Parameter(weight.new_zeros(weight.shape[1]))
        self.activation = activation

    def encoded(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(x @ self.weight.T + self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoded(x) @ self.weight + self.offset

    def learn(self, X: torch.Tensor, pretraining: Pretraining, generator: torch.Generator) -> None:
        """Minimise, with Adam, the mean squared error of samples reconstructed from masked inputs."""
        optimizer = torch.optim.Adam(self.parameters(), lr=_RATE)
        for rows in _batches(len(X), pretraining.n_epochs, generator):
            x = X[rows.to(X.device)]
            seen = torch.rand(x.shape, generator=generator).to(x) >= pretraining.noise
            loss = mse_loss(self(x * seen), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _batches(n_samples: int, n_epochs: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    for _ in range(n_epochs):
        yield from torch.randperm(n_samples, generator=generator).split(_BATCH)
