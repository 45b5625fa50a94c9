"""Estimators that answer as another one inside them, and what a meta-estimator hears from any."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC

from skhalfway.models import as_model

LR = LogisticRegression(max_iter=50)
NB = GaussianNB(var_smoothing=1e-2)
HUBER = SGDClassifier(loss="modified_huber", random_state=0)
ANSWERS = {
    "logistic regression": LR,
    "one model a class": SGDClassifier(loss="log_loss", random_state=0),
    "modified Huber": HUBER,
    "ridge": RidgeClassifier(),
    "MLP": MLPClassifier((8,), max_iter=30, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), HUBER),
    "search": GridSearchCV(HUBER, {"alpha": [0.1, 0.01]}, cv=2),
}
each_data_set = pytest.mark.parametrize("data", ["breast", "iris", "digits"])


@each_data_set
@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name, data, load, fit, check_responses):
    X, _ = load(data)
    classifier = fit(ANSWERS[name], data)
    check_responses(classifier, X)
    check_responses(FrozenEstimator(classifier), X)


def test_liblinear_is_a_model_for_each_class(load, fit, check_responses):
    X, y = load("breast")
    check_responses(LogisticRegression(solver="liblinear").fit(X, y), X)


THRESHOLDS = {
    "fixed probability": FixedThresholdClassifier(LR, threshold=0.2),
    "of the first class": FixedThresholdClassifier(NB, threshold=0.9, pos_label=0),
    "default": FixedThresholdClassifier(LR),
    "default decision": FixedThresholdClassifier(LinearSVC()),
    "decision": FixedThresholdClassifier(SVC(), threshold=0.5),
    "decision of the first class": FixedThresholdClassifier(SVC(), threshold=-0.7, pos_label=0),
    "decision by choice": FixedThresholdClassifier(LR, threshold=1.0, response_method="decision_function"),
    "always": FixedThresholdClassifier(LR, threshold=0.0),
    "never": FixedThresholdClassifier(LR, threshold=1.0),
    "tuned": TunedThresholdClassifierCV(NB, cv=2),
    "tuned decision": TunedThresholdClassifierCV(SVC(), cv=2, scoring="f1"),
    "tuned pipeline": TunedThresholdClassifierCV(make_pipeline(StandardScaler(), LR), cv=2),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_thresholds_move_predictions_only(name, load, fit, agreement, check_gradient, check_responses):
    X, _ = load("breast")
    # between the samples, as a tuned threshold is a sample's score
    X = (X + np.random.default_rng(0).permutation(X) / 10) / 1.1
    classifier = fit(THRESHOLDS[name], "breast")
    assert agreement(classifier, X) == 1
    check_responses(classifier, X)
    check_gradient(as_model(classifier), X)


def test_a_threshold_on_a_fitted_classifier(load, fit, agreement):
    X, _ = load("breast")
    classifier = FixedThresholdClassifier(FrozenEstimator(fit(LR, "breast")), threshold=0.9)
    assert agreement(fit(classifier, "breast"), X) == 1


def test_a_threshold_inside_another_estimator(load, fit, check_logits):
    # which hears the probabilities, and no threshold
    inner = FixedThresholdClassifier(NB, threshold=0.99)
    X, _ = load("breast")
    check_logits(fit(CalibratedClassifierCV(inner, cv=2), "breast"), X)


def some_labels(y):
    return np.where(np.arange(len(y)) % 3, -1, y)


def test_self_training(load, fit, check_logits, check_gradient, check_responses):
    X, _ = load("iris")
    classifier = fit(SelfTrainingClassifier(NB), "iris", some_labels)
    check_logits(classifier, X)
    check_responses(classifier, X)
    check_gradient(as_model(classifier), X)


@pytest.mark.parametrize("type_", [FixedThresholdClassifier, SelfTrainingClassifier])
def test_refused(type_, fit):
    labels = some_labels if type_ is SelfTrainingClassifier else None
    model = as_model(fit(type_(DummyClassifier()), "breast", labels))
    assert not model.has_gradient
    assert model.why_black_box.startswith(f"the estimator of the {type_.__name__}: DummyClassifier does")
