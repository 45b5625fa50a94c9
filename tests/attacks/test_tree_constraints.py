"""attack="tree" under constraints: whole numbers and categories are searched, what cannot be is said."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.models import ModelWarning

N, TEST = 400, slice(376, 400)
KINDS, OTHERS, WHOLE, FREE = [0, 1, 2], [3, 4, 5, 6], 7, 8
RULES = {
    "a group": Constraints(one_hot=[KINDS]),
    "whole numbers": Constraints(integer=WHOLE),
    "all": Constraints(one_hot=[KINDS, OTHERS], integer=WHOLE),
    "a group that stays": Constraints(one_hot=[KINDS, OTHERS], integer=WHOLE, immutable=KINDS),
    "growing": Constraints(one_hot=[KINDS], integer=WHOLE, increasing=WHOLE),
}
SOURCES: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=0),
    "few trees": RandomForestClassifier(2, max_depth=4, random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
    "scaled": make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)),
    "histogram": HistGradientBoostingClassifier(max_iter=10, random_state=0),
}


@cache
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    kind, other, whole, free = (
        rng.integers(0, 3, N), rng.integers(0, 4, N), rng.integers(0, 7, N), rng.normal(size=N)
    )  # fmt: skip
    X = np.column_stack([np.eye(3)[kind], np.eye(4)[other], whole, free])
    return X, (free + 1.5 * (kind == 1) + (other == 2) + whole / 3 + 0.3 * rng.normal(size=N) > 2).astype(int)


@cache
def fitted(name: str) -> Any:
    X, y = data()
    return SOURCES[name].fit(X[:360], y[:360])


def attacked(name: str, attack: str = "tree", **params: Any) -> tuple[Any, Any]:
    generator = AdversarialGenerator(FrozenEstimator(fitted(name)), attack=attack, random_state=0, **params)
    return generator.generate(data()[0][TEST]), generator.distances_


def candidates(model: Any, x: Any, rules: Constraints, clip: Any) -> Any:
    """All valid inputs that a nearest one may be: every category, whole number, and side of a threshold."""
    tree = getattr(model, "tree_", None)
    thresholds = [tree] if tree is not None else [member.tree_ for member in model.estimators_]
    rows = []
    for column in range(9):
        own = np.concatenate([t.threshold[t.feature == column] for t in thresholds])
        below = own.astype(np.float32)
        below = np.where(below > own, np.nextafter(below, np.float32(-np.inf)), below)
        ends = np.concatenate([below, np.nextafter(below, np.float32(np.inf))]).astype(float)
        rows.append(np.unique(np.append(ends, x[column])))
    grouped = [list(group) for group in rules.one_hot]
    if rules.integer:
        rows[WHOLE] = np.arange(-10.0, 20.0)
    axes: list[Any] = [list(np.eye(len(group))) for group in grouped]
    single = [column for column in range(9) if all(column not in group for group in grouped)]
    axes += [[np.array([value]) for value in rows[column]] for column in single]
    order = [column for group in grouped for column in group] + single
    grid = [np.concatenate(parts) for parts in product(*axes)]
    points = np.empty((len(grid), 9))
    points[:, order] = grid
    held = ~np.isin(np.arange(9), list(rules.immutable)) | (points == x)
    held &= ~np.isin(np.arange(9), list(rules.increasing)) | (points >= x)
    inside = held.all(axis=1) & ((points >= clip[0]) & (points <= clip[1])).all(axis=1)
    return points[inside]


SMALL = DecisionTreeClassifier(max_leaf_nodes=12, random_state=0).fit(*data())


@pytest.mark.parametrize("clip", [None, (-3.0, 6.5)])
@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("rules", RULES)
def test_of_one_tree_the_nearest_valid_input_is_found(rules: str, norm: float, clip: Any) -> None:
    """Beside a grid of all that may be nearest, gone through in a loop."""
    X = data()[0][TEST][:12]
    model = SMALL
    generator = AdversarialGenerator(
        FrozenEstimator(model),
        attack="tree",
        eps=np.inf,
        norm=norm,
        clip_values=clip,
        constraints=RULES[rules],
    )
    X_adv = generator.generate(X)
    assert generator.distances_ is not None
    for i, x in enumerate(X):
        points = candidates(model, x, RULES[rules], (-np.inf, np.inf) if clip is None else clip)
        wins = model.predict(points) != model.predict(X[i : i + 1])[0]
        lengths = np.linalg.norm(points - x, norm, axis=1)
        least = lengths[wins].min() if wins.any() else np.inf
        assert generator.distances_[i] == pytest.approx(least, rel=1e-9)
        if np.isfinite(least):
            assert np.linalg.norm(X_adv[i] - x, norm) == pytest.approx(least, rel=1e-9)


def valid(X_adv: Any, X: Any, rules: Constraints) -> Any:
    kept = (X_adv[:, list(rules.integer)] % 1 == 0).all(axis=1)
    for group in rules.one_hot:
        own = X_adv[:, list(group)]
        kept &= np.isin(own, (0, 1)).all(axis=1) & (own.sum(axis=1) == 1)
    kept &= (X_adv[:, list(rules.immutable)] == X[:, list(rules.immutable)]).all(axis=1)
    return kept & (X_adv[:, list(rules.increasing)] >= X[:, list(rules.increasing)]).all(axis=1)


@pytest.mark.parametrize(
    ("name", "rules", "norm"),
    # norms by turns
    [
        (name, rules, (np.inf, 2)[(i + k) % 2])
        for i, name in enumerate(SOURCES)
        for k, rules in enumerate(RULES)
    ],
)
def test_at_least_as_many_as_without_the_trees(name: str, rules: str, norm: float) -> None:
    X, model = data()[0][TEST], fitted(name)
    params = {"eps": np.inf, "norm": norm, "constraints": RULES[rules], "clip_values": (-4, 10)}
    made = {attack: attacked(name, attack, max_queries=50, **params) for attack in ("tree", "hopskipjump")}
    fooled = {}
    for attack, (X_adv, distances) in made.items():
        wins = model.predict(X_adv) != model.predict(X)
        np.testing.assert_array_equal(wins, np.isfinite(distances))
        assert valid(X_adv, X, RULES[rules]).all()
        fooled[attack] = wins
    assert (fooled["tree"] >= fooled["hopskipjump"]).all()
    assert fooled["tree"].any()
    both = fooled["tree"] & fooled["hopskipjump"]
    assert made["tree"][1][both].mean() <= made["hopskipjump"][1][both].mean()


def test_within_a_budget_too() -> None:
    X, model = data()[0][TEST], fitted("forest")
    X_adv, distances = attacked("forest", eps=1.0, constraints=RULES["all"])
    wins = model.predict(X_adv) != model.predict(X)
    np.testing.assert_array_equal(wins, distances <= 1.0)
    assert wins.mean() > 0.8


def test_units_cost_no_digit_on_which_a_split_depends() -> None:
    X, y = data()
    rules = Constraints(one_hot=[KINDS], integer=WHOLE)
    source = DecisionTreeClassifier(random_state=0)
    generator = AdversarialGenerator(source, attack="tree", eps=np.inf, eps_unit="std", constraints=rules)
    X_adv = generator.fit(X[:360], y[:360]).generate(X[TEST])
    assert (generator.estimator_.predict(X_adv) != generator.estimator_.predict(X[TEST])).all()
    assert np.isfinite(generator.distances_).all()


def test_what_a_projection_undoes_is_said() -> None:
    X = data()[0][TEST]
    rules = Constraints(projection=lambda X_adv, X: np.rint(X_adv))
    whole = np.rint(X)
    generator = AdversarialGenerator(
        FrozenEstimator(fitted("forest")), attack="tree", eps=np.inf, constraints=rules
    )
    with pytest.warns(
        ModelWarning, match=r"for \d+ of 24 samples constraints.projection, which .* undid"
    ) as caught:
        generator.generate(whole)
    lost = int(np.isinf(generator.distances_).sum())
    assert f"for {lost} of 24 samples" in str(caught[0].message)
    scorer = TransferScorer(
        AdversarialGenerator(attack="tree", eps=3.0, constraints=rules, batch_size=8), random_state=0
    )
    scorer.fit({"a": fitted("forest"), "b": fitted("tree")})
    with pytest.warns(ModelWarning) as caught:
        scorer.transfer(whole[:16])
    # one remark for each source, whatever the batches
    said = [str(warning.message) for warning in caught if "undid the result" in str(warning.message)]
    assert sorted(text[:9] for text in said) == ["model 'a'", "model 'b'"]


ENCODED = make_pipeline(
    make_column_transformer((OneHotEncoder(), KINDS), remainder="passthrough"),
    DecisionTreeClassifier(random_state=0),
)
STUCK: dict[str, Any] = {
    "categories of trees": HistGradientBoostingClassifier(
        max_iter=10, categorical_features=KINDS, random_state=0
    ),
    "categories of steps": ENCODED,
}


@pytest.mark.parametrize("name", [*STUCK, "0 is missing"])
def test_what_is_not_searched_is_said(name: str) -> None:
    X, y = data()
    bounded = np.ones(9, dtype=bool)
    bounded[7:] = False  # nothing but categories may change
    rules = Constraints(one_hot=[KINDS, OTHERS], mask=bounded)
    if name == "0 is missing":
        xgboost = pytest.importorskip("xgboost")
        source = xgboost.XGBClassifier(n_estimators=5, missing=0.0, n_jobs=1)
    else:
        source = STUCK[name]
    model = source.fit(X[:360], y[:360])
    generator = AdversarialGenerator(FrozenEstimator(model), attack="tree", eps=np.inf, constraints=rules)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        X_adv = generator.generate(X[TEST])
    np.testing.assert_array_equal(
        model.predict(X_adv) != model.predict(X[TEST]), np.isfinite(generator.distances_)
    )
    assert valid(X_adv, X[TEST], rules).all()
    np.testing.assert_array_equal(X_adv[:, KINDS], X[TEST][:, KINDS])
    lost = int(np.isinf(generator.distances_).sum())
    assert lost
    assert any(f"for {lost} of 24 samples" in str(w.message) for w in caught)
