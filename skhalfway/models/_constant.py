"""Classifiers that cannot have a gradient, and why."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from sklearn.dummy import DummyClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import CategoricalNB

from skhalfway.models._registry import NotDifferentiableError, register_module

REASONS = {
    CategoricalNB: "counts categories: its input is the number of one, and nothing lies between two numbers",
    ClassifierChain: "predicts several outputs, and has no single class to attack",
    DummyClassifier: "does not look at its input: its gradient is zero everywhere",
    MultiOutputClassifier: "predicts several outputs, and has no single class to attack",
}


def refuse(estimator: Any, reason: str) -> NoReturn:
    raise NotDifferentiableError(f"{type(estimator).__name__} {reason}")


for type_, reason in REASONS.items():
    register_module(type_)(partial(refuse, reason=reason))
