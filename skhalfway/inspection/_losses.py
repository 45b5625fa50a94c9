"""The loss of a network as a function of its weights: values, curvature, and random directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.base import BaseEstimator
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from skhalfway._inputs import check_finite, check_labels, read_samples
from skhalfway._randomness import undisturbed
from skhalfway._text import shown
from skhalfway.codes._network import check_network, steps_before
from skhalfway.inspection._weights import weights_of
from skhalfway.models import as_model
from skhalfway.models._faults import classes_of
from skhalfway.models._outputs import columns_of
from skhalfway.models._torch import place_of, two_columns

Tensors = dict[str, torch.Tensor]

_BATCH = 1024  # samples that go through the network at once
_TOL = 1e-4  # relative, of an eigenvalue


class Loss:
    """Mean cross-entropy and accuracy of a network on samples, at its own weights and at any others.

    The network is in evaluation mode: there is no dropout, and batch normalisation uses its running
    statistics. Penalties are left out. The network may be the last step of a Pipeline, whose other steps then
    transform the samples.

    Attributes
    ----------
    weights : dict of str to Tensor
        The network's own weights; the first axis of a matrix or kernel is its outputs.
    statistics : dict of str to Tensor
        Its floating-point buffers, such as the running statistics of batch normalisation.
    """

    def __init__(self, network: Any, X: Any, y: Any, *, precise: bool = False) -> None:
        *around, network = check_network(network)
        weights_of(network)  # raises where it is not fitted
        for steps in steps_before(around):
            X = steps.transform(X)
        model = as_model(network)
        X = read_samples(BaseEstimator(), X, reset=True)
        check_finite(X, "X")
        labels = check_labels(y, classes_of(model, X), len(X))
        with undisturbed():  # a DataLoader draws random numbers even where it does not shuffle
            model.predict(X[:1])  # raises where the width is wrong
        if model.module is None:
            raise TypeError(f"the network's logits are needed: {model.why_black_box}")
        self._module = deepcopy(model.module).eval()
        if precise:
            self._module.double()
        self.weights = detached(self._module.named_parameters())
        self.statistics = {
            name: value
            for name, value in detached(self._module.named_buffers()).items()
            if value.is_floating_point()
        }
        x = torch.tensor(X, **place_of(self._module))
        self._x = x.flatten(1) if model.n_features_in_ is not None else x
        self._y = torch.tensor(labels, device=x.device)

    def at(self, state: Mapping[str, torch.Tensor]) -> tuple[float, float]:
        """Mean cross-entropy and accuracy with the weights and buffers in ``state``; others are its own."""
        total = right = 0.0
        with torch.no_grad():
            for logits, y in self._logits(state):
                total += cross_entropy(logits.double(), y, reduction="sum").item()
                right += (logits.argmax(1) == y).sum().item()
        return total / len(self._y), right / len(self._y)

    def moved(self, *steps: tuple[float, Mapping[str, torch.Tensor]]) -> tuple[float, float]:
        """Mean cross-entropy and accuracy after steps along directions from the network's weights."""
        weights = {
            name: weight + sum(size * direction[name] for size, direction in steps)
            for name, weight in self.weights.items()
        }
        return self.at(weights)

    def curvature(self, rng: np.random.RandomState) -> float:
        """Largest eigenvalue of the Hessian of the mean cross-entropy, by ARPACK's Lanczos method.

        It needs products of the Hessian with vectors only, so the matrix itself is never computed.
        """
        n = sum(weight.numel() for weight in self.weights.values())
        hessian = LinearOperator((n, n), matvec=self.hessian_product, dtype=np.float64)
        begin = rng.standard_normal(n)
        return float(eigsh(hessian, k=1, which="LA", v0=begin, tol=_TOL, return_eigenvectors=False)[0])

    @torch.enable_grad()
    def hessian_product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """The Hessian of the mean cross-entropy at the network's own weights, times a vector."""
        weights = {name: weight.clone().requires_grad_() for name, weight in self.weights.items()}
        parts = list(weights.values())
        sizes = [part.numel() for part in parts]
        pieces = torch.as_tensor(vector.ravel()).to(parts[0]).split(sizes)
        total = np.zeros(sum(sizes))
        for logits, y in self._logits(weights):
            loss = cross_entropy(logits, y, reduction="sum") / len(self._y)
            gradient = torch.autograd.grad(loss, parts, create_graph=True, materialize_grads=True)
            along = sum(
                (slope.flatten() * piece).sum() for slope, piece in zip(gradient, pieces, strict=True)
            )
            second = torch.autograd.grad(along, parts, materialize_grads=True)
            total += torch.cat([part.flatten() for part in second]).double().cpu().numpy()
        return total

    @torch.enable_grad()
    def gradient_norm(self) -> float:
        """Norm of the gradient of the mean cross-entropy at the network's own weights."""
        weights = {name: weight.clone().requires_grad_() for name, weight in self.weights.items()}
        total = torch.zeros(1)
        for logits, y in self._logits(weights):
            loss = cross_entropy(logits, y, reduction="sum") / len(self._y)
            found = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
            total = total.to(found[0]) + torch.cat([part.flatten() for part in found])
        return float(total.norm())

    def _logits(self, state: Mapping[str, torch.Tensor]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for x, y in zip(self._x.split(_BATCH), self._y.split(_BATCH), strict=True):
            output = functional_call(self._module, dict(state), (x,))
            yield two_columns(columns_of(output, len(x), type(self._module).__name__)), y


def filter_normalised(weights: Mapping[str, torch.Tensor], rng: np.random.RandomState) -> Tensors:
    """A random direction whose filters have the norms of the network's; it is 0 for weights of one axis.

    Li et al., "Visualizing the loss landscape of neural nets", 2018: d_ij <- d_ij ||w_ij|| / ||d_ij|| for
    filter j of layer i, and 0 for biases and batch normalisation, as in their code (``biasbn``). A filter
    holds the weights of one output, an entry of the first axis.
    """
    if all(weight.ndim < 2 for weight in weights.values()):
        raise ValueError(f"the network has no weights of more than one axis, only {shown(list(weights))}")
    direction = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        drawn = torch.as_tensor(rng.standard_normal(tuple(weight.shape)), device=weight.device).flatten(1)
        norm = weight.flatten(1).double().norm(dim=1, keepdim=True)
        direction[name] = (drawn * norm / drawn.norm(dim=1, keepdim=True)).reshape(weight.shape).to(weight)
    return direction


def detached(tensors: Iterator[tuple[str, torch.Tensor]]) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors}
