"""Edges of attacks: one bad sample among good ones, huge and tiny slopes, what is stated in numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway._readable import as_table
from skhalfway._text import shown
from skhalfway.attacks._boundary import shortest
from skhalfway.attacks._constraints import Header
from skhalfway.attacks._faults import _MANY, Faults
from skhalfway.attacks._problem import Outcome, Problem, Settings, read_region
from skhalfway.attacks._queries import Queries
from skhalfway.attacks._second_opinion import _N_DIRECTIONS, _one_feature_each
from skhalfway.attacks._surrogate import Surrogate
from skhalfway.models import as_model

X = np.random.RandomState(0).uniform(size=(40, 5))
Y = (X @ np.arange(-2.0, 3) > 0).astype(int)
LINE = LogisticRegression().fit(X, Y)


def region_of(X, *, eps=0.3, norm=np.inf, constraints=None, clip_values=(0, 1)):
    return read_region(
        X,
        eps=eps,
        norm=norm,
        clip_values=clip_values,
        constraints=constraints,
        spread=None,
        header=Header(X.shape[1], None),
        categories=None,
    )


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("size", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("rise", [1e-30, 1.0, 1e30])
def test_the_shortest_change_neither_overflows_nor_vanishes(norm, size, rise):
    """Where no change within the room rises so much, all the room is taken; else the rise is met."""
    w = torch.tensor([[3.0, -1.0, 0.0]]) * size
    room = torch.tensor([[1.0, 2.0, 5.0]])
    r = shortest(w, torch.tensor([[rise]]), room, norm)
    assert r.isfinite().all() and (r.abs() <= room).all() and r[0, 2] == 0
    most = 5.0 * size
    if rise >= most:
        assert_allclose(r, [[1.0, -2.0, 0.0]])
    elif rise > 1e-6 * most:
        assert_allclose(float((w.double() * r.double()).sum()), rise, rtol=1e-5)


def test_deepfool_looks_at_ten_rivals():
    """As its authors' code does: the boundary of an eleventh class is crossed only by accident."""
    weights, offsets = np.zeros((12, 2)), -np.arange(12.0)
    weights[1:11, 0], weights[11] = 1.0, (0.0, 100.0)
    model = LogisticRegression().fit(np.eye(2).repeat(6, axis=0), np.arange(12))
    model.coef_, model.intercept_ = weights, offsets
    x = np.zeros((1, 2))
    found = AdversarialGenerator(FrozenEstimator(model), attack="deepfool", norm=2, eps=np.inf).generate(
        x, [0]
    )
    # class 1 is at distance 1, class 11 at .11 and not looked at
    assert_allclose(found[0], [1.0, 0.0], atol=0.03)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.04, 0.05, 0.06, 1.0])
def test_how_many_without_a_gradient_are_many(share):
    faults = Faults(100, "net")
    faults.flat[:] = np.arange(100) < 100 * share
    assert faults.many_flat == (share >= 0.05) and _MANY == 0.05


def test_one_feature_each_moves_what_may_move():
    """Every question changes one feature that may change, by the whole budget; each in turn."""
    frozen = [0, 3]
    problem = Problem(as_model(LINE), region_of(X, constraints=Constraints(immutable=frozen)), Y, 2)
    queries = Queries(problem, max_queries=1000)
    points = _one_feature_each(queries, np.random.RandomState(0)).reshape(len(X), _N_DIRECTIONS, -1)
    change = points - X[:, None]
    assert not change[:, :, frozen].any()
    assert ((change != 0).sum(axis=2) <= 1).all()
    # three may change: each is asked about by every sample, but where a bound leaves no room
    assert ((change != 0).any(axis=1)[:, [1, 2, 4]]).all()


