"""Pieces of the kind "model": how gradients pass backwards through the source while it is attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import pad, silu

from skhalfway._text import shown
from skhalfway.attacks._layers import (
    OnLayer,
    Wires,
    layers_of,
    named_layers,
    residual_branches,
    weighted_layers,
)
from skhalfway.attacks._pieces import Piece, Run, check_number, repeated

if TYPE_CHECKING:
    from collections.abc import Callable

_Normalisation = nn.modules.batchnorm._BatchNorm
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _instead(value: torch.Tensor, passes: torch.Tensor) -> torch.Tensor:
    """One tensor's values with the gradient of another."""
    return passes + (value - passes).detach()


@dataclass(frozen=True)
class SkipGradient(Piece):
    """Scale down the gradient of residual branches, so that skip connections count for more.

    Wu et al., "Skip connections matter: on the transferability of adversarial examples generated with
    ResNets" (SGM), ICLR 2020.

    Parameters
    ----------
    decay : float, default=0.5
        Factor of the gradient of each branch.
    layers : tuple of str, default=None
        Names of the last layers of the branches, as in ``named_modules()``. None: they are found in the
        network's graph, as ``torch.fx`` traces it.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, SkipGradient
    >>> Recipe(SkipGradient(decay=0.9))
    Recipe(SkipGradient(decay=0.9, layers=None))
    """

    kind, name, paper = "model", "skip_gradient", "Wu et al., ICLR 2020"
    needs = "residual branches"
    decay: float = 0.5
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_number(self, "decay", 0)
        if self.layers is None:
            return
        if isinstance(self.layers, str) or not all(isinstance(name, str) for name in self.layers):
            raise TypeError(
                "SkipGradient(layers=...) must be names of layers as in named_modules(), or None, got "
                f"{shown(self.layers)}"
            )
        object.__setattr__(self, "layers", tuple(self.layers))

    def wire(self, module: nn.Module, wires: Wires) -> None:
        with wires.cut():
            names = residual_branches(module) if self.layers is None else self.layers
        for part in named_layers(module, names):
            wires.hook(part, lambda given, output: _instead(output.detach(), self.decay * output))


@dataclass(frozen=True)
class LinearBackward(Piece):
    """Pass gradients backwards through rectifiers (ReLU) unchanged, as if these were linear.

    Guo, Li & Chen, "Backpropagating linearly improves transferability of adversarial examples" (LinBP),
    NeurIPS 2020, without the paper's scaling of gradients in residual networks.

    Parameters
    ----------
    first : float, default=0.5
        Share of the rectifiers, in the order of the network's layers, that keep their own gradient.

    Examples
    --------
    >>> from skhalfway.attacks import LinearBackward, Recipe
    >>> Recipe(LinearBackward(first=0.2))
    Recipe(LinearBackward(first=0.2))
    """

    kind, name, paper = "model", "linear_backward", "Guo et al., NeurIPS 2020"
    needs = "nn.ReLU"
    first: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "first", 0, 1)

    def wire(self, module: nn.Module, wires: Wires) -> None:
        parts = layers_of(module, (nn.ReLU,), "LinearBackward")
        for part in parts[min(round(self.first * len(parts)), len(parts) - 1) :]:
            _separate(part)
            wires.hook(part, lambda given, output: _instead(output, given))


