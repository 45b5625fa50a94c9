"""Which modules count as smoothed, and how far these agree with their classifiers."""

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway.models import as_model
from skhalfway.models._soft_agreement import soft_agreement

LR = LogisticRegression(max_iter=200)
TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
SMOOTHED = {
    "tree": TREE,
    "forest": RandomForestClassifier(10, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=5),
    "behind a step": make_pipeline(StandardScaler(), TREE),
    "bag of trees": BaggingClassifier(TREE, 5, random_state=0),
    "boosted trees": AdaBoostClassifier(TREE, n_estimators=5, random_state=0),
    "boosted lines": AdaBoostClassifier(LR, n_estimators=5, random_state=0),
    "calibrated tree": CalibratedClassifierCV(TREE, cv=2),
    "votes": VotingClassifier([("a", LR), ("b", GaussianNB())]),
    "stacked votes": StackingClassifier([("a", RidgeClassifier())], LR, stack_method="predict"),
    "neighbours": KNeighborsClassifier(),
    "spread labels": LabelSpreading(kernel="knn"),
    "pairs of classes": SVC(),
    "one against one": OneVsOneClassifier(LinearSVC()),
    "steps at a threshold": BernoulliNB(binarize=1.5),
}
EXACT = {
    "linear": LR,
    "Bayes": GaussianNB(),
    "network": MLPClassifier((8,), max_iter=20),
    "mean of probabilities": VotingClassifier([("a", LR), ("b", GaussianNB())], voting="soft"),
    "calibrated": CalibratedClassifierCV(LinearSVC(), cv=2),
    "bins": make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), LR),
    "kernel of labels": LabelSpreading(kernel="rbf"),
}


@pytest.mark.parametrize("name", SMOOTHED)
def test_smoothed(name, load, fit):
    classifier, (X, _) = fit(SMOOTHED[name], "iris"), load("iris")
    for holder in (classifier, FrozenEstimator(classifier)):
        assert 0.75 <= soft_agreement(as_model(holder), X) <= 1


@pytest.mark.parametrize("name", EXACT)
def test_exact(name, load, fit):
    assert soft_agreement(as_model(fit(EXACT[name], "iris")), load("iris")[0]) is None


def test_what_is_its_own_module_and_what_has_none(load):
    X, _ = load("iris")
    assert soft_agreement(as_model(torch.nn.Linear(4, 3)), X.astype(np.float32)) is None
    assert soft_agreement(as_model(Opaque()), X) is None


class Opaque:
    classes_ = np.arange(3)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


def test_counts_what_differs(load):
    """One split at 0, moved by the soft copy's edge of .001 and by nothing else."""
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    model = as_model(DecisionTreeClassifier().fit(X, [0, 0, 1, 1]))
    assert soft_agreement(model, X) == 1
    assert soft_agreement(model, np.array([[-1.0], [0.0005], [0.0008], [1.0]])) == 0.5
