"""Budgets one a sample, and masks: each sample keeps to its own, and is attacked as if it were alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from art.attacks.evasion import DecisionTreeAttack, ProjectedGradientDescent
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.attacks._parameters import KINDS
from tests.attacks.budgets import BUDGETS, STAY, X_TRAIN, Y_TRAIN, N, X, Y

MASK = np.random.RandomState(0).uniform(size=X.shape) < 0.5
MASK[:3] = False

# in norm 0 there is one budget for all
EVERY = [(attack, norm) for attack, kind in KINDS.items() for norm in kind.norms if norm]
NORMS = {attack: [norm for norm in kind.norms if norm] for attack, kind in KINDS.items()}
# where no norm plays a part: each attack in one of its norms, by turns
EACH = [(attack, norms[i % len(norms)]) for i, (attack, norms) in enumerate(NORMS.items()) if norms]
AUTO = [("auto", norm) for norm in (np.inf, 2, 1)]
# attacks to which the other samples are nothing, nor what they draw; and how exact they are: the nearest
# samples are searched for, to a thousandth
ALONE = {"fgsm": 1e-9, "pgd": 1e-9, "mifgsm": 1e-9, "apgd": 1e-9, "deepfool": 1e-3, "fmn": 1e-3, "tree": 1e-9}
BY_QUERIES = ("hopskipjump", "halfway", "square")


@cache
def source(kind: str) -> Any:
    model = {
        "tree": DecisionTreeClassifier(max_depth=6, random_state=0),
        "net": MLPClassifier((16,), solver="lbfgs", max_iter=200, tol=1e-2, random_state=0),
    }[kind]
    return FrozenEstimator(model.fit(X_TRAIN, Y_TRAIN))


def generator(attack: Any, norm: float = np.inf, **params: Any) -> AdversarialGenerator:
    given = {"max_iter": 10, "max_queries": 40, "random_state": 0} | params
    if attack == "surrogate":
        given = {"attack_params": {"n_rounds": 1}} | given
    if attack == "cw" and given.get("clip_values") is None:  # it needs a range
        given["clip_values"] = (-50.0, 50.0)
    model = source("tree" if attack == "tree" else "net")
    return AdversarialGenerator(model, attack=attack, norm=norm, **given)


def size(change: Any, norm: float) -> Any:
    return np.linalg.norm(change.reshape(len(change), -1), norm, axis=1)


def fooled(attack: Any, made: Any) -> Any:
    return source("tree" if attack == "tree" else "net").predict(made) != Y


@pytest.mark.parametrize(("attack", "norm"), [*EVERY, *AUTO])
def test_the_same_budget_for_all_is_one_budget(attack: str, norm: float) -> None:
    for eps in (0.5, 0.3):
        if eps == 0.3 and attack in ("fmn", *BY_QUERIES):
            continue  # its rounding decides what wins by a hair
        one = generator(attack, norm, eps=eps).generate(X, Y)
        assert (one != X).any()
        for shape in ((N, 1), X.shape):
            made = generator(attack, norm, eps=np.full(shape, eps)).generate(X, Y)
            # coordinates are not rounded there; elsewhere forty steps with momentum add rounding up
            atol = 1e-15 if (eps, shape) == (0.5, (N, 1)) else 1e-7 if attack == "apgd" else 1e-12
            np.testing.assert_allclose(made, one, rtol=0, atol=atol)


@pytest.mark.parametrize(("attack", "norm"), EACH)
def test_the_same_budget_in_units_of_the_spread(attack: str, norm: float) -> None:
    one, each = (
        generator(attack, norm, eps=eps, eps_unit="std").fit(X_TRAIN, Y_TRAIN)
        for eps in (0.25, np.full((N, 1), 0.25))
    )
    expected, made = one.generate(X, Y), each.generate(X, Y)
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-3 if attack == "fmn" else 1e-9)


@pytest.mark.parametrize(("attack", "norm"), [*EVERY, *AUTO])
def test_every_sample_keeps_to_its_own_budget(attack: str, norm: float) -> None:
    one = {}
    for budget in np.unique(BUDGETS[~STAY]):
        rows = BUDGETS.ravel() == budget
        some = rows if attack in ALONE else slice(None)
        alone = generator(attack, norm, eps=budget)
        one[budget] = rows, alone, alone.generate(X[some], Y[some])
    for eps in (BUDGETS, np.broadcast_to(BUDGETS, X.shape)):
        asked = generator(attack, norm, eps=eps)
        made = asked.generate(X, Y)
        assert (size(made - X, norm) <= BUDGETS.ravel()).all()
        np.testing.assert_array_equal(made[STAY], X[STAY])
        assert (made[~STAY] != X[~STAY]).any()
        if attack in ALONE:
            for budget, (rows, alone, expected) in one.items():
                np.testing.assert_allclose(made[rows], expected, rtol=0, atol=ALONE[attack])
                if KINDS[attack].nearest:
                    assert asked.distances_ is not None
                    np.testing.assert_allclose(asked.distances_[rows] * budget, alone.distances_, rtol=2e-3)
        else:
            apart = X.copy()
            for rows, _, whole in one.values():
                apart[rows] = whole[rows]
            assert abs(fooled(attack, made).sum() - fooled(attack, apart).sum()) <= 3
            if attack in BY_QUERIES:
                assert (asked.n_queries_[STAY] == 1).all()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_a_step_is_a_share_of_the_sample_s_own_budget(norm: float) -> None:
    made = generator("pgd", norm, eps=BUDGETS, step_size=0.25, max_iter=2).generate(X, Y)
    np.testing.assert_array_less(size(made - X, norm), 0.5 * BUDGETS.ravel() + 1e-12)
    for budget in np.unique(BUDGETS[~STAY]):
        rows = BUDGETS.ravel() == budget
        alone = generator("pgd", norm, eps=budget, step_size=0.25 * budget, max_iter=2)
        np.testing.assert_allclose(made[rows], alone.generate(X[rows], Y[rows]), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("attack", "norm"), [*EVERY, *AUTO])
def test_only_what_is_not_masked_changes(attack: str, norm: float) -> None:
    asked = generator(attack, norm, eps=0.5, constraints=Constraints(mask=MASK.astype(int)))
    made = asked.generate(X, Y)
    np.testing.assert_array_equal(made[~MASK], X[~MASK])
    assert (made[MASK] != X[MASK]).any()
    assert (size(made - X, norm) <= 0.5).all()
    right = ~fooled(attack, X)
    assert fooled(attack, made)[right].any()
    # rows of which nothing may change
    assert not fooled(attack, made)[:3][right[:3]].any()
    if attack in KINDS and KINDS[attack].nearest:
        assert np.isinf(asked.distances_[:3][right[:3]]).all()
    if attack in BY_QUERIES:
        assert (asked.n_queries_[:3] == 1).all()


@pytest.mark.parametrize(("attack", "norm"), EACH)
def test_masks_of_every_shape_are_the_constraints_that_they_stand_for(attack: str, norm: float) -> None:
    columns = np.array([True, False, True, True, False, True])
    rows = np.arange(N) % 3 > 0

    def made(**params: Any) -> Any:
        return generator(attack, norm, **{"eps": 0.5} | params).generate(X, Y)

    expected = made(constraints=Constraints(immutable=[1, 4]))
    for mask in (columns, columns.tolist(), np.tile(columns, (N, 1))):
        np.testing.assert_array_equal(made(constraints=Constraints(mask=mask)), expected)
    both = Constraints(immutable=[1, 4], mask=rows[:, None])
    whole = np.outer(rows, columns)
    np.testing.assert_array_equal(made(constraints=both), made(constraints=Constraints(mask=whole)))
    if attack in ALONE:
        np.testing.assert_allclose(made(constraints=both)[rows], expected[rows], rtol=0, atol=ALONE[attack])
        stay = made(eps=np.where(rows, 0.5, 0.0)[:, None], constraints=Constraints(immutable=[1, 4]))
        np.testing.assert_allclose(made(constraints=both), stay, rtol=0, atol=ALONE[attack])


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_masked_values_take_nothing_of_the_budget(norm: float) -> None:
    linear = LogisticRegression().fit(X_TRAIN, Y_TRAIN == 1)
    asked = AdversarialGenerator(
        FrozenEstimator(linear), attack="fgsm", norm=norm, eps=BUDGETS, constraints=Constraints(mask=MASK)
    )
    change = asked.generate(X, Y == 1) - X
    slope = np.where(Y == 1, -1, 1)[:, None] * linear.coef_ * MASK
    longest = np.abs(slope) == np.abs(slope).max(axis=1, keepdims=True)
    direction = {np.inf: np.sign(slope), 2: slope, 1: np.sign(slope) * longest}[norm]
    length = np.maximum(np.linalg.norm(direction, norm, axis=1, keepdims=True), 1e-300)
    np.testing.assert_allclose(change, BUDGETS * direction / length, atol=1e-12)


@pytest.mark.parametrize("attack", ["pgd", "fmn", "square", "hopskipjump"])
def test_images(attack: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    images = np.random.RandomState(0).uniform(size=(12, 2, 4, 4)).astype(np.float32)
    eps = np.tile([0.0, 0.05, 0.1, 0.2], 3).reshape(12, 1, 1, 1)
    mask = np.random.RandomState(1).uniform(size=(12, 1, 4, 4)) < 0.7  # the same in both channels
    rules = {"clip_values": (0, 1), "constraints": Constraints(mask=mask), "max_queries": 60}
    made = AdversarialGenerator(net, attack=attack, eps=eps, random_state=0, **rules).generate(images)
    change = np.abs(made - images)
    assert (change <= eps).all()
    assert (change[~np.broadcast_to(mask, images.shape)] == 0).all()
    assert (change.max(axis=(1, 2, 3)) > 0).any()
    assert made.dtype == np.float32


def by_hand(model: Any, X: Any, y: Any, eps: Any, random_state: int) -> Any:
    """Random signs of the budget's size."""
    return X + eps * np.random.RandomState(random_state).choice([-1.0, 1.0], size=X.shape[1])


