"""Pieces of the kind "input": what the model sees in the place of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import grid_sample

from skhalfway.attacks._pieces import Piece, Run, check_number


@dataclass(frozen=True)
class DiverseInput(Piece):
    """Resize each image to a random smaller size, and put it at a random place.

    Xie et al., "Improving transferability of adversarial examples with input diversity", CVPR 2019, section
    3; bilinear, around it 0.

    Parameters
    ----------
    probability : float, default=0.5
        How often an image is changed.
    least : float, default=0.9
        The smallest size, as a share of its own.
    """

    kind, name, paper, images = "input", "diverse_input", "Xie et al., CVPR 2019", True
    probability: float = 0.5
    least: float = 0.9

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)
        check_number(self, "least", 0.01, 1)

    def change(self, run: Run, seen: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        n, _, height, width = images.shape
        draws = run.uniform(len(run.batch.own), 4).to(images.dtype).repeat(n // len(run.batch.own), 1)
        often = draws[:, 0] < self.probability
        # whole pixels, as a resized image has
        least = round(self.least * height), round(self.least * width)
        rows = torch.floor(least[0] + draws[:, 1] * (height - least[0]))
        rows = torch.where(often, rows, torch.full_like(rows, height))
        columns = torch.round(rows * width / height)
        top, left = (
            torch.floor(draws[:, 2] * (height - rows + 1)),
            torch.floor(draws[:, 3] * (width - columns + 1)),
        )
        return resized(images, rows, columns, top, left).reshape(seen.shape)


def resized(
    images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, top: torch.Tensor, left: torch.Tensor
) -> torch.Tensor:
    """Images resized, bilinearly, to so many rows and columns each, and put there on a ground of 0."""
    height, width = images.shape[2:]
    axes = []
    for n, size, begin in ((height, rows, top), (width, columns, left)):
        pixel = torch.arange(n, dtype=images.dtype, device=images.device)[None] - begin[:, None]
        inside = (pixel >= 0) & (pixel < size[:, None])
        # where the centre of a pixel of the smaller image lies in the larger one, no further than its edges
        source = ((pixel + 0.5) * n / size[:, None] - 0.5).clamp(0, n - 1)
        at = (2 * source + 1) / n - 1
        axes.append(torch.where(inside, at, torch.full_like(at, 3.0)))  # beyond: 0
    down, across = axes
    grid = torch.stack(
        [across[:, None].expand(-1, height, -1), down[:, :, None].expand(-1, -1, width)], dim=-1
    )
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@dataclass(frozen=True)
class ScaleCopies(Piece):
    """Copies of the sample, each half as large as the one before.

    Lin et al., "Nesterov accelerated gradient and scale invariance for adversarial attacks", ICLR 2020,
    section 3.2.

    Parameters
    ----------
    n : int, default=5
        Number of copies.
    """

    kind, name, paper = "input", "scale_copies", "Lin et al., ICLR 2020"
    n: int = 5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, 30, whole=True)

    def change(self, run: Run, seen: torch.Tensor) -> torch.Tensor:
        return torch.cat([seen / 2**k for k in range(self.n)])


@dataclass(frozen=True)
class FeatureDropout(Piece):
    """Give some values of a sample back, drawn at random at each step, so that no few are relied on.

    Our own, for tables: what dropout is to training.

    Parameters
    ----------
    probability : float, default=0.1
        How often a value is as it was in the sample that is attacked.
    """

    kind, name, paper = "input", "feature_dropout", "ours"
    probability: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)

    def change(self, run: Run, seen: torch.Tensor) -> torch.Tensor:
        n = len(run.batch.own)
        view = run.batch.view
        own = run.batch.ball.x0 if view is None else view(run.batch.ball.x0)
        back = run.uniform(n, *seen.shape[1:]) < self.probability
        copies = len(seen) // n, *[1] * (seen.ndim - 1)
        return torch.where(back.repeat(copies), own.repeat(copies), seen)
