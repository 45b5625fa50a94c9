"""The orthogonality condition, under which the theory applies to samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._blocks import blocks
from skhalfway._entries import takes_datasets
from skhalfway.perturbation._binary import check_gamma, read_samples
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

_FIGURES = ("n_samples", "gamma", "r_min", "r_max", "p_max", "bound")


class OrthogonalityWarning(UserWarning):
    """Warning that samples are not as orthogonal as the theorem requires; the message says how far."""


@dataclass(frozen=True, eq=False, repr=False)
class OrthogonalityCondition(Result, drawn=False):
    """Both sides of the condition ``gamma**3 * R_min**4 / (3 * N * R_max**2) >= p_max``.

    Made by :func:`orthogonality_condition`.

    Parameters
    ----------
    n_samples : int
        Number of samples, N.
    gamma : float
        Slope of the leaky ReLU.
    r_min : float
        Length of the shortest sample, R_min, in input units.
    r_max : float
        Length of the longest sample, R_max, in input units.
    p_max : float
        Right-hand side: the largest absolute inner product of two samples.
    bound : float
        Left-hand side: the largest p_max that is allowed.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import OrthogonalityCondition
    >>> OrthogonalityCondition(n_samples=4, gamma=0.2, r_min=18.0, r_max=19.0, p_max=14.9, bound=0.194)
    OrthogonalityCondition: fails, the largest inner product is 76.8 times what is allowed
    samples  gamma  lengths    largest inner product  allowed
    4        0.2    18 to 19   14.9                   0.194
    """

    n_samples: int
    gamma: float
    r_min: float
    r_max: float
    p_max: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether p_max is within the bound."""
        return self.p_max <= self.bound

    @property
    def excess(self) -> float:
        """Ratio of p_max to the bound, which is at most 1 where the condition holds."""
        return self.p_max / self.bound if self.bound > 0 else np.inf

    def to_frame(self) -> pd.DataFrame:
        """All figures, in a single row.

        Returns
        -------
        frame : DataFrame
            Columns n_samples, gamma, r_min, r_max, p_max, bound, excess and holds.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation.theory import orthogonality_condition
        >>> bool(orthogonality_condition(np.eye(4)).to_frame()["holds"][0])
        True
        """
        import pandas as pd

        names = [*_FIGURES, "excess", "holds"]
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def _table(self) -> Table:
        verdict = "holds" if self.holds else "fails"
        lengths = f"{self.r_min:.4g} to {self.r_max:.4g}"
        figures = [str(self.n_samples), f"{self.gamma:g}", lengths, f"{self.p_max:.4g}", f"{self.bound:.4g}"]
        return Table(
            f"OrthogonalityCondition: {verdict}, the largest inner product is {self.excess:.3g} times what "
            "is allowed",
            ["samples", "gamma", "lengths", "largest inner product", "allowed"],
            [figures],
        )


@takes_datasets
@recorded
def orthogonality_condition(X: Any, gamma: float = 0.2) -> OrthogonalityCondition:
    """Check whether samples are as nearly orthogonal as the theory requires.

    The theorem on networks with one hidden layer [1]_ requires nearly orthogonal
    training samples. Let R_min and R_max be the smallest and the largest length of a
    sample, and p_max the largest absolute inner product of two samples. The condition
    is ``gamma**3 * R_min**4 / (3 * N * R_max**2) >= p_max``.

    The condition is strong: with the default gamma, only two samples of uniform noise
    need about 500,000 features to meet it. Networks often learn the boundary of the
    theory from samples that violate it.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training samples.
    gamma : float, default=0.2
        Slope of the leaky ReLU, in (0, 1].

    Returns
    -------
    condition : OrthogonalityCondition
        Both sides, ``holds`` and ``excess``.

    Raises
    ------
    ValueError
        If the samples are invalid or fewer than two, or gamma is out of range.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import orthogonality_condition
    >>> orthogonality_condition(np.eye(4)).holds
    True
    >>> noise = np.random.RandomState(0).uniform(-1, 1, size=(4, 1000))
    >>> condition = orthogonality_condition(noise, gamma=0.2)
    >>> condition.holds, round(condition.p_max, 1), round(condition.bound, 2)
    (False, 14.9, 0.2)
    """
    check_gamma(gamma)
    X = read_samples(X)
    if len(X) < 2:
        raise ValueError(f"X must hold at least two samples, got {len(X)}")
    squares = np.einsum("ij,ij->i", X, X)
    p_max = 0.0
    for rows in blocks(len(X), len(X)):
        products = X[rows] @ X[rows.start :].T
        np.fill_diagonal(products, 0.0)
        p_max = max(p_max, float(np.abs(products, out=products).max()))
    r2_min, r2_max = float(squares.min()), float(squares.max())
    bound = gamma**3 * r2_min**2 / (3 * len(X) * r2_max) if r2_max > 0 else 0.0
    return OrthogonalityCondition(len(X), float(gamma), r2_min**0.5, r2_max**0.5, p_max, bound)
