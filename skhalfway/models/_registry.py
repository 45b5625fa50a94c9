"""The registry of converters: functions that make differentiable torch modules of types of estimators."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.utils.validation import check_is_fitted

from skhalfway._text import shown

if TYPE_CHECKING:
    from torch import nn

Converter = TypeVar("Converter", bound=Callable[[Any], "nn.Module"])

_CONVERTERS: dict[type | str, Callable[[Any], nn.Module]] = {}

# One file per family of estimators. They import torch, so they are loaded when
# the first gradient is needed.
_FAMILIES = (
    "_art",
    "_bayes",
    "_calibration",
    "_compose",
    "_constant",
    "_distributions",
    "_encoders",
    "_ensembles",
    "_expansions",
    "_functions",
    "_gaussian_process",
    "_kernels",
    "_linear",
    "_missing",
    "_multiclass",
    "_neighbors",
    "_neural",
    "_steps",
    "_svm",
    "_torch",
    "_transformers",
    "_trees",
    "_wrappers",
)


class NotDifferentiableError(TypeError):
    """An estimator cannot be differentiated; the message says which part of it, and why.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skhalfway.models import NotDifferentiableError, to_module
    >>> try:
    ...     to_module(DummyClassifier().fit([[0], [1]], [0, 1]))
    ... except NotDifferentiableError as error:
    ...     print(error)
    DummyClassifier does not look at its input: its gradient is zero everywhere
    """


def register_module(*types: type | str) -> Callable[[Converter], Converter]:
    """Register a function that makes a type of estimator differentiable.

    The decorated function takes a fitted estimator of that type (or of a
    subclass) and returns a :class:`torch.nn.Module`. For a classifier the
    module maps a float tensor (n_samples, n_features) to logits
    (n_samples, n_classes), in the order of ``classes_``; with two classes a
    single column, the logit of ``classes_[1]``, is also accepted. For a
    transformer it maps (n_samples, n_features_in) to
    (n_samples, n_features_out). Keep parameters as float64 buffers where the
    estimator computes in float64. A module that converts inner estimators
    calls :func:`to_module` on them.

    Parameters
    ----------
    *types : type or str
        Types to register. A string is the full dotted name of a class, for a
        type whose package should not be imported yet. A later registration
        replaces an earlier one.

    Returns
    -------
    decorator : callable
        Registers a function and returns it unchanged.

    Raises
    ------
    TypeError
        If no type is given, or something that is neither a class nor a string.

    See Also
    --------
    as_model : Uses the registered modules.
    to_module : Converts an estimator, for use inside a converter.

    Examples
    --------
    A classifier that predicts by the sign of a weighted sum, and its gradient:

    >>> import numpy as np, torch
    >>> from sklearn.base import BaseEstimator, ClassifierMixin
    >>> from skhalfway.models import as_model, register_module
    >>> class MeanDifference(ClassifierMixin, BaseEstimator):
    ...     def fit(self, X, y):
    ...         self.classes_ = np.unique(y)
    ...         means = [X[np.asarray(y) == c].mean(axis=0) for c in self.classes_]
    ...         self.coef_ = means[1] - means[0]
    ...         return self
    ...     def predict(self, X):
    ...         return self.classes_[(X @ self.coef_ > 0).astype(int)]
    >>> @register_module(MeanDifference)
    ... def mean_difference(estimator):
    ...     linear = torch.nn.Linear(len(estimator.coef_), 1, bias=False)
    ...     linear.weight = torch.nn.Parameter(torch.from_numpy(estimator.coef_[None]))
    ...     return linear
    >>> X = np.array([[-1.0, 0.0], [1.0, 0.0]])
    >>> model = as_model(MeanDifference().fit(X, ["left", "right"]))
    >>> model.has_gradient
    True
    >>> model.logits(torch.tensor([[3.0, 1.0]], dtype=torch.float64)).tolist()
    [[0.0, 6.0]]
    """
    for type_ in types:
        if not isinstance(type_, (type, str)):
            raise TypeError(f"register_module takes classes or their dotted names, got {shown(type_)}")
    if not types:
        raise TypeError("register_module needs at least one class; write @register_module(Type)")

    def register(converter: Converter) -> Converter:
        _CONVERTERS.update(dict.fromkeys(types, converter))
        return converter

    return register


def to_module(estimator: Any) -> nn.Module:
    """Convert a fitted estimator or transformer to a differentiable torch module.

    Parameters
    ----------
    estimator : object
        A fitted estimator whose type, or a base class of it, is registered.

    Returns
    -------
    module : torch.nn.Module
        For its inputs and outputs, see :func:`register_module`.

    Raises
    ------
    NotDifferentiableError
        If the type is not registered, or this instance has no gradient.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skhalfway.models import to_module
    >>> to_module(StandardScaler().fit(load_iris().data))
    Affine()
    """
    for family in _FAMILIES:
        import_module(f"skhalfway.models.{family}")
    for class_ in type(estimator).__mro__:
        for key in (class_, f"{class_.__module__}.{class_.__qualname__}"):
            if key in _CONVERTERS:
                try:
                    return _CONVERTERS[key](estimator)
                except AttributeError:
                    check_is_fitted(estimator)
                    raise
    raise NotDifferentiableError(
        f"{type(estimator).__name__} has no gradient here; skhalfway.models.register_module adds one"
    )
