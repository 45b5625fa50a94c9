"""What black boxes are asked, question by question, against the papers' algorithms replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from skhalfway import AdversarialGenerator, Constraints
from skhalfway._streams import Streams
from skhalfway.attacks._square import _Subsets


class Asked:
    """A black box of two classes, 1 where a score is positive, that keeps what it is asked."""

    classes_ = np.array([0, 1])

    def __init__(self, score: Callable[[NDArray[Any]], NDArray[Any]], scores: bool = False) -> None:
        self.score, self.seen = score, []
        if scores:
            self.decision_function = self._scores

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        self.seen.append(np.array(X))
        return (self.score(X) > 0).astype(int)

    def _scores(self, X: NDArray[Any]) -> NDArray[Any]:
        self.seen.append(np.array(X))
        return self.score(X)


def length(change: NDArray[Any], norm: float) -> Any:
    return np.linalg.norm(change, norm, axis=-1)


class Replay:
    """HopSkipJump (Chen et al. 2020) of one sample of class 0, that must ask what was asked."""

    def __init__(self, box: Asked, norm: float, n_directions: int = 25, radius: float = 0.5) -> None:
        self.questions: Iterator[NDArray[Any]] = iter(box.seen)
        self.norm, self.n_directions, self.radius = norm, n_directions, radius
        self.score, self.n_left, self.wins = box.score, sum(map(len, box.seen)), []
        self.x0 = self.take(1)[0]

    def take(self, n: int) -> NDArray[Any]:
        asked = next(self.questions)
        assert len(asked) == n
        self.n_left -= n
        self.wins += list(asked[self.score(asked) > 0])
        return asked

    def nearest(self) -> NDArray[Any]:
        return min(self.wins, key=lambda point: length(point - self.x0, self.norm))

    def ask(self, point: NDArray[Any], bounds: tuple[float, float]) -> bool:
        (asked,) = self.take(1)
        np.testing.assert_allclose(asked, np.clip(point, *bounds), rtol=1e-9, atol=1e-12)
        won = bool(self.score(asked[None]) > 0)
        if won:
            self.point = asked
        return won

    def to_boundary(self, bounds: tuple[float, float]) -> None:
        change, low, high = self.point - self.x0, 0.0, 1.0
        for _ in range(min(6, self.n_left)):
            middle = (low + high) / 2
            most = middle * np.abs(change).max()
            part = middle * change if self.norm == 2 else np.clip(change, -most, most)
            low, high = (low, middle) if self.ask(self.x0 + part, bounds) else (middle, high)

    def direction(self, t: int) -> NDArray[Any]:
        size = self.radius * length(self.point - self.x0, 2)
        u = (self.take(min(int(self.n_directions * sqrt(t)), self.n_left)) - self.point) / size
        assert length(u, 2).max() == pytest.approx(1)
        sign = np.where(self.score(self.point + size * u) > 0, 1.0, -1.0)
        baseline = 0.0 if abs(sign.mean()) == 1 else sign.mean()
        estimate = ((sign - baseline)[:, None] * u).sum(axis=0)
        return np.sign(estimate) if self.norm == np.inf else estimate / length(estimate, 2)

    def walk(self, bounds: tuple[float, float], first: int = 1, kept: int = 0) -> int:
        """Steps until so many questions are left; the number of the next."""
        t = first
        self.n_left -= kept
        while self.n_left:
            self.to_boundary(bounds)
            if self.n_left:
                direction = self.direction(t)
            size = length(self.point - self.x0, self.norm) / sqrt(t)
            for _ in range(min(6, self.n_left)):
                if self.ask(self.point + size * direction, bounds):
                    break
                size /= 2
            t += 1
        self.n_left += kept
        return t

    def set_back(self) -> None:
        """Features one after the other, then in groups, as long as that wins."""
        self.point = self.nearest()
        order = np.argsort(-np.abs(self.point - self.x0), kind="stable")
        order, begin, size = order[self.point[order] != self.x0[order]], 0, 1
        while begin < len(order) and self.n_left:
            trial = self.point.copy()
            trial[order[begin : begin + size]] = self.x0[order[begin : begin + size]]
            if self.ask(trial, (-np.inf, np.inf)):
                begin, size = begin + size, 2 * size
            else:
                begin, size = begin + (size == 1), max(size // 2, 1)


def curved(X: NDArray[Any]) -> NDArray[Any]:
    """Class 1 beyond a bent boundary that depends on the first 3 features."""
    return X[:, 0] + 0.5 * X[:, 1] - 0.3 * X[:, 2] ** 2 - 0.7


@pytest.mark.parametrize("norm", [2, np.inf])
@pytest.mark.parametrize("bounds", [None, (-0.4, 0.9)])
@pytest.mark.parametrize("params", [{}, {"n_directions": 7, "radius": 0.2}], ids=["", "parameters"])
@pytest.mark.parametrize("max_queries", [100, 333])
def test_hopskipjump_is_the_papers(
    norm: float, bounds: Any, params: dict[str, Any], max_queries: int
) -> None:
    box = Asked(curved)
    generator = AdversarialGenerator(
        box, attack="hopskipjump", attack_params={"sparse": False, **params}, norm=norm, eps=np.inf,
        clip_values=bounds, max_queries=max_queries, random_state=0,
    )  # fmt: skip
    X_adv = generator.generate(np.zeros((1, 5)), [0])
    assert generator.n_queries_ == sum(map(len, box.seen)) == max_queries
    replay = Replay(box, norm, **params)
    while not replay.wins:
        replay.take(16)
    replay.point = replay.nearest()
    replay.walk(bounds or (-np.inf, np.inf))
    np.testing.assert_array_equal(X_adv[0], replay.nearest())
    np.testing.assert_allclose(generator.distances_, length(replay.nearest(), norm))


@pytest.mark.parametrize(("n_features", "max_queries", "kept"), [(40, 400, 40), (40, 100, 25), (3, 400, 3)])
def test_the_last_questions_set_features_back(n_features: int, max_queries: int, kept: int) -> None:
    box = Asked(curved)
    generator = AdversarialGenerator(
        box, attack="hopskipjump", norm=2, eps=np.inf, max_queries=max_queries, random_state=0
    )
    X_adv = generator.generate(np.zeros((1, n_features)), [0])
    replay = Replay(box, 2)
    while not replay.wins:
        replay.take(16)
    replay.point = replay.nearest()
    free = (-np.inf, np.inf)
    following = replay.walk(free, kept=kept)
    replay.set_back()
    replay.walk(free, first=following)
    assert (replay.n_left, next(replay.questions, None)) == (0, None)
    np.testing.assert_array_equal(X_adv[0], replay.nearest())
    if n_features == 40:
        assert (X_adv[0] == 0).sum() > 10


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize("norm", [2, np.inf])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("n", [30, 4])
def test_starts_are_other_samples_the_nearest_first(norm: float, targeted: bool, n: int) -> None:
    """Up to four each, of another class (or the target's), as far as the sample's own bounds go."""
    X = np.random.RandomState(3).normal(size=(n, 4))
    box = Asked(lambda X: X[:, 0] + X[:, 1])
    own = box.predict(X)
    box.seen.clear()
    generator = AdversarialGenerator(
        box, attack="hopskipjump", norm=norm, eps=np.inf, constraints=Constraints(increasing=[0]),
        max_queries=9, random_state=0,
    )  # fmt: skip
    generator.generate(X, target=1 - own) if targeted else generator.generate(X, own)
    questions = iter(box.seen[1:])
    n_asked = []
    for home in (1, 0) if targeted else (0, 1):
        rows, others = np.flatnonzero(own == home), X[own != home]
        for k in range(min(4, len(others))):
            apart = length(others[None] - X[rows, None], norm)
            starts = others[np.argsort(apart, axis=1)[:, k]]
            starts[:, 0] = np.maximum(starts[:, 0], X[rows, 0])
            if len(rows):
                np.testing.assert_array_equal(next(questions), starts)
                n_asked.append(len(rows))
            rows = rows[(box.score(starts) > 0) == home]
    assert len(set(n_asked)) > (2 if n == 30 else 0)


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize("bounds", [None, (-1.0, 3.0)])
def test_random_starts_reach_ever_further(bounds: Any) -> None:
    """Where no sample is one: 6 times 16 points, each time from twice as far, and between the bounds."""
    X = np.random.RandomState(0).uniform(0, 1, size=(20, 3)) * [1.0, 0.1, 0.0]
    box = Asked(lambda X: -np.ones(len(X)))
    generator = AdversarialGenerator(
        box, attack="hopskipjump", eps=np.inf, clip_values=bounds, max_queries=500, random_state=0
    )
    np.testing.assert_array_equal(generator.generate(X, np.zeros(20, int)), X)
    assert (generator.n_queries_ == 1 + 6 * 16).all()
    assert np.isinf(generator.distances_).all()
    assert [len(asked) for asked in box.seen] == [20] + [320] * 6
    # of a column with one value nothing is known: as far as its value or 1, or as the bounds at last
    spread = np.where(np.ptp(X, axis=0) > 0, np.ptp(X, axis=0), 1.0 if bounds is None else 4.0 / 32)
    for k, asked in enumerate(box.seen[1:]):
        x = np.repeat(X, 16, axis=0)
        low, high = x - spread * 2**k, x + spread * 2**k
        if bounds is not None:
            low, high = np.maximum(low, bounds[0]), np.minimum(high, bounds[1])
        assert (asked >= low).all() and (asked <= high).all()
        share = (asked - low) / (high - low)
        np.testing.assert_allclose(share.min(axis=0), 0.0, atol=0.05)
        np.testing.assert_allclose(share.max(axis=0), 1.0, atol=0.05)


def square_questions(shape: tuple[int, ...], norm: float, **given: Any) -> Iterator[tuple[Any, ...]]:
    """Samples, where they are, what is asked next and with what share, of a source that is never fooled."""
    weights = np.random.RandomState(1).uniform(-1, 1, size=int(np.prod(shape)))

    def score(X: NDArray[Any]) -> NDArray[Any]:
        # steps, so that many questions are as good as the best before
        return np.floor(20 * np.tanh(X.reshape(len(X), -1) @ weights)) - 30.0

    X = np.random.RandomState(0).uniform(-1, 1, size=(60, *shape))
    box, budget = Asked(score, scores=True), given.setdefault("max_queries", 200)
    generator = AdversarialGenerator(box, attack="square", norm=norm, eps=0.3, random_state=0, **given)
    X_adv = generator.generate(X, np.zeros(60, int))
    assert (generator.n_queries_ == budget - 1).all()  # one is kept to see whether a win is one
    assert [len(asked) for asked in box.seen] == [60] * (budget - 1)
    point, best = X, np.full(60, -np.inf)
    for i, flat in enumerate(box.seen[1:]):
        asked = flat.reshape(X.shape)
        # the authors' schedule, of the first share 0.8
        halved = sum(i / budget > t for t in (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8))
        yield X, point, asked, 0.8 / 2**halved, i
        better = score(asked) >= best
        point = np.where(better.reshape(-1, *[1] * len(shape)), asked, point)
        best = np.where(better, score(asked), best)
    np.testing.assert_allclose(X_adv, point, atol=1e-12)


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_square_changes_random_features_of_rows(norm: float) -> None:
    """As many as the share says, of those that may change, to the edge of the budget."""
    most: dict[int, int] = {}
    constraints = Constraints(immutable=[0, 5])
    for X, point, asked, share, i in square_questions((14,), norm, constraints=constraints):
        np.testing.assert_array_equal(asked[:, [0, 5]], X[:, [0, 5]])
        change, free = asked - X, [1, 2, 3, 4, *range(6, 14)]
        if norm == np.inf:
            np.testing.assert_allclose(np.abs(change[:, free]), 0.3)
        else:
            check_spent(change)
        if i == 0:
            assert np.unique(np.sign(change[:, free])).tolist() == [-1, 1]
            assert np.ptp(np.abs(change[:, free])) < 1e-12
            continue
        size, differ = max(1, round(share * 12)), ~np.isclose(asked, point, rtol=0, atol=1e-12)
        emptied = differ & (asked == X)
        moved = (differ & ~emptied).sum(axis=1)
        assert moved.max() <= size
        # the part that loses its budget, and in the other what its bump takes away
        assert emptied.sum(axis=1).max() <= (2 * size if norm == 2 else 0)
        most[size] = max(most.get(size, 0), moved.max())
        if norm == np.inf:
            assert (moved > 0).all()
        elif size == 1:
            check_one_bump(change, point - X)
    assert set(most) == {5, 2, 1}
    assert all(most[size] >= size for size in most)


@pytest.mark.parametrize(("share", "size"), [(1.0, 5), (0.5, 2), (0.3, 2), (0.01, 1)])
def test_random_features_are_those_that_may_change(share: float, size: int) -> None:
    movable = np.array([[1, 0, 1, 1, 0, 1, 1, 0]] * 50, dtype=bool)
    places = _Subsets(movable).places(np.arange(50), share, Streams(0, np.arange(50)))
    assert places.shape == (50, size)
    assert all(len(set(row)) == size for row in places.tolist())
    assert set(places.ravel()) == {0, 2, 3, 5, 6}


@pytest.mark.parametrize("p", [None, 0.3])
def test_the_share_is_halved_when_the_authors_halve_it(
    p: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 10, 50, 200, 500... of 10,000 questions (p_selection in attack.py of max-andr/square-attack)."""
    shares, places = [], _Subsets.places
    monkeypatch.setattr(
        _Subsets,
        "places",
        lambda self, rows, share, rng: shares.append(share) or places(self, rows, share, rng),
    )
    params = {} if p is None else {"attack_params": {"p": p}}
    box = Asked(lambda X: -np.ones(len(X)), scores=True)
    AdversarialGenerator(box, attack="square", max_queries=1000, **params).generate(np.zeros((1, 3)), [0])
    ends = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
    first = 0.8 if p is None else p
    assert shares == [first / 2 ** sum(10 * i > end for end in ends) for i in range(1, 998)]


def check_spent(change: NDArray[Any]) -> None:
    """All of an L2 budget, save where a bump takes away what it meets."""
    lengths = length(change.reshape(len(change), -1), 2)
    assert lengths.max() <= 0.3 * (1 + 1e-9)
    assert np.isclose(lengths, 0.3).mean() > 0.4


def check_one_bump(change: NDArray[Any], before: NDArray[Any]) -> None:
    """One feature gets what another had and what was unused, with the sign of its own if it has one."""
    grown = np.abs(change) > np.abs(before) + 1e-9
    assert grown.sum(axis=1).max() == 1
    np.testing.assert_allclose(length(change[grown.any(axis=1)], 2), 0.3)
    assert (before[grown] * change[grown] >= 0).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 9)])
