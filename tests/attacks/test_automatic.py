"""attack="auto" beyond gradients: samples that a smoothed gradient does not fool are asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Binarizer, KBinsDiscretizer, StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model

X, Y = make_moons(400, noise=0.3, random_state=0)
THRESHOLDS = np.linspace(-1, 2, 7)
SMOOTHED = {
    "AdaBoost": AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), random_state=0),
    "forest behind a scaler": make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)),
    "neighbours": KNeighborsClassifier(),
    "bins": make_pipeline(KBinsDiscretizer(8), LogisticRegression()),
    "thresholds": make_pipeline(FeatureUnion([(str(t), Binarizer(threshold=t)) for t in THRESHOLDS]), SVC()),
    "bits": BernoulliNB(binarize=0.5),
    "votes": VotingClassifier([("svc", SVC()), ("bayes", GaussianNB()), ("linear", LogisticRegression())]),
    "boosted votes": AdaBoostClassifier(LogisticRegression(), n_estimators=5),
    "votes of a bag": BaggingClassifier(SVC(), 5, random_state=0),
    "predictions stacked": StackingClassifier(
        [("svc", SVC()), ("bayes", GaussianNB())], stack_method="predict"
    ),
    "neighbours' labels": LabelSpreading(kernel="knn", n_neighbors=5),
}

RARE = ("votes", "votes of a bag", "predictions stacked")  # few samples are won by questions alone
FOOLED_BY_GRADIENT = ("thresholds", "bits")  # where there are few cells, it finds all that there is


def attacked(model: Any, attack: str, n: int = 80, **params: Any) -> tuple[AdversarialGenerator, Any]:
    """The generator after its attack, and which samples keep their prediction."""
    generator = AdversarialGenerator(FrozenEstimator(model), attack=attack, eps=0.3, random_state=0, **params)
    some = X[200 : 200 + n]
    labels = model.predict(some)
    return generator, model.predict(generator.generate(some, labels)) == labels


@pytest.mark.parametrize(
    ("name", "params"),
    # every model with the defaults, and with one of the others by turns
    [
        pair
        for i, name in enumerate(SMOOTHED)
        for pair in ((name, {}), (name, ({"n_restarts": 2}, {"max_queries": 30})[i % 2]))
    ],
    ids=str,
)
def test_what_a_smoothed_gradient_does_not_fool_is_asked_about(name: str, params: dict[str, Any]) -> None:
    model = SMOOTHED[name].fit(X[:200], Y[:200])
    assert as_model(model).smoothed
    n = 200 if name in RARE and "n_restarts" not in params else 60
    generator, left = attacked(model, "auto", n, **params)
    by_gradient = attacked(model, "pgd", n, **{k: v for k, v in params.items() if k != "max_queries"})[1]
    asked = generator.n_queries_
    assert not asked[~by_gradient].any() and (asked[by_gradient] > 0).all()
    assert asked.max() <= min(100, generator.max_queries)
    assert not (left & ~by_gradient).any()
    # where restarts found all that a few questions would, these find nothing more
    assert left.mean() < by_gradient.mean() or name in FOOLED_BY_GRADIENT or "n_restarts" in params
    if not params:
        assert left.mean() <= attacked(model, "hopskipjump", n)[1].mean() + 0.07


def test_an_exact_gradient_is_the_whole_attack() -> None:
    model = LogisticRegression().fit(X[:200], Y[:200])
    generator, left = attacked(model, "auto")
    assert left.any() and generator.n_queries_ is None and not as_model(model).smoothed
