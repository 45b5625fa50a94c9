"""The parts of a report: what was measured of the deployed model beside the transfer curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval, mcnemar, ratio, wilson_interval
from skhalfway.results._reading import part_of_results
from skhalfway.results._result import frozen


@part_of_results
@dataclass(frozen=True, eq=False)
class Surrogates:
    """What an attacker without the model would train.

    Parameters
    ----------
    names : tuple of str
        Names of the surrogates.
    n_rows : int
        Samples that they were trained on.
    n_reference : int
        Samples that these were drawn from.
    labelled_by : {"reference", "deployed"}
        Whether their labels were true ones, or answers of the deployed model.
    split_off : bool
        Whether the samples were split off X, as no reference was given.
    descriptions : dict of str to str
        What each surrogate is, by name.
    """

    names: tuple[str, ...]
    n_rows: int
    n_reference: int
    labelled_by: str
    split_off: bool
    descriptions: Mapping[str, str]


@part_of_results
@dataclass(frozen=True, eq=False)
class AttackedColumns:
    """Which columns carry the attack on the deployed model, and what is left of it where one is frozen.

    Parameters
    ----------
    names : tuple of str
        Names of the columns, those that decide most often first.
    shares : ndarray of shape (n_columns,)
        Share of each in the changes that fool, each measured in the unit of the budget. They add up to 1;
        all are nan where nothing fools.
    weights : ndarray of shape (n_columns,)
        How often each decides, where columns get their changed values one after the other in random orders
        until the answer turns. They add up to 1; all are nan where nothing fools.
    n_fooled : int
        How many samples fool.
    n_samples : int
        How many were attacked: the deployed model classifies all of them right.
    eps : float
        Budget.
    frozen : dict of str to int
        By column, how many samples fool where that column may not change.
    frozen_all : int or None, default=None
        How many fool where none of the columns in ``frozen`` may change; None where that was not tried.
    """

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_fooled: int
    n_samples: int
    eps: float
    frozen: Mapping[str, int]
    frozen_all: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", frozen(self.shares, float))
        object.__setattr__(self, "weights", frozen(self.weights, float))


@part_of_results
@dataclass(frozen=True, eq=False)
class ExposedSample:
    """One sample that fools the deployed model, before and after.

    Parameters
    ----------
    name : object
        What the sample is called: of the index of X, else its number.
    label : object
        True label, which the deployed model gives before.
    answer : object
        What it says after.
    source : str
        The model that the sample was made on.
    eps : float
        The smallest budget at which it fools.
    fooled_by : int
        How many models' samples fool at the largest budget.
    changes : tuple of (str, before, after)
        The columns that were changed, the largest change in the unit of the budget first; empty for images.
    before, after : ndarray of the shape of a sample, or None
        The image as it was and as it was changed; None for tables.
    """

    name: Any
    label: Any
    answer: Any
    source: str
    eps: float
    fooled_by: int
    changes: tuple[tuple[str, Any, Any], ...] = ()
    before: NDArray[Any] | None = None
    after: NDArray[Any] | None = None


@part_of_results
@dataclass(frozen=True, eq=False)
class NearestSamples:
    """How far the nearest sample that fools the deployed model is.

    Parameters
    ----------
    distances : ndarray of shape (n_samples,)
        Norm of the smallest change found, in the unit of the budget; inf where none was found.
    attack : str
        The attack that looked for it.
    exact : bool
        Whether no smaller change exists; else it is an upper bound.
    """

    distances: NDArray[np.float64]
    attack: str
    exact: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "distances", frozen(self.distances, float))

    @property
    def found(self) -> int:
        """For how many samples one was found."""
        return int(np.isfinite(self.distances).sum())

    @property
    def quantiles(self) -> NDArray[np.float64]:
        """Of the distances, at 5, 25, 50, 75 and 95 %; inf where that many were not found."""
        if not len(self.distances):
            return np.full(5, np.nan)
        return np.quantile(self.distances, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")


@part_of_results
@dataclass(frozen=True, eq=False)
class Retraining:
    """What adversarial training of a clone of the deployed model bought.

    Both models were judged on the same samples, each attacked anew.

    Parameters
    ----------
    eps : float
        Budget of the training and of the attacks.
    n_rows : int
        Samples that both were trained on, and as many adversarial ones for the second.
    right : bool ndarray of shape (2, n_samples)
        Whether the model before and after classifies each sample right as it is.
    own, others : bool ndarray of shape (2, n_samples) or None
        Whether it also does as attacked on the model itself, and as attacked on each of ``sources``.
    sources : tuple of str, default=()
        The other models whose samples fool the deployed model most.
    masked : bool
        Whether the gradients of the retrained model may be masked, so that its figures look too good.
    """

    eps: float
    n_rows: int
    right: NDArray[np.bool_]
    own: NDArray[np.bool_]
    others: NDArray[np.bool_] | None = None
    sources: tuple[str, ...] = ()
    masked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        for name in ("right", "own", "others"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, frozen(getattr(self, name), bool))

    def accuracy(self, of: str = "right") -> NDArray[np.float64]:
        """Share of the samples, before and after.

        Parameters
        ----------
        of : {"right", "own", "others"}, default="right"
            As they are, as attacked on the model itself, or on the others.

        Returns
        -------
        shares : ndarray of shape (2,)
            Before and after.
        """
        held = getattr(self, of)
        return ratio(held.sum(axis=1), np.full(2, held.shape[1]))

    def confidence_interval(self, level: float = 0.95, *, of: str = "right") -> ConfidenceInterval:
        """Wilson's intervals of these shares.

        Parameters
        ----------
        of : {"right", "own", "others"}, default="right"
            As in :meth:`accuracy`.
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (2,).
        """
        held = getattr(self, of)
        return wilson_interval(held.sum(axis=1), np.full(2, held.shape[1]), level)

    def p(self, of: str) -> float:
        """P-value of McNemar's exact test that both shares are equal.

        Parameters
        ----------
        of : {"right", "own", "others"}
            As in :meth:`accuracy`.

        Returns
        -------
        p : float
            Two-sided.
        """
        before, after = getattr(self, of)
        return float(mcnemar((before & ~after).sum(), (after & ~before).sum()))
