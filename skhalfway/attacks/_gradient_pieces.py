"""Pieces of the kind "gradient": gradients at several points, or smoothed gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import conv2d, cosine_similarity

from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number
from skhalfway.attacks._steps import unit_mean


@dataclass(frozen=True)
class Around(Piece):
    """Base of pieces that compute gradients at random points in a cube around each sample."""

    kind = "gradient"
    n: int = 20
    radius: float = 1.5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)

    def around(self, run: Run, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Points around each sample, made one at a time to save memory."""
        for _ in range(self.n):
            share = run.uniform(self, len(x), *x.shape[1:]).to(x.dtype)
            yield x + self.radius * run.eps * (2 * share - 1)


@dataclass(frozen=True)
class Variance(Around):
    """Variance tuning: add the difference between the mean gradient around the last point and that at it.

    Wang & He, "Enhancing the transferability of adversarial attacks through variance tuning", CVPR 2021,
    Algorithm 1. With Nesterov's momentum, the points lie around the sample, and the gradient that is
    subtracted is the one ahead of it, as in the authors' code.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=1.5
        Largest distance of the points in each feature, as a multiple of the budget.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Variance
    >>> Recipe(Variance(n=4))
    Recipe(Variance(n=4, radius=1.5))
    """

    name, paper, outermost, of_steps = "variance", "Wang & He, CVPR 2021", True, True

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        here = ask(x)
        before = run.kept.get("variance")
        # around the sample itself, not around the point to which momentum looks ahead
        around = run.summed(ask, self.around(run, x if run.at is None else run.at))
        run.kept["variance"] = around / self.n - here
        return here.clone() if before is None else here + before


@dataclass(frozen=True)
class Averaged(Around):
    """The mean gradient at points around the sample.

    Wu, Zhu, Tai & E, "Understanding and enhancing the transferability of adversarial examples", arXiv
    1802.09707, 2018, section 4. The paper draws the points from a normal distribution; here they are drawn
    evenly from a cube.

    Parameters
    ----------
    n : int, default=10
        Number of points.
    radius : float, default=1.0
        Largest distance of the points in each feature, as a multiple of the budget.

    Examples
    --------
    >>> from skhalfway.attacks import Averaged, Recipe
    >>> Recipe(Averaged(n=4))
    Recipe(Averaged(n=4, radius=1.0))
    """

    name, paper = "averaged", "Wu et al., arXiv 1802.09707"
    n: int = 10
    radius: float = 1.0

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        return run.summed(ask, self.around(run, x)) / self.n


@dataclass(frozen=True)
class Relevance(Around):
    """Mix the gradient with the mean around it, by their cosine similarity; shorten steps where signs flip.

    Zhu et al., "Boosting adversarial transferability via gradient relevance attack" (GRA), ICCV 2023.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=3.5
        Largest distance of the points in each feature, as a multiple of the budget.
    decay : float, default=0.94
        Factor by which a feature's step is multiplied each time that its direction flips.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Relevance
    >>> Recipe(Relevance(n=4))
    Recipe(Relevance(n=4, radius=3.5, decay=0.94))
    """

    name, paper, outermost = "relevance", "Zhu et al., ICCV 2023", True
    of_steps = True
    radius: float = 3.5
    decay: float = 0.94

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "decay", 0, 1)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        here = ask(x)
        mean = run.summed(ask, self.around(run, x)) / self.n
        # gradients of a confident source are so small that the division would round them to 0
        alike = cosine_similarity(unit_mean(here).flatten(1), unit_mean(mean).flatten(1), dim=1)
        alike = alike.reshape(-1, *[1] * (x.ndim - 1))
        return alike * here + (1 - alike) * mean

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        sign = direction.sign()
        way, before = run.kept.get("relevance", (torch.ones_like(sign), sign))
        way = torch.where(sign == before, way, self.decay * way)
        run.kept["relevance"] = way, sign
        return way * sign


@dataclass(frozen=True)
class FlatMaxima(Around):
    """Find flat maxima: mix gradients around the sample with those one step down from there.

    Ge et al., "Boosting adversarial transferability by achieving flat local maxima" (PGN, which penalises the
    norm of the gradient), NeurIPS 2023, Algorithm 1.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=3.0
        Largest distance of the points in each feature, as a multiple of the budget.
    balance : float, default=0.5
        Weight of the gradients one step down.

    Examples
    --------
    >>> from skhalfway.attacks import FlatMaxima, Recipe
    >>> Recipe(FlatMaxima(n=4))
    Recipe(FlatMaxima(n=4, radius=3.0, balance=0.5))
    """

    name, paper = "flat_maxima", "Ge et al., NeurIPS 2023"
    radius: float = 3.0
    balance: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "balance", 0, 1)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        def mixed(near: torch.Tensor) -> torch.Tensor:
            first = ask(near)
            second = ask(near - run.size * unit_mean(first))
            return (1 - self.balance) * first + self.balance * second

        return run.summed(mixed, self.around(run, x)) / self.n