def test_one_sample_that_a_projection_breaks_does_not_hold_the_others_back():
    """A projection that fills in a missing value is refused there, and kept elsewhere."""
    data = X.copy()
    data[3, 0] = np.nan

    class Tolerant(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_, self.n_features_in_ = np.unique(y), 5
            return self

        def predict(self, X):
            return LINE.predict(np.nan_to_num(X))

    def fill(X_adv, X):
        filled = X_adv.copy()
        filled[:, 4] = np.round(X_adv[:, 4], 1)
        filled[np.isnan(X_adv[:, 0]), 1] = np.nan
        return filled

    rules = Constraints(projection=fill)
    generator = AdversarialGenerator(
        FrozenEstimator(Tolerant().fit(X, Y)), attack="square", eps=0.3, constraints=rules, random_state=0
    )
    found = generator.generate(data, Y)
    moved = (found != data).any(axis=1) & ~np.isnan(data).any(axis=1)
    assert moved.sum() > 20


def art_model():
    torch.manual_seed(0)
    return PyTorchClassifier(nn.Linear(5, 2), nn.CrossEntropyLoss(), (5,), 2, device_type="cpu")


def test_an_instance_of_an_attack_is_used_as_it_is():
    """Also what it got after it was made."""
    asked = []

    class Counting(ProjectedGradientDescent):
        tag = "made"

        def generate(self, x, y=None, **kwargs):
            asked.append(self.tag)
            return super().generate(x, y, **kwargs)

    model = art_model()
    attack = Counting(model, eps=0.2, eps_step=0.1, max_iter=2, verbose=False)
    attack.tag = "changed"
    AdversarialGenerator(model, attack=attack, eps=0.2).generate(X.astype(np.float32), Y)
    assert asked and set(asked) == {"changed"} and attack.estimator is model


def test_art_may_write_the_largest_change_as_a_text():
    model = art_model()
    attack = ProjectedGradientDescent(model, norm="inf", eps=0.2, eps_step=0.1, max_iter=2, verbose=False)
    found = AdversarialGenerator(model, attack=attack, eps=0.2).generate(X.astype(np.float32), Y)
    assert np.abs(found - X).max() == pytest.approx(0.2, abs=1e-6)
    with pytest.raises(ValueError, match="norm"):
        AdversarialGenerator(model, attack=attack, eps=0.2, norm=2).generate(X.astype(np.float32), Y)


def test_of_equal_restarts_the_first_is_kept():
    """A source whose margin is nowhere better: what comes first stays, so that results do not wander."""
    flat = nn.Linear(5, 2)
    nn.init.zeros_(flat.weight)
    settings = {"attack": "pgd", "eps": 0.2, "random_start": True, "random_state": 0, "max_iter": 2}
    with pytest.warns(UserWarning):
        once, thrice = (
            AdversarialGenerator(flat, n_restarts=n, **settings).generate(X.astype(np.float32), Y)
            for n in (1, 3)
        )
    assert_array_equal(once, thrice)


def test_the_substitute_is_a_network_of_two_layers_trained_until_it_stalls(monkeypatch):
    made = []
    fit = MLPClassifier.fit
    monkeypatch.setattr(MLPClassifier, "fit", lambda self, *args: made.append(self) or fit(self, *args))
    AdversarialGenerator(
        FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X, Y)),
        attack="surrogate",
        eps=0.2,
        max_queries=20,
    ).generate(X, Y)
    assert {net.hidden_layer_sizes for net in made} == {(64, 64)}
    assert {(net.tol, net.max_iter) for net in made} == {(0.01, 2000)}
    assert len(made) == 6  # before, and after each of 5 rounds


@pytest.mark.parametrize("n_constant", [0, 3])
def test_new_inputs_of_the_substitute_stay_near_the_data(monkeypatch, n_constant):
    """A step is at most 100 times the usual spread, that of columns that vary."""
    data = 1e-3 * X
    data[:, :n_constant] = 0.5
    asked, predict = [], Queries.predict
    monkeypatch.setattr(Queries, "predict", lambda self, Z, of: asked.append(Z) or predict(self, Z, of))
    tree = DecisionTreeClassifier(random_state=0).fit(data, Y)
    AdversarialGenerator(
        FrozenEstimator(tree), attack="surrogate", eps=1e6, max_queries=5, random_state=0
    ).generate(data, Y)
    spread = data.std(axis=0)
    step = 100 * np.median(spread[spread > 0])
    assert len(asked[0]) == len(data)
    # each new input is a step away from one of the samples, in every column where the substitute has a slope
    away = np.abs(asked[0][:, None] - data[None])
    near = away.max(axis=2).min(axis=1)
    assert near.max() == pytest.approx(step, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array("a"), "X must hold numbers, but it is 'a': could not convert"),
        ([["1", "b"]], r"X must hold numbers, but X\[0, 1\] is 'b'"),
        ([[1, None, "c"]], r"X must hold numbers, but X\[0, 2\] is 'c'"),
    ],
)
def test_what_is_no_number_is_named(value, message):
    with pytest.raises(ValueError, match=message):
        as_table(value, "X")


@pytest.mark.parametrize(("length", "cut"), [(79, False), (80, False), (81, True)])
def test_a_value_that_just_fits_is_not_cut(length, cut):
    text = shown("x" * (length - 2))
    assert ("..." in text) == cut and len(text.split(" (")[0]) <= 80
    kind = type("K" * length, (), {})()
    assert (shown(kind) == "K" * length) == (not cut)


def test_outcomes_and_settings_have_no_surprising_defaults():
    assert Outcome(X).n_queries is None and not Outcome(X).at_any_budget
    assert Surrogate(Settings(), None, 5, None).step is None
