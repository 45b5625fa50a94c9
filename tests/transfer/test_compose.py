"""It composes: check_estimator, clone, nested parameters, searches, pipelines, pickling."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhalfway import AdversarialGenerator, TransferScorer

CV = StratifiedKFold(3)


def scorer(**settings):
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    return TransferScorer(AdversarialGenerator(eps=0.4), estimators=estimators, **settings)


@parametrize_with_checks([scorer(), TransferScorer(estimators=[("a", SVC()), ("b", SVC(kernel="linear"))])])
def test_check_estimator(estimator, check):
    check(estimator)


def test_nested_parameters():
    original = scorer()
    params = original.get_params()
    assert params["generator__eps"] == 0.4 and params["svm__C"] == 1.0
    copy = clone(original).set_params(svm__C=7, generator__eps=0.2, condition="all")
    assert (copy.get_params()["svm__C"], copy.generator.eps, copy.condition) == (7, 0.2, "all")
    assert (original.get_params()["svm__C"], original.generator.eps) == (1.0, 0.4)
    replaced = clone(original).set_params(svm=SVC(kernel="linear"))
    assert dict(replaced.estimators)["svm"].kernel == "linear"
    assert TransferScorer().get_params()["estimators"] is None


def test_pickle(iris):
    X, y = iris
    fitted = scorer(random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(fitted.transfer(X, y).fooled, again.transfer(X, y).fooled)
    matrix = fitted.transfer(X, y)
    assert repr(pickle.loads(pickle.dumps(matrix))) == repr(matrix)


def test_grid_search_over_budget_and_model(iris):
    X, y = iris
    grid = {"generator__eps": [0.1, 0.6], "svm__C": [1, 10]}
    search = GridSearchCV(scorer(), grid, cv=CV, error_score="raise").fit(X, y)
    assert search.best_params_["generator__eps"] == 0.6
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert (scores[0] < scores[1]).all()
    assert len(set(scores[1])) == 2, "C of the svm makes no difference"
    assert search.score(X, y) == search.best_estimator_.transfer(X, y).mean_rate


def test_cross_val_score(iris):
    X, y = iris
    scores = cross_val_score(scorer(), X, y, cv=CV, error_score="raise")
    assert scores.shape == (3,) and (scores > 0.1).all() and (scores < 0.9).all()


def test_robust_accuracy_selects_a_model(iris, iris_models):
    X, y = iris
    judge = TransferScorer(AdversarialGenerator(eps=0.5)).fit([iris_models["lr"], iris_models["mlp"]])
    search = GridSearchCV(
        SVC(),
        {"gamma": [0.01, 10.0]},
        scoring={"accuracy": "accuracy", "robust": judge.robust_accuracy},
        refit="robust",
        cv=CV,
        error_score="raise",
    ).fit(X, y)
    accuracy = search.cv_results_["mean_test_accuracy"]
    robust = search.cv_results_["mean_test_robust"]
    assert (robust < accuracy).all()
    assert search.best_index_ == robust.argmax()


def test_accuracy_under_transfer_as_a_pipeline(iris, iris_models):
    X, y = iris
    surrogate, target = iris_models["lr"], iris_models["svm"]
    attack = AdversarialGenerator(FrozenEstimator(surrogate), eps=0.4)
    pipeline = make_pipeline(attack, FrozenEstimator(target))
    expected = target.score(attack.fit(X).transform(X), y)
    assert pipeline.score(X, y) == expected < target.score(X, y)


def test_generator_in_searches(iris):
    X, y = iris
    pipeline = make_pipeline(AdversarialGenerator(SVC()), LogisticRegression(max_iter=1000))
    grid = {"adversarialgenerator__eps": [0.01, 1.0], "adversarialgenerator__estimator__C": [1, 10]}
    search = GridSearchCV(pipeline, grid, cv=CV, error_score="raise").fit(X, y)
    assert search.best_params_["adversarialgenerator__eps"] == 0.01


def test_a_search_is_a_model(iris):
    X, y = iris
    mlp = MLPClassifier((8,), solver="lbfgs", max_iter=3000, random_state=0)
    search = GridSearchCV(mlp, {"alpha": [0.1, 1]}, cv=2).fit(X, y)
    matrix = (
        TransferScorer(AdversarialGenerator(eps=0.6))
        .fit({"search": search, "svm": SVC().fit(X, y)})
        .transfer(X)
    )
    assert (matrix.rates > 0.1).all()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_every_norm_transfers_more_than_noise(iris, iris_models, norm):
    X, y = iris
    models = {name: iris_models[name] for name in ("lr", "svm", "mlp")}
    generator = AdversarialGenerator(eps={np.inf: 0.5, 2: 0.9, 1: 1.2}[norm], norm=norm)
    matrix = TransferScorer(generator, random_state=0).fit(models).transfer(X, y)
    assert (matrix.noise + 0.1 < matrix.rates).all()
