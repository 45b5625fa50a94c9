"""Encoders, imputers and bins against scikit-learn's own output, on category codes."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from skhalfway._inputs import category_codes
from skhalfway.models import to_module

rng = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "town": rng.choice(["Bath", "York", "Ely", "Wells"], 60, p=[0.5, 0.3, 0.15, 0.05]),
        "rooms": rng.integers(1, 5, 60),
        "garden": rng.choice([True, False], 60),
        "size": pd.Categorical(rng.choice(["big", "small"], 60)),
        "age": rng.choice([0.5, 1.5, np.nan], 60),
        "street": np.array(["High", "Mill", np.nan], dtype=object)[rng.integers(0, 3, 60)],
    }
)
NEW = pd.DataFrame(
    {
        "town": ["Bath", "Rome", "Ely"],
        "rooms": [9, 2, 3],
        "garden": [True, False, True],
        "size": ["big", "huge", np.nan],
        "age": [0.5, np.nan, 7.0],
        "street": [np.nan, "Mill", "Long"],
    }
)
TARGETS = {
    "binary": rng.integers(0, 2, 60),
    "multiclass": rng.integers(0, 3, 60),
    "continuous": rng.normal(size=60),
}


def coded(frame):
    columns = [category_codes(frame[name]) for name in frame]
    return torch.from_numpy(np.stack(columns, axis=1))


def own(transformer, X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        output = transformer.transform(X)
    return np.asarray(output.toarray() if hasattr(output, "toarray") else output, dtype=float)


KNOWN_ONLY = [
    OneHotEncoder(),
    OneHotEncoder(drop="first"),
    OneHotEncoder(drop="if_binary", sparse_output=False),
    OneHotEncoder(drop=["York", 1, True, "big", 0.5, "Mill"]),
    OneHotEncoder(min_frequency=12),
    OrdinalEncoder(),
    OrdinalEncoder(encoded_missing_value=-3),
    OrdinalEncoder(max_categories=2),
]
ANY = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    OneHotEncoder(handle_unknown="ignore", drop="first"),
    OneHotEncoder(handle_unknown="ignore", max_categories=3),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=12),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=12, drop="first"),
    OneHotEncoder(
        handle_unknown="ignore",
        categories=[["York", "Bath"], [1, 2, 3], [False, True], ["small"], [0.5], ["Mill", np.nan]],
    ),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=-2),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, min_frequency=12),
    *(TargetEncoder(target_type=name) for name in TARGETS),
    TargetEncoder(target_type="multiclass", smooth=3.0),
]


@pytest.mark.parametrize("named", [True, False], ids=["frame", "array"])
@pytest.mark.parametrize("encoder", KNOWN_ONLY + ANY, ids=str)
def test_encoders(encoder, named):
    frame, new = FRAME, NEW
    if not named:
        frame, new = (X.astype(object).to_numpy() for X in (FRAME, NEW))
    y = TARGETS[encoder.target_type] if isinstance(encoder, TargetEncoder) else None
    fitted = encoder.fit(frame, y)
    module = to_module(fitted)
    np.testing.assert_allclose(module(coded(FRAME)).numpy(), own(fitted, frame))
    if encoder.get_params().get("handle_unknown") != "error":
        np.testing.assert_allclose(module(coded(NEW)).numpy(), own(fitted, new))


def test_an_encoder_whose_output_is_a_frame():
    encoder = OneHotEncoder(sparse_output=False).set_output(transform="pandas").fit(FRAME)
    np.testing.assert_array_equal(to_module(encoder)(coded(FRAME)).numpy(), own(encoder, FRAME))


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=str)
def test_what_an_encoder_refuses_becomes_zeros(encoder):
    module = to_module(encoder.fit(FRAME[["town"]]))
    assert (module(coded(NEW[["town"]]))[1] == 0).all()


@pytest.mark.parametrize("encoder", KNOWN_ONLY + ANY, ids=str)
def test_encoders_have_the_gradient_zero(encoder):
    y = TARGETS[encoder.target_type] if isinstance(encoder, TargetEncoder) else None
    x = coded(FRAME).requires_grad_()
    (gradient,) = torch.autograd.grad(to_module(encoder.fit(FRAME, y))(x).nan_to_num().sum(), x)
    assert (gradient == 0).all()


def test_many_categories_take_little_memory():
    n_categories = 20_000
    X = np.arange(n_categories)[:, None]
    module = to_module(OneHotEncoder(handle_unknown="ignore").fit(X))
    assert sum(buffer.numel() for buffer in module.buffers()) < 4 * n_categories
    output = module(torch.tensor([[7.0], [-1.0]], dtype=torch.float64))
    assert output.nonzero().tolist() == [[0, 7]]


HOLES = FRAME[["rooms", "age"]].assign(empty=np.nan, zero=rng.normal(size=60))
TEXT = FRAME[["town", "street"]].assign(town=FRAME["town"].where(FRAME["town"] != "Ely")).astype(object)
IMPUTERS = {
    "mean": (SimpleImputer(), HOLES[["rooms", "age", "zero"]]),
    "median, indicated": (SimpleImputer(strategy="median", add_indicator=True), HOLES[["rooms", "age"]]),
    "most frequent": (SimpleImputer(strategy="most_frequent"), HOLES[["rooms", "age"]]),
    "constant": (SimpleImputer(strategy="constant", fill_value=-1.5), HOLES[["age", "zero"]]),
    "empty column": (SimpleImputer(), HOLES),
    "empty column kept": (SimpleImputer(keep_empty_features=True, add_indicator=True), HOLES),
    "by a number": (
        SimpleImputer(missing_values=2, add_indicator=True),
        HOLES[["rooms", "zero"]].astype(float),
    ),
    "of text": (SimpleImputer(strategy="most_frequent", missing_values=np.nan), TEXT),
    "of text by a constant": (
        SimpleImputer(strategy="constant", fill_value="none", missing_values=np.nan),
        TEXT,
    ),
    "indicator": (MissingIndicator(), HOLES),
    "indicator of all": (MissingIndicator(features="all"), HOLES[["rooms", "age"]]),
}
each_imputer = pytest.mark.parametrize("name", IMPUTERS)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@each_imputer
def test_imputers(name):
    imputer, X = IMPUTERS[name]
    fitted = clone(imputer).fit(X)
    expected = fitted.transform(X)
    expected = np.stack([category_codes(column) for column in np.asarray(expected).T], axis=1)
    np.testing.assert_allclose(to_module(fitted)(coded(X)).numpy(), expected)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@each_imputer
def test_imputers_pass_the_gradient_of_what_is_there(name):
    imputer, X = IMPUTERS[name]
    imputer = clone(imputer).fit(X)
    x = coded(X).requires_grad_()
    (gradient,) = torch.autograd.grad(to_module(imputer)(x).sum(), x)
    passes = torch.zeros_like(x)
    if isinstance(imputer, SimpleImputer):
        missing = x == 2 if imputer.missing_values == 2 else torch.isnan(x)
        passes = (~missing & ~missing.all(dim=0)).to(x)
    torch.testing.assert_close(gradient, passes)


def test_an_imputer_in_front_of_a_classifier(logits):
    X, y = FRAME[["rooms", "age"]].to_numpy(), TARGETS["binary"]
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression()).fit(
        X, y
    )
    x = torch.from_numpy(X).requires_grad_()
    z = to_module(pipeline)(x)[:, 0]
    np.testing.assert_allclose(z.detach().numpy(), pipeline.decision_function(X))
    (gradient,) = torch.autograd.grad(z.sum(), x)
    assert torch.equal(gradient == 0, torch.isnan(x))


BINS = [
    KBinsDiscretizer(n, encode=encode, strategy=strategy, **quantiles)
    for n in (2, 5)
    for encode in ("onehot", "onehot-dense", "ordinal")
    for strategy in ("uniform", "quantile", "kmeans")
    for quantiles in [{"quantile_method": "averaged_inverted_cdf"} if strategy == "quantile" else {}]
    if "quantile_method" in KBinsDiscretizer().get_params() or not quantiles
] + [Binarizer(), Binarizer(threshold=-0.3)]
each_step = pytest.mark.parametrize("transformer", BINS, ids=str)


@each_step
def test_bins_are_exact(transformer, load, fit):
    X, _ = load("breast")
    fitted = fit(transformer, "breast")
    edges = (
        [fitted.threshold] * 30
        if isinstance(fitted, Binarizer)
        else [e[len(e) // 2] for e in fitted.bin_edges_]
    )
    # beyond the bins, and on an edge
    X = np.vstack([X, 2 * X, [edges], np.nextafter([edges], 9), np.nextafter([edges], -9)])
    np.testing.assert_array_equal(to_module(fitted)(torch.from_numpy(X)).numpy(), own(fitted, X))


@each_step
def test_gradient_of_bins_is_that_of_smooth_steps(transformer, load, fit):
    X, _ = load("breast")
    fitted = fit(transformer, "breast")
    x = torch.from_numpy(X[:20]).requires_grad_()
    (gradient,) = torch.autograd.grad(to_module(fitted)(x).sum(dim=0)[-1], x)
    # the last output: the last bin, the number of the bin, or 1 beyond the threshold, of the last feature
    edges = [fitted.threshold] if isinstance(fitted, Binarizer) else fitted.bin_edges_[-1]
    inner = edges if len(edges) == 1 else edges[1:-1]
    if getattr(fitted, "encode", "").startswith("onehot"):
        inner = inner[-1:]
    temperature = 0.25 * (1.0 if len(edges) == 1 else (edges[-1] - edges[0]) / (len(edges) - 1))
    smooth = [1 / (1 + np.exp(-(X[:20, -1] - edge) / temperature)) for edge in inner]
    expected = np.zeros((20, X.shape[1]))
    expected[:, -1] = sum(step * (1 - step) / temperature for step in smooth)
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-9)


def test_the_temperature_of_a_step_can_be_set(load, fit):
    X, _ = load("breast")
    module = to_module(fit(Binarizer(threshold=0.1), "breast"))
    module.temperature = 1e-4
    x = torch.from_numpy(X[:20]).requires_grad_()
    (gradient,) = torch.autograd.grad(module(x).sum(), x)
    assert gradient.count_nonzero() < 0.2 * x.numel()


def test_a_feature_of_one_bin(load):
    X = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        fitted = [KBinsDiscretizer(3, encode=e, strategy="uniform").fit(X) for e in ("onehot", "ordinal")]
    for bins in fitted:
        np.testing.assert_array_equal(to_module(bins)(torch.from_numpy(X)).numpy(), own(bins, X))


def test_bins_in_front_of_a_classifier(load, fit, check_logits):
    X, _ = load("breast")
    bins = KBinsDiscretizer(4, strategy="uniform")
    check_logits(fit(make_pipeline(bins, LogisticRegression()), "breast"), X)
