"""Classifiers with predictions only."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skhalfway.models import NotDifferentiableError, as_model, to_module


class ByHand:
    """A classifier of nobody's family: ``predict`` and ``classes_``, nothing else."""

    classes_ = ("small", "large")  # not sorted

    def predict(self, X):
        return np.array(["small", "large"])[(X.sum(axis=1) > 10).astype(int)]


class AsColumn(ByHand):
    """One prediction a row, as some gradient boosting libraries give them."""

    def predict(self, X):
        return super().predict(X)[:, None]


class Constant:
    def __init__(self, prediction, classes):
        self.prediction, self.classes_ = prediction, classes

    def predict(self, X):
        return [self.prediction] * len(X)


class Service(ClassifierMixin, BaseEstimator):
    """A type that nobody registered: it answers as another classifier does, and shows no more of it."""

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_, self.n_features_in_ = self.estimator_.classes_, X.shape[1]
        return self

    def predict(self, X):
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        return self.estimator_.predict_proba(X)


UNKNOWN = "Service has no gradient here; skhalfway.models.register_module adds one"
BOXES = {
    "forest": (Service(RandomForestClassifier(5, random_state=0)), UNKNOWN),
    "naive Bayes": (Service(GaussianNB(var_smoothing=1e-2)), UNKNOWN),
    "dummy": (
        DummyClassifier(),
        "DummyClassifier does not look at its input: its gradient is zero everywhere",
    ),
}


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("name", BOXES)
def test_estimators_without_a_gradient(name, data, frozen, load, fit):
    X, _ = load(data)
    box, reason = BOXES[name]
    classifier = fit(box, data)
    model = as_model(FrozenEstimator(classifier) if frozen else classifier)
    assert not model.has_gradient
    assert model.module is None
    assert model.why_black_box == reason
    np.testing.assert_array_equal(classifier.classes_[model.predict(X)], classifier.predict(X))
    np.testing.assert_array_equal(model.scores(X), classifier.predict_proba(X))
    with model.evaluating(), pytest.raises(NotDifferentiableError, match=reason):
        model.logits(torch.from_numpy(X))
    with pytest.raises(NotDifferentiableError, match=reason):
        to_module(classifier)
    assert model.on(torch.device("meta")) is model


def test_a_reason_is_empty_where_there_is_a_gradient():
    assert as_model(torch.nn.Linear(2, 2)).why_black_box == ""


@pytest.mark.parametrize("type_", [ByHand, AsColumn])
def test_predict_and_classes_are_enough(type_):
    model = as_model(type_())
    X = np.array([[1.0, 2.0], [10.0, 2.0], [3.0, 4.0]])
    assert model.predict(X).tolist() == [0, 1, 0]
    assert model.predict(X.reshape(3, 1, 2, 1)).tolist() == [0, 1, 0]
    assert model.scores(X).tolist() == [[1, 0], [0, 1], [1, 0]]
    assert model.n_features_in_ is None
    assert model.why_black_box.startswith(f"{type_.__name__} has no gradient")


@pytest.mark.parametrize(
    ("prediction", "classes"),
    [
        ("c", ["a", "b"]),
        ("aa", ["a", "b"]),
        (0, ["a", "b"]),
        ("a", [0, 1]),
        (2, [0, 1]),
        (-1, [0, 1]),
        (0.5, [0, 1]),
        (float("nan"), [0.0, 1.0]),
    ],
)
def test_unknown_predictions_raise(prediction, classes):
    model = as_model(Constant(prediction, classes))
    with pytest.raises(ValueError, match=rf"Constant predicts \[{prediction!r}, .*not among its classes_ \["):
        model.predict(np.zeros((5, 2)))


@pytest.mark.parametrize(("prediction", "classes"), [(1.0, [0, 1]), (True, [False, True]), (1, [-3, 1])])
def test_equal_predictions_of_another_type_are_known(prediction, classes):
    assert as_model(Constant(prediction, classes)).predict(np.zeros((2, 2))).tolist() == [1, 1]


