"""Pieces of the kind "input", for rows of any kind: what the model sees in place of a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number


def each(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """One value for each row, shaped to broadcast against rows."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class Copies(Piece):
    """Base of pieces that show the model several copies of each sample."""

    kind = "input"
    n: int = 5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)

    @property
    def n_copies(self) -> int:
        return self.n


@dataclass(frozen=True)
class ScaleCopies(Copies):
    """Copies of the sample, whose values are divided by 1, 2, 4, 8, ...

    Lin et al., "Nesterov accelerated gradient and scale invariance for adversarial attacks", ICLR 2020,
    section 3.2.

    Parameters
    ----------
    n : int, default=5
        Number of copies.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, ScaleCopies
    >>> Recipe(ScaleCopies(n=4))
    Recipe(ScaleCopies(n=4))
    """

    name, paper = "scale_copies", "Lin et al., ICLR 2020"
    n: int = 5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, 30, whole=True)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        return seen * each(0.5**copy, seen)


@dataclass(frozen=True)
class UniformScale(Copies):
    """Copies of the sample, scaled by evenly spaced factors.

    Wang, Ying, Li & Lian, "Boost adversarial transferability by uniform scale and mix mask method" (US-MM),
    arXiv 2311.12051, 2023.

    Parameters
    ----------
    n : int, default=5
        Number of copies.
    low, high : float, default=0.1, 0.75
        Smallest and largest factor.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, UniformScale
    >>> Recipe(UniformScale(n=4))
    Recipe(UniformScale(n=4, low=0.1, high=0.75))
    """

    name, paper = "uniform_scale", "Wang et al., arXiv 2311.12051"
    n: int = 5
    low: float = 0.1
    high: float = 0.75

    def __post_init__(self) -> None:
        check_number(self, "n", 2, whole=True)
        check_number(self, "low", 0)
        check_number(self, "high", 0)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        return seen * each(self.low + (self.high - self.low) * copy / (self.n - 1), seen)


@dataclass(frozen=True)
class MixMask(Copies):
    """Multiply the sample by a mask that is made from another sample.

    Wang, Ying, Li & Lian, "Boost adversarial transferability by uniform scale and mix mask method" (US-MM),
    arXiv 2311.12051, 2023. The mask is ``1 - reach + 2 * reach * other``. The values of ``other`` are scaled
    to [0, 1] by the smallest and the largest value of all samples that are attacked.

    Parameters
    ----------
    n : int, default=3
        Number of other samples.
    reach : float, default=0.5
        Largest difference between the mask and 1.

    Examples
    --------
    >>> from skhalfway.attacks import MixMask, Recipe
    >>> Recipe(MixMask(n=4))
    Recipe(MixMask(n=4, reach=0.5))
    """

    kind, name, paper, mixes = "input", "mix_mask", "Wang et al., arXiv 2311.12051", True
    n: int = 3
    reach: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "reach", 0, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        others = run.others(self, len(seen), of_other_classes=False)
        values, _ = run.pool()
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        others = (others - low) / (high - low if high > low else 1.0)
        mask = 1 - self.reach + 2 * self.reach * others
        return seen * torch.where(mask.isnan(), 1.0, mask)


@dataclass(frozen=True)
class Admix(Copies):
    """Add a share of a sample of another class, drawn from all samples that are attacked.

    Wang, He, Wang & He, "Admix: enhancing the transferability of adversarial attacks", ICCV 2021.

    Parameters
    ----------
    n : int, default=3
        Number of other samples.
    share : float, default=0.2
        Factor of the other sample.

    Examples
    --------
    >>> from skhalfway.attacks import Admix, Recipe
    >>> Recipe(Admix(n=4))
    Recipe(Admix(n=4, share=0.2))
    """

    kind, name, paper, mixes = "input", "admix", "Wang et al., ICCV 2021", True
    n: int = 3
    share: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "share", 0)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        others = run.others(self, len(seen))
        return seen + self.share * torch.where(others.isnan(), 0.0, others)


