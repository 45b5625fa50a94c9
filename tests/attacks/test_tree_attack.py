"""The nearest adversarial points of trees, against brute force and the libraries' own predictions."""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.preprocessing import scale
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skhalfway._inputs import category_codes
from skhalfway._streams import Streams
from skhalfway.attacks import _trees
from skhalfway.attacks._tree_cells import Cells
from skhalfway.attacks._tree_moves import TreeTask
from skhalfway.attacks._trees import nearest_adversarial
from skhalfway.models import as_model
from skhalfway.models._tree_arrays import Tree, join
from skhalfway.models._tree_parsers import tree_ensemble

NORMS = [np.inf, 2, 1]
each_norm = pytest.mark.parametrize("norm", NORMS)


@pytest.fixture(params=["boxes", "search"])
def way(request, monkeypatch):
    """Both ways to deal with few trees: all boxes in which they are constant, and the search of many."""
    if request.param == "search":
        monkeypatch.setattr(_trees, "_BOXES", 0)
    return request.param


@cache
def data(name):
    """Samples, labels and bounds."""
    if name == "breast":
        X, y = load_breast_cancer(return_X_y=True)
        return scale(X)[:300], y[:300], -np.inf, np.inf
    if name == "iris":
        X, y = load_iris(return_X_y=True)
        return X, y, 0.0, 8.0
    X, y = load_digits(return_X_y=True)
    return X[:400] / 16, y[:400], 0.0, 1.0


