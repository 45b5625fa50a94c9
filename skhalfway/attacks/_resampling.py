"""Transformations of images: resizing, moving, blocks, and the discrete cosine transform."""

from __future__ import annotations

from math import pi, sqrt

import torch
from torch.nn.functional import grid_sample


def cosines(n: int, like: torch.Tensor) -> torch.Tensor:
    """Matrix of the orthonormal discrete cosine transform, type II, of n values."""
    at = torch.arange(n, dtype=torch.float64, device=like.device)
    matrix = torch.cos(pi / n * (at + 0.5) * at[:, None]) * sqrt(2 / n)
    matrix[0] /= sqrt(2)
    return matrix.to(like.dtype)


def either(way: torch.Tensor, ways: dict[int, torch.Tensor], otherwise: torch.Tensor) -> torch.Tensor:
    """For each pixel, the result of the transformation that is chosen there."""
    result = otherwise.expand(way.shape)
    for number, value in ways.items():
        result = torch.where(way == number, value.expand(way.shape), result)
    return result


def smaller(
    images: torch.Tensor, changed: torch.Tensor, least: torch.Tensor, draws: torch.Tensor
) -> torch.Tensor:
    """Images resized to a random size of at least ``least``, at random places, where ``changed``."""
    height, width = images.shape[2:]
    # a resized image has a whole number of pixels
    fewest = (least * height).round()
    rows = torch.floor(fewest + draws[:, 0] * (height - fewest))
    rows = torch.where(changed, rows, torch.full_like(rows, height))
    columns = torch.round(rows * width / height)
    top = torch.floor(draws[:, 1] * (height - rows + 1))
    left = torch.floor(draws[:, 2] * (width - columns + 1))
    return resized(images, rows, columns, top, left)


def resized(
    images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, top: torch.Tensor, left: torch.Tensor
) -> torch.Tensor:
    """Images resized, bilinearly, to numbers of rows and columns, and put at places on a background of 0."""
    height, width = images.shape[2:]
    axes = []
    for n, size, begin in ((height, rows, top), (width, columns, left)):
        pixel = torch.arange(n, dtype=images.dtype, device=images.device)[None] - begin[:, None]
        inside = (pixel >= 0) & (pixel < size[:, None])
        # position in the original image of the centre of each new pixel, clipped to the edges
        source = ((pixel + 0.5) * n / size[:, None] - 0.5).clamp(0, n - 1)
        at = (2 * source + 1) / n - 1
        axes.append(torch.where(inside, at, torch.full_like(at, 3.0)))  # outside the image, which reads 0
    return sampled(images, axes[0][:, :, None], axes[1][:, None, :], "zeros")


def sampled(images: torch.Tensor, down: torch.Tensor, across: torch.Tensor, beyond: str) -> torch.Tensor:
    """Images sampled, bilinearly, at places from -1 to 1; outside they are 0, or as at the border."""
    shape = (len(images), *images.shape[2:])
    grid = torch.stack([across.expand(shape), down.expand(shape)], dim=-1)
    return grid_sample(images, grid, mode="bilinear", padding_mode=beyond, align_corners=False)
