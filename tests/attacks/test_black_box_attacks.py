"""Attacks that ask for predictions or scores only: what they find, what they ask, what they are worth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC

from skhalfway import AdversarialGenerator
from skhalfway.attacks import Constraints
from skhalfway.attacks._queries import blocks
from skhalfway.attacks._square import bump
from skhalfway.models import ModelWarning, as_model

EPS = {np.inf: 0.25, 2: 1.2}


class Box:
    """What answers for a source, and counts; ``scores`` is what it gives of predict_proba's."""

    def __init__(self, source: Any, scores: bool = False) -> None:
        self.model, self.classes_, self.n, self.seen = as_model(source), np.arange(10), 0, []
        if scores:
            self.predict_proba = self._scores

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        self.n += len(X)
        self.seen.append(np.array(X))
        return self.model.predict(X)

    def _scores(self, X: NDArray[Any]) -> NDArray[Any]:
        self.n += len(X)
        self.seen.append(np.array(X))
        return self.model.scores(X)


@dataclass(frozen=True)
class Row:
    source: str
    attack: str
    norm: float
    images: bool = False

    def __str__(self) -> str:
        return f"{self.source}-{self.attack}-{self.norm}{'-images' if self.images else ''}"


ROWS = [
    # every two of source, attack and norm
    *(
        Row(source, attack, [*EPS][(i + k) % 2])
        for i, attack in enumerate(("hopskipjump", "halfway"))
        for k, source in enumerate(("forest", "knn", "svc"))
    ),
    *(
        Row(("forest", "logistic")[(i + k) % 2], "square", norm, bool(images))
        for i, norm in enumerate(EPS)
        for k, images in enumerate((0, 1))
    ),
]
MAX_QUERIES = 150


def attacked(zoo: Any, row: Row, n: int = 12, **params: Any) -> tuple[Any, ...]:
    """Source, box, generator, samples that the source knows, and their labels."""
    case = zoo(row.source, 24)
    right = as_model(case.source).predict(case.X) == case.y
    X, y = case.X[right][:n], case.y[right][:n]
    if row.images:
        X = X.reshape(-1, 1, 8, 8)
    box = Box(case.source, scores=row.attack == "square")
    given = {
        "attack": row.attack,
        "norm": row.norm,
        "eps": EPS[row.norm],
        "clip_values": (0, 1),
        "max_queries": MAX_QUERIES,
        "random_state": 0,
    }
    return case.source, box, AdversarialGenerator(box, **given | params), X, y


every_row = pytest.mark.parametrize("row", ROWS, ids=str)


def norms(X_adv: NDArray[Any], X: NDArray[Any], norm: float) -> NDArray[Any]:
    return np.linalg.norm((X_adv - X).reshape(len(X), -1), norm, axis=1)


def flat_predict(source: Any, X: NDArray[Any]) -> NDArray[Any]:
    return as_model(source).predict(X.reshape(len(X), -1))


@every_row
def test_finds_adversarials_within_budget_and_bounds(zoo, row: Row) -> None:
    source, box, generator, X, y = attacked(zoo, row)
    X_adv = generator.generate(X, y)
    assert X_adv.shape == X.shape
    assert X_adv.dtype == X.dtype
    assert (norms(X_adv, X, row.norm) <= EPS[row.norm]).all()
    assert X_adv.min() >= 0
    assert X_adv.max() <= 1
    assert (flat_predict(source, X_adv) != y).mean() >= (0.3 if row.source in ("svc", "knn") else 0.5)
    assert min(asked.min() for asked in box.seen) >= 0
    assert max(asked.max() for asked in box.seen) <= 1


@every_row
def test_queries_are_counted_kept_to_and_saved_by_early_stops(zoo, row: Row) -> None:
    source, box, generator, X, y = attacked(zoo, row)
    X_adv = generator.generate(X, y)
    asked = generator.n_queries_
    assert asked.sum() == box.n
    assert asked.max() <= MAX_QUERIES
    if row.attack == "square":
        won = flat_predict(source, X_adv) != y
    else:
        won = generator.distances_ <= EPS[row.norm]
        assert (flat_predict(source, X_adv)[won] != y[won]).all()
    assert asked[won].min() < MAX_QUERIES / 3
    assert (asked[~won] >= MAX_QUERIES - 1).all()


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@every_row
@pytest.mark.parametrize("max_queries", [1, 2, 7, 40])
def test_one_sample_asks_as_often_as_it_says(zoo, row: Row, max_queries: int) -> None:
    _, box, generator, X, y = attacked(zoo, row, n=1, max_queries=max_queries, eps=1e-3)
    generator.generate(X, y)
    assert generator.n_queries_.tolist() == [box.n]
    # square keeps one for the end, to see whether a win is one
    assert max_queries - 1 <= box.n <= max_queries


