"""Histories of training: the same as by hand, and training as if they were not."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Checkpoint, PrintLog
from skorch.dataset import Dataset
from skorch.history import History
from torch import nn

from skhalfway.halfway import crossings, sample_pairs
from skhalfway.training import HalfwayCallback, TrainingHistory, TrainingHistoryDisplay, halfway_history

X, Y = load_iris(return_X_y=True)
X32 = X.astype(np.float32)


def skorch_net(*callbacks, **params):
    torch.manual_seed(0)
    # batch statistics and dropout behave in another way while training
    module = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    given = {"max_epochs": 6, "lr": 0.1, "batch_size": 32, "verbose": 0, "iterator_train__shuffle": True}
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, callbacks=list(callbacks), **given | params
    )


def history_of(net):
    return dict(net.callbacks_)["HalfwayCallback"].history_


def by_hand(states, X, y, random_state, n_pairs, tol=1e-3):
    """What a history must say of models as they were."""
    rng = np.random.RandomState(random_state)
    pairs = sample_pairs(X, y, n_pairs=n_pairs, random_state=rng)
    nearest = sample_pairs(X, y, pairs="nearest", n_pairs=n_pairs, random_state=rng)
    rows, final = np.unique([pairs, nearest]), crossings(states[-1], *X[pairs.T], tol=tol)
    counts_at_end = (states[-1].predict(X[pairs.ravel()]).reshape(-1, 2) == y[pairs]).all(axis=1)
    lines = []
    for state in states:
        found = crossings(state, *X[pairs.T], tol=tol)
        right = (found.start_class == y[pairs[:, 0]]) & (found.end_class == y[pairs[:, 1]])
        towards = crossings(state, *X[nearest.T], tol=tol).position
        distance = towards * np.linalg.norm(X[nearest[:, 0]] - X[nearest[:, 1]], axis=1)
        both = right & counts_at_end
        varied = both.sum() > 2 and np.ptp(found.position[both]) > 0
        lines.append(
            {
                "accuracy": (state.predict(X[rows]) == y[rows]).mean(),
                "deviation": np.abs(found.position[right] - 0.5).mean() if right.any() else np.nan,
                "agreement": spearmanr(found.position[both], final.position[both])[0] if varied else np.nan,
                "boundary_distance": np.median(np.where(np.isnan(distance), np.inf, distance)),
                "crossed": (~np.isnan(towards)).mean(),
            }
        )
    return pd.DataFrame(lines)


@pytest.mark.parametrize("every", [1, 4])
def test_callback_is_the_same_as_by_hand(every):
    states = {}

    class Keep(HalfwayCallback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            super().on_epoch_begin(net, dataset_train, **kwargs)
            states.setdefault(0, pickle.dumps(net.module_))

        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            states[len(net.history)] = pickle.dumps(net.module_)

    net = skorch_net(
        ("HalfwayCallback", Keep(n_pairs=80, every=every, random_state=3)), train_split=None, lr=0.5
    )
    history = history_of(net.fit(X32, Y))
    expected = [0, *range(every, 7, every), *([6] if every == 4 else [])]
    assert history.epochs.tolist() == expected
    modules = [ClassesOf(pickle.loads(states[epoch])) for epoch in expected]
    frame = by_hand(modules, X32, Y, 3, 80)
    pd.testing.assert_frame_equal(
        history.to_frame().reset_index(drop=True), frame, check_exact=False, atol=1e-6
    )
    assert np.isfinite(frame.iloc[-1]).all()


class ClassesOf:
    """A module in evaluation mode, as a classifier."""

    def __init__(self, module):
        self.module, self.classes_ = module.eval(), np.arange(3)

    def predict(self, X):
        with torch.no_grad():
            return self.module(torch.from_numpy(X)).argmax(dim=1).numpy()


@pytest.mark.parametrize("random_state", [0, None])
def test_callback_does_not_disturb_training(random_state):
    """Weights, batch statistics, losses and all randomness come out as without it."""
    outcomes = []
    for callbacks in ((), (HalfwayCallback(n_pairs=60, random_state=random_state),)):
        np.random.seed(5)
        net = skorch_net(*callbacks).fit(X32, Y)
        outcomes.append((net, torch.get_rng_state(), np.random.get_state()[1]))
    (plain, *states), (watched, *others) = outcomes
    for key, value in plain.module_.state_dict().items():
        assert torch.equal(value, watched.module_.state_dict()[key]), key
    assert plain.history[:, "train_loss"] == watched.history[:, "train_loss"]
    for state, other in zip(states, others, strict=True):
        np.testing.assert_array_equal(state, other)
    assert [part.training for part in plain.module_.modules()] == [
        part.training for part in watched.module_.modules()
    ]


def test_callback_sees_only_what_is_trained_on():
    """skorch keeps a fifth for validation."""
    net = skorch_net(HalfwayCallback(n_pairs=121, random_state=0))
    with pytest.raises(ValueError, match="only 120 pairs"):
        net.fit(X32, Y)


def test_callback_goes_on_with_partial_fit_and_begins_anew_with_fit():
    net = skorch_net(HalfwayCallback(n_pairs=50, every=2, random_state=0), max_epochs=3)
    first = history_of(net.fit(X32, Y))
    assert first.epochs.tolist() == [0, 2, 3]
    second = history_of(net.partial_fit(X32, Y))
    assert second.epochs.tolist() == [0, 2, 3, 4, 6]
    np.testing.assert_array_equal(second.crossings[:3], first.crossings)
    assert history_of(net.fit(X32, Y)).epochs.tolist() == [0, 2, 3]
    again = history_of(pickle.loads(pickle.dumps(net)))
    np.testing.assert_array_equal(again.crossings, history_of(net).crossings)


def test_callback_is_cloned_and_set():
    callback = HalfwayCallback(n_pairs=50, every=3, tol=0.01, random_state=1)
    assert (
        clone(callback).get_params()
        == callback.get_params()
        == {
            "n_pairs": 50,
            "every": 3,
            "tol": 0.01,
            "random_state": 1,
        }
    )
    net = clone(skorch_net(callback)).set_params(callbacks__HalfwayCallback__n_pairs=40)
    assert history_of(net.fit(X32, Y)).crossings.shape == (3, 40)
    assert not hasattr(callback, "history_")


def test_callback_in_a_pipeline_and_with_images():
    pipeline = make_pipeline(StandardScaler(), skorch_net(HalfwayCallback(n_pairs=50, random_state=0)))
    history = history_of(pipeline.fit(X32, Y)[-1])
    assert history.accuracy[-1] > 0.7
    images, y = load_digits(n_class=3, return_X_y=True)
    images = (images[:200].reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    net = NeuralNetClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        verbose=0,
        train_split=None,
        callbacks=[HalfwayCallback(n_pairs=50, random_state=0)],
    )
    twin = clone(net)
    history = history_of(net.fit(images, y[:200]))
    assert history.distances.shape == (3, 50)
    tensors = Dataset(torch.from_numpy(images), torch.from_numpy(y[:200]))
    np.testing.assert_array_equal(history_of(twin.fit(tensors, None)).crossings, history.crossings)


def test_callback_with_more_outputs_than_classes_and_with_one():
    net = skorch_net(HalfwayCallback(n_pairs=40, random_state=0))
    few = Y < 2
    history = history_of(net.fit(X32[few], Y[few]))
    assert history.crossings.shape == (7, 40)
    torch.manual_seed(0)
    binary = NeuralNetBinaryClassifier(
        nn.Linear(4, 1),
        lr=0.5,
        max_epochs=10,
        verbose=0,
        train_split=None,
        threshold=0.3,
        callbacks=[HalfwayCallback(n_pairs=100, random_state=0)],
    ).fit(X32[few], Y[few].astype(np.float32))
    # each sample is in a nearest pair
    assert history_of(binary).accuracy[-1] == (binary.predict(X32[few]) == Y[few]).mean()


class Stream(torch.utils.data.Dataset):
    def __len__(self):
        return len(X32)

    def __getitem__(self, i):
        return X32[i], Y[i]


class Ragged(Stream):
    def __getitem__(self, i):
        return X32[i, : 4 - (i == 3)], Y[i]


def test_callback_with_a_dataset():
    settings = {"train_split": None, "iterator_train__shuffle": False}
    callback = HalfwayCallback(n_pairs=50, random_state=0)
    on_arrays, on_dataset = (
        history_of(skorch_net(clone(callback), **settings).fit(*data))
        for data in ((X32, Y), (Stream(), None))
    )
    np.testing.assert_array_equal(on_dataset.to_frame(), on_arrays.to_frame())


FIGURES = ("accuracy", "deviation", "boundary_distance", "crossed")


@pytest.mark.parametrize(("every", "recorded"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5])])
def test_figures_go_to_the_history_of_the_net(every, recorded, tmp_path):
    printed = []
    net = skorch_net(
        HalfwayCallback(n_pairs=50, every=every, random_state=0),
        PrintLog(sink=printed.append),
        max_epochs=5,
        train_split=None,
    ).fit(X32, Y)
    frame = history_of(net).to_frame()
    for name in FIGURES:
        values = net.history[:, f"halfway_{name}"]
        assert all(type(value) is float for value in values)
        at = [value for epoch, value in enumerate(values, 1) if epoch in recorded]
        np.testing.assert_array_equal(at, frame[name].loc[recorded])
        assert all(np.isnan(value) for epoch, value in enumerate(values, 1) if epoch not in recorded)
    assert all(f"halfway_{name}" in printed[0] for name in FIGURES)
    assert len(printed) == 2 + 5
    deviations = net.history[:, "halfway_deviation"]
    smallest = np.fmin.accumulate([np.inf, *deviations])
    assert net.history[:, "halfway_deviation_best"] == (deviations < smallest[:-1]).tolist()
    net.history.to_file(str(tmp_path / "history.json"))
    again = History.from_file(str(tmp_path / "history.json"))
    for name in (*FIGURES, "deviation_best"):
        np.testing.assert_array_equal(again[:, f"halfway_{name}"], net.history[:, f"halfway_{name}"])


def test_the_best_net_by_deviation_is_kept(tmp_path):
    keep = Checkpoint(monitor="halfway_deviation_best", dirname=str(tmp_path))
    net = skorch_net(HalfwayCallback(n_pairs=50, random_state=0), keep, train_split=None).fit(X32, Y)
    best = np.nanargmin(net.history[:, "halfway_deviation"])
    assert [row["event_cp"] for row in net.history][best] and not any(net.history[best + 1 :, "event_cp"])


def test_figures_go_on_where_training_does():
    net = skorch_net(HalfwayCallback(n_pairs=50, random_state=0), max_epochs=2, train_split=None)
    net.fit(X32, Y).partial_fit(X32, Y)
    np.testing.assert_array_equal(
        net.history[:, "halfway_accuracy"], history_of(net).to_frame()["accuracy"].loc[[1, 2, 3, 4]]
    )


@pytest.mark.parametrize(
    ("params", "data", "error", "message"),
    [
        ({"n_pairs": 0}, (X32, Y), ValueError, "n_pairs must be an integer >= 1, got 0"),
        ({"every": 0}, (X32, Y), ValueError, "every must be an integer >= 1, got 0"),
        ({"tol": 2}, (X32, Y), ValueError, r"tol must be a number in \(0, 1\], got 2"),
        ({}, (Ragged(), None), ValueError, r"samples of the training data must have the same shape: \(4,\)"),
        ({}, ({"input": X32}, Y), TypeError, "needs samples in one array and their labels, got dict"),
        ({}, (X32, np.zeros_like(Y)), ValueError, "needs samples of at least 2 classes"),
    ],
)
def test_callback_errors(params, data, error, message):
    net = skorch_net(HalfwayCallback(**{"n_pairs": 50} | params), train_split=None)
    with pytest.raises(error, match=message):
        net.fit(*data)


@pytest.mark.parametrize(
    ("estimator", "batch_size"),
    [
        (MLPClassifier((8,), learning_rate_init=0.01, random_state=0), 32),
        (SGDClassifier(random_state=0), 64),
        (GaussianNB(), 40),
        (SGDClassifier(loss="log_loss", random_state=0), 150),
    ],
)
def test_history_is_the_same_as_by_hand(estimator, batch_size):
    watched, states = clone(estimator), []
    history = halfway_history(
        watched, X, Y, n_epochs=5, every=2, batch_size=batch_size, n_pairs=60, random_state=4
    )
    rng = np.random.RandomState(4)
    for kind in ("random", "nearest"):
        sample_pairs(X, Y, pairs=kind, n_pairs=60, random_state=rng)
    for epoch in range(1, 6):
        order = rng.permutation(150)
        for begin in range(0, 150, batch_size):
            rows = order[begin : begin + batch_size]
            estimator.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
            if not states and batch_size < 150:
                states.append(pickle.dumps(estimator))
        if epoch in (2, 4, 5):
            states.append(pickle.dumps(estimator))
    first = [] if batch_size == 150 else [batch_size / 150]
    np.testing.assert_allclose(history.epochs, [*first, 2, 4, 5])
    frame = by_hand([pickle.loads(state) for state in states], X, Y, 4, 60)
    pd.testing.assert_frame_equal(
        history.to_frame().reset_index(drop=True), frame, check_exact=False, atol=1e-9
    )
    np.testing.assert_array_equal(watched.predict(X), estimator.predict(X))


def test_a_fitted_estimator_goes_on_and_is_recorded_first():
    labels = np.array(["setosa", "versicolor", "virginica"])[Y]
    frame = pd.DataFrame(X, columns=list("abcd"))
    sgd = SGDClassifier(random_state=0).fit(frame, labels)
    before = (sgd.predict(frame) == labels).mean()
    history = halfway_history(sgd, frame, labels, n_epochs=1, n_pairs=150, random_state=0)
    assert history.epochs.tolist() == [0, 1]
    assert history.accuracy[0] == before  # of all samples: each is in a nearest pair
    with pytest.raises(ValueError, match="labels that are not among the classes"):
        halfway_history(sgd, frame, Y, n_epochs=1, n_pairs=50)


def test_recording_leaves_randomness_alone():
    """Estimators without a random_state of their own draw from numpy's."""
    weights = []
    for every in (1, 3):
        np.random.seed(0)
        mlp = MLPClassifier((4,))
        with pytest.warns(UndefinedMetricWarning, match="in the last record the model classifies both"):
            halfway_history(mlp, X, Y, n_epochs=3, every=every, n_pairs=50)
        weights.append(mlp.coefs_[0])
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize(
    ("estimator", "given", "error", "message"),
    [
        (SVC(), {}, TypeError, "got SVC, which has no partial_fit"),
        (LinearRegression(), {}, TypeError, "a classifier is needed"),
        (SGDRegressor(), {}, TypeError, "a classifier is needed, got the regressor"),
        (skorch_net(), {}, TypeError, "a skorch net; skorch nets record with HalfwayCallback"),
        (GaussianNB(), {"n_epochs": 0}, ValueError, "n_epochs must be an integer >= 1, got 0"),
        (GaussianNB(), {"batch_size": 1.5}, ValueError, "batch_size must be an integer >= 1, got 1.5"),
        (GaussianNB(), {"every": None}, ValueError, "every must be an integer >= 1, got None"),
        (GaussianNB(), {"tol": 0}, ValueError, "tol must be a number in"),
        (GaussianNB(), {"n_pairs": 151}, ValueError, "there are only 150 pairs"),
        (GaussianNB(), {"y": np.ones(150)}, ValueError, "needs samples of at least 2 classes"),
        (GaussianNB(), {"y": Y[:9]}, ValueError, "one label per sample"),
        (GaussianNB(), {"X": np.where(X > 7, np.nan, X)}, ValueError, "missing value"),
    ],
)
def test_history_errors(estimator, given, error, message):
    with pytest.raises(error, match=message):
        halfway_history(estimator, **{"X": X, "y": Y, "n_epochs": 1, "n_pairs": 50} | given)
    assert not hasattr(estimator, "classes_")


