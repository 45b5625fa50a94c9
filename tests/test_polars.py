"""polars in, polars out: wherever a DataFrame of pandas is taken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, HalfwayScorer, TransferScorer
from skhalfway._inputs import Frame, container_of
from skhalfway._polars import without_polars
from skhalfway.codes import CodeMap
from skhalfway.models import as_model, check_model
from skhalfway.perturbation import AdversarialSampler, GeometryGenerator, PerturbationLearner
from tests.entries import ENTRIES, X

N = 60
RNG = np.random.RandomState(0)
NUMBERS = pl.DataFrame(
    {"debt ratio": RNG.rand(N), "income": RNG.rand(N).astype("float32"), "children": RNG.randint(0, 5, N)}
)
CATEGORIES = {
    "town": pl.Series([("x", "y", None)[i % 3] for i in range(N)]),
    "job": pl.Series([("clerk", "smith")[i % 2] for i in range(N)], dtype=pl.Categorical),
    "size": pl.Series([("S", "L", "S")[i % 3] for i in range(N)], dtype=pl.Enum(["S", "M", "L"])),
    "owner": pl.Series([i % 2 == 0 for i in range(N)]),
    "asked": pl.Series([(True, None, False)[i % 3] for i in range(N)]),
}
MIXED = NUMBERS.with_columns(**CATEGORIES)
LABELS = np.where(NUMBERS["children"].to_numpy() > 2, "yes", "no")
Y = pl.Series("risk", LABELS)
PIPELINE = make_pipeline(
    make_column_transformer((OneHotEncoder(), list(CATEGORIES)), remainder=StandardScaler()),
    LogisticRegression(),
)
FLOATS = {"debt ratio": pl.Float64, "income": pl.Float32, "children": pl.Float64}


def as_pandas(X: pl.DataFrame) -> pd.DataFrame:
    """The same by hand, without what is tested."""
    frame = pd.DataFrame({name: pd.Series(X[name].to_list(), dtype=object) for name in X.columns})
    floats = {name: X[name].to_numpy().dtype for name in NUMBERS.columns if name in X}
    return frame.astype(floats | dict.fromkeys({"job", "size"} & set(X.columns), "category"))


COLUMNS: dict[str, tuple[pl.Series, Any, list[Any]]] = {
    "Int8": (pl.Series([1, 2], dtype=pl.Int8), "int8", [1, 2]),
    "Int64": (pl.Series([1, 2]), "int64", [1, 2]),
    "Int64, one missing": (pl.Series([1, None]), "float64", [1, np.nan]),
    "Int128": (pl.Series([1, 2], dtype=pl.Int128), "float64", [1, 2]),
    "UInt8": (pl.Series([1, 2], dtype=pl.UInt8), "uint8", [1, 2]),
    "Decimal": (pl.Series([1.0, 2.5]).cast(pl.Decimal(9, 2)), "float64", [1, 2.5]),
    "Float32": (pl.Series([1.0, 2.5], dtype=pl.Float32), "float32", [1, 2.5]),
    "Float32, one missing": (pl.Series([1.0, None], dtype=pl.Float32), "float32", [1, np.nan]),
    "Float64": (pl.Series([1.0, float("nan")]), "float64", [1, np.nan]),
    "Null": (pl.Series([None, None]), "float64", [np.nan, np.nan]),
    "Boolean": (pl.Series([True, False]), "bool", [True, False]),
    "Boolean, one missing": (pl.Series([True, None]), "object", [True, None]),
    "String": (pl.Series(["a", None]), "object", ["a", None]),
    "Categorical": (pl.Series(["b", None], dtype=pl.Categorical), "category", ["b", np.nan]),
    "Enum": (pl.Series(["b", "a"], dtype=pl.Enum(["c", "b", "a"])), "category", ["b", "a"]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_as_pandas_takes_them(kind: str) -> None:
    column, dtype, values = COLUMNS[kind]
    before = column.clone()
    frame = without_polars(pl.DataFrame({"first one": [1.5, 2.5], "b": column}))
    assert [*frame.columns] == ["first one", "b"] and frame.dtypes["b"] == dtype
    assert all(found == wanted or found != found for found, wanted in zip(frame["b"], values, strict=True))
    if kind == "Enum":
        assert [*frame["b"].cat.categories] == ["c", "b", "a"]
    frame["first one"] = 0.0
    assert_series_equal(column, before)
    is_category = not column.dtype.is_numeric() and kind != "Null"
    assert (Frame.of(pl.DataFrame({"b": column})) is not None) == is_category


def test_what_is_not_of_polars_stays() -> None:
    frame = pd.DataFrame({"a": [1]})
    assert without_polars(frame) is frame and without_polars(X) is X and without_polars(None) is None
    np.testing.assert_array_equal(without_polars(Y), LABELS)


def test_the_container_comes_back_with_its_types_and_its_nulls() -> None:
    frame = MIXED.head(3).with_columns(
        children=pl.Series([1, None, 3]),
        income=pl.Series([None, float("nan"), 0.5], dtype=pl.Float32),
        nothing=pl.Series([None] * 3),
        age=pl.Series([30, 40, 50], dtype=pl.UInt8),
    )
    before = frame.clone()
    array = np.linspace(0, 1, 3 * frame.width).reshape(3, -1)
    made = container_of(frame)(array)
    assert made.schema == frame.schema | FLOATS | {"age": pl.Float64}
    for i, name in enumerate(frame.columns):
        if name in FLOATS or name == "age":
            known = ~np.isnan(frame[name].cast(pl.Float64).to_numpy())
            np.testing.assert_allclose(made[name].filter(known), array[known, i], rtol=1e-6)
            assert_series_equal(made[name].is_null(), frame[name].is_null())
        else:
            assert_series_equal(made[name], frame[name])
    assert_frame_equal(frame, before)


def test_rounding_never_leads_away() -> None:
    before = pl.DataFrame({"a": pl.Series(RNG.rand(500), dtype=pl.Float32)})
    change = 0.1 * RNG.rand(500, 1)
    after = container_of(before)(before.to_numpy().astype(float) + change)
    moved = after["a"].cast(pl.Float64) - before["a"].cast(pl.Float64)
    assert (moved.to_numpy() <= change[:, 0]).all() and (moved > 0).all()


GENERATOR = AdversarialGenerator(eps=0.3, random_state=0)
FROZEN = FrozenEstimator(clone(PIPELINE).fit(MIXED, LABELS))
SOURCES: dict[str, tuple[Any, pl.DataFrame]] = {
    "numbers": (LogisticRegression(), NUMBERS),
    "categories": (PIPELINE, MIXED),
    "fitted on polars": (FROZEN, MIXED),
    "native categories": (
        HistGradientBoostingClassifier(max_iter=3, random_state=0),
        MIXED.select(*NUMBERS.columns, "job", "owner"),
    ),
}


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")  # of gradients that are 0
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_a_generator_gives_the_samples_that_it_gives_for_pandas(source: str, norm: float) -> None:
    estimator, data = SOURCES[source]
    generator = AdversarialGenerator(estimator, eps=0.3, norm=norm, max_queries=30, random_state=0)
    before = data.clone()
    made = generator.fit(data, Y).generate(data, Y)
    assert list(generator.feature_names_in_) == data.columns == [*generator.get_feature_names_out()]
    assert isinstance(made, pl.DataFrame) and made.schema == data.schema | FLOATS
    assert_frame_equal(data, before)
    assert_frame_equal(made.drop(NUMBERS.columns), data.drop(NUMBERS.columns))
    frame = as_pandas(data)
    of_pandas = generator.fit(frame, LABELS).generate(frame, LABELS)
    np.testing.assert_array_equal(made.select(NUMBERS.columns), of_pandas[NUMBERS.columns])
    change = (made.select(NUMBERS.columns).cast(pl.Float64) - NUMBERS.cast(pl.Float64)).to_numpy()
    assert 0 < np.linalg.norm(change, norm, axis=1).max() <= 0.3
    assert_frame_equal(generator.transform(data.head(7)).head(7), generator.transform(data.head(7)))


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
def test_missing_numbers_stay_null() -> None:
    data = NUMBERS.with_columns(
        pl.when(pl.col("income") > 0.5).then(None).otherwise(pl.col("income")).alias("income"),
        pl.when(pl.col("children") > 3).then(None).otherwise(pl.col("children")).alias("children"),
    )
    model = HistGradientBoostingClassifier(max_iter=3, random_state=0)
    generator = AdversarialGenerator(model, attack="hopskipjump", eps=0.3, max_queries=30, random_state=0)
    made = generator.fit(data, Y).transform(data)
    assert_frame_equal(made.select(pl.all().is_null()), data.select(pl.all().is_null()))
    assert not made.equals(data)


def test_budgets_and_constraints_by_name() -> None:
    eps = {"debt ratio": 0.2, "income": 0.3, "children": 1.0}
    constraints = Constraints(immutable="income", integer="children", increasing="debt ratio")
    data = NUMBERS.with_columns(children=pl.col("children").cast(pl.UInt8))
    made = AdversarialGenerator(eps=eps, constraints=constraints).fit(data, Y).transform(data)
    change = made.cast(pl.Float64) - data.cast(pl.Float64)
    assert change["income"].abs().max() == 0
    assert 0 <= change["debt ratio"].min() and change["debt ratio"].max() <= 0.2  # type: ignore[operator]
    assert change["children"].abs().max() == 1 and set(change["children"]) <= {-1.0, 0.0, 1.0}


OUTPUTS = {"polars": pl.DataFrame, "pandas": pd.DataFrame}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    "given", [NUMBERS, NUMBERS.to_numpy(), as_pandas(NUMBERS)], ids=["polars", "array", "pandas"]
)
def test_set_output(given: Any, output: str) -> None:
    generator = AdversarialGenerator().fit(given, LABELS)
    plain = np.asarray(generator.transform(given))
    made = generator.set_output(transform=output).transform(given)
    assert type(made) is OUTPUTS[output]
    names = ["x0", "x1", "x2"] if isinstance(given, np.ndarray) else NUMBERS.columns
    assert list(made.columns) == names
    np.testing.assert_allclose(np.asarray(made, dtype=float), plain)
    assert type(generator.set_output(transform="default").transform(given)) is type(given)


def test_a_scorer_of_several_models() -> None:
    tree = make_pipeline(PIPELINE[0], DecisionTreeClassifier(random_state=0))
    scorer = TransferScorer(
        AdversarialGenerator(eps=0.5, max_queries=20),
        estimators=[("lr", PIPELINE), ("tree", tree)],
        random_state=0,
    )
    matrix = scorer.fit(MIXED, Y).transfer(MIXED, Y, keep_samples=True)
    of_pandas = scorer.fit(as_pandas(MIXED), LABELS).transfer(as_pandas(MIXED), LABELS)
    np.testing.assert_array_equal(matrix.rates, of_pandas.rates)
    assert list(scorer.feature_names_in_) == MIXED.columns
    samples = matrix.samples("lr")
    assert isinstance(samples, pl.DataFrame) and samples.schema == MIXED.schema | FLOATS
    curve = scorer.transfer_curve(MIXED, Y, eps=[0.1, 0.5])
    assert curve.matrices[-1].rates.tolist() == matrix.rates.tolist()
    assert scorer.robust_accuracy(FROZEN, MIXED, Y) == scorer.robust_accuracy(
        FROZEN, as_pandas(MIXED), LABELS
    )


def test_samples_of_some_rows_of_a_matrix() -> None:
    models = [LogisticRegression().fit(NUMBERS, Y), DecisionTreeClassifier(random_state=0).fit(NUMBERS, Y)]
    scorer = TransferScorer(AdversarialGenerator(eps=0.3, max_queries=20), random_state=0).fit(models)
    matrix = scorer.transfer(NUMBERS, Y, keep_samples=True)
    rows = np.array([7, 3])
    samples = matrix.subset(rows).samples("logisticregression")
    assert_frame_equal(samples, matrix.samples("logisticregression")[rows])


def test_samples_that_are_kept_do_not_follow_what_is_done_to_the_data() -> None:
    X, tree = MIXED.clone(), make_pipeline(PIPELINE[0], DecisionTreeClassifier(random_state=0))
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, max_queries=20), random_state=0)
    models = {"lr": clone(PIPELINE).fit(X, Y), "tree": tree.fit(X, Y)}
    matrix = scorer.fit(models).transfer(X, Y, keep_samples=True)
    before = matrix.samples("lr")
    X[5, "town"], X[5, "income"] = "z", 9.0
    X.drop_in_place("job")
    assert "job" in before.columns and not before["town"].is_in(["z"]).any()
    assert_frame_equal(matrix.samples("lr"), before)


RESULTS: dict[str, Callable[[Any, Any], Any]] = {
    "check_model": lambda X, y: check_model(
        FROZEN, MIXED if isinstance(X, pl.DataFrame) else as_pandas(MIXED), y
    ),
    "halfway": lambda X, y: (
        HalfwayScorer(n_pairs=10, random_state=0)
        .fit([LogisticRegression().fit(NUMBERS, Y), DecisionTreeClassifier(random_state=0).fit(NUMBERS, Y)])
        .measure(X, y)
        .crossings
    ),
    "predict": lambda X, y: as_model(LogisticRegression().fit(NUMBERS, Y)).predict(X),
    "learner": lambda X, y: PerturbationLearner(LogisticRegression(), random_state=0).fit(X, y).predict(X),
}


@pytest.mark.parametrize("name", RESULTS)
def test_measures_are_those_for_pandas(name: str) -> None:
    found, expected = (RESULTS[name](*data) for data in ((NUMBERS, Y), (as_pandas(NUMBERS), LABELS)))
    if isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


def test_a_network_is_mapped() -> None:
    codes = CodeMap(MLPClassifier((4,), max_iter=20), shape=(2, 2), n_iter=60, random_state=0)
    with pytest.warns(match="Maximum iterations|coarse|variance"):
        np.testing.assert_array_equal(
            codes.fit(NUMBERS, Y).transform(NUMBERS), codes.fit(as_pandas(NUMBERS), LABELS).transform(NUMBERS)
        )


@pytest.mark.parametrize("keep_clean", [False, True])
@pytest.mark.parametrize(("source", "data"), [(None, NUMBERS), (PIPELINE, MIXED)], ids=["numbers", "mixed"])
def test_a_sampler_gives_polars(source: Any, data: pl.DataFrame, keep_clean: bool) -> None:
    sampler = AdversarialSampler(GENERATOR, sources=source, keep_clean=keep_clean, random_state=0)
    X_res, y_res = sampler.fit_resample(data, Y)
    assert X_res.schema == data.schema | FLOATS and isinstance(y_res, pl.Series)
    assert len(X_res) == len(y_res) == N * (1 + keep_clean)
    if keep_clean:
        assert_frame_equal(X_res.head(N), data.cast({"children": pl.Float64}))
    rows = sampler.sample_indices_
    assert_frame_equal(X_res.tail(N).drop(NUMBERS.columns), data[rows].drop(NUMBERS.columns))
    assert y_res.tail(N).to_list() == Y[rows].to_list()


@pytest.mark.parametrize(
    "settings", [{}, {"perturbation_only": True}, {"base": "noise", "n_noise": 70}], ids=str
)
def test_a_learner_keeps_polars(settings: dict[str, Any]) -> None:
    learner = PerturbationLearner(LogisticRegression(), **settings, random_state=0).fit(NUMBERS, Y)
    for kept in (learner.X_base_, learner.X_perturbed_):
        assert isinstance(kept, pl.DataFrame) and kept.columns == NUMBERS.columns
    of_pandas = PerturbationLearner(LogisticRegression(), **settings, random_state=0)
    of_pandas.fit(as_pandas(NUMBERS), LABELS)
    np.testing.assert_array_equal(learner.learner_.coef_, of_pandas.learner_.coef_)
    assert learner.score(NUMBERS, Y) == of_pandas.score(as_pandas(NUMBERS), LABELS)
    assert learner.control_score(NUMBERS, Y) == of_pandas.control_score(as_pandas(NUMBERS), LABELS)


def test_geometry_of_polars() -> None:
    rows, y = np.eye(4), [1, -1, 1, -1]
    data = pl.DataFrame(rows, schema=list("abcd"))
    made = GeometryGenerator(eps=0.1).fit(data, y).generate(data, y)
    assert isinstance(made, pl.DataFrame) and made.schema == data.schema
    np.testing.assert_allclose(made, GeometryGenerator(eps=0.1).fit(rows, y).generate(rows, y))


SAMPLES = ("X", "A", "B", "Z", "X3", "X_train", "X_test", "X_a", "X_b", "perturbation", "directions")


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize("name", [name for name, (_, given) in ENTRIES.items() if set(given) & set(SAMPLES)])
def test_every_way_in_takes_polars(name: str) -> None:
    function, given = ENTRIES[name]
    handed = dict(given)
    for parameter, value in given.items():
        if parameter in SAMPLES and value is not None:
            handed[parameter] = pl.DataFrame(
                np.asarray(value), schema=[f"x{i}" for i in range(np.shape(value)[1])]
            )
        elif parameter in ("y", "y_test", "y_train", "y_a", "y_b") and value is not None:
            handed[parameter] = pl.Series(np.asarray(value))
    function(**handed)


def test_columns_in_another_order_are_an_error() -> None:
    with pytest.raises(ValueError, match="feature names"):
        AdversarialGenerator().fit(NUMBERS, Y).transform(NUMBERS.select(reversed(NUMBERS.columns)))
    with pytest.raises(ValueError, match="columns of categories, .'town'"):
        HalfwayScorer(n_pairs=2, estimators=[("a", PIPELINE), ("b", PIPELINE)]).fit(MIXED, Y)


def test_neither_polars_nor_pyarrow_is_imported() -> None:
    code = (
        "import sys, numpy as np; from skhalfway import AdversarialGenerator\n"
        "X = np.arange(8.0).reshape(4, 2); AdversarialGenerator().fit(X, [0, 1, 0, 1]).transform(X)\n"
        "assert 'polars' not in sys.modules\n"
        "import polars as pl; sys.modules['pyarrow'] = None\n"
        "X = pl.DataFrame({'a': [1.0, 2], 'b': ['x', 'y']})\n"
        "from skhalfway._inputs import Frame; assert list(Frame.of(X).names) == ['b']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
