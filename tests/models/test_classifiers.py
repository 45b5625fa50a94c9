"""Linear classifiers and multi-layer perceptrons against their own scores."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.utils import all_estimators

from skhalfway.models import as_model

FASTER = {"LogisticRegression": {"max_iter": 20}, "LogisticRegressionCV": {"Cs": 2, "cv": 2, "max_iter": 20}}
with warnings.catch_warnings():
    # tested for as long as scikit-learn has it
    warnings.filterwarnings("ignore", "Class PassiveAggressiveClassifier is deprecated", FutureWarning)
    LINEAR = {
        name: type_().set_params(**FASTER.get(name, {}))
        for name, type_ in all_estimators("classifier")
        if issubclass(type_, (LinearClassifierMixin, LinearSVC))
    }
VARIANTS = {
    "no intercept": LogisticRegression(fit_intercept=False, max_iter=20),
    "one vs rest by log loss": SGDClassifier(loss="log_loss", random_state=0),
    "LDA by lsqr": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
}
MLPS = {
    f"MLP {activation} {layers}": MLPClassifier(layers, activation=activation, max_iter=30, random_state=0)
    for activation in ("identity", "logistic", "tanh", "relu")
    for layers in ((8,), (10, 6))
} | {"MLP without hidden layers": MLPClassifier((), max_iter=30, random_state=0)}
CLASSIFIERS = LINEAR | VARIANTS | MLPS

each_classifier = pytest.mark.parametrize("name", CLASSIFIERS)
each_data_set = pytest.mark.parametrize("data", ["breast", "digits", "iris"])


def test_the_walk_finds_the_linear_classifiers():
    assert {"LinearSVC", "LogisticRegression", "Perceptron", "RidgeClassifierCV"} <= set(LINEAR)


@each_data_set
@each_classifier
def test_logits_are_the_classifiers_own(name, data, load, fit, check_logits):
    check_logits(fit(CLASSIFIERS[name], data), load(data)[0])


@pytest.mark.parametrize("data", ["breast", "digits"])
@each_classifier
def test_gradient(name, data, load, fit, check_gradient):
    check_gradient(as_model(fit(CLASSIFIERS[name], data)), load(data)[0])


@each_data_set
def test_sparse_coefficients(data, load, logits):
    X, y = load(data)
    classifier = SGDClassifier(penalty="l1", alpha=0.01, random_state=0).fit(X, y)
    dense = logits(as_model(classifier), X)
    np.testing.assert_array_equal(logits(as_model(classifier.sparsify()), X), dense)


def test_the_module_keeps_nothing_of_the_estimators_memory(load, logits):
    X, y = load("iris")
    classifier = RidgeClassifier().fit(X, y)
    model = as_model(classifier)
    before = logits(model, X)
    classifier.coef_ *= -1
    np.testing.assert_array_equal(logits(model, X), before)


def test_weights_are_frozen(load, fit):
    for name in ("LogisticRegression", "MLP relu (8,)"):
        weights = list(as_model(fit(CLASSIFIERS[name], "iris")).module.parameters())
        assert weights
        assert not any(weight.requires_grad for weight in weights)


def test_multilabel_perceptron_has_no_gradient():
    X, Y = make_multilabel_classification(random_state=0)
    model = as_model(MLPClassifier((4,), random_state=0).partial_fit(X, Y, classes=np.arange(5)))
    assert not model.has_gradient
    assert "multilabel MLPClassifier" in model.why_black_box
