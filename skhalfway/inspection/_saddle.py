"""saddle_index: the share of directions in which the loss of a network curves downwards, at its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skhalfway._checks import check_choice, check_integer, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._text import counted, short, shown
from skhalfway.inspection._losses import Loss
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

# largest numbers of parameters for which "auto" computes the full Hessian, and for which "exact" is allowed
_EXACT, _MOST = 2000, 20_000
_WIDEST = 0.2  # a wider distance between the bounds of an index is warned of


@dataclass(frozen=True, eq=False, repr=False)
class SaddleIndex(Result):
    """Curvatures of the loss at the weights of a network.

    Made by :func:`saddle_index`; arrays are read-only.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n_values,)
        Eigenvalues of the Hessian in increasing order: all of them, or the nodes of a quadrature of their
        density.
    weights : ndarray of shape (n_probes, n_values)
        Share of all eigenvalues that each entry stands for. The shares of a probe sum to 1. There is one row
        where all eigenvalues are known.
    n_parameters : int
        Number of weights of the network.
    gradient_norm : float
        Norm of the gradient, which is 0 at a critical point.
    loss : float
        Mean cross-entropy.
    tol : float
        An eigenvalue counts as flat up to ``tol`` times the largest absolute eigenvalue.
    probe_bounds : ndarray of shape (n_probes, 2), default=None
        Lower and upper bound of the share of negative eigenvalues of each probe. None if all eigenvalues are
        known.

    See Also
    --------
    SaddleIndexDisplay : Draws the distribution of eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import SaddleIndex
    >>> saddle = SaddleIndex(np.array([-2.0, 0.0, 1.0, 10.0]), np.full((1, 4), 0.25), 4, 0.0, 0.7, 1e-4)
    >>> saddle
    SaddleIndex: 4 parameters, index .25, loss .70, gradient 0
    curvature  share
    negative   .25
    flat       .25
    positive   .50
    """

    eigenvalues: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_parameters: int
    gradient_norm: float
    loss: float
    tol: float = 1e-4
    probe_bounds: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in ("eigenvalues", "weights"):
            object.__setattr__(self, name, frozen(getattr(self, name), float))
        if self.weights.ndim != 2 or self.weights.shape[1] != len(self.eigenvalues):
            raise ValueError(
                f"weights must have a row of {len(self.eigenvalues)} entries for each probe, got shape "
                f"{self.weights.shape}"
            )
        if self.probe_bounds is not None:
            bounds = frozen(self.probe_bounds, float)
            if bounds.shape != (len(self.weights), 2):
                raise ValueError(
                    f"probe_bounds must have shape {(len(self.weights), 2)}, a lower and an upper bound for "
                    f"each probe, got {bounds.shape}"
                )
            object.__setattr__(self, "probe_bounds", bounds)

    @property
    def shares(self) -> dict[str, float]:
        """Shares of negative, flat and positive curvature."""
        return {name: float(share.mean()) for name, share in self._by_probe().items()}

    @property
    def index(self) -> float:
        """Share of negative eigenvalues: at a critical point, the index of the saddle (0 for a minimum)."""
        return self.shares["negative"]

    @property
    def standard_error(self) -> float:
        """Standard error of the index over probes; 0 where all eigenvalues are known, nan for one probe."""
        own = self._by_probe()["negative"]
        if len(own) == 1:
            return 0.0 if self._exact else np.nan
        return float(own.std(ddof=1) / len(own) ** 0.5)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper bound of the index for these probes, however few steps they had.

        A quadrature of few steps cannot tell on which side of the limit the eigenvalues near it are. The
        inequalities of Chebyshev, Markov and Stieltjes bound the error. The bounds do not cover the choice of
        the random vectors, which the standard error does. Both equal the index if all eigenvalues are known.
        """
        if self.probe_bounds is None:
            return (self.index, self.index) if self._exact else (0.0, 1.0)
        low, high = self.probe_bounds.mean(axis=0)
        return float(low), float(high)

    @property
    def needs_more_steps(self) -> bool:
        """Whether the bounds of the index differ by more than .2."""
        low, high = self.bounds
        return high - low > _WIDEST

    @property
    def _exact(self) -> bool:
        """Whether all eigenvalues are known; a probe may have as many nodes, but with unequal weights."""
        n = self.n_parameters
        return self.weights.shape == (1, n) and bool((np.abs(self.weights * n - 1) < 1e-9).all())

    def _by_probe(self) -> dict[str, NDArray[np.float64]]:
        limit = self.tol * np.abs(self.eigenvalues).max(initial=0.0)
        kinds = {
            "negative": self.eigenvalues < -limit,
            "flat": np.abs(self.eigenvalues) <= limit,
            "positive": self.eigenvalues > limit,
        }
        return {name: self.weights @ kind for name, kind in kinds.items()}

    def to_frame(self) -> pd.DataFrame:
        """Eigenvalues, or nodes of the quadrature, one row each.

        Returns
        -------
        frame : DataFrame
            Columns eigenvalue and share (of all eigenvalues).

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import SaddleIndex
        >>> saddle = SaddleIndex(np.array([-2.0, 0.0, 1.0, 10.0]), np.full((1, 4), 0.25), 4, 0.0, 0.7)
        >>> saddle.to_frame()["share"].tolist()
        [0.25, 0.25, 0.25, 0.25]
        """
        import pandas as pd

        return pd.DataFrame({"eigenvalue": self.eigenvalues, "share": self.weights.mean(axis=0)})

    def _table(self) -> Table:
        rows = [[name, short(share)] for name, share in self.shares.items()]
        notes = []
        if not self._exact:
            error = f", standard error {self.standard_error:.2g}" if len(self.weights) > 1 else ""
            notes = [f"shares are estimated by {counted(len(self.weights), 'probe')}{error}"]
            if self.probe_bounds is not None:
                notes.append(f"for these probes, the steps taken bound the index {_range(self)}")
        title = f"SaddleIndex: {counted(self.n_parameters, 'parameter')}, index {short(self.index)}, "
        title += f"loss {short(self.loss)}, gradient {self.gradient_norm:.2g}"
        return Table(title, ["curvature", "share"], rows, notes=notes)


