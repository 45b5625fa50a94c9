"""XGBoost, LightGBM and CatBoost, where installed, as sources and targets, beside other models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
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


# soft copies are weaker sources
@pytest.mark.filterwarnings("ignore:.*seems more robust than it is:skhalfway.models.ModelWarning")
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
        FrozenEstimator(booster), attack=attack, eps=1.0, eps_unit="std", max_queries=60, random_state=0
    ).fit(X)
    some, labels = X[::10], y[::10]
    X_adv = generator.generate(some, labels)
    fooled = np.ravel(booster.predict(X_adv)) != labels
    assert fooled.mean() > 0.3
    assert (((X_adv - some) / X.to_numpy().std(axis=0)).abs().max(axis=1) <= 1).all()
    if generator.distances_ is not None:
        # what was found within the budget is not lost to the rounding of a threshold
        np.testing.assert_array_equal(fooled[generator.distances_ < 0.999], True)
        assert np.isfinite(generator.distances_).all() or attack != "tree"


class Unnamed:
    """A wrapper that keeps no column names, unlike what is inside it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def fit(self, X: Any, y: Any) -> Unnamed:
        self.inner.fit(X, y)
        self.classes_ = self.inner.classes_
        return self

    def predict(self, X: Any) -> Any:
        return np.ravel(self.inner.predict(X))


LINEAR = make_pipeline(StandardScaler(), LogisticRegression())
HELD: dict[str, Any] = {
    "alone": lambda model: model,
    "in a pipeline": lambda model: make_pipeline(StandardScaler(), model),
    "in a pipeline of DataFrames": lambda model: make_pipeline(PCA(3), model).set_output(transform="pandas"),
    "in a search": lambda model: GridSearchCV(model, {}, cv=2),
    "first in a vote": lambda model: VotingClassifier([("it", model), ("linear", LINEAR)], voting="soft"),
    "last in a vote": lambda model: VotingClassifier([("linear", LINEAR), ("it", model)], voting="soft"),
    "calibrated": lambda model: CalibratedClassifierCV(model, cv=2),
    "one against the rest": OneVsRestClassifier,
    "in a bag": lambda model: BaggingClassifier(model, 2),
    "in a wrapper": Unnamed,
}


@pytest.mark.parametrize(
    ("name", "held", "container"),
    # every two of these
    [
        (name, held, ["frame", "array"][(i + k) % 2])
        for i, name in enumerate([*BOOSTERS, "scikit-learn"])
        for k, held in enumerate(HELD)
    ],
)
def test_columns_have_the_names_of_fit(name: str, held: str, container: str) -> None:
    if name == "scikit-learn":
        model = LogisticRegression(max_iter=500)
    else:
        class_, parameters = BOOSTERS[name]
        threads = {"thread_count" if name == "catboost" else "n_jobs": 1}
        model = getattr(pytest.importorskip(name), class_)(**parameters | threads | {"n_estimators": 2})
    X, y = load_iris(return_X_y=True, as_frame=True)
    X, y = X[::2] if container == "frame" else X[::2].to_numpy(), y[::2]
    classifier = HELD[held](model).fit(X, y)
    expected = np.ravel(classifier.predict(X))
    # warnings are errors: of names that are missing, and of names that were not asked for
    for seen in (as_model(classifier), as_model(FrozenEstimator(classifier))):
        np.testing.assert_array_equal(seen.predict(X), expected)
        np.testing.assert_array_equal(seen.predict(np.asarray(X)), expected)
        assert seen.scores(np.asarray(X)).shape == (75, 3)
    generator = AdversarialGenerator(FrozenEstimator(classifier), attack="square", eps=0.1, max_queries=3)
    assert type(generator.generate(X[:5], y[:5])) is type(X)
    # names are compared between models, and of X with theirs
    reader = TransferScorer().fit({"it": classifier, "linear": clone(LINEAR).fit(X, y)})
    assert reader._read(X, reset=False).shape == X.shape
    if container == "frame":
        assert list(reader.feature_names_in_) == list(X.columns)
        with pytest.raises(ValueError, match="feature names"):
            reader._read(X[X.columns[::-1]], reset=False)


def test_constraints_name_lightgbms_columns_as_the_data_does() -> None:
    booster = pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=2, verbose=-1)
    X, y = load_iris(return_X_y=True, as_frame=True)
    kept = "sepal length (cm)"
    generator = AdversarialGenerator(
        FrozenEstimator(booster.fit(X, y)), attack="pgd", eps=1.0, constraints=Constraints(immutable=[kept])
    )
    X_adv = generator.generate(X, y)
    assert (X_adv[kept] == X[kept]).all()
    assert (X_adv != X).to_numpy().any()
