"""Edges of attacks: one bad sample among good ones, huge and tiny slopes, what is stated in numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway._readable import as_table
from skhalfway._streams import Streams
from skhalfway._text import shown
from skhalfway.attacks import _trees
from skhalfway.attacks._boundary import Field, Nearest, shortest
from skhalfway.attacks._constraints import Header
from skhalfway.attacks._faults import MANY, Faults
from skhalfway.attacks._limits import read_limits
from skhalfway.attacks._norms import BALLS
from skhalfway.attacks._problem import Outcome, Problem, Settings
from skhalfway.attacks._queries import Queries
from skhalfway.attacks._second_opinion import _N_DIRECTIONS, _one_feature_each
from skhalfway.attacks._surrogate import Surrogate
from skhalfway.attacks._tree_cells import Cells, joint_boxes
from skhalfway.attacks._tree_moves import TreeTask
from skhalfway.attacks._trees import _elsewhere, _nearest_boxes, _search
from skhalfway.models import as_model
from skhalfway.models._tree_arrays import Tree, join

X = np.random.RandomState(0).uniform(size=(40, 5))
Y = (X @ np.arange(-2.0, 3) > 0).astype(int)
LINE = LogisticRegression().fit(X, Y)


def region_of(X, *, eps=0.3, norm=np.inf, constraints=None, clip_values=(0, 1), categories=None):
    limits = read_limits(
        X,
        eps=eps,
        norm=norm,
        clip_values=clip_values,
        constraints=constraints,
        spread=None,
        header=Header(X.shape[1], None),
        categories=categories,
    )
    return limits.region(X)


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


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [1.0, 1e6, 1e12, 1e30])
def test_the_shortest_change_is_as_long_as_it_has_to_be(norm, dtype, length):
    """Data may be in units so small that boundaries are at 1e30."""
    w, room = torch.tensor([[1e-3, 1e-3]], dtype=dtype), torch.full((1, 2), 1e31, dtype=dtype)
    r = shortest(w, 2e-3 * torch.full((1, 1), length, dtype=dtype), room, norm)
    assert_allclose(r, [[2 * length, 0.0]] if norm == 1 else [[length, length]], rtol=1e-5)


@pytest.mark.parametrize(("near", "looked_at"), [(9, True), (10, False)])
def test_deepfool_looks_at_the_ten_classes_of_the_largest_logits(near, looked_at):
    """As its authors' code does, the sample's own among them."""
    weights, offsets = np.zeros((12, 2)), -np.arange(12.0)
    weights[1:, 0], weights[near] = 1.0, (0.0, 100.0)
    model = LogisticRegression().fit(np.eye(2).repeat(6, axis=0), np.arange(12))
    model.coef_, model.intercept_ = weights, offsets
    generator = AdversarialGenerator(FrozenEstimator(model), attack="deepfool", norm=2, eps=np.inf)
    found = generator.generate(np.zeros((1, 2)), [0])
    # class 1 is at distance 1, the near one at about .1
    assert_allclose(found[0], [0.0, near / 100] if looked_at else [1.0, 0.0], atol=0.03)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.04, 0.05, 0.06, 1.0])
def test_how_many_without_a_gradient_are_many(share):
    faults = Faults(100, "net")
    faults.flat[:] = np.arange(100) < 100 * share
    assert faults.many_flat == (share >= 0.05) and MANY == 0.05


def test_one_feature_each_moves_what_may_move():
    """Every question changes one feature that may change, by the whole budget; each in turn."""
    frozen = [0, 3]
    problem = Problem(as_model(LINE), region_of(X, constraints=Constraints(immutable=frozen)), Y, 2)
    queries = Queries(problem, max_queries=1000)
    points = _one_feature_each(queries).reshape(len(X), _N_DIRECTIONS, -1)
    change = points - X[:, None]
    assert not change[:, :, frozen].any()
    assert ((change != 0).sum(axis=2) <= 1).all()
    # three may change: each is asked about by every sample, but where a bound leaves no room
    assert ((change != 0).any(axis=1)[:, [1, 2, 4]]).all()


def test_one_sample_that_a_projection_breaks_does_not_hold_the_others_back():
    """Where it makes another category it is refused, and the sample stays; what fills a gap is not taken."""
    data = X.copy()
    data[:, 0], data[5, 1] = np.arange(len(X)) % 3, np.nan

    def make(X_adv, X):
        made = np.where(np.isnan(X_adv), 0.5, X_adv)
        made[X[:, 2] == data[3, 2], 0] = 7.0
        return made

    rules, categories = Constraints(projection=make), np.arange(5) == 0
    region = region_of(data, constraints=rules, clip_values=None, categories=categories)
    wanted = region.start() + 0.1
    expected = data + 0.1 * ~categories
    expected[3] = data[3]
    assert_allclose(region.keep(wanted), expected)


def stairs(edges, value=None, **settings):
    """An ensemble of one tree that splits one feature at all edges."""
    n, leaf = len(edges), np.full(len(edges) + 1, -1)
    tree = Tree(
        feature=np.r_[np.zeros(n, dtype=int), leaf],
        threshold=np.r_[edges, np.zeros(n + 1)],
        missing_left=np.zeros(2 * n + 1, dtype=bool),
        left=np.r_[n + np.arange(n), leaf],
        right=np.r_[np.arange(1, n), 2 * n, leaf],
        value=np.r_[np.zeros(n), np.zeros(n + 1) if value is None else value][:, None],
    )
    return join([tree], **settings)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("missing", "within"), [(0.0, 1e-35), (0.0, 0.5), (7.0, 0.0), (7.0, 0.5)])
def test_cells_hold_no_number_that_stands_for_a_missing_value(dtype, missing, within):
    """With thresholds at the ends of those numbers, and some floats beside: a cell is what is left of it."""
    down, up = dtype(-np.inf), dtype(np.inf)
    around = np.unique(missing + np.array([-within, within], dtype=dtype))
    for _ in range(3):
        around = np.unique(np.r_[np.nextafter(around, down), around, np.nextafter(around, up)])
    points = np.r_[down, np.nextafter(around[0], down), around, np.nextafter(around[-1], up), up][:, None]
    for edges in [around, *around[:, None], around[::2], around[[0, -1]]]:
        ensemble = stairs(edges, dtype=dtype, missing=missing, missing_within=within)
        cells = Cells(ensemble, 1, np.dtype(dtype))
        cell = cells.of(points)[:, 0]
        for k in range(len(edges) + 1):
            inside = points[cell == k]
            assert cells.is_empty[k] == (not len(inside))
            if len(inside):
                assert (cells.bottom[k], cells.top[k]) == (inside.min(), inside.max())


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


@pytest.mark.parametrize(("strict", "enough"), [(False, 1e-9), (True, 1e-5)])
def test_what_may_be_rounding_is_no_win_on_trees(strict, enough):
    """A leaf that leads by no more than sums may be off is passed by, wherever a search comes upon it."""
    ensemble = stairs([0.5, 2.5], enough * np.arange(3.0), strict=strict)
    x = np.array([[0.0], [1.0]])
    bounds = np.full(x.shape, -9.0), np.full(x.shape, 9.0)
    task = TreeTask(Cells(ensemble, 1, x.dtype), x, np.array([0, 0]), 2, *bounds, np.ones(1), False)
    assert task.enough == enough == task.margin(np.array([0]), ensemble.sums(x[1:]))[0]
    streams = Streams(0, np.arange(2))
    assert _search(task, streams, 5, x)[0] == 2
    assert _nearest_boxes(task, joint_boxes(task.cells, 100))[0] == 2
    assert _elsewhere(task, 0, np.array([[1.0]]), streams) == 2


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_searches_of_trees_start_from_parts_of_every_size(monkeypatch, norm):
    """Of each sample its own random share: of the features in L-inf, else of what the limit buys."""
    monkeypatch.setattr(_trees, "_into_leaves", lambda task, row, part, limit, streams: part)
    n, d = 300, 200
    alone = SimpleNamespace(together=lambda task, values: values, as_first=lambda kept: kept)
    task = SimpleNamespace(
        groups=alone, norm=norm, home=np.zeros((n, d), dtype=int), prices=lambda row, cells: cells / 1.0
    )
    limit = np.full(n, 1.0 if norm == np.inf else d)
    cells = np.ones((n, d), dtype=int)
    part = _trees._another_start(task, np.arange(n), cells, limit, Streams(0, np.arange(n)))
    shares = np.sort(part.mean(axis=1))
    assert_allclose(shares, np.linspace(0, 1, n), atol=0.1)
    assert_allclose(part.mean(axis=0), 0.5, atol=0.15)
    if norm == np.inf:
        # of what costs more than the limit nothing is left
        assert not _trees._another_start(
            task, np.arange(n), cells, limit - 1e-9, Streams(0, np.arange(n))
        ).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_new_inputs_follow_the_slope_of_a_substitute_of_any_float_type(dtype):
    torch.manual_seed(0)
    net = nn.Linear(5, 3).to(dtype)
    labels = np.arange(len(X)) % 3
    found = Surrogate._signs(as_model(net), X, labels, np.random.RandomState(0))
    assert found.dtype == float
    assert_array_equal(found, np.sign(net.weight.detach().numpy()[labels]))


@pytest.mark.parametrize("share", [0.26, 0.6, 0.99])
def test_the_way_back_ends_just_behind_the_boundary(share):
    """At most by 2^-10 of the distance, and by .01 % more, for what wins by a hair loses elsewhere."""
    model = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    model.coef_[:], model.intercept_[:] = 1.0, -share
    problem = Problem(
        as_model(model), region_of(np.zeros((1, 1)), eps=9.0, clip_values=None), np.array([0]), 2
    )
    nearest = Nearest(problem)
    assert nearest.offer(np.ones((1, 1)), slice(None)).all()
    asked, offer = [], nearest.offer
    nearest.offer = lambda z, *args, **kwargs: asked.append(float(z[0, 0])) or offer(z, *args, **kwargs)
    nearest.shorten(slice(None))
    assert share * 1.0001 <= nearest.distances[0] <= share * 1.0001 * (1 + 2.0**-10)
    # halvings of 1 to 2^-10 of the share, and the last point
    assert len(asked) == np.ceil(np.log2(2.0**10 / share)) + 1


@pytest.mark.parametrize(("x", "reach"), [(0.5, 1024.0), (-3.0, 3072.0)])
def test_where_the_slope_is_next_to_nothing_steps_end_within_reach(x, reach):
    """1024 times the largest value of the sample, or of 1; nearer where the bounds are."""
    x0 = torch.tensor([[x, 0.1]], dtype=torch.float64)
    ball = BALLS[np.inf](x0, np.inf, None, torch.tensor([[np.inf, 7.0]]), None)
    field = Field(SimpleNamespace(ball=ball), None, np.inf)
    change = field.climb(x0, torch.tensor([[-1e-20, 1e-20]]).double(), torch.ones(1, 1).double())
    assert_allclose(change, [[-reach, 6.9]])
    unknown = torch.full((1, 1), torch.nan).double()
    assert not field.climb(x0, torch.ones(1, 2).double(), unknown).any()
