"""clip_values="range": bounds that are measured on training data, or on a scorer's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.inspection import fooling_inputs
from skhalfway.perturbation import PerturbationLearner

X, Y = load_iris(return_X_y=True, as_frame=True)
LOW, HIGH = X.min(), X.max()
MODEL = LogisticRegression(max_iter=1000).fit(X, Y)
TREE = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, Y)
ATTACKS = [
    "auto",
    "fgsm",
    "pgd",
    "mifgsm",
    "deepfool",
    "fmn",
    "hopskipjump",
    "halfway",
    "square",
    "surrogate",
]


def made_by(attack: Any, data: Any, model: Any = MODEL, **given: Any) -> Any:
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack=attack, clip_values="range", random_state=0, **({"eps": 3.0} | given)
    )
    return generator.fit(X, Y).generate(data, Y[: len(data)])


@pytest.mark.parametrize("attack", ATTACKS)
def test_samples_stay_in_the_range_of_the_training_data(attack: str) -> None:
    made = made_by(attack, X, max_queries=50)
    assert ((made >= LOW) & (made <= HIGH)).to_numpy().all()
    free = AdversarialGenerator(
        FrozenEstimator(MODEL), attack=attack, eps=3.0, max_queries=50, random_state=0
    ).fit(X, Y).generate(X, Y)  # fmt: skip
    if attack not in ("deepfool", "fmn", "halfway", "hopskipjump"):  # the nearest samples lie inside anyway
        assert ((free < LOW) | (free > HIGH)).to_numpy().any()


@pytest.mark.parametrize("attack", ["pgd", "tree", "square", "hopskipjump"])
def test_a_sample_beyond_the_range_moves_no_further_out(attack: str) -> None:
    model = TREE if attack == "tree" else MODEL
    beyond = X + np.where(X == HIGH, 1.0, 0.0)
    outer = np.maximum(beyond, HIGH.to_numpy())
    made = made_by(attack, beyond, model, max_queries=100)
    assert (made <= outer).to_numpy().all() and (made >= LOW).to_numpy().all()


def test_equal_to_the_arrays_that_a_user_would_pass() -> None:
    arrays = AdversarialGenerator(
        FrozenEstimator(MODEL), attack="pgd", eps=3.0, clip_values=(LOW.to_numpy(), HIGH.to_numpy())
    )
    pd.testing.assert_frame_equal(made_by("pgd", X), arrays.generate(X, Y))


def test_missing_values_and_constant_columns() -> None:
    data = X.assign(constant=1.0)
    data.iloc[::7, 0] = np.nan
    model = make_pipeline(_Filled(), LogisticRegression(max_iter=1000)).fit(data, Y)
    generator = AdversarialGenerator(FrozenEstimator(model), attack="square", eps=2.0, clip_values="range")
    made = generator.set_params(max_queries=50, random_state=0).fit(data, Y).generate(data, Y)
    assert (made["constant"] == 1.0).all()
    pd.testing.assert_frame_equal(made.isna(), data.isna())
    within = ((made >= LOW.reindex(made.columns)) & (made <= HIGH.reindex(made.columns)))[X.columns]
    assert (within | data[X.columns].isna()).to_numpy().all()


class _Filled:
    """Nothing for what is missing."""

    def fit(self, X: Any, y: Any = None) -> _Filled:
        return self

    def transform(self, X: Any) -> Any:
        return np.nan_to_num(np.asarray(X, dtype=float))


def test_one_hot_and_whole_columns_keep_to_it() -> None:
    rng = np.random.RandomState(0)
    group, count = np.eye(3)[rng.randint(2, size=120)], rng.randint(0, 5, size=(120, 1))
    data = np.hstack([group, count, rng.normal(size=(120, 1))])  # nobody is of the third category
    y = (data[:, 0] + data[:, 4] + 0.3 * data[:, 3] > 1).astype(int)
    model = LogisticRegression().fit(data, y)
    rules = Constraints(one_hot=[[0, 1, 2]], integer=[3])
    for attack in ("pgd", "hopskipjump", "square"):
        generator = AdversarialGenerator(
            FrozenEstimator(model), attack=attack, eps=6.0, clip_values="range", constraints=rules
        )
        made = generator.set_params(max_queries=100, random_state=0).fit(data, y).generate(data, y)
        assert (made[:, 2] == 0).all() and (made[:, :3].sum(axis=1) == 1).all()
        assert set(np.unique(made[:, 3])) <= set(range(5))
        assert (made != data).any()


def test_a_scorer_measures_it_on_its_reference_else_on_the_samples() -> None:
    attack = AdversarialGenerator(attack="pgd", eps=3.0, clip_values="range")
    models = {"all": MODEL, "some": clone(MODEL).fit(X[::2], Y[::2])}
    some = slice(50, 100)
    scorer = TransferScorer(attack, random_state=0)
    given = scorer.fit(models).transfer(X[some], Y[some], keep_samples=True).samples("all")
    assert (given <= X[some].max()).to_numpy().all() and (given >= X[some].min()).to_numpy().all()
    referred = scorer.fit(models, reference=X).transfer(X[some], Y[some], keep_samples=True).samples("all")
    assert ((referred > X[some].max()) | (referred < X[some].min())).to_numpy().any()
    assert ((referred <= HIGH) & (referred >= LOW)).to_numpy().all()
    own = TransferScorer(attack, estimators=list(models.items()), random_state=0).fit(X, Y)
    pd.testing.assert_frame_equal(own.transfer(X[some], Y[some], keep_samples=True).samples("all"), referred)


def test_images() -> None:
    images = np.random.RandomState(0).rand(12, 1, 4, 4).astype(np.float32)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    generator = AdversarialGenerator(net, eps=0.5, clip_values="range").fit(images[:8])
    made = generator.transform(images[8:])
    low, high = images[:8].min(axis=0), images[:8].max(axis=0)
    assert (made >= np.minimum(low, images[8:])).all() and (made <= np.maximum(high, images[8:])).all()
    assert (made != images[8:]).any()


def test_a_callable_is_told() -> None:
    seen: dict[str, Any] = {}

    def attack(model: Any, X: Any, y: Any, clip_values: Any) -> Any:
        seen["clip_values"] = clip_values
        return X + 5

    made = made_by(attack, X[:5])
    for bound, expected in zip(seen["clip_values"], (LOW, HIGH), strict=True):
        np.testing.assert_array_equal(bound, np.broadcast_to(expected, (5, 4)))
    assert (made <= HIGH).to_numpy().all()


def test_a_callable_gets_bounds_of_the_shape_of_its_samples() -> None:
    images = np.random.RandomState(0).rand(20, 4, 4)
    y = (images[:, 0].mean(axis=1) > 0.5).astype(int)
    model = LogisticRegression().fit(images.reshape(20, 16), y)

    def attack(model: Any, X: Any, y: Any, clip_values: Any) -> Any:
        low, high = clip_values
        assert low.shape == high.shape == X.shape == (20, 16)
        return high

    generator = AdversarialGenerator(FrozenEstimator(model), attack=attack, eps=1.0, clip_values="range")
    made = generator.fit(images).generate(images, y)
    np.testing.assert_array_equal(made, np.broadcast_to(images.max(axis=0), images.shape))


def test_art_attacks_keep_to_it() -> None:
    from art.attacks.evasion import FastGradientMethod

    made = made_by(FastGradientMethod, X)
    assert ((made >= LOW) & (made <= HIGH)).to_numpy().all()
    assert (made != X).to_numpy().any()


def test_torchattacks_need_numbers() -> None:
    torchattacks = pytest.importorskip("torchattacks")
    net = torch.nn.Linear(4, 3)
    generator = AdversarialGenerator(net, attack=torchattacks.PGD, clip_values="range")
    with pytest.raises(ValueError, match=r"pass finite clip_values=\(min, max\), got 'range'"):
        generator.fit(X.to_numpy(np.float32))


def test_noise_of_a_learner_fills_it() -> None:
    learners = [
        PerturbationLearner(
            LogisticRegression(max_iter=1000),
            AdversarialGenerator(eps=2.0, clip_values=clip_values),
            base="noise",
            random_state=0,
        ).fit(X.to_numpy(), Y)
        for clip_values in ("range", (LOW.to_numpy(), HIGH.to_numpy()))
    ]
    np.testing.assert_array_equal(*(learner.predict(X.to_numpy()) for learner in learners))


def test_inputs_that_fool_are_sought_in_it() -> None:
    given = {"n_samples": 20, "random_state": 0}
    same = fooling_inputs(MODEL, X, clip_values="range", **given), fooling_inputs(MODEL, X, **given)
    assert same[0] == same[1]


def test_it_can_be_searched_over() -> None:
    pipeline = make_pipeline(AdversarialGenerator(LogisticRegression(max_iter=1000)), TREE)
    grid = {"adversarialgenerator__clip_values": [None, "range"], "adversarialgenerator__eps": [1.0]}
    assert GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y).best_params_


@pytest.mark.parametrize(
    ("generator", "data", "error", "message"),
    [
        ({"clip_values": "range"}, X[:1], ValueError, "none has any width, as for one sample"),
        ({"clip_values": "range"}, X * 0 + 1, ValueError, r"pass clip_values=\(min, max\)"),
        (
            {"clip_values": "span"},
            X,
            ValueError,
            "clip_values must be None, 'range' or a pair .* 'span'",
        ),
    ],
)
def test_errors(generator: dict[str, Any], data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AdversarialGenerator(FrozenEstimator(MODEL), **generator).fit(data)


def test_it_needs_a_fit() -> None:
    unfitted = AdversarialGenerator(FrozenEstimator(MODEL), clip_values="range")
    with pytest.raises(NotFittedError, match="clip_values='range' is measured on training data; call fit"):
        unfitted.transform(X)
