"""Attack ``"tree"`` on what holds trees: steps before them, and votes, bags, boosts, calibrations of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
    scale,
)
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.models import ModelWarning, NotDifferentiableError, as_model
from skhalfway.models._tree_input import trees_of
from skhalfway.models._type_checks import is_art_classifier


def tree(depth: int | None = 4) -> Any:
    return DecisionTreeClassifier(max_depth=depth, random_state=0)


def forest(n: int = 8, **params: Any) -> Any:
    return RandomForestClassifier(n, random_state=0, **params)


def boosting() -> Any:
    return HistGradientBoostingClassifier(max_iter=4, max_leaf_nodes=6)


# older versions know one method, newer ones warn of that
BY_QUANTILES = {
    name: value
    for name, value in {"quantile_method": "averaged_inverted_cdf"}.items()
    if name in KBinsDiscretizer().get_params()
}


def bins() -> Any:
    return KBinsDiscretizer(6, encode="ordinal", **BY_QUANTILES)


def mixed_votes(voting: str) -> Any:
    piped = make_pipeline(StandardScaler(), forest(4))
    members = [("boosting", boosting()), ("piped", piped), ("tree", tree())]
    return VotingClassifier(members, voting=voting, weights=[2, 1, 1])


HOLDERS = {
    "frozen": FrozenEstimator(tree()),
    "search": GridSearchCV(
        make_pipeline(MinMaxScaler(), tree()), {"decisiontreeclassifier__max_depth": [3]}, cv=2
    ),
    "standard": make_pipeline(StandardScaler(), tree()),
    "range, clipped": make_pipeline(MinMaxScaler((0.1, 0.9), clip=True), forest()),
    "largest": make_pipeline(MaxAbsScaler(), forest()),
    "robust": make_pipeline(RobustScaler(), boosting()),
    "quantiles": make_pipeline(QuantileTransformer(n_quantiles=30), tree()),
    "power": make_pipeline(PowerTransformer(), tree()),
    "bins": make_pipeline(bins(), forest()),
    "two numbers": make_pipeline(Binarizer(threshold=2.5), tree()),
    "some": make_pipeline(StandardScaler(), SelectKBest(k=2), tree()),
    "imputed": make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), tree()),
    "nothing": Pipeline([("a", "passthrough"), ("b", FunctionTransformer()), ("c", tree())]),
    "nothing, then some": Pipeline([("a", "passthrough"), ("b", SelectKBest(k=2)), ("c", tree())]),
    "votes behind nothing": VotingClassifier(
        [("a", Pipeline([("a", "passthrough"), ("b", SelectKBest(k=2)), ("c", tree())])), ("b", tree())]
    ),
    "several at once": make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", bins())]), forest()),
    "columns": make_pipeline(
        ColumnTransformer(
            [("a", StandardScaler(), [3, 0]), ("b", make_pipeline(MinMaxScaler(), PowerTransformer()), [1])],
            remainder="passthrough",
            transformer_weights={"a": 2.5},
        ),
        GradientBoostingClassifier(n_estimators=4, random_state=0),
    ),
    "soft votes": VotingClassifier([("a", forest()), ("b", tree())], voting="soft", weights=[2, 1]),
    "soft votes of several kinds": mixed_votes("soft"),
    "votes": VotingClassifier([("a", tree(2)), ("b", tree(3)), ("c", tree(5)), ("gone", "drop")]),
    "votes of several kinds": mixed_votes("hard"),
    "bag": BaggingClassifier(tree(), 8, max_features=0.5, random_state=0),
    "bag of few samples": BaggingClassifier(tree(), 6, max_samples=5, random_state=0),
    "bag of forests behind steps": BaggingClassifier(
        make_pipeline(StandardScaler(), forest(3)), 3, max_features=3, random_state=0
    ),
    "bag of boosting": BaggingClassifier(boosting(), 3, random_state=0),
    "boost": AdaBoostClassifier(n_estimators=12, random_state=0),
    "boost of forests": AdaBoostClassifier(forest(3, max_depth=2), n_estimators=4, random_state=0),
    "soft votes of boosts": VotingClassifier(
        [("a", AdaBoostClassifier(n_estimators=5, random_state=0)), ("b", boosting()), ("c", forest(3))],
        voting="soft",
    ),
    "calibrated tree": CalibratedClassifierCV(tree(), cv=3),
    "calibrated forest": CalibratedClassifierCV(forest(), method="isotonic", cv=2),
    "calibrated once": CalibratedClassifierCV(forest(), cv=2, ensemble=False),
    "calibrated boosting": CalibratedClassifierCV(boosting(), cv=2),
    "calibrated boost": CalibratedClassifierCV(AdaBoostClassifier(n_estimators=5, random_state=0), cv=2),
    "votes behind a step": make_pipeline(
        StandardScaler(), VotingClassifier([("a", forest(4)), ("b", make_pipeline(bins(), forest(4)))])
    ),
}
each_holder = pytest.mark.parametrize("name", HOLDERS)
each_class_count = pytest.mark.parametrize("n_classes", [2, 3])


@cache
def data(n_classes: int) -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    # bins of the same width for the same values, in every version
    kept = y >= 3 - n_classes
    return X[kept], y[kept] - (3 - n_classes)


@cache
def fitted(name: str, n_classes: int) -> Any:
    X, y = data(n_classes)
    if name == "frozen":
        return FrozenEstimator(tree().fit(X, y))
    with warnings.catch_warnings():
        # bins of a width of 0, where many values are equal
        warnings.filterwarnings("ignore", "Bins whose width are too small", UserWarning)
        return clone(HOLDERS[name]).fit(X, y)


def attacked(source: Any, X: Any, labels: Any = None, **options: Any) -> tuple[Any, Any]:
    """Adversarial samples, and how far they are."""
    generator = AdversarialGenerator(
        source if is_art_classifier(source) else FrozenEstimator(source),
        attack="tree",
        eps=np.inf,
        attack_params={"n_starts": 2},
        random_state=0,
        **options,
    )
    return generator.generate(X, labels), generator.distances_


@each_class_count
@each_holder
def test_the_trees_are_those_of_the_source(name: str, n_classes: int) -> None:
    source, (X, _) = fitted(name, n_classes), data(n_classes)
    X = np.vstack([X, X + np.random.default_rng(0).normal(size=X.shape), 10 * X, -X])
    ensemble, made, _ = trees_of(as_model(source), X)
    assert made.shape[1] == 0
    np.testing.assert_array_equal(source.classes_[ensemble.predict(X)], source.predict(X))


@each_class_count
@each_holder
def test_the_sums_say_what_the_source_says(name: str, n_classes: int) -> None:
    """Probabilities, and decision values where there are some."""
    source, (X, _) = fitted(name, n_classes), data(n_classes)
    ensemble, *_ = trees_of(as_model(source), X)
    sums, response = ensemble.sums(X), ensemble.response
    if hasattr(source, "predict_proba"):
        np.testing.assert_allclose(response.probability(sums), source.predict_proba(X), atol=1e-6)
    # a bag has a mean of decision values, which its predictions do not follow
    if hasattr(source, "decision_function") and not isinstance(source, BaggingClassifier):
        np.testing.assert_allclose(response.decision(sums), source.decision_function(X), atol=1e-6)
    else:
        with pytest.raises(NotDifferentiableError, match="probabilities, not decision values"):
            response.decision(sums)
    if response.guides:
        guide = response.guide(sums)
        assert guide.shape == (len(X), n_classes) and np.isfinite(guide).all()
        # a twentieth of the members' own beside the shares of all
        votes = getattr(response, "votes", response)
        own = sum(member.guide(sums[:, at]) for at, member in votes.members)
        np.testing.assert_allclose(guide, (votes.scores(sums) + 0.05 * own) / votes.total)


@pytest.mark.parametrize(
    ("name", "n_sums"),
    [
        ("votes", (2, 3)),  # of trees alone: the shares
        ("soft votes", (2, 3)),
        ("soft votes of several kinds", (2 + 1, 3 + 3)),  # and boosting's logits
        ("votes of several kinds", (2 + 1 + 2, 3 + 3 + 3)),  # and those of a forest that votes as one
        ("calibrated forest", (2 + 2 + 2, 3 + 3 + 3)),  # and of one for each of two folds
    ],
)
def test_there_are_no_more_sums_than_it_takes(name: str, n_sums: tuple[int, int]) -> None:
    for n_classes, n in zip((2, 3), n_sums, strict=True):
        ensemble, *_ = trees_of(as_model(fitted(name, n_classes)), data(n_classes)[0])
        assert ensemble.value.shape[1] == len(ensemble.baseline) == n


@each_class_count
@each_holder
def test_all_samples_are_found(name: str, n_classes: int) -> None:
    source, (X, _) = fitted(name, n_classes), data(n_classes)
    X = X[::8]
    own = source.predict(X)
    X_adv, distances = attacked(source, X, norm=2)
    assert np.isfinite(distances).all()
    assert (source.predict(X_adv) != own).all()
    np.testing.assert_allclose(np.linalg.norm(X_adv - X, axis=1), distances)
    # other samples are adversarial points, too
    everything = data(n_classes)[0]
    away = np.linalg.norm(X[:, None] - everything, axis=2)
    away[own[:, None] == source.predict(everything)] = np.inf
    assert (distances <= away.min(axis=1) + 1e-12).all()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("kind", ["vote", "boost"])
def test_votes_of_one_are_searched_as_that_one(kind: str, norm: float) -> None:
    """Votes stand still on the way to a boundary, and the member's own scores show it."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = scale(X)[:200], y[:200]
    if kind == "vote":
        votes: Any = VotingClassifier([("a", HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=6))])
    else:
        member = GradientBoostingClassifier(n_estimators=20, random_state=0)
        votes = AdaBoostClassifier(member, n_estimators=1, random_state=0)
    votes.fit(X, y)
    alone, together = (attacked(source, X[::20], norm=norm)[1] for source in (votes.estimators_[0], votes))
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(together, alone)


