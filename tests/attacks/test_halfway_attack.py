"""The halfway attack's own: partners, memory, the walk, the regression inside it, and what it is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

import skhalfway._blocks
from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.attacks import _pool
from skhalfway.attacks._boundary_walk import Walk
from skhalfway.attacks._halfway import _Crossings
from skhalfway.attacks._partners import Partners, keep_partners, nearest_partners
from skhalfway.attacks._problem import Problem
from skhalfway.attacks._queries import Queries
from skhalfway.attacks._region import Region
from skhalfway.models import as_model

X, Y = load_iris(return_X_y=True)
U = np.random.RandomState(0).uniform(size=(40, 5))
LINE = LogisticRegression().fit(U, U @ np.arange(-2.0, 3) > 0)


class Counted:
    """A classifier that counts what it is asked for."""

    def __init__(self, source: Any) -> None:
        self.source, self.classes_, self.n = source, source.classes_, 0

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        self.n += len(X)
        return self.source.predict(X)


def generator(source: Any, **params: Any) -> AdversarialGenerator:
    given = {"attack": "halfway", "eps": np.inf, "norm": 2, "max_queries": 60, "random_state": 0}
    return AdversarialGenerator(source, **given | params)


def queries(source: Any, X: NDArray[Any], norm: float = 2, **params: Any) -> Queries:
    model = as_model(source)
    labels = params.pop("labels", model.predict(X))
    return Queries(Problem(model, Region(X, np.inf, norm), labels, 3, **params), 1000)


def test_labels_of_partners_are_asked_for_once_beside_the_samples() -> None:
    box = Counted(KNeighborsClassifier().fit(X, Y))
    fitted = generator(box).fit(X, Y)
    assert box.n == 0  # once they are needed
    for known in (0, len(X)):
        box.n = 0
        fitted.generate(X[::10], Y[::10])
        assert box.n == fitted.n_queries_.sum() + len(X) - known
    box.n = 0
    AdversarialGenerator(box, attack="square").fit(X, Y)
    assert box.n == 0


def test_a_fit_for_another_attack_keeps_no_partners() -> None:
    fitted = generator(LogisticRegression(max_iter=1000)).fit(X, Y)
    assert len(fitted._partners.X) == len(X)
    assert fitted.set_params(attack="square", eps=0.1).fit(X, Y)._partners is None


def test_partners_are_bounded_and_of_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "_N_KEPT", 12)
    rare = np.r_[np.arange(50), 60, 61, 110:150]
    model = as_model(KNeighborsClassifier(1).fit(X, Y))
    kept = keep_partners(X[rare], np.array(["a", "b", "c"])[Y[rare]], np.random.RandomState(0))
    np.testing.assert_array_equal(np.bincount(kept.said_by(model)), [5, 2, 5])
    np.testing.assert_array_equal(kept.said_by(model), model.predict(kept.X))
    assert len(keep_partners(X, None, np.random.RandomState(0)).X) == 12


@pytest.mark.parametrize("norm", [2, np.inf])
@pytest.mark.parametrize("targeted", [False, True])
def test_partners_are_the_nearest_of_each_class_first(norm: float, targeted: bool) -> None:
    source = KNeighborsClassifier(1).fit(X, Y)
    some, labels = X[::15], (Y[::15] + 1) % 3 if targeted else Y[::15]
    known = Partners(X, Y)
    asked = queries(source, some, norm, labels=labels, targeted=targeted, partners=known)
    points, numbers = nearest_partners(asked, 8)
    np.testing.assert_array_equal(points, X)
    apart = pairwise_distances(some, X, metric="euclidean" if norm == 2 else "chebyshev")
    for i, row in enumerate(numbers):
        assert (row >= 0).all()
        assert ((Y[row] == labels[i]) == targeted).all()
        classes = np.unique(Y[row])
        by_class = {c: apart[i, row[Y[row] == c]] for c in classes}
        assert len(classes) == (1 if targeted else 2)
        for c, distances in by_class.items():
            expected = np.sort(apart[i, c == Y])[: 8 // len(classes)]
            np.testing.assert_allclose(distances, expected)
        # each rank goes by distance
        ranks = apart[i, row].reshape(-1, len(classes))
        assert (np.diff(ranks, axis=1) >= 0).all()


def test_fewer_partners_than_asked_for_are_marked() -> None:
    source = KNeighborsClassifier(1).fit(X, Y)
    known = Partners(X[[0, 1, 60]], Y[[0, 1, 60]])
    numbers = nearest_partners(queries(source, X[[3, 70, 120]], partners=known), 4)[1]
    assert [set(row) for row in numbers] == [{2, -1}, {0, 1, -1}, {0, 1, 2, -1}]
    assert numbers[2, 0] == 2  # the nearer of two classes


def test_without_a_fit_the_other_samples_serve() -> None:
    source = KNeighborsClassifier(1).fit(X, Y)
    alone, together = (queries(source, X[:n]) for n in (1, 100))
    assert (nearest_partners(alone, 3)[1] == -1).all()
    points, numbers = nearest_partners(together, 3)
    assert (Y[numbers] != Y[:100, None]).all()
    assert points is together.x0


def test_partners_outside_the_bounds_are_brought_between_them() -> None:
    """The data of a fit may be outside bounds that are set later."""
    box = Counted(LogisticRegression(max_iter=1000).fit(X, Y))
    fitted = generator(box).fit(X, Y).set_params(clip_values=(0.2, 6.5))
    inside = X[((X >= 0.2) & (X <= 6.5)).all(axis=1)]
    made = fitted.generate(inside, box.predict(inside))
    assert 5 < len(inside) < len(X)
    assert made.min() >= 0.2
    assert made.max() <= 6.5


@pytest.mark.parametrize("norm", [2, np.inf])
def test_the_direction_is_the_normal_of_a_plane(norm: float) -> None:
    """From answers around a point of the plane, in 20 dimensions."""
    rng = np.random.RandomState(0)
    normal = rng.normal(size=20)
    normal /= np.linalg.norm(normal)
    source = LogisticRegression()
    source.classes_, source.coef_, source.intercept_ = np.array([0, 1]), normal[None], np.array([-1.0])
    source.n_features_in_ = 20
    samples = rng.normal(size=(6, 20)) * 0.1
    samples -= (samples @ normal)[:, None] * normal
    asked = queries(source, samples, norm)
    walk = _Crossings(asked, slice(0, 6))
    rows = np.arange(6)
    along = rng.normal(size=(6, 20)) * 0.15
    walk.point = samples + along + (1 - along @ normal)[:, None] * normal
    walk.look_around(rows, np.full(6, 250), 0.5)
    direction = walk.direction(rows)
    if norm == 2:
        np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1)
        assert (direction @ normal).min() > 0.97
    else:
        weight = np.abs(normal) / np.abs(normal).sum()
        assert (np.equal(direction, np.sign(normal)) @ weight).min() > 0.95
    # and the plane is where it is: x + v / ||v||^2 lies on it
    v = walk.v
    nearest = samples + v / (v**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(nearest @ normal, 1, atol=0.1)


def test_the_last_answers_are_remembered_each_with_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skhalfway.attacks._halfway._N_REMEMBERED", 4)
    source = KNeighborsClassifier(1).fit(X, Y)
    walk = _Crossings(queries(source, X), slice(50, 60))
    rows = np.array([52, 55, 52, 52, 55, 52, 52])
    points = X[rows] + np.arange(7)[:, None] / 7
    won = walk.won(points, rows)
    np.testing.assert_array_equal(won, source.predict(points) != 1)
    assert walk.n_remembered.tolist() == [0, 0, 5, 0, 0, 2, 0, 0, 0, 0]
    for row, kept in ((2, [6, 2, 3, 5]), (5, [1, 4])):
        n = len(kept)
        np.testing.assert_allclose(walk.change[row, :n], np.tile(np.array(kept)[:, None] / 7, 4), atol=1e-12)
        np.testing.assert_array_equal(walk.wins[row, :n], won[kept])
    walk.start(np.array([52]), X[[0]])
    assert walk.n_remembered.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 0]


def test_samples_are_attacked_as_many_at_once_as_can_be_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FrozenEstimator(LogisticRegression(max_iter=1000).fit(X, Y))
    right = np.flatnonzero(source.predict(X) == Y)[::12]
    made = {}
    for size in (2**22, 3 * 256 * 4):
        monkeypatch.setattr(skhalfway._blocks, "_MAX_VALUES", size)
        attack = generator(source, max_queries=1100).fit(X, Y)
        attack.generate(X[right], Y[right])
        assert (attack.n_queries_ == 1100).all()
        made[size] = attack.distances_
    at_once, in_parts = made.values()
    # they draw other numbers, and end as near
    assert abs(np.log(at_once / in_parts).mean()) < 0.05


@pytest.mark.parametrize("norm", [2, np.inf])
def test_it_comes_nearer_than_hopskipjump_with_few_queries(zoo, norm: float) -> None:
    """Than that which begins at the other samples, and knows no training data."""
    for name in ("forest", "mlp", "knn"):
        case = zoo(name)
        right = as_model(case.source).predict(case.X) == case.y
        mean = {}
        for attack in ("hopskipjump", "halfway"):
            given = {"attack": attack, "norm": norm, "max_queries": 150, "clip_values": (0, 1)}
            fitted = generator(FrozenEstimator(case.source), **given)
            if attack == "halfway":
                fitted.fit(zoo.X_train, zoo.y_train)
            fitted.generate(case.X[right], case.y[right])
            mean[attack] = fitted.distances_.mean()
        assert mean["halfway"] < 0.97 * mean["hopskipjump"]


def test_transfer_scorer_takes_it() -> None:
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, Y), "knn": KNeighborsClassifier().fit(X, Y)}
    attack = AdversarialGenerator(attack="halfway", eps=0.6, max_queries=60)
    matrix = TransferScorer(attack, random_state=0).fit(models).transfer(X, Y)
    again = TransferScorer(attack, random_state=0).fit(models).transfer(X, Y)
    np.testing.assert_array_equal(matrix.fooled, again.fooled)
    assert matrix.source_success.min() > 0.2


def test_a_step_is_halved_five_times(monkeypatch):
    """And given up then: HopSkipJump's geometric progression, which at a corner would never end."""
    walk, asked, rows = Walk(queries(LINE, U)), [], np.array([0])
    walk.point[0] = walk.x0[0] + [2.0, 0, 0, 0, 0]
    direction = np.array([[0, 1.0, 0, 0, 0]])

    def won(points, rows):
        asked.append(points[0] - walk.point[0])
        return np.zeros(len(rows), dtype=bool)

    monkeypatch.setattr(walk, "won", won)
    walk.step(rows, direction, share=0.5)
    assert_allclose(asked, direction * 0.5 ** np.arange(6)[:, None])


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("boundary", [0.01, 0.3, 0.5, 0.97])
def test_the_boundary_is_found_to_three_hundredths(monkeypatch, norm, boundary):
    """By as few halvings as that takes, log2(1 / 0.03) < 6; the point found is one that wins."""
    walk, asked = Walk(queries(LINE, U, norm)), []
    change = np.array([[1.0, -0.5, 0.2, 0, 0]])
    walk.point[:1] = walk.x0[:1] + change

    def won(points, rows):
        share = np.abs(points - walk.x0[rows]).max(axis=1)
        asked.append(share[0])
        return share >= boundary

    monkeypatch.setattr(walk, "won", won)
    walk.to_boundary(np.array([0]))
    assert len(asked) == 6
    found = walk.point[0] - walk.x0[0]
    size = np.abs(found).max()
    assert boundary <= size <= boundary + 0.03
    assert_allclose(
        found, np.clip(change[0], -size, size) if norm == np.inf else size * change[0], atol=1e-12
    )


