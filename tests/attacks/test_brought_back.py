"""What is nearest outside the budget is brought back into it: where it wins there, that is the distance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skhalfway import AdversarialGenerator, Constraints

pytestmark = [
    pytest.mark.filterwarnings("ignore:the budget is too small"),
    pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning"),
]
rng = np.random.default_rng(0)
X = np.column_stack([rng.integers(0, 8, (500, 2)), rng.normal(size=(500, 3))])
Y = (X.sum(axis=1) > 7).astype(int)
TEST = X[400:420]
SOURCES: dict[str, Any] = {
    "linear": LogisticRegression(max_iter=1000).fit(X[:400], Y[:400]),
    "forest": RandomForestClassifier(10, random_state=0).fit(X[:400], Y[:400]),
}
WHOLE = Constraints(integer=[0, 1])


@dataclass(frozen=True)
class Case:
    source: str
    attack: str
    norm: float
    params: dict[str, Any] = field(default_factory=dict)


TREES = {"constraints": WHOLE, "attack_params": {"n_starts": 2}}
CASES = [
    *(
        Case(source, attack, norm, {"max_queries": 60, "constraints": rules})
        for source in SOURCES
        for attack in ("hopskipjump", "halfway")
        for norm in (np.inf, 2)
        for rules in (WHOLE, None)
    ),
    *(
        Case("linear", attack, norm, {"constraints": WHOLE, "max_iter": 20})
        for attack, norm in [("fmn", np.inf), ("fmn", 2), ("fmn", 1), ("deepfool", np.inf), ("deepfool", 2)]
    ),
    *(Case("forest", "tree", norm, TREES) for norm in (np.inf, 2, 1)),
]


@pytest.mark.parametrize(
    ("case", "eps"),
    # with two budgets of three, by turns
    [(case, eps) for i, case in enumerate(CASES) for k, eps in enumerate([0.7, 1.3, 2.2]) if (i + k) % 3],
    ids=lambda one: f"{one.source}-{one.attack}-{one.norm}" if isinstance(one, Case) else None,
)
def test_no_distance_is_larger_than_a_change_that_wins(case: Case, eps: float) -> None:
    model = SOURCES[case.source]
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack=case.attack, eps=eps, norm=case.norm, random_state=0, **case.params
    )
    X_adv = generator.generate(TEST)
    assert generator.distances_ is not None
    before, after, n_won = model.predict(TEST), model.predict(X_adv), 0
    for i, distance in enumerate(generator.distances_):
        length = np.linalg.norm(X_adv[i] - TEST[i], case.norm)
        assert length <= eps
        if before[i] != after[i]:
            assert distance == pytest.approx(length, rel=1e-9)
            n_won += 1
        else:
            assert distance > eps
    # in L1 a budget of 0.7 leaves real columns too little
    assert n_won == (generator.distances_ <= eps).sum() and (n_won > 0 or (case.norm, eps) == (1, 0.7))
    if generator.n_queries_ is not None:
        assert generator.n_queries_.max() <= 60


@pytest.mark.parametrize("max_queries", [1, 2, 3, 5])
@pytest.mark.parametrize("attack", ["hopskipjump", "halfway"])
def test_the_last_query_is_one_of_them(attack: str, max_queries: int) -> None:
    generator = AdversarialGenerator(
        FrozenEstimator(SOURCES["forest"]),
        attack=attack,
        eps=0.5,
        constraints=WHOLE,
        max_queries=max_queries,
        random_state=0,
    )
    X_adv = generator.generate(TEST)
    assert generator.n_queries_ is not None and generator.distances_ is not None
    assert generator.n_queries_.max() <= max_queries
    won = SOURCES["forest"].predict(X_adv) != SOURCES["forest"].predict(TEST)
    np.testing.assert_array_equal(won, generator.distances_ <= 0.5)