@every_row
def test_same_random_state_same_bytes(zoo, row: Row) -> None:
    """In other batches too, but for rounding."""
    first, again, other, in_batches = (
        attacked(zoo, row, n=6, batch_size=size, random_state=seed, eps=EPS[row.norm] / 3, max_queries=60)
        for size, seed in ((256, 0), (256, 0), (256, 1), (4, 0))
    )
    made = [generator.generate(X, y) for _, _, generator, X, y in (first, again, other, in_batches)]
    assert made[0].tobytes() == made[1].tobytes() != made[2].tobytes()
    # where what is asked for lies on a boundary, rounding may turn an answer, and a search goes on elsewhere
    same = np.isclose(made[3], made[0], atol=1e-6).reshape(len(made[0]), -1).all(axis=1)
    assert (~same).sum() <= 1


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@every_row
def test_targets(zoo, row: Row) -> None:
    source, box, generator, X, y = attacked(zoo, row, eps=10 * EPS[row.norm])
    target = (y + 1) % 10
    X_adv = generator.generate(X, target=target)
    assert generator.n_queries_.sum() == box.n
    assert (flat_predict(source, X_adv) == target).mean() >= 0.5


@every_row
def test_what_has_won_is_left_alone(zoo, row: Row) -> None:
    _, box, generator, X, y = attacked(zoo, row)
    X_adv = generator.generate(X, (y + 1) % 10)
    np.testing.assert_array_equal(X_adv, X)
    assert box.n == len(X)
    assert (generator.n_queries_ == 1).all()


@pytest.mark.parametrize(
    ("attack", "name", "norm"),
    [
        (attack, name, [*EPS][(i + k) % 2])
        for i, attack in enumerate(["hopskipjump", "halfway"])
        for k, name in enumerate(["forest", "knn"])
    ],
)
def test_distances_are_those_of_inputs_that_win(zoo, attack: str, name: str, norm: float) -> None:
    source, _, generator, X, y = attacked(zoo, Row(name, attack, norm), n=6, eps=np.inf)
    X_adv = generator.generate(X, y)
    assert (generator.n_queries_ == MAX_QUERIES).all()
    assert (flat_predict(source, X_adv) != y).all()
    np.testing.assert_allclose(generator.distances_, norms(X_adv, X, norm))
    few = generator.distances_
    generator.set_params(max_queries=3 * MAX_QUERIES).generate(X, y)
    assert np.median(generator.distances_) < np.median(few)
    # what is further than a budget is brought back to it
    eps = float(np.median(generator.distances_)) * 0.5
    X_near = generator.set_params(eps=eps).generate(X, y)
    far = generator.distances_ > eps
    assert far.any()
    np.testing.assert_allclose(norms(X_near, X, norm)[far], eps, rtol=0.2)


@cache
def plane() -> tuple[Any, NDArray[Any], NDArray[Any]]:
    X, y = load_iris(return_X_y=True)
    X, y = X[50:], y[50:]
    return LogisticRegression().fit(X, y), X, y


@pytest.mark.parametrize(("norm", "dual"), [(2, 2), (np.inf, 1)])
@pytest.mark.parametrize("attack", ["hopskipjump", "halfway"])
def test_an_attack_comes_near_the_distance_to_a_plane(attack: str, norm: float, dual: float) -> None:
    source, X, y = plane()
    exact = np.abs(source.decision_function(X)) / np.linalg.norm(source.coef_[0], dual)
    generator = AdversarialGenerator(
        source, attack=attack, norm=norm, eps=np.inf, max_queries=2000, random_state=0
    ).fit(X, y)
    generator.generate(X, source.predict(X))
    ratio = generator.distances_ / exact
    assert ratio.min() >= 1 - 1e-9
    assert np.median(ratio) < 1.03
    assert ratio.max() < 1.1


