"""AdversarialSampler: what comes out, on what it was made, and when."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model
from skhalfway.perturbation import AdversarialSampler
from skhalfway.perturbation._sampling import draw

X, Y = load_iris(return_X_y=True)
N = len(X)
LR, SVM = LogisticRegression(max_iter=1000).fit(X, Y), SVC().fit(X, Y)
THREE = [("lr", FrozenEstimator(LR)), ("svm", FrozenEstimator(SVM)), ("knn", KNeighborsClassifier())]


def sampler(**settings: Any) -> AdversarialSampler:
    settings = {"sources": FrozenEstimator(LR), "random_state": 0} | settings
    return AdversarialSampler(AdversarialGenerator(eps=0.3, max_iter=5, max_queries=50), **settings)


class Spy(ClassifierMixin, BaseEstimator):
    """A nearest neighbour that keeps the data it was handed, in a list that clones share."""

    seen: ClassVar[list[tuple[str, Any, Any]]] = []

    def fit(self, X: Any, y: Any) -> Spy:
        Spy.seen.append(("fit", X, y))
        self.inner_ = KNeighborsClassifier(1).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X: Any) -> Any:
        Spy.seen.append(("predict", X, None))
        return self.inner_.predict(X)


@pytest.fixture
def seen() -> list[tuple[str, Any, Any]]:
    Spy.seen = []
    return Spy.seen


@parametrize_with_checks(
    [
        AdversarialSampler(AdversarialGenerator(max_iter=2)),
        AdversarialSampler(
            AdversarialGenerator(max_iter=2),
            sources=[("lr", LogisticRegression()), ("svm", SVC())],
            random_state=0,
        ),
    ]
)
def test_check_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("keep_clean", [True, False])
@pytest.mark.parametrize(("ratio", "n"), [(1 / N, 1), (0.3, 45), (1, N), (1.0, N), (2, 2 * N), (2.5, 375)])
def test_output(ratio: float, n: int, keep_clean: bool) -> None:
    made = sampler(sources=THREE, ratio=ratio, keep_clean=keep_clean)
    X_res, y_res = made.fit_resample(X, Y)
    assert (made.n_adversarial_, len(made.sample_indices_), len(made.sample_sources_)) == (n, n, n)
    assert len(X_res) == len(y_res) == n + N * keep_clean
    np.testing.assert_array_equal(X_res[:-n], X[: N * keep_clean])
    np.testing.assert_array_equal(y_res[:-n], Y[: N * keep_clean])
    np.testing.assert_array_equal(y_res[-n:], Y[made.sample_indices_])
    change = abs(X_res[-n:] - X[made.sample_indices_]).max(axis=1)
    assert change.max() <= 0.3 + 1e-12
    # an attack on the nearest neighbours may find nothing; by gradient it always moves
    assert (change[made.sample_sources_ != "knn"] > 0).all()


def test_samples_are_the_generators_own() -> None:
    made = sampler(sources=THREE[:2], keep_clean=False)
    X_res, y_res = made.fit_resample(X, Y)
    assert list(made.sources_) == ["lr", "svm"]
    for name, source in THREE[:2]:
        mine = made.sample_sources_ == name
        generator = clone(made.generator).set_params(estimator=source)
        expected = generator.generate(X[made.sample_indices_[mine]], y_res[mine])
        np.testing.assert_allclose(X_res[mine], expected, atol=1e-12)
        others = clone(made.generator).set_params(estimator=THREE[name == "lr"][1])
        assert abs(others.generate(X[made.sample_indices_[mine]], y_res[mine]) - X_res[mine]).max() > 0.1


@pytest.mark.parametrize(
    ("ratio", "least", "most"), [(0.3, 0, 1), (1, 1, 1), (1.5, 1, 2), (3, 3, 3), (7, 7, 7)]
)
def test_rows_and_sources_drawn(ratio: float, least: int, most: int) -> None:
    """Each row as often as any other, or once more; on another source while there is one."""
    rows, source = draw([(np.arange(1000), round(1000 * ratio))], 3, np.random.RandomState(1))
    assert len(rows) == 1000 * ratio
    times = np.bincount(rows, minlength=1000)
    assert (times.min(), times.max()) == (least, most)
    if least < most:  # those once more are drawn from all over the data
        extra = np.flatnonzero(times == most)
        assert abs(extra.mean() - 499.5) < 4 * 1000 / np.sqrt(12 * len(extra))
    pairs = np.zeros((1000, 3), dtype=int)
    np.add.at(pairs, (rows, source), 1)
    assert (np.ptp(pairs, axis=1) <= 1).all()
    shares = np.bincount(source) / len(source)
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / len(source)))
    assert (np.lexsort((rows, source)) == np.arange(len(rows))).all()


def named_rows(X: Any) -> pd.DataFrame:
    return pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) % 7)


CONTAINERS = {
    "float64": (lambda X: X, np.float64),
    "float32": (lambda X: X.astype("float32"), np.float32),
    "float16": (lambda X: X.astype("float16"), np.float16),
    "int": (lambda X: X.astype(int), np.float64),
    "fortran": (np.asfortranarray, np.float64),
    "list": (lambda X: X.tolist(), np.float64),
    "frame": (named_rows, np.float64),
    "frame-float32": (lambda X: named_rows(X).astype("float32"), np.float32),
    "frame-int": (lambda X: named_rows(X).astype("int64"), np.float64),
    "tensor": (lambda X: torch.tensor(X, dtype=torch.float32), torch.float32),
    "tensor-int": (lambda X: torch.tensor(X.astype(int)), torch.float64),
    "tensor-with-gradient": (lambda X: torch.tensor(X, requires_grad=True), torch.float64),
}


def as_array(values: Any) -> Any:
    return np.asarray(values.detach() if isinstance(values, torch.Tensor) else values)


@pytest.mark.parametrize("keep_clean", [True, False])
@pytest.mark.parametrize("name", CONTAINERS)
def test_container_of_samples(name: str, keep_clean: bool) -> None:
    make, dtype = CONTAINERS[name]
    given = make(X)
    before = as_array(given).copy()
    made = sampler(sources=None, ratio=0.5, keep_clean=keep_clean)
    X_res, _ = made.fit_resample(given, Y)
    assert type(X_res) is type(given)
    if isinstance(given, pd.DataFrame):
        assert X_res.columns.equals(given.columns) and X_res.index.equals(pd.RangeIndex(len(X_res)))
        assert (X_res.dtypes == dtype).all()
    elif not isinstance(given, list):
        assert X_res.dtype == dtype
    array = as_array(X_res)
    np.testing.assert_array_equal(as_array(given), before)
    np.testing.assert_array_equal(array[:-75], before[: N * keep_clean])
    room = 0.3 + 4 * float(np.finfo(array.dtype).eps) * 8
    assert 0.2 < abs(array[-75:] - before[made.sample_indices_]).max() <= room


WORDS = np.array(["setosa", "versicolor", "virginica"])[Y]
LABELS = {
    "int32": Y.astype("int32"),
    "bool": Y == 0,
    "text": WORDS,
    "object": WORDS.astype(object),
    "list": WORDS.tolist(),
    "series": pd.Series(WORDS, name="kind", index=np.arange(N) % 7),
    "categorical": pd.Series(WORDS, dtype="category"),
    "frame": pd.DataFrame({"kind": Y}),
    "column": Y[:, None],
    "tensor": torch.tensor(Y),
}


@pytest.mark.parametrize("name", LABELS)
def test_container_of_labels(name: str) -> None:
    y = LABELS[name]
    made = sampler(sources=None, ratio=0.5)
    _, y_res = made.fit_resample(X, y)
    assert type(y_res) is type(y)
    if isinstance(y, (pd.Series, pd.DataFrame)):
        assert y_res.index.equals(pd.RangeIndex(225))
        columns = ("name", "dtype") if isinstance(y, pd.Series) else ("columns", "dtypes")
        assert all(np.all(getattr(y_res, key) == getattr(y, key)) for key in columns)
    elif not isinstance(y, list):
        assert y_res.dtype == y.dtype
    values = as_array(y)
    np.testing.assert_array_equal(
        as_array(y_res), np.concatenate([values, values[made.sample_indices_]]), strict=True
    )


def test_columns_of_categories_stay() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": pd.Categorical(WORDS)})
    tree = DecisionTreeClassifier(random_state=0)
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    made = sampler(sources=make_pipeline(encoder, tree))
    X_res, _ = made.fit_resample(frame, (X[:, 0] > 5.8).astype(int))
    assert X_res.dtypes.equals(frame.dtypes)
    assert (X_res["kind"].to_numpy()[N:] == WORDS[made.sample_indices_]).all()
    assert (X_res[["a", "b"]].to_numpy()[N:] != frame[["a", "b"]].to_numpy()[made.sample_indices_]).any()


def test_images() -> None:
    images, y = load_digits(return_X_y=True)
    images = (images[:60] / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    made = AdversarialSampler(AdversarialGenerator(eps=0.1, clip_values=(0, 1)), sources=source)
    X_res, _ = made.fit_resample(images, y[:60])
    assert X_res.shape == (120, 1, 8, 8) and X_res.dtype == np.float32
    assert 0 <= X_res.min() and X_res.max() <= 1
    assert made.sources_["sequential"] is source


MODULE = nn.Linear(4, 3)
SOURCES = {
    "none": (None, ["default"]),
    "one": (SVC(), ["svc"]),
    "one-frozen": (FrozenEstimator(LR), ["frozenestimator"]),
    "one-in-a-list": ([SVC()], ["svc"]),
    "list": ([SVC(), FrozenEstimator(LR), SVC(C=2)], ["svc-1", "frozenestimator", "svc-2"]),
    "pairs": ([("a", SVC()), ("b", FrozenEstimator(LR))], ["a", "b"]),
    "mapping": ({"a": SVC(), "b": FrozenEstimator(LR)}, ["a", "b"]),
    "module": (MODULE, ["linear"]),
    "models": ([as_model(LR), as_model(SVM)], ["model-1", "model-2"]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str) -> None:
    sources, names = SOURCES[name]
    made = sampler(sources=sources)
    X_res, _ = made.fit_resample(X, Y)
    assert list(made.sources_) == names and set(made.sample_sources_) == set(names)
    assert made.sources is sources
    given = list(sources.values()) if isinstance(sources, dict) else sources
    given = given if isinstance(given, list) else [given]
    for one, used in zip(given, made.sources_.values(), strict=True):
        one = one[1] if isinstance(one, tuple) else one
        if isinstance(one, SVC):
            assert used is not one and not hasattr(one, "classes_")
            np.testing.assert_array_equal(used.dual_coef_, clone(one).fit(X, Y).dual_coef_)
        elif one is not None:
            assert used is one
    again = clone(made).fit_resample(X, Y)
    np.testing.assert_array_equal(again[0], X_res)


def test_sources_learn_from_clean_data_only(seen: list[Any]) -> None:
    sampler(sources=[Spy(), Spy()]).fit_resample(X, Y)
    fits = [(data, y) for method, data, y in seen if method == "fit"]
    assert len(fits) == 2
    for data, y in fits:
        np.testing.assert_array_equal(data, X)
        np.testing.assert_array_equal(y, Y)


def test_fit_makes_no_samples() -> None:
    made = sampler(sources=SVC())
    assert made.fit(X, Y) is made
    assert made.n_features_in_ == 4 and list(made.sources_) == ["svc"]
    assert not hasattr(made, "sample_indices_")
    assert not hasattr(made, "transform") and not hasattr(made, "fit_transform")


def test_random_state() -> None:
    settings = {"sources": THREE, "ratio": 0.4}
    first, same, other = (sampler(**settings, random_state=seed) for seed in (3, 3, 4))
    results = [made.fit_resample(X, Y)[0] for made in (first, same, other)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(first.sample_indices_, other.sample_indices_)
    np.testing.assert_array_equal(first.fit_resample(X, Y)[0], results[0])
    state = sampler(**settings, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(state.fit_resample(X, Y)[0], results[0])
    assert not np.array_equal(state.fit_resample(X, Y)[0], results[0])


def test_random_state_reaches_the_generator() -> None:
    generator = AdversarialGenerator(eps=0.3, max_iter=2, random_start=True)
    made = AdversarialSampler(generator, sources=FrozenEstimator(SVM), random_state=0)
    first = made.fit_resample(X, Y)[0]
    np.testing.assert_array_equal(made.fit_resample(X, Y)[0], first)
    assert not np.array_equal(made.set_params(random_state=1).fit_resample(X, Y)[0], first)
    assert generator.random_state is None
    made.set_params(generator__random_state=5)
    second = made.fit_resample(X, Y)[0]
    np.testing.assert_array_equal(made.set_params(random_state=2).fit_resample(X, Y)[0], second)


def test_parameters_nest_clone_and_pickle() -> None:
    made = sampler(sources=[("a", SVC()), ("b", LogisticRegression(max_iter=1000))])
    assert made.get_params()["a__C"] == 1.0 and made.get_params()["generator__eps"] == 0.3
    assert "a__C" not in made.get_params(deep=False)
    copy = clone(made).set_params(a__C=7, generator__eps=0.1, b=SVC(kernel="linear"), ratio=2)
    assert (copy.get_params()["a__C"], copy.generator.eps, copy.ratio) == (7, 0.1, 2)
    assert dict(copy.sources)["b"].kernel == "linear"
    assert (made.get_params()["a__C"], made.generator.eps, made.ratio) == (1.0, 0.3, 1.0)
    assert sampler(sources=SVC()).set_params(sources__C=3).sources.C == 3
    late = AdversarialSampler().set_params(sources=[("a", SVC())], a__C=4)
    assert late.sources[0][1].C == 4
    made.fit_resample(X, Y)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.sample_indices_, made.sample_indices_)
    np.testing.assert_array_equal(again.fit_resample(X, Y)[0], made.fit_resample(X, Y)[0])


def test_budget_in_units_of_spread() -> None:
    generator = AdversarialGenerator(eps=0.5, eps_unit="std")
    X_res, _ = AdversarialSampler(generator, sources=FrozenEstimator(LR)).fit_resample(X, Y)
    change = abs(X_res[N:] - X).max(axis=0) / X.std(axis=0)
    np.testing.assert_allclose(change, 0.5, atol=1e-9)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.5])
def test_budgets_and_masks_one_a_sample_go_with_their_rows(ratio: float) -> None:
    eps, mask = np.linspace(0, 1, N).reshape(-1, 1), np.arange(4 * N).reshape(N, 4) % 3 > 0
    asked = sampler(sources=THREE, ratio=ratio, keep_clean=False)
    asked.set_params(generator__eps=eps, generator__constraints__mask=mask)
    made, _ = asked.fit_resample(X, Y)
    rows = asked.sample_indices_
    change = abs(made - X[rows])
    assert (change.max(axis=1) <= eps[rows, 0]).all()
    assert (change[~mask[rows]] == 0).all()
    assert ((change.max(axis=1) > 0.9 * eps[rows, 0]) & (eps[rows, 0] > 0)).mean() > 0.3
    np.testing.assert_array_equal(asked.generator.eps, eps)
    for change_of in ({"generator__eps": eps[1:]}, {"generator__constraints__mask": mask[1:]}):
        with pytest.raises(ValueError, match="has rows for 149 samples, but X has 150 samples"):
            clone(asked).set_params(**change_of).fit_resample(X, Y)


def test_in_a_pipeline_it_samples_at_fit_time_only(seen: list[Any]) -> None:
    pipeline = pytest.importorskip("imblearn.pipeline")
    steps = [("scale", MinMaxScaler()), ("adversarial", sampler(sources=None)), ("spy", Spy())]
    chain = pipeline.Pipeline(steps).fit(X, Y)
    (_, data, y), *rest = seen
    scaled = MinMaxScaler().fit_transform(X)
    assert not rest and data.shape == (2 * N, 4)
    np.testing.assert_array_equal(data[:N], scaled)
    np.testing.assert_array_equal(y, np.concatenate([Y, Y]))
    assert 0.2 < abs(data[N:] - scaled).max() <= 0.3 + 1e-12
    chain.predict(X)
    assert seen[-1][0] == "predict"
    np.testing.assert_array_equal(seen[-1][1], scaled)


def test_in_a_search() -> None:
    pipeline = pytest.importorskip("imblearn.pipeline")
    chain = pipeline.make_pipeline(sampler(sources=[("lr", LogisticRegression(max_iter=1000))]), SVC())
    grid = {"adversarialsampler__generator__eps": [0.1, 5.0], "adversarialsampler__lr__C": [0.1, 1.0]}
    search = GridSearchCV(chain, grid, cv=StratifiedKFold(3), error_score="raise").fit(X, Y)
    assert search.best_params_["adversarialsampler__generator__eps"] == 0.1
    assert search.best_score_ > 0.9


def test_scikit_learns_own_pipeline_refuses() -> None:
    chain = SklearnPipeline([("adversarial", sampler()), ("svm", SVC())])
    with pytest.raises(TypeError, match="All intermediate steps should be transformers"):
        chain.fit(X, Y)


@pytest.mark.parametrize("sources", [FrozenEstimator, lambda source: [source, SVC(kernel="poly")]])
def test_training_on_the_samples_helps_against_such_samples(sources: Any) -> None:
    """Attacked on a linear model that it never saw, an SVM keeps much more of its accuracy."""
    images, y = load_digits(return_X_y=True)
    images = images / 16
    train, test, y_train, y_test = train_test_split(images[:1200], y[:1200], test_size=400, random_state=0)
    theirs = LogisticRegression(max_iter=1000).fit(images[1200:], y[1200:])
    generator = AdversarialGenerator(eps=0.2, clip_values=(0, 1), max_iter=10)
    attacked = clone(generator).set_params(estimator=FrozenEstimator(theirs)).generate(test, y_test)
    ours = LogisticRegression(max_iter=1000)
    source = sources(ours.fit(train, y_train))
    made = AdversarialSampler(generator, sources=source, random_state=0)
    plain, trained = SVC().fit(train, y_train), SVC().fit(*made.fit_resample(train, y_train))
    assert trained.score(test, y_test) > plain.score(test, y_test) - 0.05
    assert trained.score(attacked, y_test) > plain.score(attacked, y_test) + 0.15


NARROW = FrozenEstimator(LogisticRegression().fit(X[:, :2], Y))
TWO = FrozenEstimator(LogisticRegression().fit(X[:100], Y[:100]))
NAMED = FrozenEstimator(LogisticRegression(max_iter=1000).fit(named_rows(X), Y))


def spoiled(value: float) -> Any:
    bad = X.copy()
    bad[3, 1] = value
    return bad


ERRORS: list[tuple[dict[str, Any], Any, Any, type[Exception], str]] = [
    ({"ratio": 0}, X, Y, ValueError, "ratio must be a finite number > 0, got 0"),
    ({"ratio": -1.0}, X, Y, ValueError, "ratio must be a finite number > 0, got -1.0"),
    ({"ratio": np.inf}, X, Y, ValueError, "ratio must be a finite number > 0, got inf"),
    ({"ratio": np.nan}, X, Y, ValueError, "ratio must be a finite number > 0, got nan"),
    ({"ratio": True}, X, Y, ValueError, "ratio must be a finite number > 0, got True"),
    ({"ratio": "auto"}, X, Y, ValueError, "ratio must be a finite number > 0, got 'auto'"),
    ({"ratio": 1e-3}, X, Y, ValueError, r"ratio=0.001 of 150 samples leaves none.* at least 0.00667"),
    ({"keep_clean": "no"}, X, Y, ValueError, "keep_clean must be True or False, got 'no'"),
    ({"random_state": "a"}, X, Y, ValueError, "cannot be used to seed"),
    ({"generator": "pgd"}, X, Y, TypeError, "generator must be an AdversarialGenerator or None, got 'pgd'"),
    (
        {"generator": AdversarialGenerator(SVC())},
        X,
        Y,
        ValueError,
        r"generator.estimator must be None, got SVC; pass the classifiers to be attacked as sources",
    ),
    ({"generator": AdversarialGenerator(eps=-1)}, X, Y, ValueError, "eps must be a finite number > 0"),
    ({"sources": []}, X, Y, ValueError, "sources is empty; pass at least one classifier"),
    ({"sources": {}}, X, Y, ValueError, "sources is empty"),
    ({"sources": "svm"}, X, Y, TypeError, "a fitted classifier with predict .* got 'svm'"),
    ({"sources": ("a", SVC())}, X, Y, TypeError, "model 'a': .* got 'a'"),
    ({"sources": {1: SVC()}}, X, Y, TypeError, r"names of sources must be strings, got \[1\]"),
    ({"sources": [("a", SVC()), ("a", Spy())]}, X, Y, ValueError, "Names provided are not unique"),
    ({"sources": [("ratio", SVC())]}, X, Y, ValueError, "conflict with constructor arguments"),
    ({"sources": SVC}, X, Y, TypeError, "a fitted classifier is needed, got the class SVC"),
    ({"sources": [Spy(), LinearRegression()]}, X, Y, TypeError, "model 'linearregression': .* the regressor"),
    ({"sources": FrozenEstimator(SVC())}, X, Y, NotFittedError, "model 'frozenestimator': .*not fitted"),
    ({"sources": [Spy(), NARROW]}, X, Y, ValueError, "model 'frozenestimator': X has 4 features, but"),
    ({"sources": [Spy(), TWO]}, X, Y, ValueError, r"model 'frozenestimator': y holds labels .*: \[2\]"),
    (
        {"sources": NAMED},
        named_rows(X).rename(columns={"a": "e"}),
        Y,
        ValueError,
        "feature names should match",
    ),
    ({"sources": [Spy(), nn.Linear(5, 3)]}, X, Y, RuntimeError, "model 'linear' raised RuntimeError"),
    ({"sources": [Spy(), nn.Linear(4, 2)]}, X, Y, ValueError, r"model 'linear': y holds labels .*: \[2\]"),
    ({}, X, None, ValueError, "requires y to be passed, but the target y is None"),
    ({}, X, Y[:-1], ValueError, r"one label per sample, shape \(150,\); got shape \(149,\)"),
    (
        {},
        X,
        np.eye(3)[Y] + np.eye(3)[0],
        ValueError,
        r"y must hold one label per sample, shape \(150,\), or a column for each class.* \(150, 3\)",
    ),
    ({}, X, np.zeros(N), ValueError, r"y must hold at least 2 classes.*got one class, \[0.0\]"),
    ({}, X, X[:, 0] + 0.01, ValueError, "Unknown label type"),
    ({}, X, np.where(Y == 0, np.nan, Y), ValueError, "Input y contains NaN"),
    ({}, X[0], Y, ValueError, "Expected 2D array, got 1D array"),
    ({}, X[:0], Y[:0], ValueError, r"0 sample\(s\)"),
    ({}, csr_array(X), Y, TypeError, "Sparse data was passed"),
    ({}, spoiled(np.inf), Y, ValueError, "contains infinity"),
]


@pytest.mark.parametrize(
    ("settings", "samples", "labels", "error", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))]
)
def test_errors_come_before_any_work(
    seen: list[Any], settings: dict[str, Any], samples: Any, labels: Any, error: Any, message: str
) -> None:
    made = AdversarialSampler(**({"sources": Spy()} | settings))
    for method in (made.fit_resample, made.fit):
        with pytest.raises(error, match=message):
            method(samples, labels)
    assert seen == []


@pytest.mark.parametrize(
    ("sources", "generator", "samples", "error", "message"),
    [
        (
            LogisticRegression(),
            None,
            spoiled(np.nan),
            ValueError,
            "model 'logisticregression': .*contains NaN",
        ),
        (
            SVC(),
            {"clip_values": (0, 1)},
            X,
            ValueError,
            r"data outside clip_values=\(0, 1\): X has .*max 7.9",
        ),
        (Spy(), {"attack": "pgd"}, X, TypeError, "model 'spy': attack='pgd' needs gradients"),
    ],
)
def test_what_the_generator_refuses(
    sources: Any, generator: Any, samples: Any, error: Any, message: str
) -> None:
    made = AdversarialSampler(AdversarialGenerator(**(generator or {})), sources=sources)
    with pytest.raises(error, match=message):
        made.fit_resample(samples, Y)
    assert not hasattr(made, "sample_indices_")
