"""Transformers put together, selectors and functions, against scikit-learn's own output."""

import pickle
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import scipy.special
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC

from skhalfway._inputs import category_codes
from skhalfway.models import NotDifferentiableError, as_model, to_module
from skhalfway.models._transformers import to_transform

LR = LogisticRegression(max_iter=20)
LDA = LinearDiscriminantAnalysis


def first_two(X):
    return [0, 1]


COMPOSED = {
    "positions": make_column_transformer((StandardScaler(), [3, 1]), (MinMaxScaler(), [0])),
    "a slice": make_column_transformer((StandardScaler(), slice(1, 3)), remainder="passthrough"),
    "a mask": make_column_transformer((PCA(1), [True, False, True, False]), remainder="passthrough"),
    "a callable": make_column_transformer((StandardScaler(), first_two), remainder=PCA(2)),
    "a column twice": make_column_transformer((StandardScaler(), [1, 1, 2]), (PCA(1), [1, 2])),
    "drop and passthrough": make_column_transformer(("drop", [0, 2]), ("passthrough", [3, 1])),
    "no columns": make_column_transformer((PCA(1), []), (StandardScaler(), [2])),
    "nothing at all": make_column_transformer(("drop", [0, 1])),
    "weights": ColumnTransformer(
        [("a", StandardScaler(), [0]), ("b", "passthrough", [1]), ("c", PCA(1), [2, 3])],
        transformer_weights={"a": 0.5, "b": -2.0, "c": 0.0},
    ),
    "sparse": ColumnTransformer(
        [("a", FunctionTransformer(np.sign), [0]), ("b", OneHotEncoder(handle_unknown="ignore"), [1])],
        sparse_threshold=1.0,
    ),
    "a pipeline": make_column_transformer(
        (make_pipeline(StandardScaler(), PCA(2)), [0, 1, 2]), (PCA(1), [3, 0])
    ),
    "one in another": make_column_transformer(
        (make_column_transformer((StandardScaler(), [1]), remainder="passthrough"), [1, 2]), (PCA(1), [0, 1])
    ),
    "discriminants": make_column_transformer((LDA(), [0, 1, 2]), remainder="passthrough"),
    "union": make_union(StandardScaler(), PCA(2), PolynomialFeatures()),
    "weighted union": FeatureUnion(
        [("a", PCA(2)), ("b", "drop"), ("c", "passthrough"), ("d", "passthrough")],
        transformer_weights={"a": 3, "c": 0.0},
    ),
    "union of discriminants": make_union(
        make_pipeline(StandardScaler(), LDA(n_components=1)), FrozenEstimator(LDA()), LDA(solver="eigen")
    ),
    "union of nothing": FeatureUnion([("a", "drop")]),
    "union of selectors": make_union(SelectKBest(k=2), RFE(LR, n_features_to_select=1)),
}
each_composed = pytest.mark.parametrize("name", COMPOSED)


def fitted(transformer, X, y):
    if isinstance(transformer, FeatureUnion):
        transformer = clone(transformer)
        transformer.transformer_list = [
            (name, FrozenEstimator(part.estimator.fit(X, y)) if isinstance(part, FrozenEstimator) else part)
            for name, part in transformer.transformer_list
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return transformer.fit(X, y)


@each_composed
def test_output_is_the_transformers_own(name, load):
    X, y = load("iris")
    transformer = fitted(COMPOSED[name], X, y)
    X = np.vstack([X, 2 * X])
    expected = transformer.transform(X)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    np.testing.assert_allclose(to_module(transformer)(torch.from_numpy(X)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(COMPOSED) - {"nothing at all", "union of nothing"}))
def test_gradient(name, load, check_gradient):
    X, y = load("iris")
    check_gradient(fitted(COMPOSED[name], X, y), X)


@each_composed
def test_modules_can_be_copied_and_pickled(name, load):
    X, y = load("iris")
    module, x = to_module(fitted(COMPOSED[name], X, y)), torch.from_numpy(X)
    for other in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x), module(x))


