"""AdversarialSampler among imbalanced-learn's samplers: its checks, strategies, pipelines and containers."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator
from skhalfway.perturbation import AdversarialSampler

pytest.importorskip("imblearn")

from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.utils.estimator_checks import estimator_checks_generator

X, Y = load_iris(return_X_y=True)
X, Y = X[:110], np.where(np.arange(110) < 100, Y[:110], 2)
COUNTS = (50, 50, 10)
X3, Y3 = X[20:], Y[20:]  # 30, 50 and 10 samples
X2, Y2 = X[40:100], Y[40:100]  # 10 and 50
WORDS = np.array(["setosa", "versicolor", "virginica"])


def sampler(**settings: Any) -> AdversarialSampler:
    return AdversarialSampler(AdversarialGenerator(attack="fgsm", eps=0.3), random_state=0, **settings)


CHECKED = (
    sampler(),
    sampler(sampling_strategy="auto"),
    sampler(sources=[("lr", LogisticRegression()), ("svm", SVC())], sampling_strategy="all"),
    sampler(ratio=0.5, keep_clean=False),
)


def name_of(given: Any) -> str | None:
    return given.func.__name__ if isinstance(given, partial) else None


# what parametrize_with_checks gives, in a list: pytest 9 warns of its generator
@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for each in CHECKED for pair in estimator_checks_generator(each)],
    ids=name_of,
)
def test_checks_of_imbalanced_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def twenty_more(y: Any) -> dict[Any, int]:
    return {label: n + 20 for label, n in Counter(np.asarray(y).tolist()).items()}


STRATEGIES: dict[str, tuple[Any, dict[int, int]]] = {
    "auto": ("auto", {0: 20, 1: 0, 2: 40}),
    "not majority": ("not majority", {0: 20, 1: 0, 2: 40}),
    "all": ("all", {0: 20, 1: 0, 2: 40}),
    "minority": ("minority", {0: 0, 1: 0, 2: 40}),
    "not minority": ("not minority", {0: 20, 1: 0, 2: 0}),
    "dict": ({2: 45, 0: 31}, {0: 1, 1: 0, 2: 35}),
    "dict-nothing": ({1: 50}, {0: 0, 1: 0, 2: 0}),
    "callable": (twenty_more, {0: 20, 1: 20, 2: 20}),
}


def check_added(made: AdversarialSampler, X: Any, y: Any, added: dict[Any, int]) -> None:
    """What is added: as many of each class, from rows of it, each as often as any other or once more."""
    X_res, y_res = made.fit_resample(X, y)
    assert made.sampling_strategy_ == added
    assert made.n_adversarial_ == sum(added.values()) == len(made.sample_indices_)
    np.testing.assert_array_equal(X_res[: len(X)], X)
    np.testing.assert_array_equal(y_res[: len(X)], y)
    np.testing.assert_array_equal(y_res[len(X) :], y[made.sample_indices_])
    assert Counter(y_res[len(X) :].tolist()) == +Counter(added)
    change = abs(X_res[len(X) :] - X[made.sample_indices_])
    assert (change.max(axis=1) > 0).all() and (change <= 0.3 + 1e-12).all()
    times = np.bincount(made.sample_indices_, minlength=len(X))
    assert all(np.ptp(times[y == label]) <= 1 for label in added)
    again = clone(made).fit_resample(X, y)[0]
    np.testing.assert_array_equal(again, X_res)


@pytest.mark.parametrize("sources", [None, [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]])
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_of_three_classes(name: str, sources: Any) -> None:
    strategy, added = STRATEGIES[name]
    made = sampler(sampling_strategy=strategy, sources=sources)
    check_added(made, X3, Y3, added)
    theirs = RandomOverSampler(sampling_strategy=strategy, random_state=0).fit_resample(X3, Y3)[1]
    assert Counter(theirs.tolist()) == Counter(Y3.tolist()) + Counter(added)
    if sources is not None and made.n_adversarial_ > 20:
        assert set(made.sample_sources_) == {"lr", "svm"}


@pytest.mark.parametrize(("strategy", "n"), [(0.5, 15), (0.3, 5), (1, 40), (np.float32(1), 40), ("auto", 40)])
def test_strategies_of_two_classes(strategy: Any, n: int) -> None:
    check_added(sampler(sampling_strategy=strategy), X2, Y2, {0: n, 1: 0})
    theirs = RandomOverSampler(sampling_strategy=float(strategy) if n < 40 else "auto").fit_resample(X2, Y2)[
        1
    ]
    assert Counter(theirs.tolist())[0] == 10 + n


def test_labels_are_of_any_kind() -> None:
    added = {"setosa": 0, "versicolor": 0, "virginica": 2}
    check_added(sampler(sampling_strategy={"virginica": 12}), X3, WORDS[Y3], added)


def test_balanced_data_stay_as_they_are() -> None:
    made = sampler(sampling_strategy="auto")
    X_res, y_res = made.fit_resample(X[:100], Y[:100])
    np.testing.assert_array_equal(X_res, X[:100])
    np.testing.assert_array_equal(y_res, Y[:100])
    assert made.n_adversarial_ == 0 and made.sampling_strategy_ == {0: 0, 1: 0}
    assert made.sample_indices_.shape == made.sample_sources_.shape == (0,)


@pytest.mark.parametrize(("ratio", "numbers"), [(1.0, COUNTS), (3, (150, 150, 30))])
def test_by_default_classes_keep_their_shares(ratio: float, numbers: Any) -> None:
    made = sampler(ratio=ratio)
    made.fit_resample(X, Y)
    assert made.sampling_strategy is None
    assert tuple(made.sampling_strategy_.values()) == numbers


def test_one_column_for_each_class() -> None:
    made = sampler(sampling_strategy="auto")
    columns = {
        "array": np.eye(3, dtype=int)[Y3],
        "bools": np.eye(3, dtype=bool)[Y3],
        "list": np.eye(3, dtype=int)[Y3].tolist(),
        "pandas": pd.DataFrame(np.eye(3, dtype=int)[Y3], columns=WORDS),
        "polars": pl.DataFrame(np.eye(3, dtype=int)[Y3], schema=WORDS.tolist()),
    }
    expected = made.fit_resample(X3, Y3)
    for given in columns.values():
        X_res, y_res = made.fit_resample(X3, given)
        assert type(y_res) is type(given)
        np.testing.assert_array_equal(X_res, expected[0])
        np.testing.assert_array_equal(np.asarray(y_res).argmax(axis=1), expected[1])
        assert list(made.sources_["default"].classes_) == [0, 1, 2]


def test_sparse_columns() -> None:
    frame = pd.DataFrame({"a": X3[:, 0], "b": pd.arrays.SparseArray(np.round(X3[:, 1] - 3), fill_value=0.0)})
    frame["c"] = pd.arrays.SparseArray(X3[:, 2].astype(int), fill_value=1)
    before = frame.copy()
    X_res, y_res = sampler().fit_resample(frame, Y3)
    assert list(X_res.columns) == list("abc") and len(X_res) == len(y_res) == 2 * len(X3)
    assert [str(dtype) for dtype in X_res.dtypes] == ["float64", "Sparse[float64, 0.0]", "Sparse[float64, 1]"]
    np.testing.assert_array_equal(X_res[: len(X3)].astype(float), frame.astype(float))
    pd.testing.assert_frame_equal(frame, before)


ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    (
        {"sampling_strategy": "majority"},
        ValueError,
        "sampling_strategy must be None, 'auto', .*got 'majority'",
    ),
    ({"sampling_strategy": "most"}, ValueError, "got 'most'"),
    ({"sampling_strategy": True}, ValueError, "got True"),
    ({"sampling_strategy": [0, 1]}, ValueError, r"got \[0, 1\]"),
    ({"sampling_strategy": 0.0}, ValueError, "got 0.0"),
    ({"sampling_strategy": 1.5}, ValueError, "a number > 0 and <= 1, .*got 1.5"),
    ({"sampling_strategy": 0.5}, ValueError, "only when the type of target is binary"),
    (
        {"sampling_strategy": {3: 50}},
        ValueError,
        r"names \[3\], which y does not hold; its labels are \[0, 1, 2\]",
    ),
    ({"sampling_strategy": {0: 29}}, ValueError, "there is 30 samples and 29 samples are asked"),
    ({"sampling_strategy": {0: 50.5}}, ValueError, "a whole number of samples, got 50.5 for 0"),
    ({"sampling_strategy": {0: True}}, ValueError, "a whole number of samples, got True for 0"),
    ({"sampling_strategy": {0: -1}}, ValueError, "cannot be negative"),
    ({"sampling_strategy": lambda y: "auto"}, TypeError, "must return a dict .*got 'auto'"),
    ({"sampling_strategy": lambda y: {0: 2}}, ValueError, "there is 30 samples and 2 samples are asked"),
    ({"sampling_strategy": "auto", "ratio": 0.5}, ValueError, "so ratio must be 1.0, got 0.5; pass only one"),
    ({"sampling_strategy": "auto", "keep_clean": False}, ValueError, "keep_clean must be True, got False"),
]


class Untouched(KNeighborsClassifier):
    def fit(self, X: Any, y: Any) -> Any:
        raise AssertionError("fitted before all was checked")


@pytest.mark.parametrize("method", ["fit", "fit_resample"])
@pytest.mark.parametrize(("settings", "error", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_come_before_any_work(
    method: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        getattr(sampler(sources=Untouched(), **settings), method)(X3, Y3)


def test_without_imbalanced_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "imblearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert len(sampler().fit_resample(X3, Y3)[0]) == 2 * len(X3)
    with pytest.raises(ImportError, match=r"sampling_strategy needs imbalanced-learn; install skhalfway\["):
        sampler(sampling_strategy="auto").fit_resample(X3, Y3)


FRAMES = {"pandas": (pd.DataFrame, pd.Series), "polars": (pl.DataFrame, pl.Series)}


class Seen(KNeighborsClassifier):
    """A classifier that keeps what it was fitted on."""

    def fit(self, X: Any, y: Any) -> Any:
        self.given_ = X, y
        return super().fit(np.asarray(X), np.asarray(y))


@pytest.mark.parametrize("library", FRAMES)
def test_frames_in_a_pipeline(library: str) -> None:
    frame, series = FRAMES[library]
    given = frame({name: X3[:, i] for i, name in enumerate("abcd")})
    labels = series("kind", WORDS[Y3].tolist()) if library == "polars" else series(WORDS[Y3], name="kind")
    scaler = MinMaxScaler().set_output(transform=library)
    steps = [("scale", scaler), ("balance", sampler(sampling_strategy="auto"))]
    expected = Pipeline([("scale", MinMaxScaler()), steps[1]]).fit_resample(X3, WORDS[Y3])
    X_res, y_res = Pipeline(steps).fit_resample(given, labels)
    chain = Pipeline([*steps, ("seen", Seen())]).fit(given, labels)
    for samples, kinds in ((X_res, y_res), chain[-1].given_):
        assert isinstance(samples, frame) and list(samples.columns) == list("abcd")
        assert isinstance(kinds, series) and kinds.name == "kind"
        np.testing.assert_allclose(np.asarray(samples), expected[0], atol=1e-12)
        np.testing.assert_array_equal(np.asarray(kinds), expected[1])


def test_the_strategy_is_searched() -> None:
    source = FrozenEstimator(LogisticRegression(max_iter=1000).fit(X3, Y3))
    chain = make_pipeline(sampler(sources=source), SVC())
    grid = {"adversarialsampler__sampling_strategy": [None, "auto", "minority"]}
    search = GridSearchCV(chain, grid, cv=StratifiedKFold(3), error_score="raise").fit(X3, Y3)
    assert search.best_score_ > 0.85
    assert list(search.best_estimator_[0].get_feature_names_out()) == ["x0", "x1", "x2", "x3"]