@takes_datasets
@recorded
def saddle_index(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    tol: float = 1e-4,
    method: str = "auto",
    n_probes: int = 4,
    n_steps: int = 200,
    random_state: Any = None,
) -> SaddleIndex:
    """Measure the share of directions in which the loss of a network curves downwards.

    The index of a critical point is the share of negative eigenvalues of the Hessian. In high dimension,
    critical points of high loss are said to be saddles nearly always, with an index that grows with the loss
    [1]_. The weights at the end of a training are seldom a critical point. The index is then only a share of
    curvatures, so the norm of the gradient is reported with it. Eigenvalues near 0 are counted separately, as
    flat, since a network has many.

    Parameters
    ----------
    estimator : object
        Fitted network: a torch module, skorch classifier or ``MLPClassifier``, or a Pipeline that ends in
        one.
    X : array-like of shape (n_samples, ...)
        Samples on which the loss is measured. The loss is the mean cross-entropy, without penalties, in
        evaluation mode.
    y : array-like of shape (n_samples,)
        Their labels.
    tol : float, default=1e-4
        An eigenvalue counts as flat up to ``tol`` times the largest absolute eigenvalue.
    method : {"auto", "exact", "lanczos"}, default="auto"
        - "exact" computes the full Hessian in double precision.
        - "lanczos" estimates the density of its eigenvalues from products with random vectors [2]_.
        - "auto" is "exact" for up to 2,000 parameters, else "lanczos".
    n_probes : int, default=4
        Number of random vectors for "lanczos".
    n_steps : int, default=200
        Number of Lanczos steps for each random vector. Each step needs one product with the Hessian, and
        memory for one copy of the weights in double precision. Too few steps misjudge eigenvalues near 0.
    random_state : int, RandomState instance or None, default=None
        Source of the random vectors.

    Returns
    -------
    saddle : SaddleIndex
        Shares of negative, flat and positive curvature, and the eigenvalues.

    Raises
    ------
    TypeError
        If the estimator is no network.
    ValueError
        If a parameter or the data is invalid, or if ``method="exact"`` and the network has more than 20,000
        parameters.

    Warns
    -----
    ConvergenceWarning
        If "lanczos" has so few steps that the bounds of the index differ by more than .2.

    See Also
    --------
    saddle_history : The index during the training of an ``MLPClassifier``.
    SaddleCallback : The index during the training of a skorch net.
    linear_landscape : All kinds of critical points of a deep linear network.
    sharpness : The largest eigenvalue, by batch size.

    References
    ----------
    .. [1] Dauphin, Pascanu, Gulcehre, Cho, Ganguli & Bengio, "Identifying and attacking
       the saddle point problem in high-dimensional non-convex optimization", NeurIPS
       2014, arXiv 1406.2572.
    .. [2] Golub & Welsch, "Calculation of Gauss quadrature rules", Mathematics of
       Computation 23, 1969: nodes and weights of the quadrature of Lanczos' method.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import saddle_index
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((5,), solver="lbfgs", alpha=1, max_iter=500, random_state=0).fit(X, y)
    >>> saddle = saddle_index(net, X, y)
    >>> saddle.n_parameters, saddle.index < 0.5
    (43, True)
    """
    check_options(tol, method, n_probes, n_steps)
    saddle = find_saddle(estimator, X, y, tol, method, n_probes, n_steps, random_state)
    if saddle.needs_more_steps:
        n = saddle.n_parameters
        warn(
            f"{n_steps} steps are too few: they leave the index anywhere {_range(saddle)}; raise n_steps"
            + (f", or take method='exact', which needs {n:,} steps in all" if n <= _MOST else ""),
            ConvergenceWarning,
        )
    return saddle


