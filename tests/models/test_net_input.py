"""Steps before a skorch net see samples with all their digits, as when their owner calls them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model

# times in seconds, of which float32 has one in 128
TIMES = 1.7e9 + 50 * np.random.RandomState(0).randn(120, 2)
LATE = (TIMES.mean(axis=1) > 1.7e9).astype(int)


def to_float32(X: Any) -> Any:
    return np.asarray(X).astype(np.float32)


def net(n_features: int = 2) -> Any:
    torch.manual_seed(0)
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Linear(8, 2)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=30,
        lr=0.5,
        train_split=None,
        verbose=0,
    )


def converting() -> Any:
    return make_pipeline(StandardScaler(), FunctionTransformer(to_float32), net())


ENDS_IN_A_NET = {
    "pipeline": converting,
    "nested": lambda: make_pipeline(StandardScaler(), make_pipeline(FunctionTransformer(to_float32), net())),
    "searched": lambda: GridSearchCV(converting(), {"neuralnetclassifier__lr": [0.5]}, cv=2),
}


@pytest.mark.filterwarnings(  # steps too small for float32, on purpose
    "ignore:eps=.* change by less than a hundredth of their standard deviation:UserWarning"
)
@pytest.mark.parametrize("name", ENDS_IN_A_NET)
def test_digits_are_kept_where_steps_convert(name: str) -> None:
    model = ENDS_IN_A_NET[name]().fit(TIMES, LATE)
    assert model.score(TIMES, LATE) > 0.95
    np.testing.assert_array_equal(as_model(model).predict(TIMES), model.predict(TIMES))
    frozen = AdversarialGenerator(FrozenEstimator(model), eps=30.0, random_state=0)
    few, late = TIMES[::4], LATE[::4]
    assert model.score(frozen.generate(few, late), late) < 0.6
    fitted = AdversarialGenerator(ENDS_IN_A_NET[name](), eps=30.0).fit(TIMES, LATE).estimator_
    assert fitted.score(TIMES, LATE) > 0.95

    def seen(model: Any, X: Any, y: Any) -> Any:
        assert X.dtype == np.float64
        return X

    AdversarialGenerator(FrozenEstimator(model), attack=seen).generate(TIMES, LATE)


@pytest.mark.parametrize("build", [net, lambda: make_pipeline(StandardScaler(), net())])
def test_a_net_gets_its_own_type_where_nothing_converts(build: Any) -> None:
    X = TIMES - 1.7e9
    model = build().fit(X.astype(np.float32), LATE)
    expected = model.predict(X.astype(np.float32))
    np.testing.assert_array_equal(as_model(model).predict(X), expected)
    assert AdversarialGenerator(build()).fit(X, LATE).estimator_.predict(X.astype(np.float32)).shape == (120,)


def test_columns_of_categories_are_the_encoders_to_convert() -> None:
    frame = pd.DataFrame({"time": TIMES[:, 0] - 1.7e9, "zone": np.tile(["a", "b", "c"], 40)})
    late = (frame["time"] > 0).astype(int).to_numpy()
    encode = ColumnTransformer([("time", StandardScaler(), ["time"]), ("zone", OneHotEncoder(), ["zone"])])
    model = make_pipeline(encode, FunctionTransformer(to_float32), net(4))
    generator = AdversarialGenerator(model, eps=100.0).fit(frame, late)
    assert generator.estimator_.score(frame, late) > 0.95
    made = generator.generate(frame, late)
    assert generator.estimator_.score(made, late) < 0.5 and (made["zone"] == frame["zone"]).all()
