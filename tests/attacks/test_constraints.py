"""No output ever breaks a constraint: one checker, every attack of the package, drawn constraints."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway._streams import Streams
from skhalfway.attacks._norms import random_in_ball
from skhalfway.attacks._parameters import KINDS
from skhalfway.attacks._reference import reference_seen

# budgets that are too small for a step or a category are what these are about
TOO_SMALL = pytest.mark.filterwarnings("ignore:the budget is too small for:UserWarning")

REAL, WHOLE, GROUPS = ["r0", "r1", "r2"], ["i0", "i1"], (("a0", "a1", "a2"), ("b0", "b1"))
PARTS = ["p0", "p1", "total"]
COLUMNS = [*REAL, *WHOLE, *GROUPS[0], *GROUPS[1], *PARTS]


def made(n: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    """Real, whole and one-hot columns, and two parts beside their total."""
    Z, y = make_classification(n, 9, n_informative=7, n_redundant=0, random_state=0)
    frame = pd.DataFrame(Z[:, :3], columns=REAL)
    for name, z in zip(WHOLE, Z.T[3:5], strict=True):
        frame[name] = np.rint(2 * z)
    for group, z in zip(GROUPS, Z.T[5:7], strict=True):
        codes = pd.qcut(z, len(group), labels=False)
        frame[list(group)] = np.eye(len(group))[codes]
    frame[["p0", "p1"]] = Z[:, 7:9]
    frame["total"] = frame["p0"] + frame["p1"]
    return frame[COLUMNS], y


X, Y = made()
SOURCES = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y),
    "forest": RandomForestClassifier(4, max_depth=4, random_state=0).fit(X, Y),
}


def parts_make_the_total(X_adv: np.ndarray, X: np.ndarray) -> np.ndarray:
    total = COLUMNS.index("total")
    X_adv[:, total] = X_adv[:, total - 2] + X_adv[:, total - 1]
    return X_adv


def broken(X: pd.DataFrame, X_adv: pd.DataFrame, constraints: Constraints) -> list[str]:
    """Names of the constraints that some row breaks."""
    change = X_adv - X
    checks = {
        "immutable": (change[list(constraints.immutable)] == 0).all(axis=None),
        "integer": (X_adv[list(constraints.integer)] % 1 == 0).all(axis=None),
        "increasing": (change[list(constraints.increasing)] >= 0).all(axis=None),
        "decreasing": (change[list(constraints.decreasing)] <= 0).all(axis=None),
    }
    for group in constraints.one_hot:
        members = X_adv[list(group)]
        valid = members.isin([0, 1]).all(axis=None) and (members.sum(axis=1) == 1).all()
        checks[f"one_hot {group}"] = bool(valid)
    if constraints.projection is not None:
        moved = (change != 0).any(axis=1)
        exact = X_adv["p0"] + X_adv["p1"] == X_adv["total"]
        checks["projection"] = bool((exact | ~moved).all())
    return [name for name, holds in checks.items() if not holds]


def source_of(attack: str) -> Any:
    return SOURCES["forest" if attack in ("tree", "square") else "linear"]


EVERY = [(attack, norm) for attack, kind in KINDS.items() for norm in kind.norms]
# what needs a range gets that of the data; in norm 0 budgets count features
BOUNDED = ("cw", "sigmazero")
FULL = Constraints(
    immutable=["r0"],
    integer=WHOLE,
    one_hot=GROUPS,
    increasing=["r1"],
    decreasing=["r2"],
    projection=parts_make_the_total,
)


projection_unknown_to_trees = pytest.mark.filterwarnings(
    "ignore:.*constraints.projection, which:skhalfway.models.ModelWarning"
)


def subsets(items: list[str]) -> Any:
    return st.lists(st.sampled_from(items), unique=True)


@TOO_SMALL
@pytest.mark.parametrize(("attack", "norm"), EVERY)
@projection_unknown_to_trees
@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    immutable=subsets([*REAL, *WHOLE]),
    integer=subsets(WHOLE),
    one_hot=subsets(list(GROUPS)),
    increasing=subsets(["r0", "p0"]),
    decreasing=subsets(["r1", "p1"]),
    projected=st.booleans(),
    eps=st.sampled_from([0.1, 1.0, 2.5]),
    unit=st.sampled_from(["input", "std"]),
    seed=st.integers(0, 99),
)
def test_no_output_breaks_a_constraint(
    attack: str, norm: float, eps: float, unit: str, seed: int, projected: bool, **columns: Any
) -> None:
    constraints = Constraints(**columns, projection=parts_make_the_total if projected else None)
    if norm == 0:
        eps, unit = float(np.ceil(2 * eps)), "input"
    generator = AdversarialGenerator(
        FrozenEstimator(source_of(attack)),
        attack=attack,
        eps=eps,
        eps_unit=unit,
        norm=norm,
        constraints=constraints,
        clip_values="range" if attack in BOUNDED else None,
        attack_params={"tree": {"n_starts": 2}, "surrogate": {"n_rounds": 2}}.get(attack),
        max_iter=4,
        max_queries=30,
        random_state=seed,
    ).fit(X)
    some = X.sample(3, random_state=seed)
    X_adv = generator.transform(some)
    assert broken(some, X_adv, constraints) == []
    scale = 1.0 if unit == "input" else X.to_numpy().std(axis=0)
    assert (np.linalg.norm((X_adv - some) / scale, norm, axis=1) <= eps * (1 + 1e-12)).all()


@projection_unknown_to_trees
@pytest.mark.parametrize(("attack", "norm"), EVERY)
def test_attacks_succeed_under_constraints(attack: str, norm: float) -> None:
    source = source_of(attack)
    generator = AdversarialGenerator(
        FrozenEstimator(source),
        attack=attack,
        eps=3.0,
        norm=norm,
        constraints=FULL,
        clip_values=(X.min(), X.max()) if attack in BOUNDED else None,
        max_iter=20,
        max_queries=100,
        random_state=0,
    )
    some, labels = X[::4], Y[::4]
    X_adv = generator.fit(X).generate(some, labels)
    assert broken(some, X_adv, FULL) == []
    assert source.score(X_adv, labels) < source.score(some, labels) - 0.1
    whole = [*WHOLE, *GROUPS[0], *GROUPS[1]]
    # not only the real columns are used; a surrogate knows nothing of the others' steps, and in L1 PGD spends
    # all, where the projection leaves no whole step
    assert (
        (attack, norm) == ("pgd", 1) or attack == "surrogate" or (X_adv[whole] != some[whole]).any(axis=None)
    )


MIXED_WHOLE, MIXED_GROUPS = [3, 4, 5], [[6, 7, 8], [9, 10]]
MIXED_RULES = Constraints(immutable=[1], increasing=[2])


def mixed(holes: bool) -> tuple[Any, np.ndarray, np.ndarray]:
    """Real, whole and one-hot columns, all worth moving, some values missing; and a linear model of them."""
    rng = np.random.RandomState(0)
    real, whole = rng.normal(size=(40, 3)).round(1), rng.randint(9, size=(40, 3))
    data = np.column_stack(
        [real, whole, np.eye(3)[rng.randint(3, size=40)], np.eye(2)[rng.randint(2, size=40)]]
    )
    scores = data @ rng.normal(size=11)
    labels = (scores > np.median(scores)).astype(int)
    if holes:
        data[::3, 0] = np.nan
    return make_pipeline(SimpleImputer(), LogisticRegression()).fit(data, labels), data, labels


def nearest_valid(
    wanted: Any, x: Any, eps: float, norm: float, unit: Any, bounds: Any, full: bool
) -> np.ndarray:
    """One sample, rule by rule: of whole steps those most wanted that it can pay; real ones take the rest."""
    low, high = np.maximum(bounds[0], x - eps * unit), np.minimum(bounds[1], x + eps * unit)
    made = wanted.copy()
    for i in MIXED_WHOLE:
        made[i] = np.clip(np.rint(wanted[i]), np.ceil(low[i]), np.floor(high[i]))
    for group in MIXED_GROUPS:
        own = group[x[group].argmax()]
        may = [i for i in group if i == own or (high[i] >= 1 and low[own] <= 0)]
        made[group] = np.equal(group, max(may, key=lambda i: (wanted[i], i == own)))
    if norm == np.inf:
        return np.clip(made, low, high)

    def cost(change: Any, columns: Any) -> float:
        return float((np.abs(change / unit)[columns] ** norm).sum())

    whole = [*([i] for i in MIXED_WHOLE), *MIXED_GROUPS]
    steps = [step for step in whole if cost(made - x, step)]
    spent, result = 0.0, x.copy()
    for step in sorted(steps, key=lambda s: -cost(wanted - x, s) / cost(made - x, s)):
        if (spent + cost(made - x, step)) ** (1 / norm) <= eps:
            spent += cost(made - x, step)
            result[step] = made[step]
    real, everything = [0, 1, 2], np.arange(len(x))
    asked, left = cost(wanted - x, real), max(eps**norm - spent, 0.0)
    due = max(asked, cost(wanted - x, everything) - spent) if full else asked
    result[real] += (wanted - x)[real] * (min(due, left) / max(asked, 1e-300)) ** (1 / norm)
    return np.clip(result, low, high)


def tenths(X_adv: np.ndarray, X: np.ndarray) -> np.ndarray:
    return np.round(X_adv, 1)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("unit", ["input", "std"])
@pytest.mark.parametrize("holes", [False, True], ids=["", "missing values"])
@pytest.mark.parametrize("projection", [None, tenths])
def test_rules_together_leave_all_that_the_budget_buys(
    norm: float, unit: str, holes: bool, projection: Any
) -> None:
    model, data, _ = mixed(holes)
    bounds = np.nanmin(data, axis=0), np.nanmax(data, axis=0)
    scale = np.ones(11) if unit == "input" else np.nanstd(data, axis=0)
    x = np.nan_to_num(data)
    rules = MIXED_RULES.replaced(integer=MIXED_WHOLE, one_hot=MIXED_GROUPS, projection=projection)
    # off the tenths, whose rounding could go either way
    for eps, full in product((0.43, 1.13, 2.37, 5.03), (False, True)):
        generator = AdversarialGenerator(
            FrozenEstimator(model),
            norm=norm,
            eps=eps,
            eps_unit=unit,
            clip_values=bounds,
            constraints=rules,
        )
        region = generator._region(data, generator.fit(data), None, reference_seen(generator))
        z = (
            region.start()
            + random_in_ball(Streams(0, np.arange(len(x))), np.arange(len(x)), x.shape[1:], eps, norm) * 1.5
        )
        wanted = np.nan_to_num(replace(region, rules=None).keep(z))
        made = region.keep(z, full=full)
        np.testing.assert_array_equal(np.isnan(made), np.isnan(data))
        expected = x.copy()
        for row, (w, own) in enumerate(zip(wanted, x, strict=True)):
            limits = np.where(np.arange(11) == 2, own, bounds[0]), bounds[1]
            for halvings in range(1 if projection is None else 8):
                trial = nearest_valid(own + (w - own) / 2**halvings, own, eps, norm, scale, limits, full)
                trial = trial if projection is None else tenths(trial, own)
                length = np.linalg.norm((trial - own) / scale, norm)
                if length <= eps * (1 + 1e-9) and (trial >= bounds[0]).all() and (trial <= bounds[1]).all():
                    expected[row] = trial
                    break
        np.testing.assert_allclose(np.nan_to_num(made), expected, atol=1e-9)
    assert (expected != x).any(axis=1).mean() > 0.5


BREAKS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "not a number": lambda x, own: x.put(0, np.nan),
    "infinite": lambda x, own: x.put(0, np.inf),
    "below the bounds": lambda x, own: x.put(0, -2.6),
    "above the bounds": lambda x, own: x.put(0, 8.1),
    "a little beyond the budget": lambda x, own: x.put(0, own[0] + 0.44),
    "immutable": lambda x, own: x.put(1, own[1] + 0.01),
    "decreased": lambda x, own: x.put(2, own[2] - 0.01),
    "a fraction": lambda x, own: x.put(4, own[4] + 0.1),
    "two categories": lambda x, own: x.put([6, 7, 8], [1, 0, 1]),
    "no category": lambda x, own: x.put([9, 10], [0, 0]),
    "halves of categories": lambda x, own: x.put([6, 7, 8], [0.5, 0, 0.5]),
    "the sum of categories": lambda x, own: x.put([6, 7, 8], [1, 1, -1]),
}


@TOO_SMALL
@pytest.mark.parametrize("broken_rule", BREAKS)
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_a_row_whose_projection_breaks_a_rule_stays_and_others_move(norm: float, broken_rule: str) -> None:
    model, data, labels = mixed(holes=False)
    # a large budget where the rule is not of the budget
    eps = 0.43 if broken_rule == "a little beyond the budget" else 20.0

    def projection(X_adv: np.ndarray, X: np.ndarray) -> np.ndarray:
        for row, own in zip(X_adv, X, strict=True):
            if (own == data[7]).all():
                BREAKS[broken_rule](row, own)
        return X_adv

    rules = MIXED_RULES.replaced(integer=MIXED_WHOLE, one_hot=MIXED_GROUPS, projection=projection)
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack="fgsm", norm=norm, eps=eps, clip_values=(-2.5, 8.0), constraints=rules
    )
    data = np.clip(data, -2.5, 8.0)
    moved = (generator.generate(data, labels) != data).any(axis=1)
    assert np.flatnonzero(~moved).tolist() == [7]


@TOO_SMALL
def test_one_hot_switches_where_that_is_the_best_that_the_budget_buys() -> None:
    rng = np.random.RandomState(0)
    group = np.eye(3)[rng.randint(3, size=60)]
    data = np.hstack([group, rng.normal(size=(60, 1))])
    model = LogisticRegression(C=100).fit(data, group[:, 0] == 1)
    constraints = Constraints(one_hot=[(0, 1, 2)], immutable=[3])
    for norm, enough in ((np.inf, 1.0), (2, 2**0.5), (1, 2.0)):
        for eps, switched in ((enough * 0.99, False), (enough, True)):
            generator = AdversarialGenerator(
                FrozenEstimator(model), eps=eps, norm=norm, constraints=constraints
            )
            X_adv = generator.transform(data)
            assert (X_adv[:, 0] != data[:, 0]).all() == switched
            assert (X_adv[:, :3].sum(axis=1) == 1).all()


def test_a_group_may_be_immutable_as_a_whole() -> None:
    rules = FULL.replaced(immutable=GROUPS[0])
    X_adv = AdversarialGenerator(FrozenEstimator(SOURCES["linear"]), eps=3.0, constraints=rules).transform(X)
    assert broken(X, X_adv, rules) == []
    assert (X_adv[list(GROUPS[1])] != X[list(GROUPS[1])]).any(axis=None)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_whole_numbers_move_as_far_as_the_budget_lets_them(norm: float) -> None:
    model = LogisticRegression().fit([[-2.0], [-1], [1], [2]], [0, 0, 1, 1])
    generator = AdversarialGenerator(
        FrozenEstimator(model), eps=2.7, norm=norm, constraints=Constraints(integer=0)
    )
    assert generator.transform([[1.0], [-3.0]]).tolist() == [[-1.0], [-1.0]]


def test_a_projection_that_breaks_the_budget_is_tried_with_shorter_changes() -> None:
    model = LogisticRegression().fit([[-2.0, 0], [-1, 0], [1, 0], [2, 0]], [0, 0, 1, 1])

    def times(factor: float, X_adv: np.ndarray, X: np.ndarray) -> np.ndarray:
        return X + factor * (X_adv - X)

    generator = AdversarialGenerator(FrozenEstimator(model), eps=1.0, constraints=Constraints(immutable=1))
    # halved until it fits, down to 1/128
    for factor, moved in ((1, 1.0), (2, 1.0), (3, 0.75), (128, 1.0), (129, 0.0), (256, 0.0)):
        generator.set_params(constraints__projection=partial(times, factor))
        np.testing.assert_allclose(generator.transform([[1.0, 5.0]]), [[1.0 - moved, 5.0]])

    def elsewhere(X_adv: np.ndarray, X: np.ndarray) -> np.ndarray:
        return X_adv + 10

    generator.set_params(constraints__projection=elsewhere)
    np.testing.assert_array_equal(generator.transform([[1.0, 5.0]]), [[1.0, 5.0]])


def test_constraints_are_a_value() -> None:
    constraints = Constraints(immutable="a", integer=[np.int64(2)], one_hot=[["b", "c"]])
    same = Constraints(("a",), (2,), (("b", "c"),))
    assert constraints == same
    assert hash(constraints) == hash(same)
    assert repr(constraints) == "Constraints(immutable=('a',), integer=(2,), one_hot=(('b', 'c'),))"
    assert repr(Constraints()) == "Constraints()"
    assert pickle.loads(pickle.dumps(constraints)) == constraints
    assert clone(constraints, safe=False) is constraints
    assert constraints.replaced(integer=()) == Constraints("a", one_hot=[("b", "c")])
    with pytest.raises(FrozenInstanceError):
        constraints.integer = ()  # type: ignore[misc]


def test_a_mask_is_a_value_too() -> None:
    given = np.array([[1, 0], [1, 1]])
    constraints = Constraints("a", mask=given)
    given[:] = 0
    assert constraints.mask.tolist() == [[True, False], [True, True]]
    for same in (
        Constraints("a", mask=[[True, False], [True, True]]),
        Constraints("a", mask=torch.tensor([[1.0, 0.0], [1.0, 1.0]])),
        pickle.loads(pickle.dumps(constraints)),
        copy.deepcopy(constraints),
        constraints.replaced(mask=constraints.mask),
    ):
        assert same == constraints
        assert hash(same) == hash(constraints)
        assert not same.mask.flags.writeable
    for other in ([[1, 0], [1, 0]], [1, 0, 1, 1], None):
        assert constraints.replaced(mask=other) != constraints
    assert constraints.replaced(immutable=()) != constraints
    assert constraints != "a"
    assert repr(constraints) == "Constraints(immutable=('a',), mask=ndarray of shape (2, 2))"
    generator = AdversarialGenerator(constraints=constraints)
    assert clone(generator).constraints is constraints
    assert "mask=ndarray of shape (2, 2)" in repr(generator)
    generator.set_params(constraints__mask=[0, 1])
    assert generator.constraints == Constraints("a", mask=[False, True])
    assert generator.get_params()["constraints__mask"].tolist() == [False, True]


def test_constraints_can_be_searched_whole_and_by_field() -> None:
    scorer = TransferScorer(
        AdversarialGenerator(eps=1.0),
        estimators=[("lr", LogisticRegression()), ("other", LogisticRegression(C=0.01))],
    )
    whole = {"generator__constraints": [Constraints(REAL), None]}
    by_field = {"generator__constraints__immutable": [REAL, ()]}
    for grid in (whole, by_field):
        search = GridSearchCV(scorer, grid, cv=2).fit(X, Y)
        tried = search.cv_results_["mean_test_score"]
        assert tried[0] < tried[1]
    assert search.best_estimator_.generator.constraints == Constraints()
    generator = AdversarialGenerator(constraints=FULL)
    assert clone(generator).constraints == FULL
    assert generator.get_params()["constraints__integer"] == tuple(WHOLE)
    generator.set_params(eps=2.0, constraints__integer="i0")
    assert (generator.eps, generator.constraints) == (2.0, FULL.replaced(integer="i0"))
    assert FULL.integer == tuple(WHOLE)
    with pytest.raises(ValueError, match=r"Constraints has no \['frozen'\]; it has \['immutable', "):
        generator.set_params(constraints__frozen="i0")


NOT_CONSTRAINTS = [
    ({"immutable": 1.5}, TypeError, "immutable must be a column or a sequence of columns, got 1.5"),
    ({"integer": [0, None]}, TypeError, "integer must hold names or positions of columns, got None"),
    ({"increasing": [True]}, TypeError, "increasing must hold names or positions of columns, got True"),
    ({"one_hot": "ab"}, TypeError, "one_hot must be a sequence of groups of columns, got 'ab'"),
    ({"one_hot": [["a"]]}, ValueError, r"a one_hot group needs at least 2 columns, got \['a'\]"),
    ({"projection": 3}, TypeError, "projection must be a callable or None, got 3"),
    ({"mask": [0, 0.5]}, ValueError, "mask must hold True or 1 .*, and False or 0 elsewhere; got 0.5"),
    ({"mask": [[1.0, np.nan]]}, ValueError, "mask must hold True or 1 .*, and False or 0 elsewhere; got nan"),
    ({"mask": [0, 2]}, ValueError, "mask must hold True or 1 .*, and False or 0 elsewhere; got 2"),
    ({"mask": True}, TypeError, "mask must be an array of True and False, or of 1 and 0, got True"),
    ({"mask": ["a"]}, TypeError, r"mask must be an array of True and False, or of 1 and 0, got \['a'\]"),
    ({"mask": [[1], [1, 0]]}, TypeError, "mask must be an array of True and False, or of 1 and 0, got"),
    ({"mask": X == 0}, TypeError, "mask must be an array, whose columns are X's in .*; pass mask.X.columns"),
]


@pytest.mark.parametrize(
    ("fields", "error", "message"), NOT_CONSTRAINTS, ids=[m for *_, m in NOT_CONSTRAINTS]
)
def test_what_is_no_constraint(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Constraints(**fields)


CONTRADICTIONS = [
    (Constraints("age"), "constraints.immutable names an unknown column 'age'; X has .*'r0'"),
    (Constraints("r O"), "unknown column 'r O'; X has"),
    (Constraints("R0"), "did you mean 'r0'"),
    (Constraints("r0, r1"), r"to name several columns, write \['r0', 'r1'\]"),
    (Constraints(integer=[13]), "constraints.integer names an unknown column 13; X has the columns 0 to 12"),
    (Constraints(one_hot=[["a0", "a1"], ["a1", "a2"]]), "column 'a1' is twice in constraints.one_hot"),
    (
        Constraints(increasing="r0", decreasing="r0"),
        "column 'r0' is increasing and decreasing; make it immutable",
    ),
    (
        Constraints(integer="a0", one_hot=GROUPS[:1]),
        "column 'a0' is in constraints.integer and in a one_hot group",
    ),
    (
        Constraints(immutable="b0", one_hot=GROUPS),
        "column 'b0' is immutable, but the others of its one_hot group",
    ),
    (
        Constraints(integer="r0"),
        "column 'r0' is in constraints.integer, but holds -?[0-9.]+ in row 0; .* whole numbers",
    ),
    (
        Constraints(one_hot=[["i0", "i1"]]),
        "column 'i0', column 'i1' are a group of constraints.one_hot, but not",
    ),
    (Constraints(COLUMNS), r"no column may change: column 'r0', .*, \.\.\. are immutable, have no budget"),
    (
        Constraints(projection=lambda X_adv, X: X_adv[:, :2]),
        r"constraints.projection must return numbers of the shape it got, \(80, 13\); .* of shape \(80, 2\)",
    ),
    (
        Constraints(projection=lambda X_adv, X: X_adv.astype(str)),
        "constraints.projection must return numbers",
    ),
]


@pytest.mark.parametrize(("constraints", "message"), CONTRADICTIONS, ids=[m for _, m in CONTRADICTIONS])
def test_contradictions_name_the_column(constraints: Constraints, message: str) -> None:
    generator = AdversarialGenerator(FrozenEstimator(SOURCES["linear"]), constraints=constraints)
    with pytest.raises(ValueError, match=message):
        generator.transform(X)
    if constraints.projection is None:
        with pytest.raises(ValueError, match=message):
            AdversarialGenerator(constraints=constraints).fit(X, Y)


def test_names_need_a_frame() -> None:
    generator = AdversarialGenerator(constraints=Constraints("age"))
    with pytest.raises(ValueError, match="names the column 'age', but the data has no column names"):
        generator.fit(X.to_numpy(), Y)


@pytest.mark.parametrize("given", [["r0"], {"immutable": ["r0"]}, Constraints], ids=str)
def test_constraints_must_be_constraints(given: Any) -> None:
    with pytest.raises(TypeError, match="constraints must be a Constraints or None, got"):
        AdversarialGenerator(constraints=given).fit(X, Y)