@pytest.mark.parametrize(
    ("norm", "sparse", "budget", "first"),
    [
        (2, True, 100, 95),
        (2, True, 20, 15),
        (2, True, 19, 15),
        (2, True, 7, 6),
        (2, True, 3, 3),
        (2, False, 100, 100),
        (np.inf, True, 100, 100),
    ],
)
def test_what_is_kept_back_to_set_features_back(norm, sparse, budget, first):
    """One query for each of the 5 features, but at most one of four."""
    walk, spent = Walk(queries(LINE, U, norm)), []
    walk.queries.max_queries = budget
    walk.until_spent(np.arange(2), lambda rows: spent.append(walk.queries.max_queries), sparse=sparse)
    assert spent == [first] + [budget] * (first < budget)


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_crossing_regression_of_the_halfway_attack(norm):
    """Logistic regression of the answers around a crossing, written out for one sample at a time."""
    walk = _Crossings(queries(LINE, U, norm), slice(0, 3))
    rng, rows, k = np.random.RandomState(1), np.arange(3), 40
    crossing = rng.normal(size=(3, 5))
    walk.point[:3] = walk.x0[:3] + crossing
    walk.change[:, :k] = crossing[:, None] + 0.4 * rng.normal(size=(3, k, 5))
    walk.change[:, 7] = 0.0
    walk.wins[:, :k] = rng.uniform(size=(3, k)) < 0.5
    walk.n_remembered[:] = [k, k, 10]
    found = walk.direction(rows)
    for i in rows:
        unit = np.linalg.norm(crossing[i])
        c = crossing[i] / unit
        kept = np.setdiff1d(np.arange(walk.n_remembered[i]), 7)
        change, wins = walk.change[i, kept] / unit, walk.wins[i, kept]
        near = np.exp(-((change - c) ** 2).sum(axis=1) / (2 * 0.7**2))
        r = np.linalg.norm(change, axis=1)
        u, v = np.vstack([change / r[:, None], c]), c
        for _ in range(6):
            foretold = u[:-1] @ v
            share = 1 / (1 + np.exp(-(foretold - 1 / r) / 0.02))
            curvature = np.maximum(share * (1 - share), 0.05)
            y = np.append(foretold + 0.02 * (wins - share) / curvature, 1.0)
            weights = np.append(near * curvature, 0.75)
            penalty = 3e-5 * 5 * np.eye(5)
            v = np.linalg.solve(u.T @ (weights[:, None] * u) + penalty, u.T @ (weights * y))
        assert_allclose(walk.v[i], v / unit, rtol=1e-6)
        assert_allclose(found[i], np.sign(v) if norm == np.inf else v / np.linalg.norm(v), rtol=1e-6)


