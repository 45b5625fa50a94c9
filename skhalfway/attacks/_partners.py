"""Partners: samples to which the source gives another label; attacks by queries begin at them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway.attacks._pool import n_kept, nearest

if TYPE_CHECKING:
    from skhalfway.attacks._queries import Queries
    from skhalfway.models import Model


class Partners:
    """Samples at which attacks may begin, and their labels, which the source predicts once.

    Parameters
    ----------
    X : ndarray of shape (n_partners, ...)
        Partners, in input units.
    labels : ndarray of shape (n_partners,), default=None
        Class indices that the source predicts for them. None: not queried yet.
    ask : callable, default=None
        Function that predicts class indices, if these need more than the source that is attacked.
    """

    def __init__(
        self, X: NDArray[Any], labels: NDArray[np.intp] | None = None, ask: Callable[..., Any] | None = None
    ) -> None:
        self.X, self._labels, self._ask, self._lock = X, labels, ask, Lock()

    def said_by(self, model: Model) -> NDArray[np.intp]:
        """Class indices; one thread queries them while others wait."""
        with self._lock:
            if self._labels is None:
                ask, width = self._ask or model.predict, int(np.prod(self.X.shape[1:]))
                each = [ask(self.X[block]) for block in blocks(len(self.X), width)]
                self._labels = np.concatenate(each) if each else np.empty(0, dtype=np.intp)
            return self._labels

    def __reduce__(self) -> tuple[Any, ...]:
        if self._ask is not None:
            self.said_by(cast(Any, None))  # query now, as ``ask`` is not pickled
        return Partners, (self.X, self._labels)


def keep_partners(
    X: NDArray[Any], y: Any, rng: np.random.RandomState, ask: Callable[..., Any] | None = None
) -> Partners:
    """Keep some of the training samples, as evenly over the classes as possible; see :class:`Partners`."""
    order = rng.permutation(len(X))
    if y is not None:
        labels = np.unique(np.asarray(y), return_inverse=True)[1].ravel()[order]
        by_label = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        number = np.empty(len(X), dtype=np.intp)  # rank of each sample within its class
        number[by_label] = np.arange(len(X)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[np.argsort(number, kind="stable")]
    return Partners(X[np.sort(order[: n_kept(X.shape)])], ask=ask)


def known_points(queries: Queries) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Partners in the coordinates that samples share, nan for missing values, and their labels."""
    problem = queries.problem
    assert problem.partners is not None
    unit = problem.region.shared_unit()
    known = problem.partners.X
    # no partner is left where each has a category of its own, such as the number of a customer
    points = known.reshape(len(known), int(np.prod(known.shape[1:])))
    points = points.astype(float) if unit is None else points / unit.reshape(1, -1)
    return points, problem.partners.said_by(problem.model)


def nearest_partners(queries: Queries, n: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Points, and for each sample the numbers of up to ``n`` that may win; -1 if there are fewer.

    Points are in the coordinates that the samples share. The nearest point of each class comes first, then
    the second of each class, and so on, so that each boundary has a point behind it.
    """
    problem, x0 = queries.problem, queries.x0
    points, labels = queries.others() if problem.partners is None else known_points(queries)
    found = np.full((len(x0), n), -1)
    if not len(points):
        return points, found
    columns = queries.columns()
    seen = np.nan_to_num(points[:, columns])
    searches = {}
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        searches[label] = own, seen[own]
    for block in blocks(len(x0), n * max(1, len(searches))):
        numbers, ranks, distances = ([] for _ in range(3))
        wanted = problem.labels[block]
        for label, (own, others) in searches.items():
            apart, near = nearest(queries.shared[block][:, columns], others, n, problem.region.norm)
            apart[(wanted == label) != problem.targeted] = np.inf
            numbers.append(own[near])
            distances.append(apart)
            ranks.append(np.where(np.isinf(apart), near.shape[1] + n, np.arange(near.shape[1])))
        each, distance = np.concatenate(numbers, axis=1), np.concatenate(distances, axis=1)
        each[np.isinf(distance)] = -1
        order = np.lexsort((distance, np.concatenate(ranks, axis=1)))[:, :n]
        found[block, : order.shape[1]] = np.take_along_axis(each, order, axis=1)
    return points, found
