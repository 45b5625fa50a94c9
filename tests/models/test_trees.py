"""Trees as arrays against their libraries, and soft trees against these."""

import pickle
import warnings
from copy import deepcopy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.models import NotDifferentiableError, _trees, as_model, to_module
from skhalfway.models._tree_arrays import Tree, join
from skhalfway.models._tree_input import _concatenated
from skhalfway.models._tree_parsers import tree_ensemble
from skhalfway.models._trees import SoftTrees

SKLEARN = {
    "tree": DecisionTreeClassifier(random_state=0),
    "shallow tree": DecisionTreeClassifier(max_depth=3, random_state=0),
    "stump": DecisionTreeClassifier(max_depth=1, random_state=0),
    "extra tree": ExtraTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(15, random_state=0),
    "shallow forest": RandomForestClassifier(15, max_depth=4, random_state=0),
    "extra trees": ExtraTreesClassifier(15, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=5, random_state=0),
    "boosting from zero": GradientBoostingClassifier(n_estimators=5, init="zero", random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=8),
}


def _xgboost(**params):
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=8, n_jobs=1, **params)


def _xgboost_forest():
    return pytest.importorskip("xgboost").XGBRFClassifier(n_estimators=8, n_jobs=1)


def _lightgbm(**params):
    return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1, **params)


def _catboost(**params):
    params = {"iterations": 8, "depth": 4, "thread_count": 1, "verbose": 0} | params
    return pytest.importorskip("catboost").CatBoostClassifier(**params, allow_writing_files=False)


LIBRARIES = {
    "XGBoost": _xgboost,
    "XGBoost, exact": lambda: _xgboost(tree_method="exact"),
    "XGBoost, parallel trees": lambda: _xgboost(num_parallel_tree=2, subsample=0.5),
    "XGBoost, labels": lambda: _xgboost(objective="multi:softmax", num_class=10),
    "XGBoost, forest": _xgboost_forest,
    "LightGBM": _lightgbm,
    "LightGBM, one vs all": lambda: _lightgbm(objective="multiclassova", num_class=10),
    "LightGBM, dropout": lambda: _lightgbm(boosting_type="dart"),
    "LightGBM, forest": lambda: _lightgbm(boosting_type="rf", bagging_freq=1, bagging_fraction=0.7),
    "CatBoost": _catboost,
    "CatBoost, one vs all": lambda: _catboost(loss_function="MultiClassOneVsAll"),
    "CatBoost, by depth": lambda: _catboost(grow_policy="Depthwise"),
    "CatBoost, by loss": lambda: _catboost(grow_policy="Lossguide"),
}
NAMES = [*SKLEARN, *LIBRARIES]
MULTICLASS_ONLY = {"XGBoost, labels", "LightGBM, one vs all", "CatBoost, one vs all"}
each_classifier = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def trained(load):
    """``trained(name, data)`` gives a fitted classifier, the same at every call."""
    kept = {}

    def get(name, data):
        if data == "breast" and name in MULTICLASS_ONLY:
            pytest.skip("for several classes")
        if (name, data) not in kept:
            classifier = clone(SKLEARN[name]) if name in SKLEARN else LIBRARIES[name]()
            kept[name, data] = classifier.fit(*load(data))
        return kept[name, data]

    return get


def off_the_data(X):
    return np.vstack([X, X + np.random.default_rng(0).normal(scale=0.2, size=X.shape), 3 * X])


@pytest.mark.parametrize("data", ["breast", "digits"])
@each_classifier
def test_arrays_are_the_librarys_trees(name, data, trained, load):
    classifier, X = trained(name, data), off_the_data(load(data)[0])
    ensemble = tree_ensemble(classifier)
    outputs = ensemble.outputs(X)
    # XGBoost adds up float32
    atol = 2e-6 if name.startswith("XGBoost") else 1e-12
    np.testing.assert_allclose(
        ensemble.response.probability(ensemble.sums(X)), classifier.predict_proba(X), atol=atol, rtol=0
    )
    np.testing.assert_array_equal(classifier.classes_[ensemble.predict(X)], np.ravel(classifier.predict(X)))
    # LightGBM divides a forest's sum for probabilities only
    if hasattr(classifier, "decision_function") and name != "LightGBM, forest":
        own = classifier.decision_function(X)
        np.testing.assert_allclose(outputs.reshape(own.shape), own, atol=1e-12, rtol=0)