@cache
def plane():
    """Three classes on a plane, overlapping."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    return X, (X[:, 0] + 0.3 * rng.normal(size=150) > 0).astype(int) + (X[:, 1] > 0.5)


def attack(classifier, X, norm, low=-np.inf, high=np.inf, *, labels=None, **options):
    model = as_model(classifier)
    labels = model.predict(X) if labels is None else labels
    return nearest_adversarial(
        tree_ensemble(classifier), model.predict, X, labels, norm, low, high, **options,
    )  # fmt: skip


def distance(X_adv, X, norm):
    return np.linalg.norm((X_adv - X).astype(float), norm, axis=1)


def leaf_boxes(tree):
    """Bounds and class of each leaf, by a walk from the root."""
    stack = [(0, np.full(tree.n_features, -np.inf), np.full(tree.n_features, np.inf))]
    while stack:
        node, low, high = stack.pop()
        if tree.children_left[node] < 0:
            yield low, high, tree.value[node, 0].argmax()
            continue
        f, t = tree.feature[node], tree.threshold[node]
        below, above = high.copy(), low.copy()
        below[f], above[f] = min(high[f], t), max(low[f], t)
        stack += [(tree.children_left[node], low, below), (tree.children_right[node], above, high)]


def distance_by_hand(tree, x, eligible, norm, low, high):
    best = np.inf
    for bottom, top, label in leaf_boxes(tree):
        bottom, top = np.maximum(bottom, low), np.minimum(top, high)
        if eligible(label) and (bottom < top).all():
            best = min(best, np.linalg.norm(np.clip(x, bottom, top) - x, norm))
    return best


@each_norm
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["iris", "breast", "digits"])
@pytest.mark.parametrize("kind", [DecisionTreeClassifier, ExtraTreeClassifier])
def test_a_single_tree_is_solved(kind, name, dtype, norm):
    X, y, low, high = data(name)
    tree = kind(random_state=0).fit(X[::2], y[::2])
    X = X[1::12].astype(dtype)
    own = tree.predict(X)
    X_adv, found = attack(tree, X, norm, low, high)
    expected = [
        distance_by_hand(tree.tree_, x, lambda c, o=o: c != o, norm, low, high)
        for x, o in zip(X, own, strict=True)
    ]
    assert found.all()
    assert X_adv.dtype == dtype
    assert (tree.predict(X_adv) != own).all()
    np.testing.assert_allclose(distance(X_adv, X, norm), expected, rtol=1e-5, atol=2e-6)
    assert (X_adv >= low).all()
    assert (X_adv <= high).all()


@each_norm
def test_a_single_tree_is_solved_for_a_target(norm):
    X, y, low, high = data("digits")
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    X = X[:40]
    target = (tree.predict(X) + 3) % 10
    X_adv, found = attack(tree, X, norm, low, high, labels=target, targeted=True)
    expected = [
        distance_by_hand(tree.tree_, x, lambda c, t=t: c == t, norm, low, high)
        for x, t in zip(X, target, strict=True)
    ]
    assert found.all()
    np.testing.assert_array_equal(tree.predict(X_adv), target)
    np.testing.assert_allclose(distance(X_adv, X, norm), expected, rtol=1e-5, atol=2e-6)


@each_norm
@pytest.mark.parametrize("n_trees", [1, 12])
def test_no_point_of_a_fine_grid_is_nearer(n_trees, norm, way):
    X, y = plane()
    forest = RandomForestClassifier(n_trees, random_state=0).fit(X, y)
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-3, 3, 301)]), axis=-1).reshape(-1, 2)
    X = X[:20]
    X_adv, found = attack(forest, X, norm)
    assert found.all()
    of_grid = forest.predict(grid)
    nearest = [
        distance(grid[of_grid != own], x, norm).min() for x, own in zip(X, forest.predict(X), strict=True)
    ]
    ours = distance(X_adv, X, norm)
    # a search among several trees may miss a point
    assert (ours > np.array(nearest) + 1e-6).mean() <= (0 if n_trees == 1 or way == "boxes" else 0.1)
    assert ours.mean() <= np.mean(nearest)


@each_norm
def test_all_cells_of_a_small_forest(norm, way):
    """The optimum, which brute force knows: the nearest point of each cell; by a search, nearly always."""
    X, y = data("iris")[:2]
    X = X[:, [0, 2, 3]]
    forest = RandomForestClassifier(9, max_depth=5, random_state=0).fit(X, y)
    ensemble = tree_ensemble(forest)
    X = X[::14]
    own = forest.predict(X)
    thresholds = [np.unique(ensemble.threshold[ensemble.feature == f]) for f in range(3)]
    inside = [np.concatenate([[t[0] - 1], (t[:-1] + t[1:]) / 2, [t[-1] + 1]]) for t in thresholds]
    labels = forest.predict(np.array(list(product(*inside)))).reshape([len(c) for c in inside])
    optimum = []
    for x, label in zip(X, own, strict=True):
        sides = [
            np.maximum(np.append(-np.inf, t) - v, 0) + np.maximum(v - np.append(t, np.inf), 0)
            for t, v in zip(thresholds, x, strict=True)
        ]
        away = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)[labels != label]
        optimum.append(np.linalg.norm(away, norm, axis=1).min())
    X_adv, found = attack(forest, X, norm, n_starts=40)
    ours = distance(X_adv, X, norm)
    assert found.all()
    assert (ours >= np.array(optimum) - 2e-6).all()
    assert (ours <= np.array(optimum) + 2e-6).mean() >= (1 if way == "boxes" else 0.95)
    assert ours.mean() <= 1.02 * np.mean(optimum)


class Drawn(Streams):
    """Streams that note whether anyone wanted some of them."""

    taken = False

    def take(self, rows):
        part, self.taken = super().take(rows), self.taken
        take = part._bits

        def bits(rows, n_values):
            self.taken = True
            return take(rows, n_values)

        part._bits = bits
        return part


@pytest.mark.parametrize(
    ("name", "n_trees", "searched"),
    [("iris", 1, False), ("iris", 3, False), ("iris", 60, False), ("breast", 3, False), ("breast", 60, True)],
)
def test_boxes_that_meet_in_few_ways_need_no_search(name, n_trees, searched):
    """What is found without one takes no random numbers."""
    X, y = data(name)[:2]
    forest = RandomForestClassifier(n_trees, max_depth=5, random_state=0).fit(X, y)
    own, streams = forest.predict(X[::30]), Drawn(0, np.arange(len(X[::30])))
    _, found = nearest_adversarial(
        tree_ensemble(forest), forest.predict, X[::30], own, 2, streams=streams, n_starts=1
    )
    assert found.all()
    assert streams.taken == searched


def library(name, classifier, **params):
    return getattr(pytest.importorskip(name), classifier)(**params)


ENSEMBLES = {
    "forest": lambda: RandomForestClassifier(20, random_state=0),
    "shallow forest": lambda: RandomForestClassifier(20, max_depth=4, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(20, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=8),
    "XGBoost": lambda: library("xgboost", "XGBClassifier", n_estimators=8, n_jobs=1),
    "LightGBM": lambda: library("lightgbm", "LGBMClassifier", n_estimators=8, verbose=-1, n_jobs=1),
    "CatBoost": lambda: library(
        "catboost",
        "CatBoostClassifier",
        iterations=8,
        depth=4,
        thread_count=1,
        verbose=0,
        allow_writing_files=False,
    ),
}


@cache
def fitted(name, data_name):
    return ENSEMBLES[name]().fit(*data(data_name)[:2])


@pytest.mark.parametrize(
    ("name", "data_name", "norm"),
    # every two of ensemble, data and norm
    [
        (name, ["breast", "digits"][(i + k) % 2], norm)
        for i, name in enumerate(ENSEMBLES)
        for k, norm in enumerate(NORMS)
    ],
)
def test_every_ensemble_is_fooled(name, data_name, norm):
    classifier, (X, _, low, high) = fitted(name, data_name), data(data_name)
    X = X[:8]
    own = np.ravel(classifier.predict(X))
    X_adv, found = attack(classifier, X, norm, low, high, n_starts=3)
    assert found.all()
    assert (np.ravel(classifier.predict(X_adv)) != own).all()
    assert (X_adv >= low).all()
    assert (X_adv <= high).all()
    # the samples themselves are adversarial points, of each other
    others = np.where(own[:, None] == own, np.inf, np.linalg.norm(X[:, None] - X, norm, axis=2)).min(axis=1)
    ours = distance(X_adv, X, norm)
    assert (ours <= others).all()
    assert np.median(ours) < 0.5 * np.median(others)


@each_norm
@pytest.mark.parametrize("name", ["forest", "histogram boosting"])
def test_never_further_than_the_first_search(name, norm):
    classifier, (X, _, low, high) = fitted(name, "digits"), data("digits")
    X = X[:30]
    first, more = (distance(attack(classifier, X, norm, low, high, n_starts=n)[0], X, norm) for n in (0, 5))
    assert (more <= first).all()
    assert more.mean() < 0.95 * first.mean()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ["forest", "histogram boosting", "XGBoost"])
def test_float_types(name, dtype):
    classifier, (X, _, low, high) = fitted(name, "digits"), data("digits")
    X = X[:10].astype(dtype)
    X_adv, found = attack(classifier, X, 2, low, high, n_starts=1)
    assert found.all()
    assert X_adv.dtype == dtype
    assert (classifier.predict(X_adv) != classifier.predict(X)).all()


def stump(feature, threshold, left, right):
    nodes = np.array([feature, -1, -1])
    value = np.array([[0.0], [left], [right]])
    children = np.array([[1, -1, -1], [2, -1, -1]])
    return Tree(nodes, np.array([threshold, np.nan, np.nan]), np.zeros(3, dtype=bool), *children, value)


@pytest.mark.parametrize("n_trees", [1, 3])
def test_thresholds_beyond_a_float_type_are_out_of_reach(n_trees, way):
    """Its largest number is 65504: no sample is moved to infinity."""
    column = np.array([[-2e5], [-1.0], [1.0], [2e5]])
    tree = DecisionTreeClassifier().fit(column, [1, 0, 2, 0])
    assert np.sort(tree.tree_.threshold[tree.tree_.feature == 0]).tolist() == [-100000.5, 0, 100000.5]
    stumps = [stump(0, -100000.5, 1, 0), stump(0, 0.0, 0, 0.4), stump(0, 100000.5, 0, 1)]
    ensemble = join(n_trees * stumps, baseline=-0.1)
    x = np.array([[-1.0], [60000.0]], dtype=np.float16)
    for trees, predict in ((tree_ensemble(tree), tree.predict), (ensemble, ensemble.predict)):
        x_adv, found = nearest_adversarial(trees, predict, x, predict(x), 2)
        assert found.all()
        np.testing.assert_array_equal(x_adv, np.array([[np.nextafter(np.float16(0), np.float16(1))], [0]]))


@each_norm
@pytest.mark.parametrize("name", ["forest", "histogram boosting"])
def test_targets(name, norm):
    classifier, (X, _, low, high) = fitted(name, "digits"), data("digits")
    X = X[:10]
    target = (classifier.predict(X) + 1) % 10
    X_adv, found = attack(classifier, X, norm, low, high, labels=target, targeted=True, n_starts=2)
    assert found.mean() >= 0.9
    np.testing.assert_array_equal(classifier.predict(X_adv) == target, found)
    np.testing.assert_array_equal(X_adv[~found], X[~found])
    untargeted = distance(attack(classifier, X, norm, low, high, n_starts=2)[0], X, norm)
    assert (distance(X_adv, X, norm)[found].mean()) > untargeted.mean()


@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_adversarial_stays(targeted):
    classifier, (X, _, low, high) = fitted("forest", "digits"), data("digits")
    X = X[:10]
    own = classifier.predict(X)
    labels = own if targeted else (own + 1) % 10
    X_adv, found = attack(classifier, X, 2, low, high, labels=labels, targeted=targeted)
    assert found.all()
    np.testing.assert_array_equal(X_adv, X)


@each_norm
@pytest.mark.parametrize("name", ["tree", "forest"])
def test_bounds_of_each_sample(name, norm):
    X, y = data("digits")[:2]
    classifier = (
        fitted("forest", "digits") if name == "forest" else DecisionTreeClassifier(random_state=0).fit(X, y)
    )
    X = X[:20]
    reach = np.random.default_rng(0).choice([0.0, 0.3], size=X.shape)
    reach[:5] = 0
    X_adv, found = attack(classifier, X, norm, X - reach, X + reach, n_starts=1)
    assert (np.abs(X_adv - X) <= reach + 1e-12).all()
    assert not found[:5].any()
    assert found[5:].mean() >= 0.5
    np.testing.assert_array_equal(classifier.predict(X_adv) != classifier.predict(X), found)


@each_norm
@pytest.mark.parametrize("name", ["tree", "forest"])
def test_units(name, norm):
    """To measure in units is to attack data in those units."""
    X, y = data("iris")[:2]
    # powers of two, so that no split moves by rounding
    unit = np.array([0.25, 1.0, 4.0, 2.0])
    kind = (
        DecisionTreeClassifier(random_state=0)
        if name == "tree"
        else RandomForestClassifier(8, random_state=0)
    )
    ours, _ = attack(clone(kind).fit(X, y), X[::5], norm, unit=unit)
    scaled, _ = attack(clone(kind).fit(X / unit, y), X[::5] / unit, norm)
    np.testing.assert_allclose(
        distance(ours / unit, X[::5] / unit, norm), distance(scaled, X[::5] / unit, norm), rtol=1e-5
    )


def mixed(n=300):
    rng = np.random.default_rng(0)
    colour, a, b = rng.choice(["red", "green", "blue"], n), *rng.normal(size=(2, n))
    y = (a + (colour == "red") - 0.5 * b > 0.3).astype(int)
    a[::7] = np.nan
    frame = pd.DataFrame({"a": a, "colour": pd.Categorical(colour), "b": b})
    return frame, np.stack([a, category_codes(colour), b], axis=1), y


@pytest.mark.parametrize("n_trees", [1, 15])
def test_missing_values_and_categories_stay(n_trees):
    frame, codes, y = mixed()
    classifier = HistGradientBoostingClassifier(max_iter=n_trees, min_samples_leaf=5, learning_rate=0.5).fit(
        frame, y
    )
    ensemble = tree_ensemble(classifier)
    assert ensemble.categories

    def predict(X):
        colours = dict(zip(codes[:, 1], frame["colour"], strict=True))
        column = pd.Categorical([colours[c] for c in X[:, 1]], categories=frame["colour"].cat.categories)
        return classifier.predict(pd.DataFrame({"a": X[:, 0], "colour": column, "b": X[:, 2]}))

    own = predict(codes)
    X_adv, found = nearest_adversarial(ensemble, predict, codes, own, 2)
    assert found.mean() > 0.8
    assert found[np.isnan(codes[:, 0])].any()
    np.testing.assert_array_equal(predict(X_adv) != own, found)
    np.testing.assert_array_equal(X_adv[:, 1], codes[:, 1])
    np.testing.assert_array_equal(np.isnan(X_adv), np.isnan(codes))


@each_norm
@pytest.mark.parametrize("n_trees", [1, 3])
def test_no_change_leads_across_a_split_by_category(n_trees, norm, way):
    """Whatever is a sample's category: the other side may win, and is out of reach."""
    tree = Tree(
        feature=np.array([0, -1, 1, -1, -1]),
        threshold=np.array([np.nan, np.nan, 0.0, np.nan, np.nan]),
        missing_left=np.zeros(5, dtype=bool),
        left=np.array([1, -1, 3, -1, -1]),
        right=np.array([2, -1, 4, -1, -1]),
        value=np.array([[0.0], [1], [0], [-1], [1]]),
        in_left={0: np.array([4.0])},
    )
    ensemble = join(n_trees * [tree])
    x = np.array([[2.0, -1.0], [4.0, -1.0], [7.0, 2.0], [np.nan, -3.0]])
    x_adv, found = nearest_adversarial(ensemble, ensemble.predict, x, ensemble.predict(x), norm)
    # all of category 4 are of class 1
    assert found.tolist() == [True, False, True, True]
    np.testing.assert_allclose(x_adv, [[2, 0], [4, -1], [7, 0], [np.nan, 0]], atol=1e-300)


