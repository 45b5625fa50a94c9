"""Checks of an object's type, without importing the library that the type belongs to."""

from __future__ import annotations

import sys
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline


def _is_instance(obj: Any, package: str, name: str) -> bool:
    """``isinstance`` without importing the package: before it is imported, no instance can exist."""
    module = sys.modules.get(package)
    return module is not None and isinstance(obj, getattr(module, name))


def is_made_of(obj: Any, package: str, name: str) -> bool:
    """Whether a class, or the class of an object, is that one or derives from it."""
    class_ = obj if isinstance(obj, type) else type(obj)
    module = sys.modules.get(package)
    return module is not None and issubclass(class_, getattr(module, name))


def unfrozen(estimator: Any) -> Any:
    """The estimator inside a FrozenEstimator; any other estimator itself."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def is_torch_module(estimator: Any) -> bool:
    return _is_instance(estimator, "torch.nn", "Module")


def is_art_classifier(estimator: Any) -> bool:
    return _is_instance(estimator, "art.estimators.classification.classifier", "ClassifierMixin")


def is_art_estimator(estimator: Any) -> bool:
    """Whether it is an estimator of ART, which need not be a classifier."""
    return _is_instance(estimator, "art.estimators.estimator", "BaseEstimator")


def is_ensemble(estimator: Any) -> bool:
    """Whether it is this package's Ensemble, which cannot be imported here."""
    return getattr(type(estimator), "_is_ensemble", False) is True


def is_skorch_net(estimator: Any) -> bool:
    return _is_instance(estimator, "skorch", "NeuralNet")


def kind_of(estimator: Any) -> str:
    """What was given in the place of a network, for messages: its type, and how to take a Pipeline apart."""
    if isinstance(estimator, Pipeline):
        return "Pipeline; pass its last step, pipeline[-1], with samples transformed by pipeline[:-1]"
    return type(estimator).__name__


def inner_skorch_net(estimator: Any) -> Any:
    """The skorch net that an estimator is or ends in; None if there is none."""
    while not is_skorch_net(estimator):
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif isinstance(estimator, BaseSearchCV):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            return None
    return estimator


def net_dtype(net: Any) -> str:
    """Float type of a skorch net's module, which refuses any other; float32 before it is initialised."""
    from skhalfway.models._torch import dtype_of

    module = getattr(net, "module_", net.module)
    return str(dtype_of(module)).removeprefix("torch.") if is_torch_module(module) else "float32"


def may_hold_skorch_nets(estimator: Any) -> bool:
    """False if no search is needed: skorch is not imported, or the estimator contains no others."""
    return "skorch" in sys.modules and hasattr(estimator, "get_params")
