"""Pieces of the kind "gradient": gradients at other points too, or smoothed ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import conv2d

from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number


def _around(run: Run, x: torch.Tensor, n: int, radius: float) -> list[torch.Tensor]:
    """Points drawn evenly from a cube around each sample, one after the other, so that little is held."""
    return [x + radius * run.eps * (2 * run.uniform(len(x), *x.shape[1:]).to(x.dtype) - 1) for _ in range(n)]


@dataclass(frozen=True)
class Variance(Piece):
    """Add how much the gradient around the last point differed from that at it.

    Wang & He, "Enhancing the transferability of adversarial attacks through variance tuning", CVPR 2021,
    Algorithm 1; with Nesterov's momentum, points around the sample, less the gradient ahead of it, as in the
    authors' code.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=1.5
        How far from it, as a multiple of the budget.
    """

    kind, name, paper = "gradient", "variance", "Wang & He, CVPR 2021"
    n: int = 20
    radius: float = 1.5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        here = ask(x)
        before = run.kept.get("variance")
        around = torch.zeros_like(here)
        # not around where momentum looks ahead
        for point in _around(run, x if run.at is None else run.at, self.n, self.radius):
            around += ask(point)
        run.kept["variance"] = around / self.n - here
        return here.clone() if before is None else here + before


@dataclass(frozen=True)
class Averaged(Piece):
    """The mean gradient at points around the sample.

    Wu, Zhu, Tai & E, "Understanding and enhancing the transferability of adversarial examples", arXiv
    1802.09707, 2018, section 4, where the points are drawn from a normal distribution; here from a cube.

    Parameters
    ----------
    n : int, default=10
        Number of points.
    radius : float, default=1.0
        How far from it, as a multiple of the budget.
    """

    kind, name, paper = "gradient", "averaged", "Wu et al., arXiv 1802.09707"
    n: int = 10
    radius: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        total = torch.zeros_like(x)
        for point in _around(run, x, self.n, self.radius):
            total += ask(point)
        return total / self.n


@dataclass(frozen=True)
class Translation(Piece):
    """Smooth the gradient by a Gaussian kernel: about the mean gradient of shifted copies of an image.

    Dong et al., "Evading defenses to transferable adversarial examples by translation-invariant attacks",
    CVPR 2019, section 3.

    Parameters
    ----------
    size : int, default=15
        Width of the kernel in pixels, odd; of smaller images, the largest odd width that is no wider.
    sigma : float, default=3.0
        Standard deviations of the Gaussian to each side.
    """

    kind, name, paper, images = "gradient", "translation", "Dong et al., CVPR 2019", True
    size: int = 15
    sigma: float = 3.0

    def __post_init__(self) -> None:
        check_number(self, "size", 1, whole=True)
        check_number(self, "sigma", 0)
        if self.size % 2 == 0:
            raise ValueError(f"Translation(size=...) must be odd, got {self.size}")

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        gradient = ask(x)
        images = run.images(gradient, self)
        least = min(images.shape[2:])
        size = min(self.size, least - (least % 2 == 0))
        at = torch.linspace(-self.sigma, self.sigma, size, dtype=images.dtype, device=images.device)
        bell = torch.exp(-(at**2) / 2)
        bell = bell / bell.sum()
        n_channels = images.shape[1]
        kernel = torch.outer(bell, bell).expand(n_channels, 1, size, size)
        return conv2d(images, kernel, padding=size // 2, groups=n_channels).reshape(x.shape)
