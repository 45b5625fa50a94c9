"""CodeMap as a scikit-learn object: what it trains, what it takes as it is, what it refuses."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.codes import CoarseMapWarning, CodeMap
from skhalfway.models import as_model

SMALL: dict[str, Any] = {"shape": (2, 2), "n_iter": 200}


@pytest.mark.filterwarnings("ignore::skhalfway.codes.CoarseMapWarning")
@parametrize_with_checks(
    [
        CodeMap(MLPClassifier(4, solver="lbfgs", max_iter=1000, tol=1e-1, random_state=0), **SMALL),
        CodeMap(MLPClassifier((4, 3), solver="lbfgs", max_iter=1000, tol=1e-1), layers=["layer_0"], **SMALL),
    ]
)
def test_scikit_learn_compatible(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("name", ["mlp", "skorch", "cnn"])
def test_fit_without_labels_takes_a_fitted_network_as_it_is(digits, nets, name: str) -> None:
    net = nets(name)
    code_map = CodeMap(net, **SMALL | {"shape": (4, 4)}, random_state=0).fit(digits.X)
    assert code_map.estimator_ is net
    check_is_fitted(code_map)
    frozen = FrozenEstimator(net) if name != "cnn" else net
    other = CodeMap(frozen, **SMALL | {"shape": (4, 4)}, random_state=0).fit(digits.X, digits.y)
    assert (code_map.transform(digits.X_test) == other.transform(digits.X_test)).all()
    twin = clone(other).fit(digits.X)
    assert (twin.transform(digits.X_test) == other.transform(digits.X_test)).all()


def test_fit_with_labels_trains_a_clone(digits, nets) -> None:
    net = nets("mlp")
    before = [weights.copy() for weights in net.coefs_]
    code_map = CodeMap(net, shape=(4, 4), n_iter=500).fit(digits.X[:300], digits.y[:300])
    assert code_map.estimator_ is not net
    assert all((a == b).all() for a, b in zip(before, net.coefs_, strict=True))
    # with no seed of its own, the map leaves the network's as it is
    assert (code_map.estimator_.coefs_[0] == clone(net).fit(digits.X[:300], digits.y[:300]).coefs_[0]).all()
    with pytest.raises(ValueError, match="requires y to be passed.*not fitted"):
        clone(code_map).fit(digits.X)


@pytest.mark.parametrize("name", ["mlp", "skorch"])
def test_random_state_decides_everything(digits, nets, name: str) -> None:
    def codes(seed: int) -> Any:
        code_map = CodeMap(nets(name), shape=(4, 4), n_iter=300, random_state=seed)
        return code_map.fit(digits.X[:300], digits.y[:300])

    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = codes(0), codes(0), codes(1)
    assert (torch.get_rng_state() == torch_state).all()
    assert (np.random.get_state()[1] == numpy_state).all()
    assert (first.transform(digits.X_test) == again.transform(digits.X_test)).all()
    assert (first.transform(digits.X_test) != other.transform(digits.X_test)).any()
    a, b = (each.homogeneity(digits.X_test, digits.y_test) for each in (first, again))
    pd.testing.assert_frame_equal(a.to_frame(), b.to_frame())
    moved = digits.X_test + np.float32(0.1)
    a, b = (each.drift(digits.X_test, moved) for each in (first, again))
    pd.testing.assert_frame_equal(a.to_frame(), b.to_frame())


def test_inputs_and_module_stay_as_they_are(digits, nets) -> None:
    net, X = nets("cnn"), digits.X.copy()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X).homogeneity(X, digits.y)
    assert all(part.training for part in net.modules())
    assert all((value == state[name]).all() for name, value in net.state_dict().items())
    assert (X == digits.X).all()


def test_transform_gives_the_units_in_rows(digits, code_maps) -> None:
    code_map = code_maps("mlp")
    codes = code_map.transform(digits.X_test)
    assert codes.shape == (600, 3)
    assert codes.dtype == np.intp
    assert codes.min() >= 0 and codes.max() < 64
    # in whatever batches
    assert (
        np.concatenate([code_map.transform(digits.X_test[i : i + 7]) for i in range(0, 70, 7)]) == codes[:70]
    ).all()


def test_pickle_and_copies(digits, code_maps) -> None:
    for name in ("mlp", "cnn", "skorch"):
        code_map = code_maps(name)
        again = pickle.loads(pickle.dumps(code_map))
        assert (again.transform(digits.X_test) == code_map.transform(digits.X_test)).all()


def test_pipelines_and_searches() -> None:
    X, y = load_iris(return_X_y=True)
    net = MLPClassifier(6, solver="lbfgs", max_iter=2000, random_state=0)
    pipeline = make_pipeline(
        StandardScaler(),
        CodeMap(net, n_iter=500, random_state=0),
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(),
    )
    grid = {"codemap__shape": [(1, 3), (3, 3)], "codemap__estimator__alpha": [1e-1]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.9
    assert search.best_params_["codemap__shape"] in [(1, 3), (3, 3)]


def test_a_pipeline_is_a_network_behind_its_steps() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    net = make_pipeline(StandardScaler(), MLPClassifier(6, solver="lbfgs", max_iter=2000, random_state=0))
    net.fit(X, y)
    behind = CodeMap(net, shape=(3, 3), n_iter=500, random_state=0).fit(X)
    alone = CodeMap(net[-1], shape=(3, 3), n_iter=500, random_state=0).fit(net[:-1].transform(X))
    assert behind.layers_ == ["activation_1", "layer_1"]
    assert (behind.transform(X) == alone.transform(net[:-1].transform(X))).all()
    assert behind.drift(X, X + 0.5).changed.shape == (2,)
    scaled = net[:-1].transform(X)
    only_step = CodeMap(make_pipeline(net[-1]), shape=(3, 3), n_iter=500, random_state=0).fit(scaled)
    assert (only_step.transform(scaled) == alone.transform(scaled)).all()


def test_a_search_and_a_model_are_networks_too() -> None:
    X, y = load_iris(return_X_y=True)
    net = make_pipeline(StandardScaler(), MLPClassifier(10, solver="lbfgs", max_iter=2000, random_state=0))
    search = GridSearchCV(net, {"mlpclassifier__alpha": [0.1]}, cv=2).fit(X, y)
    code_map = CodeMap(search, shape=(4, 4), n_iter=500, random_state=0).fit(X)
    best = CodeMap(search.best_estimator_, shape=(4, 4), n_iter=500, random_state=0).fit(X)
    model = CodeMap(as_model(search), shape=(4, 4), n_iter=500, random_state=0).fit(X)
    for other in (best, model):
        assert (other.transform(X) == code_map.transform(X)).all()


def test_names_in_and_out() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    net = MLPClassifier((10, 10), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    code_map = CodeMap(net, shape=(4, 4), n_iter=1000, random_state=0).fit(X).set_output(transform="pandas")
    frame = code_map.transform(X)
    assert frame.columns.tolist() == ["activation_1", "activation_2", "layer_2"]
    assert code_map.get_feature_names_out().tolist() == frame.columns.tolist()
    assert code_map.feature_names_in_.tolist() == X.columns.tolist()
    # what needs the codes does not mind
    assert code_map.homogeneity(X, y).counts.sum() == 3 * len(X)
    assert code_map.drift(X, X + 0.1).norms == pytest.approx(0.2)
    with pytest.raises(ValueError, match="feature names"):
        code_map.transform(X.rename(columns=str.upper))


def test_a_tensor_and_images(digits, nets) -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    images = digits.X[:200].reshape(-1, 1, 8, 8)
    code_map = CodeMap(module, shape=(3, 3), n_iter=300, random_state=0).fit(images)
    assert (code_map.transform(torch.from_numpy(images)) == code_map.transform(images)).all()
    assert code_map.drift(images, images + np.float32(0.5)).norms == pytest.approx(4)


def test_no_more_samples_than_steps_are_looked_at(digits, nets) -> None:
    rows: list[bytes] = []
    net = nn.Sequential(nn.Linear(64, 5))
    net[0].register_forward_hook(lambda _m, given, _o: rows.extend(row.numpy().tobytes() for row in given[0]))
    CodeMap(net, shape=(3, 3), n_iter=300, random_state=0).fit(digits.X)
    # one tells the layers; of those for the maps, the network is asked what they are too
    assert len(set(rows)) <= 301 and len(rows) <= 1 + 2 * 300 + 32


class Tuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 5)
        self.out = nn.Linear(5, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0])


class Odd(nn.Module):
    """Layers that do what a map cannot take."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(64, 10)
        self.idle = nn.Linear(64, 10)
        self.relu = nn.ReLU()
        self.turned = Turned()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.turned(x)
        return self.relu(self.used(self.relu(x)))