@pytest.mark.parametrize(
    "columns", [["width", "height"], slice("height", "width"), make_column_selector("height|width")]
)
def test_columns_by_name(columns, load):
    X, _ = load("iris")
    frame = pd.DataFrame(X, columns=["depth", "height", "width", "age"])
    transformer = make_column_transformer((PCA(2), columns), remainder=StandardScaler()).fit(frame)
    ours = to_module(transformer)(torch.from_numpy(X)).numpy()
    # by name, in any order
    np.testing.assert_allclose(
        ours, transformer.transform(frame[["age", "width", "depth", "height"]]), atol=1e-12
    )


SELECTORS = [
    SelectKBest(k=5),
    SelectPercentile(percentile=30),
    VarianceThreshold(0.9),
    SelectFromModel(LR, max_features=4),
    SelectFromModel(LR, threshold="1.2*mean"),
    RFE(LR, n_features_to_select=6, step=0.5),
    RFECV(LR, step=0.5, cv=2),
    SequentialFeatureSelector(LR, n_features_to_select=1, cv=2),
]


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: type(selector).__name__)
def test_selectors(selector, frozen, load, fit):
    X, _ = load("breast")
    X = X if not isinstance(selector, SequentialFeatureSelector) else X[:, :4]
    selector = clone(selector).fit(X, load("breast")[1])
    module = to_transform(FrozenEstimator(selector) if frozen else selector)
    np.testing.assert_array_equal(module(torch.from_numpy(X)).numpy(), selector.transform(X))


@pytest.mark.parametrize("selector", [RFE(LR, n_features_to_select=6, step=0.5), RFECV(LR, step=0.5, cv=2)])
def test_a_selector_that_predicts(selector, load, fit, check_logits):
    check_logits(fit(selector, "breast"), load("breast")[0])


IN_A_PIPELINE = {
    "discriminants": make_pipeline(LDA(n_components=1), StandardScaler(), LR),
    "discriminants of two classes": make_pipeline(StandardScaler(), LDA(), LR),
    "recursive elimination": make_pipeline(RFE(LR, n_features_to_select=3), LR),
    "recursive elimination last": make_pipeline(StandardScaler(), RFE(LR, n_features_to_select=3)),
    "in an inner pipeline": make_pipeline(make_pipeline(StandardScaler(), LDA()), LR),
    "in a search": make_pipeline(GridSearchCV(LDA(), {"n_components": [1]}, cv=2), LR),
    "predicting and transforming": make_pipeline(LDA(n_components=1), LDA()),
}


@pytest.mark.parametrize("name", IN_A_PIPELINE)
@pytest.mark.parametrize("data", ["breast", "iris"])
def test_a_step_transforms_where_it_could_predict(name, data, load, fit, check_logits, check_gradient):
    pipeline = fit(IN_A_PIPELINE[name], data)
    check_logits(pipeline, load(data)[0])
    check_gradient(as_model(pipeline), load(data)[0])


def by_hand(X, factor=1.0):
    return X**2 * factor + X[:, :1]


def only_for_arrays(X):
    return np.log1p(np.abs(X))


def no_tensor(X):
    return X.tolist()


def a_step(X):
    return (X > 0) * 1.0


def other_for_tensors(X):
    return X + 1 if isinstance(X, np.ndarray) else X + 2


def only_for_tensors(X):
    return X + torch.ones(1, requires_grad=True)


FUNCTIONS = [
    *(
        None,
        np.log1p,
        np.exp,
        np.sqrt,
        np.square,
        np.abs,
        np.tanh,
        np.log,
        np.log10,
        np.log2,
        np.expm1,
        np.sin,
    ),
    *(np.cos, np.arctan, np.arcsinh, np.negative, np.reciprocal, np.sign, np.cbrt, np.clip, np.nan_to_num),
    *(scipy.special.expit, scipy.special.erf, by_hand),
]
ARGUMENTS = {np.clip: {"min": 0.2, "max": 2.0}, by_hand: {"factor": 3.0}, np.nan_to_num: {"nan": 7.0}}


