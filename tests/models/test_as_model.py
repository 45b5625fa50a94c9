"""What ``as_model`` takes and refuses, and predictions as class indices."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.models import as_model

LR = LogisticRegression(max_iter=20)
FAMILIES = {
    "linear": LR,
    "SVC": SVC(),
    "MLP": MLPClassifier((8,), max_iter=20, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), LR),
    "forest": RandomForestClassifier(5, random_state=0),
    "neighbours": KNeighborsClassifier(3),
}
each_family = pytest.mark.parametrize("family", FAMILIES)
LABELS = {
    "strings": lambda y: np.array(["setosa", "versicolor", "a longer name"])[y],
    "objects": lambda y: np.array(["setosa", "versicolor", "virginica"], dtype=object)[y],
    "negative integers": lambda y: np.array([-7, 3, -1])[y],
    "whole floats": lambda y: np.array([4.0, -1.0, 2.0])[y],
    "booleans": lambda y: y > 0,
}


@pytest.mark.parametrize("labels", LABELS)
@each_family
def test_predictions_are_class_indices(family, labels, load, fit):
    X, _ = load("iris")
    classifier = fit(FAMILIES[family], "iris", LABELS[labels])
    model = as_model(classifier)
    indices = model.predict(X)
    assert indices.dtype == np.intp
    np.testing.assert_array_equal(model.classes_, classifier.classes_)
    np.testing.assert_array_equal(classifier.classes_[indices], classifier.predict(X))


CONTAINERS = {
    "array": np.asarray,
    "list": np.ndarray.tolist,
    "float32": lambda X: X.astype(np.float32),
    "tensor": torch.from_numpy,
    "frame": lambda X: pd.DataFrame(X, columns=list("abcd")),
}


READ_NAMES = [
    SVC(),
    make_pipeline(StandardScaler(), SVC()),
    KNeighborsClassifier(3),
    GridSearchCV(RandomForestClassifier(5, random_state=0), {"max_depth": [2]}, cv=2),
]


@pytest.mark.parametrize("given", CONTAINERS)
@pytest.mark.parametrize("fitted_with", ["array", "frame"])
@pytest.mark.parametrize("classifier", READ_NAMES, ids=lambda classifier: type(classifier).__name__)
def test_column_names_never_warn(classifier, fitted_with, given, load):
    X, y = load("iris")
    named = CONTAINERS[fitted_with](X)
    model = as_model(classifier.fit(named, y))
    np.testing.assert_array_equal(model.predict(CONTAINERS[given](X)), classifier.predict(named))


def test_columns_in_another_order_are_refused(load):
    X, y = load("iris")
    model = as_model(SVC().fit(CONTAINERS["frame"](X), y))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(CONTAINERS["frame"](X)[list("dcba")])


@each_family
def test_images_are_rows_to_estimators_of_rows(family, load, fit):
    X, _ = load("digits")
    images = X.reshape(-1, 1, 8, 8)
    classifier = fit(FAMILIES[family], "digits")
    model = as_model(classifier)
    np.testing.assert_array_equal(model.predict(images), classifier.predict(X))
    np.testing.assert_array_equal(model.scores(images), model.scores(X))
    if model.has_gradient:
        rows, pictures = (model.logits(torch.from_numpy(a)) for a in (X, images))
        assert torch.equal(rows, pictures)


@each_family
def test_wrong_width(family, fit):
    model = as_model(fit(FAMILIES[family], "iris"))
    for X in (np.zeros((2, 3)), np.zeros((2, 1, 5, 5)), pd.DataFrame(np.zeros((2, 3)))):
        with pytest.raises(ValueError, match=r"X has (3|25) features, but \w+ is expecting 4 features"):
            model.predict(X)


def test_a_model_stays_itself(fit):
    model = as_model(fit(LR, "iris"))
    assert as_model(model) is model


@each_family
def test_the_estimator_is_kept_and_unchanged(family, load, fit):
    classifier = fit(FAMILIES[family], "iris")
    before = set(vars(classifier)), classifier.get_params()
    model = as_model(classifier)
    model.predict(load("iris")[0])
    assert model.estimator is classifier
    assert model.n_outputs(None) == 3
    assert (set(vars(classifier)), classifier.get_params()) == before


def test_repr(fit):
    assert repr(as_model(fit(LR, "iris"))) == "<Model of LogisticRegression: differentiable>"
    dummy = fit(DummyClassifier(), "iris")
    assert repr(as_model(dummy)) == "<Model of DummyClassifier: black box>"


X = np.random.default_rng(0).normal(size=(40, 4))
Y = (X[:, 0] > 0).astype(int)
TWO_OUTPUTS = np.column_stack([Y, Y])


class NoClasses:
    def predict(self, X):
        return np.zeros(len(X))


class NoPredict:
    def fit(self, X, y):
        return self


def net(y):
    settings = {"criterion": nn.CrossEntropyLoss, "max_epochs": 1, "verbose": 0, "train_split": None}
    return NeuralNetClassifier(nn.Linear(4, 3), **settings).fit(X.astype(np.float32), y)


# what is given (made when the test runs), the error, a part of its message
REFUSED = {
    "regressor": (lambda: LinearRegression().fit(X, Y), TypeError, "got the regressor LinearRegression"),
    "unfitted regressor": (LinearRegression, TypeError, "got the regressor LinearRegression"),
    "clusterer": (lambda: KMeans(2, n_init=1).fit(X), TypeError, "got the clusterer KMeans"),
    "pipeline of a regressor": (
        lambda: make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y),
        TypeError,
        "got the regressor Pipeline",
    ),
    "class": (lambda: SVC, TypeError, "got the class SVC; make one and fit it"),
    "class of module": (lambda: nn.Linear, TypeError, "got the class Linear"),
    "array": (lambda: np.zeros(3), TypeError, "with predict and classes_, a torch module or an ART"),
    "string": (lambda: "svc", TypeError, "got 'svc'"),
    "None": (lambda: None, TypeError, "got None"),
    "unfitted classifier": (SVC, NotFittedError, "this SVC is not fitted; call its fit first"),
    "unfitted pipeline": (
        lambda: make_pipeline(StandardScaler(), SVC()),
        NotFittedError,
        "this Pipeline is not",
    ),
    "unfitted search": (lambda: GridSearchCV(SVC(), {"C": [1]}), NotFittedError, "this GridSearchCV is not"),
    "unfitted frozen": (lambda: FrozenEstimator(SVC()), NotFittedError, "this FrozenEstimator is not fitted"),
    "unfitted net": (
        lambda: NeuralNetClassifier(nn.Linear),
        NotFittedError,
        "this NeuralNetClassifier is not fitted; call its fit",
    ),
    "net that saw no labels": (
        lambda: NeuralNetClassifier(nn.Linear(4, 2), criterion=nn.CrossEntropyLoss).initialize(),
        TypeError,
        "NeuralNetClassifier has no classes_",
    ),
    "transformer": (lambda: StandardScaler().fit(X), TypeError, "StandardScaler has no predict"),
    "search without refit": (
        lambda: GridSearchCV(SVC(), {"C": [1]}, refit=False, cv=2).fit(X, Y),
        TypeError,
        "GridSearchCV has no predict",
    ),
    "no predict": (NoPredict, TypeError, "NoPredict has no predict"),
    "no classes_": (NoClasses, TypeError, "NoClasses has no classes_"),
    "several outputs": (
        lambda: KNeighborsClassifier().fit(X, TWO_OUTPUTS),
        ValueError,
        "KNeighborsClassifier predicts 2 outputs; only single-output classifiers",
    ),
    "net of labels 1, 2": (lambda: net(Y + 1), ValueError, r"trained on the labels \[1, 2\].*LabelEncoder"),
    "frozen net of labels 1, 2": (lambda: FrozenEstimator(net(Y + 1)), ValueError, r"the labels \[1, 2\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    make, error, message = REFUSED[case]
    given = make()
    with pytest.raises(error, match=message):
        as_model(given)


@pytest.mark.parametrize(
    "classifier",
    [RidgeClassifier(), KNeighborsClassifier(), OneVsRestClassifier(RidgeClassifier())],
    ids=lambda classifier: type(classifier).__name__,
)
def test_multilabel_is_refused_at_the_latest_when_it_predicts(classifier):
    # some keep one array of classes_, which says nothing
    classifier.fit(X, np.column_stack([Y, 1 - Y]))
    with pytest.raises(ValueError, match="only single-output classifiers are supported"):
        as_model(classifier).predict(X)


@pytest.mark.parametrize("n_out", [1, 3, 4])
def test_wrong_number_of_outputs(n_out):
    model = as_model(nn.Linear(4, n_out), classes=list("abcde"))
    with pytest.raises(ValueError, match=f"Linear has {max(2, n_out)} outputs for 5 classes"):
        model.predict(X)
