"""The multipliers of a max-margin network: a complementarity problem, solved by block exchanges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from skhalfway._entries import takes_datasets
from skhalfway.models._warnings import warn
from skhalfway.perturbation._binary import check_gamma, read_samples, signs
from skhalfway.perturbation._condition import OrthogonalityWarning, orthogonality_condition

# ridge, relative to the mean of the diagonal, with which singular matrices (duplicates, more samples than
# features) can be factorised
_RIDGE = 1e-10
_SLACK = (
    1e-3  # largest reduction of a margin of 1 by the ridge; without a solution, the reduction is complete
)
_PATIENCE = 10  # block exchanges without progress, after which single indices are exchanged
_MAX_EXCHANGES = 1000


@takes_datasets
def multipliers(X: Any, y: Any, *, gamma: float = 0.2) -> NDArray[np.float64]:
    """Compute the multipliers lambda_n of the boundary at which training ends.

    Gradient flow on a homogeneous network with exponential or logistic loss
    converges, in direction, to a KKT point of the max-margin problem *in the weights*
    [2]_: the smallest ``||W||`` such that all ``y_n f(x_n) >= 1``. On nearly
    orthogonal samples, a leaky ReLU network ends with weights of rank at most two and
    a linear boundary [3]_.

    The rest is our derivation. It assumes that each hidden unit with a positive output
    weight is active on class +1 alone, and each with a negative one on class -1 alone.
    Units of one sign then have the same weights, and the KKT conditions are those of a
    convex problem:

    ``lambda >= 0``, ``M lambda >= 1``, ``lambda_n (M lambda - 1)_n = 0``,
    ``M_nk = c_nk y_n y_k <x_n, x_k>``, where c_nk is ``(1 + gamma**2) / 2``
    for two samples of the same class and ``gamma`` for two of different classes.

    This is the dual of a hard-margin support vector machine without intercept
    and with the kernel ``c * <., .>``: ``max sum(lambda) - lambda' M lambda / 2``.
    With ``gamma=1`` the machine is linear. For orthogonal samples
    ``lambda_n = 2 / ((1 + gamma**2) ||x_n||**2)``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training samples.
    y : array-like of shape (n_samples,)
        Labels: -1 and +1, or any two classes; the second in sorted order is +1.
    gamma : float, default=0.2
        Slope of the leaky ReLU, in (0, 1].

    Returns
    -------
    multipliers : ndarray of shape (n_samples,)
        Multipliers lambda_n >= 0, in inverse squares of input units.

    Raises
    ------
    ValueError
        If there are not two classes, gamma or the data is invalid, or no
        solution exists.

    Warns
    -----
    OrthogonalityWarning
        If the samples violate :func:`orthogonality_condition`. The message says by
        how much, and whether the assumed activations hold at the solution. If they
        do, the solution is a KKT point nevertheless.

    See Also
    --------
    boundary : The normal of the boundary with these multipliers.

    Notes
    -----
    The problem is solved by exchanges of blocks of active samples [4]_ and Cholesky
    factorisation, in O(n_samples**2) memory. Where the condition holds, all samples
    are active and one factorisation is enough. [1]_ gives bounds:
    ``1 / (2 R_max**2) < lambda_n < 3 / (2 gamma**2 R_min**2)``.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.
    .. [2] Lyu & Li, "Gradient descent maximizes the margin of homogeneous neural
       networks", ICLR 2020.
    .. [3] Frei, Vardi, Bartlett, Srebro & Hu, "Implicit bias in leaky ReLU
       networks trained on high-dimensional data", arXiv 2210.07082, 2022.
    .. [4] Portugal, Judice & Vicente, "A comparison of block pivoting and
       interior-point algorithms for linear least squares problems with
       nonnegative variables", Mathematics of Computation 63, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import multipliers
    >>> multipliers(np.diag([1.0, 2.0]), ["a", "b"], gamma=1.0)
    array([1.  , 0.25])
    """
    check_gamma(gamma)
    X = read_samples(X)
    return solve(X, signs(y, len(X)), gamma)


def solve(X: NDArray[np.float64], y: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """Multipliers of samples and signs; its warning points to the caller of the public function."""
    margins = X @ X.T
    margins *= np.where(y[:, None] == y, (1 + gamma**2) / 2, -gamma)
    ridge = _RIDGE * float(margins.trace()) / len(X)
    margins[np.diag_indices_from(margins)] += ridge
    solution = _complementary(margins) if ridge > 0 else None
    if solution is None or (ridge * solution > _SLACK).any():
        raise ValueError(
            "no network of this kind gives all samples a positive margin: some samples may be 0 or "
            "contradict each other, or the classes may not be separable by a linear boundary through 0"
        )
    _warn_if_violated(X, y, gamma, solution)
    return solution


def _complementary(M: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """``z >= 0`` with ``M z >= 1`` and equality in one of the two for each row; None where none is found."""
    n = len(M)
    free, fewest, patience = np.ones(n, dtype=bool), n + 1, _PATIENCE
    for _ in range(_MAX_EXCHANGES):
        z = np.zeros(n)
        if free.any():
            z[free] = cho_solve(cho_factor(M[np.ix_(free, free)], overwrite_a=True), np.ones(free.sum()))
        wrong = np.where(free, z < 0, M @ z < 1 - 1e-9)
        if not wrong.any():
            return z
        if wrong.sum() < fewest:
            fewest, patience = wrong.sum(), _PATIENCE
        elif patience > 0:
            patience -= 1
        else:  # exchange single indices, which is slow but certain to end
            wrong[: np.flatnonzero(wrong)[-1]] = False
        free ^= wrong
    return None


def _warn_if_violated(
    X: NDArray[np.float64], y: NDArray[np.float64], gamma: float, weights: NDArray[np.float64]
) -> None:
    condition = orthogonality_condition(X, gamma)
    if condition.holds:
        return
    positive, negative = (X @ ((weights * np.where(y == sign, 1.0, gamma) * y) @ X) for sign in (1, -1))
    n_other = int(((y * positive <= 0) | (y * negative <= 0)).sum())
    found = (
        "the assumed activations hold at the solution nevertheless"
        if n_other == 0
        else f"the assumed activations do not hold at the solution for {n_other} of {len(X)} samples"
    )
    warn(
        f"X violates the orthogonality condition: p_max={condition.p_max:.3g} is {condition.excess:.3g} "
        f"times its bound {condition.bound:.3g}; the theorem does not cover this data, and {found}",
        OrthogonalityWarning,
    )
