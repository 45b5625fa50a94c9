"""Distances along directions, against closed forms of linear and nearest-neighbour classifiers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway.boundaries._directions import adversarial_directions, legitimate_directions, random_directions
from skhalfway.boundaries._distances import (
    DIRECTIONS,
    InterBoundaryDistance,
    inter_boundary_distance,
    minimum_distance,
)
from skhalfway.models import NotDifferentiableError

X, Y = load_iris(return_X_y=True)
X = X + np.random.RandomState(0).normal(scale=1e-3, size=X.shape)  # no two samples are as near as each other
X2, Y2 = X[50:], np.array(["versicolor", "virginica"])[Y[50:] - 1]


@pytest.fixture(scope="module")
def lr():
    return LogisticRegression(max_iter=1000).fit(X, Y)


class BlackBox:
    """Answers of a classifier, and nothing else."""

    def __init__(self, inner):
        self.predict, self.classes_ = inner.predict, inner.classes_


def lengths(rows):
    return np.linalg.norm(np.asarray(rows, dtype=float).reshape(len(rows), -1), axis=1)


def module_of(lr, *, shape=(4,), dtype=torch.float64):
    """A torch module with the weights of a logistic regression, for samples of any shape."""
    linear = torch.nn.Linear(4, len(lr.classes_), dtype=dtype)
    linear.weight.data, linear.bias.data = (torch.tensor(w, dtype=dtype) for w in (lr.coef_, lr.intercept_))
    return torch.nn.Sequential(torch.nn.Flatten(), linear)


def shifted(lr, by):
    """The same classifier with its boundaries moved: decision values less ``by``."""
    moved = LogisticRegression().fit(X2, Y2)
    moved.coef_, moved.intercept_ = lr.coef_, lr.intercept_ - by
    return moved


def linear_distance(lr, X, directions):
    """Where a linear classifier's largest decision value is overtaken: margin over <w_own - w_other, d>."""
    values, slopes = X @ lr.coef_.T + lr.intercept_, directions @ lr.coef_.T
    own = values.argmax(axis=1)[:, None]
    margin = np.take_along_axis(values, own, 1) - values
    closing = slopes - np.take_along_axis(slopes, own, 1)
    reach = np.divide(margin, closing, out=np.full_like(margin, np.inf), where=closing > 0)
    return reach.min(axis=1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["sklearn", "module", "images"])
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_a_linear_classifier_in_closed_form(lr, dtype, kind, tol):
    d = random_directions(X, random_state=0)
    exact = linear_distance(lr, X, d)
    far = 10.0
    exact = np.where(exact > far, np.inf, exact)
    shape = (150, 1, 2, 2) if kind == "images" else X.shape
    estimator = lr if kind == "sklearn" else module_of(lr)
    found = minimum_distance(
        estimator, X.astype(dtype).reshape(shape), d.astype(dtype).reshape(shape), max_distance=far, tol=tol
    )
    assert found.shape == (150,) and found.dtype == np.float64
    np.testing.assert_array_equal(np.isinf(found), np.isinf(exact))
    met = np.isfinite(exact)
    assert 50 < met.sum() < 150
    np.testing.assert_allclose(found[met], exact[met], atol=far * tol + 1e-4 * (dtype == np.float32))


def test_halfway_to_the_nearest_of_another_label():
    """1-nearest neighbour of samples that have a label each: exactly halfway, whatever the scale."""
    x, y = X[::8], np.array([f"label {i}" for i in range(19)])
    apart = pairwise_distances(x) + np.diag(np.full(19, np.inf))
    for scale in (1, 1e-3, 1e3):
        knn = KNeighborsClassifier(1).fit(x * scale, y)
        found = minimum_distance(
            knn, x * scale, legitimate_directions(x * scale, y), max_distance=2 * scale, tol=1e-6
        )
        np.testing.assert_allclose(found / scale, apart.min(axis=1) / 2, atol=2e-6)


