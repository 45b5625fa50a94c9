"""GeometryGenerator: perturbations in closed form, along the boundary that a network learns."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skhalfway._blocks import blocks
from skhalfway._entries import takes_datasets
from skhalfway._inputs import (
    check_labels,
    check_no_categories,
    container_of,
    read_samples,
)
from skhalfway._readable import read_labels
from skhalfway._rounding import round_towards
from skhalfway.attacks._limits import read_bounds
from skhalfway.attacks._reference import is_range
from skhalfway.perturbation._boundary import check_step


class GeometryGenerator(BaseEstimator):
    """Perturb samples along the normal of the boundary that a network with one hidden layer learns.

    No source is attacked. The direction is computed from the training samples in
    closed form (see :func:`~skhalfway.perturbation.theory.boundary`), and is the same
    for all samples except for its sign. It takes two classes, and can be the
    ``generator`` of a :class:`PerturbationLearner`.

    Parameters
    ----------
    eps : float, default=0.1
        Length of the perturbation for ``norm=2``, otherwise the change of a feature;
        in input units.
    norm : {2, np.inf, 0}, default=2
        Norm of the perturbation:

        - 2: along the direction itself;
        - np.inf: along the signs of the direction;
        - 0: along its signs, in the ``n_changed`` largest features only.
    n_changed : int, default=None
        Number of features that change, with ``norm=0``.
    step : {"sign", "gradient"}, default="sign"
        Size of the change with ``norm=np.inf`` and ``norm=0``. Ignored for
        ``norm=2``.

        - "sign": each feature changes by eps.
        - "gradient": each feature changes in proportion to its entry of the
          direction, and the largest by eps.
    clip_values : "range", (min, max) or None, default=None
        Bounds of a sample: numbers, or arrays of shape (n_features,). "range" is the
        range of each feature in the training samples. A perturbation does not move
        features beyond the bounds. With ``norm=0`` and an eps as large as the range,
        changed features end at a bound.
    gamma : float, default=0.2
        Slope of the network's leaky ReLU, in (0, 1].

    Attributes
    ----------
    boundary_ : ndarray of shape (n_features,)
        Normal of the boundary, which points to the side of the second class.
    classes_ : ndarray of shape (2,)
        Class labels.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.

    See Also
    --------
    skhalfway.AdversarialGenerator : Attacks a source.

    Notes
    -----
    The formulas are those of
    :func:`~skhalfway.perturbation.theory.geometry_perturbation`, after the
    geometry-inspired perturbations of [1]_. The experiments of [1]_ attack a trained
    network, with steps along the gradient divided by its largest entry. That
    corresponds to ``step="gradient"`` for ``norm=np.inf``. Its L0 attack corresponds to
    ``norm=0, eps=2`` with ``clip_values=(-1, 1)``, since changed features drift to a
    bound there.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation import GeometryGenerator
    >>> generator = GeometryGenerator(eps=0.5, gamma=1.0).fit(np.diag([1.0, 2.0, 2.0]), ["a", "b", "b"])
    >>> generator.generate(np.zeros((2, 3)), target=["a", "b"]).round(2)
    array([[ 0.41, -0.2 , -0.2 ],
           [-0.41,  0.2 ,  0.2 ]])
    """

    def __init__(
        self,
        *,
        eps: float = 0.1,
        norm: float = 2,
        n_changed: int | None = None,
        step: str = "sign",
        clip_values: Any = None,
        gamma: float = 0.2,
    ) -> None:
        self.eps = eps
        self.norm = norm
        self.n_changed = n_changed
        self.step = step
        self.clip_values = clip_values
        self.gamma = gamma

    @takes_datasets
    def fit(self, X: Any, y: Any) -> GeometryGenerator:
        """Compute the boundary of the training samples.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        self : GeometryGenerator
            The fitted generator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, X is outside of ``clip_values``, or
            there are not two classes.

        Warns
        -----
        OrthogonalityWarning
            If X violates the orthogonality condition of the theory.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation import GeometryGenerator
        >>> GeometryGenerator(gamma=1.0).fit(np.diag([1.0, 2.0, 2.0]), ["a", "b", "b"]).boundary_
        array([-1. ,  0.5,  0.5])
        """
        from skhalfway.perturbation.theory import boundary, geometry_perturbation

        check_no_categories(X, what="a boundary needs numbers")
        array = read_samples(self, X, reset=True)
        check_step(self.eps, self.norm, self.n_changed, self.step, array.shape[1])
        self._bounds = array.min(axis=0), array.max(axis=0)
        self._clipping(array)
        y = read_labels(y, len(array))
        self.boundary_ = boundary(array, y, gamma=self.gamma)
        self.classes_ = np.unique(y)
        self._change = geometry_perturbation(
            self.boundary_, [1], eps=self.eps, norm=self.norm, n_changed=self.n_changed, step=self.step
        )
        return self

    def _clipping(self, X: Any) -> Any:
        """Bounds of samples, or None."""
        return self._bounds if is_range(self.clip_values) else read_bounds(self.clip_values, X)

    @takes_datasets
    def generate(self, X: Any, target: Any) -> Any:
        """Move samples towards target labels.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Samples to perturb.
        target : array-like of shape (n_samples,)
            Target label of each sample.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Perturbed samples; integers become float64.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid or outside of ``clip_values``, or a label is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation import GeometryGenerator
        >>> generator = GeometryGenerator(eps=0.5, gamma=1.0).fit(np.diag([1.0, 2.0, 2.0]), ["a", "b", "b"])
        >>> generator.generate(np.zeros((1, 3)), target=["a"]).round(2)
        array([[ 0.41, -0.2 , -0.2 ]])
        """
        check_is_fitted(self)
        array = read_samples(self, X, reset=False)
        labels = check_labels(target, self.classes_, len(array), name="target")
        signs = np.where(labels == 1, 1.0, -1.0)
        moved, bounds = np.empty_like(array), self._clipping(array)
        for block in blocks(len(array), array.shape[1]):
            begin = array[block].astype(float)
            end = begin + signs[block, None] * self._change
            if bounds is not None:
                end = np.clip(end, np.minimum(bounds[0], begin), np.maximum(bounds[1], begin))
            moved[block] = round_towards(end, begin, array.dtype)
        return container_of(X)(moved)