@pytest.mark.parametrize("attack", ["hopskipjump", "halfway"])
def test_a_start_is_drawn_where_no_sample_is_one(attack: str) -> None:
    source, X, y = plane()
    for bounds in (None, (X.min(axis=0), X.max(axis=0))):
        generator = AdversarialGenerator(
            Box2(source), attack=attack, norm=2, eps=np.inf, clip_values=bounds, random_state=0
        )
        X_adv = generator.generate(X[:1], y[:1])
        assert np.isfinite(generator.distances_).all()
        assert source.predict(X_adv) != y[0]


class Box2:
    def __init__(self, source: Any) -> None:
        self.source, self.classes_ = source, source.classes_

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.source.predict(X)


def test_a_source_with_one_answer_leaves_all_as_it_is() -> None:
    class Constant:
        classes_ = np.array([0, 1])

        def predict(self, X: NDArray[Any]) -> NDArray[Any]:
            return np.zeros(len(X), dtype=int)

    X = np.random.RandomState(0).rand(5, 3)
    generator = AdversarialGenerator(Constant(), attack="surrogate", max_queries=60)
    np.testing.assert_array_equal(generator.generate(X, np.zeros(5, dtype=int)), X)
    for attack in ("hopskipjump", "halfway"):
        generator = AdversarialGenerator(Constant(), attack=attack, max_queries=60)
        with pytest.warns(ModelWarning, match="for 5 of 5 samples no input of another class was found"):
            np.testing.assert_array_equal(generator.generate(X, np.zeros(5, dtype=int)), X)
        assert np.isinf(generator.distances_).all()
        assert (generator.n_queries_ == 59).all()  # there is nothing to bring back into the budget
    X_adv = AdversarialGenerator(Constant(), attack="square", max_queries=20).generate(X, [0] * 5)
    assert (np.abs(X_adv - X).max(axis=1) <= 0.1).all()


@pytest.mark.parametrize(
    ("attack", "norm"), [*((a, n) for a in ("hopskipjump", "halfway") for n in (2, np.inf)), ("square", 2)]
)
def test_every_question_keeps_to_the_constraints(attack: str, norm: float) -> None:
    rng = np.random.RandomState(0)
    X = np.column_stack(
        [rng.normal(size=(80, 3)), rng.randint(0, 9, size=80), np.eye(3)[rng.randint(3, size=80)]]
    )
    y = (X[:, 0] + X[:, 1] + X[:, 3] / 4 + X[:, 5] > 1).astype(int)
    box = Box(LogisticRegression(C=100).fit(X, y), scores=attack == "square")
    box.classes_ = np.array([0, 1])
    generator = AdversarialGenerator(
        box,
        attack=attack,
        norm=norm,
        eps=2.0,
        max_queries=200,
        constraints=Constraints(immutable=[2], increasing=[0], integer=[3], one_hot=[[4, 5, 6]]),
        random_state=0,
    )
    X_adv = generator.generate(X, y)
    assert (box.model.predict(X_adv) != y).mean() > 0.6
    assert (norms(X_adv, X, norm) <= 2.0).all()
    for asked in [*box.seen, X_adv]:
        assert (asked[:, 3] % 1 == 0).all()
        assert (asked[:, 4:].sum(axis=1) == 1).all()
        assert np.isin(asked[:, 4:], (0, 1)).all()
        assert np.isin(asked[:, 2], X[:, 2]).all()
    assert (X_adv[:, 0] >= X[:, 0]).all()
    np.testing.assert_array_equal(X_adv[:, 2], X[:, 2])


@pytest.mark.parametrize("attack", ["hopskipjump", "halfway", "square", "surrogate"])
def test_categories_stay(attack: str) -> None:
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {"a": rng.normal(size=60), "kind": rng.choice(["x", "y"], size=60), "b": rng.normal(size=60)}
    )
    y = (X["a"] + X["b"] + (X["kind"] == "x") > 0.5).to_numpy().astype(int)
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    generator = AdversarialGenerator(
        make_pipeline(encode, LogisticRegression(C=100)),
        attack=attack,
        eps=0.7,
        max_queries=100,
        random_state=0,
    ).fit(X, y)
    X_adv = generator.generate(X, y)
    assert (X_adv["kind"] == X["kind"]).all()
    assert np.abs(X_adv[["a", "b"]] - X[["a", "b"]]).to_numpy().max() <= 0.7
    assert (generator.estimator_.predict(X_adv) != y).mean() > 0.3
    assert generator.n_queries_.max() <= 100


