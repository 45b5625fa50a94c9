"""torch modules and skorch nets, which are differentiable as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import nn

from skhalfway.models._outputs import BeforeProbability
from skhalfway.models._registry import register_module
from skhalfway.models._switched import switched
from skhalfway.models._views import is_view
from skhalfway.models._views import renewed as views_renewed

HALF = (torch.float16, torch.bfloat16)  # too coarse for small steps: points are cast when a module is called


def weight_dtype(module: nn.Module) -> torch.dtype | None:
    """Float type of a module's first weight; None if it has no weights, and takes any type."""
    for weight in chain(module.parameters(), module.buffers()):
        if weight.is_floating_point():
            return weight.dtype
    return None


def two_columns(z: torch.Tensor) -> torch.Tensor:
    """A column for each class: a single one, the logit z of the second class, becomes (0, z)."""
    return z if z.ndim == 2 and z.shape[1] > 1 else z.reshape(-1, 1) * z.new_tensor([0.0, 1.0])


def dtype_of(module: nn.Module) -> torch.dtype:
    """Float type of a module's points: that of its first weight, but at least float32."""
    dtype = weight_dtype(module)
    return torch.float32 if dtype in (None, *HALF) else dtype


def device_of(module: nn.Module) -> torch.device:
    """Device of a module's first weight; the CPU if it has no weights."""
    for weight in chain(module.parameters(), module.buffers()):
        return weight.device
    return torch.device("cpu")


def place_of(module: nn.Module) -> dict[str, Any]:
    """Float type and device of a module's points, as keyword arguments for torch."""
    return {"dtype": dtype_of(module), "device": device_of(module)}


@contextmanager
def in_use(module: nn.Module, renewed: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Context with gradients enabled, whatever the caller's context, and the module in evaluation mode.

    ``renewed`` is called if a view was updated because its owner changed the module.
    """
    viewed = is_view(module)
    if viewed and views_renewed(module):
        renewed()
    with torch.inference_mode(False), torch.enable_grad(), nullcontext() if viewed else switched(module):
        yield


class Cast(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.to(self.dtype)


def in_sequence(modules: list[nn.Module]) -> nn.Module:
    """Modules one after another, with casts between modules of different float types."""
    sequence: list[nn.Module] = []
    current: torch.dtype | None = None
    for module in modules:
        dtype = weight_dtype(module)
        if dtype is not None:
            if current not in (None, dtype):
                sequence.append(Cast(dtype))
            current = dtype
        sequence.append(module)
    return sequence[0] if len(sequence) == 1 else nn.Sequential(*sequence)


class FirstOutput(nn.Module):
    """A skorch net's module; if it returns a tuple, skorch predicts from the first item."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self.module(x)
        return output[0] if isinstance(output, tuple) else output


class LogOf(nn.Module):
    """Logits of a module whose outputs, after ``nonlinearity``, are probabilities."""

    def __init__(self, module: nn.Module, nonlinearity: Any) -> None:
        super().__init__()
        self.module, self.nonlinearity = module, nonlinearity

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with BeforeProbability() as noted:
            probability = self.nonlinearity(self.module(x))
        wide = probability.ndim > 1 and probability.shape[1] > 1
        logits = noted.before(probability, over_classes=wide)
        if logits is not None:  # exact, and with a gradient even if probabilities are 0 or 1
            return logits
        if not wide:
            return torch.special.logit(probability, eps=torch.finfo(probability.dtype).tiny)
        return probability.clamp_min(torch.finfo(probability.dtype).tiny).log()


class Shift(nn.Module):
    """Logit shifted so that 0 is the binary net's probability threshold."""

    def __init__(self, module: nn.Module, threshold: float) -> None:
        super().__init__()
        self.module = module
        self.by = float(torch.logit(torch.tensor(threshold, dtype=torch.float64)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.module(x)
        if logits.ndim == 2 and logits.shape[1] == 2:
            return torch.stack([logits[:, 0], logits[:, 1] - self.by], dim=1)
        return logits - self.by


@register_module(nn.Module)
def torch_module(module: nn.Module) -> nn.Module:
    return module


@register_module("skorch.classifier.NeuralNetClassifier", "skorch.classifier.NeuralNetBinaryClassifier")
def skorch_net(net: Any) -> nn.Module:
    from skorch.utils import _identity

    logit_losses = (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)
    module: nn.Module = FirstOutput(net.module_)
    nonlinearity = net._get_predict_nonlinearity()
    by_loss = net.predict_nonlinearity == "auto" and isinstance(net.criterion_, logit_losses)
    # NLLLoss takes probabilities in skorch; scores for other losses may be negative, so have no log
    unchanged = nonlinearity is _identity and not isinstance(net.criterion_, nn.NLLLoss)
    if not by_loss and not unchanged:
        module = LogOf(module, nonlinearity)
    threshold = getattr(net, "threshold", 0.5)
    return module if threshold == 0.5 else Shift(module, threshold)
