"""Step functions, for which another gradient stands: bins and thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.linalg import block_diag
from sklearn.preprocessing import Binarizer, KBinsDiscretizer
from torch import nn

from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._registry import register_module
from skhalfway.models._transformers import Select


class Steps(nn.Module):
    """1 where a value is at its edge or above, else 0: exactly, with the gradient of a smooth step.

    A step has the gradient zero wherever it has one, which hides what lies
    behind it. Backwards it is taken for the logistic function of ``(value -
    edge) / (temperature * width)``, as in Athalye, Carlini and Wagner,
    Obfuscated Gradients Give a False Sense of Security (2018), section 4.1.

    Attributes
    ----------
    temperature : float
        Softness of that function, in units of ``width``. The default, a
        quarter, makes the slopes of evenly spaced steps add up to an almost
        straight ramp.
    """

    temperature = 0.25
    edges: torch.Tensor
    width: torch.Tensor

    def __init__(self, edges: Any, width: Any) -> None:
        super().__init__()
        self.register_buffer("edges", tensor(edges))
        self.register_buffer("width", tensor(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        beyond = x - self.edges
        smooth = torch.sigmoid(beyond / (self.temperature * self.width))
        return (beyond >= 0) + (smooth - smooth.detach())


@register_module(Binarizer)
def binarizer(transformer: Binarizer) -> nn.Module:
    """The width of its step is 1, in the unit of its input."""
    # greater than the threshold is at least the next number
    return Steps(np.nextafter(float(transformer.threshold), np.inf), 1.0)


@register_module(KBinsDiscretizer)
def k_bins(transformer: KBinsDiscretizer) -> nn.Module:
    """The width of a step is the mean of its feature's bins. Codes of bins are linear in the steps."""
    inner = [edges[1:-1] for edges in transformer.bin_edges_]
    counts = [len(edges) for edges in inner]
    widths = [(edges[-1] - edges[0]) / (len(edges) - 1) for edges in transformer.bin_edges_]
    steps = nn.Sequential(
        Select(np.repeat(np.arange(len(counts)), counts)),
        Steps(np.concatenate(inner), np.repeat(widths, counts)),
    )
    if transformer.encode == "ordinal":
        return nn.Sequential(steps, dense_layer(block_diag(*[np.ones((1, n)) for n in counts]), 0.0))
    # in bin k are those who took step k and not step k + 1
    weight = block_diag(*[np.eye(n + 1, n, -1) - np.eye(n + 1, n) for n in counts])
    first = np.concatenate([np.eye(n + 1)[0] for n in counts])
    return nn.Sequential(steps, dense_layer(weight, first))