def made(**changes):
    arrays = {
        "epochs": [0, 1, 3],
        "crossings": [[np.nan, 0.9, 0.1, 0.5], [0.8, 0.7, 0.4, 0.1], [0.6, 0.5, 0.4, 0.2]],
        "counted": [[False, True, False, False], [True] * 4, [True] * 4],
        "distances": [[np.inf, np.inf, 1.0], [2.0, 3.0, np.inf], [1.0, 2.0, 0.5]],
        "accuracy": [0.5, 0.9, 1.0],
    }
    return TrainingHistory(**{name: np.array(array) for name, array in (arrays | changes).items()})


def test_figures_are_those_of_the_arrays():
    history = made()
    np.testing.assert_allclose(history.deviation, [0.4, (0.3 + 0.2 + 0.1 + 0.4) / 4, (0.1 + 0.1 + 0.3) / 4])
    np.testing.assert_allclose(history.agreement, [np.nan, 1.0, 1.0])
    np.testing.assert_array_equal(history.boundary_distance, [np.inf, 3.0, 1.0])
    np.testing.assert_allclose(history.crossed, [1 / 3, 2 / 3, 1])
    assert history.to_frame().index.tolist() == [0, 1, 3]
    with pytest.raises(FrozenInstanceError):
        history.epochs = None
    with pytest.raises(ValueError, match="read-only"):
        history.crossings[0] = 0
    assert "3 records of 4 pairs and 3 samples" in repr(history)
    long = made(
        epochs=range(30),
        crossings=np.full((30, 1), 0.5),
        counted=np.ones((30, 1), dtype=bool),
        distances=np.ones((30, 1)),
        accuracy=np.ones(30),
    )
    assert len(repr(long).splitlines()) == 12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": [0, 1, 1]}, "epochs must increase"),
        ({"accuracy": [1.0, 1.0]}, "accuracy must have 1 axes and a row for each epoch"),
        ({"distances": [1.0, 1.0, 1.0]}, "distances must have 2 axes"),
        ({"counted": [[True] * 4] * 3}, "true only where there is a crossing"),
    ],
)
def test_history_is_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        made(**changes)


