"""linear_landscape: the critical points of deep linear networks, and where gradient descent arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations, islice, pairwise
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer, check_positive, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_rows
from skhalfway._text import counted, shown
from skhalfway.inspection._linear_data import SAME, read_outputs, read_widths, warn_of, whitened
from skhalfway.inspection._linear_network import balanced, descend, gradients, hessian
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("global minimum", "strict saddle", "bad saddle")
_MOST = 1000  # parameters, of which there is a whole Hessian for every point
_REACHED = 1e-6  # of the loss that directions explain, by which a descent may be short of the minimum


@dataclass(frozen=True, eq=False, repr=False)
class LinearLandscape(Result):
    """Critical points of the squared loss of a deep linear network, and the ends of gradient descents.

    Made by :func:`linear_landscape`; arrays are read-only.

    Parameters
    ----------
    widths : tuple of int
        Features, hidden units of each layer, and outputs.
    singular_values : ndarray of shape (n_directions,)
        Of the targets times the whitened samples, falling, without zeros: what each direction explains is
        half its square.
    residual : float
        Loss of the best linear model of any rank.
    chosen : bool ndarray of shape (n_points, n_directions)
        Directions that the network has at each critical point.
    gradient_norms : ndarray of shape (n_points,)
        Length of the gradient there: 0, save for rounding.
    smallest, largest : ndarray of shape (n_points,)
        Least and largest eigenvalue of the Hessian.
    index : ndarray of shape (n_points,)
        Share of its eigenvalues that are negative.
    descents : ndarray of shape (n_starts,)
        Loss at which each gradient descent ended.
    n_steps : int ndarray of shape (n_starts,)
        Steps that it took.
    n_critical : int
        Number of all critical values, of which there may be more than points.
    tol : float
        Share of the largest eigenvalue in size, up to which one is not negative.

    See Also
    --------
    LinearLandscapeDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import LinearLandscape
    >>> zeros = np.zeros(2)
    >>> chosen = np.array([[False], [True]])
    >>> smallest, largest = np.array([-1.0, 0.0]), np.array([1.0, 2.0])
    >>> index, n_steps = np.array([0.5, 0.0]), np.array([30])
    >>> LinearLandscape(
    ...     (1, 1, 1), np.ones(1), 0.0, chosen, zeros, smallest, largest, index, np.zeros(1), n_steps, 2
    ... )
    LinearLandscape: 1-1-1, 2 of 2 critical values, minimum 0
    rank  points  loss      global minimum  strict saddle  bad saddle
    0     1       0.5                       1
    1     1       0         1
    1 of 1 gradient descent reached the minimum
    """

    widths: tuple[int, ...]
    singular_values: NDArray[np.float64]
    residual: float
    chosen: NDArray[np.bool_]
    gradient_norms: NDArray[np.float64]
    smallest: NDArray[np.float64]
    largest: NDArray[np.float64]
    index: NDArray[np.float64]
    descents: NDArray[np.float64]
    n_steps: NDArray[np.int_]
    n_critical: int
    tol: float = 1e-8

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        for name in ("singular_values", "gradient_norms", "smallest", "largest", "index", "descents"):
            object.__setattr__(self, name, frozen(getattr(self, name), float))
        object.__setattr__(self, "chosen", frozen(self.chosen, bool))
        object.__setattr__(self, "n_steps", frozen(self.n_steps, int))
        n = len(self.chosen)
        if self.chosen.shape != (n, len(self.singular_values)):
            raise ValueError(f"chosen must have {len(self.singular_values)} columns, one for each direction")
        for name in ("gradient_norms", "smallest", "largest", "index"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must have shape ({n},), a figure for each critical point")

    @property
    def rank(self) -> int:
        """The most directions that the network can have: its narrowest width, or all there are."""
        return min(len(self.singular_values), *self.widths[1:-1])

    @property
    def explained(self) -> NDArray[np.float64]:
        """What each direction takes off the loss: half the square of its singular value."""
        return self.singular_values**2 / 2

    @property
    def minimum(self) -> float:
        """The least loss that the network has: the residual, and the directions beyond its rank."""
        return float(self.residual + self.explained[self.rank :].sum())

    @property
    def values(self) -> NDArray[np.float64]:
        """Loss at each critical point: the residual, and the directions that are not chosen."""
        return self.residual + (~self.chosen * self.explained).sum(axis=1)

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Of each point: global minimum, strict saddle, or bad saddle, without a negative eigenvalue."""
        lowest = self.values - self.minimum <= SAME * self.explained.sum()
        limit = self.tol * np.maximum(np.abs(self.smallest), np.abs(self.largest))
        return np.select([lowest, self.smallest < -limit], KINDS[:2], KINDS[2])

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Which descents ended at the minimum, but for a millionth of what all directions explain."""
        return self.descents - self.minimum <= _REACHED * self.explained.sum()

    def to_frame(self) -> pd.DataFrame:
        """One row per critical point; directions count from 0, the strongest."""
        import pandas as pd

        columns = {
            "rank": self.chosen.sum(axis=1),
            "directions": [tuple(np.flatnonzero(row).tolist()) for row in self.chosen],
            "loss": self.values,
            "kind": self.kinds,
            "gradient norm": self.gradient_norms,
            "smallest eigenvalue": self.smallest,
            "largest eigenvalue": self.largest,
            "index": self.index,
        }
        return pd.DataFrame(columns)

    def _table(self) -> Table:
        ranks, rows = self.chosen.sum(axis=1), []
        for rank in np.unique(ranks):
            here = ranks == rank
            low, high = self.values[here].min(), self.values[here].max()
            span = f"{low:.3g}" if here.sum() == 1 else f"{low:.3g} to {high:.3g}"
            counts = [int((self.kinds[here] == kind).sum()) for kind in KINDS]
            rows.append([str(rank), str(here.sum()), span, *(str(count or "") for count in counts)])
        title = f"LinearLandscape: {'-'.join(map(str, self.widths))}, {len(self.chosen)} of "
        title += f"{counted(self.n_critical, 'critical value')}, minimum {self.minimum:.3g}"
        n = len(self.descents)
        note = f"{self.reached.sum()} of {counted(n, 'gradient descent')} reached the minimum"
        return Table(title, ["rank", "points", "loss", *KINDS], rows, notes=[note] * bool(n))


@takes_datasets
@recorded
def linear_landscape(
    X: Any,
    y: Any,
    hidden: Any = (4, 3),
    *,
    n_starts: int = 10,
    start_scale: float = 0.1,
    max_iter: int = 5000,
    max_points: int = 200,
    tol: float = 1e-8,
    random_state: Any = None,
) -> LinearLandscape:
    """Lay out the critical points of a deep linear network, and see where gradient descent arrives.

    The network is a product of matrices, without biases, and its loss the mean over samples of half the
    squared distance from the targets. That is not convex, and yet every local minimum is a global one, every
    other critical point a saddle; with two hidden layers or more, some of these are *bad*: the Hessian has no
    negative eigenvalue there [1]_. A critical point has some of the singular directions of the targets times
    the whitened samples, at most as many as the narrowest width, and lacks the others: its loss is the
    residual of least squares, and half the square of the singular value of each that it lacks ([2]_ for one
    hidden layer, [3]_ for any number).

    A point with given directions is not unique. Those listed here are our own construction: each direction
    has a hidden unit of its own in every layer, and every layer the same root of its singular value. Without
    directions it is the origin. Gradients, curvatures and descents are those of the network of whitened
    samples, which is an invertible change of its first matrix: critical points, their losses and the signs of
    the curvatures are as before. Gradient descents, too, are our own: from small random weights, by steps
    that are as long as lets the loss fall by half of what its slope promises.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples, with no feature that depends linearly on others. For biases, append a column of ones.
    y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        Targets; or, of one axis, class labels, which are one-hot coded: an output for each class, 1 for its
        samples and 0 for others. For one output pass a column.
    hidden : int or sequence of int, default=(4, 3)
        Units of each hidden layer.
    n_starts : int, default=10
        Gradient descents; 0 for none.
    start_scale : float, default=0.1
        Standard deviation of the weights that they begin with.
    max_iter : int, default=5000
        Steps, and trials of steps, after which a descent is given up.
    max_points : int, default=200
        Critical points to list at most. Where there are more, the strongest directions of every rank are
        kept, and of all others those of the lowest rank.
    tol : float, default=1e-8
        Up to which share of the largest eigenvalue in size one is not negative.
    random_state : int, RandomState instance or None, default=None
        Draws the weights that descents begin with.

    Returns
    -------
    landscape : LinearLandscape
        Critical points with their losses, curvatures and kinds; and the ends of the descents.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, features depend on each other, targets have nothing to do with
        them, or the network has more than 1,000 parameters.

    Warns
    -----
    UserWarning
        If critical values are left out; or if the data are not as the theorem has them: there are more
        outputs than features, their product with the samples is not of full rank, or two singular values are
        the same. What is listed holds all the same, but need not be all.

    See Also
    --------
    saddle_index : Curvatures of any network, at the weights it has.

    References
    ----------
    .. [1] Kawaguchi, "Deep learning without poor local minima", NeurIPS 2016, arXiv
       1605.07110.
    .. [2] Baldi & Hornik, "Neural networks and principal component analysis: learning
       from examples without local minima", Neural Networks 2, 1989.
    .. [3] Achour, Malgouyres & Gerchinovitz, "The loss landscape of deep linear neural
       networks: a second-order analysis", JMLR 25, 2024, arXiv 2107.13289.

    Examples
    --------
    >>> from skhalfway.inspection import linear_landscape
    >>> landscape = linear_landscape([[1.0]], [[1.0]], hidden=(1, 1), random_state=0)  # (w1 w2 w3 - 1)**2 / 2
    >>> landscape.kinds.tolist(), landscape.values.tolist()
    (['bad saddle', 'global minimum'], [0.5, 0.0])
    >>> bool(landscape.reached.all())
    True
    """
    widths = read_widths(hidden)
    check_integer("n_starts", n_starts, least=0)
    check_positive("start_scale", start_scale)
    check_integer("max_iter", max_iter)
    check_positive("tol", tol)
    if tol >= 1:
        raise ValueError(f"tol must be a number above 0 and below 1, got {shown(tol)}")
    samples = read_rows(X).astype(float)
    targets = read_outputs(y, len(samples))
    widths = (samples.shape[1], *widths, targets.shape[1])
    n_parameters = sum(before * width for before, width in pairwise(widths))
    if n_parameters > _MOST:
        raise ValueError(
            f"the network {'-'.join(map(str, widths))} has {n_parameters:,} parameters, and its Hessian is "
            f"made whole for up to {_MOST:,}; take fewer units, or principal components of X"
        )
    check_integer("max_points", max_points, least=min(widths) + 1)  # the strongest directions of every rank
    rng = check_random_state(random_state)
    target, residual = whitened(samples, targets)
    u, s, vt = np.linalg.svd(target, full_matrices=False)
    warn_of(s, widths)
    s = s[s > SAME * s[0]]  # the others are no directions
    rank = min(len(s), *widths[1:-1])
    n_critical = sum(comb(len(s), k) for k in range(rank + 1))
    if n_critical > max_points:
        warn(
            f"there are {n_critical:,} critical values, of which {max_points:,} are listed (max_points); all "
            "of the strongest directions are, and of others those of the lowest rank",
            UserWarning,
        )
    points = [np.isin(np.arange(len(s)), subset) for subset in _subsets(len(s), rank, max_points)]
    built = (balanced(u, s, vt.T, chosen, widths[1:-1]) for chosen in points)
    norms, smallest, largest, index = zip(
        *(_curvature(weights, target, tol) for weights in built), strict=True
    )
    starts = [
        start_scale * rng.standard_normal((n_starts, after, before)) for before, after in pairwise(widths)
    ]
    losses, n_steps = descend(starts, target, max_iter)
    return LinearLandscape(
        widths,
        s,
        residual,
        np.array(points),
        np.array(norms),
        np.array(smallest),
        np.array(largest),
        np.array(index),
        losses + residual,  # beyond the distance of the product from the target, what no product explains
        n_steps,
        n_critical,
        tol=float(tol),
    )


def _subsets(n: int, rank: int, most: int) -> Iterator[tuple[int, ...]]:
    """Directions of critical points by rank, the strongest first; where there are too many, not all."""
    n_others = most - rank - 1
    others = chain.from_iterable(islice(combinations(range(n), k), 1, None) for k in range(1, rank + 1))
    kept: list[list[tuple[int, ...]]] = [[tuple(range(k))] for k in range(rank + 1)]
    for subset in islice(others, n_others):
        kept[len(subset)].append(subset)
    return chain.from_iterable(kept)


def _curvature(
    weights: list[NDArray[np.float64]], target: NDArray[np.float64], tol: float
) -> tuple[float, float, float, float]:
    """Length of the gradient, least and largest eigenvalue, and the share of negative ones."""
    slope = gradients(weights, target)[1]
    values = np.linalg.eigvalsh(hessian(weights, target))
    length = sum(float((part**2).sum()) for part in slope) ** 0.5
    return length, values[0], values[-1], float((values < -tol * np.abs(values).max()).mean())
