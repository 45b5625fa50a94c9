"""halfway_score: its formula, what it says of good and bad classifiers, its use as scoring."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway.halfway import crossings, halfway_score, sample_pairs


def test_formula(iris, iris_models):
    X, y = iris
    rng = np.random.RandomState(0)
    pairs = sample_pairs(X, y, n_pairs=500, random_state=rng)
    within = sample_pairs(X, y, pairs="within", n_pairs=500, random_state=rng)
    middle = (X[within[:, 0]] + X[within[:, 1]]) / 2
    for model in iris_models.values():
        found = crossings(model, X[pairs[:, 0]], X[pairs[:, 1]])
        counts = [
            (1 - 2 * abs(t - 0.5)) ** 2 / n
            for t, n, start, end in zip(
                found.position, found.n_changes, found.start_class, found.end_class, strict=True
            )
            if start != end
        ]
        kept = np.mean(model.predict(middle) == y[within[:, 0]])
        np.testing.assert_allclose(halfway_score(model, X, y), np.mean(counts) * kept)


# two samples of each class at the ends of a line
X_LINE, Y_LINE = np.array([[0.0], [1e-6], [1.0], [1 + 1e-6]]), np.array(["a", "a", "b", "b"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: x > 0.5, 1.0),
        (lambda x: x > 0.25, 0.25),
        (lambda x: x > 0.875, 1 / 16),
        (lambda x: (x > 0.3) & (x < 0.6), 0.0),
        (lambda x: x < -1, 0.0),
        # from 0 it is met at 1/2, from 1 at .9; three changes each
        (lambda x: (x > 0.5) & ~((x > 0.7) & (x < 0.9)), (1 + 0.2**2) / 2 / 3),
        # right way round on no sample, so halfway between two of a class too
        (lambda x: x < 0.5, 0.0),
    ],
)
def test_known_boundaries(rule, answer, expected):
    model = rule(lambda X: answer(X[:, 0]), classes=("a", "b"))
    found = halfway_score(model, X_LINE, Y_LINE, n_pairs=4, tol=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_halfway_between_two_of_a_class_counts(rule):
    """The ends of class a at -1 and 1 surround b at 0: halfway between them lies the other class."""
    X, y = np.array([[-1.0], [1], [-0.1], [0.1]]), np.array([0, 0, 1, 1])
    ring = rule(lambda X: np.abs(X[:, 0]) < 0.5)
    assert 0.2 < halfway_score(ring, X, y, n_pairs=4) < 0.5, "half of the pairs of one class keep their label"


def test_neighbours_of_two_points_are_best_and_a_constant_worst():
    assert halfway_score(KNeighborsClassifier(1).fit(X_LINE, Y_LINE), X_LINE, Y_LINE, n_pairs=4) > 0.99
    assert halfway_score(DummyClassifier().fit(X_LINE, Y_LINE), X_LINE, Y_LINE, n_pairs=4) == 0


def test_it_prefers_what_generalises_with_no_data_held_out():
    X, y = load_digits(return_X_y=True)
    X_train, y_train = X[:600], y[:600]
    everything = np.arange(600)
    search = GridSearchCV(
        SVC(), {"gamma": [1e-5, 1e-3, 1e-1]}, scoring=halfway_score, cv=[(everything, everything)]
    ).fit(X_train, y_train)
    tested = [SVC(gamma=gamma).fit(X_train, y_train).score(X[600:], y[600:]) for gamma in (1e-5, 1e-3, 1e-1)]
    assert search.best_index_ == np.argmax(tested) == 1
    tree = DecisionTreeClassifier(random_state=0).fit(X_train, y_train)
    assert halfway_score(tree, X_train, y_train) < search.best_score_ - 0.2


def test_seeds(iris, iris_models):
    X, y = iris
    tree = iris_models["tree"]
    assert halfway_score(tree, X, y) == halfway_score(tree, X, y, random_state=0)
    others = {halfway_score(tree, X, y, random_state=seed) for seed in range(5)}
    assert len(others) > 1 and np.ptp(list(others)) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_pairs": 0}, "n_pairs must be an integer >= 1"),
        ({"n_pairs": 10**7}, "there are only 15000 pairs"),
        ({"n_pairs": 14900}, "pairs='within'"),
        ({"tol": -1}, "tol must be a number"),
        ({"y": np.zeros(150)}, "at least 2 classes"),
        ({"y": np.full(150, 5)}, "not among the classes"),
        ({"X": np.ones((150, 2))}, "X has 2 features"),
        ({"X": np.full((150, 4), np.nan)}, "X contains NaN"),
    ],
)
def test_errors(iris, iris_models, change, message):
    with pytest.raises(ValueError, match=message):
        halfway_score(iris_models["svm"], **({"X": iris[0], "y": iris[1]} | change))
