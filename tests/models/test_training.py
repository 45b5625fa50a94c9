"""Training that a seed decides: the clone's own draws, and torch's where a skorch net draws from them."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.models._training import seeded, seeded_clone, train

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))

    def forward(self, x):
        return self.layers(x)


NET = NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0)
NETS = {"net": NET, "behind a scaler": make_pipeline(StandardScaler(), NET)}


def drawn(estimator, seed):
    with seeded(estimator, seed):
        return torch.rand(3).tolist()


@pytest.mark.parametrize("name", NETS)
def test_what_a_net_draws_follows_from_the_seed(name):
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (drawn(NETS[name], seed) for seed in (0, 0, 1))
    assert first == again != other
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        assert other == torch.rand(3).tolist()
    assert (torch.get_rng_state() == before[0]).all() and (np.random.get_state()[1] == before[1]).all()


def test_the_randomness_is_as_it_was_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(NET, 0):
        torch.rand(3)
        raise ZeroDivisionError
    assert (torch.get_rng_state() == before).all()


def test_what_draws_from_a_random_state_leaves_torchs_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(6).tolist()
    torch.manual_seed(5)
    assert drawn(LogisticRegression(), 0) + torch.rand(3).tolist() == expected


@pytest.mark.parametrize("name", NETS)
def test_nets_of_one_seed_are_trained_alike(name):
    first, again, other = (train(NETS[name], X, Y, seed).predict_proba(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_each_random_state_follows_from_the_seed():
    bag = BaggingClassifier(DecisionTreeClassifier(random_state=3), random_state=3)
    first, again, other = (seeded_clone(bag, seed).get_params() for seed in (0, 0, 1))
    names = ("random_state", "estimator__random_state")
    assert [first[name] for name in names] == [again[name] for name in names]
    assert len({first[name] for name in names} | {other[name] for name in names} | {3}) == 5
    assert bag.random_state == bag.estimator.random_state == 3


def test_what_is_fitted_is_not_trained_again():
    frozen = FrozenEstimator(LogisticRegression().fit(X, Y))
    assert train(frozen, X, 1 - Y, 0) is frozen
    plain = LogisticRegression()
    assert train(plain, X, Y, 0) is not plain and not hasattr(plain, "coef_")