X, Y = np.random.default_rng(0).integers(3, size=(2, 40, 4))
Y = Y[:, :2]
# what cannot be differentiated, and its own reason
REFUSED = {
    "categories": (
        CategoricalNB().fit(X, Y[:, 0]),
        "CategoricalNB counts categories: its input is the number of",
    ),
    "outputs": (
        MultiOutputClassifier(GaussianNB()).fit(X, Y),
        "MultiOutputClassifier predicts several outputs, and has no single class",
    ),
    "chain": (ClassifierChain(GaussianNB()).fit(X, Y > 1), "ClassifierChain predicts several outputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    classifier, reason = REFUSED[case]
    with pytest.raises(NotDifferentiableError, match=reason):
        to_module(classifier)


class Answering:
    """A classifier whose scores are given."""

    def __init__(self, n_classes, decision=None, probability=None, shape="ovr"):
        self.classes_, self.decision_function_shape = np.arange(n_classes), shape
        if decision is not None:
            self.decision_function = lambda X: np.array(decision)
        if probability is not None:
            self.predict_proba = lambda X: np.array(probability)

    def predict(self, X):
        return np.array([1, 0])


VOTES = [[0, 1], [1, 0]]
SCORES = {
    "probabilities": (Answering(2, [5.0, 6.0], [[0.2, 0.8], [0.6, 0.4]]), [[0.2, 0.8], [0.6, 0.4]]),
    "one decision of two classes": (Answering(2, [0.5, -3.0]), [[-0.5, 0.5], [3.0, -3.0]]),
    "a decision for each class": (Answering(2, [[1.0, 2.0], [4.0, 3.0]]), [[1, 2], [4, 3]]),
    "one decision of three classes": (Answering(3, [0.5, -3.0]), [[0, 1, 0], [1, 0, 0]]),
    "a decision too few": (Answering(3, [[1.0, 2.0], [4.0, 3.0]]), [[0, 1, 0], [1, 0, 0]]),
    "decisions of pairs": (Answering(3, [[1.0, 2, 3], [4, 3, 2]], shape="ovo"), [[0, 1, 0], [1, 0, 0]]),
    "predictions alone": (Answering(2), VOTES),
    "infinite ones": (Answering(2, [[-np.inf, np.inf], [2e300, -2e300]]), [[-1e300, 1e300], [1e300, -1e300]]),
}


@pytest.mark.parametrize("case", SCORES)
def test_scores_are_the_best_that_an_estimator_gives(case):
    estimator, expected = SCORES[case]
    np.testing.assert_array_equal(as_model(estimator).scores(np.zeros((2, 3))), expected)


@pytest.mark.parametrize("wrap", [lambda svc: svc, lambda svc: make_pipeline(StandardScaler(), svc)])
def test_decisions_by_pairs_are_no_scores(wrap, load):
    X, y = load("iris")
    source = wrap(SVC(decision_function_shape="ovo")).fit(X, y)
    np.testing.assert_array_equal(as_model(source).scores(X), np.eye(3)[source.predict(X)])
    source = wrap(SVC()).fit(X, y)
    np.testing.assert_array_equal(as_model(source).scores(X), source.decision_function(X))


@pytest.mark.parametrize(
    ("X", "reason"),
    [
        (np.zeros((2, 3)), "its computation, since X holds none"),
        (np.zeros((2, 3), dtype=int), "X, which holds nan"),
        (np.full((2, 3), np.nan), "X, which holds nan"),
        (np.array([[0, 0, 0], [0, 0, None]], dtype=object), "X, which holds nan"),
    ],
    ids=["numbers", "whole numbers", "nan", "objects"],
)
def test_scores_that_are_nan_say_where_to_look(X, reason):
    model = as_model(Answering(2, [[1.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(
        ValueError, match=rf"nan for 1 of 2 samples \(the first is sample 0\); .* in {reason}"
    ):
        model.scores(X)


@pytest.mark.parametrize("given", [[[1.0, 2.0]], [[1.0, 2.0]] * 3, [1.0, 2.0]])
def test_a_score_for_each_sample_and_class_is_needed(given):
    with pytest.raises(ValueError, match=r"gives scores of shape .* for 2 samples; a score for each"):
        as_model(Answering(2, probability=given)).scores(np.zeros((2, 3)))
