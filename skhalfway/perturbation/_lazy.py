"""Wide two-layer networks in the lazy regime: what they learn, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import check_bool
from skhalfway._entries import takes_datasets
from skhalfway.perturbation._binary import check_gamma, read_samples, signs


@takes_datasets
def lazy_kernel(X: Any, Z: Any, *, gamma: float = 0.2, bias: bool = True) -> NDArray[np.float64]:
    """Expected product of the slopes of a random hidden unit at two points.

    It is ``Phi(x, z) = E[s(<v, x> + b) s(<v, z> + b)]`` with s the slope of the leaky
    ReLU, 1 or gamma, each v_i ~ N(0, 1 / n_features) and b ~ N(0, 1). The authors of
    [1]_ estimate it from random draws (their public code).

    In closed form it is ``(1 + gamma**2) / 2 - (1 - gamma)**2 / 2 * theta / pi``. Here
    theta is the angle between ``(x, sqrt(n_features))`` and ``(z, sqrt(n_features))``
    [our derivation: two signs differ with probability theta / pi].

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Points.
    Z : array-like of shape (n_points, n_features)
        Other points.
    gamma : float, default=0.2
        Slope of the leaky ReLU, in [0, 1]; 0 is a ReLU, as in the experiments of [1]_.
    bias : bool, default=True
        Whether hidden units have a bias. Without one, theta is the angle between x
        and z.

    Returns
    -------
    Phi : ndarray of shape (n_samples, n_points)
        Values between gamma and (1 + gamma**2) / 2.

    Raises
    ------
    ValueError
        If the data or gamma is invalid, or a point is 0 and there is no bias.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Wide two-layer networks can learn from
       adversarial perturbations", NeurIPS 2024, arXiv 2410.23677.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import lazy_kernel
    >>> lazy_kernel([[1, 0]], [[2, 0], [0, 1], [-1, 0]], gamma=0.5, bias=False)
    array([[0.625 , 0.5625, 0.5   ]])
    """
    check_gamma(gamma, relu=True)
    check_bool("bias", bias)
    X = read_samples(X)
    Z = read_samples(Z, name="Z", n_features=X.shape[1])
    return _kernel(X @ Z.T, _squares(X), _squares(Z), X.shape[1], gamma, bias)


@takes_datasets
def lazy_boundary(X: Any, y: Any, Z: Any, *, gamma: float = 0.2, bias: bool = True) -> NDArray[np.float64]:
    """Decision values of a wide two-layer network trained on samples, up to a positive factor.

    They are ``f(z) = mean_n y_n Phi(x_n, z) <x_n, z>``, with Phi the
    :func:`lazy_kernel`. This is the change of the output of a wide network with two
    layers and a frozen output layer, in the lazy regime and early in training, as in
    the public code of [1]_. The contribution ``mean_n y_n Phi(x_n, z)`` of trained
    biases is left out, as it is there: it is small compared with ``<x_n, z>``, which is
    of the order of n_features.

    For a network trained on perturbed samples ``X + r``, or on perturbations ``r``
    alone, pass these as X, and the target classes as y.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Training samples.
    y : array-like of shape (n_samples,)
        Labels: -1 and +1, or any two classes; the second in sorted order is +1.
    Z : array-like of shape (n_points, n_features)
        Points at which the network is evaluated.
    gamma : float, default=0.2
        Slope of the leaky ReLU, in [0, 1]; 0 is a ReLU, as in the experiments of [1]_.
    bias : bool, default=True
        Whether hidden units have a bias.

    Returns
    -------
    f : ndarray of shape (n_points,)
        Decision values, positive where the network predicts +1.

    Raises
    ------
    ValueError
        As in :func:`lazy_kernel`, or if there are not two classes.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Wide two-layer networks can learn from
       adversarial perturbations", NeurIPS 2024, arXiv 2410.23677.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import lazy_boundary
    >>> lazy_boundary([[1, 0], [0, 1]], [1, -1], [[2, 0], [0, 2]], gamma=0.5, bias=False)
    array([ 0.625, -0.625])
    """
    check_gamma(gamma, relu=True)
    check_bool("bias", bias)
    X = read_samples(X)
    labels = signs(y, len(X))
    Z = read_samples(Z, name="Z", n_features=X.shape[1])
    f = np.empty(len(Z))
    for rows in blocks(len(Z), len(X)):
        products = X @ Z[rows].T
        phi = _kernel(products, _squares(X), _squares(Z[rows]), X.shape[1], gamma, bias)
        f[rows] = labels @ (phi * products) / len(X)
    return f


@takes_datasets
def lazy_perturbation(
    X: Any, y: Any, Z: Any, *, gamma: float = 0.2, bias: bool = True
) -> NDArray[np.float64]:
    """Direction of the adversarial perturbation of a wide two-layer network, at any point.

    Up to a small residual, the perturbation of z is parallel to
    ``sum_n y_n Phi(x_n, z) x_n`` [1]_: a sum of training samples, weighted by the
    :func:`lazy_kernel`. This is also the gradient of :func:`lazy_boundary` where
    Phi is held fixed.

    Parameters
    ----------
    X, y, gamma, bias
        Parameters of :func:`lazy_boundary`.
    Z : array-like of shape (n_points, n_features)
        Points that are perturbed.

    Returns
    -------
    directions : ndarray of shape (n_points, n_features)
        Vectors of length 1 towards class +1. Their negatives point to the other
        class.

    Raises
    ------
    ValueError
        As in :func:`lazy_boundary`, or if the weighted sum is 0 at a point.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Wide two-layer networks can learn from
       adversarial perturbations", NeurIPS 2024, arXiv 2410.23677.

    Examples
    --------
    >>> from skhalfway.perturbation.theory import lazy_perturbation
    >>> lazy_perturbation([[1, 0], [0, 1]], [1, -1], [[3, 3]]).round(3)
    array([[ 0.707, -0.707]])
    """
    check_gamma(gamma, relu=True)
    check_bool("bias", bias)
    X = read_samples(X)
    labels = signs(y, len(X))
    Z = read_samples(Z, name="Z", n_features=X.shape[1])
    directions = np.empty_like(Z)
    for rows in blocks(len(Z), len(X)):
        phi = _kernel(X @ Z[rows].T, _squares(X), _squares(Z[rows]), X.shape[1], gamma, bias)
        directions[rows] = (labels[:, None] * phi).T @ X
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError(
            "the weighted sum of samples is 0 at some point, so there is no direction; check X and y"
        )
    directions /= lengths
    return directions


def _squares(X: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("ij,ij->i", X, X)


def _kernel(
    products: NDArray[np.float64],
    x2: NDArray[np.float64],
    z2: NDArray[np.float64],
    n_features: int,
    gamma: float,
    bias: bool,
) -> NDArray[np.float64]:
    """Phi from inner products and squared lengths; a bias is an additional, constant feature."""
    one = n_features if bias else 0
    if not bias and (not x2.all() or not z2.all()):
        raise ValueError(
            "a point is 0, where the slope of a unit without bias is undefined; remove it or pass bias=True"
        )
    cosine = (products + one) / np.sqrt(np.outer(x2 + one, z2 + one))
    # rounding may put a cosine outside of [-1, 1]
    angle = np.arccos(np.clip(cosine, -1, 1))
    return (1 + gamma**2) / 2 - (1 - gamma) ** 2 / 2 * angle / np.pi