@pytest.mark.parametrize("data", ["breast", "digits"])
@each_classifier
def test_soft_trees_become_the_trees_as_the_temperature_falls(name, data, trained, load):
    classifier, (X, _) = trained(name, data), load(data)
    model, ensemble = as_model(classifier), tree_ensemble(classifier)
    own, hard = model.predict(X), ensemble.outputs(X)
    agreement, distance = [], []
    for model.module.temperature in (3.0, 0.1, 0.01, 1e-5):
        z = model.module(torch.from_numpy(X)).numpy() / model.module.emphasis
        assert np.isfinite(z).all()
        agreement.append((model.logits(torch.from_numpy(X)).argmax(dim=1).numpy() == own).mean())
        distance.append(np.abs((np.exp(z) if ensemble.probabilities else z) - hard).mean())
    assert distance == sorted(distance, reverse=True)
    assert distance[-1] < 0.01
    assert agreement[0] <= agreement[2] <= agreement[3]
    # LightGBM puts thresholds next to 0, where pixels lie; 8 leaves do not do for 10 classes
    assert agreement[1] >= {"LightGBM, forest": 0.9, "shallow tree": 0.8}.get(name, 0.965)
    assert agreement[3] >= 0.99


@pytest.mark.parametrize("data", ["breast", "digits"])
@each_classifier
def test_gradient(name, data, trained, load, check_gradient):
    check_gradient(as_model(trained(name, data)), load(data)[0])


def test_gradient_in_parts(trained, load, monkeypatch):
    module = deepcopy(to_module(trained("forest", "digits")))
    x = torch.from_numpy(load("digits")[0][:50]).requires_grad_()

    def slopes():
        logits = module(x)
        return logits, torch.autograd.grad(logits[:, 0].sum(), x)[0]

    whole = slopes()
    monkeypatch.setattr(_trees, "_AT_ONCE", 7 * len(module.side))
    monkeypatch.setattr(_trees, "_KEPT", 0)
    for ours, expected in zip(slopes(), whole, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("more", "n_parts"), [(0, None), (1, 9)])
def test_what_is_kept_for_a_gradient_is_bounded(trained, monkeypatch, more, n_parts):
    """16 million nodes times samples are kept; beyond, parts of 2 million are computed twice."""
    module, asked = deepcopy(to_module(trained("tree", "breast"))), []
    n = 2**12
    module.side, x = torch.zeros(n, dtype=torch.long), torch.zeros(n + more, 30).requires_grad_()
    monkeypatch.setattr(module, "_logits", lambda part: part.sum(dim=1, keepdim=True))

    def checkpoint(function, part, **options):
        asked.append(len(part))
        return function(part)

    monkeypatch.setattr(_trees, "checkpoint", checkpoint)
    assert module(x).shape == (n + more, 1)
    assert asked == ([512] * 8 + [1] if n_parts else [])
    with torch.no_grad():
        module(x)
    assert len(asked) == (n_parts or 0)


def split(feature, threshold, low, high, *, in_left=None):
    """A tree of one split, by a number or by categories."""
    leaf = [-1, -1]
    return Tree(
        np.array([feature, *leaf]),
        np.array([threshold, np.nan, np.nan]),
        np.array([True, False, False]),
        np.array([1, *leaf]),
        np.array([2, *leaf]),
        np.array([[0.0], [low], [high]]),
        {} if in_left is None else {0: np.array(in_left, dtype=float)},
    )


NUMERIC = join([split(1, 0.5, 1.0, 2.0), split(0, 1.5, 10.0, 20.0)], baseline=0.25)
FEW = join([split(0, np.nan, 100.0, 200.0, in_left=[0, 3])], categories={0: np.arange(4)}, baseline=0.5)
MANY = join([split(2, np.nan, 1e3, 2e3, in_left=[1, 7])], categories={2: np.arange(8)}, strict=True)


@pytest.mark.parametrize(
    "ensembles", [[NUMERIC, FEW], [FEW, NUMERIC], [FEW, MANY, NUMERIC], [MANY, NUMERIC, FEW], [MANY]], ids=len
)
def test_trees_put_together_add_up(ensembles):
    """Each split keeps its own categories, however many others there are."""
    X = np.array(list(product(range(4), (0.0, 1.0), range(8))), dtype=float)
    together = _concatenated(ensembles)
    np.testing.assert_allclose(together.sums(X), sum(ensemble.sums(X) for ensemble in ensembles))
    assert together.strict == any(ensemble is MANY for ensemble in ensembles)


