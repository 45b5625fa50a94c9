"""A piece of the kind "gradient" for ensembles: it follows the members in turn, with reduced variance."""

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
    """Direction of an inner loop that follows the members of an :class:`~skhalfway.Ensemble` one at a time.

    Xiong et al., "Stochastic variance reduced ensemble adversarial attack for boosting the adversarial
    transferability", CVPR 2022, Algorithm 1 (SVRE). The inner loop begins at the sample x. Each inner step m
    draws a member k and computes ``g_k(x_m) - g_k(x) + g(x)``, where g_k is the member's gradient and g the
    mean gradient of all members. The mean of this over draws is g(x_m), and its variance is smaller than that
    of g_k. A sum, multiplied by ``decay`` at each inner step, collects these; an inner step goes along the
    sum and is as long as an outer one. The last sum is used as the gradient at x, and the points of the inner
    loop are discarded.

    The probability of a member is its weight, and the same member is drawn for all samples. The source must
    be an ensemble with ``combine="losses"``, whose gradient is the mean gradient of the paper.

    Parameters
    ----------
    n : int, default=None
        Number of inner steps; None is 4 for each member, as in the paper.
    decay : float, default=1.0
        Factor by which the sum is multiplied at each inner step.

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
        """Raise for a source that is no ensemble, or whose gradient is not that of its members' losses."""
        if not isinstance(model, EnsembleModel):
            raise TypeError(
                f"ReducedVariance, 'svre', follows the members of an Ensemble one after another, and "
                f"{type_name(model.estimator)} is none; give it Ensemble([...], combine='losses')"
            )
        if model.combine != "losses":
            raise ValueError(
                "ReducedVariance, 'svre', follows the losses of an Ensemble's members, so it needs "
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
            step = total if ball.free is None else total * ball.free
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
