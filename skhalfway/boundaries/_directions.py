"""Unit vectors from samples: towards other samples, along the gradient of the loss, or random."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_numbers
from skhalfway._randomness import leaving_no_trace
from skhalfway._readable import read_labels
from skhalfway._text import shown
from skhalfway._vectors import unit_vectors
from skhalfway.boundaries._gradients import unit_gradient
from skhalfway.boundaries._nearest import nearest_other
from skhalfway.boundaries._path_points import read_labelled


@takes_datasets
def legitimate_directions(X: Any, y: Any) -> NDArray[Any]:
    """Unit vectors from samples to the nearest sample of another label.

    These are the *legitimate* directions of Tramèr et al., arXiv 1704.03453,
    along which the data itself changes to another class.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        Labels, of any type.

    Returns
    -------
    directions : ndarray, shaped like X
        Vectors of length 1 in L2; zeros if the nearest sample is the same
        point.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or the data is invalid.

    Examples
    --------
    >>> from skhalfway.boundaries import legitimate_directions
    >>> legitimate_directions([[0, 0], [0, 1], [3, 4]], ["a", "a", "b"]).round(2)
    array([[ 0.6 ,  0.8 ],
           [ 0.71,  0.71],
           [-0.71, -0.71]])
    """
    points = read_numbers(X)
    classes, labels = np.unique(read_labels(y, len(points)), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"samples of at least 2 classes are needed, but y holds only {shown(classes)}")
    nearest = nearest_other(points.reshape(len(points), -1), labels)
    return _unit(points[nearest].astype(float) - points, points.dtype)


@takes_datasets
@leaving_no_trace
def adversarial_directions(estimator: Any, X: Any, y: Any) -> NDArray[Any]:
    """Unit vectors along which a classifier's cross-entropy rises most.

    These are the *adversarial* directions of Tramèr et al., arXiv 1704.03453:
    one step of the fast gradient method, in L2.

    Parameters
    ----------
    estimator : object
        Fitted classifier with a gradient.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    directions : ndarray, shaped like X
        Vectors of length 1 in L2; zeros where the gradient is zero.

    Raises
    ------
    NotDifferentiableError
        If the classifier is a black box; the message says why.
    ValueError
        If the data or a label is invalid.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.boundaries import adversarial_directions
    >>> X, y = [[-4, -3], [4, 3]], [0, 1]
    >>> adversarial_directions(LogisticRegression().fit(X, y), X, y).round(2)
    array([[ 0.8,  0.6],
           [-0.8, -0.6]])
    """
    model, points, labels = read_labelled(estimator, X, y)
    return unit_gradient(model, points, labels).astype(points.dtype)


@takes_datasets
def random_directions(X: Any, *, random_state: Any = None) -> NDArray[Any]:
    """Random unit vectors of the shape of samples, drawn evenly from all directions.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    random_state : int, RandomState instance or None, default=None
        Seed of the directions. Pass an int for the same ones across calls.

    Returns
    -------
    directions : ndarray, shaped like X
        Vectors of length 1 in L2.

    Raises
    ------
    ValueError
        If X is invalid.

    Examples
    --------
    >>> from skhalfway.boundaries import random_directions
    >>> random_directions([[5.0, 0.0], [0.0, 0.0]], random_state=0).round(2)
    array([[0.98, 0.22],
           [0.4 , 0.92]])
    """
    points = read_numbers(X)
    return _unit(check_random_state(random_state).standard_normal(points.shape), points.dtype)


def _unit(vectors: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Vectors of any shape, scaled to length 1; zeros stay zeros."""
    return unit_vectors(vectors.reshape(len(vectors), -1)).reshape(vectors.shape).astype(dtype)
