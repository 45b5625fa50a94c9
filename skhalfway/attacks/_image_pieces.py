"""Pieces of the kind "input", for images: what the model sees in place of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch

from skhalfway.attacks._input_pieces import Copies
from skhalfway.attacks._pieces import Piece, Run, check_number
from skhalfway.attacks._resampling import cosines, either, sampled, smaller


@dataclass(frozen=True)
class DiverseInput(Piece):
    """Resize each image to a random smaller size, and put it at a random place.

    Xie et al., "Improving transferability of adversarial examples with input diversity", CVPR 2019, section
    3. Resizing is bilinear, and the pixels around the smaller image are 0.

    Parameters
    ----------
    probability : float, default=0.5
        Probability that an image is changed.
    least : float, default=0.9
        Smallest size, as a share of the image's size.

    Examples
    --------
    >>> from skhalfway.attacks import DiverseInput, Recipe
    >>> Recipe(DiverseInput(probability=0.7))
    Recipe(DiverseInput(probability=0.7, least=0.9))
    """

    kind, name, paper, images = "input", "diverse_input", "Xie et al., CVPR 2019", True
    probability: float = 0.5
    least: float = 0.9

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)
        check_number(self, "least", 0.01, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        draws = run.uniform(self, len(images), 4).to(images.dtype)
        least = torch.full_like(draws[:, 0], self.least)
        return smaller(images, draws[:, 0] < self.probability, least, draws[:, 1:]).reshape(seen.shape)


@dataclass(frozen=True)
class DiverseEnsemble(Copies):
    """Copies of the image, resized at random and put at random places; each has its own smallest size.

    Zou et al., "Improving the transferability of adversarial examples with resized-diverse-inputs,
    diversity-ensemble and region fitting" (DEM), ECCV 2020. Images become smaller here rather than larger,
    since sources take one size.

    Parameters
    ----------
    n : int, default=5
        Number of copies.
    least : float, default=0.6
        Smallest size of the last copy, as a share of the image's size; that of the first is .9.

    Examples
    --------
    >>> from skhalfway.attacks import DiverseEnsemble, Recipe
    >>> Recipe(DiverseEnsemble(n=4))
    Recipe(DiverseEnsemble(n=4, least=0.6))
    """

    name, paper, images = "diverse_ensemble", "Zou et al., ECCV 2020", True
    n: int = 5
    least: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "least", 0.01, 0.9)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        least = 0.9 - (0.9 - self.least) * copy.to(images.dtype) / max(1, self.n - 1)
        draws = run.uniform(self, len(images), 3).to(images.dtype)
        return smaller(images, torch.ones_like(copy, dtype=torch.bool), least, draws).reshape(seen.shape)


@dataclass(frozen=True)
class RandomCrop(Piece):
    """Enlarge a random part of the image to its full size.

    Random crops are an old data augmentation; their use in an attack is our own.

    Parameters
    ----------
    least : float, default=0.8
        Smallest size of the part, as a share of the image's width.

    Examples
    --------
    >>> from skhalfway.attacks import RandomCrop, Recipe
    >>> Recipe(RandomCrop(least=0.8))
    Recipe(RandomCrop(least=0.8))
    """

    kind, name, paper, images = "input", "random_crop", "ours", True
    least: float = 0.8

    def __post_init__(self) -> None:
        check_number(self, "least", 0.01, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        draws = run.uniform(self, len(images), 3).to(images.dtype)
        share = self.least + draws[:, 0] * (1 - self.least)
        axes = []
        for n, place in ((images.shape[2], draws[:, 1]), (images.shape[3], draws[:, 2])):
            at = (2 * torch.arange(n, **run.batch.place) + 1) / n - 1
            axes.append(share[:, None] * at + ((1 - share) * (2 * place - 1))[:, None])
        return sampled(images, axes[0][:, :, None], axes[1][:, None, :], "border").reshape(seen.shape)


@dataclass(frozen=True)
class Cutout(Piece):
    """Set a square at a random place of the image to 0.

    DeVries & Taylor, arXiv 1708.04552, 2017, use it as a data augmentation; its use in an attack is our own.

    Parameters
    ----------
    size : float, default=0.3
        Width of the square, as a share of the image's width.

    Examples
    --------
    >>> from skhalfway.attacks import Cutout, Recipe
    >>> Recipe(Cutout(size=0.5))
    Recipe(Cutout(size=0.5))
    """

    kind, name, paper, images = "input", "cutout", "ours", True
    size: float = 0.3

    def __post_init__(self) -> None:
        check_number(self, "size", 0, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        draws = run.uniform(self, len(images), 2).to(images.dtype)
        inside = []
        for n, place in ((images.shape[2], draws[:, 0]), (images.shape[3], draws[:, 1])):
            at = torch.arange(n, **run.batch.place)[None]
            inside.append((at + 0.5 - (place * n)[:, None]).abs() <= self.size * n / 2)
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(square, 0.0).reshape(seen.shape)


@dataclass(frozen=True)
class MaskedBlocks(Piece):
    """Copies of the image, each with one block of it set to 0.

    Fan et al., "MaskBlock: transferable adversarial examples with Bayes approach", arXiv 2208.06538, 2022.

    Parameters
    ----------
    blocks : int, default=4
        Number of blocks along each side. There are blocks * blocks copies, one for each block.

    Examples
    --------
    >>> from skhalfway.attacks import MaskedBlocks, Recipe
    >>> Recipe(MaskedBlocks(blocks=3))
    Recipe(MaskedBlocks(blocks=3))
    """

    kind, name, paper, images = "input", "masked_blocks", "Fan et al., arXiv 2208.06538", True
    blocks: int = 4

    def __post_init__(self) -> None:
        check_number(self, "blocks", 1, 32, whole=True)

    @property
    def n_copies(self) -> int:
        return self.blocks**2

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        rows, columns = (torch.arange(n, device=seen.device) * self.blocks // n for n in (images.shape[2:]))
        number = rows[:, None] * self.blocks + columns
        return images.masked_fill((number == copy[:, None, None])[:, None], 0.0).reshape(seen.shape)


@dataclass(frozen=True)
class BlockShuffle(Copies):
    """Copies of the image whose blocks, cut at random places, are shuffled and rotated.

    Wang, He, Wang & Wang, "Boosting adversarial transferability by block shuffle and rotation" (BSR), CVPR
    2024.

    Parameters
    ----------
    n : int, default=20
        Number of copies.
    blocks : int, default=2
        Number of blocks along each side.
    angle : float, default=24.0
        Largest angle of rotation, in degrees.

    Examples
    --------
    >>> from skhalfway.attacks import BlockShuffle, Recipe
    >>> Recipe(BlockShuffle(n=4))
    Recipe(BlockShuffle(n=4, blocks=2, angle=24.0))
    """

    name, paper, images = "block_shuffle", "Wang et al., CVPR 2024", True
    n: int = 20
    blocks: int = 2
    angle: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "blocks", 1, whole=True)
        check_number(self, "angle", 0, 180)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images, b = run.images(seen, self), self.blocks
        draws = run.uniform(self, len(images), 4 * b + b * b).to(images.dtype)
        axes = [self._axis(n, draws[:, 2 * b * i : 2 * b * (i + 1)]) for i, n in enumerate(images.shape[2:])]
        (row, up, tall, top), (column, left, wide, begin) = axes
        angles = (2 * draws[:, 4 * b :] - 1) * self.angle * pi / 180
        turn = angles.gather(1, (row[:, :, None] * b + column[:, None, :]).flatten(1))
        turn = turn.reshape(len(images), *images.shape[2:])
        y, x = up[:, :, None], left[:, None, :]
        down = turn.cos() * y - turn.sin() * x
        across = turn.sin() * y + turn.cos() * x
        outside = (down.abs() > tall[:, :, None] / 2) | (across.abs() > wide[:, None, :] / 2)
        down, across = down + top[:, :, None], across + begin[:, None, :]
        height, width = images.shape[2:]
        down, across = 2 * down / height - 1, 2 * across / width - 1
        down = torch.where(outside, torch.full_like(down, 3.0), down)  # outside the image, which reads 0
        return sampled(images, down, across, "zeros").reshape(seen.shape)

    def _axis(self, n: int, draws: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """For each pixel: its block, its distance from the block's centre, the block's size and centre."""
        b = self.blocks
        # cuts are drawn within half a block's width of even cuts
        even = torch.arange(1, b, dtype=draws.dtype, device=draws.device) * n / b
        cuts = (even + (draws[:, : b - 1] - 0.5) * n / b).round()
        ends = torch.cat([torch.zeros_like(draws[:, :1]), cuts, torch.full_like(draws[:, :1], n)], dim=1)
        size = ends.diff(dim=1)
        order = draws[:, b:].argsort(dim=1)
        after = size.gather(1, order).cumsum(dim=1)
        pixel = torch.arange(n, dtype=draws.dtype, device=draws.device) + 0.5
        place = torch.searchsorted(after, pixel.expand(len(draws), n).contiguous()).clamp_max(b - 1)
        block = order.gather(1, place)
        own = size.gather(1, block)
        offset = pixel - (after.gather(1, place) - own) - own / 2
        return block, offset, own, ends.gather(1, block) + own / 2


@dataclass(frozen=True)
class StructureInvariant(Copies):
    """Copies of the image in which each block is changed by a transformation of its own.

    Wang, Zhang & Zhang, "Structure invariant transformation for better adversarial transferability" (SIA),
    ICCV 2023. A block is shifted along either axis, flipped along either axis, rotated by 180 degrees,
    scaled, covered with noise of the budget's size, or partly dropped. Two of the paper's ten
    transformations, resizing and the change of frequencies, are left out.

    Parameters
    ----------
    n : int, default=20
        Number of copies.
    blocks : int, default=3
        Number of blocks along each side.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, StructureInvariant
    >>> Recipe(StructureInvariant(n=4))
    Recipe(StructureInvariant(n=4, blocks=3))
    """

    name, paper, images = "structure_invariant", "Wang et al., ICCV 2023", True
    n: int = 20
    blocks: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "blocks", 1, 32, whole=True)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images, b = run.images(seen, self), self.blocks
        n, _, height, width = images.shape
        draws = run.uniform(self, n, 3, b * b).to(images.dtype)
        place = [torch.arange(size, device=seen.device) for size in (height, width)]
        ends = [torch.arange(b + 1, device=seen.device) * size // b for size in (height, width)]
        block = [torch.searchsorted(end, at, right=True) - 1 for end, at in zip(ends, place, strict=True)]
        number = (block[0][:, None] * b + block[1]).flatten()
        way, amount, other = ((draws[:, i].gather(1, number.expand(n, -1))) for i in range(3))
        way, amount, other = (part.reshape(n, height, width) for part in (way, amount, other))
        way = (8 * way).long()
        source = []
        for axis in (0, 1):
            begin, size = ends[axis][block[axis]], ends[axis].diff()[block[axis]]
            shape = (-1, 1) if axis == 0 else (1, -1)
            begin, size, at = (part.reshape(shape) for part in (begin, size, place[axis]))
            within = at - begin
            shifted = (within + (amount * size).long()) % size
            back = size - 1 - within
            source.append(begin + either(way, {axis: shifted, 2 + axis: back, 4: back}, within))
        index = (source[0] * width + source[1]).flatten(1)[:, None].expand(-1, images.shape[1], -1)
        moved = images.flatten(2).gather(2, index).reshape(images.shape)
        way, amount = way[:, None], amount[:, None]
        moved = torch.where(way == 5, moved * amount, moved)
        pixels = run.uniform(self, n, *images.shape[1:], what="pixels").to(images.dtype)
        moved = torch.where(way == 6, moved + run.as_seen(run.eps * (2 * pixels - 1)), moved)
        dropped = (way == 7) & (pixels < 0.1)
        return moved.masked_fill(dropped, 0.0).reshape(seen.shape)


@dataclass(frozen=True)
class Spectrum(Copies):
    """Copies of the image with noise, in which each frequency is scaled at random.

    Long et al., "Frequency domain model augmentation for adversarial attack" (SSA), ECCV 2022:
    ``IDCT(DCT(x + noise) * mask)``.

    Parameters
    ----------
    n : int, default=20
        Number of copies.
    rho : float, default=0.5
        Largest difference between a frequency's factor and 1.
    noise : float, default=1.0
        Standard deviation of the noise, as a multiple of the budget.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Spectrum
    >>> Recipe(Spectrum(n=4))
    Recipe(Spectrum(n=4, rho=0.5, noise=1.0))
    """

    name, paper, images = "spectrum", "Long et al., ECCV 2022", True
    n: int = 20
    rho: float = 0.5
    noise: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "rho", 0)
        check_number(self, "noise", 0)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        images = run.images(seen, self)
        draws = run.uniform(self, len(images), 2, *images.shape[1:]).to(images.dtype)
        noise = torch.special.ndtri(draws[:, 0].clamp(1e-6, 1 - 1e-6))
        down, across = (cosines(size, images) for size in images.shape[2:])
        waves = down @ (images + run.as_seen(self.noise * run.eps * noise)) @ across.T
        return (down.T @ (waves * (1 + self.rho * (2 * draws[:, 1] - 1))) @ across).reshape(seen.shape)