def test_a_number_that_means_missing_is_no_way_out():
    X, y = data("digits")[:2]
    classifier = library("xgboost", "XGBClassifier", n_estimators=5, n_jobs=1, missing=0.0).fit(X, y)
    X = X[:15]
    X_adv, found = attack(classifier, X, 1, 0.0, 1.0, n_starts=2)
    assert found.mean() > 0.9
    np.testing.assert_array_equal(X_adv == 0, X == 0)


def both_positive(n_trees):
    """Class 1 where x0 > 0 and x1 > 0, several times over."""
    tree = Tree(
        feature=np.array([0, -1, 1, -1, -1]),
        threshold=np.array([0.0, np.nan, 0.0, np.nan, np.nan]),
        missing_left=np.zeros(5, dtype=bool),
        left=np.array([1, -1, 3, -1, -1]),
        right=np.array([2, -1, 4, -1, -1]),
        value=np.array([[0.0], [-1], [0], [-1], [1]]),
    )
    return join(n_trees * [tree])


@each_norm
@pytest.mark.parametrize("n_trees", [1, 3])
def test_where_no_single_move_gains(n_trees, norm, way):
    ensemble = both_positive(n_trees)
    x = np.array([[-1.0, -2.0], [-3.0, 1.0], [-1e-3, -1e-3]])
    labels = np.zeros(3, dtype=int)
    x_adv, found = nearest_adversarial(ensemble, ensemble.predict, x, labels, norm, -4, 4)
    assert found.all()
    np.testing.assert_allclose(x_adv, [[0, 0], [0, 1], [0, 0]], atol=1e-300)