def test_square_changes_squares_of_images(shape: tuple[int, ...]) -> None:
    """Algorithm 2: vertical stripes at first, then squares of one sign in each channel, anywhere."""
    channels, h, w = shape
    largest: dict[int, int] = {}
    touched = np.zeros((h, w), bool)
    for X, point, asked, share, i in square_questions(shape, np.inf):
        sign = np.sign(asked - X)
        np.testing.assert_allclose(np.abs(asked - X), 0.3)
        if i == 0:
            assert (sign == sign[:, :, :1]).all()
            assert {tuple(np.unique(s)) for s in sign.reshape(-1, h * w)} == {(-1.0, 1.0)}
            continue
        side = min(max(1, round(sqrt(share * h * w))), h, w)
        for s, differ in zip(sign, ~np.isclose(asked, point), strict=True):
            rows, columns = np.flatnonzero(differ.any(axis=(0, 2))), np.flatnonzero(differ.any(axis=(0, 1)))
            across = max(np.ptp(rows), np.ptp(columns)) + 1
            assert across <= side
            largest[side] = max(largest.get(side, 0), across)
            assert all(len(np.unique(s[c][differ[c]])) <= 1 for c in range(channels))
        touched |= ~np.isclose(asked, point).all(axis=(0, 1))
    assert all(largest[side] == side for side in largest)
    assert len(largest) > 3
    assert touched.all()


