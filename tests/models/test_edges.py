"""Edges of how models are seen: single samples, exact zeros, small ensembles, seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import as_model, check_model
from skhalfway.models._ensembles import STEEPNESS
from skhalfway.models._neighbors import _power
from skhalfway.models._training import seeded
from skhalfway.models._tree_sums import tree_sums
from skhalfway.models._trees import EMPHASIS

X, Y = load_iris(return_X_y=True)


class Fixed(nn.Module):
    """Takes batches of one size only."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.linear = size, nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) != self.size:
            raise RuntimeError(f"made for batches of {self.size}")
        return self.linear(x)


@pytest.mark.parametrize(
    "size",
    [1, 2, 33, 64, 72, 75, 96, 100, 125, 128, 192, 200, 250, 256, 300, 384, 400, 500, 512, 768, 1000, 1024],
)
def test_sizes_of_batches_that_modules_are_made_for(size):
    torch.manual_seed(0)
    net = Fixed(size)
    expected = net.linear(torch.tensor(X[:7], dtype=torch.float32)).argmax(dim=1)
    assert_array_equal(as_model(net).predict(X[:7].astype(np.float32)), expected)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_the_last_activation_may_be_called_by_name(name):
    """``torch.softmax(input=z, dim=1)``: logits are those before it."""

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3 if name == "softmax" else 1)

        def forward(self, x):
            z = self.linear(x)
            return torch.softmax(input=z, dim=1) if name == "softmax" else torch.sigmoid(input=z)

    torch.manual_seed(0)
    net = Named()
    x = torch.tensor(X[:9], dtype=torch.float32)
    logits = as_model(net).logits(x)
    z = net.linear(x)
    expected = z if name == "softmax" else torch.cat([-z, z], dim=1) / 2
    differences = (logits - expected).detach()
    assert_allclose(differences - differences[:, :1], 0, atol=1e-5)


def test_one_sample_can_be_checked():
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    check = check_model(model, X[:1], Y[:1])
    assert check.n_samples == 1 and check.accuracy == 1


@pytest.mark.parametrize(("n_trees", "emphasis"), [(1, 1.0), (2, EMPHASIS), (5, EMPHASIS)])
def test_votes_of_two_trees_are_emphasised(n_trees, emphasis):
    forest = RandomForestClassifier(n_trees, random_state=0).fit(X, Y)
    module = as_model(forest).module
    assert {m.emphasis for m in module.modules() if hasattr(m, "emphasis")} == {emphasis}


def test_steepness_is_what_the_docs_say():
    assert STEEPNESS == 16.0


def test_the_power_of_a_metric_may_stand_among_its_parameters():
    with pytest.warns(SyntaxWarning, match="metric_params"):
        model = KNeighborsClassifier(3, metric="minkowski", p=2, metric_params={"p": 1}).fit(X, Y)
    assert (as_model(model).predict(X) == model.predict(X)).all()
    assert _power(model) == 1.0
    assert _power(KNeighborsClassifier(3, p=3).fit(X, Y)) == 3.0


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_seeded_is_the_same_again(seed):
    """And what comes after is as if nothing had been drawn."""
    net = NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=3)
    torch.manual_seed(5)
    after = torch.rand(3)
    torch.manual_seed(5)
    drawn = []
    for _ in range(2):
        with seeded(net, seed):
            drawn.append(torch.rand(4))
    assert_array_equal(torch.rand(3), after)
    assert_array_equal(*drawn)
    with seeded(net, seed + 2):
        assert not torch.equal(torch.rand(4), drawn[0])


def test_a_missing_value_is_explained_where_the_model_speaks_of_nan():
    """By its own word only: the remedy says what to do, whatever else the model says."""
    data = X.copy()
    data[3, 1] = np.nan

    class Strict(LogisticRegression):
        def predict(self, X):
            if np.isnan(X).any():
                raise ValueError("found NaN here")
            return super().predict(X)

    model = Strict(max_iter=1000).fit(X, Y)
    with pytest.raises(
        ValueError, match=r"Input X contains NaN, in X\[3, 1\], and the model takes no missing"
    ):
        TransferScorer().fit([model, LogisticRegression(max_iter=1000).fit(X, Y)]).transfer(data, Y)


def test_ordinal_codes_are_held_in_trees():
    """Codes of categories are no numbers: an attack on trees behind an encoder leaves them alone."""
    frame = pd.DataFrame(X, columns=list("abcd")).assign(bed=np.where(X[:, 0] > 5.8, "north", "south"))
    columns = make_column_transformer((OrdinalEncoder(), ["bed"]), remainder="passthrough")
    model = make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(frame, Y)
    found = AdversarialGenerator(FrozenEstimator(model), attack="tree", eps=2.0).generate(frame, Y)
    assert (found["bed"] == frame["bed"]).all() and model.score(found, Y) < 0.5


def test_numbers_that_were_encoded_are_held_in_trees():
    """The same where the categories are numbers, which could be moved to no other category."""
    data = np.column_stack([np.round(X[:, 0]), X[:, 1:]])
    encode = make_column_transformer((OrdinalEncoder(), [0]), remainder="passthrough")
    model = make_pipeline(encode, DecisionTreeClassifier(random_state=0)).fit(data, Y)
    found = AdversarialGenerator(FrozenEstimator(model), attack="tree", eps=2.0).generate(data, Y)
    assert_array_equal(found[:, 0], data[:, 0])
    assert model.score(found, Y) < 0.5


@pytest.mark.parametrize("labels", [Y, Y == 0])
def test_the_probability_of_a_boost_is_scikit_learns(labels):
    """Asked for where a boost is calibrated or votes by probability."""
    boost = AdaBoostClassifier(n_estimators=5, random_state=0).fit(X, labels)
    trees = tree_sums(boost, 4)
    sums = sum(ensemble.sums(X.astype(np.float32)) for _, ensemble in trees.parts)
    found = trees.response.probability(sums)
    assert_allclose(found, boost.predict_proba(X), atol=1e-12)
