"""What each library does with missing values, zeros, categories and infinite thresholds: a table of them.

Each case is a classifier, trained so that the convention matters, and samples that meet it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway._inputs import Frame
from skhalfway.models import ModelWarning, as_model, to_module
from skhalfway.models._tree_parsers import tree_ensemble

N = 500


def xgboost(**params: Any) -> Any:
    return pytest.importorskip("xgboost").XGBClassifier(**{"n_estimators": 8, "n_jobs": 1} | params)


def lightgbm(**params: Any) -> Any:
    params = {"n_estimators": 8, "min_data_per_group": 5, "cat_smooth": 1} | params
    return pytest.importorskip("lightgbm").LGBMClassifier(**params, verbose=-1, n_jobs=1)


def catboost(**params: Any) -> Any:
    params = {"iterations": 8, "depth": 4, "thread_count": 1, "verbose": 0} | params
    return pytest.importorskip("catboost").CatBoostClassifier(**params, allow_writing_files=False)


def histogram(**params: Any) -> Any:
    return HistGradientBoostingClassifier(**{"max_iter": 8, "min_samples_leaf": 5} | params)


@cache
def telling_gaps(absent: float = np.nan) -> tuple[Any, Any]:
    """Two columns of numbers; whether the first is there says most of the class, and 0 is a common value."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    X[rng.random(N) < 0.2, 1] = 0
    gone = rng.random(N) < 0.4
    odds = np.where(gone, 4.0, 1.5 - 2 * np.abs(X[:, 0])) + np.where(X[:, 1] == 0, 1.0, 0.5 * X[:, 1])
    X[gone, 0] = absent
    return X, (odds + rng.logistic(scale=0.3, size=N) > 0).astype(int)


def categories(text: bool) -> tuple[Any, Any]:
    """A column of categories, numbers or text, missing ones among them, beside one of numbers."""
    rng = np.random.default_rng(0)
    number, kind = rng.normal(size=N), rng.integers(0, 6, N)
    y = (number + 1.5 * np.isin(kind, [1, 4]) > 0.8).astype(int)
    kind = np.where(np.arange(N) % 19 == 0, np.nan, kind)
    if not text:
        return np.stack([kind, number], axis=1), y
    names = pd.Series(kind).map(dict(enumerate("abcdef"))).astype("category")
    return pd.DataFrame({"kind": names, "number": number}), y


def odd_categories() -> Any:
    """Unknown, negative, fractional and missing ones."""
    X = categories(text=False)[0].copy()
    for i, odd in enumerate([77, -1, -0.5, 2.5, np.nan, 3.999]):
        X[i::9, 0] = odd
    return X


@dataclass(frozen=True)
class Case:
    """A convention: how the classifier is made and fitted, and samples to compare it on."""

    make: Callable[[], Any]
    data: Callable[[], tuple[Any, Any]] = telling_gaps
    samples: Callable[[], Any] | None = None
    fit_params: dict[str, Any] | None = None
    infinite: bool = False


def by_number(make: Callable[[], Any], **fit_params: Any) -> Case:
    return Case(make, lambda: categories(text=False), odd_categories, fit_params)


def whole() -> tuple[Any, Any]:
    X, y = telling_gaps()
    return np.nan_to_num(X), y


