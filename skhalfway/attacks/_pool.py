"""Pool: what attacks may know of all samples if they are given a part of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from skhalfway._blocks import blocks

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem

Made = TypeVar("Made")
_N_KEPT, _MOST_VALUES = 2000, 2**24
_METRICS = {np.inf: "chebyshev", 2: "euclidean", 1: "cityblock"}


def n_kept(shape: tuple[int, ...]) -> int:
    """Number of samples, of data of that shape, that attacks may know beside their own part."""
    return min(_N_KEPT, max(1, _MOST_VALUES // max(1, int(np.prod(shape[1:])))))


def drawn(shape: tuple[int, ...], seed: int) -> NDArray[np.intp]:
    """Positions of the samples that all parts may know: all samples, or a random selection."""
    n, most = shape[0], n_kept(shape)
    return np.arange(n) if n <= most else np.sort(np.random.RandomState(seed).permutation(n)[:most])


def nearest(
    rows: NDArray[np.float64], points: NDArray[np.float64], n: int, norm: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distances and numbers of the ``n`` points nearest to each row; ties go to the first.

    In scikit-learn's neighbour search, the order of ties depends on the number of rows.
    """
    n = min(n, len(points))
    distances, numbers = np.empty((len(rows), n)), np.empty((len(rows), n), dtype=np.intp)
    for block in blocks(len(rows), len(points)):
        apart = cdist(rows[block], points, _METRICS[norm])
        numbers[block] = apart.argsort(axis=1, kind="stable")[:, :n]
        distances[block] = np.take_along_axis(apart, numbers[block], axis=1)
    return distances, numbers


class _Once:
    """Cache of objects made for a source, by name; one thread makes an object while others wait."""

    def __init__(self) -> None:
        self._lock, self._made = Lock(), dict[str, Any]()

    def get(self, name: str, make: Callable[[], Made]) -> Made:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            made: Made = self._made[name]
            return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _Once, ()  # another process makes its own


@dataclass(frozen=True)
class Pool:
    """Samples drawn from all samples before these are attacked in blocks, and one source's predictions.

    Attributes
    ----------
    problem : Problem
        The problem of the drawn samples.
    predicted : ndarray of shape (n_samples,)
        Class indices that the source predicts for them.
    n_whole : int
        Number of all samples.
    """

    problem: Problem
    predicted: NDArray[np.intp]
    n_whole: int
    _once: _Once = field(default_factory=_Once, compare=False, repr=False)

    @staticmethod
    def of(problem: Problem) -> Pool:
        """The pool of a whole problem, with the source's predictions."""
        region = replace(problem.region, shared=problem.region.shared_unit())
        some = replace(problem, region=region).take(drawn(region.X.shape, problem.seed))
        return Pool(some, problem.model.predict(some.region.X), len(region))

    @cached_property
    def shared(self) -> NDArray[np.float64]:
        """The samples as rows, in the coordinates that all samples share."""
        region = self.problem.region
        return region.in_shared_unit().reshape(len(region), -1)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """The result of ``make``, which is called once for all blocks of this source."""
        return self._once.get(name, make)
