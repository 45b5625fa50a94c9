"""Pieces of the kind "step" with a memory: the direction of a step, given the gradients so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from skhalfway.attacks._norms import at_least_tiny, lengths
from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number


def unit_mean(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient divided by the mean of its absolute values."""
    return gradient * gradient[0].numel() / at_least_tiny(lengths(gradient, 1))


@dataclass(frozen=True)
class Momentum(Piece):
    """Step along a decaying sum of all gradients so far.

    Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, Algorithm 1:
    ``g = decay * g + gradient / ||gradient||_1``.

    Parameters
    ----------
    decay : float, default=1.0
        Factor by which the sum is multiplied at each step.

    Examples
    --------
    >>> from skhalfway.attacks import Momentum, Recipe
    >>> Recipe(Momentum(decay=0.9))
    Recipe(Momentum(decay=0.9))
    """

    kind, name, paper = "step", "momentum", "Dong et al., CVPR 2018"
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "decay", 0)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        tiny = torch.finfo(gradient.dtype).tiny
        gradient = gradient / lengths(gradient, 1).clamp_min_(tiny)
        before = run.kept.get("momentum")
        total = gradient if before is None else before.mul_(self.decay).add_(gradient)
        run.kept["momentum"] = total
        return total.clone()


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum with the gradient computed ahead, at the point to which the sum alone would lead.

    Lin et al., "Nesterov accelerated gradient and scale invariance for adversarial attacks", ICLR 2020,
    section 3.1. To look ahead, gradients are divided by the mean of their absolute values, as in the authors'
    code. With the 1-norm of the paper's text, the distance ahead would be negligible beside a step.

    Examples
    --------
    >>> from skhalfway.attacks import Nesterov, Recipe
    >>> Recipe(Nesterov(decay=0.9))
    Recipe(Nesterov(decay=0.9))
    """

    kind, name, paper = "step", "nesterov", "Lin et al., ICLR 2020"

    def ahead(self, run: Run, x: torch.Tensor) -> torch.Tensor:
        before = run.kept.get("momentum")
        if before is None:
            return x
        return x + run.size * self.decay * before[0].numel() * before


@dataclass(frozen=True)
class GlobalMomentum(Momentum):
    """Momentum initialised by a few long preliminary steps, after which the samples are set back.

    Wang et al., "Boosting the transferability of adversarial attacks with global momentum initialization",
    arXiv 2211.11236, 2022. The sum of gradients along the preliminary steps is kept.

    Parameters
    ----------
    decay : float, default=1.0
        Factor by which the sum is multiplied at each step.
    n : int, default=5
        Number of preliminary steps.
    factor : float, default=10.0
        Length of a preliminary step, as a multiple of a step.

    Examples
    --------
    >>> from skhalfway.attacks import GlobalMomentum, Recipe
    >>> Recipe(GlobalMomentum(decay=0.9))
    Recipe(GlobalMomentum(decay=0.9, n=5, factor=10.0))
    """

    kind, name, paper = "step", "global_momentum", "Wang et al., arXiv 2211.11236"
    n: int = 5
    factor: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "n", 1, whole=True)
        check_number(self, "factor", 0)

    @property
    def rehearsal(self) -> tuple[int, float]:
        return self.n, self.factor


@dataclass(frozen=True)
class EnhancedMomentum(Momentum):
    """Momentum of the mean gradient at points to both sides of the sample, along the previous gradient.

    Wang, Lin, Hu, Wang & He, "Boosting adversarial transferability through enhanced momentum", BMVC 2021,
    with evenly spaced points.

    Parameters
    ----------
    decay : float, default=1.0
        Factor by which the sum is multiplied at each step.
    n : int, default=11
        Number of points.
    radius : float, default=7.0
        Distance of the outermost points, in steps.

    Examples
    --------
    >>> from skhalfway.attacks import EnhancedMomentum, Recipe
    >>> Recipe(EnhancedMomentum(decay=0.9))
    Recipe(EnhancedMomentum(decay=0.9, n=11, radius=7.0))
    """

    kind, name, paper, outermost = "step", "enhanced_momentum", "Wang et al., BMVC 2021", True
    n: int = 11
    radius: float = 7.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "n", 1, whole=True)
        check_number(self, "radius", 0)

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        before = run.kept.get("enhanced_momentum")
        if before is None:
            mean = ask(x)
        else:
            places = np.linspace(-self.radius, self.radius, self.n).tolist()
            mean = run.summed(ask, (x + place * run.size * before for place in places)) / self.n
        run.kept["enhanced_momentum"] = unit_mean(mean)
        return mean


@dataclass(frozen=True)
class AdaBelief(Piece):
    """Mean of gradients so far, each value divided by its root mean squared deviation from that mean.

    Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients", NeurIPS
    2020, Algorithm 2, as a step of an attack. A sign step would undo the division, so that the piece has a
    stride of its own.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the running means: of gradients, and of squared deviations.

    Examples
    --------
    >>> from skhalfway.attacks import AdaBelief, Recipe
    >>> Recipe(AdaBelief(beta_1=0.8))
    Recipe(AdaBelief(beta_1=0.8, beta_2=0.999))
    """

    kind, name, paper = "step", "adabelief", "Zhuang et al., NeurIPS 2020"
    beta_1: float = 0.9
    beta_2: float = 0.999

    def __post_init__(self) -> None:
        check_number(self, "beta_1", 0, 0.9999)
        check_number(self, "beta_2", 0, 0.999999)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        gradient = unit_mean(gradient)
        nothing = torch.zeros_like(gradient)
        mean, spread, n = run.kept.get("adabelief", (nothing, nothing, 0))
        mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        spread = self.beta_2 * spread + (1 - self.beta_2) * (gradient - mean) ** 2 + 1e-12
        run.kept["adabelief"] = mean, spread, n + 1
        first, second = 1 - self.beta_1 ** (n + 1), 1 - self.beta_2 ** (n + 1)
        return (mean / first) / ((spread / second).sqrt() + 1e-6)

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        return direction.clamp(-1, 1)


@dataclass(frozen=True)
class TanhAdam(Piece):
    """Step by the hyperbolic tangent of a ratio: the sum of gradients over the root of the sum of squares.

    Zou et al., "Making adversarial examples more transferable and indistinguishable" (AI-FGTM), AAAI 2022,
    Algorithm 1. Step sizes grow as Adam's do, and their sum is that of equal steps.

    Parameters
    ----------
    mu_1, mu_2 : float, default=1.5, 1.9
        Weights of a gradient, and of its square, in the sums.
    scale : float, default=1.3
        Factor of the ratio, inside the hyperbolic tangent.
    beta_1, beta_2 : float, default=0.9, 0.99
        Rates that determine how step sizes grow.

    Examples
    --------
    >>> from skhalfway.attacks import Recipe, TanhAdam
    >>> Recipe(TanhAdam(mu_1=2.0))
    Recipe(TanhAdam(mu_1=2.0, mu_2=1.9, scale=1.3, beta_1=0.9, beta_2=0.99))
    """

    kind, name, paper = "step", "tanh_adam", "Zou et al., AAAI 2022"
    mu_1: float = 1.5
    mu_2: float = 1.9
    scale: float = 1.3
    beta_1: float = 0.9
    beta_2: float = 0.99

    def __post_init__(self) -> None:
        for name in ("mu_1", "mu_2", "scale"):
            check_number(self, name, 1e-6)
        check_number(self, "beta_1", 0, 0.9999)
        check_number(self, "beta_2", 0, 0.9999)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        # the ratio does not depend on the scale of gradients; this keeps its sums in range
        gradient = unit_mean(gradient)
        nothing = torch.zeros_like(gradient)
        first, second = run.kept.get("tanh_adam", (nothing, nothing))
        first, second = first + self.mu_1 * gradient, second + self.mu_2 * gradient**2
        run.kept["tanh_adam"] = first, second
        return self.scale * first / at_least_tiny(second.sqrt())

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        steps = np.arange(1, run.n_steps + 1)
        growth = (1 - self.beta_1**steps) / np.sqrt(1 - self.beta_2**steps)
        now = growth[min(run.step, run.n_steps) - 1] / growth.mean()
        return direction.tanh() * float(now)
