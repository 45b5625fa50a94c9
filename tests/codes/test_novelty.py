"""Novelty: distances of codes from those of the class that a network gives, by hand and as a detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from torch import nn

from skhalfway.codes import CodeMap
from skhalfway.codes._novelty import ClassCodes

X, Y = load_digits(return_X_y=True)
X = X / 16


class Given:
    """A network, and its map: samples are (code, class)."""

    def predict(self, X):
        return X[:, 1]

    def codes(self, X):
        return X[:, :1]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.05, [0, 1, 1, 0, np.inf]),
        (0.75, [0, 1, 5**0.5, 0, np.inf]),  # three of four
        (1.0, [8**0.5, 5**0.5, 5**0.5, 0, np.inf]),  # the last of them lies in the far corner
    ],
)
def test_by_hand(share, expected, monkeypatch) -> None:
    # a map of 3 x 3 units: class 0 has units 0, 0, 0 and 8, class 1 has unit 4
    training = np.array([[0, 0], [0, 0], [0, 0], [8, 0], [4, 1]])
    asked = np.array([[0, 0], [1, 0], [7, 0], [4, 1], [0, 2]])
    monkeypatch.setattr("skhalfway.codes._novelty.as_model", lambda network: network)
    found = ClassCodes(Given(), Given(), training, training[:, :1], (3, 3)).distances(asked, share)
    np.testing.assert_allclose(found[:, 0], expected)


def test_a_share_is_not_one_more_by_rounding(monkeypatch) -> None:
    # .05 of 140 samples are 7, and as floats a little more
    training = np.array([[0, 0]] * 7 + [[8, 0]] * 133)
    monkeypatch.setattr("skhalfway.codes._novelty.as_model", lambda network: network)
    found = ClassCodes(Given(), Given(), training, training[:, :1], (3, 3)).distances(training[:1], 0.05)
    assert found.tolist() == [[0]]


@pytest.fixture(scope="module")
def codes() -> CodeMap:
    net = MLPClassifier((32, 32), solver="lbfgs", max_iter=60, tol=1e-2, random_state=0).fit(
        X[:1000], Y[:1000]
    )
    return CodeMap(net, n_iter=2000, random_state=0).fit(X[:1000])


def test_samples_that_are_none_are_further_away_than_samples(codes: CodeMap) -> None:
    noise = np.random.default_rng(0).uniform(size=(300, 64))
    usual, unusual = codes.novelty(X[1000:1300]), codes.novelty(noise)
    assert usual.shape == (300, len(codes.layers_))
    truth = np.repeat([0, 1], 300)
    assert roc_auc_score(truth, np.concatenate([usual, unusual]).mean(axis=1)) > 0.8
    # most training samples are no further than others of their class
    assert (codes.novelty(X[:1000]) <= 1).mean() > 0.8
    # a larger share of the class lies further away
    assert (codes.novelty(noise, share=0.5) >= unusual).all()


def test_it_needs_classes_and_valid_samples(codes: CodeMap) -> None:
    for share in (0, 1.5, None, True):
        with pytest.raises(ValueError, match="share must be a share"):
            codes.novelty(X[:3], share=share)
    with pytest.raises(ValueError, match="features"):
        codes.novelty(X[:3, :5])
    decoder = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 16), nn.Unflatten(1, (4, 4)))
    made = CodeMap(decoder, shape=(3, 3), n_iter=200, random_state=0).fit(X.astype("float32"))
    assert made.transform(X[:5].astype("float32")).shape == (5, 2)
    with pytest.raises(ValueError, match="needs a network that predicts classes"):
        made.novelty(X[:5].astype("float32"))


def test_a_class_that_is_given_to_no_training_sample_is_infinitely_far() -> None:
    net = nn.Linear(2, 3)
    net.weight.data = torch.tensor([[1.0, 0], [-1, 0], [0, 5]])
    net.bias.data.zero_()
    rng = np.random.default_rng(0)
    training = np.stack([rng.normal(size=50), -rng.uniform(1, 2, size=50)], axis=1).astype("float32")
    wrapped = nn.Sequential(net, nn.Identity())
    fitted = CodeMap(wrapped, shape=(2, 2), n_iter=100, random_state=0).fit(training)
    assert np.isinf(fitted.novelty(np.array([[0.0, 3.0]], dtype="float32"))).all()
