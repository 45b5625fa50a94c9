"""Responses: scores, probabilities and decisions as functions of sums over trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from skhalfway.models._registry import NotDifferentiableError

Floats = NDArray[np.float64]


class Response(Protocol):
    """Outputs of a fitted classifier, given sums (n_samples, n_sums) over its trees.

    Attributes
    ----------
    guides : bool
        Whether scores may be constant where :meth:`guide` still changes.
    by_votes : bool
        Whether scores are counts of votes, which may tie.
    """

    @property
    def guides(self) -> bool: ...

    @property
    def by_votes(self) -> bool: ...

    def scores(self, sums: Floats) -> Floats:
        """Score of each class; the prediction is the first class of the largest score."""

    def probability(self, sums: Floats) -> Floats:
        """Output of ``predict_proba``."""

    def decision(self, sums: Floats) -> Floats:
        """Output of ``decision_function``, if the classifier has one."""

    def guide(self, sums: Floats) -> Floats:
        """Scores that lead to another prediction where the scores themselves are constant."""


@dataclass(frozen=True)
class Shares:
    """Sums of the class shares in leaves, as in forests.

    Attributes
    ----------
    total : float
        Total of a sample's sums.
    """

    total: float
    guides = by_votes = False

    def scores(self, sums: Floats) -> Floats:
        return sums

    def probability(self, sums: Floats) -> Floats:
        return sums / self.total

    def decision(self, sums: Floats) -> Floats:
        raise NotDifferentiableError("class shares are probabilities, not decision values")

    def guide(self, sums: Floats) -> Floats:
        return self.probability(sums)


@dataclass(frozen=True)
class Logits:
    """Sums that are logits, as in boosted trees; for two classes, the logit of the second.

    Attributes
    ----------
    factor : float
        Factor by which the library multiplies logits before it computes probabilities.
    shift : float
        Number that it adds to them.
    one_vs_rest : bool
        Whether each class has a logistic function of its own.
    why_no_probability : str
        Why they give no probabilities; empty if they do.
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
        # a probability near 0 or 1 is almost constant
        logits = self.factor * self.scores(sums)
        return -np.logaddexp(0, -logits) if self.one_vs_rest else np.asarray(log_softmax(logits, axis=1))


@dataclass(frozen=True)
class Ordered:
    """Another response with its classes in another order."""

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