def test_display():
    history = made()
    display = history.plot()
    assert list(display.lines_) == ["accuracy", "agreement", "deviation", "boundary_distance"]
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_data(), (history.epochs, getattr(history, name)))
    assert [line.axes for line in display.lines_.values()] == list(display.axes_)
    assert len({ax.get_ylabel() for ax in display.axes_}) == 4, "a unit for each panel"
    _, ax = plt.subplots()
    bare = TrainingHistoryDisplay.from_result(
        history, axes=ax, names=["accuracy"], line_kw={"lw": 5}, xscale="log"
    )
    assert list(bare.axes_) == [ax] and list(bare.lines_) == ["accuracy"] and ax.get_xscale() == "log"
    assert bare.lines_["accuracy"].get_linewidth() == 5
    drawn = TrainingHistoryDisplay.from_estimator(
        GaussianNB(), X, Y, n_epochs=2, n_pairs=30, random_state=0, plot_kw={"names": ["deviation"]}
    )
    assert drawn.result.epochs.tolist() == [32 / 150, 1, 2]
    for wrong, error, message in (
        (lambda: TrainingHistoryDisplay.from_result({}), TypeError, "draws a TrainingHistory, got dict"),
        (lambda: history.plot(names=["loss"]), ValueError, "names must be of .* got ['loss']"),
        (lambda: history.plot(xscale="symlog"), ValueError, "xscale must be one of .*, got 'symlog'"),
        (lambda: history.plot(axes=ax), ValueError, "axes must hold 4 axes, one for each panel, got 1"),
    ):
        with pytest.raises(error, match=message.replace("[", "\\[").replace("]", "\\]")):
            wrong()
