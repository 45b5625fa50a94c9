"""as_model: which objects are classifiers, and the Model of each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_clusterer, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skhalfway._callbacks import FitTask
from skhalfway._polars import without_polars
from skhalfway._text import shown
from skhalfway.models._ensemble_model import ensemble_model
from skhalfway.models._model import Model
from skhalfway.models._net_input import converts
from skhalfway.models._skorch_model import SkorchModel
from skhalfway.models._torch_model import ArtModel, TorchModel
from skhalfway.models._type_checks import (
    inner_skorch_net,
    is_art_classifier,
    is_art_estimator,
    is_ensemble,
    is_skorch_net,
    is_torch_module,
    net_dtype,
    unfrozen,
)

OUTPUTS = ("logits", "probability", "log_probability")


def as_model(estimator: Any, *, classes: ArrayLike | None = None, output: str | None = None) -> Model:
    """Wrap a fitted classifier as a :class:`Model`, the common interface of all classifiers.

    Parameters
    ----------
    estimator : object
        A fitted scikit-learn classifier, or any object with ``predict`` and ``classes_``; a skorch
        classifier; a ``torch.nn.Module`` that returns logits; an ART classifier; an
        :class:`~skhalfway.Ensemble` of these; a ``FrozenEstimator`` of any. A Model is returned unchanged.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs of a torch module or ART classifier, in the order of the outputs. If the object
        has ``classes_`` of its own, they must be the same. By default a module's labels are its column
        numbers.
    output : {"logits", "probability", "log_probability"}, default=None
        What a torch module returns, or the module inside ART's PyTorchClassifier. None determines it at the
        first call:

        - If the module ends in a sigmoid or softmax, this is found, and the logits before it are used.
        - Values between 0 and 1 that sum to 1, or form one column, are taken as probabilities, with a
          :class:`ModelWarning`.
        - Everything else is taken as logits.

        If the first samples are too few to decide, the module is also called on mixtures of them.

    Returns
    -------
    model : Model
        It has a gradient (``has_gradient``) if there is a converter for the type (see
        :func:`register_module`); otherwise it is a black box.

    Raises
    ------
    TypeError
        If the object is not a classifier: a class instead of an instance, a regressor, or an object without
        ``predict`` or ``classes_``.
    NotFittedError
        If it is not fitted.
    ValueError
        If it predicts several outputs, has other classes than ``classes``, or is a skorch net with integer
        labels other than 0, 1, ..., n_classes - 1; if ``classes`` has a label twice; if ``output`` is
        unknown, or given for an object that is no torch module. At the first call, if the module's values
        cannot be what ``output`` says.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skhalfway.models import as_model
    >>> X, y = load_iris(return_X_y=True)
    >>> model = as_model(SVC().fit(X, y))
    >>> model
    <Model of SVC: differentiable>
    >>> model.predict(X[[0, 50, 100]])
    array([0, 1, 2])
    """
    inner = unfrozen(estimator)
    if is_torch_module(inner) or is_art_classifier(inner) or isinstance(inner, Model):
        estimator = inner  # these are never fitted, so a FrozenEstimator around them has no effect
    if output is not None:
        check_output(estimator, output)
    if isinstance(estimator, Model):
        return estimator
    given = None if classes is None else _labels(classes)
    if is_torch_module(estimator):
        return TorchModel(estimator, _own_classes(estimator, given), output)
    if is_art_classifier(estimator):
        own = _own_classes(estimator, given)
        if own is None and len(inner := getattr(estimator.model, "classes_", ())) == estimator.nb_classes:
            own = np.asarray(inner)
        if own is not None and len(own) != estimator.nb_classes:
            raise ValueError(
                f"{type(estimator).__name__} has {estimator.nb_classes} outputs for {len(own)} classes "
                f"{shown(own)}; pass one label for each output"
            )
        return ArtModel(estimator, np.arange(estimator.nb_classes) if own is None else own, output)

    name = type(estimator).__name__
    check_kind(estimator)
    if is_ensemble(inner):
        inner._check(fitted=True)
        return ensemble_model(inner, given, lambda member, labels: as_model(member, classes=labels))
    _check_fitted(estimator)
    if not hasattr(estimator, "predict"):
        raise TypeError(f"a classifier is needed, but {name} has no predict")
    own = getattr(estimator, "classes_", None)
    if own is None:
        raise TypeError(f"a classifier is needed, but {name} has no classes_")
    if isinstance(own, list) and own and np.ndim(own[0]) > 0:
        raise ValueError(f"{name} predicts {len(own)} outputs; only single-output classifiers are supported")
    own = _own_classes(estimator, given)
    assert own is not None
    net = inner_skorch_net(estimator)
    if net is None:
        return Model(estimator, own)
    if own.dtype.kind in "iu" and not np.array_equal(own, np.arange(len(own))):
        raise ValueError(
            f"{name} was trained on the labels {shown(own)}, but skorch predicts column numbers; "
            "encode labels as 0, 1, ... with sklearn.preprocessing.LabelEncoder and train again"
        )
    return SkorchModel(estimator, own, net)


def check_output(estimator: Any, output: Any) -> None:
    if not isinstance(output, str) or output not in OUTPUTS:
        raise ValueError(f"output must be one of {list(OUTPUTS)} or None, got {shown(output)}")
    in_art = is_art_classifier(estimator) and is_torch_module(getattr(estimator, "model", None))
    if not is_torch_module(estimator) and not in_art:
        raise ValueError(
            f"output says what a torch module returns; {type(estimator).__name__} is none, so it must be None"
        )


def seen_as(estimator: Any, classes: NDArray[Any] | None) -> Model:
    """The Model of a classifier with the labels ``classes``, brought into that order."""
    own = getattr(estimator, "classes_", None)
    same = own is not None and classes is not None and len(own) == len(classes) and set(own) == set(classes)
    return as_model(estimator, classes=None if same else classes).in_order(classes)


def check_kind(estimator: Any) -> None:
    """Raise TypeError for an object that is no classifier, fitted or not."""
    if is_torch_module(estimator) or is_art_classifier(estimator) or isinstance(estimator, Model):
        return
    name = type(estimator).__name__
    if isinstance(estimator, type):
        raise TypeError(
            f"a fitted classifier is needed, got the class {estimator.__name__}; make one and fit it"
        )
    if is_art_estimator(estimator):
        raise TypeError(f"a classifier is needed, got ART's {name}, which is none")
    if not hasattr(estimator, "predict") and not hasattr(estimator, "fit"):
        raise TypeError(
            "a fitted classifier with predict and classes_, a torch module or an ART classifier "
            f"is needed, got {shown(estimator)}"
        )
    if _has_tags(estimator) and (is_regressor(estimator) or is_clusterer(estimator)):
        raise TypeError(f"a classifier is needed, got the {_kind(estimator)} {name}")


def takes_missing(estimator: Any) -> bool:
    """Whether an estimator takes missing values, according to its tags."""
    if isinstance(estimator, Model):
        return takes_missing(estimator.estimator)
    return (
        not isinstance(estimator, type)
        and _has_tags(estimator)
        and bool(get_tags(estimator).input_tags.allow_nan)
    )


def counts_as_fitted(estimator: Any) -> bool:
    """Whether ``fit`` uses the object as it is, rather than fitting a clone."""
    return (
        isinstance(estimator, (Model, FrozenEstimator))
        or (is_ensemble(estimator) and estimator._holds_fitted())
        or is_torch_module(estimator)
        or is_art_classifier(estimator)
        or (hasattr(estimator, "predict") and not hasattr(estimator, "fit"))
    )


def is_fitted(estimator: Any) -> bool:
    """Whether a classifier is fitted, as far as can be determined; objects without ``fit`` are."""
    if isinstance(estimator, type):
        return False
    try:
        _check_fitted(estimator)
    except NotFittedError:
        return counts_as_fitted(estimator)
    return True


def fit_clone(estimator: Any, X: Any, y: Any, task: FitTask | None = None, /, **fit_params: Any) -> Any:
    """A fitted clone, or the object itself if it :func:`counts_as_fitted`; ``task`` is for callbacks."""
    check_kind(estimator)
    task = task or FitTask()
    if counts_as_fitted(estimator):
        with task.around(None, X, y):
            return estimator
    # not every library takes polars
    X, y = without_polars(X), without_polars(y)
    net = inner_skorch_net(estimator)
    if net is not None and not converts(estimator, net, X, y):
        X = X.astype(net_dtype(net))
    fresh = clone(estimator)
    with task.around(fresh, X, y):
        return fresh.fit(X, y, **fit_params)


def _labels(classes: ArrayLike) -> NDArray[Any]:
    """Labels given by users, which must be unique."""
    labels = np.asarray(classes)
    if labels.ndim != 1:
        raise ValueError(f"classes must be a list of labels, one for each output, got {shown(classes)}")
    twice = [label for label, n in Counter(labels.tolist()).items() if n > 1]
    if twice:
        raise ValueError(
            f"classes must name each output's label once, but {shown(twice)} are in {shown(labels)} more "
            "than once; give each output a label of its own"
        )
    return labels


def _own_classes(estimator: Any, given: NDArray[Any] | None) -> NDArray[Any] | None:
    """The estimator's own labels, or else the given ones; if there are both, they must be the same."""
    own = getattr(estimator, "classes_", None)
    if own is None:
        return given
    if given is not None and not np.array_equal(own, given):
        raise ValueError(
            f"{type(estimator).__name__} has classes_ {shown(np.asarray(own))}, "
            f"not the classes {shown(given)} asked for"
        )
    return np.asarray(own)


def _has_tags(estimator: Any) -> bool:
    while isinstance(estimator, FrozenEstimator):  # it delegates to the estimator inside
        estimator = estimator.estimator
    return hasattr(estimator, "__sklearn_tags__")


def _kind(estimator: Any) -> str:
    return "regressor" if is_regressor(estimator) else "clusterer"


def _check_fitted(estimator: Any) -> None:
    """Raise NotFittedError if scikit-learn or skorch can tell that it is not fitted."""
    if is_skorch_net(estimator):
        fitted = getattr(estimator, "initialized_", False)
    elif _has_tags(estimator) and hasattr(estimator, "fit"):
        try:
            check_is_fitted(estimator)
            fitted = True
        except NotFittedError:
            fitted = False
    else:
        fitted = True
    if not fitted:
        raise NotFittedError(f"this {type(estimator).__name__} is not fitted; call its fit first")
