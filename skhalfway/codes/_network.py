"""A fitted network: the torch module inside an estimator, its layers, and their activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from skhalfway._inputs import Frame, check_finite, read_samples
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.models import Model, as_model, to_module
from skhalfway.models._as_model import counts_as_fitted, fit_clone
from skhalfway.models._training import train
from skhalfway.models._type_checks import is_skorch_net, is_torch_module

if TYPE_CHECKING:
    import torch
    from torch import nn

POOLINGS = ("mean", "max", "flatten")
_BATCH = 256

Activations = dict[str, NDArray[Any]]


class Network:
    """The torch module that a fitted estimator is or ends in, with the preprocessing before it.

    Parameters
    ----------
    estimator : object
        A torch module, skorch classifier or MLPClassifier; a Pipeline, search or FrozenEstimator of one.
    """

    def __init__(self, estimator: Any) -> None:
        self._model = as_model(estimator)
        *around, inner = check_network(estimator)
        self._before = steps_before(around)
        self._module = _view_of(inner.module_ if is_skorch_net(inner) else to_module(inner))
        self._name = type(inner).__name__
        self._parts = {name: part for name, part in self._module.named_modules() if name}
        if not self._parts:
            raise ValueError(
                f"{self._name} has no named layers; make them attributes of a module, "
                "or put them into a torch.nn.Sequential"
            )

    def layers(self, layers: Any, X: Any) -> list[str]:
        """Checked names of layers; ``"auto"`` chooses them by a forward pass of the first sample."""
        if isinstance(layers, str):
            return self._automatic(X)
        if missing := [name for name in layers if name not in self._parts]:
            raise ValueError(f"{self._name} has no layers {shown(missing)}; {self._those_that_exist()}")
        return list(layers)

    def activations(self, X: Any, layers: Sequence[str], pooling: str) -> Iterator[Activations]:
        """Activations of layers, (n_batch, n_features) by name, yielded batch by batch."""
        import torch

        found: Activations = {}
        parts = {name: self._parts[name] for name in layers}

        def note(name: str, output: Any) -> None:
            if name in found:
                raise ValueError(
                    f"layer {shown(name)} runs several times for one sample; name layers that run once: "
                    f"{self._those_that_exist()}"
                )
            found[name] = self._rows(name, output, n_samples, pooling)

        for begin in range(0, len(X), _BATCH):
            x = self._tensor(X, slice(begin, begin + _BATCH))
            n_samples = len(x)
            found.clear()
            with self._evaluating(), torch.no_grad(), _hooked(parts, note):
                self._module(x)
            if idle := [name for name in layers if name not in found]:
                raise ValueError(
                    f"layers {shown(idle)} of {self._name} do not run when it is called; "
                    f"{self._those_that_exist()}"
                )
            yield {name: found[name] for name in parts}

    def _automatic(self, X: Any) -> list[str]:
        import torch

        leaves = {name: part for name, part in self._parts.items() if not any(part.children())}
        calls: list[str] = []
        x = self._tensor(X, slice(0, 1))
        with self._evaluating(), torch.no_grad(), _hooked(leaves, lambda name, _: calls.append(name)):
            self._module(x)
        once = [name for name in calls if Counter(calls)[name] == 1]
        weighted = [i for i, name in enumerate(once) if _has_weights(leaves[name])]
        if not weighted:
            raise ValueError(
                f"layers='auto' finds no layer with weights in {self._name} that runs once for a sample; "
                f"name layers: {self._those_that_exist()}"
            )
        chosen = []
        for begin, end in pairwise(weighted):
            following = (name for name in once[begin:end] if _is_activation(leaves[name]))
            chosen.append(next(following, once[begin]))
        return [*chosen, once[weighted[-1]]]

    def _tensor(self, X: Any, rows: slice) -> torch.Tensor:
        """Some of the samples, as the tensor that the module takes."""
        import torch

        from skhalfway.models._torch import device_of, weight_dtype

        batch = self._model._arrange(_safe_indexing(X, rows))
        for steps in self._before:
            batch = steps.transform(batch)
        array = batch.toarray() if issparse(batch) else np.asarray(batch)
        dtype = weight_dtype(self._module) or torch.float32
        return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=device_of(self._module))

    def _rows(self, name: str, output: Any, n_samples: int, pooling: str) -> NDArray[Any]:
        """A layer's output with a row for each sample; a copy, since the next layer may work in place."""
        import torch

        if not isinstance(output, torch.Tensor):
            raise TypeError(
                f"layer {shown(name)} of {self._name} returns a {type(output).__name__}, not a tensor; "
                f"name others: {self._those_that_exist()}"
            )
        if output.ndim == 0 or len(output) != n_samples:
            raise ValueError(
                f"layer {shown(name)} of {self._name} returns shape {tuple(output.shape)} for {n_samples} "
                f"samples, which must be its first axis; name others: {self._those_that_exist()}"
            )
        values = output if output.dtype == torch.float64 else output.float()
        if values.ndim > 2 and pooling != "flatten":
            space = values.flatten(2)
            values = space.mean(2) if pooling == "mean" else space.amax(2)
        if not values.isfinite().all():
            raise ValueError(
                f"layer {shown(name)} of {self._name} gives activations that are nan or inf; "
                "check the scale of X and the network's weights"
            )
        return values.reshape(n_samples, -1).cpu().numpy().copy()

    def _evaluating(self) -> Any:
        from skhalfway.models._torch import in_use

        return in_use(self._module)

    def _those_that_exist(self) -> str:
        return f"it has {shown(list(self._parts))}"


