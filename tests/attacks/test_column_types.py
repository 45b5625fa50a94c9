"""DataFrames whose columns have several float types: what is asked of the models is what is given out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway._rounding import ColumnTypes, round_towards
from skhalfway.attacks._tree_cells import Cells
from skhalfway.models._tree_parsers import tree_ensemble

N = 12
TYPES: dict[str, dict[str, str]] = {
    "float32": {"a": "float32"},
    "float16": {"a": "float16"},
    "both": {"a": "float32", "b": "float16"},
    "integers": {"a": "float32", "d": "int64"},
    "short integers beside float32": {"a": "float32", "b": "float32", "c": "float32", "d": "int8"},
    "pandas' own": {"a": "Float32", "d": "Int64"},
}
SOURCES: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(10, random_state=0),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=15, random_state=0),
    "linear": LogisticRegression,
}


@dataclass(frozen=True)
class Case:
    source: str
    attack: Any
    params: dict[str, Any] = field(default_factory=dict)


def outwards(model: Any, X: Any, y: Any) -> Any:
    """Changes that neither float32 nor float16 holds."""
    return X - np.sign(np.asarray(X).sum(axis=1, keepdims=True)) * np.pi / 4


CASES = {
    "tree on a tree": Case("tree", "tree"),
    "tree on a forest": Case("forest", "tree"),
    "tree on boosting": Case("boosting", "tree"),
    "tree on boosting, L2": Case("boosting", "tree", {"norm": 2}),
    "tree on boosting, whole numbers": Case("boosting", "tree", {"constraints": Constraints(integer="d")}),
    "hopskipjump": Case("boosting", "hopskipjump", {"max_queries": 40}),
    "hopskipjump, spread": Case("boosting", "hopskipjump", {"max_queries": 40, "eps_unit": "std"}),
    "halfway": Case("boosting", "halfway", {"max_queries": 40}),
    "square": Case("boosting", "square", {"max_queries": 40}),
    "surrogate": Case("boosting", "surrogate", {"max_queries": 10}),
    "auto": Case("boosting", "auto", {"max_iter": 5}),
    "pgd": Case("linear", "pgd", {"max_iter": 5}),
    "fmn": Case("linear", "fmn", {"max_iter": 10}),
    "deepfool, L2": Case("linear", "deepfool", {"max_iter": 10, "norm": 2}),
    "callable": Case("boosting", outwards),
    "projection": Case(
        "boosting", "hopskipjump", {"max_queries": 40, "constraints": Constraints(projection=lambda X, _: X)}
    ),
}


def data(types: dict[str, str]) -> tuple[pd.DataFrame, Any]:
    X = np.random.default_rng(0).normal(size=(300, 4))
    X[:, 3] = np.rint(3 * X[:, 3])
    return pd.DataFrame(X, columns=list("abcd")).astype(types), (X.sum(axis=1) > 0).astype(int)


@cache
def fitted(name: str, types: str) -> Any:
    X, y = data(TYPES[types])
    return SOURCES[name]().fit(X, y)


def counted(model: Any, X: Any, X_adv: Any, y: Any) -> int:
    """How many samples that a model gets right it gets wrong as they were given out."""
    before, after, n = model.predict(X), model.predict(X_adv), 0
    for i in range(len(y)):
        n += before[i] == y[i] and after[i] != y[i]
    return n


@pytest.mark.parametrize(
    ("case", "types"),
    [(case, types) for i, case in enumerate(CASES) for types in (*TYPES, *TYPES)[i % 6 :][::3][:2]],
)
def test_a_scorer_counts_what_it_gives_out(case: str, types: str) -> None:
    X, y = data(TYPES[types])
    source, other = fitted(CASES[case].source, types), fitted("tree", types)
    generator = AdversarialGenerator(attack=CASES[case].attack, eps=1.0, **CASES[case].params)
    scorer = TransferScorer(generator, random_state=0, sources=["source"])
    result = scorer.fit({"source": source, "other": other}).transfer(X[:N], y[:N], keep_samples=True)
    X_adv = result.samples("source")
    assert result.source_fooled[0] == counted(source, X[:N], X_adv, y[:N]) > 0
    assert result.kept is not None
    asked = result.kept.arrays["source"]
    np.testing.assert_array_equal(X_adv.to_numpy(float), asked)
    for before, after in zip(X.dtypes, X_adv.dtypes, strict=True):
        assert after == str(before).lower() if "loat" in str(before) else asked.dtype


@pytest.mark.parametrize("case", ["tree on a tree", "tree on boosting", "hopskipjump", "fmn", "auto"])
def test_polars_too(case: str) -> None:
    X, y = data({"a": "float32", "b": "float32", "c": "float32", "d": "int8"})
    frame = pl.DataFrame({name: X[name].to_numpy() for name in X})
    source, labels = SOURCES[CASES[case].source]().fit(frame, y), y[:N]
    generator = AdversarialGenerator(FrozenEstimator(source), attack=CASES[case].attack, eps=1.0)
    X_adv = generator.set_params(**CASES[case].params).generate(frame[:N], labels)
    assert X_adv.dtypes == [pl.Float32] * 4
    if generator.distances_ is not None:
        fooled = source.predict(X_adv) != labels
        assert fooled[generator.distances_ <= 1.0].all()
    mixed = frame.with_columns(pl.col("b").cast(pl.Float64))
    X_adv = generator.generate(mixed[:N], labels)
    assert X_adv.dtypes == [pl.Float32, pl.Float64, pl.Float32, pl.Float64]


@pytest.mark.parametrize("source", ["tree", "forest", "boosting"])
@pytest.mark.parametrize(
    ("types", "norm"),
    [("float32", np.inf), ("float16", 2), ("both", 1), ("integers", 2), ("pandas' own", np.inf)],
)
def test_the_nearest_of_trees_are_on_the_right_side_in_that_type(
    types: str, norm: float, source: str
) -> None:
    X, y = data(TYPES[types])
    model = fitted(source, types)
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack="tree", norm=norm, eps=np.inf, attack_params={"n_starts": 2}
    )
    X_adv = generator.generate(X[:N], y[:N])
    fooled = model.predict(X_adv) != y[:N]
    np.testing.assert_array_equal(fooled, np.isfinite(generator.distances_))
    assert fooled.all()
    change = X_adv.to_numpy(float) - X[:N].to_numpy(float)
    np.testing.assert_allclose(np.linalg.norm(change, norm, axis=1), generator.distances_, rtol=1e-9)


@pytest.mark.parametrize("own", ["float64", "float32", "float16"])
def test_cells_end_at_numbers_of_the_columns_type(own: str) -> None:
    X, y = np.random.default_rng(0).normal(size=(300, 2)), np.arange(300) % 2
    ensemble = tree_ensemble(DecisionTreeClassifier(random_state=0).fit(X, y))
    cells = Cells(ensemble, 2, [np.dtype(own), np.dtype("float64")])
    narrowest = {
        0: np.dtype(min(own, "float32", key=lambda name: np.dtype(name).itemsize)),
        1: np.dtype("f4"),
    }
    for slot, feature in enumerate(cells.feature):
        type_ = narrowest[int(feature)]
        if cells.is_empty[slot]:
            continue
        for end in (cells.bottom[slot], cells.top[slot]):
            assert type_.type(end) == end
            if np.isfinite(end):
                row = np.zeros((1, 2))
                row[0, feature] = end
                assert cells.of(row)[0, feature] == slot - cells.first[feature]


@pytest.mark.parametrize("narrow", [np.float32, np.float16])
def test_rounding_never_leads_further(narrow: Any) -> None:
    rng = np.random.default_rng(0)
    anchor = np.append(rng.normal(size=500).astype(narrow).astype(float), [1.0, 65000.0, 1024.0])
    values = np.append(anchor[:500] + rng.normal(size=500), [1e300, 0.1, 1e-30])
    rounded = round_towards(values, anchor, narrow)
    assert rounded.dtype == narrow
    for value, start, end in zip(values, anchor, rounded.astype(float), strict=True):
        assert min(start, value) <= end <= max(start, value)


@pytest.mark.parametrize(
    ("X", "narrow"),
    [
        (np.zeros((2, 2), dtype=np.float32), None),
        (pd.DataFrame({"a": [1.0]}), None),
        (pd.DataFrame({"a": [1.0], "b": ["text"], "c": [1]}), None),
        (pd.DataFrame({"a": [1.0], "b": np.float32([1])}), ("float64", "float32")),
        (pl.DataFrame({"a": [1.0], "b": pl.Series([1.0], dtype=pl.Float32)}), ("float64", "float32")),
        (pl.DataFrame({"a": [1.0], "b": pl.Series(["x"])}), None),
    ],
)
def test_which_columns_are_narrower(X: Any, narrow: Any) -> None:
    types = ColumnTypes.of(X, np.float64)
    assert (types if types is None else tuple(map(str, types.each))) == narrow
