"""What attacks may know of the whole that the samples they are given are a part of."""

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
    """How many samples of data of that shape attacks may know beside those that they are given."""
    return min(_N_KEPT, max(1, _MOST_VALUES // max(1, int(np.prod(shape[1:])))))


def drawn(shape: tuple[int, ...], seed: int) -> NDArray[np.intp]:
    """Places of the samples of a whole that its parts may know: of all, or of as many as are kept."""
    n, most = shape[0], n_kept(shape)
    return np.arange(n) if n <= most else np.sort(np.random.RandomState(seed).permutation(n)[:most])


def nearest(
    rows: NDArray[np.float64], points: NDArray[np.float64], n: int, norm: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distances and numbers of the ``n`` points nearest to each row; of equally near ones the first.

    scikit-learn's neighbours come in an order that changes with the number of rows where they are as near.
    """
    n = min(n, len(points))
    distances, numbers = np.empty((len(rows), n)), np.empty((len(rows), n), dtype=np.intp)
    for block in blocks(len(rows), len(points)):
        apart = cdist(rows[block], points, _METRICS[norm])
        numbers[block] = apart.argsort(axis=1, kind="stable")[:, :n]
        distances[block] = np.take_along_axis(apart, numbers[block], axis=1)
    return distances, numbers


class _Once:
    """What was made for a source, by name; made by one thread, while others wait for it."""

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
    """Some samples of a whole that is attacked in blocks, drawn beforehand, and one source's answers.

    Attributes
    ----------
    problem : Problem
        Their attack.
    predicted : ndarray of shape (n_samples,)
        Class indices that the source gives them.
    n_whole : int
        How many samples the whole has.
    """

    problem: Problem
    predicted: NDArray[np.intp]
    n_whole: int
    _once: _Once = field(default_factory=_Once, compare=False, repr=False)

    @staticmethod
    def of(problem: Problem) -> Pool:
        """That of a whole problem, whose source is asked."""
        region = replace(problem.region, shared=problem.region.shared_unit())
        some = replace(problem, region=region).take(drawn(region.X.shape, problem.seed))
        return Pool(some, problem.model.predict(some.region.X), len(region))

    @cached_property
    def shared(self) -> NDArray[np.float64]:
        """The samples as rows, in the coordinates that all samples of the whole share."""
        region = self.problem.region
        return region.in_shared_unit().reshape(len(region), -1)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What ``make`` makes of the samples for this source, made once for all blocks."""
        return self._once.get(name, make)
