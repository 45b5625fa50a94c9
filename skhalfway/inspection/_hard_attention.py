"""Hard attention to the task: weights between the units that a task uses are kept for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn

from skhalfway._text import counted, shown
from skhalfway.models._switched import switched
from skhalfway.models._torch import place_of
from skhalfway.models._training import seeded, seeded_clone
from skhalfway.models._type_checks import net_dtype
from skhalfway.models._warnings import warn
from skhalfway.structure._chain import CONVOLUTION, DENSE, Chain, Layer

Tensors = list[torch.Tensor]

_RATE = 0.05  # learning rate of embeddings, that of Serra et al.
_LARGEST = 6.0  # clamp of embeddings: beyond it, a mask would hardly change any more
_FARTHEST = 50.0  # clamp of s * embedding in the compensation of gradients
_NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def mask_of(embedding: torch.Tensor, s: float) -> torch.Tensor:
    """Mask of the units, from 0 (unused) to 1 (used); it tends to a step function as s grows."""
    return torch.sigmoid(s * embedding)


def mask_slope(embedding: torch.Tensor, s: float, hardness: float) -> torch.Tensor:
    """Derivative of the mask by the embedding, compensated for s: ``hardness * sigmoid'(e)`` for every s.

    This is section 2.4 of Serra et al. (2018). Their code clamps ``s * e`` at 50 in the factor; beyond it the
    derivative tends to 0.
    """
    x = s * embedding
    own = s * torch.sigmoid(x) * torch.sigmoid(-x)
    far = torch.cosh(x.clamp(-_FARTHEST, _FARTHEST)) + 1
    near = torch.cosh(embedding.clamp(-_LARGEST, _LARGEST)) + 1
    return own * hardness / s * far / near


def annealed(batch: int, n_batches: int, hardness: float) -> float:
    """The s of a batch: from ``1 / hardness`` in the first batch of an epoch to ``hardness`` in the last."""
    done = batch / (n_batches - 1) if n_batches > 1 else 1.0
    return 1 / hardness + (hardness - 1 / hardness) * done


def newly_used(masks: Sequence[torch.Tensor], past: Sequence[torch.Tensor]) -> torch.Tensor:
    """R of Serra et al.: of the units that no earlier task uses, the share used now; 0 where none is left."""
    left = sum((1 - p).sum() for p in past)
    used = sum((a * (1 - p)).sum() for a, p in zip(masks, past, strict=True))
    return torch.as_tensor(used / left if left > 0 else 0.0 * used)


class _Step(NamedTuple):
    """A hidden layer's units and the layer ``after`` that receives each of them as ``repeats`` inputs."""

    units: int
    repeats: int
    after: str
    convolution: bool


def hidden_steps(net: Any) -> tuple[str, list[_Step]]:
    """Name of the first layer of an initialised net, and its steps; ValueError where it is no chain."""
    name = type(net).__name__
    module = net.module_
    normal = [key for key, part in module.named_modules() if isinstance(part, _NORMALISATIONS)]
    if normal:
        raise ValueError(
            f"method='hard_attention' keeps the weights of dense layers and convolutions, but {name} "
            f"normalises in {shown(normal)}, whose statistics or scales every task would change; remove "
            "normalisations"
        )
    try:
        layers = [layer for layer in Chain(net).layers if layer.kind in (DENSE, CONVOLUTION)]
    except ValueError as error:
        raise ValueError(f"method='hard_attention' needs a chain of layers to mask: {error}") from error
    if len(layers) < 2:
        raise ValueError(
            f"method='hard_attention' masks hidden units, but {name} has none: {len(layers)} layer with "
            "weights; pass a network of two or more"
        )
    known = {id(weight) for layer in layers for weight in module.get_submodule(layer.name).parameters(False)}
    others = [
        key for key, weight in module.named_parameters() if weight.requires_grad and id(weight) not in known
    ]
    if others:
        raise ValueError(
            f"method='hard_attention' keeps the weights of dense layers and convolutions, but {name} also "
            f"trains {shown(others)}; remove these, or set their requires_grad to False"
        )
    return layers[0].name, [_step(*pair, name) for pair in pairwise(layers)]


