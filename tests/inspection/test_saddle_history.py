"""The saddle index along training: perceptrons, skorch nets, loops of one's own; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.classifier import NeuralNetBinaryClassifier
from torch import nn

from skhalfway._randomness import draw_seed
from skhalfway.inspection import SaddleCallback, SaddleHistory, SaddleIndex, saddle_history, saddle_index

X, Y = load_iris(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


def perceptron(**params):
    return MLPClassifier((3,), "tanh", learning_rate_init=0.02, random_state=0, **params)


def test_a_perceptron_is_trained_as_by_itself_and_measured_as_it_is():
    net, same = perceptron(), perceptron()
    history = saddle_history(net, X, Y, n_epochs=5, every=2, tol=1e-3)
    assert history.epochs.tolist() == [2, 4, 5]
    found = []
    for _ in range(5):
        same.partial_fit(X, Y, classes=[0, 1, 2])
        found.append(saddle_index(same, X, Y, tol=1e-3))
    np.testing.assert_array_equal(net.coefs_[0], same.coefs_[0])
    assert history == SaddleHistory.of([found[1], found[3], found[4]], [2, 4, 5])
    assert history.losses[-1] < history.losses[0] and history.n_parameters == 27
    assert history.index.tolist() == [one.index for one in (found[1], found[3], found[4])]
    # a fitted one goes on
    later = saddle_history(net, X, Y, n_epochs=1, tol=1e-3)
    assert later.epochs.tolist() == [0, 1]
    assert later.losses[0] == pytest.approx(history.losses[-1])


def test_random_vectors_are_the_same_for_all_records():
    options = {"method": "lanczos", "n_probes": 2, "n_steps": 30}
    net = perceptron()
    history = saddle_history(net, X, Y, n_epochs=2, random_state=3, **options)
    seed = draw_seed(np.random.RandomState(3))
    assert history.index[-1] == saddle_index(net, X, Y, random_state=seed, **options).index
    assert (history.standard_errors > 0).all()
    assert len(history.plot().axes_[0].collections) == 1


@pytest.mark.parametrize(
    ("index", "losses", "expected"),
    [
        ([0.3, 0.2, 0.1, 0.0], [2, 1.5, 1, 0.1], 1),
        ([0, 0.1, 0.2, 0.3], [2, 1.5, 1, 0.1], -1),
        ([0.3, 0.1, 0.2, 0.0], [2, 1.5, 1, 0.1], 0.8),
        ([0.1] * 4, [2, 1.5, 1, 0.1], np.nan),
        ([0.2, 0.1], [2, 1], np.nan),
    ],
)
def test_rank_correlation(index, losses, expected):
    zeros = np.zeros(len(index))
    history = SaddleHistory(np.arange(len(index)), index, zeros, zeros, losses, zeros, 9)
    assert history.rank_correlation == pytest.approx(expected, nan_ok=True)
    assert ("rank correlation" in str(history)) == (not np.isnan(expected))
    assert ("rank" in history.plot().axes_[2].get_title()) == (not np.isnan(expected))


def trained(*callbacks, kind=NeuralNetClassifier, last=(), criterion=nn.CrossEntropyLoss, y=Y):
    torch.manual_seed(0)
    n_out = 1 if kind is NeuralNetBinaryClassifier else 3
    net = kind(
        nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.2), nn.Tanh(), nn.Linear(3, n_out), *last),
        criterion=criterion,
        lr=0.3,
        max_epochs=6,
        train_split=None,
        callbacks=[(f"c{i}", one) for i, one in enumerate(callbacks)],
        verbose=0,
    )
    return net.fit(X, y)


def test_a_skorch_net_is_not_disturbed():
    callbacks = SaddleCallback(every=4), SaddleCallback(X[::3], Y[::3], every=3)
    net = trained(*callbacks)
    first, second = (dict(net.callbacks_)[name].history_ for name in ("c0", "c1"))
    assert first.epochs.tolist() == [0, 4, 6] and second.epochs.tolist() == [0, 3, 6]
    np.testing.assert_array_equal(trained().module_[0].weight.detach(), net.module_[0].weight.detach())
    last = saddle_index(net, X, Y)
    assert (first.index[-1], first.losses[-1]) == (last.index, last.loss)
    assert second.losses[-1] == pytest.approx(saddle_index(net, X[::3], Y[::3]).loss)
    assert first.losses[-1] < first.losses[0]
    assert first.provenance.made_by == "SaddleCallback" and second.provenance.n_samples == 50
    net.partial_fit(X, Y)
    assert dict(net.callbacks_)["c0"].history_.epochs.tolist() == [0, 4, 6, 8, 12]
    again = clone(net)  # what was recorded is no parameter
    assert again.callbacks[0][1].get_params() == callbacks[0].get_params()


@pytest.mark.parametrize(
    "options",
    [
        {"last": [nn.Softmax(dim=1)], "criterion": nn.NLLLoss},
        {
            "kind": NeuralNetBinaryClassifier,
            "criterion": nn.BCEWithLogitsLoss,
            "y": (Y > 0).astype(np.float32),
        },
    ],
)
def test_nets_of_other_outputs(options):
    net = trained(SaddleCallback(every=6), **options)
    history = dict(net.callbacks_)["c0"].history_
    last = saddle_index(net, X, options.get("y", Y))
    assert (history.index[-1], history.losses[-1]) == pytest.approx((last.index, last.loss))


RECORD = SaddleIndex(np.array([-1.0, 1.0]), np.full((1, 2), 0.5), 2, 0.0, 0.7)
OF_TWO = perceptron().partial_fit(X[:99], Y[:99], classes=[0, 1])
SMALL = SaddleIndex(np.array([1.0]), np.ones((1, 1)), 1, 0.0, 0.7)


def history_of(**given):
    return lambda: saddle_history(**({"estimator": perceptron(), "X": X, "y": Y, "n_epochs": 1} | given))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (history_of(estimator=SGDClassifier()), TypeError, "SaddleHistory.of.*got SGDClassifier"),
        (history_of(estimator=perceptron(solver="lbfgs")), ValueError, "solver must be of"),
        (history_of(n_epochs=0), ValueError, "n_epochs must be"),
        (history_of(every=0), ValueError, "every must be"),
        (history_of(tol="x"), ValueError, "tol must be a number from 0 to below 1"),
        (history_of(method="newton"), ValueError, "method must be one of"),
        (history_of(y=Y[:9]), ValueError, "one label per sample"),
        (history_of(estimator=OF_TWO), ValueError, "not among the classes"),
        (lambda: SaddleHistory.of([RECORD, 3], [0, 1]), TypeError, "results of saddle_index, got int"),
        (lambda: SaddleHistory.of([], []), ValueError, "of one network, got no records"),
        (lambda: SaddleHistory.of([RECORD, SMALL], [0, 1]), ValueError, r"networks with \[1, 2\] parameters"),
        (lambda: SaddleHistory.of([RECORD], [0, 1]), ValueError, "index must have one axis"),
        (lambda: SaddleHistory.of([RECORD] * 2, [1, 1]), ValueError, "epochs must be finite and increase"),
        (lambda: SaddleHistory.of([RECORD] * 2, [1, np.nan]), ValueError, "must be finite and increase"),
        (history_of(y=X[:, 0]), ValueError, "^Unknown label type: continuous"),
        (lambda: trained(SaddleCallback(every=0)), ValueError, "every must be"),
        (lambda: trained(SaddleCallback(n_probes=0)), ValueError, "n_probes must be"),
        (lambda: trained(SaddleCallback(X)), ValueError, "X and y must both be given.*without y"),
        (lambda: trained(SaddleCallback(random_state="x")), ValueError, "cannot be used to seed"),
    ],
)  # fmt: skip
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_nothing_is_trained_before_all_is_checked():
    net = perceptron()
    with pytest.raises(ValueError, match="n_steps must be"):
        saddle_history(net, X, Y, n_epochs=1, n_steps=0)
    with pytest.raises(NotFittedError):
        net.predict(X)