@pytest.mark.parametrize("norm", [2, 1])
@pytest.mark.parametrize("short", [0, 1, 2])
def test_one_move_that_wins_goes_before_a_steeper_one_that_does_not(short, norm, monkeypatch):
    """Whichever feature it is: it costs 1, and the two others, which win together, more than that."""
    monkeypatch.setattr(_trees, "_BOXES", 0)
    steep, other = (short + 1) % 3, (short + 2) % 3
    kinds = [stump(short, -1.0, 0.11, 0), stump(steep, 0.7, 0, 0.09), stump(other, 0.8, 0, 0.02)]
    ensemble, x = join(10 * kinds, baseline=-1.0), np.zeros((1, 3))
    for seed in range(5):
        x_adv, found = nearest_adversarial(
            ensemble,
            ensemble.predict,
            x,
            np.array([0]),
            norm,
            streams=Streams(seed, np.arange(1)),
            n_starts=1,
        )
        assert found[0]
        np.testing.assert_array_equal(x_adv, [-np.eye(3)[short]])


@each_norm
@pytest.mark.parametrize("n_trees", [1, 3])
def test_at_a_threshold(n_trees, norm, way):
    """Where the distance is the smallest number there is, and its square 0."""
    ensemble, x = both_positive(n_trees), np.array([[0.0, 5.0]])
    x_adv, found = nearest_adversarial(ensemble, ensemble.predict, x, np.array([0]), norm)
    assert found.all()
    np.testing.assert_array_equal(x_adv, [[np.nextafter(0, 1), 5]])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_where_classes_tie_in_a_leaf_the_first_wins(n_classes, way):
    X, y = np.repeat([[0.0], [1.0]], [n_classes, 2], axis=0), [*range(n_classes), *2 * [n_classes - 1]]
    stump = DecisionTreeClassifier(max_depth=1).fit(X, y)
    last = np.array([n_classes - 1])
    x_adv, found = nearest_adversarial(tree_ensemble(stump), stump.predict, X[-1:], last, 2)
    assert found[0] and x_adv[0, 0] == 0.5


