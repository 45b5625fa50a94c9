"""Variability of the loss: how much a model's loss depends on the data that it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import _safe_indexing

from skhalfway._checks import check_integer, check_jobs, check_random_state, check_size
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels
from skhalfway._parallel import side_by_side
from skhalfway._readable import read_labels
from skhalfway._shared import Shared
from skhalfway.boundaries._gradients import cross_entropy
from skhalfway.boundaries._path_points import read_points
from skhalfway.models import as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted, fit_clone
from skhalfway.models._input_spec import reader_named


@takes_datasets
def loss_variability(
    estimator: Any,
    X: Any,
    y: Any,
    X_train: Any,
    y_train: Any,
    *,
    n_fits: int = 10,
    train_size: float = 0.5,
    n_jobs: int | None = None,
    verbose: int = 0,
    random_state: Any = None,
) -> NDArray[np.float64]:
    """Variability of a source's loss landscape: how much the loss depends on the training data.

    The variability V is the variance of the cross-entropy at a sample over
    models that are trained on different data [1]_. If it is large, an attack
    on one such model exploits properties of this model rather than properties
    that all have in common.

    Parameters
    ----------
    estimator : object
        Classifier of scikit-learn or skorch, fitted or not; clones of it are
        fitted. It needs a gradient, or ``predict_proba``.
    X : array-like of shape (n_samples, n_features)
        Samples at which the loss is compared; images may have more axes.
    y : array-like of shape (n_samples,)
        True labels.
    X_train : array-like of shape (n_train, n_features)
        Training data.
    y_train : array-like of shape (n_train,)
        Labels of the training data.
    n_fits : int, default=10
        Number of clones, at least 2. Each is fitted on its own random part of
        the training data, stratified by class.
    train_size : float or int, default=0.5
        Size of a part, as a share or a number of samples.
    n_jobs : int, default=None
        Number of threads, over clones. None is 1 unless in a
        ``joblib.parallel_config`` context.
    verbose : int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seed of the parts. Other randomness of clones depends on the
        estimator's own ``random_state``.

    Returns
    -------
    variability : ndarray of shape (n_samples,)
        Variances, in nats squared.

    Raises
    ------
    TypeError
        If the object cannot be fitted, or has neither gradient nor
        ``predict_proba``.
    ValueError
        If the data or a parameter is invalid, or y has labels that y_train has
        not.

    Notes
    -----
    We checked against a public summary of the paper that it defines the
    variability of the loss over training sets. The formula, V = E[loss^2] -
    E[loss]^2 over training sets, is from memory and was not checked against
    the paper's text; parts of one half are our choice. The loss is the
    cross-entropy of the logits that attacks follow, which for trees are those
    of soft splits. For a model without a gradient, it is the cross-entropy of
    ``predict_proba``, with 0 replaced by 2.2e-16, as in
    :func:`sklearn.metrics.log_loss`.

    References
    ----------
    .. [1] Demontis et al., "Why do adversarial attacks transfer? Explaining
       transferability of evasion and poisoning attacks", USENIX Security 2019,
       arXiv 1809.02861.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.boundaries import loss_variability
    >>> X, y = load_iris(return_X_y=True)
    >>> for source in (GaussianNB(), DecisionTreeClassifier(random_state=0)):
    ...     print(loss_variability(source, X[::2], y[::2], X[1::2], y[1::2], random_state=0).mean().round(1))
    0.1
    1.6
    """
    check_integer("n_fits", n_fits, 2)
    check_jobs(n_jobs, verbose)
    check_size("train_size", train_size)
    check_kind(estimator)
    if counts_as_fitted(estimator):
        raise TypeError(
            f"clones are fitted on parts of the training data, which a {type(estimator).__name__} cannot be; "
            "give a scikit-learn classifier, or a torch module in skorch.NeuralNetClassifier"
        )
    reader = reader_named(type(estimator).__name__)
    training = read_points(reader, X_train, reset=True, name="X_train")
    points = read_points(reader, X, reset=False)
    y_train = read_labels(y_train, len(training), name="y_train")
    classes = np.unique(y_train)
    labels = check_labels(y, classes, len(points))
    data = X_train if hasattr(X_train, "columns") else training
    split = StratifiedShuffleSplit(
        n_fits, train_size=train_size, random_state=check_random_state(random_state)
    )
    given = Shared((estimator, classes, points, labels))
    jobs = (
        delayed(_losses)(given, _safe_indexing(data, rows), y_train[rows])
        for rows, _ in split.split(np.empty(len(y_train)), y_train)
    )
    losses = side_by_side(jobs, n_fits, n_jobs=n_jobs, verbose=verbose, what="loss variability", unit="fit")
    return np.var(list(losses), axis=0)


def _losses(
    given: Shared[tuple[Any, NDArray[Any], NDArray[Any], NDArray[np.intp]]],
    X_train: Any,
    y_train: NDArray[Any],
) -> NDArray[np.float64]:
    estimator, classes, points, labels = given.value
    fitted = fit_clone(estimator, X_train, y_train)
    return cross_entropy(as_model(fitted, classes=classes), points, labels)
