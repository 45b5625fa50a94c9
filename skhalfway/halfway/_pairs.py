"""sample_pairs: draws the pairs of samples that paths join."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.random import sample_without_replacement

from skhalfway._checks import check_choice, check_integer, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_numbers
from skhalfway._readable import read_labels
from skhalfway._text import shown
from skhalfway.boundaries._nearest import nearest_other

PAIRS = ("random", "nearest", "within")


def check_pairs(pairs: Any, n_pairs: Any) -> None:
    check_choice("pairs", pairs, PAIRS)
    check_integer("n_pairs", n_pairs)


@takes_datasets
def sample_pairs(
    X: Any, y: Any, *, pairs: str = "random", n_pairs: int = 500, random_state: Any = None
) -> NDArray[np.intp]:
    """Draw distinct pairs of samples, to be joined by paths.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        Labels, of any type.
    pairs : {"random", "nearest", "within"}, default="random"
        - ``"random"``: two samples of different classes.
        - ``"nearest"``: a sample, and the nearest sample (Euclidean) of another
          class.
        - ``"within"``: two samples of the same class.
    n_pairs : int, default=500
        Number of pairs, at most the number of possible pairs. A pair and its
        reverse count as two, except with ``"nearest"``, where there is one pair
        for each sample.
    random_state : int, RandomState instance or None, default=None
        Source of the random draw. Pass an int for the same pairs across calls.

    Returns
    -------
    indices : ndarray of shape (n_pairs, 2)
        Row numbers of the samples at the start and at the end of each path. The
        two samples are never the same point.

    Raises
    ------
    ValueError
        If there are fewer than ``n_pairs`` such pairs, if there are fewer than two
        classes where two are needed, or if a parameter or the data is invalid.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skhalfway.halfway import sample_pairs
    >>> X, y = load_iris(return_X_y=True)
    >>> indices = sample_pairs(X, y, n_pairs=4, random_state=0)
    >>> y[indices]
    array([[0, 1],
           [1, 0],
           [2, 1],
           [0, 2]])
    """
    check_pairs(pairs, n_pairs)
    X = read_numbers(X)
    flat = X.reshape(len(X), -1)
    classes, labels = np.unique(read_labels(y, len(X)), return_inverse=True)
    if pairs != "within" and len(classes) < 2:
        raise ValueError(
            f"pairs={shown(pairs)} needs samples of at least 2 classes, but y holds only {shown(classes)}"
        )
    rng = check_random_state(random_state)
    if pairs == "nearest":
        first = np.arange(len(X))
        found = np.column_stack([first, nearest_other(flat, labels)])
        found = found[(flat[found[:, 0]] != flat[found[:, 1]]).any(axis=1)]
        _check_number(n_pairs, len(found), pairs)
        return found[np.sort(rng.choice(len(found), n_pairs, replace=False))]
    return _draw(flat, labels, pairs == "within", n_pairs, rng)


def _check_number(n_pairs: int, n_possible: int, pairs: str) -> None:
    if n_pairs > n_possible:
        raise ValueError(
            f"n_pairs={n_pairs}, but there are only {n_possible} pairs of two different points with "
            f"pairs={shown(pairs)}; lower n_pairs, or pass more samples"
        )


def _draw(
    X: NDArray[Any], labels: NDArray[np.intp], within: bool, n_pairs: int, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Distinct ordered pairs, drawn uniformly.

    Pairs are numbered by their first sample, and numbers are drawn. Pairs of the same point are rejected.
    """
    n, counts = len(X), np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    begins = np.cumsum(counts) - counts
    partners = counts[labels] - 1 if within else n - counts[labels]
    ends = np.cumsum(partners)
    n_possible = int(ends[-1])
    point = np.unique(X, axis=0, return_inverse=True)[1].ravel()

    def pairs_of(numbers: NDArray[Any]) -> NDArray[np.intp]:
        first = np.searchsorted(ends, numbers, side="right")
        k = numbers - (ends - partners)[first]
        if within:
            own = np.empty(n, dtype=np.intp)
            own[order] = np.arange(n)
            rank = own[first] - begins[labels[first]]
            second = order[begins[labels[first]] + k + (k >= rank)]
        else:
            second = order[np.where(k < begins[labels[first]], k, k + counts[labels[first]])]
        return np.column_stack([first, second])

    same_point = _n_pairs_of_one_point(point, labels, within)
    name = "within" if within else "random"
    _check_number(n_pairs, n_possible - same_point, name)
    # draw enough for all pairs of the same point to be rejected
    size = min(n_pairs + same_point, n_possible)
    drawn = sample_without_replacement(n_possible, size, random_state=rng).astype(np.intp)
    rng.shuffle(drawn)  # the order is not random, and only the first n_pairs are kept
    found = pairs_of(drawn)
    return found[point[found[:, 0]] != point[found[:, 1]]][:n_pairs]


def _n_pairs_of_one_point(point: NDArray[np.intp], labels: NDArray[np.intp], within: bool) -> int:
    """Number of ordered pairs of two samples at the same point."""
    both = np.bincount(np.unique(np.column_stack([point, labels]), axis=0, return_inverse=True)[1].ravel())
    in_one_class = int((both * (both - 1)).sum())
    if within:
        return in_one_class
    each = np.bincount(point)
    return int((each * (each - 1)).sum()) - in_one_class
