"""What an attack is given (Problem, Settings), and what it returns (Outcome)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skhalfway._streams import Streams
from skhalfway.attacks._missed import Missed

if TYPE_CHECKING:
    from skhalfway.attacks._faults import Faults
    from skhalfway.attacks._partners import Partners
    from skhalfway.attacks._pool import Pool
    from skhalfway.attacks._region import Region, Rows
    from skhalfway.models import Finding, Model

EVERY_ROW = slice(None)
PGD_REACH = 2.5  # length of all steps of projected gradient descent together, in budgets


@dataclass(frozen=True)
class Settings:
    """The generator's parameters that determine how an attack works, not what is allowed."""

    max_iter: int = 40
    max_queries: int = 1000
    step_size: float | None = None
    n_restarts: int = 1
    random_start: bool = False
    batch_size: int = 256
    device: Any = None
    dtype: str | None = None


@dataclass(frozen=True)
class Problem:
    """The checked task of one attack.

    Attributes
    ----------
    model : Model
        The source.
    region : Region
        The samples, and the valid region of each.
    labels : ndarray of shape (n_samples,)
        Class indices to leave or, where ``targeted``, to reach.
    n_classes : int
        Number of the source's classes.
    targeted : bool, default=False
        Whether ``labels`` are to be reached.
    partners : Partners or None, default=None
        Training samples that an attack may know.
    pool : Pool or None, default=None
        Knowledge of all samples, if these are a part of them. None: these are all samples.
    seed : int, default=0
        Seed of all random numbers.
    numbers : int ndarray of shape (n_samples,), default=None
        Numbers of the samples among all samples, so that each has its own random numbers. None counts from 0.
    """

    model: Model
    region: Region
    labels: NDArray[np.intp]
    n_classes: int
    targeted: bool = False
    partners: Partners | None = None
    pool: Pool | None = None
    seed: int = 0
    numbers: NDArray[np.intp] | None = None

    def won(self, predicted: NDArray[np.intp], rows: Rows = EVERY_ROW) -> NDArray[np.bool_]:
        """Where predictions are what the attack aims for."""
        return (predicted == self.labels[rows]) == self.targeted

    def nearer(
        self, X_adv: NDArray[Any], distances: NDArray[np.float64], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Distances of all samples, updated for ``rows`` whose projected inputs still win.

        The nearest winning input may lie outside the budget. Projected into it and rounded to whole numbers
        and categories, it may still win, at a smaller distance.
        """
        if not len(rows):
            return distances
        won, result = self.won(self.model.predict(X_adv[rows]), rows), distances.copy()
        result[rows[won]] = np.minimum(self.region.distance(X_adv[rows], rows), self.region.eps)[won]
        return result

    def take(self, rows: NDArray[np.intp]) -> Problem:
        """The same task for some of the samples."""
        numbers = self._numbers[rows]
        return replace(self, region=self.region.take(rows), labels=self.labels[rows], numbers=numbers)

    @property
    def names(self) -> NDArray[np.intp]:
        """Numbers of the samples among all samples."""
        return self._numbers

    @property
    def _numbers(self) -> NDArray[np.intp]:
        return np.arange(len(self.region)) if self.numbers is None else self.numbers

    def batches(self, size: int) -> list[NDArray[np.intp]]:
        """Positions of the samples that are attacked together: batches of ``size`` consecutive numbers.

        The batches do not depend on the blocks in which all samples are given, since the composition of a
        batch changes the last digits of results.
        """
        ends = np.flatnonzero(np.diff(self._numbers // size)) + 1
        return np.split(np.arange(len(self.region)), ends)

    def shares(self, total: int) -> NDArray[np.intp]:
        """Each sample's share of queries that were spent on all samples."""
        n = len(self.region) if self.pool is None else self.pool.n_whole
        share, rest = divmod(total, n)
        return share + (self._numbers < rest)

    def streams(self, purpose: int = 0) -> Streams:
        """Random streams of the samples, from their beginning; each ``purpose`` has its own."""
        return Streams(self.seed, self._numbers, purpose)


@dataclass(frozen=True)
class Outcome:
    """The result of an attack.

    Attributes
    ----------
    X_adv : ndarray of shape (n_samples, ...)
        Valid samples within the budget, of X's float type.
    n_queries : ndarray of shape (n_samples,) or None
        Number of queries for each sample; None for attacks without queries.
    distances : ndarray of shape (n_samples,) or None
        Norm of the smallest perturbation found that wins, in the budget's units; inf if none was found. None
        for attacks that do not look for it.
    at_any_budget : bool
        Whether a smaller budget would have given the same distances.
    faults : Faults or None
        Faults of the source's gradients, for attacks that use them.
    of_substitute : Faults or None
        Faults of a substitute's gradients, for attacks that follow these instead.
    missed : tuple of Missed
        Samples for which nothing was found, by reason.
    remarks : tuple of Finding
        Other warnings about the source that users need to interpret results.
    """

    X_adv: NDArray[Any]
    n_queries: NDArray[np.intp] | None = None
    distances: NDArray[np.float64] | None = None
    at_any_budget: bool = False
    faults: Faults | None = None
    of_substitute: Faults | None = None
    missed: tuple[Missed, ...] = ()
    remarks: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All warnings about the source that users need to interpret results."""
        faults = [faults for faults in (self.faults, self.of_substitute) if faults is not None]
        said: list[Faults | Missed] = [*faults, *self.missed]
        return (*self.remarks, *(finding for each in said for finding in each.remarks()))

    @classmethod
    def joined(cls, parts: Sequence[Outcome]) -> Outcome:
        """Join the outcomes of blocks of samples."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.X_adv for part in parts]),
            _joined([part.n_queries for part in parts], parts),
            _joined([part.distances for part in parts], parts),
            all(part.at_any_budget for part in parts),
            _joined_faults([part.faults for part in parts], parts),
            _joined_faults([part.of_substitute for part in parts], parts),
            Missed.joined([part.missed for part in parts], [len(part.X_adv) for part in parts]),
            tuple(dict.fromkeys(remark for part in parts for remark in part.remarks)),
        )


def _joined(each: Sequence[NDArray[Any] | None], parts: Sequence[Outcome]) -> NDArray[Any] | None:
    """Join numbers of blocks, with 0 for blocks that have none; None if no block has any."""
    known = [array for array in each if array is not None]
    if not known:
        return None
    zeros = (np.zeros(len(part.X_adv), dtype=known[0].dtype) for part in parts)
    return np.concatenate([zero if a is None else a for zero, a in zip(zeros, each, strict=True)])


def _joined_faults(each: Sequence[Faults | None], parts: Sequence[Outcome]) -> Faults | None:
    """Join the faults of blocks, with no fault for blocks that have none; None if no block has any."""
    known = [faults for faults in each if faults is not None]
    if not known:
        return None
    none = [known[0].spread(np.empty(0, dtype=np.intp), len(part.X_adv)) for part in parts]
    return known[0].joined([no if faults is None else faults for no, faults in zip(none, each, strict=True)])


class Attack(Protocol):
    """An attack with its settings."""

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples."""
