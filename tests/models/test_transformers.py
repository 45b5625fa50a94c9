"""Scalers, projections and what holds other estimators, against their own output."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.decomposition import (
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    MiniBatchSparsePCA,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from skhalfway.models import NotDifferentiableError, as_model, to_module
from skhalfway.models._transformers import to_transform

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
    TruncatedSVD(5, random_state=0),
    FactorAnalysis(4, random_state=0),
    FastICA(4, random_state=0, max_iter=20),
    FastICA(random_state=0, max_iter=20, whiten=False),
    SparsePCA(3, max_iter=2, random_state=0),
    MiniBatchSparsePCA(3, max_iter=2, ridge_alpha=0.5, random_state=0),
    GaussianRandomProjection(5, random_state=0),
    SparseRandomProjection(5, random_state=0),
    NeighborhoodComponentsAnalysis(3, max_iter=2),
    PLSRegression(2),
    PLSCanonical(1),
    CCA(1, max_iter=5000),
    PLSSVD(1),
    FeatureAgglomeration(5),
    BernoulliRBM(4, n_iter=2, random_state=0),
    TfidfTransformer(),
    TfidfTransformer(use_idf=False, norm="l1"),
    TfidfTransformer(norm=None),
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
    expected = fitted.transform(X)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    np.testing.assert_allclose(ours, expected, atol=1e-8)


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


class ByRule(ClassifierMixin, BaseEstimator):
    """A classifier of nobody's family."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(X.sum(axis=1) > 0).astype(int)]


@pytest.mark.parametrize(
    ("steps", "culprit"),
    [
        (
            [("expand", KNNImputer()), ("lr", LR)],
            "step 'expand' of the Pipeline: KNNImputer has",
        ),
        (
            [("scale", StandardScaler()), ("forest", ByRule())],
            "step 'forest' of the Pipeline: ByRule has",
        ),
        (
            [("outer", Pipeline([("inner", KNNImputer())])), ("lr", LR)],
            "step 'outer' of the Pipeline: step 'inner' of the Pipeline: KNNImputer has",
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


@pytest.mark.parametrize(
    ("transformer", "reason"),
    [
        (
            FeatureAgglomeration(pooling_func=np.median),
            "with pooling_func=np.mean, not with function median",
        ),
        (TfidfTransformer(sublinear_tf=True), r"TfidfTransformer\(sublinear_tf=True\) jumps"),
    ],
)
def test_variants_without_a_gradient(transformer, reason, load, fit):
    with pytest.raises(NotDifferentiableError, match=reason):
        to_module(fit(transformer, "iris"))


OPTIMISES = "solves an optimisation problem for each sample"
NEIGHBOURS = "finds neighbours"
NO_ROWS = "takes no rows of numbers"
OF_LABELS = "transforms labels"
OF_PREDICTIONS = "transforms by the predictions of others"
BLACK_BOXES = {
    **dict.fromkeys(["DictionaryLearning", "MiniBatchDictionaryLearning", "SparseCoder"], OPTIMISES),
    **dict.fromkeys(["LatentDirichletAllocation", "MiniBatchNMF", "NMF"], OPTIMISES),
    **dict.fromkeys(["Isomap", "KNNImputer", "KNeighborsTransformer", "LocallyLinearEmbedding"], NEIGHBOURS),
    "RadiusNeighborsTransformer": NEIGHBOURS,
    **dict.fromkeys(["DictVectorizer", "FeatureHasher", "HashingVectorizer", "PatchExtractor"], NO_ROWS),
    "IsotonicRegression": NO_ROWS,
    **dict.fromkeys(["LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer"], OF_LABELS),
    **dict.fromkeys(["VotingClassifier", "VotingRegressor"], OF_PREDICTIONS),
    **dict.fromkeys(["StackingClassifier", "StackingRegressor"], OF_PREDICTIONS),
    "RandomTreesEmbedding": "is made of trees",
    "TSNE": "has no transform",
}
ARGUMENTS = {
    **{key: {"estimator": LR} for key in ["RFE", "RFECV", "SelectFromModel", "SequentialFeatureSelector"]},
    **{key: {"estimators": [("lr", LR)]} for key in ["VotingClassifier", "StackingClassifier"]},
    **{key: {"estimators": [("ridge", Ridge())]} for key in ["VotingRegressor", "StackingRegressor"]},
    **{key: {"n_components": 1} for key in ["CCA", "PLSCanonical", "PLSSVD"]},
    **{key: {"n_components": 3} for key in ["GaussianRandomProjection", "SparseRandomProjection"]},
    "ColumnTransformer": {"transformers": [("scale", StandardScaler(), [0, 2])]},
    "FeatureUnion": {"transformer_list": [("scale", StandardScaler())]},
    "KBinsDiscretizer": {"strategy": "uniform"},
    "SelectKBest": {"k": 2},
    "QuantileTransformer": {"n_quantiles": 30},
    "SparseCoder": {"dictionary": np.eye(4)},
}
TYPES = dict(all_estimators("transformer"))


def test_every_black_box_is_a_transformer():
    assert set(BLACK_BOXES) <= set(TYPES)


@pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", TYPES)
def test_every_transformer_has_a_module_or_a_reason(name, load, fit):
    transformer = TYPES[name](**ARGUMENTS.get(name, {}))
    if name in BLACK_BOXES:
        with pytest.raises(NotDifferentiableError, match=f"{name} has no gradient here"):
            to_transform(transformer)
        return
    X, _ = load("iris")
    if name == "KernelCenterer":
        X = X @ X.T
        transformer.fit(X)
    else:
        transformer = fit(transformer, "iris")
    output = transformer.transform(X)
    output = output.toarray() if hasattr(output, "toarray") else output
    np.testing.assert_allclose(to_transform(transformer)(torch.from_numpy(X)).numpy(), output, atol=1e-6)