class Turned(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.T


class Infinite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Linear(64, 10)
        self.log = Log()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log(self.fine(x))


class Log(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (0 * x).log()


@pytest.mark.parametrize(
    ("estimator", "params", "error", "match"),
    [
        (nn.Linear(64, 10), {}, ValueError, "Linear has no named layers"),
        (nn.Sequential(nn.Flatten()), {}, ValueError, r"no layer with weights.*it has \['0'\]"),
        (
            Odd(),
            {"layers": ["used", "hidden"]},
            ValueError,
            r"no layers \['hidden'\]; it has \['used', 'idle'",
        ),
        (Odd(), {"layers": ["idle"]}, ValueError, r"layers \['idle'\] of Odd do not run"),
        (Odd(), {"layers": ["relu"]}, ValueError, "'relu' runs several times"),
        (Odd(), {"layers": ["turned"]}, ValueError, r"shape \(64, 256\) for 256 samples"),
        (Tuple(), {}, TypeError, "'lstm' of Tuple returns a tuple, not a tensor"),
        (
            Infinite(),
            {"layers": ["fine", "log"]},
            ValueError,
            "'log' of Infinite gives activations that are nan",
        ),
        (Odd(), {"shape": (50, 40)}, ValueError, r"2000 units, more than n_samples=900"),
        (Odd(), {"shape": 8}, ValueError, "shape must be"),
        (Odd(), {"shape": (8, 0)}, ValueError, "each side of shape must be an integer >= 1, got 0"),
        (Odd(), {"shape": (1, 1)}, ValueError, "at least 2 units"),
        (Odd(), {"n_iter": 63}, ValueError, "64 units, more than n_iter=63 steps"),
        (Odd(), {"n_iter": 0}, ValueError, "n_iter must be an integer >= 1"),
        (Odd(), {"pooling": "sum"}, ValueError, "pooling must be one of"),
        (Odd(), {"layers": "used"}, ValueError, "layers must be"),
        (Odd(), {"layers": []}, ValueError, "layers must be"),
        (Odd(), {"layers": ["used", "used"]}, ValueError, "layers must be"),
        (None, {}, TypeError, "a fitted classifier"),
        (KMeans(), {}, TypeError, "got the clusterer"),
        (MLPRegressor(), {}, TypeError, "got the regressor"),
    ],
)
def test_errors(digits, estimator: Any, params: dict[str, Any], error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        CodeMap(estimator, **{"random_state": 0, "n_iter": 300} | params).fit(digits.X)
    if isinstance(estimator, nn.Module):
        assert not any(part._forward_hooks for part in estimator.modules())


def test_more_errors(digits, code_maps) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    with pytest.raises(TypeError, match="a network with layers is needed.*got LogisticRegression"):
        CodeMap(LogisticRegression(max_iter=1000).fit(X, y)).fit(X)
    with pytest.raises(TypeError, match=r"columns of categories: \['kind'\]"):
        CodeMap(mlp_of(X, y)).fit(X.assign(kind="a"))
    with pytest.raises(ValueError, match="NaN"):
        CodeMap(mlp_of(X, y)).fit(X.where(X > 1))
    code_map = code_maps("mlp")
    with pytest.raises(ValueError, match="at least 2 classes"):
        code_map.homogeneity(digits.X_test, np.zeros(600))
    with pytest.raises(ValueError, match="one label per sample"):
        code_map.homogeneity(digits.X_test, digits.y_test[1:])
    with pytest.raises(ValueError, match="n_bootstrap must be an integer >= 2"):
        code_map.homogeneity(digits.X_test, digits.y_test, n_bootstrap=1)
    with pytest.raises(ValueError, match="n_shuffles must be an integer >= 1"):
        code_map.homogeneity(digits.X_test, digits.y_test, n_shuffles=0)
    with pytest.raises(ValueError, match="the same shape"):
        code_map.drift(digits.X_test, digits.X_test[1:])


def test_what_is_no_network_is_not_trained() -> None:
    class Untrainable(LogisticRegression):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            raise AssertionError

    X, y = load_iris(return_X_y=True)
    for estimator in (Untrainable(), make_pipeline(StandardScaler(), Untrainable())):
        with pytest.raises(TypeError, match="a network with layers is needed.*got Untrainable"):
            CodeMap(estimator).fit(X, y)


def test_parameters_set_after_fit_wait_for_the_next(digits, nets) -> None:
    code_map = CodeMap(nets("cnn"), shape=(4, 5), n_iter=300, random_state=0).fit(digits.X)
    before = code_map.homogeneity(digits.X_test, digits.y_test)
    code_map.set_params(shape=(2, 2), pooling="flatten")
    after = code_map.homogeneity(digits.X_test, digits.y_test)
    assert after.shape == (4, 5) and (after.counts == before.counts).all()


def mlp_of(X: Any, y: Any) -> MLPClassifier:
    return MLPClassifier(6, solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)


def test_a_coarse_map_warns(digits, nets) -> None:
    net = nets("mlp")
    with pytest.warns(
        CoarseMapWarning, match=re.escape("more than 80% of the variance of layers ['activation_1'")
    ):
        code_map = CodeMap(net, shape=(2, 2), n_iter=500, random_state=0).fit(digits.X)
    assert (code_map.unexplained_variance_ > 0.8).any()
    with pytest.warns(CoarseMapWarning, match="have fewer codes than there are classes .10."):
        code_map.homogeneity(digits.X_test, digits.y_test)


def test_a_layer_that_says_nothing(digits) -> None:
    net = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))
    nn.init.constant_(net[0].bias, -100)
    code_map = CodeMap(net, shape=(3, 3), n_iter=300, random_state=0).fit(digits.X)
    assert np.isnan(code_map.unexplained_variance_).tolist() == [True, True]
    with pytest.warns(CoarseMapWarning, match=r"classes \(10\), so classes must share"):
        found = code_map.homogeneity(digits.X_test, digits.y_test)
    assert found.values["n_codes"].tolist() == found.values["shared"].tolist() == [1, 1]
    assert found.adjusted_mutual_information.tolist() == [0, 0]


def test_skorch_with_labels_of_its_own(digits) -> None:
    module = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    code_map = CodeMap(net, shape=(5, 5), n_iter=300, random_state=0).fit(digits.X.astype(float), digits.y)
    assert code_map.layers_ == ["1", "2"]
    with pytest.raises(ValueError, match="encode labels"):
        CodeMap(net, shape=(3, 3)).fit(digits.X[digits.y > 0], digits.y[digits.y > 0])