def reference_bump(n_rows: int, n_columns: int) -> NDArray[Any]:
    """The authors' loop (github.com/max-andr/square-attack, attack.py)."""
    bumps = np.zeros((n_rows, n_columns))
    middle = n_rows // 2 + 1, n_columns // 2 + 1
    top, left = middle[0] - 1, middle[1] - 1
    for k in range(max(middle)):
        rows = slice(max(top, 0), min(top + 2 * k + 1, n_rows))
        bumps[rows, max(left, 0) : min(left + 2 * k + 1, n_columns)] += 1 / (k + 1) ** 2
        top, left = top - 1, left - 1
    return bumps / np.sqrt((bumps**2).sum())


@pytest.mark.parametrize("size", [(1, 3), (2, 5), (3, 5), (4, 8), (7, 7)])
def test_bumps_are_the_authors(size: tuple[int, int]) -> None:
    np.testing.assert_allclose(bump(*size), reference_bump(*size))


class Bright:
    classes_ = np.array([0, 1])

    def decision_function(self, X: NDArray[Any]) -> NDArray[Any]:
        return X.reshape(len(X), -1).mean(axis=1, dtype=float) - 0.5

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return (self.decision_function(X) > 0).astype(int)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 9), (1, 12, 7)])
@pytest.mark.parametrize("norm", EPS)
def test_square_changes_images_of_any_shape(shape: tuple[int, ...], norm: float) -> None:
    X = np.random.RandomState(0).rand(20, *shape)
    y = Bright().predict(X)
    eps = 0.2 if norm == np.inf else 0.2 * np.sqrt(np.prod(shape))
    for dtype in (np.float64, np.float32):
        generator = AdversarialGenerator(
            Bright(), attack="square", norm=norm, eps=eps, clip_values=(0, 1), max_queries=300, random_state=0
        )
        X_adv = generator.generate(X.astype(dtype), y)
        assert (norms(X_adv, X.astype(dtype), norm) <= eps).all()
        assert (Bright().predict(X_adv) != y).mean() > 0.8


def test_a_win_by_scores_must_be_one_by_prediction() -> None:
    class Cautious:
        """It predicts class 1 from a probability of 0.8 on."""

        classes_ = np.array([0, 1])

        def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
            return np.stack([1 - X[:, 0], X[:, 0]], axis=1)

        def predict(self, X: NDArray[Any]) -> NDArray[Any]:
            return (X[:, 0] > 0.8).astype(int)

    X = np.full((6, 2), 0.45)
    given = {"attack": "square", "clip_values": (0, 1), "max_queries": 100, "random_state": 0}
    for eps, wins in ((0.2, False), (0.4, True)):
        X_adv = AdversarialGenerator(Cautious(), eps=eps, **given).generate(X, [0] * 6)
        assert (X_adv[:, 0] > 0.5).all()
        assert (Cautious().predict(X_adv) == wins).all()


SCORERS = {
    "two classes": (lambda: RidgeClassifier(), 2),
    "LinearSVC": (lambda: LinearSVC(), 3),
    "scaled SVC": (lambda: make_pipeline(StandardScaler(), SVC(kernel="linear")), 3),
    "votes of pairs": (lambda: make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")), 3),
    "probabilities": (lambda: LogisticRegression(max_iter=1000), 3),
}


@pytest.mark.parametrize("name", SCORERS)
def test_the_largest_score_is_the_prediction(name: str) -> None:
    make, n_classes = SCORERS[name]
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], np.array(["a", "b", "c"])[y[y < n_classes]]
    source = make().fit(X, y)
    model = as_model(source)
    scores = model.scores(X)
    assert scores.shape == (len(X), n_classes)
    np.testing.assert_array_equal(scores.argmax(axis=1), model.predict(X))
    if name == "two classes":
        np.testing.assert_array_equal(scores[:, 1], source.decision_function(X))
    elif name == "votes of pairs":
        np.testing.assert_array_equal(np.unique(scores), [0, 1])
    elif name != "probabilities":
        np.testing.assert_array_equal(scores, source.decision_function(X))


