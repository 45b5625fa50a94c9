"""The parts of a report: measurements on the deployed model beside the transfer curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval, mcnemar, ratio, wilson_interval
from skhalfway.results._reading import part_of_results
from skhalfway.results._record import Record
from skhalfway.results._result import frozen


@part_of_results
@dataclass(frozen=True, eq=False)
class Surrogates(Record):
    """Models that an attacker without the deployed model would train, and their training data.

    Parameters
    ----------
    names : tuple of str
        Names of the surrogates.
    n_rows : int
        Number of samples that they were trained on.
    n_reference : int
        Number of samples that these were drawn from.
    labelled_by : {"reference", "deployed"}
        Origin of their labels: true labels of the reference, or predictions of the deployed model.
    split_off : bool
        Whether the samples were split off X, since no reference was given.
    descriptions : dict of str to str
        Description of each surrogate, by name.

    Examples
    --------
    >>> from skhalfway.report import Surrogates
    >>> own = Surrogates(("surrogate linear",), 50, 100, "reference", False, {})
    >>> own.n_rows, own.labelled_by
    (50, 'reference')
    """

    names: tuple[str, ...]
    n_rows: int
    n_reference: int
    labelled_by: str
    split_off: bool
    descriptions: Mapping[str, str]


@part_of_results
@dataclass(frozen=True, eq=False)
class AttackedColumns(Record):
    """Columns that the attack on the deployed model depends on, and its success with columns frozen.

    Parameters
    ----------
    names : tuple of str
        Names of the columns, those that decide most often first.
    shares : ndarray of shape (n_columns,)
        Share of each column in the total size of the changes that fool, in the unit of the budget. They add
        up to 1; all are nan if no sample fools.
    weights : ndarray of shape (n_columns,)
        Share of cases in which each column decides. Columns get their changed values one after the other, in
        random orders; the column that changes the prediction decides. They add up to 1; all are nan if no
        sample fools.
    n_fooled : int
        Number of samples that fool.
    n_samples : int
        Number of attacked samples; the deployed model classifies all of them correctly.
    eps : float
        Budget.
    frozen : dict of str to int
        Number of samples that fool if that column may not change, by column.
    frozen_all : int or None, default=None
        Number of samples that fool if none of the columns in ``frozen`` may change; None if not tried.

    Examples
    --------
    >>> from skhalfway.report import AttackedColumns
    >>> columns = AttackedColumns(("age", "debt"), [0.7, 0.3], [0.9, 0.1], 40, 50, eps=0.5, frozen={"age": 4})
    >>> columns.frozen["age"]
    4
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
class ExposedSample(Record):
    """One sample that fools the deployed model, before and after the attack.

    Parameters
    ----------
    name : object
        Name of the sample in the index of X, else its number.
    label : object
        True label, which the deployed model predicts before the attack.
    answer : object
        Label that it predicts after the attack.
    source : str
        Model that the adversarial sample was made on.
    eps : float
        Smallest budget at which it fools.
    fooled_by : int
        Number of models whose version of the sample fools at the largest budget.
    changes : tuple of (str, before, after)
        Changed columns with their values, the largest change in the unit of the budget first; empty for
        images.
    before, after : ndarray of the shape of a sample, or None
        Image before and after the attack; None for tables.

    Examples
    --------
    >>> from skhalfway.report import ExposedSample
    >>> ExposedSample(7, "good", "bad", "surrogate linear", 0.1, 3, (("debt", 2.0, 2.4),)).changes
    (('debt', 2.0, 2.4),)
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
class NearestSamples(Record):
    """Distances to the nearest adversarial examples of the deployed model.

    Parameters
    ----------
    distances : ndarray of shape (n_samples,)
        Norm of the smallest change found, in the unit of the budget; inf where none was found.
    attack : str
        Name of the attack.
    exact : bool
        Whether the distances are exact; otherwise they are upper bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.report import NearestSamples
    >>> nearest = NearestSamples([0.1, 0.2, 0.4, np.inf], "fmn")
    >>> nearest.found, float(nearest.quantiles[2])
    (3, 0.2)
    """

    distances: NDArray[np.float64]
    attack: str
    exact: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "distances", frozen(self.distances, float))

    @property
    def found(self) -> int:
        """Number of samples for which an adversarial example was found."""
        return int(np.isfinite(self.distances).sum())

    @property
    def quantiles(self) -> NDArray[np.float64]:
        """Quantiles of the distances at 5, 25, 50, 75 and 95 %; inf where too few were found."""
        if not len(self.distances):
            return np.full(5, np.nan)
        return np.quantile(self.distances, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")


@part_of_results
@dataclass(frozen=True, eq=False)
class Retraining(Record):
    """Effect of adversarial training on a clone of the deployed model.

    The clones before and after were tested on the same samples, each attacked anew.

    Parameters
    ----------
    eps : float
        Budget of the training and of the attacks.
    n_rows : int
        Number of samples that both clones were trained on; the second one got as many adversarial ones too.
    right : bool ndarray of shape (2, n_samples)
        Whether the clone before and the one after classify each clean sample correctly.
    own, others : bool ndarray of shape (2, n_samples) or None
        Whether they also classify the version correctly that was made on the clone itself, and those that
        were made on each of ``sources``.
    sources : tuple of str, default=()
        The other models whose samples fool the deployed model most.
    masked : bool
        Whether the gradients of the retrained clone may be masked, so that its figures may be too good.

    Examples
    --------
    >>> from skhalfway.report import Retraining
    >>> tried = Retraining(0.5, 100, right=[[1, 1, 1, 0]] * 2, own=[[0, 0, 1, 0], [1, 1, 1, 0]])
    >>> tried.accuracy()
    array([0.75, 0.75])
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
        """Accuracy before and after adversarial training.

        Parameters
        ----------
        of : {"right", "own", "others"}, default="right"
            Samples of the accuracy: clean, made on the clone itself, or made on the other models.

        Returns
        -------
        shares : ndarray of shape (2,)
            Accuracy before and after.

        Examples
        --------
        >>> from skhalfway.report import Retraining
        >>> tried = Retraining(0.5, 100, right=[[1, 1, 1, 0]] * 2, own=[[0, 0, 1, 0], [1, 1, 1, 0]])
        >>> tried.accuracy("own")
        array([0.25, 0.75])
        """
        held = getattr(self, of)
        return ratio(held.sum(axis=1), np.full(2, held.shape[1]))

    def confidence_interval(self, level: float = 0.95, *, of: str = "right") -> ConfidenceInterval:
        """Wilson intervals of these accuracies.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : {"right", "own", "others"}, default="right"
            Samples, as in :meth:`accuracy`.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high`` of shape (2,).

        Examples
        --------
        >>> from skhalfway.report import Retraining
        >>> tried = Retraining(0.5, 100, right=[[1, 1, 1, 0]] * 2, own=[[0, 0, 1, 0], [1, 1, 1, 0]])
        >>> tried.confidence_interval(of="own").low.round(2)
        array([0.05, 0.3 ])
        """
        held = getattr(self, of)
        return wilson_interval(held.sum(axis=1), np.full(2, held.shape[1]), level)

    def p(self, of: str) -> float:
        """P-value of McNemar's exact test that both accuracies are equal.

        Parameters
        ----------
        of : {"right", "own", "others"}
            Samples, as in :meth:`accuracy`.

        Returns
        -------
        p : float
            Two-sided p-value.

        Examples
        --------
        >>> from skhalfway.report import Retraining
        >>> tried = Retraining(0.5, 100, right=[[1, 1, 1, 0]] * 2, own=[[0, 0, 1, 0], [1, 1, 1, 0]])
        >>> tried.p("own")
        0.5
        """
        before, after = getattr(self, of)
        return float(mcnemar((before & ~after).sum(), (after & ~before).sum()))