def _step(before: Layer, after: Layer, name: str) -> _Step:
    if any(getattr(layer.part, "groups", 1) != 1 for layer in (before, after)):
        raise ValueError(
            f"method='hard_attention' needs convolutions with groups=1, which receive all units; "
            f"{name} has other ones, {shown(after.name)} or {shown(before.name)}"
        )
    assert before.weight is not None and after.weight is not None
    n_units, n_inputs = len(before.weight), after.weight.shape[1]
    flattened = before.kind == CONVOLUTION and after.kind == DENSE
    repeats, rest = divmod(n_inputs, n_units)
    if rest or (repeats != 1 and not flattened) or (before.kind == DENSE and after.kind == CONVOLUTION):
        raise ValueError(
            f"method='hard_attention' masks units at the inputs of the next layer, but {n_units} units of "
            f"{shown(before.name)} become {n_inputs} inputs of {shown(after.name)} in {name}; maps may be "
            "flattened before a dense layer, all other shapes must stay"
        )
    return _Step(n_units, repeats, after.name, after.kind == CONVOLUTION)


def check_attention(estimator: Any, X: NDArray[Any]) -> None:
    """Raise ValueError where the units of a skorch net cannot be masked; one sample is passed through it."""
    net = seeded_clone(estimator, 0)
    with seeded(net, 0):
        net.initialize()
        _, steps = hidden_steps(net)
        axes: dict[str, int] = {}
        for step in steps:
            part = net.module_.get_submodule(step.after)
            part.register_forward_pre_hook(partial(_note, axes, step.after))
        with switched(net.module_), torch.no_grad():
            net.module_(torch.tensor(X[:1].astype(net_dtype(net)), **place_of(net.module_)))
    for step in steps:
        if not step.convolution and axes[step.after] != 2:
            raise ValueError(
                f"method='hard_attention' needs inputs of dense layers with two axes, but "
                f"{shown(step.after)} of {type(net).__name__} receives {axes[step.after]} axes; flatten "
                "samples before it"
            )


