"""Partners: samples that a source puts in other classes, at the other ends of segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from skhalfway._blocks import blocks

if TYPE_CHECKING:
    from skhalfway.attacks._queries import Queries
    from skhalfway.models import Model

N_KEPT = 2000


@dataclass(frozen=True)
class Partners:
    """Samples and where the source puts them.

    Attributes
    ----------
    X : ndarray of shape (n_partners, n_features)
        In input units.
    labels : ndarray of shape (n_partners,)
        Class indices that the source gives them.
    """

    X: NDArray[Any]
    labels: NDArray[np.intp]


def keep_partners(model: Model, X: NDArray[Any], y: Any, rng: np.random.RandomState) -> Partners:
    """Keep some of the training samples, as many of each class as there are, and ask for their labels."""
    order = rng.permutation(len(X))
    if y is not None:
        labels = np.unique(np.asarray(y), return_inverse=True)[1].ravel()[order]
        by_label = np.argsort(labels, kind="stable")
        counts = np.bincount(labels)
        number = np.empty(len(X), dtype=np.intp)  # of a sample among those of its class
        number[by_label] = np.arange(len(X)) - np.repeat(np.cumsum(counts) - counts, counts)
        order = order[np.argsort(number, kind="stable")]
    kept = X[np.sort(order[:N_KEPT])]
    labels = np.concatenate(
        [model.predict(kept[block]) for block in blocks(len(kept), int(np.prod(X.shape[1:])))]
    )
    return Partners(kept.reshape(len(kept), -1), labels)


def nearest_partners(queries: Queries, n: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Points, and for each sample the numbers of up to ``n`` that may win; -1 where there are no more.

    Points are in the coordinates that the samples share. The nearest of each class first, then the second of
    each class...: behind each boundary lies one.
    """
    problem, x0 = queries.problem, queries.x0
    points, labels = queries.shared, queries.predicted
    if problem.partners is not None:
        unit = problem.region.shared_unit()
        points = problem.partners.X if unit is None else problem.partners.X / unit.reshape(1, -1)
        labels = problem.partners.labels
    found = np.full((len(x0), n), -1)
    columns = problem.region.movable().reshape(x0.shape).any(axis=0)
    seen = np.nan_to_num(points[:, columns])
    searches = {}
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        search = NearestNeighbors(n_neighbors=min(n, len(own)), algorithm="brute", p=problem.region.norm)
        searches[label] = own, search.fit(seen[own])
    for block in blocks(len(x0), n * max(1, len(searches))):
        numbers, ranks, distances = ([] for _ in range(3))
        wanted = problem.labels[block]
        for label, (own, search) in searches.items():
            apart, near = search.kneighbors(queries.shared[block][:, columns])
            apart[(wanted == label) != problem.targeted] = np.inf
            numbers.append(own[near])
            distances.append(apart)
            ranks.append(np.where(np.isinf(apart), near.shape[1] + n, np.arange(near.shape[1])))
        number, distance = np.concatenate(numbers, axis=1), np.concatenate(distances, axis=1)
        order = np.lexsort((distance, np.concatenate(ranks, axis=1)))[:, :n]
        number, distance = (np.take_along_axis(a, order, axis=1) for a in (number, distance))
        found[block, : order.shape[1]] = np.where(np.isinf(distance), -1, number)
    return points, found