@pytest.mark.parametrize("n_trees", [1, 2, 3])
def test_logits_of_several_trees_are_emphasised_eightfold(n_trees, load):
    X, y = load("iris")
    forest = RandomForestClassifier(n_trees, max_depth=3, random_state=0).fit(X, y)
    x = torch.from_numpy(X)
    plain = SoftTrees(tree_ensemble(forest))(x)
    torch.testing.assert_close(plain.exp().sum(dim=1), torch.ones(len(x), dtype=x.dtype))
    torch.testing.assert_close(to_module(forest)(x), (8.0 if n_trees > 1 else 1.0) * plain)


@pytest.mark.parametrize(
    ("threshold", "strict", "edge"),
    [
        (2.0, False, 2.001),
        (2.0, True, 1.999),
        (0.0, False, 0.001),
        (-0.5, False, -0.499),
        (-1e-29, False, 0.001),
        (-1e-35, False, -0.001),  # LightGBM's, below 0
        (1e-35, False, 0.001),
    ],
)
def test_edges_lie_beside_thresholds(threshold, strict, edge):
    """By a thousandth of the scale, so that values that equal a threshold go where they belong."""
    splits = SoftTrees(join([split(0, threshold, 0.0, 1.0)], strict=strict)).splits
    assert splits.threshold.item() == pytest.approx(edge, rel=1e-9)
    assert splits.scale.item() == 1


def test_what_is_certain_is_so_by_a_factor_of_exp_10_000():
    """A missing value, a category, and what lies very far from a threshold."""
    numbers = SoftTrees(join([split(0, 2.0, 0.0, 1.0)]))
    x = torch.tensor([[np.nan], [-1e9], [1e9], [2.001 - 100.0]], dtype=torch.float64)
    left = numbers.splits(x, 0.1)[0]
    torch.testing.assert_close(left, torch.tensor([0.0, 0.0, -1e4, 0.0], dtype=torch.float64))
    right = numbers.splits(x, 0.1)[1]
    torch.testing.assert_close(right, torch.tensor([-1e4, -1e4, 0.0, -1e3], dtype=torch.float64))
    x = torch.tensor([[0.0, 0.0, k] for k in (1.0, 2.0, 7.0)], dtype=torch.float64)
    left = SoftTrees(MANY).splits(x, 0.1)[0]
    torch.testing.assert_close(left, torch.tensor([0.0, -1e4, 0.0], dtype=torch.float64))


def test_soft_split_by_hand():
    """One split at 2 with the fallback scale of 1, and the leaves' class shares."""
    stump = DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1])
    module = to_module(stump)
    module.temperature = 0.5
    x = torch.tensor([[1.0], [2.5]], dtype=torch.float64)
    left = torch.sigmoid((2.001 - x) / 0.5)
    torch.testing.assert_close(module(x), torch.hstack([left, 1 - left]).log())


def test_scale_is_the_deviation_of_a_features_thresholds(trained):
    splits = to_module(trained("forest", "digits")).splits
    threshold, scale = splits.threshold[:, 0].numpy(), splits.scale[:, 0].numpy()
    spread = {
        int(f): np.unique(threshold[splits.feature.numpy() == f]).std() for f in splits.feature.unique()
    }
    typical = np.median([s for f in splits.feature.tolist() if (s := spread[f]) > 0])
    expected = [spread[f] or typical for f in splits.feature.tolist()]
    np.testing.assert_allclose(scale, expected, rtol=1e-9)