LIBRARIES = {
    "ART": (ProjectedGradientDescent, {"num_random_init": 1, "verbose": False}),
    "foolbox": (foolbox.attacks.LinfPGD, {}),
    "foolbox, random": (foolbox.attacks.LinearSearchBlendedUniformNoiseAttack, {}),
    "torchattacks": (torchattacks.PGD, {}),
    "callable": (by_hand, {}),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("step_size", [None, 0.1])
def test_attacks_of_others(library: str, step_size: float | None) -> None:
    attack, params = LIBRARIES[library]
    norm = 2 if library == "foolbox, random" else np.inf

    def made(eps: Any, rows: Any = slice(None), step_size: Any = None, **more: Any) -> Any:
        given = {"attack_params": params, "clip_values": (-9, 9), "step_size": step_size} | more
        return generator(attack, norm, eps=eps, **given).generate(X[rows], Y[rows])

    one = made(0.3, step_size=None if step_size is None else 0.3 * step_size)
    np.testing.assert_allclose(made(np.full((N, 1), 0.3), step_size=step_size), one, rtol=0, atol=1e-12)
    each = made(BUDGETS, step_size=step_size)
    assert (size(each - X, norm) <= BUDGETS.ravel()).all()
    np.testing.assert_array_equal(each[STAY], X[STAY])
    for budget in np.unique(BUDGETS[~STAY]):
        rows = BUDGETS.ravel() == budget
        alone = made(budget, rows, None if step_size is None else budget * step_size)
        assert (alone != X[rows]).any()
        np.testing.assert_allclose(each[rows], alone, rtol=0, atol=1e-12)
    by_feature = made(BUDGETS * np.linspace(0.1, 1, 6), step_size=step_size)
    assert (size((by_feature - X) / np.linspace(0.1, 1, 6), norm) <= BUDGETS.ravel() * (1 + 1e-12)).all()
    assert (by_feature != X).any()
    masked = made(BUDGETS, constraints=Constraints(mask=MASK))
    np.testing.assert_array_equal(masked[~MASK], X[~MASK])
    assert (masked != X).any()


def test_an_attack_of_art_on_the_classifier_itself() -> None:
    """Which is offered in input units alone."""
    asked = AdversarialGenerator(source("tree"), attack=DecisionTreeAttack, eps=BUDGETS)
    made = asked.generate(X, Y)
    assert (size(made - X, np.inf) <= BUDGETS.ravel()).all()
    assert (made != X).any()


def test_nothing_is_run_where_nothing_may_change_and_nan_is_counted_over_all(monkeypatch: Any) -> None:
    sizes = []

    class Odd(ProjectedGradientDescent):
        def generate(self, x: Any, y: Any = None, **kwargs: Any) -> Any:
            sizes.append(len(x))
            made = x + self.eps
            made[0] = np.nan
            return made

    with pytest.warns(match="ART's Odd returned nan for 4 of 30 samples"):
        made = generator(Odd, eps=BUDGETS).generate(X, Y)
    assert sizes == [6, 6, 6, 6]
    moved = (made != X).any(axis=1)
    assert (moved.sum(), moved[STAY].any()) == (20, False)


@pytest.mark.parametrize(
    ("eps", "constraints", "expected"),
    [
        (BUDGETS, None, BUDGETS),
        (BUDGETS, Constraints(mask=MASK), np.where(np.arange(N)[:, None] < 3, 0, BUDGETS)),
        (BUDGETS * np.ones(6), None, BUDGETS * np.ones(6)),
        ([0.5, 0, 1, 1, 1, 1], None, np.array([0.5, 0, 1, 1, 1, 1])),
    ],
    ids=["one a sample", "masked", "one a sample and feature", "one a feature"],
)
def test_a_callable_is_given_budgets_that_broadcast(eps: Any, constraints: Any, expected: Any) -> None:
    seen = []

    def attack(model: Any, X: Any, y: Any, eps: Any) -> Any:
        seen.append(eps)
        return X + eps

    made = generator(attack, eps=eps, constraints=constraints).generate(X, Y)
    np.testing.assert_array_equal(seen[0], expected)
    free = MASK if constraints else True
    np.testing.assert_allclose(made, X + expected * free, atol=1e-12)


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize(("attack", "norm"), EVERY)
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    seed=st.integers(0, 99),
    per_feature=st.booleans(),
    share=st.sampled_from([0.1, 0.5, 1.0]),
    unit=st.sampled_from(["input", "std"]),
    integer=st.booleans(),
    clip=st.booleans(),
)
def test_no_output_is_beyond_budget_or_mask(
    attack: str, norm: float, seed: int, per_feature: bool, share: float, unit: str, integer: bool, clip: bool
) -> None:
    rng = np.random.RandomState(seed)
    some = rng.choice(N, 7, replace=False)
    data = X_TRAIN.copy()
    data[:, 0] = np.rint(data[:, 0])
    eps = rng.choice([0.0, 1e-3, 0.3, 1.0, 4.0], size=(7, 6 if per_feature else 1))
    mask = rng.uniform(size=(7, 6)) < share
    eps[0], mask[0] = 1.0, True  # one that may change
    asked = generator(
        attack,
        norm,
        eps=eps,
        eps_unit=unit,
        max_queries=40,
        max_iter=4,
        random_state=seed,
        clip_values=(data.min(axis=0), data.max(axis=0)) if clip else None,
        constraints=Constraints(mask=mask, integer=[0] if integer else ()),
    ).fit(data)
    made = asked.generate(data[some], Y_TRAIN[some])
    change, reach = made - data[some], eps * (1.0 if unit == "input" else data.std(axis=0))
    may = mask & (reach > 0)
    assert (change[~may] == 0).all()
    shares = np.divide(change, reach, out=np.zeros_like(change), where=may)
    assert (np.linalg.norm(shares, norm, axis=1) <= 1 + 1e-12).all()
    assert not integer or (made[:, 0] % 1 == 0).all()
    assert not clip or ((made >= data.min(axis=0)) & (made <= data.max(axis=0))).all()