@dataclass(frozen=True)
class SmoothBackward(Piece):
    """Pass gradients backwards through rectifiers (ReLU) and max pooling as if these were smooth.

    Wang et al., "Rethinking the backward propagation for adversarial transferability" (BPA), NeurIPS 2023.
    The gradient of a rectifier is that of SiLU, and the gradient of a maximum that of a mean weighted by a
    softmax.

    Parameters
    ----------
    temperature : float, default=10.0
        Factor of the values in that softmax.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, SmoothBackward
    >>> Recipe(SmoothBackward(temperature=5.0))
    Recipe(SmoothBackward(temperature=5.0))
    """

    kind, name, paper = "model", "smooth_backward", "Wang et al., NeurIPS 2023"
    needs = "nn.ReLU or nn.MaxPool2d"
    temperature: float = 10.0

    def __post_init__(self) -> None:
        check_number(self, "temperature", 0)

    def wire(self, module: nn.Module, wires: Wires) -> None:
        for part in layers_of(module, (nn.ReLU, nn.MaxPool2d), "SmoothBackward"):
            if isinstance(part, nn.ReLU):
                _separate(part)
                wires.hook(part, lambda given, output: _instead(output, silu(given)))
            elif isinstance(part, nn.MaxPool2d) and not (part.ceil_mode or part.return_indices):
                wires.hook(part, self._pooled(part))

    def _pooled(self, part: nn.MaxPool2d) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        size, stride, around, gap = (
            (value, value) if isinstance(value, int) else tuple(value)
            for value in (part.kernel_size, part.stride, part.padding, part.dilation)
        )

        def mean(given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            channels = given.shape[1]
            wide = pad(
                given, (around[1], around[1], around[0], around[0]), value=torch.finfo(given.dtype).min
            )
            windows = nn.functional.unfold(wide, size, gap, 0, stride).unflatten(1, (channels, -1))
            weights = (self.temperature * (windows - windows.amax(dim=2, keepdim=True))).softmax(dim=2)
            values = windows.masked_fill(windows <= torch.finfo(given.dtype).min, 0.0)
            return _instead(output, (weights * values).sum(dim=2).reshape(output.shape))

        return mean


@dataclass(frozen=True)
class Ghost(Piece):
    """Apply dropout to the output of each hidden layer with weights, with a new mask at each step.

    Li et al., "Learning transferable adversarial examples via ghost networks", AAAI 2020 (dropout erosion).
    The paper's scaling of skip connections is left out.

    Parameters
    ----------
    rate : float, default=0.05
        Probability that a value is dropped; the others are scaled up. Deeper networks need a lower rate.

    Examples
    --------
    >>> from skhalfway.attacks import Ghost, Recipe
    >>> Recipe(Ghost(rate=0.1))
    Recipe(Ghost(rate=0.1))
    """

    kind, name, paper = "model", "ghost", "Li et al., AAAI 2020"
    needs = "hidden layers"
    rate: float = 0.05

    def __post_init__(self) -> None:
        check_number(self, "rate", 0, 0.99)

    def wire(self, module: nn.Module, wires: Wires) -> None:
        weighted = list(weighted_layers(module).values())
        if len(weighted) < 2:
            raise ValueError(
                f"Ghost drops outputs of hidden layers, and {type(module).__name__} has none; leave it out"
            )

        def drop(given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            run = wires.run
            assert run is not None
            # find the axis of the samples, which is the second for some layers of sequences
            n = run.n * len(run.lanes)
            axis = next((i for i, size in enumerate(output.shape[:2]) if size and size % n == 0), 0)
            first = output.movedim(axis, 0)
            kept = run.uniform(self, len(first), *first.shape[1:]) >= self.rate
            return output * kept.movedim(0, axis) / (1 - self.rate)

        for part in weighted[:-1]:
            wires.hook(part, drop)


@dataclass(frozen=True)
class NearbyWeights(Piece):
    """Compute the gradient at each step with new random weights near the source's own.

    Our own, in the spirit of Gubri et al., "LGV: boosting adversarial example transferability from large
    geometric vicinity", ECCV 2022. LGV collects weights by further training at a high learning rate; here
    they are drawn at random, which needs no data. For weights collected by training, use an
    :class:`~skhalfway.Ensemble` with ``combine="serial"``.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise that is added to the weights of a layer, as a multiple of the weights'
        root mean square. Biases and the weights of normalisation layers stay as they are.

    Examples
    --------
    >>> from skhalfway.attacks import NearbyWeights, Recipe
    >>> Recipe(NearbyWeights(scale=0.2))
    Recipe(NearbyWeights(scale=0.2))
    """

    kind, name, paper = "model", "nearby_weights", "ours"
    needs = "a module with layers"
    scale: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "scale", 0)

    def wire(self, module: nn.Module, wires: Wires) -> None:
        parts = list(weighted_layers(module).values())
        if not parts:
            raise ValueError(
                f"NearbyWeights moves the weights of layers, and {type(module).__name__} has none; leave it "
                "out"
            )
        for number, part in enumerate(parts):

            def nearby(
                given: torch.Tensor, output: torch.Tensor, number: int = number, part: nn.Module = part
            ) -> torch.Tensor | None:
                if wires.run is None:
                    return None
                with wires.cut():
                    moved: torch.Tensor = functional_call(
                        part, self._drawn(wires.run, number, part), (given,)
                    )
                return moved

            wires.hook(part, nearby)

    def _drawn(self, run: Run, number: int, part: nn.Module) -> dict[str, torch.Tensor]:
        """Weights of a layer, the same for all samples, and for all copies of a step."""
        step, weights = run.kept.get((self.name, number), (None, {}))
        if step == run.step:
            return weights
        stream = run.streams.shared().apart(number * 1_000_003 + run.step)
        weights = {}
        for name, weight in part.named_parameters(recurse=False):
            if weight.ndim > 1:
                noise = torch.from_numpy(stream.normal(np.zeros(1, dtype=np.intp), *weight.shape)[0])
                size = self.scale * weight.square().mean().sqrt()
                weights[name] = weight + size * noise.to(weight)
        run.kept[self.name, number] = run.step, weights
        return weights


@dataclass(frozen=True)
class BatchStatistics(Piece):
    """Use batch normalisation in training mode: normalise by the statistics of the attacked batch.

    Batch normalisation is from Ioffe & Szegedy, ICML 2015, Algorithm 1; its use in an attack is our own. The
    result of a sample then depends on the other samples of its batch. Running statistics stay as they are,
    and are used for a sample that is attacked alone.

    Examples
    --------
    >>> from skhalfway.attacks import BatchStatistics, Recipe
    >>> Recipe(BatchStatistics())
    Recipe(BatchStatistics())
    """

    kind, name, paper = "model", "batch_statistics", "ours"
    needs = "nn.BatchNorm"

    def wire(self, module: nn.Module, wires: Wires) -> None:
        for part in layers_of(module, _NORMALISATIONS, "BatchStatistics"):

            def normalised(
                given: torch.Tensor, output: torch.Tensor, part: _Normalisation = part
            ) -> torch.Tensor | None:
                if given.ndim == 2 and wires.run is not None and wires.run.n == 1:
                    return None
                return nn.functional.batch_norm(
                    given, None, None, part.weight, part.bias, training=True, eps=part.eps
                )

            wires.hook(part, normalised)


@dataclass(frozen=True)
class IntermediateDecay(OnLayer):
    """Move the output of a hidden layer most of the way back to its output for the clean sample.

    Li et al., "Improving adversarial transferability via intermediate-level perturbation decay" (ILPD),
    NeurIPS 2023.

    Parameters
    ----------
    share : float, default=0.1
        Share of the change that is kept.
    layer : str, default=None
        Name of the layer, as in ``named_modules()``. None is the middle one of those with weights.

    Examples
    --------
    >>> from skhalfway.attacks import IntermediateDecay, Recipe
    >>> Recipe(IntermediateDecay(share=0.3))
    Recipe(IntermediateDecay(share=0.3, layer=None))
    """

    kind, name, paper = "model", "intermediate_decay", "Li et al., NeurIPS 2023"
    share: float = 0.1
    layer: str | None = None

    def __post_init__(self) -> None:
        check_number(self, "share", 0, 1)
        self.check_layer()

    def wire(self, module: nn.Module, wires: Wires) -> None:
        def decayed(given: torch.Tensor, output: torch.Tensor) -> torch.Tensor | None:
            run = wires.run
            before = None if run is None else run.kept.get(self.name)
            if before is None:
                return None
            before = repeated(before, len(output) // len(before))
            return self.share * output + (1 - self.share) * before

        wires.hook(wires.listen(module, self), decayed)

    def prepare(self, run: Run) -> None:
        if self.name not in run.kept:
            with torch.no_grad():
                run.batch.logits(run.batch.ball.x0)
            run.kept[self.name] = run.wires.said(self).detach()


def _separate(part: nn.Module) -> None:
    """Make a rectifier work out of place, so that a hook sees its input; the output is the same."""
    part.inplace = False  # type: ignore[assignment]
