"""Where attacks by queries begin: at training data, at other samples, near the sample; and where nowhere."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.attacks._partners import Partners, keep_partners, n_kept
from skhalfway.attacks._problem import Problem
from skhalfway.attacks._queries import Queries, begin
from skhalfway.attacks._region import Region
from skhalfway.models import ModelWarning, as_model

SCALE, MIDDLE = np.array([1, 10, 100, 1e3, 1e4]), np.array([0, 0, 5e2, 5e3, 5e4])
rng = np.random.default_rng(0)
Z = rng.normal(size=(600, 5))
X, Y = Z * SCALE + MIDDLE, (Z.sum(axis=1) > 2).astype(int)
TRAIN, FEW = slice(400), slice(400, 600)
ONE_CLASS = X[FEW][Y[FEW] == 0][:30]
MODEL = KNeighborsClassifier(5).fit(Z[TRAIN], Y[TRAIN])
WIDE = (-1e6, 1e6)


class Box:
    """A black box that remembers all that it was asked."""

    classes_ = np.array([0, 1])

    def __init__(self, model: Any = MODEL) -> None:
        self.model, self.seen = model, list[Any]()

    def predict(self, X: Any) -> Any:
        self.seen.append(np.array(X))
        return self.model.predict((X - MIDDLE) / SCALE)

    @property
    def n(self) -> int:
        return sum(map(len, self.seen))


# of the source's own answer: 0 for all of them
ONE_CLASS = ONE_CLASS[Box().predict(ONE_CLASS) == 0]


def attacked(attack: str, X: Any, *, fit: bool, **params: Any) -> tuple[AdversarialGenerator, Any]:
    given = {"eps": 1e5, "norm": 2, "max_queries": 100, "random_state": 0, "clip_values": WIDE} | params
    generator = AdversarialGenerator(Box(), attack=attack, **given)
    if fit:
        generator.fit(globals()["X"][TRAIN], Y[TRAIN])
    return generator, generator.generate(X)


@pytest.mark.parametrize("n", [1, 5, len(ONE_CLASS)])
@pytest.mark.parametrize("attack", ["hopskipjump", "halfway", "auto"])
def test_samples_of_one_class_alone_begin_at_training_data(attack: str, n: int) -> None:
    generator, X_adv = attacked(attack, ONE_CLASS[:n], fit=True)
    fooled = 0
    for x_adv in X_adv:
        fooled += Box().predict(x_adv[None])[0] != 0
    assert fooled == np.isfinite(generator.distances_).sum() == n


def test_points_are_drawn_between_bounds_and_near_the_sample() -> None:
    """With nothing else to begin at, in a box as wide as it is useless."""
    none = Box(LogisticRegression().fit(Z, Y))
    none.model.intercept_[:] = -1e9  # one answer to all
    generator = AdversarialGenerator(none, attack="hopskipjump", clip_values=WIDE, max_queries=100)
    with pytest.warns(ModelWarning, match="for 3 of 3 samples no input of another class was found"):
        generator.generate(X[:3], [0, 0, 0])
    spread = np.ptp(X[:3], axis=0)
    drawn = np.concatenate(none.seen)[3:]
    for k in range(5):
        round_ = drawn[48 * k : 48 * (k + 1)]
        for i, x in enumerate(X[:3]):
            mine = round_[16 * i : 16 * (i + 1)]
            assert (np.abs(mine - x) <= spread * 2**k * (1 + 1e-9)).all()
            assert (np.abs(mine - x).max(axis=0) > spread * 2**k / 4).all()
            assert (np.abs(mine) <= 1e6).all()


@pytest.mark.parametrize("bounds", [(-2.0, 3.0), None])
@pytest.mark.parametrize("known", [None, 50.0])
def test_how_far_points_are_drawn(bounds: Any, known: float | None) -> None:
    """As far as partners spread; else, of one sample, as far as bounds, or its value."""
    low, high = (None, None) if bounds is None else map(np.array, bounds)
    box, asked = Box(), []
    model = as_model(box)
    x = np.array([[0.5, 1.0]])
    model.predict = lambda X: (asked.append(np.array(X)), np.zeros(len(X), dtype=int))[1]  # type: ignore[assignment]
    partners = None if known is None else Partners(np.array([[0.0, 0.0], [known, known]]), np.zeros(2, int))
    problem = Problem(model, Region(x, np.inf, 2, low=low, high=high), np.zeros(1, int), 2, partners=partners)
    begin(Queries(problem, 1000))
    drawn = np.concatenate(asked[1:])
    assert len(drawn) == 6 * 16
    for k in range(6):
        reach = (known or (1.0 if bounds is None else 5.0 / 32)) * 2.0**k
        mine = drawn[16 * k : 16 * (k + 1)]
        lowest, highest = x[0] - reach, x[0] + reach
        if bounds is not None:
            lowest, highest = np.maximum(lowest, bounds[0]), np.minimum(highest, bounds[1])
        assert (mine >= lowest).all() and (mine <= highest).all()
        assert (np.ptp(mine, axis=0) > 0.6 * (highest - lowest)).all()


def test_the_nearest_partner_that_wins_is_asked_first() -> None:
    box = Box()
    generator = AdversarialGenerator(
        box, attack="hopskipjump", eps=np.inf, norm=2, max_queries=50, random_state=0
    )
    generator.fit(X[TRAIN], Y[TRAIN])
    assert box.n == 0  # labels are asked for once they are needed
    box.seen.clear()
    generator.generate(ONE_CLASS, np.zeros(len(ONE_CLASS), int))
    said = MODEL.predict(Z[TRAIN])
    assert box.n == len(X[TRAIN]) + generator.n_queries_.sum()
    samples, kept, first = box.seen[:3]
    np.testing.assert_array_equal(samples, ONE_CLASS)
    np.testing.assert_array_equal(kept, X[TRAIN])
    for x, begun in zip(ONE_CLASS, first, strict=True):
        distance = np.linalg.norm(X[TRAIN] - x, axis=1)
        np.testing.assert_array_equal(begun, X[TRAIN][np.where(said == 1, distance, np.inf).argmin()])
    box.seen.clear()
    generator.generate(ONE_CLASS, np.zeros(len(ONE_CLASS), int))
    assert box.n == generator.n_queries_.sum()  # never again


def test_a_source_with_a_gradient_is_not_asked_about_partners() -> None:
    class Counted(LogisticRegression):
        n = 0

        def predict(self, X: Any) -> Any:
            Counted.n += len(X)
            return super().predict(X)

    model = Counted().fit(Z[TRAIN], Y[TRAIN])
    generator = AdversarialGenerator(FrozenEstimator(model), eps=0.5).fit(Z[TRAIN], Y[TRAIN])
    Counted.n = 0
    generator.generate(Z[FEW], Y[FEW])
    assert Counted.n < len(Z[TRAIN])
    scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0)
    scorer.fit({"a": model, "b": MODEL}, reference=Z[TRAIN])
    partners = scorer._partners
    assert partners is not None and len(partners) == 400
    asked = []
    predict = Counted.predict
    Counted.predict = lambda self, X: (asked.append(np.array(X)), predict(self, X))[1]  # type: ignore[method-assign]
    scorer.transfer(Z[FEW], Y[FEW])
    assert not any(len(some) == 400 and (some == partners).all() for some in asked)


class Hidden(Box):
    """Its class 1 is where training samples of it are, and hardly anywhere between."""

    def predict(self, X: Any) -> Any:
        self.seen.append(np.array(X))
        apart = np.abs((X - MIDDLE)[:, None] / SCALE - Z[TRAIN][Y[TRAIN] == 1]).max(axis=2)
        return (apart.min(axis=1) < 0.05).astype(int)


@pytest.mark.parametrize("attack", ["hopskipjump", "halfway", "auto"])
def test_a_scorers_reference_is_begun_at(attack: str) -> None:
    boxes = {"a": Hidden(), "b": Hidden()}
    few = ONE_CLASS[Hidden().predict(ONE_CLASS) == 0][:5]
    generator = AdversarialGenerator(attack=attack, norm=2, eps=1e5, max_queries=60, clip_values=(-1e9, 1e9))
    scorer = TransferScorer(generator, random_state=0, sources=["a"])
    with pytest.warns(ModelWarning, match=r"model 'a': for 5 of 5 samples no input of another class"):
        before = scorer.fit(boxes).transfer(few, np.zeros(5, int))
    after = scorer.fit(boxes, reference=X[TRAIN]).transfer(few, np.zeros(5, int))
    np.testing.assert_array_equal(before.source_fooled, [0])
    np.testing.assert_array_equal(after.source_fooled, [5])


@pytest.mark.parametrize(("n_lost", "said"), [(0, False), (2, False), (3, True), (40, True)])
@pytest.mark.parametrize("batch_size", [256, 8])
def test_what_was_not_found_is_said_from_a_twentieth_on(n_lost: int, said: bool, batch_size: int) -> None:
    """Of 41 samples, of which one may not change at all, and has nothing to be found."""

    class Never:
        classes_ = np.array([0, 1])

        def predict(self, X: Any) -> Any:
            return ((X[:, 0] == 0) & (X[:, 1] > 0.5)).astype(int)

    some, free = np.zeros((41, 2)), np.ones((41, 2), dtype=bool)
    some[:n_lost, 0] = some[-1, 0] = 1.0
    free[:, 0] = free[-1] = False
    generator = AdversarialGenerator(
        Never(),
        attack="hopskipjump",
        eps=1.0,
        max_queries=200,
        random_state=0,
        clip_values=(-2, 2),
        constraints=Constraints(mask=free),
        batch_size=batch_size,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        generator.generate(some)
    lost = 0
    for distance in generator.distances_[:-1]:
        lost += np.isinf(distance)
    assert lost == n_lost
    messages = [str(w.message) for w in caught if "no input of another class" in str(w.message)]
    assert messages == [] if not said else len(messages) == 1 and f"for {lost} of 41 samples" in messages[0]


def test_partners_are_asked_once_and_pickled_with_what_they_said() -> None:
    asked = []

    def ask(some: Any) -> Any:
        asked.append(len(some))
        return np.zeros(len(some), dtype=int)

    model = as_model(Box())
    kept = keep_partners(X, Y, np.random.RandomState(0), ask)
    for _ in range(2):
        assert (kept.said_by(model) == 0).all()
    again = pickle.loads(pickle.dumps(kept))
    np.testing.assert_array_equal(again.said_by(model), kept.said_by(model))
    assert sum(asked) == len(X)
    # not asked for where nobody needs them
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(Partners(X))).X, X)


@pytest.mark.parametrize(("shape", "n"), [((9, 4), 2000), ((9, 3, 224, 224), 111), ((9, 10**9), 1)])
def test_how_many_are_kept_goes_by_their_size(shape: Any, n: int) -> None:
    assert n_kept(shape) == n


def test_categories_are_read_in_their_own_data() -> None:
    """Training data with a category that the samples do not have, and the other way round."""
    frame = pd.DataFrame({"kind": np.where(Z[:, 1] > 1.5, "rare", "often"), "a": Z[:, 0], "b": Z[:, 2]})
    y = (Z[:, 0] > 0.5).astype(int)

    class Reads:
        classes_ = np.array([0, 1])

        def predict(self, X: Any) -> Any:
            assert set(X["kind"]) <= {"rare", "often"}
            return ((X["a"] > 0.5) ^ (X["kind"] == "rare")).to_numpy().astype(int)

    often = frame[(frame["kind"] == "often") & (y == 0)][:10].reset_index(drop=True)
    generator = AdversarialGenerator(Reads(), attack="hopskipjump", eps=5.0, max_queries=40, random_state=0)
    generator.fit(frame, y)
    assert np.isfinite((generator.generate(often), generator.distances_)[1]).all()
    scorer = TransferScorer(generator.set_params(estimator=None), random_state=0)
    scorer.fit({"a": Reads(), "b": Reads()}, reference=frame)
    assert (scorer.transfer(often, np.zeros(10, int)).source_fooled == 10).all()
