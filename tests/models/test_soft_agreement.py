"""How often differentiable copies say what their classifiers say, as the generator and the check-up tell."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model, check_model
from skhalfway.models._soft_agreement import soft_agreement

TREE = DecisionTreeClassifier(max_depth=4, random_state=0)
COPIED = {
    "linear": LogisticRegression(max_iter=200),
    "tree": TREE,
    "forest": RandomForestClassifier(10, random_state=0),
    "behind a step": make_pipeline(StandardScaler(), TREE),
    "boosted trees": AdaBoostClassifier(TREE, n_estimators=5, random_state=0),
    "neighbours": KNeighborsClassifier(),
}


@pytest.mark.parametrize("name", COPIED)
def test_measured_at_fit(name, load):
    X, y = load("iris")
    agreement = AdversarialGenerator(COPIED[name]).fit(X, y).soft_agreement_
    assert agreement == 1 if name == "linear" else 0.9 <= agreement <= 1


@pytest.mark.parametrize(
    ("source", "attack"), [(torch.nn.Linear(4, 3), "pgd"), (TREE, "tree"), (TREE, "hopskipjump")]
)
def test_none_where_no_copy_is_followed(source, attack, load):
    X, y = load("iris")
    X = X.astype(np.float32)
    assert AdversarialGenerator(source, attack=attack).fit(X, y).soft_agreement_ is None


def test_counts_what_differs():
    """One split at 0, moved by the soft copy's edge of .001 and by nothing else."""
    tree = DecisionTreeClassifier().fit([[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1])
    X, y = np.tile([[-1.0], [0.0005], [0.0008], [1.0]], (10, 1)), np.tile([0, 1, 1, 1], 10)
    assert AdversarialGenerator(FrozenEstimator(tree)).fit(X).soft_agreement_ == 0.5
    finding = check_model(tree, X, y).findings[0]
    assert finding.kind == "soft_copy" and "agrees with it on 50% of the samples" in finding.message
    assert finding.severity == "warning"
    assert AdversarialGenerator(FrozenEstimator(tree)).fit([[-1.0], [1.0]]).soft_agreement_ == 1


@pytest.mark.parametrize(("n_off", "severity"), [(20, "warning"), (12, "note"), (4, None)])
def test_how_seriously_a_copy_that_differs_is_taken(n_off, severity):
    """By the upper end of Wilson's interval of 90 samples: below .9, below .95, or above."""
    tree = DecisionTreeClassifier().fit([[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1])
    X = np.r_[np.full(45, -1.0), np.full(45 - n_off, 1.0), np.full(n_off, 0.0005)][:, None]
    findings = check_model(tree, X, np.r_[np.zeros(45, int), np.ones(45, int)]).findings
    assert [f.severity for f in findings if f.kind == "soft_copy"] == ([severity] if severity else [])


@pytest.mark.parametrize(("n", "n_asked"), [(10, 10), (500, 500), (501, 500), (1700, 500)])
def test_of_500_samples_at_most(n, n_asked):
    asked = []
    model = as_model(DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1]))
    model.predict = lambda X: asked.append(X[:, 0]) or np.zeros(len(X), dtype=int)
    samples = np.linspace(0, 1, n)[:, None]
    assert soft_agreement(model, samples) == pytest.approx(0.5, abs=0.1)
    assert len(asked[0]) == n_asked and asked[0][0] < 0.01 and asked[0][-1] > 0.99
