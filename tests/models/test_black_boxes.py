"""Classifiers with predictions only."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

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


BOXES = {
    "forest": RandomForestClassifier(5, random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "neighbours": KNeighborsClassifier(3),
    "naive Bayes": GaussianNB(),
}


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("name", BOXES)
def test_estimators_without_a_gradient(name, data, frozen, load, fit):
    X, _ = load(data)
    classifier = fit(BOXES[name], data)
    model = as_model(FrozenEstimator(classifier) if frozen else classifier)
    reason = f"{type(classifier).__name__} has no gradient here; skhalfway.models.register_module adds one"
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
