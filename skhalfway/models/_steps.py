"""Step functions with a substitute gradient: bins and thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import Binarizer, KBinsDiscretizer
from torch import nn

from skhalfway.models._linear import tensor
from skhalfway.models._registry import register_module
from skhalfway.models._transformers import Select


class Steps(nn.Module):
    """Exact steps (1 for a value at its edge or above, else 0) with the gradient of a smooth step.

    The gradient of a step is zero wherever it exists, which masks the gradient of what follows. In the
    backward pass, a step is replaced by the logistic function of ``(value - edge) / (temperature * width)``,
    as in Athalye, Carlini and Wagner, Obfuscated Gradients Give a False Sense of Security (2018), section
    4.1.

    Attributes
    ----------
    temperature : float
        Width of that function, in units of ``width``. With the default, a
        quarter, the slopes of evenly spaced steps add up to an almost
        straight ramp.
    """

    smoothed = True
    temperature = 0.25
    edges: torch.Tensor
    width: torch.Tensor

    def __init__(self, edges: Any, width: Any) -> None:
        super().__init__()
        self.register_buffer("edges", tensor(edges))
        self.register_buffer("width", tensor(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Step.apply(x, self.edges, self.temperature * self.width)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, edges: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, edges, width)
        return (x >= edges).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, edges, width = ctx.saved_tensors
        smooth = (x - edges).div_(width).sigmoid_()
        return (1 - smooth).mul_(smooth).mul_(grad).div_(width), None, None


@register_module(Binarizer)
def binarizer(transformer: Binarizer) -> nn.Module:
    """A single step with a width of 1, in the unit of the input."""
    # scikit-learn's test is "greater than", so the edge is the next float
    return Steps(np.nextafter(float(transformer.threshold), np.inf), 1.0)


class Bins(nn.Module):
    """Indicators of bins: a value is in a bin if it passed the bin's step and not the next one."""

    ends: torch.Tensor

    def __init__(self, last: Any) -> None:
        super().__init__()
        self.register_buffer("ends", 1 - tensor(last))

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        return steps.addcmul_(steps.roll(-1, dims=1), self.ends, value=-1)


class Codes(nn.Module):
    """Number of steps that each feature passed."""

    feature: torch.Tensor

    def __init__(self, feature: Any, n_features: int) -> None:
        super().__init__()
        self.register_buffer("feature", torch.as_tensor(feature))
        self.n_features = n_features

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        return steps.new_zeros(len(steps), self.n_features).index_add(1, self.feature, steps)


@register_module(KBinsDiscretizer)
def k_bins(transformer: KBinsDiscretizer) -> nn.Module:
    """Steps whose width is the mean width of the feature's bins."""
    ordinal, all_edges = transformer.encode == "ordinal", transformer.bin_edges_
    # all values have passed the step into the first bin
    edges = [of[1:-1] if ordinal else [-np.inf, *of[1:-1]] for of in all_edges]
    counts, widths = [len(of) for of in edges], [(of[-1] - of[0]) / (len(of) - 1) for of in all_edges]
    feature = np.repeat(np.arange(len(counts)), counts)
    return nn.Sequential(
        Select(feature),
        Steps(np.concatenate(edges), np.repeat(widths, counts)),
        Codes(feature, len(counts)) if ordinal else Bins(np.diff(feature, append=-1) != 0),
    )
