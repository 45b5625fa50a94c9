"""What a sum over trees says: scores, of which the largest is the prediction, probabilities, decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from skhalfway.models._registry import NotDifferentiableError

Floats = NDArray[np.float64]


class Response(Protocol):
    """What a fitted classifier answers for sums (n_samples, n_sums) over its trees.

    Attributes
    ----------
    guides : bool
        Whether scores may stand still where :meth:`guide` does not.
    by_votes : bool
        Whether scores are counts of votes, of which several may be equal.
    """

    @property
    def guides(self) -> bool: ...

    @property
    def by_votes(self) -> bool: ...

    def scores(self, sums: Floats) -> Floats:
        """Score of each class: the first of the largest is the prediction."""

    def probability(self, sums: Floats) -> Floats:
        """What ``predict_proba`` gives."""

    def decision(self, sums: Floats) -> Floats:
        """What ``decision_function`` gives, where the classifier has one."""

    def guide(self, sums: Floats) -> Floats:
        """Scores that show the way to another prediction where the scores themselves stand still."""


@dataclass(frozen=True)
class Shares:
    """Sums of the classes' shares of leaves, as in forests.

    Attributes
    ----------
    total : float
        What a sample's sums add up to.
    """

    total: float
    guides = by_votes = False

    def scores(self, sums: Floats) -> Floats:
        return sums

    def probability(self, sums: Floats) -> Floats:
        return sums / self.total

    def decision(self, sums: Floats) -> Floats:
        raise NotDifferentiableError("class shares are probabilities, and no decision values")

    def guide(self, sums: Floats) -> Floats:
        return self.probability(sums)


@dataclass(frozen=True)
class Logits:
    """Sums that are logits, as in boosted trees; of two classes, the second's.

    Attributes
    ----------
    factor : float
        What the library multiplies them by on the way to a probability.
    shift : float
        What it adds there.
    one_vs_rest : bool
        Whether each class has a logistic function of its own.
    why_no_probability : str
        Why they say nothing of probabilities; empty where they do.
    """

    factor: float = 1.0
    shift: float = 0.0
    one_vs_rest: bool = False
    why_no_probability: str = ""
    guides = by_votes = False

    def scores(self, sums: Floats) -> Floats:
        return np.hstack([np.zeros_like(sums), sums]) if sums.shape[1] == 1 else sums

    def probability(self, sums: Floats) -> Floats:
        if self.why_no_probability:
            raise NotDifferentiableError(self.why_no_probability)
        logits: Any = self.factor * sums + self.shift
        if self.one_vs_rest:
            return expit(logits)
        return softmax(self.scores(logits), axis=1)

    def decision(self, sums: Floats) -> Floats:
        return sums[:, 0] if sums.shape[1] == 1 else sums

    def guide(self, sums: Floats) -> Floats:
        # a probability next to 0 or 1 stands still
        logits = self.factor * self.scores(sums)
        return -np.logaddexp(0, -logits) if self.one_vs_rest else np.asarray(log_softmax(logits, axis=1))


@dataclass(frozen=True)
class Ordered:
    """Another response, its classes in another order."""

    inner: Response
    order: NDArray[np.intp]

    @property
    def guides(self) -> bool:
        return self.inner.guides

    @property
    def by_votes(self) -> bool:
        return self.inner.by_votes

    def scores(self, sums: Floats) -> Floats:
        return self.inner.scores(sums)[:, self.order]

    def probability(self, sums: Floats) -> Floats:
        return self.inner.probability(sums)[:, self.order]

    def decision(self, sums: Floats) -> Floats:
        return self.inner.decision(sums)[:, self.order]

    def guide(self, sums: Floats) -> Floats:
        return self.inner.guide(sums)[:, self.order]