@pytest.mark.parametrize(("max_queries", "n_starts"), [(999, 1), (1000, 2), (1499, 2), (1500, 3)])
def test_every_500_queries_begin_at_another_partner(monkeypatch, max_queries, n_starts):
    """The last at the nearest of all."""
    begun = []
    monkeypatch.setattr(
        _Crossings, "start", lambda self, rows, points: begun.append(self.queries.max_queries)
    )
    attack = AdversarialGenerator(
        FrozenEstimator(LINE), attack="halfway", eps=1e-9, norm=np.inf, max_queries=max_queries
    )
    attack.generate(U[:2], LINE.predict(U[:2]))
    # the last query is kept to see whether a win wins within the budget
    assert begun == [(max_queries - 1) * k // n_starts for k in range(2, n_starts + 1)]


def test_the_halfway_attack_remembers_256_answers():
    walk = _Crossings(queries(LINE, U), slice(0, 3))
    points = walk.x0[1] + np.linspace(-1, 1, 300)[:, None] * np.ones(5)
    for part in np.split(points, 10):
        walk.won(part, np.full(30, 1))
    assert walk.n_remembered.tolist() == [0, 300, 0]
    assert_allclose(np.sort(walk.change[1, :, 0]), np.linspace(-1, 1, 300)[-256:])
