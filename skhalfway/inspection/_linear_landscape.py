"""linear_landscape: the critical points of deep linear networks, and where gradient descent ends."""

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
_MOST = 1000  # largest number of parameters, since each point needs the full Hessian
_REACHED = 1e-6  # tolerance for having reached the minimum, relative to the loss that all directions explain


@dataclass(frozen=True, eq=False, repr=False)
class LinearLandscape(Result):
    """Critical points of the squared loss of a deep linear network, and the ends of gradient descents.

    Made by :func:`linear_landscape`; arrays are read-only.

    Parameters
    ----------
    widths : tuple of int
        Numbers of features, of hidden units of each layer, and of outputs.
    singular_values : ndarray of shape (n_directions,)
        Nonzero singular values of the targets times the whitened samples, in decreasing order. Each
        direction reduces the loss by half the square of its singular value.
    residual : float
        Loss of the best linear model of any rank.
    chosen : bool ndarray of shape (n_points, n_directions)
        Singular directions that the network has learned at each critical point.
    gradient_norms : ndarray of shape (n_points,)
        Norm of the gradient there, which is 0 up to rounding.
    smallest, largest : ndarray of shape (n_points,)
        Smallest and largest eigenvalue of the Hessian.
    index : ndarray of shape (n_points,)
        Share of the Hessian's eigenvalues that are negative.
    descents : ndarray of shape (n_starts,)
        Loss at the end of each gradient descent.
    n_steps : int ndarray of shape (n_starts,)
        Number of steps of each gradient descent.
    n_critical : int
        Number of all critical values, which may be larger than the number of points listed.
    tol : float
        An eigenvalue counts as negative below ``-tol`` times the largest absolute eigenvalue.

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
            raise ValueError(
                f"chosen must have {len(self.singular_values)} columns, one for each direction; got shape "
                f"{self.chosen.shape}"
            )
        for name in ("gradient_norms", "smallest", "largest", "index"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must have shape ({n},), a figure for each critical point")

    @property
    def rank(self) -> int:
        """Largest number of directions that the network can learn: its narrowest width, or all."""
        return min(len(self.singular_values), *self.widths[1:-1])

    @property
    def explained(self) -> NDArray[np.float64]:
        """Reduction of the loss by each direction: half the square of its singular value."""
        return self.singular_values**2 / 2

    @property
    def minimum(self) -> float:
        """Global minimum of the loss: the residual plus what the directions beyond the rank explain."""
        return float(self.residual + self.explained[self.rank :].sum())

    @property
    def values(self) -> NDArray[np.float64]:
        """Loss at each critical point: the residual plus what the directions that are not chosen explain."""
        return self.residual + (~self.chosen * self.explained).sum(axis=1)

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of each point: "global minimum", "strict saddle", or "bad saddle" (no negative eigenvalue)."""
        lowest = self.values - self.minimum <= SAME * self.explained.sum()
        limit = self.tol * np.maximum(np.abs(self.smallest), np.abs(self.largest))
        return np.select([lowest, self.smallest < -limit], KINDS[:2], KINDS[2])

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Which descents ended at the minimum, up to a millionth of what all directions explain."""
        return self.descents - self.minimum <= _REACHED * self.explained.sum()

    def to_frame(self) -> pd.DataFrame:
        """Critical points, one row each.

        Returns
        -------
        frame : DataFrame
            Columns rank, directions (indices, 0 being the strongest), loss, kind, gradient norm, smallest
            eigenvalue, largest eigenvalue, and index.

        Examples
        --------
        >>> from skhalfway.inspection import linear_landscape
        >>> linear_landscape([[1.0]], [[1.0]], hidden=1, n_starts=0).to_frame()["kind"].tolist()
        ['strict saddle', 'global minimum']
        """
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
    """List the critical points of a deep linear network, and measure where gradient descent ends.

    The network is a product of matrices without biases. Its loss is half the squared distance from the
    targets, averaged over samples. The loss is not convex, but every local minimum is a global one, and every
    other critical point is a saddle. With two hidden layers or more, some saddles are *bad*: the Hessian has
    no negative eigenvalue there [1]_.

    At a critical point, the network has learned some of the singular directions of the targets times the
    whitened samples, at most as many as its narrowest width. The loss is the residual of least squares plus
    half the square of the singular value of each direction that is missing ([2]_ for one hidden layer, [3]_
    for any number).

    Our own choices:

    - A critical point with given directions is not unique. In those listed here, each direction has its own
      hidden unit in every layer, and every layer has the same root of its singular value. The point without
      directions is the origin.
    - Gradients, curvatures and descents are those of a network of whitened samples. Whitening is an
      invertible change of the first matrix, so critical points, their losses and the signs of the curvatures
      stay the same.
    - Gradient descents start from small random weights. The step size adapts so that the loss decreases by at
      least half of what the gradient predicts.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples, with no feature that depends linearly on others. For biases, append a column of ones.
    y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        Targets. With one axis, class labels, which are one-hot encoded. For one output, pass a column.
    hidden : int or sequence of int, default=(4, 3)
        Units of each hidden layer.
    n_starts : int, default=10
        Number of gradient descents; 0 for none.
    start_scale : float, default=0.1
        Standard deviation of the initial weights of gradient descent.
    max_iter : int, default=5000
        Maximum number of steps of a descent, rejected ones included.
    max_points : int, default=200
        Maximum number of critical points to list. Where there are more, the point with the strongest
        directions of every rank is kept, and the rest are those of the lowest ranks.
    tol : float, default=1e-8
        An eigenvalue counts as negative below ``-tol`` times the largest absolute eigenvalue.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights of gradient descent.

    Returns
    -------
    landscape : LinearLandscape
        Critical points with their losses, curvatures and kinds, and the ends of the descents.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, features depend linearly on each other, targets are orthogonal
        to all of them, or the network has more than 1,000 parameters.

    Warns
    -----
    UserWarning
        If critical values are left out, or if the data do not meet the conditions of the theorem:

        - there are more outputs than features,
        - the product of targets and samples does not have full rank, or
        - two singular values are equal.

        The points listed are critical points nevertheless, but there may be others.

    See Also
    --------
    saddle_index : Curvatures of any network, at its own weights.

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
            f"the network {'-'.join(map(str, widths))} has {n_parameters:,} parameters, but its full Hessian "
            f"is computed for at most {_MOST:,}; use fewer units, or principal components of X"
        )
    check_integer("max_points", max_points, least=min(widths) + 1)  # a point for every rank
    rng = check_random_state(random_state)
    target, residual = whitened(samples, targets)
    u, s, vt = np.linalg.svd(target, full_matrices=False)
    warn_of(s, widths)
    s = s[s > SAME * s[0]]  # singular values of 0 explain nothing
    rank = min(len(s), *widths[1:-1])
    n_critical = sum(comb(len(s), k) for k in range(rank + 1))
    if n_critical > max_points:
        warn(
            f"there are {n_critical:,} critical values, and max_points={max_points:,} of them are listed: "
            "the strongest directions of every rank, and others of the lowest ranks",
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
        losses + residual,  # losses are distances from the target; no product explains the residual
        n_steps,
        n_critical,
        tol=float(tol),
    )


def _subsets(n: int, rank: int, most: int) -> Iterator[tuple[int, ...]]:
    """Directions of critical points by rank, the strongest first; at most ``most`` of them."""
    n_others = most - rank - 1
    others = chain.from_iterable(islice(combinations(range(n), k), 1, None) for k in range(1, rank + 1))
    kept: list[list[tuple[int, ...]]] = [[tuple(range(k))] for k in range(rank + 1)]
    for subset in islice(others, n_others):
        kept[len(subset)].append(subset)
    return chain.from_iterable(kept)


def _curvature(
    weights: list[NDArray[np.float64]], target: NDArray[np.float64], tol: float
) -> tuple[float, float, float, float]:
    """Norm of the gradient, smallest and largest eigenvalue, and the share of negative eigenvalues."""
    slope = gradients(weights, target)[1]
    values = np.linalg.eigvalsh(hessian(weights, target))
    length = sum(float((part**2).sum()) for part in slope) ** 0.5
    return length, values[0], values[-1], float((values < -tol * np.abs(values).max()).mean())
