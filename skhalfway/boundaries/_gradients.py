"""Gradients of the loss with respect to the input: their size, and their alignment between two models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._checks import check_norm
from skhalfway._entries import takes_datasets
from skhalfway._randomness import leaving_no_trace
from skhalfway.boundaries._path_points import read_labelled, read_several_labelled
from skhalfway.models import Model, NotDifferentiableError
from skhalfway.models._faults import named
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    import torch

_BATCH = 256
# norms of perturbations, and the dual norms in which gradients are measured
_DUAL = {np.inf: 1, 2: 2, 1: np.inf}


@takes_datasets
@leaving_no_trace
def loss_gradient(estimator: Any, X: Any, y: Any) -> NDArray[Any]:
    """Gradient of a classifier's cross-entropy with respect to its input.

    The gradient's direction is exact even if a confident classifier's loss
    saturates, since it is computed as that of the margin. The margin is the
    logsumexp of all other logits minus the label's logit, and cross-entropy is
    its softplus.

    Parameters
    ----------
    estimator : object
        Fitted classifier with a gradient: of scikit-learn, skorch or ART, or a
        torch module (see :func:`skhalfway.models.register_module`).
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        Labels of the loss.

    Returns
    -------
    gradient : ndarray, shaped like X
        Gradients, in 1 / input units, computed in the float type of the model.

    Raises
    ------
    NotDifferentiableError
        If the classifier is a black box; the message says why.
    ValueError
        If the data is invalid, holds categories or missing values, or does
        not fit the classifier; if y holds unknown labels.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    gradient_size, gradient_alignment : Measures of a target, and of a pair of
        source and target.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.boundaries import loss_gradient
    >>> X, y = load_iris(return_X_y=True)
    >>> lr = LogisticRegression(max_iter=1000).fit(X, y)
    >>> loss_gradient(lr, X[:2], y[:2]).round(2)
    array([[ 0.02, -0.02,  0.04,  0.  ],
           [ 0.03, -0.04,  0.07,  0.  ]])
    """
    model, points, labels = read_labelled(estimator, X, y)
    gradient, margin = margin_gradient(model, points, labels)
    return gradient * _column(expit(margin).astype(gradient.dtype), gradient)


@takes_datasets
@leaving_no_trace
def gradient_size(estimator: Any, X: Any, y: Any, *, norm: float = 2) -> NDArray[np.float64]:
    """Size of a target's input gradients, which measures its vulnerability to small perturbations.

    The size is S = ``||grad loss(x, y)||`` in the dual norm of the
    perturbation's. To first order, a perturbation of norm eps raises the
    cross-entropy at a sample by at most eps * S [1]_.

    Parameters
    ----------
    estimator : object
        Fitted classifier with a gradient.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        True labels.
    norm : {np.inf, 2, 1}, default=2
        Norm of the perturbations. Gradients are then measured in L1, L2 or
        Linf, respectively.

    Returns
    -------
    size : ndarray of shape (n_samples,)
        Sizes, in 1 / input units.

    Raises
    ------
    NotDifferentiableError
        If the classifier is a black box; the message says why.
    ValueError
        If ``norm``, the data or a label is invalid.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If it is not fitted.

    Notes
    -----
    We checked against a public summary of the paper, not against its text,
    that it measures this quantity in the dual norm.

    References
    ----------
    .. [1] Demontis et al., "Why do adversarial attacks transfer? Explaining
       transferability of evasion and poisoning attacks", USENIX Security 2019,
       arXiv 1809.02861.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.boundaries import gradient_size
    >>> X, y = load_iris(return_X_y=True)
    >>> for C in (0.01, 1, 100):
    ...     lr = LogisticRegression(C=C, max_iter=5000).fit(X, y)
    ...     print(f"C={C}: {gradient_size(lr, X, y).max():.2f}")
    C=0.01: 0.33
    C=1: 2.75
    C=100: 12.41
    """
    check_norm(norm, _DUAL)
    gradient = loss_gradient(estimator, X, y)
    return np.linalg.norm(_rows(gradient), _DUAL[float(norm)], axis=1)


@takes_datasets
@leaving_no_trace
def gradient_alignment(source: Any, target: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """Cosine of the angle between the input gradients of two models.

    The cosine is R = <g_s, g_t> / (``||g_s|| ||g_t||``), where g_s and g_t are
    the gradients of the loss. With a larger R, a step along the source's
    gradient raises the target's loss more [1]_.

    Parameters
    ----------
    source, target : object
        Fitted classifiers with a gradient and the same classes.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    cosine : ndarray of shape (n_samples,)
        Cosines between -1 and 1; nan if a gradient is zero.

    Raises
    ------
    TypeError
        If an object is not a classifier, or is a black box; the message says
        which, and why.
    ValueError
        If the models differ in classes or number of features, the data is
        invalid, or y has unknown labels.
    NotFittedError
        If a model is not fitted.

    Warns
    -----
    UndefinedMetricWarning
        If a gradient is zero; the cosine is then nan.

    Notes
    -----
    We checked against a public summary of the paper, not against its text,
    that it measures this quantity.

    References
    ----------
    .. [1] Demontis et al., "Why do adversarial attacks transfer? Explaining
       transferability of evasion and poisoning attacks", USENIX Security 2019,
       arXiv 1809.02861.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway.boundaries import gradient_alignment
    >>> X, y = load_iris(return_X_y=True)
    >>> lr, svm = LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)
    >>> gradient_alignment(lr, svm, X, y).mean().round(2)
    np.float64(0.91)
    """
    models, points, labels = read_several_labelled({"source": source, "target": target}, X, y)
    one, other = (named(name, unit_gradient, model, points, labels) for name, model in models.items())
    cosine = (one * other).sum(axis=tuple(range(1, one.ndim)))
    for name, gradient in (("source", one), ("target", other)):
        flat: NDArray[np.bool_] = (_rows(gradient) == 0).all(axis=1)
        cosine[flat] = np.nan
        if flat.any():
            warn(
                f"{name} has no gradient at {flat.sum()} of {len(flat)} samples, so their cosines are nan",
                UndefinedMetricWarning,
            )
    return cosine.clip(-1, 1)


def unit_gradient(model: Model, points: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Direction in which the cross-entropy rises most, shaped like the points; 0 if the gradient is 0."""
    gradient = margin_gradient(model, points, labels)[0].astype(float)
    # far from the data, a kernel's gradient is so small that its squares underflow
    for size in (np.inf, 2):
        lengths = np.linalg.norm(_rows(gradient), size, axis=1)
        gradient = gradient / _column(np.where(lengths == 0, 1.0, lengths), gradient)
    return gradient


