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
    pairs = sample_pairs(X, y, n_pairs=500, random_state=0)
    for model in iris_models.values():
        found = crossings(model, X[pairs[:, 0]], X[pairs[:, 1]])
        expected = [
            (1 - 2 * abs(t - 0.5)) ** 2 / n if start != end else 0.0
            for t, n, start, end in zip(
                found.position, found.n_changes, found.start_class, found.end_class, strict=True
            )
        ]
        np.testing.assert_allclose(halfway_score(model, X, y), np.mean(expected))


def test_known_boundaries(rule):
    X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    for position, expected in [(0.5, 1.0), (0.25, 0.25), (0.75, 0.25), (0.125, 1 / 16)]:
        model = rule(lambda X, position=position: X[:, 0] > position)
        np.testing.assert_allclose(halfway_score(model, X, y, n_pairs=2, tol=1e-6), expected, atol=1e-5)
    there_and_back = rule(lambda X: (X[:, 0] > 0.3) & (X[:, 0] < 0.6))
    assert halfway_score(there_and_back, X, y, n_pairs=2) == 0
    thrice = rule(lambda X: (X[:, 0] > 0.5) & ~((X[:, 0] > 0.7) & (X[:, 0] < 0.9)))
    # from 0 it meets 1/2, from 1 it meets 0.9; three changes each
    np.testing.assert_allclose(
        halfway_score(thrice, X, y, n_pairs=2, tol=1e-6), (1 + 0.2**2) / 2 / 3, atol=1e-5
    )


def test_a_constant_is_worst_and_neighbours_of_two_points_best():
    X, y = np.array([[0.0, 0], [1, 1]]), np.array(["a", "b"])
    assert halfway_score(KNeighborsClassifier(1).fit(X, y), X, y, n_pairs=2) == pytest.approx(1, abs=5e-3)
    assert halfway_score(DummyClassifier().fit(X, y), X, y, n_pairs=2) == 0


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
