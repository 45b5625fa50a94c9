"""Calibrated classifiers against their own probabilities."""

import numpy as np
import pytest
import torch
from sklearn import calibration
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC

from skhalfway.models import as_model

# came with scikit-learn 1.8
TEMPERATURE = ["temperature"] if "_TemperatureScaling" in dir(calibration) else []
MEMBERS = {
    "decisions": LogisticRegression(max_iter=50),
    "no probabilities": LinearSVC(),
    "no decisions": GaussianNB(var_smoothing=1e-1),
}
# off the samples, where the steps of an isotonic regression begin
NOISE = np.random.default_rng(0).normal(scale=0.01, size=64)
each_member = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
each_method = pytest.mark.parametrize("method", ["sigmoid", "isotonic", *TEMPERATURE])
each_data_set = pytest.mark.parametrize("data", ["breast", "iris", "digits"])
ensembles = pytest.mark.parametrize("ensemble", [True, False], ids=["ensemble", "single"])


@ensembles
@each_data_set
@each_method
@each_member
def test_probabilities(member, method, data, ensemble, load, fit, agreement, check_responses):
    X, _ = load(data)
    X = X + NOISE[: X.shape[1]]
    classifier = fit(CalibratedClassifierCV(member, method=method, cv=2, ensemble=ensemble), data)
    check_responses(classifier, X)
    ties = (np.diff(np.sort(classifier.predict_proba(X), axis=1)[:, -2:]) < 1e-5).mean()
    assert agreement(classifier, X) >= 1 - ties


@pytest.mark.parametrize("data", ["breast", "iris"])
@each_method
@each_member
def test_gradient(member, method, data, load, fit, check_gradient):
    check_gradient(as_model(fit(CalibratedClassifierCV(member, method=method, cv=2), data)), load(data)[0])


def test_a_calibrated_support_vector_machine(load, fit, agreement):
    X, _ = load("digits")
    assert agreement(fit(CalibratedClassifierCV(SVC(), cv=2), "digits"), X) >= 0.98


def test_calibrated_after_the_fit(load, check_logits):
    X, y = load("iris")
    inner = FrozenEstimator(LinearSVC().fit(X[::2], y[::2]))
    check_logits(CalibratedClassifierCV(inner, cv=2).fit(X[1::2], y[1::2]), X)


def test_a_flat_step_has_a_gradient(load, fit):
    X, _ = load("breast")
    model = as_model(fit(CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2), "breast"))
    x = torch.from_numpy(X).requires_grad_()
    z = model.logits(x)
    (gradient,) = torch.autograd.grad((z[:, 1] - z[:, 0]).sum(), x)
    assert gradient.abs().sum(dim=1).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_a_fold_without_a_class(method, load, check_responses):
    X, y = load("digits")
    # the members are trained on nine classes and on ten
    folds = PredefinedSplit(np.where(y == 4, 0, np.arange(len(y)) % 2))
    classifier = CalibratedClassifierCV(LinearSVC(), method=method, cv=folds).fit(X, y)
    assert [len(c.estimator.classes_) for c in classifier.calibrated_classifiers_] == [9, 10]
    check_responses(classifier, X + NOISE[: X.shape[1]])


def test_a_fold_of_two_classes_is_refused(load):
    X, y = load("iris")
    folds = PredefinedSplit(np.where(y == 2, 0, np.arange(len(y)) % 2))
    classifier = CalibratedClassifierCV(GaussianNB(), cv=folds).fit(X, y)
    why = as_model(classifier).why_black_box
    assert why.startswith("a fold of the CalibratedClassifierCV has samples of two classes, [0 1], of 3")
    assert (classifier.calibrated_classifiers_[0].predict_proba(X).argmax(axis=1) == 0).all()


def test_refused(load):
    X, y = load("iris")
    model = as_model(CalibratedClassifierCV(DummyClassifier(), cv=2).fit(X, y))
    assert not model.has_gradient
    assert model.why_black_box.startswith("the estimator of the CalibratedClassifierCV: DummyClassifier")