def test_logits_of_unlikely_classes_have_a_gradient(trained, load):
    """Deep in a leaf, where probabilities have long underflown."""
    module = deepcopy(to_module(trained("tree", "digits")))
    module.temperature = 1e-4
    x = torch.from_numpy(load("digits")[0][:20]).requires_grad_()
    logits = module(x)
    assert logits.min() < np.log(np.finfo(float).tiny)
    assert torch.isfinite(logits).all()
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert (gradient.abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("kind", [DecisionTreeClassifier, HistGradientBoostingClassifier])
def test_trees_without_splits(kind):
    X, y = np.zeros((40, 2)), np.repeat([0, 1], [10, 30])
    model = as_model(kind().fit(X, y))
    logits = model.logits(torch.from_numpy(X))
    torch.testing.assert_close(logits.softmax(dim=1)[0], torch.tensor([0.25, 0.75], dtype=torch.float64))


def test_class_without_a_leaf(load):
    X, y = load("iris")
    forest = RandomForestClassifier(3, random_state=0).fit(X, y, sample_weight=(y < 2).astype(float))
    logits = to_module(forest)(torch.from_numpy(X))
    assert torch.isfinite(logits).all()
    assert (logits[:, 2] < -700).all()


def mixed_data(n=400):
    """Numbers, categories as text and as numbers, the columns in no order; nan and None among them."""
    rng = np.random.default_rng(0)
    colour, size = rng.choice(["red", "green", "blue", "grey"], n), rng.integers(0, 6, n)
    a, b = rng.normal(size=(2, n))
    y = (a + np.isin(colour, ["red", "grey"]) + 0.7 * np.isin(size, [1, 4]) - 0.5 * b > 0.8).astype(int)
    colour, size = colour.astype(object), size.astype(float)
    colour[::17], size[::19], a[::23] = None, np.nan, np.nan
    return pd.DataFrame({"a": a, "colour": colour, "b": b, "size": size}), y


@pytest.mark.parametrize("share", [1, 0.8], ids=["all categories seen", "some unknown"])
def test_categories_of_histogram_boosting(share):
    from skhalfway._inputs import category_codes

    frame, y = mixed_data()
    X = frame.astype({"colour": "category", "size": "category"})
    # the last categories to appear are unknown, unless all rows are seen
    seen = slice(None) if share == 1 else ~frame["size"].isin([4, 5]) & (frame["colour"] != "blue")
    train = X[seen].copy()
    for column in ("colour", "size"):
        train[column] = train[column].cat.remove_unused_categories()
    classifier = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5).fit(train, y[seen])
    ensemble = tree_ensemble(classifier)
    assert (ensemble.category_row >= 0).any()
    codes = np.stack([category_codes(frame[name]) for name in frame], axis=1)
    np.testing.assert_allclose(ensemble.outputs(codes)[:, 0], classifier.decision_function(X), atol=1e-12)
    module = to_module(classifier)
    module.temperature = 1e-5
    x = torch.from_numpy(codes).requires_grad_()
    z = module(x)[:, 0]
    assert ((z > 0).numpy() == classifier.predict(X)).mean() >= 0.99
    module.temperature = 0.3
    (gradient,) = torch.autograd.grad(module(x).sum(), x)
    assert (gradient[:, [1, 3]] == 0).all()
    assert (gradient[~np.isnan(codes[:, 0]), 0] != 0).any()


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
@pytest.mark.parametrize("data", ["breast", "iris"])
def test_boosting_from_an_estimator(data, loss, load, check_gradient):
    X, y = load(data)
    if data == "iris" and loss == "exponential":
        pytest.skip("for two classes")
    booster = GradientBoostingClassifier(
        init=LogisticRegression(max_iter=1000), loss=loss, n_estimators=3, random_state=0
    )
    model = as_model(booster.fit(X, y))
    check_gradient(model, X)
    model.module.trees.temperature = 1e-6
    proba = model.logits(torch.from_numpy(X)).mul(2 if loss == "exponential" else 1).softmax(dim=1)
    np.testing.assert_allclose(proba, booster.predict_proba(X), atol=1e-6)
    with pytest.raises(NotDifferentiableError, match="starts from a LogisticRegression"):
        tree_ensemble(booster)


def test_boosting_from_a_dummy_of_the_users(load):
    X, y = load("iris")
    booster = GradientBoostingClassifier(init=DummyClassifier(strategy="uniform"), n_estimators=3).fit(X, y)
    np.testing.assert_allclose(tree_ensemble(booster).outputs(X), booster.decision_function(X), atol=1e-12)


@pytest.mark.parametrize("make", [_xgboost, _lightgbm])
def test_early_stopping(make, load):
    X, y = load("breast")
    early = make(early_stopping_rounds=1) if make is _xgboost else make(early_stopping_round=1)
    early.set_params(n_estimators=60, learning_rate=1.0)
    with warnings.catch_warnings():
        # newer versions of LightGBM want other names
        warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
        early.fit(X[::2], y[::2], eval_set=[(X[1::2], y[1::2])])
    ensemble = tree_ensemble(early)
    assert 0 < len(ensemble.roots) < 60
    proba = ensemble.response.probability(ensemble.sums(X))
    np.testing.assert_allclose(proba, early.predict_proba(X), atol=1e-6)


def test_raw_logits_of_xgboost_are_taken_for_probabilities(load):
    X, y = load("breast")
    classifier = _xgboost(objective="binary:logitraw").fit(X, y)
    ensemble, own = tree_ensemble(classifier), classifier.predict(X)
    np.testing.assert_array_equal(ensemble.predict(X), own)
    assert ((ensemble.outputs(X)[:, 0] > -0.5) != own).any()
    with pytest.raises(NotDifferentiableError, match="logitraw' gives no probabilities"):
        ensemble.response.probability(ensemble.sums(X))


