"""Networks of stages, with a given depth and shape and about a given number of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skhalfway._text import counted

_OFF = 0.1  # largest relative deviation from the requested number of parameters
_N_STAGES = 3  # for images; the second and third stage start with a stride of 2
_KERNEL = 3


@dataclass(frozen=True)
class Stages:
    """The plan of a network.

    Attributes
    ----------
    shape : tuple of int
        Shape of a sample: (n_features,) for dense layers, (n_channels, height, width) for convolutions.
    n_classes : int
        Number of outputs.
    depth : int
        Number of dense layers before the last, or of convolutions in each of three stages.
    ratio : float
        Width of the last stage over that of the first; widths in between change geometrically.
    n_parameters : int
        Requested number of weights and biases.
    """

    shape: tuple[int, ...]
    n_classes: int
    depth: int
    ratio: float
    n_parameters: int

    @property
    def convolves(self) -> bool:
        return len(self.shape) > 1

    def _layers(self, width: NDArray[np.float64]) -> NDArray[np.float64]:
        """Channels of the input and of each layer, (n_layers + 1, n), for n widths of the first stage."""
        n_stages = _N_STAGES if self.convolves else self.depth
        steps = np.linspace(0, 1, n_stages) if n_stages > 1 else np.zeros(1)
        stages = np.maximum(1, np.round(width * self.ratio ** steps[:, None]))
        layers = np.repeat(stages, self.depth if self.convolves else 1, axis=0)
        return np.concatenate([np.full((1, stages.shape[1]), float(self.shape[0])), layers])

    def _counts(self, layers: NDArray[np.float64]) -> NDArray[np.float64]:
        area = _KERNEL**2 if self.convolves else 1
        inner = sum((one * area + 1) * other for one, other in pairwise(layers))
        return np.asarray(inner + (layers[-1] + 1) * self.n_classes)

    def widths(self) -> tuple[int, ...]:
        """Channels of each layer, for the number of parameters nearest to the requested one.

        Raises
        ------
        ValueError
            If no number of parameters is within a tenth of the requested one.
        """
        tried = np.unique(np.round(np.geomspace(1, max(2, self.n_parameters), 20_000), 2))
        layers = self._layers(tried)
        counts = self._counts(layers)
        best = int(np.abs(counts - self.n_parameters).argmin())
        if abs(counts[best] - self.n_parameters) > _OFF * self.n_parameters:
            raise ValueError(
                f"no network of depth {self.depth} and ratio {self.ratio:g} has about "
                f"{counted(self.n_parameters, 'parameter')}: the nearest has {counts[best]:.0f}; change "
                "n_parameters, depths or ratios"
            )
        return tuple(int(n) for n in layers[1:, best])

    def module(self) -> nn.Sequential:
        """A new network with He initialisation."""
        parts: list[nn.Module] = []
        widths = self.widths()
        for i, (one, other) in enumerate(pairwise([self.shape[0], *widths])):
            if self.convolves:
                stride = 2 if i in (self.depth, 2 * self.depth) else 1
                parts.append(nn.Conv2d(one, other, _KERNEL, stride=stride, padding=1))
            else:
                parts.append(nn.Linear(one, other))
            nn.init.kaiming_normal_(parts[-1].weight, nonlinearity="relu")  # type: ignore[arg-type]
            nn.init.zeros_(parts[-1].bias)  # type: ignore[arg-type]
            parts.append(nn.ReLU())
        if self.convolves:
            parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*parts, nn.Linear(widths[-1], self.n_classes))