def test_numbers_are_looked_for_where_steps_take_them() -> None:
    """Steep steps, which no large number gets through: the column is searched as far as they allow."""
    X, y = data(3)
    X = X / 8
    power = PowerTransformer(standardize=False).fit(X)
    # up to 2^40, 2^20, 2^5, 1 and .1 beyond the samples
    for steepness in (20, 40, 150, 600, 900):
        power.lambdas_ = np.full(4, float(steepness))
        source = make_pipeline(FrozenEstimator(power), MinMaxScaler(), tree()).fit(X, y)
        assert len(np.unique(source.predict(X))) == 3
        X_adv, distances = attacked(source, X[::10])
        assert np.isfinite(distances).all()
        assert (source.predict(X_adv) != source.predict(X[::10])).all()


@pytest.mark.parametrize("value", [0.0, 1e-12, -3.0, 1e15, -1e15])
def test_numbers_are_looked_for_far_from_the_samples(value: float) -> None:
    """A sample alone, however large its values, and splits on either side of it."""
    column = np.array([[value - 3 - abs(value)], [value], [value + 3 + abs(value)]])
    source = make_pipeline(StandardScaler(), tree()).fit(column, [0, 1, 2])
    ensemble, *_ = trees_of(as_model(source), column[1:2])
    assert ensemble.predict(column).tolist() == [0, 1, 2]
    edges, half = np.sort(ensemble.threshold[ensemble.feature == 0]), (3 + abs(value)) / 2
    np.testing.assert_allclose(edges, [value - half, value + half], atol=1e-6 * half)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", ["standard", "range, clipped", "power", "quantiles", "bins", "columns"])