def test_probability_threshold_of_catboost(load):
    X, y = load("breast")
    classifier = _catboost().fit(X, y)
    half = classifier.predict(X)
    classifier.set_probability_threshold(0.8)
    own = classifier.predict(X)
    assert (own != half).any()
    np.testing.assert_array_equal(tree_ensemble(classifier).predict(X), own)


def _fit(classifier, **fit_params):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(200, 3)).astype(float)
    return classifier.fit(X, (X.sum(axis=1) > 4).astype(int), **fit_params)


def _fit_categories(classifier, **fit_params):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(list("xyz"), 200), "b": rng.normal(size=200)})
    y = ((X["a"] == "x") ^ (X["b"] > 0)).astype(int)
    return classifier.fit(X.astype({"a": "category"}), y, **fit_params)


REFUSED = {
    "several outputs": lambda: DecisionTreeClassifier().fit([[0], [1]], [[0, 1], [1, 0]]),
    "booster='gblinear'": lambda: _fit(_xgboost(booster="gblinear", device="cpu")),
    "objective='binary:hinge'": lambda: _fit(_xgboost(objective="binary:hinge")),
    "linear_tree": lambda: _fit(_lightgbm(linear_tree=True)),
    "objective='cross_entropy'": lambda: _fit(_lightgbm(objective="cross_entropy")),
    "features that are not numbers": lambda: _fit_categories(_catboost(), cat_features=["a"]),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refused(reason):
    with warnings.catch_warnings():
        # of the libraries, at parameters that only these tests use
        warnings.simplefilter("ignore")
        classifier = REFUSED[reason]()
    with pytest.raises(NotDifferentiableError, match=rf"{type(classifier).__name__} with .*{reason}"):
        to_module(classifier)


def test_boosting_from_what_has_no_gradient(load):
    X, y = load("iris")
    init = RandomForestClassifier(2, random_state=0)
    to_module(GradientBoostingClassifier(init=init, n_estimators=2).fit(X, y))
    booster = GradientBoostingClassifier(init=Odd(), n_estimators=2).fit(X, y)
    with pytest.raises(
        NotDifferentiableError, match="the init of the GradientBoostingClassifier: Odd has no"
    ):
        to_module(booster)


class Odd(DecisionTreeClassifier.__mro__[1]):
    """Of no registered type, with uniform probabilities."""

    def __init__(self):
        pass

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_what_holds_trees(trained, load):
    X, y = load("iris")
    tree = clone(SKLEARN["tree"]).fit(X, y)
    search = GridSearchCV(clone(SKLEARN["tree"]), {"max_depth": [2]}, cv=2).fit(X, y)
    for holder in (FrozenEstimator(tree), search, FrozenEstimator(search)):
        np.testing.assert_array_equal(tree_ensemble(holder).predict(X), holder.predict(X))
    pipeline = make_pipeline(StandardScaler(), clone(SKLEARN["forest"])).fit(X, y)
    assert as_model(pipeline).has_gradient
    for other in (LinearSVC(), RidgeClassifier()):
        with pytest.raises(
            NotDifferentiableError, match=f"{type(other).__name__} is not made of decision trees"
        ):
            tree_ensemble(other)


def test_copies_and_float_types(trained, load):
    module, (X, _) = to_module(trained("histogram boosting", "digits")), load("digits")
    expected = module(torch.from_numpy(X))
    for copied in (deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(copied(torch.from_numpy(X)), expected)
    single = deepcopy(module).float()(torch.from_numpy(X).float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "name", ["tree", "forest", "extra trees", "boosting", "histogram boosting", "XGBoost"]
)
def test_a_gradient_attack_fools_the_trees_themselves(name, trained, load):
    classifier, (X, _) = trained(name, "digits"), load("digits")
    own = classifier.predict(X)
    attack = AdversarialGenerator(
        FrozenEstimator(classifier), attack="pgd", eps=0.15, max_iter=10, clip_values=(0, 1)
    )
    X_adv = attack.generate(X, own)
    noise = np.clip(X + np.random.default_rng(0).choice([-0.15, 0.15], X.shape), 0, 1)
    by_attack = (classifier.predict(X_adv) != own).mean()
    by_noise = (classifier.predict(noise) != own).mean()
    assert by_attack > 0.35
    assert by_attack > by_noise + 0.2
