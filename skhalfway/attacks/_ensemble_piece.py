"""A piece of the kind "gradient" for ensembles: one member after another, with less variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from skhalfway._text import shown
from skhalfway.attacks._pieces import Gradient, Piece, Run, check_number
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._faults import type_name

if TYPE_CHECKING:
    from skhalfway.attacks._members import Members
    from skhalfway.models import Model

_A_MEMBER = 4  # inner steps for each member, as in section 4.1 of the paper


@dataclass(frozen=True)
class ReducedVariance(Piece):
    """The way of an inner walk that follows the members of an :class:`~skhalfway.Ensemble` one at a time.

    Xiong et al., "Stochastic variance reduced ensemble adversarial attack for boosting the adversarial
    transferability", CVPR 2022, Algorithm 1 (SVRE). From the sample x, at each inner step m a member k is
    drawn, and what is followed there is ``g_k(x_m) - g_k(x) + g(x)``, of its gradient g_k and the mean
    gradient g of all: its mean over draws is g(x_m), and it varies less than g_k. Inner steps are as long as
    the outer ones, and go along the sum of these, that before times ``decay``. The sum after the last one is
    the gradient at x; the walk itself is left behind.

    A member is drawn as often as its weight says, the same one for all samples. The source must be an
    ensemble with ``combine="losses"``, whose gradient is the mean that the paper speaks of.

    Parameters
    ----------
    n : int, default=None
        Number of inner steps; None is 4 for each member, as in the paper.
    decay : float, default=1.0
        What is kept of the sum at each inner step.

    See Also
    --------
    skhalfway.Ensemble : The source.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, Ensemble
    >>> from skhalfway.attacks import Momentum, Recipe, ReducedVariance
    >>> X, y = load_iris(return_X_y=True)
    >>> members = [("lr", LogisticRegression(max_iter=1000).fit(X, y)), ("svm", SVC().fit(X, y))]
    >>> ensemble = Ensemble(members, combine="losses")
    >>> recipe = Recipe(Momentum(), ReducedVariance(n=4))
    >>> generator = AdversarialGenerator(ensemble, attack=recipe, eps=0.5, max_iter=10, random_state=0)
    >>> round(ensemble.score(generator.generate(X, y), y), 2)
    0.59
    """

    kind, name, paper, outermost = "gradient", "reduced_variance", "Xiong et al., CVPR 2022", True
    needs = "an Ensemble"
    n: int | None = None
    decay: float = 1.0

    def __post_init__(self) -> None:
        if self.n is not None:
            check_number(self, "n", 1, whole=True)
        check_number(self, "decay", 0)

    def check_source(self, model: Model) -> None:
        """Raise for a source that has no members, or does not follow their losses."""
        if not isinstance(model, EnsembleModel):
            raise TypeError(
                f"ReducedVariance, 'svre', follows the members of an Ensemble one after another, and "
                f"{type_name(model.estimator)} is none; give it Ensemble([...], combine='losses')"
            )
        if model.combine != "losses":
            raise ValueError(
                "ReducedVariance, 'svre', follows the losses of an Ensemble's members, so that needs "
                f"combine='losses', got {shown(model.combine)}"
            )

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        members, ball = run.batch.members, run.batch.ball
        assert members is not None
        weights = members.weights
        here = [_of_member(members, k, x, ask) for k in range(len(weights))]
        mean = torch.zeros_like(x)
        for weight, gradient in zip(weights, here, strict=True):
            mean += weight * gradient
        draws = run.kept.setdefault(self.name, run.streams.shared())
        point, total = x.clone(), torch.zeros_like(x)
        for _ in range(_A_MEMBER * len(weights) if self.n is None else self.n):
            k = min(int(np.searchsorted(np.cumsum(weights), draws.uniform(_ONE)[0])), len(weights) - 1)
            total = self.decay * total + _of_member(members, k, point, ask) - here[k] + mean
            step = total.clone() if ball.free is None else total * ball.free
            ball.ascend(point, step, run.size)
            ball.confine(point)
        return total


_ONE = np.zeros(1, dtype=np.intp)


def _of_member(members: Members, k: int, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
    """The gradient of one member's loss."""
    members.only = k
    try:
        return ask(x)
    finally:
        members.only = None