def find_saddle(
    estimator: Any, X: Any, y: Any, tol: float, method: str, n_probes: int, n_steps: int, random_state: Any
) -> SaddleIndex:
    """Compute what :func:`saddle_index` returns, without its warning."""
    rng = check_random_state(random_state)
    loss = Loss(estimator, X, y, precise=True)
    n = sum(weight.numel() for weight in loss.weights.values())
    if method == "exact" and n > _MOST:
        raise ValueError(
            f"the full Hessian of {n:,} parameters takes {8 * n * n / 2**30:,.0f} GiB, and method='exact' "
            f"allows {_MOST:,} parameters; use method='lanczos'"
        )
    figures = (n, loss.gradient_norm(), loss.at({})[0], float(tol))
    if method == "exact" or (method == "auto" and n <= _EXACT):
        hessian = np.array([loss.hessian_product(row) for row in np.eye(n)])
        eigenvalues = np.linalg.eigvalsh((hessian + hessian.T) / 2)
        return SaddleIndex(eigenvalues, np.full((1, n), 1 / n), *figures)
    matrices = [lanczos(loss.hessian_product, n, min(n_steps, n), rng) for _ in range(n_probes)]
    found = [quadrature(matrix) for matrix in matrices]
    limit = tol * max(np.abs(places).max() for places, _ in found)
    bounds = [
        # a quadrature that exhausted its Krylov space is exact
        share_below(-limit, *one, exact=len(matrix) < min(n_steps, n) or len(matrix) == n)
        for matrix, one in zip(matrices, found, strict=True)
    ]
    places, weights = _joined(found)
    return SaddleIndex(places, weights, *figures, np.array(bounds))


def share_below(
    limit: float, places: NDArray[np.float64], weights: NDArray[np.float64], *, exact: bool
) -> tuple[float, float]:
    """Lower and upper bound of a measure's share below a limit, from nodes and weights of its quadrature.

    By Chebyshev, Markov and Stieltjes, the share up to a node is at least the sum of the weights before it,
    and at most that sum and its own weight.
    """
    below = int(np.searchsorted(places, limit))
    sums = np.append(0.0, np.cumsum(weights))
    if exact:
        return float(sums[below]), float(sums[below])
    return float(sums[max(below - 1, 0)]), float(min(sums[min(below + 1, len(weights))], 1.0))


def _range(saddle: SaddleIndex) -> str:
    low, high = saddle.bounds
    return f"between {short(low)} and {short(high)}"


def _joined(
    found: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes of all quadratures in increasing order, and their weights, with one row for each quadrature."""
    places = np.concatenate([places for places, _ in found])
    order = np.argsort(places, kind="stable")
    weights = np.zeros((len(found), len(places)))
    begin = 0
    for row, (_, shares) in zip(weights, found, strict=True):
        row[begin : begin + len(shares)] = shares
        begin += len(shares)
    return places[order], weights[:, order]


def check_options(tol: Any, method: Any, n_probes: Any, n_steps: Any) -> None:
    """Raise ValueError or TypeError where an option of :func:`saddle_index` is invalid."""
    number = isinstance(tol, (int, float, np.integer, np.floating)) and not isinstance(tol, bool)
    if not number or not 0 <= tol < 1:
        raise ValueError(f"tol must be a number from 0 to below 1, got {shown(tol)}")
    check_choice("method", method, ("auto", "exact", "lanczos"))
    check_integer("n_probes", n_probes)
    check_integer("n_steps", n_steps, 2)


def lanczos(product: Any, n: int, n_steps: int, rng: np.random.RandomState) -> NDArray[np.float64]:
    """Tridiagonal matrix of a symmetric matrix in the Krylov space of a random vector.

    It uses full orthogonalisation, and ends early where the Krylov space is exhausted. The leading k rows and
    columns are the result of k steps.
    """
    vector = rng.standard_normal(n)
    basis = np.empty((n_steps, n))
    basis[0] = vector / np.linalg.norm(vector)
    diagonal, beside = list[float](), list[float]()
    for step in range(n_steps):
        new = product(basis[step])
        diagonal.append(float(new @ basis[step]))
        known = basis[: step + 1]
        for _ in range(2):  # the second time removes rounding errors
            new = new - known.T @ (known @ new)
        length = float(np.linalg.norm(new))
        if step + 1 == n_steps or length < 1e-10 * max(np.abs(diagonal).max(), 1e-300):
            break
        beside.append(length)
        basis[step + 1] = new / length
    beside = beside[: len(diagonal) - 1]
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def quadrature(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of the Gauss quadrature that belongs to a tridiagonal matrix of Lanczos' method."""
    places, vectors = np.linalg.eigh(matrix)
    return places, vectors[0] ** 2