@pytest.mark.parametrize("validate", [False, True])
@pytest.mark.parametrize(
    "function", [f for f in FUNCTIONS if f is not np.cbrt], ids=lambda f: getattr(f, "__name__", "")
)
def test_functions(function, validate, load, check_gradient):
    if function is np.clip and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("bounds had other names, which torch does not know")
    X = load("iris")[0]
    transformer = FunctionTransformer(function, kw_args=ARGUMENTS.get(function), validate=validate).fit(X)
    module = pickle.loads(pickle.dumps(to_module(transformer)))
    np.testing.assert_allclose(module(torch.from_numpy(X)).numpy(), transformer.transform(X), rtol=1e-12)
    check_gradient(transformer, X)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (only_for_arrays, "it raises RuntimeError: Can't call numpy"),
        (np.cbrt, "it raises RuntimeError"),
        (no_tensor, "it returns a list"),
        (a_step, "its result does not depend on it"),
        (other_for_tensors, "it returns something else than for an array"),
        (only_for_tensors, "its result cannot be checked: on an array it raises"),
    ],
)
def test_functions_without_a_gradient(function, reason):
    transformer = FunctionTransformer(function)
    with pytest.raises(
        NotDifferentiableError, match=f"FunctionTransformer of '{function.__name__}'.*{reason}"
    ):
        to_module(transformer)


UNKNOWN = {
    "transformer 'knn' of the ColumnTransformer: KNNImputer has no": ColumnTransformer(
        [("knn", KNNImputer(), [0, 1])]
    ),
    "transformer 'knn' of the FeatureUnion: KNNImputer has no": FeatureUnion([("knn", KNNImputer())]),
    "transformer 'a' of the FeatureUnion: step 'b' of the Pipeline: KNNImputer has no": FeatureUnion(
        [("a", Pipeline([("b", KNNImputer())]))]
    ),
    "transformer 'v' of the FeatureUnion: transform of VotingClassifier has no": FeatureUnion(
        [("v", VotingClassifier([("lr", LR)]))]
    ),
}


@pytest.mark.parametrize("reason", UNKNOWN)
def test_the_part_without_a_gradient_is_named(reason, load, fit):
    with pytest.raises(NotDifferentiableError, match=reason):
        to_module(fit(UNKNOWN[reason], "iris"))


rng = np.random.default_rng(0)
FLATS = pd.DataFrame(
    {
        "town": rng.choice(["Bath", "York", "Ely"], 150),
        "area": rng.normal(80, 20, 150),
        "age": np.where(rng.random(150) < 0.2, np.nan, rng.normal(30, 10, 150)),
        "garden": rng.choice(["yes", "no"], 150),
    }
)
DEAR = (FLATS["area"] + 30 * (FLATS["town"] == "Bath") + rng.normal(0, 10, 150) > 90).map(
    {True: "dear", False: "cheap"}
)
NUMBERS = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
TABLES = {
    "one-hot": make_column_transformer((OneHotEncoder(), ["garden", "town"]), (NUMBERS, ["age", "area"])),
    "by type": make_column_transformer(
        (NUMBERS, make_column_selector(dtype_include="number")), remainder=OneHotEncoder(drop="first")
    ),
    "target": make_column_transformer((TargetEncoder(), ["town"]), (NUMBERS, ["area", "age"])),
    "imputed text": make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
            [0, 3],
        ),
        (NUMBERS, [1]),
    ),
}


@pytest.mark.parametrize("classifier", [LR, SVC()], ids=str)
@pytest.mark.parametrize("name", TABLES)
def test_a_classifier_of_a_data_frame(name, classifier):
    model = make_pipeline(TABLES[name], classifier).fit(FLATS, DEAR)
    columns = [category_codes(FLATS[column]) for column in FLATS]
    x = torch.from_numpy(np.stack(columns, axis=1)).requires_grad_()
    z = to_module(model)(x)[:, 0]
    np.testing.assert_allclose(z.detach().numpy(), model.decision_function(FLATS), atol=1e-9)
    (gradient,) = torch.autograd.grad(z.sum(), x)
    assert (gradient[:, [0, 3]] == 0).all()
    assert (gradient[:, 1] != 0).all()
    assert (gradient[:, 2][torch.isnan(x[:, 2])] == 0).all()
    step = 1e-5
    moved = [model.decision_function(FLATS.assign(area=FLATS["area"] + s)) for s in (step, -step)]
    np.testing.assert_allclose(
        gradient[:, 1].numpy(), (moved[0] - moved[1]) / (2 * step), rtol=1e-4, atol=1e-7
    )