@each_norm
def test_a_classifier_that_disagrees_with_its_trees(norm, way):
    ensemble, x = both_positive(3), np.array([[1.0, 2.0]])
    x_adv, found = nearest_adversarial(
        ensemble, lambda X: np.zeros(len(X), dtype=int), x, np.array([0]), norm
    )
    assert not found.any()
    np.testing.assert_array_equal(x_adv, x)


@pytest.mark.parametrize("n_trees", [1, 3])
def test_nothing_to_find(n_trees, way):
    ensemble = both_positive(n_trees)
    x = np.array([[-1.0, -2.0]])
    x_adv, found = nearest_adversarial(ensemble, ensemble.predict, x, np.array([0]), 2, -4, [4, -1])
    assert not found.any()
    np.testing.assert_array_equal(x_adv, x)


def test_the_last_word_is_predicts():
    classifier, (X, _, low, high) = fitted("forest", "digits"), data("digits")
    X = X[:5]
    own = classifier.predict(X)
    X_adv, found = nearest_adversarial(
        tree_ensemble(classifier), lambda X: own[: len(X)], X, own, 2, low, high
    )
    assert not found.any()
    np.testing.assert_array_equal(X_adv, X)


@pytest.mark.parametrize("name", ["forest", "extra trees", "histogram boosting", "LightGBM"])
def test_moves_know_the_exact_scores(name):
    """The margins of moves are those of the points that they lead to, and no cell's margin is missing."""
    classifier, (X, _, low, high) = fitted(name, "iris"), data("iris")
    ensemble, X = tree_ensemble(classifier), X[::30]
    grid = Cells(ensemble, X.shape[1], X.dtype)
    labels = classifier.predict(X)
    low, high = np.full(X.shape, low), np.full(X.shape, high)
    task = TreeTask(grid, X, labels, 2, low, high, np.ones(4), False)
    # points some way off the samples
    cells = grid.of(np.clip(X + np.random.default_rng(0).normal(size=X.shape), low, high))
    row = np.arange(len(X))
    here, _, moves = task.moves(row, cells, np.full(X.shape, np.inf))
    np.testing.assert_allclose(
        here, task.margin(row, ensemble.outputs(task.points(cells)) * scale_of(ensemble)), atol=1e-9
    )
    cheapest = {}
    for i, feature, cell, margin, _ in zip(*moves, strict=True):
        if not np.isfinite(task.price(i, feature, cell)):
            continue
        there = cells.copy()
        there[i, feature] = cell
        scores = ensemble.outputs(task.points(there))[i : i + 1] * scale_of(ensemble)
        np.testing.assert_allclose(margin, task.margin(np.array([i]), scores), atol=1e-9)
        key = i, feature, round(margin, 6)
        cheapest[key] = min(cheapest.get(key, np.inf), task.price(i, feature, cell))
    for i, feature in product(row, range(4)):
        for cell in range(grid.last[feature] - grid.first[feature] + 1):
            price = task.price(i, feature, cell)
            there = cells.copy()
            there[i, feature] = cell
            scores = ensemble.outputs(task.points(there))[i : i + 1] * scale_of(ensemble)
            margin = task.margin(np.array([i]), scores)[0]
            if np.isfinite(price) and abs(margin - here[i]) > 1e-6:
                assert cheapest[i, feature, round(margin, 6)] <= price


def scale_of(ensemble):
    """From probabilities to the sums that the attack compares."""
    return len(ensemble.roots) if ensemble.probabilities else 1