def _view_of(module: nn.Module) -> nn.Module:
    from skhalfway.models._views import evaluation_view

    return evaluation_view(module)


def check_network(estimator: Any) -> list[Any]:
    """The chain from an estimator to the network inside it, fitted or not; TypeError where there is none."""
    chain = [estimator]
    while True:
        inner = chain[-1]
        if isinstance(inner, (FrozenEstimator, Model)):
            chain.append(inner.estimator)
        elif isinstance(inner, BaseSearchCV):
            chain.append(getattr(inner, "best_estimator_", inner.estimator))
        elif isinstance(inner, Pipeline):
            chain.append(inner.steps[-1][1])
        elif is_skorch_net(inner) or is_torch_module(inner) or isinstance(inner, MLPClassifier):
            return chain
        else:
            raise TypeError(
                "a network with layers is needed: a torch module, a skorch classifier or an MLPClassifier, "
                f"or a Pipeline that ends in one; got {type(inner).__name__}"
            )


def steps_before(chain: Iterable[Any]) -> list[Pipeline]:
    """What transforms samples on their way to a network, from the chain of :func:`check_network`."""
    return [one[:-1] for one in chain if isinstance(one, Pipeline) and len(one) > 1]


def read_for_network(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any]:
    """Samples as finite numbers, read and checked for an estimator of a network."""
    frame = Frame.of(X)
    if frame is not None:
        raise TypeError(
            f"a network takes numbers, but X has columns of categories: {shown(list(frame.names))}; "
            "encode them"
        )
    array = read_samples(estimator, X, reset=reset)
    check_finite(array)
    return array


def check_layers(layers: Any) -> None:
    """Raise ValueError unless layers is ``"auto"`` or a list of different names."""
    if isinstance(layers, str) and layers == "auto":
        return
    if (
        not isinstance(layers, (list, tuple))
        or not layers
        or not all(isinstance(name, str) for name in layers)
        or len(set(layers)) < len(layers)
    ):
        raise ValueError(f'layers must be "auto" or a list of different names, got {shown(layers)}')


def trained(
    estimator: Any, X: Any, y: Any, rng: np.random.RandomState | None, fit_params: Mapping[str, Any]
) -> Any:
    """The fitted network, or a clone trained on labels, with a seed from ``rng`` if there is one."""
    if counts_as_fitted(estimator):
        return estimator
    if y is None:
        try:
            as_model(estimator)
        except NotFittedError as error:
            raise ValueError(
                "This CodeMap estimator requires y to be passed, but the target y is None "
                "and the network is not fitted"
            ) from error
        return estimator
    if rng is None:
        return fit_clone(estimator, X, y, **fit_params)
    return train(estimator, X, y, draw_seed(rng), **fit_params)


def joined(batches: Iterable[Activations]) -> Activations:
    """Activations of all samples; the memory of batches is freed while they are joined."""
    held = list(batches)
    return {name: np.concatenate([batch.pop(name) for batch in held]) for name in list(held[0])}


@contextmanager
def _hooked(parts: Mapping[str, nn.Module], note: Callable[[str, Any], None]) -> Iterator[None]:
    """Context in which ``note(name, output)`` is called for each part that runs; hooks are always removed."""

    def hook(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: note(name, output)

    handles = []
    try:
        for name, part in parts.items():
            handles.append(part.register_forward_hook(hook(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _has_weights(part: nn.Module) -> bool:
    """Whether a layer has a matrix or kernel; the weights of a normalisation have one axis."""
    return any(weight.ndim > 1 for weight in part.parameters(recurse=False))


def _is_activation(part: nn.Module) -> bool:
    return type(part).__module__ == "torch.nn.modules.activation"
