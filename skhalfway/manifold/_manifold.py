"""Manifolds: the part of a perturbation that runs along the data, and the part that leaves it."""

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

_NOTHING = 1e-9  # of the whole
_N_ROUNDS = 10  # with more, attacks in L-inf succeed hardly more often


@takes_datasets
def manifold_parts(manifold: Any, X: Any, perturbation: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Split perturbations into their parts along a manifold and across it.

    The manifold is linearised at each sample x: its tangents are the columns
    of the decoder's Jacobian at the latent of x, orthonormalised by a QR
    decomposition. The part on the manifold is the orthogonal projection onto
    them, as in the comparison of x + d, x + Proj(d) and x + (d - Proj(d)) in
    the Dimpled Manifold Model [1]_.

    Parameters
    ----------
    manifold : transformer
        Fitted on rows, with ``transform`` and ``inverse_transform``:
        ``PCA``, :class:`Autoencoder`, a pipeline... If it has a
        ``jacobian(Z)`` of shape (n_samples, n_features, n_components), that
        is used; else that of ``inverse_transform`` is found by central
        differences, and for ``PCA`` is known.
    X : array-like of shape (n_samples, n_features)
        Samples where perturbations begin; images, which may have more axes,
        are laid out as rows.
    perturbation : array-like of X's shape
        What is added to X, in its units.

    Returns
    -------
    on, off : ndarray of X's shape
        Parts along the manifold and orthogonal to it, whose sum is the
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
    OnManifold, OffManifold : Constrain an attack to either.

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
    """A projection for ``Constraints``: changes reduced to one of their parts."""

    manifold: Any
    norm: float | None = None

    def __post_init__(self) -> None:
        check_manifold(self.manifold)
        if self.norm is not None:
            check_norm(self.norm, (np.inf, 2, 1))

    def __call__(self, X_adv: NDArray[Any], X: NDArray[Any]) -> NDArray[Any]:
        """Valid samples for ``X_adv``, row by row, in X's float type."""
        x = X.astype(float)
        change = X_adv - x
        part = np.empty_like(change)
        for rows, along in projections(self.manifold, x):
            part[rows] = self._kept(change[rows], along)
        # rounding may not lengthen the change: as little is taken off as that could add
        size = np.abs(part).max(axis=1, keepdims=True)
        spare = np.divide(np.abs(x).max(axis=1, keepdims=True), size, out=np.zeros_like(size), where=size > 0)
        slack = 4 * np.finfo(X.dtype).eps + 8 * np.finfo(float).eps * spare
        part *= 1 - np.minimum(1.0, slack)
        return round_towards(x + part, x, X.dtype)

    def _kept(self, change: NDArray[np.float64], along: Projection) -> NDArray[np.float64]:
        """The part, as long as the whole where a norm says so."""
        part = self._part(change, along(change))
        if self.norm is None:
            return part
        if self.norm == np.inf:
            # a projection is inside the box but in a few features; alternating ones fill it
            widest = np.abs(change).max(axis=1, keepdims=True)
            for _ in range(_N_ROUNDS):
                clipped = np.clip(part * _stretch(change, part, 2), -widest, widest)
                part = self._part(clipped, along(clipped))
        return part * _stretch(change, part, self.norm)

    def _part(self, change: NDArray[np.float64], on: NDArray[np.float64]) -> NDArray[np.float64]:
        raise NotImplementedError


class OnManifold(_Part):
    """Keep an attack on a manifold: ``Constraints(projection=OnManifold(pca))``.

    What an attack asks for is replaced by its part along the manifold, as
    :func:`manifold_parts` finds it; gradients pass as if it was not.

    Parameters
    ----------
    manifold : transformer
        As in :func:`manifold_parts`.
    norm : {np.inf, 2, 1} or None, default=None
        None: the part as it is, which is shorter than the whole in L2 and may
        be longer in other norms, where it breaks the budget. A norm, that of
        the attack: the part gets the length that the whole has in it, so that
        the budget is used and kept; in L-inf, after projecting on the box and
        on the manifold in turn.

    See Also
    --------
    OffManifold : The other part.
    skhalfway.Constraints : Takes this as ``projection=``.

    Notes
    -----
    Bounds are not known to it: with ``clip_values``, where samples lie on a
    bound that every direction along the manifold oversteps, as the black of an
    image, an attack can find nothing. Equal to another of the same manifold,
    the very object, and norm.

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

    What an attack asks for is replaced by its part orthogonal to the manifold,
    as :func:`manifold_parts` finds it; gradients pass as if it was not.

    Parameters
    ----------
    manifold : transformer
        As in :func:`manifold_parts`.
    norm : {np.inf, 2, 1} or None, default=None
        As in :class:`OnManifold`.

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
    """How much longer changes are than their parts; 0 where a part is nothing but rounding."""
    wanted, found = (np.linalg.norm(c, norm, axis=1, keepdims=True) for c in (change, part))
    return np.divide(wanted, found, out=np.zeros_like(found), where=found > _NOTHING * wanted)