def margin_gradient(
    model: Model, points: NDArray[Any], labels: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Gradients of the margins, shaped like the points, and the margins (n_samples,)."""
    from skhalfway.models._derivative import derivative

    gradients, margins = [], []
    with model.evaluating():
        for x, label in _batches(model, points, labels):
            margin = _margin(model, x.requires_grad_(), label)
            gradients.append(derivative(model, margin.sum(), x, again=False).cpu().numpy())
            margins.append(margin.detach().cpu().numpy())
    gradient = np.concatenate(gradients)
    if not np.isfinite(gradient).all():
        raise ValueError(
            f"{type(model.estimator).__name__} has gradients that are not finite; "
            "look for overflow in its outputs"
        )
    return gradient, np.concatenate(margins)


def cross_entropy(model: Model, points: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Cross-entropy at each sample."""
    if model.has_gradient:
        import torch

        with model.evaluating(), torch.no_grad():
            margins = [_margin(model, x, label).cpu() for x, label in _batches(model, points, labels)]
        return np.logaddexp(0, torch.cat(margins).numpy())
    if not hasattr(model.estimator, "predict_proba"):
        raise TypeError(f"no loss without logits or predict_proba: {model.why_black_box}")
    probability = model.scores(points)[np.arange(len(points)), labels]
    return -np.log(probability.clip(np.finfo(float).eps))


def _batches(
    model: Model, points: NDArray[Any], labels: NDArray[np.intp]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Points and labels as the model's module takes them, some at a time."""
    if model.module is None:
        raise NotDifferentiableError(model.why_black_box)
    import torch

    from skhalfway.models._torch import place_of

    place = place_of(model.module)
    for begin in range(0, len(points), _BATCH):
        rows = slice(begin, begin + _BATCH)
        yield (
            torch.tensor(points[rows], **place),
            torch.tensor(labels[rows], device=place["device"]),
        )


def _margin(model: Model, x: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Logsumexp of the other logits minus the label's, in float64; cross-entropy is its softplus."""
    logits = model.logits(x).double()
    own = logits.gather(1, label[:, None])
    others = logits.scatter(1, label[:, None], -np.inf)
    return others.logsumexp(dim=1) - own[:, 0]


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)


def _column(values: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """One value for each sample, shaped to broadcast against ``like``."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