def test_thresholds_are_the_steps_own(name: str, dtype: type) -> None:
    """A threshold goes left, and the next number of the type goes right."""
    source, X = fitted(name, 3), data(3)[0].astype(dtype)
    ensemble, *_ = trees_of(as_model(source), X)
    splits = np.flatnonzero((ensemble.feature >= 0) & (np.abs(ensemble.threshold) < 50))
    assert len(splits) > 3
    for node in splits:
        feature, last = ensemble.feature[node], dtype(ensemble.threshold[node])
        rows = np.repeat(X[:1], 2, axis=0)
        rows[:, feature] = last, np.nextafter(last, dtype(np.inf))
        before, after = source[:-1].transform(rows)
        assert (before <= after).all()
        assert (before < after).any()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_behind_a_scaler_nothing_is_lost(norm: float) -> None:
    """A tree behind a scaler of powers of two is that tree in other units."""
    X, y = data(3)
    scaler = StandardScaler().fit(X)
    scaler.mean_, scaler.scale_ = np.zeros(4), np.array([0.5, 2.0, 4.0, 0.25])
    plain = DecisionTreeClassifier(random_state=0).fit(scaler.transform(X), y)
    _, distances = attacked(Pipeline([("s", scaler), ("t", plain)]), X[::5], norm=norm)
    bare = AdversarialGenerator(
        FrozenEstimator(plain), attack="tree", eps=1 / scaler.scale_, norm=norm, random_state=0
    )
    bare.generate(scaler.transform(X[::5]))
    np.testing.assert_allclose(distances, bare.distances_, atol=1e-6)


