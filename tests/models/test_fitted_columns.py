"""Tables whose columns are not those that a model was fitted on are refused, wherever they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skhalfway import AdversarialGenerator, TransferScorer, audit
from skhalfway.models import check_model

RNG = np.random.RandomState(0)
X = pd.DataFrame({"a": RNG.randn(120), "b": RNG.randn(120), "c": RNG.choice(["1", "2", "3"], 120)})
Y = (X["a"] + X["b"] + (X["c"] == "1") > 0.4).to_numpy(int)


def fitted(table: pd.DataFrame) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((encoder, ["c"]), remainder=StandardScaler())
    return make_pipeline(columns, LogisticRegression()).fit(table, Y)


MODEL = fitted(X)
NUMBERS = X.assign(c=X["c"].astype(int))
USES: dict[str, Callable[[Any, Any], Any]] = {
    "audit": lambda model, table: audit(model, table, Y, n_samples=20, parts=[]),
    "transfer": lambda model, table: TransferScorer().fit({"one": model, "two": model}).transfer(table, Y),
    "generate": lambda model, table: AdversarialGenerator(FrozenEstimator(model)).generate(table, Y),
    "check_model": lambda model, table: check_model(model, table, Y),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "model, table, was, now",
    [(MODEL, NUMBERS, "text, such as '1'", "numbers"), (fitted(NUMBERS), X, "numbers, such as 1", "text")],
    ids=["numbers for text", "text for numbers"],
)
def test_text_and_numbers_are_not_mixed_up(use: str, model: Any, table: Any, was: str, now: str) -> None:
    message = f"column 'c' held {was}, when the model was fitted, but holds {now} in X"
    with pytest.raises(ValueError, match=message):
        USES[use](model, table)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "table, message",
    [
        (X.assign(more=1.0), "was fitted without column 'more'; pass X|unseen at fit time:\n- more"),
        (X[["a", "c"]], "X lacks column 'b', which the model was fitted on|now missing:\n- b"),
        (X[["c", "a", "b"]], r"another order; pass X\[\['a', 'b', 'c'\]\]|must be in the same order"),
    ],
    ids=["more", "fewer", "another order"],
)
def test_columns_are_those_of_the_model(use: str, table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        USES[use](MODEL, table)


def test_the_models_own_columns_are_taken() -> None:
    polars = pytest.importorskip("polars")
    for table in (X, X.astype({"c": "category"}), X.assign(c=X["c"].astype("string")), polars.from_pandas(X)):
        assert AdversarialGenerator(FrozenEstimator(MODEL), eps=0.1).generate(table, Y).shape == X.shape


NUMERIC = X[["a", "b"]]
IMPUTED = make_pipeline(SimpleImputer(), LogisticRegression())


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(IMPUTED, {"logisticregression__C": [1, 2]}, cv=2),
        CalibratedClassifierCV(IMPUTED, cv=2),
        OneVsRestClassifier(IMPUTED),
        RFE(IMPUTED, n_features_to_select=1, importance_getter="named_steps.logisticregression.coef_"),
    ],
    ids=["search", "calibrated", "one-vs-rest", "selection"],
)
def test_what_is_inside_and_not_fitted_is_not_asked(model: Any) -> None:
    model = model.fit(NUMERIC, Y)
    assert check_model(model, NUMERIC, Y).accuracy > 0.5


def test_what_the_part_before_fitting_knew_does_not_count() -> None:
    model = CalibratedClassifierCV(fitted(X), cv=2).fit(NUMBERS, Y)
    assert check_model(model, NUMBERS, Y).accuracy > 0.5
