"""Scalers, projections and what holds other estimators, against their own output."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC

from skhalfway.models import NotDifferentiableError, as_model, to_module

TRANSFORMERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    StandardScaler(with_mean=False, with_std=False),
    MinMaxScaler(),
    MinMaxScaler(feature_range=(-1, 2), clip=True),
    MaxAbsScaler(),
    *([MaxAbsScaler(clip=True)] if "clip" in MaxAbsScaler().get_params() else []),
    RobustScaler(),
    RobustScaler(with_centering=False),
    RobustScaler(with_scaling=False),
    RobustScaler(unit_variance=True, quantile_range=(10, 90)),
    PCA(6),
    PCA(6, whiten=True),
    PCA(0.9),
    IncrementalPCA(6),
    IncrementalPCA(6, whiten=True),
    Normalizer("l1"),
    Normalizer("l2"),
    Normalizer("max"),
]
each_transformer = pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
each_data_set = pytest.mark.parametrize("data", ["breast", "digits"])


@each_data_set
@each_transformer
def test_output_is_the_transformers_own(transformer, data, load, fit):
    X, _ = load(data)
    fitted = fit(transformer, data)
    # a zero row for Normalizer; rows outside the range that the scalers saw
    X = np.vstack([X, np.zeros_like(X[:1]), 1.7 * X, -X])
    ours = to_module(fitted)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(ours, fitted.transform(X), atol=1e-8)


@each_data_set
@each_transformer
def test_gradient(transformer, data, load, fit, check_gradient):
    check_gradient(fit(transformer, data), 1.5 * load(data)[0])


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_normalizer_has_a_finite_gradient_at_zero(norm):
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(to_module(Normalizer(norm))(x).sum(), x)
    assert torch.isfinite(grad).all()


LR = LogisticRegression(max_iter=20)
SMALL_MLP = MLPClassifier((8,), max_iter=30, random_state=0)
COMPOSITE = {
    "scaler and classifier": make_pipeline(StandardScaler(), LR),
    "weights, none, weights": make_pipeline(StandardScaler(), Normalizer(), LR),
    "no weights first": make_pipeline(Normalizer("l1"), RobustScaler(), LR),
    "whitened perceptron": make_pipeline(MinMaxScaler(clip=True), PCA(6, whiten=True), SMALL_MLP),
    "steps that pass through": Pipeline(
        [("a", "passthrough"), ("b", None), ("c", MaxAbsScaler()), ("d", LR)]
    ),
    "classifier alone": make_pipeline(LR),
    "pipeline of pipelines": make_pipeline(
        make_pipeline("passthrough"), make_pipeline(PCA(6), StandardScaler()), LR
    ),
    "grid search": GridSearchCV(LR, {"C": [0.01, 1]}, cv=2),
    "random search": RandomizedSearchCV(LR, {"C": [0.1, 1, 10]}, n_iter=2, cv=2, random_state=0),
    "search over a pipeline": GridSearchCV(
        make_pipeline(StandardScaler(), PCA(), LR), {"pca__n_components": [3, 4], "pca__whiten": [True]}, cv=2
    ),
    "search in a pipeline": make_pipeline(StandardScaler(), GridSearchCV(LR, {"C": [0.1, 1]}, cv=2)),
}
each_composite = pytest.mark.parametrize("name", COMPOSITE)


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@each_data_set
@each_composite
def test_logits_of_composites(name, data, frozen, load, fit, check_logits):
    classifier = fit(COMPOSITE[name], data)
    check_logits(FrozenEstimator(classifier) if frozen else classifier, load(data)[0])


@each_composite
def test_gradient_of_composites(name, load, fit, check_gradient):
    check_gradient(as_model(fit(COMPOSITE[name], "digits")), load("digits")[0])


def test_frozen_steps_of_a_pipeline(load, fit, logits):
    X, y = load("digits")
    scaler, classifier = FrozenEstimator(fit(StandardScaler(), "digits")), SGDClassifier(random_state=0)
    pipeline = make_pipeline(scaler, classifier).fit(X, y)
    np.testing.assert_allclose(logits(as_model(pipeline), X), pipeline.decision_function(X), atol=1e-5)


def test_search_uses_its_best_estimator(load, logits):
    X, y = load("iris")
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1e-4, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_ == {"svc__C": 1.0}
    np.testing.assert_array_equal(logits(as_model(search), X), logits(as_model(search.best_estimator_), X))


@pytest.mark.parametrize(
    ("steps", "culprit"),
    [
        (
            [("expand", PolynomialFeatures()), ("lr", LR)],
            "step 'expand' of the Pipeline: PolynomialFeatures has",
        ),
        (
            [("scale", StandardScaler()), ("forest", RandomForestClassifier(3, random_state=0))],
            "step 'forest' of the Pipeline: RandomForestClassifier has",
        ),
        (
            [("outer", Pipeline([("inner", PolynomialFeatures())])), ("lr", LR)],
            "step 'outer' of the Pipeline: step 'inner' of the Pipeline: PolynomialFeatures has",
        ),
    ],
    ids=["transformer", "classifier", "nested"],
)
def test_pipeline_names_the_step_without_a_gradient(steps, culprit, load, fit):
    X, _ = load("iris")
    pipeline = fit(Pipeline(steps), "iris")
    model = as_model(pipeline)
    assert not model.has_gradient
    assert model.why_black_box.startswith(culprit)
    np.testing.assert_array_equal(model.predict(X), pipeline.predict(X))
    with pytest.raises(NotDifferentiableError, match="of the Pipeline"):
        model.logits(torch.from_numpy(X))