@pytest.mark.parametrize("shape", [(1, 10, 15), (2, 11, 7)])
def test_square_moves_bumps_of_images(shape: tuple[int, ...]) -> None:
    """Algorithm 3: tiles of bumps at first, then one square gets what another had, all of the budget used."""
    channels, h, w = shape
    for X, point, asked, share, i in square_questions(shape, 2):
        change = asked - X
        check_spent(change)
        if i == 0:
            side = min(h, w) // 5
            down, right = h // side, w // side
            assert (change[:, :, down * side :] == 0).all()
            assert (change[:, :, :, right * side :] == 0).all()
            tiles = change[:, :, : down * side, : right * side].reshape(60, channels, down, side, right, side)
            tiles = tiles.transpose(0, 1, 2, 4, 3, 5).reshape(60, -1, side * side)
            sizes = length(tiles, 2)
            np.testing.assert_allclose(sizes, sizes[0, 0])
            # one bump for each sample, its sign drawn for each tile
            np.testing.assert_allclose(np.abs(tiles - tiles[:, :1]).min(axis=0).max(), 0, atol=1e-12)
            continue
        side = max(1, round(sqrt(share * h * w)))
        side = min(max(3, side + (side + 1) % 2), h, w)
        differ = ~np.isclose(asked, point, rtol=0, atol=1e-12)
        assert differ.sum(axis=(2, 3)).max() <= 2 * side**2
        for grown in np.abs(change) > np.abs(point - X) + 1e-9:
            rows, columns = np.nonzero(grown.any(axis=0))
            assert not len(rows) or max(np.ptp(rows), np.ptp(columns)) < side


