"""``register_module``: how a new type of estimator learns to be differentiated."""

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from skhalfway.models import NotDifferentiableError, _registry, as_model, register_module, to_module


class Nearest(ClassifierMixin, BaseEstimator):
    """The class of the nearest mean."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.stack([X[y == c].mean(axis=0) for c in self.classes_])
        return self

    def decision_function(self, X):
        return -((X[:, None] - self.means_) ** 2).sum(axis=2)

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]


class NearestOfMine(Nearest):
    pass


class Cube(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X**3


class Distances(nn.Module):
    def __init__(self, nearest):
        super().__init__()
        self.register_buffer("means", torch.from_numpy(nearest.means_))

    def forward(self, x):
        return -(x[:, None] - self.means).square().sum(dim=2)


class Power(nn.Module):
    def forward(self, x):
        return x**3


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """A copy of the table, so that nothing registered here stays."""
    for family in _registry._FAMILIES:
        import_module(f"skhalfway.models.{family}")
    monkeypatch.setattr(_registry, "_CONVERTERS", dict(_registry._CONVERTERS))


@pytest.fixture
def nearest(load):
    return Nearest().fit(*load("iris"))


def test_unknown_without_registration(nearest):
    model = as_model(nearest)
    assert not model.has_gradient
    assert "Nearest has no gradient" in model.why_black_box


@pytest.mark.parametrize("key", [Nearest, f"{Nearest.__module__}.Nearest"], ids=["type", "dotted name"])
@pytest.mark.parametrize("type_", [Nearest, NearestOfMine])
def test_registered_type_and_its_subclasses(key, type_, load, logits, check_gradient):
    X, y = load("iris")
    assert register_module(key)(Distances) is Distances
    classifier = type_().fit(X, y)
    model = as_model(classifier)
    np.testing.assert_allclose(logits(model, X), classifier.decision_function(X), atol=1e-9)
    check_gradient(model, X)


def test_subclass_comes_before_its_base(nearest, load):
    register_module(Nearest)(Distances)
    special = nn.Identity()
    register_module(NearestOfMine)(lambda estimator: special)
    assert to_module(NearestOfMine()) is special
    assert isinstance(to_module(nearest), Distances)


def test_a_later_registration_replaces_an_earlier_one(nearest):
    first, second = nn.Identity(), nn.Identity()
    register_module(Nearest)(lambda estimator: first)
    assert to_module(nearest) is first
    register_module(Nearest)(lambda estimator: second)
    assert to_module(nearest) is second


def test_several_types_at_once(nearest):
    module = nn.Identity()
    register_module(Nearest, f"{Cube.__module__}.Cube")(lambda estimator: module)
    assert to_module(nearest) is module
    assert to_module(Cube()) is module


def test_transformer_in_a_pipeline(load, fit, logits):
    register_module(Cube)(lambda transformer: Power())
    X, _ = load("breast")
    pipeline = fit(make_pipeline(Cube(), LogisticRegression(max_iter=20)), "breast")
    np.testing.assert_allclose(logits(as_model(pipeline), X)[:, 1], pipeline.decision_function(X), rtol=1e-9)


def test_converter_may_refuse_an_instance(nearest):
    @register_module(Nearest)
    def refuse(estimator):
        raise NotDifferentiableError("not this one")

    assert as_model(nearest).why_black_box == "not this one"


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ((), r"needs at least one class; write @register_module\(Type\)"),
        ((lambda estimator: None,), "takes classes or their dotted names, got function <lambda>"),
        ((Nearest, 3), "takes classes or their dotted names, got 3"),
        ((Nearest(),), "takes classes or their dotted names, got Nearest"),
    ],
    ids=["nothing", "bare decorator", "number", "instance"],
)
def test_bad_arguments(types, message):
    with pytest.raises(TypeError, match=message):
        register_module(*types)


def test_nothing_heavy_is_imported_before_it_is_used():
    """One step after the other, from the first that a user takes."""
    steps = [
        "import skhalfway",
        "import skhalfway.models",
        "from skhalfway import *",
        "from sklearn.dummy import DummyClassifier; from skhalfway.models import as_model;"
        "as_model(DummyClassifier().fit([[0], [1]], [0, 1])).predict([[0]])",
    ]
    heavy = "{'torch', 'skorch', 'art', 'foolbox', 'matplotlib', 'pandas'}"
    # scikit-learn 1.9 imports pandas itself
    program = ["import sys, sklearn.ensemble, sklearn.pipeline; before = set(sys.modules)"]
    for step in steps:
        program += [step, f"print(sorted({heavy} & (set(sys.modules) - before)))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:-1] == ["[]"] * len(steps)
