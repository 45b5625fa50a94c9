"""Pieces of the kind "step" that set the length of the step in each feature, instead of the sign alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import conv2d

from skhalfway.attacks._norms import at_least_tiny, largest
from skhalfway.attacks._pieces import Piece, Run, check_number


@dataclass(frozen=True)
class Normalised(Piece):
    """Step along the gradient itself rather than its signs; the largest value moves by a whole step.

    Rozsa, Rudd & Boult, "Adversarial diversity and hard positive generation", CVPR workshops 2016. In
    L2 every step does that; in L1 it spreads a step over all features.

    Examples
    --------
    >>> from skhalfway.attacks import Normalised, Recipe
    >>> Recipe(Normalised())
    Recipe(Normalised())
    """

    kind, name, paper = "step", "normalised", "Rozsa et al., CVPR workshops 2016"

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        return direction / at_least_tiny(largest(direction))


@dataclass(frozen=True)
class Staircase(Piece):
    """Sign steps whose length in a feature grows with the rank of its gradient, in even stairs.

    Zhang et al., "Staircase sign method for boosting adversarial attacks" (I-FGS2M), arXiv 2104.09722, 2021.
    The features of a sample are sorted by the size of their gradient and split into n equal parts. Those in
    the k-th part move by (2k - 1) / n of a step.

    Parameters
    ----------
    n : int, default=64
        Number of stairs (parts).

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Staircase
    >>> Recipe(Staircase(n=4))
    Recipe(Staircase(n=4))
    """

    kind, name, paper = "step", "staircase", "Zhang et al., arXiv 2104.09722"
    n: int = 64

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        flat = direction.flatten(1)
        n_values = flat.shape[1]
        rank = flat.abs().argsort(dim=1).argsort(dim=1)
        stair = torch.div(rank * self.n, n_values, rounding_mode="floor") + 1
        return (flat.sign() * (2 * stair - 1) / self.n).reshape(direction.shape)


@dataclass(frozen=True)
class Rescaled(Piece):
    """Sign steps whose length in a feature grows with the logarithm of its gradient.

    Han et al., "Sampling-based fast gradient rescaling method for highly transferable adversarial attacks"
    (FGRM), arXiv 2307.02828, 2023: ``factor * sign(g) * sigmoid((log2|g| - mean) / std)``.

    Parameters
    ----------
    factor : float, default=2.0
        Longest possible step of a feature, in steps; a feature whose logarithm is the mean moves half as far.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Rescaled
    >>> Recipe(Rescaled(factor=3.0))
    Recipe(Rescaled(factor=3.0))
    """

    kind, name, paper = "step", "rescaled", "Han et al., arXiv 2307.02828"
    factor: float = 2.0

    def __post_init__(self) -> None:
        check_number(self, "factor", 1e-6)

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        flat = direction.flatten(1)
        there = flat != 0
        # values whose gradient is 0 have no logarithm
        size = torch.where(there, flat.abs(), 1.0).log2()
        n = there.sum(dim=1, keepdim=True).clamp_min(1)
        mean = (size * there).sum(dim=1, keepdim=True) / n
        spread = (((size - mean) ** 2 * there).sum(dim=1, keepdim=True) / (n - 1).clamp_min(1)).sqrt()
        weight = ((size - mean) / at_least_tiny(spread)).sigmoid()
        return (self.factor * flat.sign() * weight).reshape(direction.shape)


@dataclass(frozen=True)
class PatchWise(Piece):
    """Long steps, whose part beyond the budget is passed on to neighbouring pixels.

    Gao et al., "Patch-wise attack for fooling deep neural network" (PI-FGSM), ECCV 2020, Algorithm 1.

    Parameters
    ----------
    amplification : float, default=10.0
        Factor by which steps are longer.
    size : int, default=3
        Width of the patch of neighbours, in pixels; an odd number.

    Examples
    --------
    >>> from skhalfway.attacks import PatchWise, Recipe
    >>> Recipe(PatchWise(amplification=5.0))
    Recipe(PatchWise(amplification=5.0, size=3))
    """

    kind, name, paper, images = "step", "patch_wise", "Gao et al., ECCV 2020", True
    of_steps = True
    amplification: float = 10.0
    size: int = 3

    def __post_init__(self) -> None:
        check_number(self, "amplification", 1e-6)
        check_number(self, "size", 3, whole=True)
        if self.size % 2 == 0:
            raise ValueError(f"PatchWise(size=...) must be odd, got {self.size}")

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        # everything is in multiples of a step, so that its length and sign do not matter
        most = run.eps / abs(run.size)
        sign = direction.sign()
        total = run.kept.get("patch_wise", torch.zeros_like(sign)) + self.amplification * sign
        beyond = (total.abs() - most).clamp_min(0.0) * total.sign()
        images = run.images(beyond, self)
        n_channels = images.shape[1]
        kernel = torch.full((self.size, self.size), 1 / (self.size**2 - 1), **run.batch.place)
        kernel[self.size // 2, self.size // 2] = 0.0
        kernel = kernel.expand(n_channels, 1, self.size, self.size)
        around = conv2d(images, kernel, padding=self.size // 2, groups=n_channels).reshape(sign.shape)
        passed_on = most * around.sign()
        run.kept["patch_wise"] = total + passed_on
        return self.amplification * sign + passed_on
