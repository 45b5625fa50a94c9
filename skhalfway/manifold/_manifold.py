"""Manifolds: the part of a perturbation along the data manifold, and the part that leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_norm
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_numbers
from skhalfway._rounding import round_towards
from skhalfway.manifold._tangents import Projection, check_manifold, projections

_NOTHING = 1e-9  # share of the whole below which a part counts as rounding
_N_ROUNDS = 10  # rounds of projections; with more, attacks in L-inf hardly succeed more often


@takes_datasets
def manifold_parts(manifold: Any, X: Any, perturbation: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split perturbations into their parts along a manifold and orthogonal to it.

    The manifold is linearised at each sample x: its tangents are the columns
    of the decoder's Jacobian at the latent of x, orthonormalised by a QR
    decomposition. The part on the manifold is the orthogonal projection onto
    the tangents, as in the comparison of x + d, x + Proj(d) and
    x + (d - Proj(d)) in the Dimpled Manifold Model [1]_.

    Parameters
    ----------
    manifold : transformer
        A transformer fitted on rows, with ``transform`` and
        ``inverse_transform``, such as ``PCA``, :class:`Autoencoder` or a
        pipeline. If it has a method ``jacobian(Z)``, which returns shape
        (n_samples, n_features, n_components), that is used. Otherwise the
        Jacobian of ``inverse_transform`` is computed by central differences,
        or exactly for ``PCA``.
    X : array-like of shape (n_samples, n_features)
        Samples to which perturbations are added. Images, which may have more
        axes, are flattened.
    perturbation : array-like of X's shape
        Perturbations, in the units of X.

    Returns
    -------
    on, off : ndarray of X's shape
        Parts along the manifold and orthogonal to it. Their sum is the
        perturbation.

    Raises
    ------
    ValueError
        If shapes differ or do not fit the manifold, if values are missing or
        infinite, or if a decoder computes in less than float64 and has no
        ``jacobian``.
    TypeError
        If the manifold has no ``transform`` or no ``inverse_transform``.
    NotFittedError
        If the manifold is not fitted.

    See Also
    --------
    OnManifold, OffManifold : Constrain an attack to one of the parts.

    References
    ----------
    .. [1] Shamir, Melamed & BenShmuel, "The dimpled manifold model of
       adversarial examples in machine learning", arXiv 2106.10151, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skhalfway.manifold import manifold_parts
    >>> X, y = load_iris(return_X_y=True)
    >>> on, off = manifold_parts(PCA(2).fit(X), X[:1], np.array([[1.0, 0.0, 0.0, 0.0]]))
    >>> on.round(2), off.round(2)
    (array([[0.56, 0.45, 0.2 , 0.08]]), array([[ 0.44, -0.45, -0.2 , -0.08]]))
    """
    check_manifold(manifold)
    X, change = (read_numbers(array, name=name) for array, name in ((X, "X"), (perturbation, "perturbation")))
    if X.shape != change.shape:
        raise ValueError(f"X and perturbation must have the same shape, got {X.shape} and {change.shape}")
    flat = change.reshape(len(X), -1)
    on = np.empty_like(flat)
    for rows, along in projections(manifold, X.reshape(len(X), -1)):
        on[rows] = along(flat[rows].astype(float))
    return on.reshape(change.shape), (flat - on).reshape(change.shape)


