"""Bad input: what was given, what is allowed, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from art.attacks.evasion import FastGradientMethod
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, TransferMatrixDisplay, TransferScorer
from skhalfway.transfer import _source

RNG = np.random.RandomState(0)
X = RNG.rand(40, 3)
Y = (X[:, 0] > 0.5).astype(int)
LR = LogisticRegression().fit(X, Y)
SVM = SVC().fit(X, Y)
THREE = LogisticRegression().fit(X, np.arange(40) % 3)
NARROW = LogisticRegression().fit(X[:, :2], Y)


class Broken(ClassifierMixin, BaseEstimator):
    classes_ = np.array([0, 1])

    def predict(self, X):
        raise ZeroDivisionError("no luck")


MODELS = [
    ([], ValueError, "at least 2 are needed, got 0"),
    ({}, ValueError, "at least 2 are needed, got 0"),
    ([LR], ValueError, "at least 2 are needed, got 1"),
    ({"a": LR, "b": SVC()}, NotFittedError, "model 'b': this SVC is not fitted"),
    ({"a": LR, "b": THREE}, ValueError, r"same classes_.*'a' has \[0, 1\], 'b' has \[0, 1, 2\]"),
    ({"a": LR, "b": NARROW}, ValueError, r"different numbers of features: \{'a': 3, 'b': 2\}"),
    (
        {"a": LR, "b": LinearRegression().fit(X, Y)},
        TypeError,
        "model 'b': a classifier is needed, got the regressor",
    ),
    (
        {"a": LR, "b": KMeans(2, n_init=1).fit(X)},
        TypeError,
        "model 'b': a classifier is needed, got the clusterer",
    ),
    ({"a": LR, "b": "svm"}, TypeError, "model 'b': a fitted classifier with predict .* got 'svm'"),
    ({"a": LR, "b": object()}, TypeError, "model 'b': a fitted classifier with predict"),
    ({"a": LR, "b": SVC}, TypeError, "model 'b': a fitted classifier is needed, got the class SVC"),
    ({1: LR, 2: SVM}, TypeError, r"names must be strings, got \[1, 2\]"),
    ([("a", LR), ("a", SVM)], ValueError, r"names must be unique, got \['a', 'a'\]"),
    (X, TypeError, r"fit takes fitted models.*got ndarray. To fit on data pass estimators"),
    (
        LR,
        TypeError,
        "^with estimators=None fit takes fitted models.*got LogisticRegression alone, and models",
    ),
]


@pytest.mark.parametrize(("models", "error", "message"), MODELS)
def test_models(models, error, message):
    with pytest.raises(error, match=message):
        TransferScorer().fit(models)


ESTIMATORS = [
    ([("a", LR)], ValueError, "at least 2 are needed, got 1"),
    ([("a", LR), ("a", SVM)], ValueError, "unique"),
    ([LR, SVM], TypeError, r"list of \(name, estimator\)"),
    ({"a": LR, "b": SVM}, TypeError, r"list of \(name, estimator\)"),
    ([("a", LR), ("b", "svm")], TypeError, "model 'b': a fitted classifier with predict"),
    (
        [("a", LR), ("b", LinearRegression())],
        TypeError,
        "model 'b': a classifier is needed, got the regressor",
    ),
    ([("generator", LR), ("b", SVM)], ValueError, "conflict with constructor arguments"),
]


@pytest.mark.parametrize(("estimators", "error", "message"), ESTIMATORS)
def test_estimators(estimators, error, message):
    with pytest.raises(error, match=message):
        TransferScorer(estimators=estimators).fit(X, Y)


SETTINGS = [
    ({"condition": "some"}, ValueError, "condition must be one of .* got 'some'"),
    *(
        ({"n_jobs": n}, ValueError, "n_jobs must be None or an integer, -1 for all processors; got")
        for n in (0, "all", 1.5, True)
    ),
    (
        {"random_state": "seed"},
        ValueError,
        "'seed' cannot be used to seed; random_state must be None, an integer",
    ),
    ({"verbose": -1}, ValueError, "verbose must be an integer >= 0, got -1"),
    ({"verbose": "yes"}, ValueError, "verbose must be an integer >= 0, got 'yes'"),
    ({"generator": "pgd"}, TypeError, "generator must be an AdversarialGenerator or None, got 'pgd'"),
    ({"generator": AdversarialGenerator(SVC())}, ValueError, "generator.estimator must be None"),
    ({"generator": AdversarialGenerator(eps=-0.1)}, ValueError, "eps must be a finite number > 0, got -0.1"),
    ({"generator": AdversarialGenerator(norm=3)}, ValueError, "norm must be np.inf, 2, 1 or 0, got 3"),
    ({"generator": AdversarialGenerator(attack="magic")}, ValueError, "unknown attack 'magic'"),
]


@pytest.mark.parametrize(("settings", "error", "message"), SETTINGS)
@pytest.mark.parametrize("when", ["fit", "transfer"])
def test_settings(settings, error, message, when):
    scorer = TransferScorer(**settings)
    if when == "fit":
        with pytest.raises(error, match=message):
            scorer.fit([LR, SVM])
        return
    scorer = TransferScorer().fit([LR, SVM]).set_params(**settings)
    with pytest.raises(error, match=message):
        scorer.transfer(X, Y)


def spoiled(value):
    bad = X.copy()
    bad[3, 1] = value
    return bad


DATA = [
    (spoiled(np.nan), Y, "contains NaN"),
    (spoiled(np.inf), Y, "contains infinity"),
    (X[:0], Y[:0], r"0 sample\(s\)"),
    (X[:, :2], Y, "X has 2 features, but TransferScorer is expecting 3 features"),
    (X[0], Y, "Expected 2D array"),
    (X, Y + 5, r"y holds labels that are not among the classes \[0, 1\]: \[5, 6\]"),
    (X, Y.astype(str), r"not among the classes \[0, 1\]: \['0', '1'\]"),
    (X, Y[:7], r"y must hold one label per sample, shape \(40,\); got shape \(7,\)"),
]


@pytest.mark.parametrize(("data", "y", "message"), DATA)
@pytest.mark.parametrize("method", ["transfer", "score", "robust_accuracy"])
def test_data(data, y, message, method):
    scorer = TransferScorer().fit([LR, SVM])
    arguments = (LR, data, y) if method == "robust_accuracy" else (data, y)
    with pytest.raises(ValueError, match=message):
        getattr(scorer, method)(*arguments)


def test_sparse_data():
    with pytest.raises(TypeError, match="Sparse data was passed.*dense data is required"):
        TransferScorer().fit([LR, SVM]).transfer(sp.csr_array(X), Y)
    with pytest.raises(TypeError, match="Sparse data was passed.*dense data is required"):
        TransferScorer(estimators=[("a", LR), ("b", SVM)]).fit(sp.csr_array(X), Y)


def test_data_outside_clip_values():
    scorer = TransferScorer(AdversarialGenerator(clip_values=(0, 0.5))).fit([LR, SVM])
    with pytest.raises(ValueError, match=r"data outside clip_values=\(0, 0.5\): X has min .* scale X"):
        scorer.transfer(X, Y)


def test_calls_in_the_wrong_order_or_form():
    with pytest.raises(NotFittedError):
        TransferScorer().transfer(X, Y)
    with pytest.raises(ValueError, match="with estimators=None fit takes fitted models and no y"):
        TransferScorer().fit(X, Y)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        TransferScorer(estimators=[("a", LR), ("b", SVM)]).fit(X)
    with pytest.raises(TypeError, match="TransferMatrixDisplay draws a TransferMatrix, got ndarray"):
        TransferMatrixDisplay.from_result(X)


def test_a_model_that_raises_is_named():
    with pytest.raises(RuntimeError, match="model 'bad' raised ZeroDivisionError: no luck") as caught:
        TransferScorer().fit({"good": LR, "bad": Broken()}).transfer(X, Y)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    wide = torch.nn.Linear(5, 2)
    with pytest.raises(RuntimeError, match="model 'wide' raised RuntimeError: mat1 and mat2"):
        TransferScorer().fit({"good": LR, "wide": wide}).transfer(X, Y)
    with pytest.raises(ValueError, match=r"model 'wide' \(Linear\) has 3 outputs for 2 classes"):
        TransferScorer().fit({"good": LR, "wide": torch.nn.Linear(3, 3)}).transfer(X, Y)
    with pytest.raises(TypeError, match="model 'bad': attack='pgd' needs gradients"):
        TransferScorer(AdversarialGenerator(attack="pgd")).fit({"good": LR, "bad": BlackBox()}).transfer(X, Y)
    with pytest.raises(ValueError, match="different numbers of outputs"):
        TransferScorer().fit({"a": torch.nn.Linear(3, 2), "b": torch.nn.Linear(3, 4)}).transfer(X, Y)


GAPS = X.copy()
GAPS[3, 1] = np.nan
# attack or settings, the last model, samples: what cannot be attacked
REFUSALS = [
    ("pgd", "rule", X, TypeError, "attack='pgd' needs gradients, but BlackBox has no gradient"),
    ("deepfool", "rule", X, TypeError, "attack='deepfool' needs gradients"),
    ("tree", "linear", X, TypeError, "attack='tree' needs a decision tree"),
    ({"n_restarts": 2}, "rule", X, ValueError, "attack='hopskipjump' takes no n_restarts and random_start"),
    (FastGradientMethod, "rule", X, TypeError, "ART's FastGradientMethod cannot attack BlackBox: it needs"),
    (
        FastGradientMethod,
        "tree",
        GAPS,
        ValueError,
        "ART's FastGradientMethod takes numbers only, but X holds",
    ),
]
JUDGE = SVC(C=2).fit(X, Y)


@pytest.mark.parametrize(("attack", "last", "data", "error", "message"), REFUSALS)
@pytest.mark.parametrize("method", ["transfer", "transfer_curve", "robust_accuracy"])
def test_no_source_is_attacked_where_one_cannot_be(attack, last, data, error, message, method, monkeypatch):
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    first = tree if attack == "tree" or data is GAPS else SVM
    models = {"first": first, "last": {"rule": BlackBox(), "linear": LR, "tree": tree}[last]}
    settings = attack if isinstance(attack, dict) else {"attack": attack}
    scorer = TransferScorer(AdversarialGenerator(**settings)).fit(models)
    arguments = (JUDGE, data, Y) if method == "robust_accuracy" else (data, Y)
    further = {"eps": [0.1, 0.2]} if method == "transfer_curve" else {}
    monkeypatch.setattr(_source, "run", None)
    with pytest.raises(error, match=rf"model '\w+': {message}"):
        getattr(scorer, method)(*arguments, **further)


def test_a_judged_model_need_not_be_attacked():
    """Robust accuracy leaves out the model that it judges: whether that can be attacked is of no matter."""
    rule = BlackBox()
    scorer = TransferScorer(AdversarialGenerator(attack="pgd", max_iter=2)).fit({"svm": SVM, "rule": rule})
    assert 0 < scorer.robust_accuracy(rule, X, Y) <= 1


class BlackBox:
    classes_ = np.array([0, 1])

    def predict(self, X):
        return (X[:, 0] > 0.5).astype(int)


def test_robust_accuracy_of_another_classifier():
    scorer = TransferScorer().fit([LR, SVM])
    with pytest.raises(ValueError, match=r"has classes_ \[0, 1, 2\], not the classes \[0, 1\] asked for"):
        scorer.robust_accuracy(THREE, X, Y)
    with pytest.raises(NotFittedError, match="this SVC is not fitted"):
        scorer.robust_accuracy(SVC(), X, Y)


def test_a_failed_fit_loses_nothing():
    scorer = TransferScorer().fit({"a": LR, "b": SVM})
    before = scorer.transfer(X, Y)
    with pytest.raises(ValueError):
        scorer.fit({"a": LR, "b": THREE})
    assert tuple(scorer.models_) == ("a", "b") and scorer.n_features_in_ == 3
    np.testing.assert_array_equal(scorer.transfer(X, Y).fooled, before.fooled)


def test_nothing_is_changed(iris, iris_models):
    data, y = iris[0].copy(), iris[1].copy()
    TransferScorer().fit({name: iris_models[name] for name in ("lr", "svm")}).transfer(data, y)
    np.testing.assert_array_equal(data, iris[0])
    np.testing.assert_array_equal(y, iris[1])