PARAMS = [
    ("hopskipjump", {"n_directions": 0}, "n_directions'] must be an integer >= 1, got 0"),
    ("hopskipjump", {"radius": 0}, "radius'] must be a finite number > 0, got 0"),
    ("hopskipjump", {"sparse": "yes"}, "sparse'] must be True or False, got 'yes'"),
    ("halfway", {"n_directions": 1.5}, "n_directions'] must be an integer >= 1, got 1.5"),
    ("halfway", {"radius": np.inf}, "radius'] must be a finite number > 0, got inf"),
    ("halfway", {"n_partners": True}, "n_partners'] must be an integer >= 1, got True"),
    ("square", {"p": 0}, r"p'] must be a number in \(0, 1\], got 0"),
    ("square", {"p": True}, r"p'] must be a number in \(0, 1\], got True"),
    ("square", {"p": "1"}, r"p'] must be a number in \(0, 1\], got '1'"),
    ("square", {"p": 1.5}, r"p'] must be a number in \(0, 1\], got 1.5"),
    ("surrogate", {"n_rounds": -1}, "n_rounds'] must be an integer >= 0, got -1"),
    ("surrogate", {"step": 0}, "step'] must be a finite number > 0, got 0"),
    ("surrogate", {"step": True}, "step'] must be a finite number > 0, got True"),
    ("surrogate", {"step": np.inf}, "step'] must be a finite number > 0, got inf"),
    ("surrogate", {"estimator": "mlp"}, "estimator'] must be None or a classifier, got 'mlp'"),
]


@pytest.mark.parametrize(("attack", "params", "message"), PARAMS)
def test_parameters(attack: str, params: dict[str, Any], message: str) -> None:
    source, X, y = plane()
    with pytest.raises(ValueError, match=message):
        AdversarialGenerator(source, attack=attack, attack_params=params).fit(X, y)


@pytest.mark.parametrize(
    ("attack", "params"),
    [
        ("hopskipjump", {"n_directions": 1, "radius": 1e-3, "sparse": np.False_}),
        ("halfway", {"n_directions": 1, "n_partners": 1}),
        ("square", {"p": 1}),
        ("square", {"p": 1e-9}),
        ("surrogate", {"n_rounds": 0, "step": 1e-3}),
    ],
    ids=str,
)
def test_least_and_largest_parameters(attack: str, params: dict[str, Any]) -> None:
    source, X, y = plane()
    generator = AdversarialGenerator(source, attack=attack, attack_params=params, eps=0.5, max_queries=30)
    X_adv = generator.fit(X, y).generate(X, y)
    assert (np.abs(X_adv - X).max(axis=1) <= 0.5).all()
    assert (X_adv != X).any()


def test_blocks_hold_so_much_and_no_less_than_a_row() -> None:
    assert list(blocks(5, 2**21)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert list(blocks(2, 2**23)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks(0, 3)) == []


@pytest.mark.parametrize(
    ("dtype", "norm", "attack"),
    [
        (dtype, [*EPS][(i + k) % 2], attack)
        for i, dtype in enumerate([np.float64, np.float32, np.float16])
        for k, attack in enumerate(["hopskipjump", "halfway", "square"])
    ],
)
def test_what_was_asked_is_what_comes_back_in_any_float_type(dtype: Any, norm: float, attack: str) -> None:
    X = np.random.RandomState(0).rand(8, 3, 10, 10).astype(dtype)
    y, eps = Bright().predict(X), 0.06 if norm == np.inf else 0.8
    generator = AdversarialGenerator(
        Bright(), attack=attack, norm=norm, eps=eps, clip_values=(0, 1), max_queries=150, random_state=0
    )
    X_adv = generator.generate(X, y)
    assert X_adv.dtype == dtype
    stopped = generator.n_queries_ < 149
    assert stopped.mean() > 0.2
    assert (Bright().predict(X_adv) != y)[stopped].all()