class Sectors:
    """A black box of three classes, by direction, that keeps what it is asked."""

    classes_ = np.arange(3)

    def __init__(self, one_answer: bool = False) -> None:
        self.seen: list[NDArray[Any]] = []
        self.one_answer = one_answer

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        self.seen.append(np.array(X))
        return self.answer(X)

    def answer(self, X: NDArray[Any]) -> NDArray[Any]:
        scores = X @ np.random.RandomState(0).normal(size=(4, 3))
        return scores.argmax(axis=1) * (not self.one_answer)


@pytest.mark.parametrize("norm", [2, np.inf])
@pytest.mark.parametrize(("step", "frozen"), [(None, []), (None, [0]), (0.37, [0])])
def test_surrogate_asks_along_the_jacobian(norm: float, step: float | None, frozen: list[int]) -> None:
    """Papernot et al. 2017, Algorithm 1, the sign of the step turned in every round."""
    X, box, eps = np.random.RandomState(1).normal(size=(20, 4)), Sectors(), 0.5
    params = {"estimator": LogisticRegression(), "step": step}
    generator = AdversarialGenerator(
        box, attack="surrogate", attack_params=params, norm=norm, eps=eps, max_queries=40,
        constraints=Constraints(immutable=frozen), random_state=0,
    )  # fmt: skip
    generator.generate(X, box.answer(X))
    size = step or eps * (4 - len(frozen)) ** (-1 / norm)
    points, width = X, X.std(axis=0)
    width = np.maximum(width, np.median(width))
    np.testing.assert_array_equal(box.seen[0], X)
    assert [len(asked) for asked in box.seen[:6]] == [20, 20, 40, 80, 160, 320]
    for k, asked in enumerate(box.seen[1:6]):
        labels = box.answer(points)
        model = LogisticRegression().fit((points - X.mean(axis=0)) / width, labels)
        change = size * (-1) ** k * np.sign(model.coef_[labels])
        change[:, frozen] = 0
        expected = points + change
        np.testing.assert_allclose(asked[np.lexsort(asked.T)], expected[np.lexsort(expected.T)])
        points = np.concatenate([points, asked])
    assert generator.n_queries_.sum() == 640
    assert set(generator.n_queries_) == {32}


def test_surrogate_asks_at_random_while_there_is_one_answer() -> None:
    """And no more than it may: queries are shared, and counted for all alike."""
    X, box = np.random.RandomState(1).normal(size=(20, 4)), Sectors(one_answer=True)
    generator = AdversarialGenerator(box, attack="surrogate", eps=0.25, max_queries=3, random_state=0)
    np.testing.assert_array_equal(generator.generate(X, np.zeros(20, int)), X)
    assert [len(asked) for asked in box.seen] == [20, 20, 20]
    change = box.seen[1][:, None] - X
    of = np.abs(np.abs(change) - 0.25).max(axis=2).argmin(axis=1)
    assert sorted(of) == [*range(20)]
    signs = change[np.arange(20), of] / 0.25
    np.testing.assert_allclose(np.abs(signs), 1)
    assert 0.3 < (signs > 0).mean() < 0.7
    assert (generator.n_queries_ == 3).all()
    # as many as there are, and one more for the first of the samples
    generator.set_params(max_queries=2, attack_params={"n_rounds": 1}).generate(X[:1], [0])
    assert generator.n_queries_.tolist() == [2]