@dataclass(frozen=True)
class _Part:
    """A projection for ``Constraints`` that reduces perturbations to one of their parts."""

    manifold: Any
    norm: float | None = None

    def __post_init__(self) -> None:
        check_manifold(self.manifold)
        if self.norm is not None:
            check_norm(self.norm, (np.inf, 2, 1))

    def __call__(self, X_adv: NDArray[Any], X: NDArray[Any]) -> NDArray[Any]:
        """Return valid samples near ``X_adv``, row by row, in X's float type.

        Parameters
        ----------
        X_adv : ndarray of shape (n_samples, n_features)
            Samples that an attack asks for.
        X : ndarray of shape (n_samples, n_features)
            Clean samples.

        Returns
        -------
        X_valid : ndarray of shape (n_samples, n_features)
            Clean samples plus the part of each perturbation.
        """
        x = X.astype(float)
        change = X_adv - x
        part = np.empty_like(change)
        for rows, along in projections(self.manifold, x):
            part[rows] = self._kept(change[rows], along)
        # rounding must not lengthen the change, so it is shortened by the most that rounding could add
        size = np.abs(part).max(axis=1, keepdims=True)
        spare = np.divide(np.abs(x).max(axis=1, keepdims=True), size, out=np.zeros_like(size), where=size > 0)
        slack = 4 * np.finfo(X.dtype).eps + 8 * np.finfo(float).eps * spare
        part *= 1 - np.minimum(1.0, slack)
        return round_towards(x + part, x, X.dtype)

    def _kept(self, change: NDArray[np.float64], along: Projection) -> NDArray[np.float64]:
        """The part; with a norm, stretched to the length of the whole."""
        part = self._part(change, along(change))
        if self.norm is None:
            return part
        if self.norm == np.inf:
            # after a projection, few features reach the sides of the box; alternating projections fill it
            widest = np.abs(change).max(axis=1, keepdims=True)
            for _ in range(_N_ROUNDS):
                clipped = np.clip(part * _stretch(change, part, 2), -widest, widest)
                part = self._part(clipped, along(clipped))
        return part * _stretch(change, part, self.norm)

    def _part(self, change: NDArray[np.float64], on: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError


class OnManifold(_Part):
    """Keep an attack on a manifold: ``Constraints(projection=OnManifold(pca))``.

    Each perturbation is replaced by its part along the manifold; see
    :func:`manifold_parts`. Gradients ignore this projection.

    Parameters
    ----------
    manifold : transformer
        A fitted transformer, as in :func:`manifold_parts`.
    norm : {np.inf, 2, 1} or None, default=None
        Norm of the attack. The part is stretched to the length of the whole
        perturbation in this norm, so that the budget is used and kept. In
        L-inf, it is first projected onto the box of the budget and onto the
        manifold alternately. None: the part is not stretched. It is then
        shorter than the whole in L2, but may be longer in other norms and
        violate the budget.

    See Also
    --------
    OffManifold : The other part.
    skhalfway.Constraints : Takes this as ``projection=``.

    Notes
    -----
    The projection ignores bounds. With ``clip_values``, samples may lie on a
    bound that every direction along the manifold crosses, such as the black of
    an image; an attack then finds nothing. Two objects are equal if they hold
    the same manifold object and the same norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skhalfway import AdversarialGenerator, Constraints
    >>> from skhalfway.manifold import OnManifold, manifold_parts
    >>> X, y = load_iris(return_X_y=True)
    >>> pca = PCA(2).fit(X)
    >>> constraints = Constraints(projection=OnManifold(pca, norm=2))
    >>> attack = AdversarialGenerator(eps=0.5, norm=2, constraints=constraints).fit(X, y)
    >>> on, off = manifold_parts(pca, X, attack.transform(X) - X)
    >>> bool(np.abs(off).max() < 1e-12), float(np.linalg.norm(on, axis=1).max().round(6))
    (True, 0.5)
    """

    def _part(self, change: NDArray[np.float64], on: NDArray[np.float64]) -> NDArray[np.float64]:
        return on


class OffManifold(_Part):
    """Keep an attack off a manifold: ``Constraints(projection=OffManifold(pca))``.

    Each perturbation is replaced by its part orthogonal to the manifold; see
    :func:`manifold_parts`. Gradients ignore this projection.

    Parameters
    ----------
    manifold : transformer
        A fitted transformer, as in :func:`manifold_parts`.
    norm : {np.inf, 2, 1} or None, default=None
        Norm of the attack, in which the part is stretched to the length of
        the whole perturbation; None: it is not. See :class:`OnManifold`.

    See Also
    --------
    OnManifold : The other part.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from skhalfway import AdversarialGenerator, Constraints
    >>> from skhalfway.manifold import OffManifold, manifold_parts
    >>> X, y = load_iris(return_X_y=True)
    >>> pca = PCA(2).fit(X)
    >>> constraints = Constraints(projection=OffManifold(pca, norm=2))
    >>> attack = AdversarialGenerator(eps=0.5, norm=2, constraints=constraints).fit(X, y)
    >>> on, off = manifold_parts(pca, X, attack.transform(X) - X)
    >>> bool(np.abs(on).max() < 1e-12)
    True
    """

    def _part(self, change: NDArray[np.float64], on: NDArray[np.float64]) -> NDArray[np.float64]:
        return change - on


def _stretch(change: NDArray[np.float64], part: NDArray[np.float64], norm: float) -> NDArray[np.float64]:
    """Ratio of the length of changes to that of their parts; 0 if a part is only rounding error."""
    wanted, found = (np.linalg.norm(c, norm, axis=1, keepdims=True) for c in (change, part))
    return np.divide(wanted, found, out=np.zeros_like(found), where=found > _NOTHING * wanted)