def _note(axes: dict[str, int], name: str, _part: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
    axes[name] = given[0].ndim


class HardAttention:
    """Masks of a skorch net's hidden units for each task; weights between used units are kept.

    The method is that of Serra et al. (2018). The output layer is not masked: each task has its own output
    layer, which starts from the net's initial one.
    """

    def __init__(
        self, net: Any, n_tasks: int, rng: np.random.RandomState, *, sparsity: float, hardness: float
    ) -> None:
        first, self._steps = hidden_steps(net)
        self._sparsity, self._hardness = sparsity, hardness
        parts = [net.module_.get_submodule(name) for name in (first, *(step.after for step in self._steps))]
        self._parts, self._head = parts[:-1], parts[-1]
        self._given = parts[1:]  # the layers whose inputs are masked
        place = place_of(net.module_)
        drawn = [[rng.standard_normal(step.units) for step in self._steps] for _ in range(n_tasks)]
        self._embeddings = [[torch.tensor(e, **place) for e in of_task] for of_task in drawn]
        self._past = [torch.zeros_like(e) for e in self._embeddings[0]]
        self._heads = [_copies(self._head)] * n_tasks

    def masks(self, task: int) -> Tensors:
        """Masks of a task at test time."""
        return [mask_of(embedding, self._hardness) for embedding in self._embeddings[task]]

    @property
    def past(self) -> Tensors:
        """Largest mask of each unit over the tasks that were learned."""
        return self._past

    @contextmanager
    def learning(self, net: Any, task: int) -> Iterator[None]:
        """Context in which the net is trained on a task."""
        _put(self._head, self._heads[task])
        training = _Training(self, self._embeddings[task])
        hooks = [
            part.register_forward_pre_hook(partial(training.masked, i)) for i, part in enumerate(self._given)
        ]
        # the net is initialised already, so callbacks_ are the ones that it calls
        net.callbacks_.append(("hard_attention", training))
        try:
            yield
        finally:
            net.callbacks_.pop()
            for hook in hooks:
                hook.remove()
        if not all(weight.isfinite().all() for weight in net.module_.parameters()):
            raise ValueError(
                "training led to weights that are not finite; lower the learning rate of the net"
            )
        masks = self.masks(task)
        closed = [i for i, mask in enumerate(masks) if not (mask > 0.5).any()]
        if closed:
            warn(
                f"task {task} uses no unit of {counted(len(closed), 'layer')}, so its predictions are the "
                f"same for all samples; lower sparsity={self._sparsity}, or raise the net's learning rate",
                ConvergenceWarning,
            )
        self._past = [torch.maximum(*both) for both in zip(self._past, masks, strict=True)]
        self._heads[task] = _copies(self._head)

    @contextmanager
    def answering(self, task: int) -> Iterator[None]:
        """Context in which the net predicts for a task: with its output layer, and masks put into weights."""
        before = [_copies(part) for part in self._given]
        _put(self._head, self._heads[task])
        with torch.no_grad():
            for i, (part, mask) in enumerate(zip(self._given, self.masks(task), strict=True)):
                part.weight *= self._along_inputs(i, mask, part.weight.ndim)
        try:
            yield
        finally:
            for part, weights in zip(self._given, before, strict=True):
                _put(part, weights)

    def _along_inputs(self, i: int, mask: torch.Tensor, n_axes: int) -> torch.Tensor:
        """The mask of a layer along the inputs of the next one, which are axis 1 of ``n_axes``."""
        return mask.repeat_interleave(self._steps[i].repeats).reshape(1, -1, *[1] * (n_axes - 2))

    def _free(self, i: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weights of a layer, and how far each may change: 1 minus the smaller past mask of its two units."""
        part, out = self._parts[i], self._past[i]
        kept = out.reshape(-1, *[1] * (part.weight.ndim - 1))
        if i:
            kept = torch.minimum(kept, self._along_inputs(i - 1, self._past[i - 1], part.weight.ndim))
        free = [(part.weight, 1 - kept)]
        return free if part.bias is None else [*free, (part.bias, 1 - out)]


class _Training(Callback):
    """Trains the masks of a task together with a net, and undoes the steps of weights that are kept.

    Steps are scaled rather than gradients. In plain gradient descent that is the same. With other optimisers,
    a gradient of 0 would not leave a weight unchanged.
    """

    def __init__(self, attention: HardAttention, embeddings: Tensors) -> None:
        self.attention, self.embeddings = attention, embeddings
        self.free = [pair for i in range(len(attention._parts)) for pair in attention._free(i)]
        self.n_batches = self.batch = 0
        self.now = self._hard()

    def _hard(self) -> Tensors:
        return [mask_of(embedding, self.attention._hardness) for embedding in self.embeddings]

    def masked(self, i: int, part: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Inputs of a layer, times the mask of the layer before it."""
        x, *rest = given
        n_axes = x.ndim if self.attention._steps[i].convolution else 2
        return x * self.attention._along_inputs(i, self.now[i], n_axes), *rest

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        self.batch, self.n_batches = 0, len(net.get_iterator(dataset_train, training=True))

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        self.s = annealed(self.batch, self.n_batches, self.attention._hardness)
        self.now = [mask_of(embedding, self.s).requires_grad_() for embedding in self.embeddings]
        self.before = [weight.detach().clone() for weight, _ in self.free]

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        (self.attention._sparsity * newly_used(self.now, self.attention.past)).backward()
        # an optimiser may compute gradients several times; the last one counts
        self.slopes = [mask.grad for mask in self.now]
        for mask in self.now:
            mask.grad = None

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        with torch.no_grad():
            for (weight, share), before in zip(self.free, self.before, strict=True):
                # share 0 restores the weight to the last bit; share 1 keeps the step exactly
                weight.copy_(torch.lerp(before, weight, share.expand_as(weight)))
            for embedding, slope in zip(self.embeddings, self.slopes, strict=True):
                assert slope is not None
                embedding -= _RATE * slope * mask_slope(embedding, self.s, self.attention._hardness)
                embedding.clamp_(-_LARGEST, _LARGEST)
        self.batch += 1
        self.now = self._hard()


def _copies(part: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in part.named_parameters()}


def _put(part: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, weight in part.named_parameters():
            weight.copy_(weights[name])
