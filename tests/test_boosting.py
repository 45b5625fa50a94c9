"""XGBoost, LightGBM and CatBoost, where installed, as sources and targets, beside other models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import as_model

BOOSTERS = {
    "xgboost": ("XGBClassifier", {"n_estimators": 20}),
    "lightgbm": ("LGBMClassifier", {"n_estimators": 20, "verbose": -1}),
    "catboost": ("CatBoostClassifier", {"n_estimators": 20, "verbose": 0, "allow_writing_files": False}),
}
LOAD = {"two classes": load_breast_cancer, "three classes": load_iris}


@pytest.fixture(scope="module", params=[(name, data) for name in BOOSTERS for data in LOAD], ids="-".join)
def case(request) -> tuple[Any, Any, Any]:
    name, data = request.param
    class_, parameters = BOOSTERS[name]
    booster = getattr(pytest.importorskip(name), class_)(**parameters)
    # names with blanks, which LightGBM replaces by its own
    X, y = LOAD[data](return_X_y=True, as_frame=True)
    X, y = X[::3], y[::3]
    return booster.fit(X, y), X, y


@pytest.mark.filterwarnings("ignore:.*masked:skhalfway.models.ModelWarning")  # soft copies are weaker sources
def test_source_and_target_beside_others(case) -> None:
    booster, X, y = case
    models = {"booster": booster, "linear": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)}
    generator = AdversarialGenerator(attack="pgd", eps=0.7, eps_unit="std")
    matrix = TransferScorer(generator, random_state=0).fit(models).transfer(X, y)
    assert matrix.source_success[0] > 0.15
    assert (matrix.rates > matrix.noise).all()


def test_arrays_and_frames_are_the_same(case) -> None:
    booster, X, y = case
    from_array = type(booster)(**booster.get_params()).fit(X.to_numpy(), y)
    np.testing.assert_array_equal(as_model(from_array).predict(X.to_numpy()), as_model(booster).predict(X))
    np.testing.assert_array_equal(as_model(booster).predict(X.to_numpy()), as_model(booster).predict(X))


@pytest.mark.parametrize("attack", ["tree", "hopskipjump", "fmn", "square"])
def test_attacks_fool_and_keep_the_budget(case, attack: str) -> None:
    booster, X, y = case
    generator = AdversarialGenerator(
        FrozenEstimator(booster), attack=attack, eps=1.0, eps_unit="std", max_queries=200, random_state=0
    ).fit(X)
    X_adv = generator.generate(X, y)
    fooled = np.ravel(booster.predict(X_adv)) != y
    assert fooled.mean() > 0.3
    assert (((X_adv - X) / X.to_numpy().std(axis=0)).abs().max(axis=1) <= 1).all()
    if generator.distances_ is not None:
        # what was found within the budget is not lost to the rounding of a threshold
        np.testing.assert_array_equal(fooled[generator.distances_ < 0.999], True)
        assert np.isfinite(generator.distances_).all() or attack != "tree"
