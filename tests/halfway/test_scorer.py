"""HalfwayScorer: what fit takes, what it measures, that it composes, and its errors."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skhalfway import HalfwayScorer
from skhalfway.halfway import crossings, sample_pairs
from skhalfway.models import ModelWarning

CV = StratifiedKFold(3)


def scorer(**settings):
    return HalfwayScorer(
        [("lr", LogisticRegression(max_iter=1000)), ("tree", DecisionTreeClassifier(random_state=0))],
        **({"n_pairs": 100} | settings),
    )


@parametrize_with_checks([scorer(n_pairs=20), scorer(n_pairs=10, pairs="nearest", random_state=0)])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("pairs", ["random", "nearest"])
def test_it_measures_what_crossings_finds(iris, iris_models, pairs):
    X, y = iris
    result = HalfwayScorer(pairs=pairs, n_pairs=90, random_state=5).fit(iris_models).measure(X, y)
    drawn = sample_pairs(X, y, pairs=pairs, n_pairs=90, random_state=5)
    np.testing.assert_array_equal(result.pairs, drawn)
    np.testing.assert_allclose(result.lengths, np.linalg.norm(X[drawn[:, 1]] - X[drawn[:, 0]], axis=1))
    for i, model in enumerate(iris_models.values()):
        found = crossings(model, X[drawn[:, 0]], X[drawn[:, 1]])
        np.testing.assert_array_equal(result.crossings[i], found.position)
        right = (found.start_class == y[drawn[:, 0]]) & (found.end_class == y[drawn[:, 1]])
        np.testing.assert_array_equal(result.counted[i], right)
    assert result.names == tuple(iris_models)


def test_figures_of_models_whose_boundaries_are_known(rule):
    """Two parallel half-spaces: crossings shift by a constant share, so all but the agreement is known."""
    rng = np.random.RandomState(0)
    X = np.column_stack([np.repeat([-1.0, 1.0], 50), rng.standard_normal(100)])
    y = (X[:, 0] > 0).astype(int)
    halves = {"middle": rule(lambda X: X[:, 0] > 0), "right": rule(lambda X: X[:, 0] > 0.5)}
    m = HalfwayScorer(n_pairs=300, tol=1e-6, random_state=0).fit(halves).measure(X, y)
    assert m.counted.all()
    np.testing.assert_allclose(m.deviation, [0, 0.25], atol=1e-6)
    np.testing.assert_allclose(m.boundary_distance[0, 1], (0.25 * m.lengths).mean(), atol=1e-5)


def test_all_forms_of_models(iris, iris_models):
    X, y = iris
    settings = {"n_pairs": 100, "random_state": 0}
    named = HalfwayScorer(**settings).fit(iris_models)
    pairs = HalfwayScorer(**settings).fit(list(iris_models.items()))
    listed = HalfwayScorer(**settings).fit(list(iris_models.values()))
    assert named.score(X, y) == pairs.score(X, y) == listed.score(X, y)
    assert list(listed.models_) == [
        "logisticregression",
        "svc",
        "decisiontreeclassifier",
        "kneighborsclassifier",
    ]
    assert all(named.models_[name] is model for name, model in iris_models.items())
    frozen = HalfwayScorer([(n, FrozenEstimator(m)) for n, m in iris_models.items()], **settings).fit(X, y)
    assert frozen.score(X, y) == named.score(X, y)


def test_torch_text_labels_and_frames(iris):
    X, y = iris
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    centred = (X - X.mean(axis=0)).astype(np.float32)
    own = net(torch.tensor(centred)).argmax(dim=1).numpy()
    m = HalfwayScorer(n_pairs=50, random_state=0).fit([net, nn.Sequential(net)]).measure(centred, own)
    assert m.crossings.shape == (2, 50) and m.counted.all() and m.agreement[0, 1] == pytest.approx(1)
    frame, labels = pd.DataFrame(X, columns=list("abcd")), np.array(["x", "y", "z"])[y]
    fitted = scorer(random_state=0).fit(frame, labels)
    assert fitted.feature_names_in_.tolist() == list("abcd") and fitted.classes_.tolist() == ["x", "y", "z"]
    assert fitted.score(frame, labels) == scorer(random_state=0).fit(X, y).score(X, y)


def test_same_seed_same_figures_on_any_number_of_threads(iris, iris_models):
    X, y = iris
    one = HalfwayScorer(n_pairs=100, random_state=0).fit(iris_models).measure(X, y)
    two = HalfwayScorer(n_pairs=100, random_state=0, n_jobs=2).fit(iris_models).measure(X, y)
    np.testing.assert_array_equal(one.crossings, two.crossings)
    other = HalfwayScorer(n_pairs=100, random_state=1).fit(iris_models).measure(X, y)
    assert (other.pairs != one.pairs).any()


def test_it_composes(iris):
    X, y = iris
    search = GridSearchCV(
        scorer(n_pairs=50, random_state=0), {"tree__max_depth": [1, 4]}, cv=CV, error_score="raise"
    )
    search.fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    scores = cross_val_score(scorer(n_pairs=50, random_state=0), X, y, cv=CV, error_score="raise")
    assert scores.shape == (3,) and (np.abs(scores) <= 1).all()
    copy = clone(scorer()).set_params(lr__C=7, n_pairs=9)
    assert copy.get_params()["lr__C"] == 7 and copy.n_pairs == 9
    fitted = scorer(random_state=0).fit(X, y)
    assert pickle.loads(pickle.dumps(fitted)).score(X, y) == fitted.score(X, y)
    pipeline = make_pipeline(StandardScaler(), scorer(random_state=0)).fit(X, y)
    assert pipeline.score(X, y) <= 1


def test_a_model_that_never_changes_its_answer(iris, iris_models):
    X, y = iris
    models = {"lr": iris_models["lr"], "constant": DummyClassifier().fit(X, y)}
    fitted = HalfwayScorer(n_pairs=50, random_state=0).fit(models)
    with (
        pytest.warns(ModelWarning, match="'constant': it predicts 0 for all 150 samples"),
        pytest.warns(
            UndefinedMetricWarning, match="'constant' does not classify both samples of any pair correctly"
        ),
    ):
        m = fitted.measure(X, y)
    assert np.isnan(m.deviation[1]) and m.deviation[0] > 0 and np.isnan(m.agreement[0, 1])
    with (
        pytest.warns(UndefinedMetricWarning, match="no two models have crossings to compare"),
        pytest.warns(UndefinedMetricWarning, match="'constant'"),
        pytest.warns(ModelWarning, match="'constant'"),
    ):
        assert np.isnan(fitted.score(X, y))


class Broken:
    classes_ = np.array([0, 1, 2])

    def predict(self, X):
        raise KeyError("disk")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda s, X, y: s.fit(X, y), ValueError, "with estimators=None fit takes fitted models and no y"),
        (lambda s, X, y: s.fit([SVC()]), ValueError, "at least 2 are needed, got 1"),
        (lambda s, X, y: s.fit([SVC(), SVC()]), NotFittedError, "svc-1.*not fitted"),
        (lambda s, X, y: s.fit("models"), TypeError, "fitted models.*got str"),
        (lambda s, X, y: s.measure(X, y), NotFittedError, "not fitted"),
        (lambda s, X, y: s.set_params(n_pairs=0).fit([]), ValueError, "n_pairs must be an integer >= 1"),
        (
            lambda s, X, y: s.set_params(pairs="within").fit([]),
            ValueError,
            "got 'within': between two samples",
        ),
        (lambda s, X, y: s.set_params(pairs="x").fit([]), ValueError, "pairs must be one of"),
        (lambda s, X, y: s.set_params(tol=0).fit([]), ValueError, "tol must be a number in"),
        (lambda s, X, y: scorer().fit(X), ValueError, "requires y to be passed"),
        (
            lambda s, X, y: scorer().fit(pd.DataFrame({"a": ["x"] * 150}), y),
            ValueError,
            "columns of categories",
        ),
        (lambda s, X, y: HalfwayScorer([SVC()]).fit(X, y), TypeError, "estimators must be a list of"),
    ],
)
def test_errors_of_fit(iris, act, error, message):
    with pytest.raises(error, match=message):
        act(HalfwayScorer(), *iris)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(150, dtype=int)}, r"at least 2 classes, but y holds only \[0\]"),
        ({"y": np.full(150, 7)}, r"not among the classes \[0, 1, 2\]: \[7\]"),
        ({"y": np.zeros(3)}, "one label per sample"),
        ({"X": np.ones((150, 3))}, "X has 3 features"),
        ({"X": np.ones((150, 4))}, "only 0 pairs of two different points"),
        ({"X": np.full((150, 4), np.nan)}, "X contains NaN"),
        ({"n_pairs": 10**6}, "n_pairs=1000000, but there are only 15000 pairs"),
        ({"pairs": "nearest"}, "n_pairs=500, but there are only 150 pairs"),
    ],
)
def test_errors_of_measure(iris, iris_models, change, message):
    data = {"X": iris[0], "y": iris[1]}
    parameters = {name: value for name, value in change.items() if name not in data}
    fitted = HalfwayScorer(**parameters).fit(iris_models)
    data |= {name: value for name, value in change.items() if name in data}
    with pytest.raises(ValueError, match=message):
        fitted.measure(**data)


def test_an_error_names_its_model(iris, iris_models):
    fitted = HalfwayScorer().fit({"lr": iris_models["lr"], "broken": Broken()})
    with pytest.raises(RuntimeError, match="model 'broken' raised KeyError: 'disk'"):
        fitted.measure(*iris)


def test_one_nearest_neighbour_meets_the_nearest_enemy_no_sooner_than_halfway(iris):
    """Nearer to a sample than its nearest of another class, every neighbour is of its own."""
    X, y = iris
    knn = KNeighborsClassifier(1).fit(X, y)
    twins = [knn, clone(knn).fit(X, y)]
    m = HalfwayScorer(pairs="nearest", n_pairs=149, random_state=0).fit(twins).measure(X, y)
    assert m.crossings.min() >= 0.5 - 1e-3 and (np.abs(m.crossings[0] - 0.5) <= 1e-3).sum() > 10
    np.testing.assert_allclose(m.agreement, 1)
    assert m.boundary_distance.max() == 0