CASES = {
    "tree: missing": Case(lambda: DecisionTreeClassifier(max_depth=4, random_state=0), infinite=True),
    "forest: missing": Case(lambda: RandomForestClassifier(9, max_depth=4, random_state=0), infinite=True),
    "extra trees: missing": Case(lambda: ExtraTreesClassifier(9, max_depth=4, random_state=0)),
    "histogram boosting: missing": Case(histogram, infinite=True),
    "histogram boosting: missing not seen before": Case(histogram, whole, lambda: telling_gaps()[0]),
    "histogram boosting: categories": by_number(lambda: histogram(categorical_features=[0])),
    "histogram boosting: pandas' categories": Case(histogram, lambda: categories(text=True)),
    "XGBoost: missing": Case(xgboost),
    "XGBoost: missing, exact": Case(lambda: xgboost(tree_method="exact")),
    "XGBoost: missing not seen before": Case(xgboost, whole, lambda: telling_gaps()[0]),
    "XGBoost: a number is missing": Case(lambda: xgboost(missing=-999.0), lambda: telling_gaps(-999.0)),
    "XGBoost: zero is missing": Case(lambda: xgboost(missing=0.0)),
    "XGBoost: categories": by_number(lambda: xgboost(enable_categorical=True, feature_types=["c", "q"])),
    "XGBoost: sets of categories": by_number(
        lambda: xgboost(enable_categorical=True, feature_types=["c", "q"], max_cat_to_onehot=1)
    ),
    "XGBoost: pandas' categories": Case(
        lambda: xgboost(enable_categorical=True), lambda: categories(text=True)
    ),
    "XGBoost: dropout": Case(lambda: xgboost(booster="dart", rate_drop=0.5, one_drop=1)),
    "LightGBM: missing": Case(lightgbm, infinite=True),
    "LightGBM: missing not seen before": Case(lightgbm, whole, lambda: telling_gaps()[0]),
    "LightGBM: missing is zero": Case(lambda: lightgbm(use_missing=False)),
    "LightGBM: zero is missing": Case(lambda: lightgbm(zero_as_missing=True)),
    "LightGBM: categories": by_number(lightgbm, categorical_feature=[0]),
    "LightGBM: pandas' categories": Case(lightgbm, lambda: categories(text=True)),
    "LightGBM: steep": Case(lambda: lightgbm(sigmoid=3.0), infinite=True),
    "CatBoost: missing": Case(catboost, infinite=True),
    "CatBoost: missing are largest": Case(lambda: catboost(nan_mode="Max")),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Any, Any, Any, Case]:
    """A fitted classifier, samples as it takes them, and as numbers."""
    case = CASES[request.param]
    X, y = case.data()
    classifier = case.make().fit(X, y, **case.fit_params or {})
    samples = X if case.samples is None else case.samples()
    frame = Frame.of(samples)
    numbers = np.asarray(samples if frame is None else frame.numbers(samples), dtype=float)
    return classifier, samples, numbers, case


def test_arrays_are_the_librarys_trees(case: Any) -> None:
    classifier, X, numbers, convention = case
    ensemble = tree_ensemble(classifier)
    proba = ensemble.response.probability(ensemble.sums(numbers))
    np.testing.assert_allclose(proba, classifier.predict_proba(X), atol=2e-6, rtol=0)
    np.testing.assert_array_equal(classifier.classes_[ensemble.predict(numbers)], classifier.predict(X))
    if convention.infinite:
        assert np.isinf(ensemble.threshold).any()


def test_lightgbm_reads_as_0_what_is_as_good_as_0() -> None:
    """No number between a threshold among these and 0 is on the other side of it."""
    X, y = telling_gaps()
    classifier = lightgbm().fit(np.nan_to_num(X), y)
    zero = float(np.float32(1e-35))
    just_off = [np.nextafter(end, way) for end in (-zero, zero) for way in (-1.0, 1.0)]
    around = [0.0, -0.0, zero, -zero, zero / 2, -zero / 2, 2 * zero, -2 * zero, *just_off]
    samples = np.repeat(np.nan_to_num(X)[:20], len(around), axis=0)
    samples[:, 1] = np.tile(around, 20)
    ensemble = tree_ensemble(classifier)
    assert (np.abs(ensemble.threshold) < 2 * zero).any()
    proba = ensemble.response.probability(ensemble.sums(samples))
    np.testing.assert_allclose(proba, classifier.predict_proba(samples), atol=2e-6, rtol=0)


def test_soft_trees_agree_and_have_a_gradient(case: Any) -> None:
    classifier, X, numbers, _ = case
    module = to_module(classifier)
    x = torch.from_numpy(numbers).requires_grad_()
    logits = module(x)
    (gradient,) = torch.autograd.grad(logits[:, -1].sum(), x)
    assert torch.isfinite(logits).all()
    assert torch.isfinite(gradient).all()
    ensemble = tree_ensemble(classifier)
    for column in range(2):
        if column in ensemble.categories:
            assert not gradient[:, column].any()
        else:
            there = ~ensemble.is_missing(numbers)[:, column]
            assert (gradient[there, column] != 0).double().mean() > 0.25
            assert not gradient[~there, column].any()
    own = np.ravel(classifier.predict(X))
    assert (as_model(module).predict(numbers) == own).mean() >= 0.85
    module.temperature = 1e-5
    assert (as_model(module).predict(numbers) == own).mean() >= 0.99


@pytest.mark.filterwarnings(  # -999 stands for what is missing in one case
    "ignore:eps=.* change by less than a hundredth of their standard deviation:UserWarning"
)
def test_a_gradient_attack_moves_what_is_there(case: Any) -> None:
    classifier, X, _, _ = case
    own = np.ravel(classifier.predict(X))
    attack = AdversarialGenerator(FrozenEstimator(classifier), attack="pgd", eps=0.5, max_iter=10)
    with warnings.catch_warnings():
        # where the column is missing
        warnings.filterwarnings("ignore", ".*has a gradient of exactly 0", ModelWarning)
        X_adv = attack.transform(X)
    assert (np.ravel(classifier.predict(X_adv)) != own).mean() > 0.1