STEPS = [
    StandardScaler(),
    MinMaxScaler(),
    RobustScaler(),
    MaxAbsScaler(),
    PowerTransformer(),
    QuantileTransformer(n_quantiles=40),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_nearest_of_all_leaves_mapped_back(step: Any, norm: float, dtype: type) -> None:
    X, y = data(3)
    source = make_pipeline(clone(step), tree(None)).fit(X, y)
    own, X = source.predict(X[::5].astype(dtype)), X[::5].astype(dtype)
    nearest = np.full(len(X), np.inf)
    for low, high, label in leaves(source[1].tree_):
        finite = np.isfinite([low, high])
        ends = np.where(finite, source[0].inverse_transform(np.where(finite, [low, high], 0.5)), [low, high])
        away = np.maximum(0, np.maximum(ends[0] - X, X - ends[1]))
        near = np.linalg.norm(away, norm, axis=1)
        nearest = np.where(source.classes_[label] == own, nearest, np.minimum(nearest, near))
    X_adv, distances = attacked(source, X, norm=norm)
    assert (source.predict(X_adv) != own).all()
    np.testing.assert_allclose(distances, nearest, atol=1e-5)


def leaves(tree: Any, node: int = 0, low: Any = None, high: Any = None) -> Iterator[tuple[Any, Any, int]]:
    """Box and class of each leaf."""
    low, high = (np.full(tree.n_features, e) if b is None else b for e, b in ((-np.inf, low), (np.inf, high)))
    feature, threshold = tree.feature[node], tree.threshold[node]
    if feature < 0:
        yield low, high, int(tree.value[node, 0].argmax())
        return
    here = np.arange(tree.n_features) == feature
    yield from leaves(tree, tree.children_left[node], low, np.where(here, np.minimum(high, threshold), high))
    yield from leaves(tree, tree.children_right[node], np.where(here, np.maximum(low, threshold), low), high)


def test_targets_and_orders_of_classes() -> None:
    source, (X, _) = fitted("soft votes of several kinds", 3), data(3)
    model = as_model(source)
    target = (model.predict(X[::10]) + 1) % 3
    generator = AdversarialGenerator(FrozenEstimator(source), attack="tree", eps=np.inf, random_state=0)
    X_adv = generator.generate(X[::10], target=target)
    found = np.isfinite(generator.distances_)
    assert found.mean() > 0.9
    np.testing.assert_array_equal(source.predict(X_adv) == target, found)
    turned = model.in_order(np.array([2, 0, 1]))
    ensemble, *_ = trees_of(turned, X)
    np.testing.assert_array_equal(ensemble.predict(X), turned.predict(X))


def people(n: int = 240) -> tuple[pd.DataFrame, Any]:
    """Numbers with gaps, and categories of three kinds, the columns in no order."""
    rng = np.random.default_rng(0)
    age, income, code = rng.normal(40, 10, n), rng.exponential(1000, n), rng.integers(0, 5, n).astype(float)
    colour, size = rng.choice(["red", "green", "blue"], n).astype(object), rng.choice(["s", "m", "l"], n)
    score = age / 10 + (colour == "red") - 0.8 * (size == "s") + np.isin(code, [1, 3]) + income / 2000
    age[::7], colour[::11] = np.nan, None
    frame = {"colour": colour, "age": age, "code": code, "size": size, "income": income}
    return pd.DataFrame(frame), (score > 5.4).astype(int)


def boosted_categories(max_iter: int, *first: str) -> Any:
    """Boosting that sees codes as categories, the columns in one order or another."""
    return make_pipeline(
        ColumnTransformer(
            [("a", OrdinalEncoder(), list(first)), ("b", "passthrough", ["age", "income", "code"])]
        ),
        HistGradientBoostingClassifier(categorical_features=[0, 1, 4], max_iter=max_iter, min_samples_leaf=5),
    )


FRAMES = {
    "one column each": make_pipeline(
        ColumnTransformer(
            [
                ("a", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["colour"]),
                ("b", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "income"]),
                ("c", OrdinalEncoder(categories=[["s", "m", "l"]]), ["size"]),
                ("d", OneHotEncoder(handle_unknown="ignore"), ["code"]),
            ]
        ),
        forest(),
    ),
    "codes": make_pipeline(
        ColumnTransformer(
            [("codes", OrdinalEncoder(), ["size", "code"]), ("gone", "drop", ["colour"])],
            remainder=SimpleImputer(),
        ),
        tree(),
    ),
    "targets": make_pipeline(
        ColumnTransformer(
            [("categories", TargetEncoder(), ["size", "code"]), ("gone", "drop", ["colour"])],
            remainder=SimpleImputer(),
        ),
        tree(),
    ),
    "categories of the trees": boosted_categories(8, "size", "colour"),
    "categories of several": VotingClassifier(
        [("a", boosted_categories(5, "size", "colour")), ("b", boosted_categories(4, "colour", "size"))],
        voting="soft",
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_categories_and_gaps_stay(name: str) -> None:
    X, y = people()
    source = FRAMES[name].fit(X, y)
    model = as_model(source)
    samples = X[:20]
    own = source.predict(samples)
    X_adv, distances = attacked(source, samples)
    found = np.isfinite(distances)
    np.testing.assert_array_equal(source.predict(X_adv) != own, found)
    # the income alone may do it, but where it must not
    assert found.mean() > 0.9
    pd.testing.assert_frame_equal(X_adv[["colour", "code", "size"]], samples[["colour", "code", "size"]])
    np.testing.assert_array_equal(X_adv["age"].isna(), samples["age"].isna())
    assert (X_adv.loc[found, ["age", "income"]] != samples.loc[found, ["age", "income"]]).any(axis=1).all()
    assert model.estimator is source


def test_bounds_hold_beside_categories_and_gaps() -> None:
    """What lies nearer, beyond a bound, is no way out; a category has no bounds, and a gap none either."""
    rng, n = np.random.default_rng(0), 200
    size, gaps = rng.uniform(0, 10, n), rng.uniform(4, 6, n)
    gaps[::3] = np.nan
    kind = pd.Categorical(rng.choice(["a", "b"], n))
    frame, y = pd.DataFrame({"kind": kind, "size": size, "gaps": gaps}), (size < 3) | (size > 9)
    source = DecisionTreeClassifier(max_depth=4, random_state=0)
    columns = ColumnTransformer([("a", OneHotEncoder(), ["kind"])], remainder="passthrough")
    source = make_pipeline(columns, source).fit(frame, y)
    samples = frame[(size > 3.6) & (size < 5)]
    free, bounded = (attacked(source, samples, **bounds) for bounds in ({}, {"clip_values": (3.5, 20.0)}))
    for (X_adv, distances), end in ((free, 3), (bounded, 9)):
        np.testing.assert_allclose(distances, np.abs(samples["size"] - end), atol=0.2)
        np.testing.assert_allclose(np.abs(X_adv["size"] - samples["size"]), distances)
        pd.testing.assert_frame_equal(X_adv[["kind", "gaps"]], samples[["kind", "gaps"]])


def test_a_number_that_is_filled_in_stays() -> None:
    X, y = data(3)
    X = X.copy()
    X[::4, 2] = -1
    source = make_pipeline(SimpleImputer(missing_values=-1), StandardScaler(), forest()).fit(X, y)
    ensemble, *_ = trees_of(as_model(source), X)
    np.testing.assert_array_equal(ensemble.predict(X), source.predict(X))
    X_adv, distances = attacked(source, X[:40])
    np.testing.assert_array_equal(X_adv == -1, X[:40] == -1)
    assert np.isfinite(distances).all()


def test_one_bad_row_loses_no_other() -> None:
    """A row of gaps only, which nothing can move, among others."""
    X, y = data(3)
    gaps = X.copy()
    gaps[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    gaps[7] = np.nan
    for source in (boosting(), mixed_votes("soft").set_params(tree="drop")):
        if isinstance(source, VotingClassifier):
            source.set_params(weights=[2, 1, 0])
        source.fit(gaps, y)
        X_adv, distances = attacked(source, gaps[:20])
        assert np.isinf(distances[7])
        assert np.isfinite(distances[~np.isnan(gaps[:20]).any(axis=1)]).all()
        np.testing.assert_array_equal(X_adv[7], gaps[7])


def test_a_source_that_is_not_its_trees_is_said() -> None:
    X, y = data(3)
    source = Contrary(max_depth=3, random_state=0).fit(X, y)
    with pytest.warns(ModelWarning, match=r"Contrary.predict differs from its trees, .* on 100% of"):
        X_adv, distances = attacked(source, X[:10])
    np.testing.assert_array_equal(np.isfinite(distances), source.predict(X_adv) != source.predict(X[:10]))


class Contrary(DecisionTreeClassifier):
    """Says another class than its tree."""

    def predict(self, X: Any, check_input: bool = True) -> Any:
        return (super().predict(X) + 1) % 3


@pytest.mark.parametrize("scaled", [False, True], ids=["", "standardised"])
@pytest.mark.parametrize("kind", ["forest", "boost", "piped", "XGBoost", "LightGBM", "CatBoost"])
def test_wrappers_of_art(kind: str, scaled: bool) -> None:
    from art.estimators import classification as art

    X, y = data(3)
    X = X.astype(np.float32)
    mean, std = (X.mean(axis=0), X.std(axis=0)) if scaled else (0.0, 1.0)
    options: dict[str, Any] = {"preprocessing": (mean, std)}
    Z = (X - mean) / std
    if kind == "XGBoost":
        inner = pytest.importorskip("xgboost").XGBClassifier(n_estimators=4, n_jobs=1).fit(Z, y)
        source = art.XGBoostClassifier(inner, nb_features=4, nb_classes=3, **options)
    elif kind == "LightGBM":
        lightgbm = pytest.importorskip("lightgbm")
        params = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
        source = art.LightGBMClassifier(lightgbm.train(params, lightgbm.Dataset(Z, y), 4), **options)
    elif kind == "CatBoost":
        inner = pytest.importorskip("catboost").CatBoostClassifier(
            iterations=4, depth=3, verbose=0, thread_count=1, allow_writing_files=False
        )
        source = art.CatBoostARTClassifier(inner.fit(Z, y), nb_features=4, **options)
    else:
        wrapper, inner = {
            "forest": (art.scikitlearn.ScikitlearnRandomForestClassifier, forest()),
            "boost": (
                art.scikitlearn.ScikitlearnAdaBoostClassifier,
                AdaBoostClassifier(tree(2), n_estimators=4),
            ),
            "piped": (art.scikitlearn.ScikitlearnClassifier, make_pipeline(MinMaxScaler(), tree())),
        }[kind]
        source = wrapper(inner.fit(Z, y), **options)
    model = as_model(source)
    ensemble, *_ = trees_of(model, X)
    np.testing.assert_array_equal(ensemble.predict(X), model.predict(X))
    for samples in (X[::6], X[::6].astype(float)):
        X_adv, distances = attacked(source, samples, norm=2)
        assert np.isfinite(distances).all()
        assert (model.predict(X_adv) != model.predict(samples)).all()


def squared(X: Any) -> Any:
    return X**2


REFUSED = {
    "PCA is no step that transforms each column separately, as scalers": make_pipeline(PCA(2), tree()),
    "PolynomialFeatures is no step": make_pipeline(PolynomialFeatures(), tree()),
    "Normalizer is no step": make_pipeline(ColumnTransformer([("a", Normalizer(), [0, 1])]), tree()),
    "FunctionTransformer with a function": make_pipeline(FunctionTransformer(squared), tree()),
    r"KBinsDiscretizer\(encode='onehot'\) keeps no order": make_pipeline(
        KBinsDiscretizer(3, **BY_QUANTILES), tree()
    ),
    r"PowerTransformer\(method='box-cox'\) takes": make_pipeline(PowerTransformer("box-cox"), tree()),
    "with weights below 0": make_pipeline(
        FeatureUnion([("a", StandardScaler())], transformer_weights={"a": -1}), tree()
    ),
    r"SimpleImputer\(missing_values=0\) behind steps": make_pipeline(
        StandardScaler(), SimpleImputer(missing_values=0), tree()
    ),
    "LogisticRegression is not made of decision trees": VotingClassifier(
        [("a", tree()), ("b", LogisticRegression(max_iter=500))]
    ),
    "StackingClassifier is not made of decision trees": StackingClassifier([("a", tree())], cv=2),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message: str) -> None:
    X, y = data(3)
    source = REFUSED[message].fit(X, y)
    with pytest.raises(TypeError, match=f"attack='tree' needs a decision tree .*{message}.*attack='auto'"):
        attacked(source, X)


def test_what_means_missing_to_one_of_several_is_refused() -> None:
    xgboost = pytest.importorskip("xgboost")
    X, y = data(3)
    members = [("a", xgboost.XGBClassifier(n_estimators=2, missing=0.0)), ("b", tree())]
    source = VotingClassifier(members).fit(X, y)
    with pytest.raises(TypeError, match=r"trees for which 0\.0 means missing, .* beside other trees"):
        attacked(source, X)


def test_defences_of_art_are_refused() -> None:
    from art.defences.preprocessor import FeatureSqueezing
    from art.estimators.classification.scikitlearn import ScikitlearnRandomForestClassifier

    X, y = data(3)
    source = ScikitlearnRandomForestClassifier(
        forest().fit(X, y), preprocessing_defences=FeatureSqueezing(clip_values=(0, 8))
    )
    with pytest.raises(TypeError, match="ART's ScikitlearnRandomForestClassifier with defences has no boxes"):
        attacked(source, X.astype(np.float32))