@dataclass(frozen=True)
class ReverseNoise(Piece):
    """The gradient at the point to which a small attack in the opposite direction leads.

    Qin et al., "Boosting the transferability of adversarial attacks with reverse adversarial perturbation"
    (RAP), NeurIPS 2022, Algorithm 1.

    Parameters
    ----------
    n : int, default=8
        Number of steps of the small attack.
    radius : float, default=1.0
        Largest change of the small attack in each feature, as a multiple of the budget.
    begin : float, default=0.25
        Share of the steps after which the piece starts; 0 is from the first step.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, ReverseNoise
    >>> Recipe(ReverseNoise(n=4))
    Recipe(ReverseNoise(n=4, radius=1.0, begin=0.25))
    """

    kind, name, paper = "gradient", "reverse_noise", "Qin et al., NeurIPS 2022"
    n: int = 8
    radius: float = 1.0
    begin: float = 0.25

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)
        check_number(self, "begin", 0, 1)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        if run.step < self.begin * run.n_steps:
            return ask(x)
        most = self.radius * run.eps
        noise = most * (2 * run.uniform(self, len(x), *x.shape[1:]).to(x.dtype) - 1)
        step = most / self.n * (-1.0 if run.size > 0 else 1.0)
        for _ in range(self.n):
            noise = (noise + step * ask(x + noise).sign()).clamp(-most, most)
        return ask(x + noise)


@dataclass(frozen=True)
class GradientPenalty(Piece):
    """Penalise the norm of the gradient, by a second gradient at a point a little further along.

    Wu et al., "GNP attack: transferable adversarial examples via gradient norm penalty", ICIP 2023:
    ``(1 + weight) * g(x) - weight * g(x + radius * g(x) / mean|g(x)|)``. The cross-entropy of a confident
    source rises so fast between the two points that the difference points backwards. So combine the piece
    with :class:`Margin`, as ``"gnp"`` does.

    Parameters
    ----------
    weight : float, default=0.8
        Weight of the penalty.
    radius : float, default=0.16
        Distance of the second point, as a multiple of the budget. The paper has .01 for a budget of 16 / 255.

    Examples
    --------
    >>> from skhalfway.attacks import GradientPenalty, Recipe
    >>> Recipe(GradientPenalty(weight=0.5))
    Recipe(GradientPenalty(weight=0.5, radius=0.16))
    """

    kind, name, paper = "gradient", "gradient_penalty", "Wu et al., ICIP 2023"
    weight: float = 0.8
    radius: float = 0.16

    def __post_init__(self) -> None:
        check_number(self, "weight", 0)
        check_number(self, "radius", 0)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        first = ask(x)
        further = self.radius * run.eps * (1.0 if run.size > 0 else -1.0)
        return (1 + self.weight) * first - self.weight * ask(x + further * unit_mean(first))


@dataclass(frozen=True)
class ImprovedEuler(Piece):
    """The mean of two gradients: at the sample, and one step further along the first.

    Peng et al., "Boosting transferability of adversarial example via an enhanced Euler's method" (IE-FGSM),
    ICASSP 2023. Each gradient is divided by the mean of its absolute values.

    Examples
    --------
    >>> from skhalfway.attacks import ImprovedEuler, Recipe
    >>> Recipe(ImprovedEuler())
    Recipe(ImprovedEuler())
    """

    kind, name, paper = "gradient", "improved_euler", "Peng et al., ICASSP 2023"

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        first = unit_mean(ask(x))
        return (first + unit_mean(ask(x + run.size * first))) / 2


@dataclass(frozen=True)
class DirectionTuning(Piece):
    """The mean gradient along an inner loop of smaller steps with a momentum of its own.

    Yang, Lin, Zhang, Yang & Zhao, "Improving the transferability of adversarial examples via direction
    tuning" (DTA), arXiv 2303.15109, 2023, Algorithm 1. The inner steps are 1 / n as long as the attack's, and
    look ahead as Nesterov's do.

    Parameters
    ----------
    n : int, default=10
        Number of inner steps.
    decay : float, default=0.8
        Factor by which the momentum is multiplied at each inner step.

    Examples
    --------
    >>> from skhalfway.attacks import DirectionTuning, Recipe
    >>> Recipe(DirectionTuning(n=4))
    Recipe(DirectionTuning(n=4, decay=0.8))
    """

    kind, name, paper = "gradient", "direction_tuning", "Yang et al., arXiv 2303.15109"
    n: int = 10
    decay: float = 0.8

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "decay", 0)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        total, momentum, size, at = torch.zeros_like(x), torch.zeros_like(x), run.size / self.n, x
        for _ in range(self.n):
            found = ask(at + size * self.decay * momentum)
            total = total + found
            momentum = self.decay * momentum + unit_mean(found)
            at = at + size * momentum.sign()
        return total / self.n


@dataclass(frozen=True)
class Translation(Piece):
    """Smooth the gradient by a Gaussian kernel, which approximates the mean gradient of shifted images.

    Dong et al., "Evading defenses to transferable adversarial examples by translation-invariant attacks",
    CVPR 2019, section 3.

    Parameters
    ----------
    size : int, default=15
        Width of the kernel in pixels, an odd number. For smaller images, it is the largest odd width that
        fits.
    sigma : float, default=3.0
        Half the kernel's width, in standard deviations of the Gaussian.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, Translation
    >>> Recipe(Translation(size=5))
    Recipe(Translation(size=5, sigma=3.0))
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
