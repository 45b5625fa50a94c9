"""Memorisation: what each setting does to the data, how epochs are counted, and what classifiers learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from torch import nn

from skhalfway._randomness import draw_seed
from skhalfway.inspection import MemorizationCurve, MemorizationCurveDisplay, memorization_curve
from skhalfway.inspection._corruptions import altered
from skhalfway.inspection._memorization import _train_net, _train_partially
from skhalfway.inspection._splits import read_split
from skhalfway.models._training import train


def module() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def net(**params: Any) -> NeuralNetClassifier:
    settings: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "batch_size": 32,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **settings | params)


@pytest.fixture(scope="module")
def few(digits: Any) -> dict[str, Any]:
    return {"X": digits.X[:100], "y": digits.y[:100], "X_test": digits.X_test, "y_test": digits.y_test}


def test_settings_do_what_they_say(few: Any) -> None:
    tree = DecisionTreeClassifier()
    split = read_split(tree, **few)

    def change(setting: Any) -> Any:
        return altered(split, setting, np.random.RandomState(0))

    assert split.X_test is not None
    np.testing.assert_array_equal(change("true labels").y, split.y)
    np.testing.assert_array_equal(change("random labels").y, change(1.0).y)
    # a sample that loses its label at a small share loses it at a larger one, to the same label
    some, more = change(0.3).y, change(0.6).y
    lost = some != split.y
    assert lost.any() and (some[lost] == more[lost]).all()
    # a random label is the true one in one of ten
    many = split._replace(y=np.repeat(split.y, 1000))
    for share in (0.25, 1.0):
        kept = np.mean(altered(many, share, np.random.RandomState(0)).y == many.y)
        assert kept == pytest.approx(1 - 0.9 * share, abs=0.005)

    shuffled = change("shuffled pixels")
    # the one permutation is that of columns: each is found elsewhere, in training and test alike
    order = [np.flatnonzero((split.X.T == column).all(axis=1)) for column in shuffled.X.T]
    both = np.vstack([split.X, split.X_test]).T
    for found, column in zip(order, np.vstack([shuffled.X, shuffled.X_test]).T, strict=True):
        assert (both[found] == column).all(axis=1).any()
    own = change("random pixels")
    for before, after in ((split.X, own.X), (split.X_test, own.X_test), (split.X, shuffled.X)):
        np.testing.assert_array_equal(np.sort(after, axis=1), np.sort(before, axis=1))
        assert (after != before).any(axis=1).all()
    assert len(np.unique(own.X.argsort(axis=1, kind="stable"), axis=0)) == len(own.X)

    many = split._replace(X=np.tile(split.X, (500, 1)))
    noise = altered(many, "gaussian noise", np.random.RandomState(0)).X
    np.testing.assert_allclose(noise.mean(axis=0), split.X.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(noise.std(axis=0), split.X.std(axis=0), atol=0.01)
    assert noise.dtype == split.X.dtype


@pytest.mark.parametrize("setting", ["shuffled pixels", "random pixels", "gaussian noise"])
def test_blocks_make_no_difference(setting: str, few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    split = read_split(DecisionTreeClassifier(), **few)
    whole = altered(split, setting, np.random.RandomState(0))
    monkeypatch.setattr("skhalfway._blocks._MAX_VALUES", 7 * 64)
    parts = altered(split, setting, np.random.RandomState(0))
    np.testing.assert_array_equal(parts.X, whole.X)
    np.testing.assert_array_equal(parts.X_test, whole.X_test)


def test_missing_values_do_not_spread() -> None:
    X = np.where(np.random.RandomState(0).rand(50, 4) < 0.2, np.nan, 1.0)
    curve = memorization_curve(
        DecisionTreeClassifier(), X, np.arange(50) % 2, settings=["gaussian noise"], random_state=0
    )
    assert (curve.values["training accuracy"] <= 0.6).all()  # noise without variance tells nothing


@pytest.mark.parametrize("setting", ["shuffled pixels", "random pixels"])
def test_channels_move_together(setting: str) -> None:
    X = np.random.RandomState(0).rand(6, 1, 4, 4) + np.arange(3)[:, None, None]
    split = read_split(DecisionTreeClassifier(), X, np.arange(6) % 2)
    moved = altered(split, setting, np.random.RandomState(0)).X
    assert moved.shape == X.shape and (moved != X).any()
    np.testing.assert_allclose(moved[:, 1] - moved[:, 0], 1)
    np.testing.assert_allclose(moved[:, 2] - moved[:, 0], 2)


def test_epochs_are_counted_to_the_target(few: Any) -> None:
    curve = memorization_curve(
        SGDClassifier(), **few, settings=["true labels", 1], n_epochs=12, target=0.9, random_state=0
    )
    assert curve.learning is not None
    for i, name in enumerate(curve.x):
        lines = curve.learning.values[name]
        np.testing.assert_array_equal(lines[-1], curve.values["training accuracy"][i])
        for line, epochs in zip(lines.T, curve.values["epochs"][i], strict=True):
            reached = [epoch for epoch, value in enumerate(line, start=1) if value >= 0.9]
            np.testing.assert_equal(epochs, reached[0] if reached else np.nan)
    assert np.isfinite(curve.values["epochs"][0]).all()
    assert np.isnan(curve.values["epochs"][1]).all()  # a linear model does not fit random labels
    assert (curve.values["training accuracy"][1] < 0.9).all()


def test_partial_fit_trains_as_fit_does(few: Any) -> None:
    # in one batch the order is of no account, and each epoch is a step of fit
    mlp = MLPClassifier((8,), solver="sgd", batch_size=100, max_iter=20, tol=0)
    trained, by_epoch = _train_partially(mlp, few["X"], few["y"], 20, np.random.RandomState(0))
    with pytest.warns(ConvergenceWarning):
        whole = train(mlp, few["X"], few["y"], draw_seed(np.random.RandomState(0)))
    for one, other in zip(trained.coefs_, whole.coefs_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert len(by_epoch) == 20 and by_epoch[-1] == whole.score(few["X"], few["y"])


def test_without_epochs_fit_trains(few: Any) -> None:
    sgd = SGDClassifier(max_iter=5, tol=None)
    curve = memorization_curve(sgd, **few, settings=[0], n_epochs=None, n_repeats=1, random_state=0)
    assert curve.learning is None and set(curve.values) == {"training accuracy", "test accuracy"}


def test_training_is_the_same_in_all_settings(few: Any) -> None:
    curve = memorization_curve(net(), **few, settings=["true labels", 0], n_epochs=3, random_state=0)
    for value in curve.values.values():
        np.testing.assert_array_equal(value[0], value[1])


def test_a_net_is_trained_at_a_stretch(few: Any) -> None:
    trained, by_epoch = _train_net(net(callbacks="disable"), few["X"], few["y"], 5, np.random.RandomState(0))
    assert len(by_epoch) == 5 and len(trained.history) == 5
    assert by_epoch[-1] == np.mean(trained.predict(few["X"]) == few["y"])


def test_a_net_that_stops_stays_as_it_is(few: Any) -> None:
    stopping = net(lr=1e-9, callbacks=[EarlyStopping("train_loss", patience=2)])
    curve = memorization_curve(stopping, **few, settings=[0], n_epochs=9, n_repeats=1, random_state=0)
    assert curve.learning is not None
    (line,) = curve.learning.values.values()
    assert line.shape == (9, 1) and len(np.unique(line)) == 1


@pytest.mark.parametrize(
    "estimator",
    [
        net(),
        MLPClassifier((16,)),
        make_pipeline(StandardScaler(), net(max_epochs=3)),
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        RandomForestClassifier(10),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_seed_decides_and_nothing_is_changed(estimator: Any, few: Any) -> None:
    settings: dict[str, Any] = {"settings": ["true labels", 0.5], "n_epochs": 3, "n_repeats": 2}
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), repr(estimator), few["X"].copy()
    one = memorization_curve(estimator, **few, **settings, random_state=1)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    assert repr(estimator) == before[2] and not hasattr(estimator, "classes_")
    np.testing.assert_array_equal(few["X"], before[3])
    two = memorization_curve(estimator, **few, **settings, random_state=1)
    for name, value in one.values.items():
        np.testing.assert_array_equal(value, two.values[name])
    other = memorization_curve(estimator, **few, **settings, random_state=2)
    assert (one.values["test accuracy"] != other.values["test accuracy"]).any()


def test_processes_measure_the_same(few: Any) -> None:
    settings: dict[str, Any] = {"n_epochs": 2, "n_repeats": 2, "random_state": 0}
    for estimator in (net(), DecisionTreeClassifier()):
        one, two = (memorization_curve(estimator, **few, **settings, n_jobs=n) for n in (None, 2))
        for name, value in one.values.items():
            np.testing.assert_array_equal(value, two.values[name])


@pytest.mark.parametrize("estimator", [net(), DecisionTreeClassifier()], ids=["net", "tree"])
def test_labels_of_any_kind(estimator: Any, few: Any) -> None:
    texts = {"y": few["y"].astype(str), "y_test": few["y_test"].astype(str)}
    settings: dict[str, Any] = {"settings": [0.5], "n_epochs": 2, "n_repeats": 1, "random_state": 0}
    numbers = memorization_curve(estimator, **few, **settings)
    named = memorization_curve(estimator, **few | texts, **settings)
    np.testing.assert_array_equal(named.values["test accuracy"], numbers.values["test accuracy"])


def test_a_net_of_two_classes_with_one_output(few: Any) -> None:
    binary = NeuralNetBinaryClassifier(
        lambda: nn.Sequential(nn.Linear(64, 1), nn.Flatten(0)), lr=0.5, train_split=None, verbose=0
    )
    halves = {"y": few["y"] > 4, "y_test": few["y_test"] > 4}
    curve = memorization_curve(binary, **few | halves, settings=[0], n_epochs=20, random_state=0)
    assert (curve.values["training accuracy"] > 0.7).all()  # half by chance
    assert (curve.values["test accuracy"] > 0.65).all()


@pytest.mark.parametrize(
    ("estimator", "params", "error", "message"),
    [
        (DecisionTreeClassifier(), {"settings": ["lies"]}, ValueError, "settings must be of .*'lies'"),
        (
            DecisionTreeClassifier(),
            {"settings": [1.5]},
            ValueError,
            "or shares of random labels from 0 to 1; got 1.5",
        ),
        (DecisionTreeClassifier(), {"settings": []}, ValueError, "one setting or more"),
        (DecisionTreeClassifier(), {"settings": [0, 0]}, ValueError, "one setting or more, all different"),
        (DecisionTreeClassifier(), {"n_epochs": 0}, ValueError, "n_epochs must be an integer >= 1, got 0"),
        (DecisionTreeClassifier(), {"target": 1.1}, ValueError, "target must be above 0 and at most 1"),
        (DecisionTreeClassifier(), {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
        (DecisionTreeClassifier(), {"y": np.zeros(100)}, ValueError, "at least 2 classes"),
        (DecisionTreeClassifier(), {"y": np.linspace(0, 1, 100)}, ValueError, "Unknown label type"),
        (DecisionTreeClassifier(), {"y": np.arange(99) % 2}, ValueError, "one label per sample"),
        (DecisionTreeClassifier(), {"y_test": None}, ValueError, "belong together"),
        (DecisionTreeClassifier(), {"y_test": np.full(400, 11)}, ValueError, "y_test holds labels"),
        (net(), {"X_test": np.zeros((400, 1, 64))}, ValueError, r"X_test of shape \(1, 64\)"),
        (net(train_split=torch.nn.Identity), {}, ValueError, "pass train_split=None"),
        (MLPClassifier(early_stopping=True), {}, ValueError, "pass early_stopping=False"),
        (
            make_pipeline(StandardScaler(), HistGradientBoostingClassifier()),
            {},
            ValueError,
            "histgradientboostingclassifier__early_stopping='auto' may hold samples back",
        ),
        (FrozenEstimator(DecisionTreeClassifier()), {}, TypeError, "to be cloned and trained"),
        (StandardScaler(), {}, TypeError, "StandardScaler has no predict"),
        (LinearRegression(), {}, TypeError, "got the regressor LinearRegression"),
    ],
)
def test_errors(estimator: Any, params: Any, error: type[Exception], message: str, few: Any) -> None:
    with pytest.raises(error, match=message):
        memorization_curve(estimator, **few | params)


def test_networks_fit_random_labels_in_more_epochs_and_learn_nothing_of_them(digits: Any) -> None:
    mlp = MLPClassifier((128,), learning_rate_init=0.005, batch_size=20)
    split = {"X": digits.X[:200], "y": digits.y[:200], "X_test": digits.X_test, "y_test": digits.y_test}
    curve = memorization_curve(mlp, **split, n_epochs=80, n_repeats=1, random_state=0)
    training, test, epochs = (curve.means[name] for name in ("training accuracy", "test accuracy", "epochs"))
    true, labels, shuffled, pixels, noise = range(5)
    # Zhang et al. 2017: the same training fits them all, and generalises from the truth alone
    assert (training > 0.97).all()
    assert (test[[true, shuffled]] > 0.85).all()
    assert (test[[labels, pixels, noise]] < 0.25).all()
    assert epochs[labels] > 3 * epochs[true]
    # a perceptron does not see what is next to what
    assert abs(test[shuffled] - test[true]) < 0.05


def test_random_labels_cost_generalisation_by_their_share(digits: Any) -> None:
    split = {"X": digits.X, "y": digits.y, "X_test": digits.X_test, "y_test": digits.y_test}
    shares = [0, 0.25, 0.5, 0.75, 1]
    curve = memorization_curve(DecisionTreeClassifier(), **split, settings=shares, random_state=0)
    assert (curve.means["training accuracy"] == 1).all()  # a tree fits whatever it is given
    assert (np.diff(curve.means["test accuracy"]) < -0.08).all()


def test_display(few: Any) -> None:
    display = MemorizationCurveDisplay.from_estimator(
        SGDClassifier(), **few, settings=["true labels", 1], n_epochs=5, n_repeats=2, random_state=0
    )
    assert isinstance(display.result, MemorizationCurve)
    assert set(display.lines_) == {"training accuracy", "test accuracy", "epochs"}
    assert display.figure_.axes == [display.ax_, display.epochs_ax_]
    assert display.ax_.get_ylabel() == "accuracy" and "epochs" in display.epochs_ax_.get_ylabel()
    assert display.lines_["epochs"].axes is display.epochs_ax_
    drawn = display.lines_["test accuracy"].get_ydata()
    np.testing.assert_allclose(drawn, display.result.means["test accuracy"])
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == [
        "true\nlabels",
        "100%\nrandom\nlabels",
    ]
    (legend,) = [text.get_text() for text in display.ax_.get_legend().get_texts()][:1]
    assert legend == "training accuracy"
    accuracy = display.result.plot(names=["test accuracy"], include_intervals=False, ax=display.ax_)
    assert accuracy.ax_ is display.ax_ and accuracy.epochs_ax_ is None
    # one axes has room for one unit, two for both
    assert list(display.result.plot(ax=display.ax_).lines_) == ["training accuracy", "test accuracy"]
    assert list(display.result.plot(ax=display.figure_.axes).lines_) == list(display.lines_)
    assert list(display.result.plot(ax=display.ax_, names=["epochs"]).lines_) == ["epochs"]
    with pytest.raises(ValueError, match="ax must be one or two Axes, for accuracies and for epochs; got 3"):
        display.result.plot(ax=[display.ax_] * 3)
    with pytest.raises(ValueError, match="names must be of"):
        display.result.plot(names=["loss"])
