"""Decision boundaries that a network with one hidden layer learns, from samples and from perturbations."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_norm, check_positive
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_rows
from skhalfway._intervals import ratio
from skhalfway._text import counted, short, shown
from skhalfway.perturbation._binary import check_gamma, read_samples, signs
from skhalfway.perturbation._multipliers import solve
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd


@takes_datasets
def boundary(X: Any, y: Any, *, gamma: float = 0.2) -> NDArray[np.float64]:
    """Normal of the linear decision boundary that a network with one hidden layer learns.

    A network f with leaky ReLU units and a frozen output layer, trained by gradient
    flow on samples that meet :func:`orthogonality_condition`, ends at a linear
    decision boundary [1]_: ``sign f(z) = sign <q, z>`` with
    ``q = sum_n lambda_n y_n x_n``. The multipliers lambda_n are computed by
    :func:`multipliers`.

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
    q : ndarray of shape (n_features,)
        Normal of the boundary, which points to the side of class +1.

    Raises
    ------
    ValueError
        As in :func:`multipliers`.

    Warns
    -----
    OrthogonalityWarning
        As in :func:`multipliers`.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import boundary
    >>> boundary(np.diag([1.0, 2.0]), [-1, 1], gamma=1.0)
    array([-1. ,  0.5])
    """
    check_gamma(gamma)
    X = read_samples(X)
    labels = signs(y, len(X))
    return (solve(X, labels, gamma) * labels) @ X


def check_step(eps: Any, norm: Any, n_changed: Any, step: Any, n_features: int) -> None:
    check_positive("eps", eps)
    check_norm(norm, (0, 2, np.inf))
    check_choice("step", step, ("sign", "gradient"))
    if (norm == 0) != (n_changed is not None):
        raise ValueError(
            f"n_changed is required with norm=0, and not allowed with other norms; got norm={shown(norm)}, "
            f"n_changed={shown(n_changed)}"
        )
    if n_changed is None:
        return
    if not isinstance(n_changed, Integral) or not 1 <= int(n_changed) <= n_features:
        raise ValueError(
            f"n_changed must be an integer from 1 to n_features={n_features}, got {shown(n_changed)}"
        )


def _towards_positive(
    q: Any, eps: float, norm: float, n_changed: int | None, step: str
) -> NDArray[np.float64]:
    """The perturbation towards class +1."""
    row = read_rows([q], name="q").astype(float) if np.ndim(q) == 1 else np.zeros((1, 1))
    if not row.any():
        raise ValueError(f"q must be a finite direction other than 0, of shape (n_features,); got {shown(q)}")
    q = row[0]
    check_step(eps, norm, n_changed, step, len(q))
    if norm == 2:
        return eps * q / np.linalg.norm(q)
    size = np.abs(q)
    moved = eps * np.sign(q) if step == "sign" else eps * (q / size.max())
    if n_changed is not None:
        moved[np.argsort(-size, kind="stable")[n_changed:]] = 0.0
    return moved


def geometry_perturbation(
    q: Any, y: Any, *, eps: float, norm: float = 2, n_changed: int | None = None, step: str = "sign"
) -> NDArray[np.float64]:
    """Perturbations towards a target class, derived from a linear decision boundary.

    For the boundary ``<q, z> = 0`` and a target class y, the perturbation is

    - ``eps * y * q / ||q||`` for ``norm=2``;
    - ``eps * y * sign(q)`` for ``norm=np.inf``;
    - ``eps * y * sign(q)`` on the ``n_changed`` features with the largest ``|q_i|``,
      and 0 on others, for ``norm=0``.

    These follow the geometry-inspired perturbations of [1]_; the formulas are our
    derivation. The experiments of [1]_ do not use signs: their attack divides the
    gradient by its largest entry (their public code). That is ``step="gradient"``.

    Parameters
    ----------
    q : array-like of shape (n_features,)
        Normal of the boundary, as returned by :func:`boundary`.
    y : array-like of shape (n_samples,)
        Target class of each sample: -1 and +1, or any two classes; the second in
        sorted order is +1.
    eps : float
        Length of the perturbation for ``norm=2``, otherwise the change of a
        feature; in input units.
    norm : {2, np.inf, 0}, default=2
        Norm of the perturbation, as above.
    n_changed : int, default=None
        Number of features that change, with ``norm=0``.
    step : {"sign", "gradient"}, default="sign"
        Size of the change with ``norm=np.inf`` and ``norm=0``. Ignored for
        ``norm=2``.

        - "sign": each feature changes by eps.
        - "gradient": each feature changes by ``eps * |q_i| / max |q|``, so only the
          largest entry changes by eps.

    Returns
    -------
    perturbation : ndarray of shape (n_samples, n_features)
        Perturbations, to be added to samples.

    Raises
    ------
    ValueError
        If a parameter is out of range, or y holds neither two classes nor signs.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import geometry_perturbation
    >>> geometry_perturbation([3.0, -4.0], [1, -1], eps=1.0)
    array([[ 0.6, -0.8],
           [-0.6,  0.8]])
    >>> geometry_perturbation([3.0, -4.0], [1], eps=1.0, norm=float("inf"), step="gradient")
    array([[ 0.75, -1.  ]])
    """
    return signs(y, both=False)[:, None] * _towards_positive(q, eps, norm, n_changed, step)


@dataclass(frozen=True, eq=False, repr=False)
class LearnedBoundary(Result, drawn=False):
    """Decision boundary learned from perturbed samples, as the sum of two terms.

    Made by :func:`learned_boundary`; arrays are read-only.

    Parameters
    ----------
    base : ndarray of shape (n_features,)
        Term learned from the mislabelled samples, ``sum_n lambda_n y_n x_n``.
    perturbation : ndarray of shape (n_features,)
        Term learned from the perturbations. For the L2 norm it is a multiple of
        the boundary that they were made with.
    multipliers : ndarray of shape (n_samples,)
        The multipliers lambda_n.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import LearnedBoundary
    >>> LearnedBoundary(base=np.array([3.0, 0.0]), perturbation=np.array([0.0, 4.0]), multipliers=np.ones(5))
    LearnedBoundary: 2 features, from 5 samples
    term          length  cosine with the sum
    base          3       .60
    perturbation  4       .80
    """

    base: NDArray[np.float64]
    perturbation: NDArray[np.float64]
    multipliers: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("base", "perturbation", "multipliers"):
            array = frozen(getattr(self, name), float)
            if array.ndim != 1 or (name == "perturbation" and array.shape != self.base.shape):
                raise ValueError(
                    f"{name} must have one axis, and perturbation the length of base; got {array.shape}"
                )
            object.__setattr__(self, name, array)

    @property
    def direction(self) -> NDArray[np.float64]:
        """Normal of the learned boundary: the sum of both terms."""
        return self.base + self.perturbation

    def to_frame(self) -> pd.DataFrame:
        """Both terms and their sum, with a row for each feature.

        Returns
        -------
        frame : DataFrame
            Columns base, perturbation and direction.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation.theory import LearnedBoundary
        >>> learned = LearnedBoundary(np.array([3.0, 0.0]), np.array([0.0, 4.0]), np.ones(5))
        >>> learned.to_frame()["direction"].tolist()
        [3.0, 4.0]
        """
        import pandas as pd

        return pd.DataFrame(
            {"base": self.base, "perturbation": self.perturbation, "direction": self.direction}
        ).rename_axis("feature")

    def _table(self) -> Table:
        rows = []
        for name in ("base", "perturbation"):
            term = getattr(self, name)
            length, of_sum = np.linalg.norm(term), np.linalg.norm(self.direction)
            cosine = ratio(term @ self.direction, np.asarray(length * of_sum))
            rows.append([name, f"{length:.4g}", short(float(cosine))])
        n_features, n = counted(len(self.base), "feature"), counted(len(self.multipliers), "sample")
        return Table(
            f"LearnedBoundary: {n_features}, from {n}", ["term", "length", "cosine with the sum"], rows
        )


@takes_datasets
@recorded
def learned_boundary(
    X: Any,
    y: Any,
    q: Any,
    *,
    eps: float,
    norm: float = 2,
    n_changed: int | None = None,
    step: str = "sign",
    gamma: float = 0.2,
) -> LearnedBoundary:
    """Decision boundary that a network learns from perturbed samples, labelled with their target classes.

    Samples x_n are perturbed along the normal q towards target labels y_n, whatever
    their own classes, and a new network learns these. With lambda the
    :func:`multipliers` of the perturbed samples, the normal of its boundary is the
    sum of two terms:

    - ``sum_n lambda_n y_n x_n``, from the mislabelled samples;
    - ``(sum_n lambda_n) delta``, from the perturbations, with delta the perturbation
      towards class +1. For L2 it is ``(eps sum_n lambda_n / ||q||) q``.

    Where the second term dominates, a network that learned from wrong labels agrees
    with one that learned from true labels. All of this is our derivation in the
    setting of [1]_.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples that are perturbed: data or noise.
    y : array-like of shape (n_samples,)
        Target class of each perturbation, which is the sample's training label.
    q : array-like of shape (n_features,)
        Normal of the boundary with which perturbations are made.
    eps, norm, n_changed, step
        Parameters of :func:`geometry_perturbation`.
    gamma : float, default=0.2
        Slope of the leaky ReLU of the network that learns, in (0, 1].

    Returns
    -------
    learned : LearnedBoundary
        Both terms, and their sum as ``direction``.

    Raises
    ------
    ValueError
        As in :func:`multipliers` and :func:`geometry_perturbation`.

    Warns
    -----
    OrthogonalityWarning
        As in :func:`multipliers`, for the perturbed samples.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.

    Examples
    --------
    A boundary is learned from four samples, and then from three others that
    are perturbed towards random classes:

    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import agreement, boundary, learned_boundary
    >>> samples = np.eye(8)
    >>> q = boundary(samples[:4], [1, 1, -1, -1], gamma=1.0)
    >>> learned = learned_boundary(samples[5:], [1, -1, -1], q, eps=0.1, gamma=1.0)
    >>> agreement(q, learned.direction, samples[:4])
    1.0
    """
    check_gamma(gamma)
    X = read_samples(X)
    labels = signs(y, len(X))
    delta = _towards_positive(q, eps, norm, n_changed, step)
    if len(delta) != X.shape[1]:
        raise ValueError(f"X has {X.shape[1]} features, q has {len(delta)}")
    weights = solve(X + labels[:, None] * delta, labels, gamma)
    return LearnedBoundary((weights * labels) @ X, weights.sum() * delta, weights)