def test_a_row_of_zeros_leads_nowhere(lr):
    d = np.zeros_like(X)
    d[::2, 0] = -1
    found = minimum_distance(lr, X, d, max_distance=50)
    assert np.isinf(found[1::2]).all() and np.isfinite(found[::2]).any()


def test_predictions_a_sample(lr, monkeypatch):
    asked = []
    predict = LogisticRegression.predict
    monkeypatch.setattr(
        LogisticRegression, "predict", lambda self, X: asked.append(len(X)) or predict(self, X)
    )
    minimum_distance(lr, X, random_directions(X, random_state=0), max_distance=10)
    assert sum(asked) <= 24 * len(X)


@pytest.mark.parametrize("shape", [(4,), (2, 1, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_directions_to_the_nearest_of_another_label(shape, dtype):
    x = X.astype(dtype).reshape(-1, *shape)
    d = legitimate_directions(x, Y)
    assert d.shape == x.shape and d.dtype == dtype
    nearest = np.where(Y[:, None] == Y, np.inf, pairwise_distances(X)).argmin(axis=1)
    way = X[nearest] - X
    np.testing.assert_allclose(d.reshape(150, 4), way / lengths(way)[:, None], atol=1e-5)
    named = legitimate_directions(pd.DataFrame(X), np.array(list("xyz"))[Y])
    np.testing.assert_allclose(named, d.reshape(150, 4), atol=1e-5)


def test_no_direction_to_the_same_point():
    d = legitimate_directions([[0.0, 1], [0, 1], [0, 5]], [0, 1, 1])
    np.testing.assert_array_equal(d, [[0, 0], [0, 0], [0, -1]])


def test_adversarial_directions_of_a_linear_classifier():
    two = LogisticRegression().fit(X2, Y2)
    unit = two.coef_[0] / np.linalg.norm(two.coef_)
    expected = np.where(Y2[:, None] == "versicolor", unit, -unit)
    np.testing.assert_allclose(adversarial_directions(two, X2, Y2), expected, atol=1e-12)
    # far from the boundary the loss is flat in float32, but not its direction
    x = (X2 + 1e4 * -expected).astype(np.float32)
    d = adversarial_directions(module_of(LogisticRegression(C=100, max_iter=5000).fit(X, Y)), x * 100, Y[50:])
    np.testing.assert_allclose(lengths(d), 1, rtol=1e-5)
    assert d.dtype == np.float32


def test_random_directions_are_isotropic():
    d = random_directions(np.zeros((20000, 3)), random_state=1)
    np.testing.assert_allclose(lengths(d), 1)
    np.testing.assert_allclose(d.T @ d / len(d), np.eye(3) / 3, atol=0.01)
    np.testing.assert_allclose(d.mean(axis=0), 0, atol=0.01)
    # not only in the mean: in a plane no angle is preferred, the diagonals neither
    x, y = random_directions(np.zeros((20000, 2)), random_state=1).T
    assert abs(np.cos(4 * np.arctan2(y, x)).mean()) < 0.02
    images = random_directions(np.zeros((5, 1, 2, 3), np.float32), random_state=0)
    assert images.shape == (5, 1, 2, 3) and images.dtype == np.float32
    rng = np.random.RandomState(0)
    np.testing.assert_array_equal(images, random_directions(images, random_state=rng))
    assert (images != random_directions(images, random_state=rng)).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_parallel_boundaries_in_closed_form(direction):
    """Decision values that differ by b: the boundaries are b / |<w, d>| apart along d."""
    one = LogisticRegression().fit(X2, Y2)
    two = shifted(one, 0.5)
    result = inter_boundary_distance(one, two, X2, Y2, direction=direction, tol=1e-6, random_state=3)
    right = (one.predict(X2) == Y2) & (two.predict(X2) == Y2)
    np.testing.assert_array_equal(result.samples, np.flatnonzero(right))
    w = one.coef_[0]
    if direction == "legitimate":
        d = legitimate_directions(X2, Y2)
    elif direction == "adversarial":
        d = adversarial_directions(one, X2, Y2)
    else:
        d = random_directions(X2, random_state=3)
    slope = (d @ w)[right]
    assert result.max_distance == pytest.approx(np.linalg.norm(np.ptp(X2, axis=0)))
    atol = 2e-6 * result.max_distance
    for found, model in ((result.source, one), (result.target, two)):
        exact = -model.decision_function(X2[right]) / slope
        exact = np.where((exact < 0) | (exact > result.max_distance), np.inf, exact)
        np.testing.assert_allclose(found, exact, atol=atol)
    both = np.isfinite(result.source) & np.isfinite(result.target)
    assert both.any()
    np.testing.assert_allclose(result.inter_boundary[both], 0.5 / np.abs(slope[both]), atol=2 * atol)
    default = inter_boundary_distance(one, two, X2, Y2, direction=direction, random_state=3)
    np.testing.assert_allclose(default.source, result.source, atol=1.1e-4 * result.max_distance)
    if direction == "adversarial":
        assert both.all()
        np.testing.assert_allclose(result.medians.inter_boundary, 0.5 / np.linalg.norm(w), atol=2 * atol)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_model_and_itself(lr, direction):
    result = inter_boundary_distance(lr, lr, X, Y, direction=direction, random_state=0)
    np.testing.assert_array_equal(result.source, result.target)
    assert result.medians.inter_boundary == 0 and len(result) == (lr.predict(X) == Y).sum()


def test_equals_except_along_gradients(lr):
    tree = BlackBox(DecisionTreeClassifier(random_state=0).fit(X, Y))
    for direction in ("legitimate", "random"):
        one, two = (
            inter_boundary_distance(*pair, X, Y, direction=direction, random_state=0, max_distance=3)
            for pair in ((lr, tree), (tree, lr))
        )
        np.testing.assert_array_equal(one.inter_boundary, two.inter_boundary)
        np.testing.assert_array_equal(one.source, two.target)
    # predictions of the target are enough
    assert len(inter_boundary_distance(lr, tree, X, Y, direction="adversarial")) > 100
    with pytest.raises(TypeError, match="model 'source': BlackBox has no gradient"):
        inter_boundary_distance(tree, lr, X, Y, direction="adversarial")
    with pytest.raises(NotDifferentiableError, match="BlackBox has no gradient"):
        adversarial_directions(tree, X, Y)


def test_relabelled_and_converted_models_agree(lr):
    names = np.array(["setosa", "versicolor", "virginica"])
    frame = pd.DataFrame(X, columns=list("abcd"))
    first = inter_boundary_distance(lr, SVC().fit(X, Y), X, Y)
    relabelled = inter_boundary_distance(
        LogisticRegression(max_iter=1000).fit(frame, names[Y]), SVC().fit(frame, names[Y]), frame, names[Y]
    )
    np.testing.assert_array_equal(first.source, relabelled.source)
    np.testing.assert_array_equal(first.target, relabelled.target)
    module = module_of(lr)
    modules = inter_boundary_distance(module, module, X, Y)
    np.testing.assert_allclose(modules.source, inter_boundary_distance(lr, lr, X, Y).source, atol=1e-6)


def test_samples_without_a_direction_do_not_count(lr):
    x, y = np.vstack([X, X[:1]]), np.append(Y, 2)
    assert lr.predict(X[:1]) == 0
    result = inter_boundary_distance(lr, lr, x, y)
    assert 0 not in result.samples and 150 not in result.samples and 1 in result.samples


def test_unmet_boundaries():
    inf = np.inf
    result = InterBoundaryDistance(
        "random", 5, np.array([2, 3, 5, 8]), np.array([1, inf, 2, inf]), np.array([1.5, 3, inf, inf])
    )
    np.testing.assert_array_equal(result.inter_boundary, [0.5, inf, inf, np.nan])
    assert result.medians == (inf, inf, inf)
    frame = result.to_frame()
    assert frame.index.tolist() == [2, 3, 5, 8] and frame.loc[2].tolist() == [1, 1.5, 0.5]
    few = InterBoundaryDistance("random", 5, np.arange(3), np.array([1, 2, inf]), np.array([2, 4, inf]))
    assert few.medians == (2, 4, 1.5)
    assert repr(few).splitlines() == [
        "InterBoundaryDistance: 3 samples, random directions",
        "                          median distance",
        "to the source's boundary  2",
        "to the target's boundary  4",
        "between both              1.5",
    ]
    with pytest.raises(FrozenInstanceError):
        few.source = 1
    with pytest.raises(ValueError, match="read-only"):
        few.source[0] = 1
    with pytest.raises(ValueError, match="target must have one value for each of 3 samples"):
        InterBoundaryDistance("random", 5, np.arange(3), np.ones(3), np.ones(2))


def test_no_sample_that_both_classify_right(lr):
    wrong = DummyClassifier(strategy="constant", constant=0).fit(X, Y)
    with pytest.warns(UndefinedMetricWarning, match="is nan: source and target classify no sample right"):
        result = inter_boundary_distance(lr, wrong, X[50:], Y[50:], max_distance=3)
    assert len(result) == 0 and np.isnan(result.medians).all() and "0 samples" in repr(result)
    # one that never changes its answer has no boundary to meet
    with pytest.warns(UndefinedMetricWarning, match="neither boundary is met within max_distance=3"):
        constant = inter_boundary_distance(wrong, wrong, X, Y, max_distance=3)
    assert len(constant) == 50 and np.isinf(constant.source).all()
    assert np.isnan(constant.medians.inter_boundary) and constant.medians.source == np.inf


ONES = np.tile([1.0, 0, 0, 0], (150, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"directions": 2 * ONES},
            "must have length 1, but 150 of 150 have not; the first is row 0, of length 2; divide",
        ),
        ({"directions": ONES[:-1]}, r"directions must be shaped like X, \(150, 4\), got \(149, 4\)"),
        ({"directions": np.full((150, 4), np.nan)}, "directions contains NaN"),
        ({"max_distance": 0}, "max_distance must be a finite number > 0, got 0"),
        ({"max_distance": np.inf}, "max_distance must be a finite number > 0, got inf"),
        ({"max_distance": True}, "max_distance must be a finite number > 0, got True"),
        ({"tol": 0}, r"tol must be a number in \(0, 1\], got 0"),
        ({"X": X[:, :3]}, "expecting 4 features"),
        ({"X": np.where(X > 7, np.nan, X)}, "missing value"),
        ({"X": pd.DataFrame(X).assign(kind="a")}, "columns of categories"),
    ],
)
def test_what_minimum_distance_refuses(lr, change, message):
    given = {"X": X, "directions": ONES, "max_distance": 1} | change
    with pytest.raises(ValueError, match=message):
        minimum_distance(lr, **given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"direction": "any"}, ValueError, "direction must be one of .*'legitimate'.*, got 'any'"),
        ({"max_distance": -1}, ValueError, "max_distance must be a finite number > 0, got -1"),
        ({"tol": 2}, ValueError, "tol must be"),
        ({"y": np.append(Y[:-1], 7)}, ValueError, r"not among the classes \[0, 1, 2\]: \[7\]"),
        ({"y": Y[:-1]}, ValueError, "one label per sample"),
        ({"y": np.zeros(150, int)}, ValueError, r"at least 2 classes.*only \[0\]"),
        ({"X": X[[0] * 150]}, ValueError, "the same point.*pass max_distance"),
        ({"target": LogisticRegression()}, NotFittedError, "model 'target'"),
        ({"target": 3}, TypeError, "model 'target'"),
        ({"target": LogisticRegression().fit(X2, Y2)}, ValueError, "same classes_"),
        ({"target": LogisticRegression().fit(X[:, :2], Y)}, ValueError, "different numbers of features"),
    ],
)
def test_what_inter_boundary_distance_refuses(lr, change, error, message):
    given = {"source": lr, "target": lr, "X": X, "y": Y} | change
    with pytest.raises(error, match=message):
        inter_boundary_distance(**given)
