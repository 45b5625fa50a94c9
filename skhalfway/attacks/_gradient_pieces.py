"""Pieces of the kind "gradient": gradients at other points too, or smoothed ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import conv2d, cosine_similarity

from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number
from skhalfway.attacks._steps import unit_mean


@dataclass(frozen=True)
class Around(Piece):
    """What pieces have in common that ask for gradients at points in a cube around each sample."""

    kind = "gradient"
    n: int = 20
    radius: float = 1.5

    def __post_init__(self) -> None:
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)

    def around(self, run: Run, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Points around each sample, one after the other, so that little is held."""
        for _ in range(self.n):
            share = run.uniform(self, len(x), *x.shape[1:]).to(x.dtype)
            yield x + self.radius * run.eps * (2 * share - 1)


@dataclass(frozen=True)
class Variance(Around):
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
        # not around where momentum looks ahead
        around = run.summed(ask, self.around(run, x if run.at is None else run.at))
        run.kept["variance"] = around / self.n - here
        return here.clone() if before is None else here + before


@dataclass(frozen=True)
class Averaged(Around):
    """The mean gradient at points around the sample.

    Wu, Zhu, Tai & E, "Understanding and enhancing the transferability of adversarial examples", arXiv
    1802.09707, 2018, section 4, where the points are drawn from a normal distribution; here from a cube.

    Parameters
    ----------
    n : int, default=10
        Number of points.
    radius : float, default=1.0
        How far from it, as a multiple of the budget.

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
    """Mix the gradient with the mean around it, by how alike they are; go less far where signs turn.

    Zhu et al., "Boosting adversarial transferability via gradient relevance attack" (GRA), ICCV 2023.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=3.5
        How far from it, as a multiple of the budget.
    decay : float, default=0.94
        What is left of the way of a value whenever its direction has turned.

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
        # of a sure source they are so small that the division would take them for 0
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
    """Mix gradients around the sample with those a step down from there, so that high places are flat.

    Ge et al., "Boosting adversarial transferability by achieving flat local maxima" (PGN, which penalises the
    norm of the gradient), NeurIPS 2023, Algorithm 1.

    Parameters
    ----------
    n : int, default=20
        Number of points around each sample.
    radius : float, default=3.0
        How far from it, as a multiple of the budget.
    balance : float, default=0.5
        Weight of the gradients a step down.

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
    """The gradient where noise of a small attack in the other direction has undone most.

    Qin et al., "Boosting the transferability of adversarial attacks with reverse adversarial perturbation"
    (RAP), NeurIPS 2022, Algorithm 1.

    Parameters
    ----------
    n : int, default=8
        Number of steps of the small attack.
    radius : float, default=1.0
        How far it may go in each value, as a multiple of the budget.
    begin : float, default=0.25
        After which share of the steps it sets in; 0 is from the first on.

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
    """Penalise the norm of the gradient, by a second gradient a little further on.

    Wu et al., "GNP attack: transferable adversarial examples via gradient norm penalty", ICIP 2023:
    ``(1 + weight) * g(x) - weight * g(x + radius * g(x) / mean|g(x)|)``. Cross-entropy of a sure source
    rises so fast on the way that the difference leads back; take :class:`Margin`, as ``"gnp"`` does.

    Parameters
    ----------
    weight : float, default=0.8
        Of the penalty.
    radius : float, default=0.16
        How much further on, as a multiple of the budget; .01 for one of 16 / 255 in the paper.

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
    """The mean of the gradient and of that where it leads.

    Peng et al., "Boosting transferability of adversarial example via an enhanced Euler's method" (IE-FGSM),
    ICASSP 2023; both as multiples of the mean size of their values.

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
    """The mean gradient along a way of smaller steps with a momentum of its own.

    Yang, Lin, Zhang, Yang & Zhao, "Improving the transferability of adversarial examples via direction
    tuning" (DTA), arXiv 2303.15109, 2023, Algorithm 1; its steps are 1 / n of the attack's, and look ahead as
    Nesterov's do.

    Parameters
    ----------
    n : int, default=10
        Number of smaller steps.
    decay : float, default=0.8
        What is left of the momentum at each of them.

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
    """Smooth the gradient by a Gaussian kernel: about the mean gradient of shifted copies of an image.

    Dong et al., "Evading defenses to transferable adversarial examples by translation-invariant attacks",
    CVPR 2019, section 3.

    Parameters
    ----------
    size : int, default=15
        Width of the kernel in pixels, odd; of smaller images, the largest odd width that is no wider.
    sigma : float, default=3.0
        Standard deviations of the Gaussian to each side.

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
