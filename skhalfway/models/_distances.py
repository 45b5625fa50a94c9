"""Distances between samples and fixed points, with no more memory than the distances themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from skhalfway.models._linear import tensor
from skhalfway.models._memory import at_once


class Distances(nn.Module):
    """Minkowski distances (n_samples, n_points); at a distance of 0 the gradient is 0.

    The points are centred, so that fewer digits cancel when Euclidean distances are computed by a matrix
    product.
    """

    centre: torch.Tensor
    points: torch.Tensor
    squares: torch.Tensor

    def __init__(self, points: Any, p: float = 2.0) -> None:
        super().__init__()
        points, self.p = tensor(points), p
        self.register_buffer("centre", points.mean(dim=0))
        self.register_buffer("points", points.sub_(self.centre))
        self.register_buffer("squares", points.square().sum(dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x - self.centre
        if self.p == 2:
            return _Euclidean.apply(x, self.points, self.squares)
        return torch.cdist(x, self.points, p=self.p)

    def among(self, n_points: int) -> torch.Tensor:
        """Distances of ``n_points`` of the points, evenly chosen, to all points."""
        return torch.cdist(self.points[:: -(-len(self.points) // n_points)], self.points, p=self.p)


class _Euclidean(torch.autograd.Function):
    """Distances as in ``torch.cdist``, without copies of the points, or a gradient for them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, points: torch.Tensor, squares: torch.Tensor) -> torch.Tensor:
        distance = torch.addmm(squares, x, points.T, alpha=-2)
        distance.add_(x.square().sum(dim=1, keepdim=True)).clamp_min_(0).sqrt_()
        ctx.save_for_backward(x, points, distance)
        return distance

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        x, points, distance = ctx.saved_tensors
        share = (grad / distance).masked_fill_(distance == 0, 0)
        return share.sum(dim=1, keepdim=True) * x - share @ points, None, None


class ChiSquared(torch.autograd.Function):
    """The sum over features of ``(x - p)^2 / (x + p)``, where 0 / 0 is 0: (n_samples, n_points).

    It is computed for some samples at a time, as each has n_points * n_features values.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, points)
        sums = []
        for rows in x.split(at_once(points.numel())):
            difference, total = _parts(rows, points)
            sums.append(difference.square_().div_(total).sum(dim=2))
        return torch.cat(sums)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        x, points = ctx.saved_tensors
        slopes = []
        for rows, weight in zip(
            x.split(at_once(points.numel())), grad.split(at_once(points.numel())), strict=True
        ):
            difference, total = _parts(rows, points)
            ratio = difference / total
            # the derivative of (x - p)^2 / (x + p) is r (2 - r), of r = (x - p) / (x + p)
            slopes.append(torch.bmm(weight[:, None], (2 - ratio).mul_(ratio))[:, 0])
        return torch.cat(slopes), None


def _parts(rows: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    total = rows[:, None] + points
    return rows[:, None] - points, total.masked_fill_(total == 0, 1)
