"""Crossings: closed forms, invariances, what is asked of models, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import _blocks
from skhalfway.boundaries._paths import trace_all
from skhalfway.halfway import crossings
from skhalfway.models import as_model


def points(n, d, seed=0, scale=1.0):
    rng = np.random.RandomState(seed)
    return scale * rng.standard_normal((n, d)), scale * rng.standard_normal((n, d))


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("estimator", [LogisticRegression(), LinearSVC(), RidgeClassifier()])
def test_linear_models_cross_where_the_decision_is_zero(estimator, tol):
    X = np.random.RandomState(1).standard_normal((80, 5))
    model = estimator.fit(X, X[:, 0] + X[:, 1] ** 2 > 0.5)
    A, B = points(300, 5, scale=2.0)
    a, b = model.decision_function(A), model.decision_function(B)
    result = crossings(model, A, B, tol=tol)
    cross = (a > 0) != (b > 0)
    assert 50 < cross.sum() < 250
    np.testing.assert_array_equal(np.isnan(result.position), ~cross)
    np.testing.assert_array_equal(result.n_changes, cross)
    assert np.abs(result.position - a / (a - b))[cross].max() <= tol
    np.testing.assert_array_equal(result.start_class, model.predict(A))
    np.testing.assert_array_equal(result.end_class, model.predict(B))
    np.testing.assert_array_equal(result.next_class, model.predict(B))


def test_sphere(rule):
    """From the centre out, the crossing is at radius over length; right through, it is met twice."""
    ball = rule(lambda X: (X**2).sum(axis=1) > 1)
    B = 3 * points(50, 4)[0]
    B = B[np.linalg.norm(B, axis=1) > 1.5]
    out = crossings(ball, np.zeros_like(B), B, tol=1e-4)
    np.testing.assert_allclose(out.position, 1 / np.linalg.norm(B, axis=1), atol=1e-4)
    start = -4 * B / np.linalg.norm(B, axis=1)[:, None]
    through = crossings(ball, start, B, tol=1e-4)
    assert (through.n_changes == 2).all() and (through.next_class == 0).all()
    assert (through.start_class == 1).all() and (through.end_class == 1).all()
    np.testing.assert_allclose(through.position * (4 + np.linalg.norm(B, axis=1)), 3, atol=2e-3)


def test_one_nearest_neighbour_crosses_halfway():
    """Two points alone, and nearest centroids: the boundary is the perpendicular bisector."""
    rng = np.random.RandomState(0)
    for _ in range(20):
        X = rng.standard_normal((2, 6))
        neighbour = KNeighborsClassifier(1).fit(X, [0, 1])
        centroid = NearestCentroid().fit(X[[0, 0, 1, 1]] + [[1e-9], [-1e-9]] * 2, [0, 0, 1, 1])
        for model in (neighbour, centroid):
            assert abs(crossings(model, X[:1], X[1:], tol=1e-5).position[0] - 0.5) <= 1e-5


def test_one_nearest_neighbour_among_many_is_where_another_is_as_near():
    """Brute force: the first t at which the nearest of all training samples is of another class."""
    rng = np.random.RandomState(3)
    X, y = rng.standard_normal((40, 3)), rng.randint(3, size=40)
    i, j = rng.permutation(40)[:2][:, None], rng.permutation(40)[2:4][:, None]
    t = np.linspace(0, 1, 20001)[:, None]
    for a, b in zip(X[i[:, 0]], X[j[:, 0]], strict=True):
        path = (1 - t) * a + t * b
        labels = y[((path[:, None] - X) ** 2).sum(axis=2).argmin(axis=1)]
        lasts = np.diff(np.flatnonzero(np.diff(labels)) / 20000)
        assert (lasts > 1 / 16).all(), "classes too thin for the grid: another seed"
        found = crossings(KNeighborsClassifier(1).fit(X, y), a[None], b[None], tol=1e-4)
        changed = labels != labels[0]
        expected = t[changed.argmax(), 0] if changed.any() else np.nan
        np.testing.assert_allclose(found.position[0], expected, atol=2e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-3, 1.0, 1e3]), shift=st.floats(-5, 5))
def test_invariances(seed, scale, shift):
    A, B = points(40, 3, seed)
    weights = np.random.RandomState(seed + 1).standard_normal(3)

    class Half:
        classes_ = np.array([0, 1])

        def __init__(self, scale=1.0, shift=0.0, classes=(0, 1)):
            self.scale, self.shift, self.classes_ = scale, shift, np.array(classes)

        def predict(self, X):
            return self.classes_[((X - self.shift) / self.scale @ weights > 0.1).astype(int)]

    plain = crossings(Half(), A, B)
    swapped = crossings(Half(), B, A)
    np.testing.assert_allclose(swapped.position, 1 - plain.position, atol=1e-3)
    np.testing.assert_array_equal(swapped.n_changes, plain.n_changes)
    np.testing.assert_array_equal(swapped.start_class, plain.end_class)
    moved = crossings(Half(scale, shift), scale * A + shift, scale * B + shift)
    np.testing.assert_allclose(moved.position, plain.position, atol=1e-3)
    named = crossings(Half(classes=("no", "yes")), A, B)
    np.testing.assert_array_equal(named.position, plain.position)
    np.testing.assert_array_equal(named.next_class == "yes", plain.next_class == 1)


def test_third_class_on_the_way(rule):
    bands = rule(lambda X: np.digitize(X[:, 0], [0.25, 0.7]), classes=("a", "b", "c"))
    result = crossings(bands, [[0.0], [1.0], [0.3]], [[1.0], [0.0], [0.4]])
    np.testing.assert_allclose(result.position, [0.25, 0.3, np.nan], atol=1e-3)
    assert result.n_changes.tolist() == [2, 2, 0]
    assert result.next_class.tolist() == ["b", "b", "b"]


def test_a_model_that_never_changes_its_answer(iris):
    X, y = iris
    result = crossings(DummyClassifier().fit(X, y), X[:5], X[60:65])
    assert np.isnan(result.position).all() and (result.n_changes == 0).all()
    np.testing.assert_array_equal(result.next_class, result.start_class)


@pytest.mark.parametrize(("tol", "exactly"), [(1e-3, 23), (1e-2, 20), (1.0, 17)])
def test_predictions_asked_of_a_pair(rule, tol, exactly):
    asked = []
    half = rule(lambda X: asked.append(X[:, 0]) or X[:, 0] > 0.3)
    A, B = np.zeros((50, 2)), np.ones((50, 2))
    crossings(half, A, B, tol=tol)
    assert sum(map(len, asked)) == exactly * 50
    assert len(asked) == 1 + exactly - 17, "all pairs are asked for at once"
    np.testing.assert_array_equal(asked[0].reshape(50, 17), np.tile(np.arange(17) / 16, (50, 1)))


def test_ends_are_asked_for_as_they_are(rule):
    """(1 - t) a + t b must be b at 1 to the last digit, on which a split may depend."""
    A, B = points(200, 3, seed=5)
    edge = {tuple(row) for row in B} | {tuple(row) for row in A}
    seen = []
    crossings(rule(lambda X: seen.append(X) or X[:, 0] > 0), A, B, tol=1.0)
    assert edge <= {tuple(row) for row in seen[0]}


def test_many_pairs_go_in_blocks(rule, monkeypatch):
    half = rule(lambda X: X[:, 0] > 0)
    A, B = points(101, 4)
    whole = crossings(half, A, B)
    monkeypatch.setattr(_blocks, "_MAX_VALUES", 17 * 4 * 10)
    assert crossings(half, A, B) == whole


@pytest.mark.parametrize(
    "make",
    [
        lambda X, y: RandomForestClassifier(10, random_state=0).fit(X, y),
        lambda X, y: SVC().fit(X, y.astype(str)),
        lambda X, y: SVC().fit(pd.DataFrame(X, columns=list("abcd")), y),
        lambda X, y: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)),
    ],
    ids=["forest", "text labels", "named columns", "torch"],
)
def test_any_classifier_and_container(iris, make):
    X, y = iris
    model = make(X, y)
    names = list("abcd")
    A, B = pd.DataFrame(X[:20], columns=names), pd.DataFrame(X[100:120], columns=names)
    if not hasattr(model, "feature_names_in_"):
        A, B = A.to_numpy(), B.to_numpy()
    result = crossings(model, A, B)
    if isinstance(model, nn.Module):
        again = crossings(model, torch.tensor(A), torch.tensor(B))
        np.testing.assert_array_equal(again.position, result.position)
    else:
        np.testing.assert_array_equal(result.start_class, model.predict(A))
    assert len(result) == 20
    assert list(result.to_frame().columns) == [
        "position", "n_changes", "next_class", "start_class", "end_class"
    ]  # fmt: skip


def test_images():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(3 * 36, 4))
    rng = np.random.RandomState(0)
    A, B = rng.standard_normal((2, 30, 1, 8, 8)) * 4
    flat = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *net)
    images, rows = crossings(net, A, B), crossings(flat, A.reshape(30, -1), B.reshape(30, -1))
    np.testing.assert_array_equal(images.position, rows.position)
    assert np.isfinite(images.position).any()


def test_a_narrow_island_of_a_tree_is_seen():
    """Between .31 and .3101, where no point of the grid lies: from both sides, and between ends alike."""
    X = np.array([[0.0], [0.30995], [0.31005], [0.31015], [0.7], [0.9]])
    tree = DecisionTreeClassifier(random_state=0).fit(X, list("aabacc"))
    result = crossings(tree, [[0.0], [1.0], [0.0], [0.5]], [[1.0], [0.0], [0.4], [0.0]])
    np.testing.assert_allclose(result.position, [0.31, 0.495, 0.31 / 0.4, (0.5 - 0.3101) / 0.5], atol=1e-3)
    assert result.next_class.tolist() == ["b", "a", "b", "b"]
    assert result.n_changes.tolist() == [1, 1, 0, 0]


TREES = [
    DecisionTreeClassifier(random_state=0),
    ExtraTreesClassifier(10, random_state=0),
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=20, random_state=0),
    HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=3, random_state=0),
    AdaBoostClassifier(DecisionTreeClassifier(max_depth=4), n_estimators=10, random_state=0),
    BaggingClassifier(random_state=0),
    make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)),
]


@pytest.mark.parametrize("estimator", TREES, ids=lambda one: type(one).__name__)
def test_crossings_of_trees_are_the_first(estimator, monkeypatch):
    """Never later than on a grid of 4,096, and the model says so itself just behind."""
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, 20:26] / X[:, 20:26].std(axis=0)
    y = y ^ (np.random.RandomState(1).uniform(size=len(y)) < 0.2)  # islands
    model = estimator.fit(X[::2], y[::2])
    pairs = np.random.RandomState(0).permutation(len(X))[:160].reshape(2, 80)
    A, B = X[pairs]
    A[:, 2] = B[:, 2]  # a column that stays
    asked = 0
    predict = type(model).predict

    def counting(self, points):
        nonlocal asked
        asked += len(points) if self is model else 0
        return predict(self, points)

    monkeypatch.setattr(type(model), "predict", counting)
    found = crossings(model, A, B)
    monkeypatch.undo()
    assert asked < 27 * len(A)
    on_grid = trace_all([as_model(SeenOnly(model))], A, B, 1e-3)[0].position
    seen, late = np.nan_to_num(found.position, nan=2), np.nan_to_num(on_grid, nan=2)
    assert (seen <= late + 1e-3).all() and (seen < late - 1e-3).any()
    steps = np.linspace(0, 1, 4097)[:, None, None]
    # of a column that stays, which may be a threshold itself, rounding would make others
    labels = model.predict((A + steps * (B - A)).reshape(-1, 6)).reshape(4097, -1)
    changed = labels != labels[0]
    first = np.where(changed.any(axis=0), changed.argmax(axis=0) / 4096, 2)
    assert (seen <= first + 1e-3).all()
    # where it is earlier than on that grid, the stretch is narrow: ask on both sides of where it begins
    for row in np.flatnonzero(seen < first - 1e-3):
        near = seen[row] + np.linspace(-1, 1, 20001)[:, None] / 4096
        assert (model.predict(A[row] + near * (B[row] - A[row])) != labels[0, row]).any()
    monkeypatch.setattr(_blocks, "_MAX_VALUES", 3000)
    assert crossings(model, A, B) == found


class SeenOnly:
    """A classifier of which nothing is known but its answers."""

    def __init__(self, model):
        self.model, self.classes_ = model, model.classes_

    def predict(self, X):
        return self.model.predict(X)


def test_the_model_itself_has_the_last_word():
    """Trees that are not what the model answers by move nothing."""

    class Other(DecisionTreeClassifier):
        def predict(self, X):
            return self.classes_[(X[:, 0] > 0.625).astype(int)]

    X = np.linspace(0, 1, 50)[:, None]
    found = crossings(Other().fit(X, np.arange(50) % 2), [[0.0], [1.0]], [[1.0], [0.0]])
    np.testing.assert_allclose(found.position, [0.625, 0.375], atol=1e-3)


def test_result_is_read_only(iris, iris_models):
    result = crossings(iris_models["lr"], iris[0][:3], iris[0][60:63])
    with pytest.raises(ValueError, match="read-only"):
        result.position[0] = 0
    with pytest.raises(AttributeError):
        result.position = 0


NAN = np.array([[np.nan, 1, 1, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"B": "A"}, "same point in 5 of 5 pairs, first in row 0"),
        ({"B": "short"}, r"same shape, with a row for each pair; got \(5, 4\) and \(4, 4\)"),
        ({"A": "wide"}, "A has 5 features|X has 5 features"),
        ({"A": "nan"}, "A contains NaN"),
        ({"B": "nan"}, "B contains NaN"),
        ({"tol": 0}, r"tol must be a number in \(0, 1\], got 0"),
        ({"tol": 1.5}, r"tol must be a number in \(0, 1\], got 1.5"),
        ({"tol": "1"}, "tol must be a number"),
        ({"tol": True}, "tol must be a number"),
    ],
)
def test_errors(iris, iris_models, change, message):
    X = iris[0]
    made = {"A": X[:5], "B": X[60:65], "tol": 1e-3}
    bad = {
        "A": X[:5],
        "short": X[60:64],
        "wide": np.ones((5, 5)),
        "nan": np.concatenate([X[100:104], NAN]),
    }
    for name, value in change.items():
        made[name] = bad.get(value, value) if isinstance(value, str) and name != "tol" else value
    with pytest.raises(ValueError, match=message):
        crossings(iris_models["lr"], made["A"], made["B"], tol=made["tol"])


def test_categories_have_no_halfway(iris_models):
    frame = pd.DataFrame({"a": [1.0, 2.0], "town": ["x", "y"]})
    with pytest.raises(ValueError, match=r"A has columns of categories, \['town'\]"):
        crossings(iris_models["lr"], frame, frame)


def test_not_a_classifier(iris):
    with pytest.raises(TypeError, match="a fitted classifier"):
        crossings("model", iris[0][:5], iris[0][60:65])
