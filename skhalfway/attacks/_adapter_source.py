"""A source as other libraries take it: a torch module in coordinates and float types of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skhalfway.models._torch import place_of

if TYPE_CHECKING:
    from skhalfway.attacks._adapter_sight import Sight
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model


def finite_range(region: Region) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of all samples; if the data has none, finite bounds that contain the whole ball."""
    X = region.start()
    low, high = X.min().astype(float) - region.eps, X.max().astype(float) + region.eps
    if (bounds := region.bounds()) is not None:
        low, high = (np.where(np.isfinite(b), b, free) for b, free in zip(bounds, (low, high), strict=True))
        if low.shape == X.shape:  # one range for all samples here; each one's own is enforced at the end
            low, high = low.min(axis=0), high.max(axis=0)
    return np.asarray(low), np.asarray(high)


class Source(nn.Module):
    """A source as other libraries need it: a module that takes and returns float32, in their coordinates.

    Parameters
    ----------
    model : Model
        The source.
    region : Region
        Region whose coordinates the module takes.
    low, width : float
        Position of the library's 0, and distance from there to its 1, in these coordinates.
    answers : bool
        Whether to return the source's own scores, which have no gradient, if its module is a smoothed copy or
        there is none.
    sight : Sight, default=None
        Counts the gradients that are computed.
    """

    def __init__(
        self,
        model: Model,
        region: Region,
        low: float = 0.0,
        width: float = 1.0,
        *,
        answers: bool = False,
        sight: Sight | None = None,
    ) -> None:
        super().__init__()
        self.sight = sight
        if sight is not None:
            sight.of_loss = self.gradient_of_loss
        self.source, self.region, self.low, self.width = model, region, low, width
        self.shape = region.X.shape[1:]
        self.answers = answers and (model.smoothed or not model.has_gradient)
        self.place: Any = {"dtype": torch.float64, "device": torch.device("cpu")}
        if model.module is not None:
            self.place = place_of(model.module)
        self.unit = None if region.unit is None else torch.tensor(region.unit, **self.place)
        # libraries look at a parameter to find the device
        self.anchor = nn.Parameter(torch.zeros(1, device=self.place["device"]), requires_grad=False)
        self.eval()

    def gradient_of_loss(self, X: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[Any]:
        """Gradients of the cross-entropy, as other libraries follow them."""
        x = torch.from_numpy(X).to(self.anchor.device).requires_grad_()
        label = torch.from_numpy(labels).long().to(self.anchor.device)
        loss = nn.functional.cross_entropy(self(x), label, reduction="sum")
        return torch.autograd.grad(loss, x)[0].cpu().numpy()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.sight is not None and x.requires_grad:
            x.register_hook(self.sight.note)
        z = x.to(**self.place).reshape(len(x), *self.shape)
        z = z if (self.low, self.width) == (0.0, 1.0) else self.low + self.width * z
        inputs = z if self.unit is None else z * self.unit
        if self.answers:
            X = inputs.detach().cpu().numpy().astype(self.region.X.dtype)
            return torch.from_numpy(self.source.scores(X)).to(x.device, torch.float32)
        return self.source.logits(inputs).to(x.device, torch.float32)


def in_batches(
    X: NDArray[Any], labels: NDArray[np.intp], batch_size: int, device: Any
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Samples and class indices as tensors, some at a time."""
    for begin in range(0, len(X), batch_size):
        rows = slice(begin, begin + batch_size)
        yield torch.from_numpy(X[rows]).to(device), torch.from_numpy(labels[rows]).long().to(device)