@dataclass(frozen=True)
class MixedRows(Copies):
    """Replace some values of a sample by those of others in the same column, drawn from all attacked samples.

    Our own, for tables: a sum of two rows is rarely a meaningful row, but a value of another row is a
    possible value of its column.

    Parameters
    ----------
    n : int, default=3
        Number of copies.
    probability : float, default=0.1
        Probability that a value is replaced.

    Examples
    --------
    >>> from skhalfway.attacks import MixedRows, Recipe
    >>> Recipe(MixedRows(n=4))
    Recipe(MixedRows(n=4, probability=0.1))
    """

    kind, name, paper, mixes = "input", "mixed_rows", "ours", True
    n: int = 3
    probability: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "probability", 0, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        swapped = run.uniform(self, len(seen), *seen.shape[1:]) < self.probability
        others = run.others(self, len(seen), of_other_classes=False)
        return torch.where(swapped & ~others.isnan(), others, seen)


@dataclass(frozen=True)
class Jitter(Copies):
    """Add noise in multiples of each column's standard deviation over all samples that are attacked.

    Our own, for tables, whose columns have different units.

    Parameters
    ----------
    n : int, default=5
        Number of copies.
    scale : float, default=0.1
        Standard deviation of the noise, as a multiple of the column's standard deviation.

    Examples
    --------
    >>> from skhalfway.attacks import Jitter, Recipe
    >>> Recipe(Jitter(n=4))
    Recipe(Jitter(n=4, scale=0.1))
    """

    kind, name, paper, mixes = "input", "jitter", "ours", True
    n: int = 5
    scale: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "scale", 0)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        if self.name not in run.kept:
            numbers = np.ma.masked_invalid(np.asarray(run.pool()[0], dtype=float))
            spread = np.ma.filled(numbers.std(axis=0), 0.0)
            run.kept[self.name] = torch.tensor(spread, **run.batch.place)
        noise = torch.special.ndtri(run.uniform(self, len(seen), *seen.shape[1:]).clamp(1e-6, 1 - 1e-6))
        return seen + self.scale * run.kept[self.name] * noise


@dataclass(frozen=True)
class FeatureDropout(Piece):
    """Set some values back to those of the clean sample at each step, so that the attack relies on no few.

    Our own, for tables; it does for an attack what dropout does for training.

    Parameters
    ----------
    probability : float, default=0.1
        Probability that a value is set back.

    Examples
    --------
    >>> from skhalfway.attacks import FeatureDropout, Recipe
    >>> Recipe(FeatureDropout(probability=0.7))
    Recipe(FeatureDropout(probability=0.7))
    """

    kind, name, paper = "input", "feature_dropout", "ours"
    probability: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "probability", 0, 1)

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        back = run.uniform(self, len(seen), *seen.shape[1:]) < self.probability
        return torch.where(back, run.original(len(seen)), seen)


@dataclass(frozen=True)
class IntegratedGradient(Copies):
    """Integrated gradient: the mean gradient on the segment from 0 to the sample, times the absolute values.

    Sundararajan, Taly & Yan, ICML 2017, equation 3, with n points. Huang & Kong, "Transferable adversarial
    attack based on integrated gradients" (TAIG-S), ICLR 2022, use it in an attack, and Ma et al. (MIG), ICCV
    2023, with momentum. In these papers values are pixels, which are never negative. Absolute values are
    taken here, since a negative value would reverse the gradient.

    Parameters
    ----------
    n : int, default=20
        Number of points on the segment.

    Examples
    --------
    >>> from skhalfway.attacks import IntegratedGradient, Recipe
    >>> Recipe(IntegratedGradient(n=4))
    Recipe(IntegratedGradient(n=4))
    """

    name, paper = "integrated_gradient", "Huang & Kong, ICLR 2022"
    n: int = 20

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        # the scale is detached: the gradient is that at the point, not times the point's factor
        return seen - seen.detach() * each(1 - (copy + 1) / self.n, seen)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        return x.abs() * ask(x)
