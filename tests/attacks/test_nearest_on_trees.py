"""The nearest sample by gradient on trees, whose soft copies are flat in places and steep in others."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.attacks._parameters import KINDS

rng = np.random.RandomState(0)
N = 400
KIND = np.eye(3)[rng.randint(3, size=N)]
X = np.column_stack([5 * rng.rand(N), 3 * rng.randn(N), KIND, rng.randint(0, 10, N), rng.randn(N)])
Y = (X[:, 0] / 5 + X[:, 1] / 6 + 0.8 * X[:, 2] - 0.5 * X[:, 3] + X[:, 5] / 10 + X[:, 6] > 1).astype(int)
TRAIN, TEST = slice(300), slice(300, 320)
SOURCES: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
    "adaboost": AdaBoostClassifier(n_estimators=20, random_state=0),
}
RULES: dict[str, dict[str, Any]] = {
    "free": {},
    "bounds": {"clip_values": (X.min(axis=0), X.max(axis=0))},
    "immutable": {"constraints": Constraints(immutable=[0, 1])},
    "one_hot": {"constraints": Constraints(one_hot=[[2, 3, 4]])},
    "integer": {"constraints": Constraints(integer=[5])},
}
KNOWN = [(name, norm) for name in ("fmn", "deepfool") for norm in KINDS[name].norms]


@cache
def fitted(name: str) -> Any:
    return SOURCES[name].fit(X[TRAIN], Y[TRAIN])


@pytest.mark.parametrize(
    ("name", "attack", "norm", "rules"),
    # every two of source, attack and rules
    [
        (name, *known, [*RULES][(i + k + more) % len(RULES)])
        for i, name in enumerate(SOURCES)
        for k, known in enumerate(KNOWN)
        for more in (0, 1)
    ],
)
def test_no_sample_costs_the_others_theirs(name: str, attack: str, norm: float, rules: str) -> None:
    source = fitted(name)
    generator = AdversarialGenerator(
        FrozenEstimator(source), attack=attack, norm=norm, eps=2.0, max_iter=20, **RULES[rules]
    )
    X_adv = generator.generate(X[TEST], Y[TEST])
    change, distances = X_adv - X[TEST], generator.distances_
    assert np.isfinite(X_adv).all()
    assert (np.linalg.norm(change, norm, axis=1) <= 2.0).all()
    # what is said to be within the budget fools; most is found, and what is not counts as not found
    fooled = source.predict(X_adv) != Y[TEST]
    assert fooled[distances <= 2.0].all()
    assert np.isfinite(distances).mean() > 0.6
    if rules == "immutable":
        assert not change[:, :2].any()
    elif rules == "one_hot":
        assert np.isin(X_adv[:, 2:5], (0, 1)).all() and (X_adv[:, 2:5].sum(axis=1) == 1).all()
    elif rules == "integer":
        assert (X_adv[:, 5] % 1 == 0).all()


@pytest.mark.parametrize(("attack", "norm"), KNOWN)
def test_never_nearer_than_the_nearest(attack: str, norm: float) -> None:
    """Of a single tree the nearest sample is known."""
    found, exact = (
        AdversarialGenerator(FrozenEstimator(fitted("tree")), attack=name, norm=norm, eps=np.inf)
        for name in (attack, "tree")
    )
    for generator in (found, exact):
        generator.generate(X[TEST], Y[TEST])
    assert (found.distances_ >= exact.distances_ - 1e-6).all()
    # in the middle, not twice as far
    assert np.median(found.distances_ / np.maximum(exact.distances_, 1e-9)) < 2
