"""DataFrames with categories and missing values: sources and targets with no special word from the user."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway._inputs import Frame, category_codes
from skhalfway.attacks._parameters import KINDS
from skhalfway.models import ModelWarning, as_model

NUMBERS = ["income", "debt", "age"]


def people(n: int = 240) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, a text, a category, a bool, whole numbers; the class depends on all."""
    Z, y = make_classification(n, 6, n_informative=6, n_redundant=0, random_state=3)
    frame = pd.DataFrame(Z[:, :2], columns=NUMBERS[:2])
    frame["job"] = np.array(["clerk", "smith", "baker"])[pd.qcut(Z[:, 2], 3, labels=False)]
    frame["age"] = np.rint(40 + 10 * Z[:, 3]).astype(int)
    frame["town"] = pd.Categorical(np.array(["north", "south"])[(Z[:, 4] > 0).astype(int)])
    frame["owner"] = Z[:, 5] > 0
    return frame, np.where(y == 1, "pays", "owes")


X, Y = people()
CATEGORIES = ["job", "town", "owner"]


def columns(encoder: Any) -> Any:
    numbers = make_column_selector(dtype_include=["number"])
    return make_column_transformer((encoder, CATEGORIES), (StandardScaler(), numbers))


MODELS = {
    "boosting": make_pipeline(
        columns(OrdinalEncoder()), HistGradientBoostingClassifier(max_iter=20, random_state=0)
    ),
    "linear": make_pipeline(columns(OneHotEncoder()), LogisticRegression()),
    "neighbours": make_pipeline(columns(OneHotEncoder()), KNeighborsClassifier()),
}
MODELS = {name: model.fit(X, Y) for name, model in MODELS.items()}


class Rule:
    """A black box that reads the frame itself."""

    classes_ = np.array(["owes", "pays"])

    def predict(self, X: pd.DataFrame) -> Any:
        assert X["job"].isin(["clerk", "smith", "baker"]).all()
        assert X["town"].dtype == "category"
        assert X["owner"].dtype == bool
        return np.where((X["income"] > 0) ^ (X["job"] == "baker"), "pays", "owes")


def same_but_numbers(made: pd.DataFrame) -> None:
    assert list(made.columns) == list(X.columns)
    pd.testing.assert_frame_equal(made[CATEGORIES], X.loc[made.index, CATEGORIES])


def test_transfer_over_a_frame_with_categories() -> None:
    generator = AdversarialGenerator(eps=0.6, eps_unit="std", attack="pgd")
    with pytest.warns(ModelWarning, match="model 'neighbours': .* it seems more robust than it is"):
        matrix = TransferScorer(generator, random_state=0).fit(MODELS).transfer(X, Y)
    # all models are fooled sources and fooled targets, by more than noise
    assert (matrix.source_success > 0.25).all()
    assert (matrix.rates > matrix.noise).all()


def test_boosting_by_scikit_learns_own_categories() -> None:
    data = X.astype({"job": "category"}).drop(columns="owner")
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20).fit(data, Y)
    made = (
        AdversarialGenerator(FrozenEstimator(model), attack="pgd", eps=0.6, eps_unit="std")
        .fit(data)
        .generate(data, Y)
    )
    pd.testing.assert_frame_equal(made[["job", "town"]], data[["job", "town"]])
    assert model.score(made, Y) < model.score(data, Y) - 0.2


def test_a_generator_fits_clones_on_frames() -> None:
    brief = {"eps": 0.5, "max_iter": 5, "max_queries": 50}
    generator = AdversarialGenerator(MODELS["boosting"], **brief).fit(X, Y)
    same_but_numbers(generator.transform(X[::8]))
    scorer = TransferScorer(AdversarialGenerator(**brief), estimators=list(MODELS.items()), random_state=0)
    fitted = scorer.fit(X, Y)
    some, labels = X[::8], Y[::8]
    assert fitted.score(some, labels) > 0.05
    robust = fitted.robust_accuracy(MODELS["linear"], some, labels)
    assert 0 < robust < MODELS["linear"].score(some, labels)


@pytest.mark.parametrize("attack", KINDS)
@pytest.mark.parametrize("rows", [slice(None, None, -7), slice(0, 1)], ids=["some", "one"])
def test_every_attack_keeps_categories(attack: str, rows: slice) -> None:
    if attack == "tree":
        pytest.skip("takes trees alone, which take numbers")
    some = X.iloc[rows]
    generator = AdversarialGenerator(
        FrozenEstimator(MODELS["linear"]),
        attack=attack,
        eps=1.0,
        norm=KINDS[attack].norms[0],
        clip_values=(-100, 100) if attack in ("cw", "sigmazero") else None,
        max_iter=5,
        max_queries=80,
        random_state=0,
    )
    made = generator.generate(some, MODELS["linear"].predict(some))
    same_but_numbers(made)
    change = (made[NUMBERS] - some[NUMBERS]).abs()
    assert ((change > 0).sum(axis=1) if attack == "sigmazero" else change <= 1).le(1).all(axis=None)
    assert (change > 0).any(axis=None)


def test_black_boxes_get_the_frame_back() -> None:
    generator = AdversarialGenerator(Rule(), eps=3.0, max_queries=100, random_state=0)
    made = generator.generate(X, np.asarray(Rule().predict(X)))
    same_but_numbers(made)
    assert (Rule().predict(made) != Rule().predict(X)).mean() > 0.9


def test_constraints_by_name_beside_categories() -> None:
    constraints = Constraints(integer="age", increasing="age", immutable="debt")
    generator = AdversarialGenerator(
        FrozenEstimator(MODELS["linear"]), eps=3.5, norm=2, constraints=constraints
    )
    made = generator.generate(X, Y)
    same_but_numbers(made)
    assert (made["age"] % 1 == 0).all()
    assert (made["age"] >= X["age"]).all()
    assert (made["debt"] == X["debt"]).all()
    assert MODELS["linear"].score(made, Y) < MODELS["linear"].score(X, Y) - 0.3
    with pytest.raises(ValueError, match="column 'job' is in constraints.integer, but holds categories"):
        generator.set_params(constraints__integer="job").transform(X)


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
def test_missing_values_stay_missing_and_the_rest_is_attacked() -> None:
    holes = X.copy()
    rng = np.random.RandomState(0)
    for name in ("income", "debt"):
        holes.loc[rng.uniform(size=len(X)) < 0.2, name] = np.nan
    holes.loc[rng.uniform(size=len(X)) < 0.2, "job"] = None
    imputing = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS), (OneHotEncoder(), ["job"])
    )
    models = {
        "linear": make_pipeline(imputing, LogisticRegression()).fit(holes, Y),
        "boosting": make_pipeline(
            make_column_transformer((OrdinalEncoder(), CATEGORIES), remainder="passthrough"),
            HistGradientBoostingClassifier(max_iter=20, random_state=0),
        ).fit(holes, Y),
    }
    rows, labels = holes[::8], Y[::8]
    for model in models.values():
        for attack, norm in (
            ("pgd", np.inf),
            ("pgd", 2),
            ("pgd", 1),
            ("hopskipjump", 2),
            ("halfway", 2),
            ("square", np.inf),
        ):
            generator = AdversarialGenerator(
                FrozenEstimator(model), attack=attack, eps=1.0, norm=norm, max_queries=40, random_state=0
            )
            if attack in ("hopskipjump", "halfway"):  # partners with holes of their own
                generator.fit(holes, Y)
            made = generator.generate(rows, labels)
            pd.testing.assert_frame_equal(made[CATEGORIES], rows[CATEGORIES])
            assert (made[NUMBERS].isna() == rows[NUMBERS].isna()).all(axis=None)
            change = (made[NUMBERS] - rows[NUMBERS]).fillna(0.0)
            assert (np.linalg.norm(change, norm, axis=1) <= 1).all()
            assert model.score(made, labels) < model.score(rows, labels)
    matrix = TransferScorer(AdversarialGenerator(eps=0.8), random_state=0).fit(models).transfer(rows, labels)
    assert (matrix.rates > 0.05).all()


@pytest.mark.parametrize(
    ("attack", "norm"), [("pgd", np.inf), ("pgd", 2), ("pgd", 1), ("hopskipjump", np.inf), ("hopskipjump", 2)]
)
def test_a_projection_beside_categories_and_missing_values_leaves_the_attack_its_strength(
    attack: str, norm: float
) -> None:
    holes = X.copy()
    holes.loc[::3, "debt"] = np.nan
    model = make_pipeline(columns(OneHotEncoder()), SimpleImputer(), LogisticRegression()).fit(holes, Y)
    rows = holes[::8]
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack=attack, eps=1.0, norm=norm, max_queries=50, random_state=0
    ).set_params(constraints=Constraints(immutable="age"))
    own = model.predict(rows)
    plain = (model.predict(generator.generate(rows, own)) != own).mean()
    # towards the sample, so that the whole change fits
    generator.set_params(constraints__projection=lambda X_adv, X: X + np.trunc((X_adv - X) * 1000) / 1000)
    made = generator.generate(rows, own)
    pd.testing.assert_frame_equal(made[CATEGORIES], rows[CATEGORIES])
    steps = (made[NUMBERS] - rows[NUMBERS]).fillna(0.0) * 1000
    np.testing.assert_allclose(steps, steps.round(), atol=1e-6)
    assert (model.predict(made) != own).mean() > plain - 0.1
    assert (steps != 0).any(axis=1).mean() > 0.5


def test_missing_values_are_the_sources_to_refuse() -> None:
    model = LogisticRegression().fit(X[NUMBERS], Y)
    holes = X[NUMBERS].astype(float)
    holes.iloc[3, 1] = np.nan
    for call in (
        lambda: AdversarialGenerator(FrozenEstimator(model)).transform(holes),
        lambda: AdversarialGenerator(FrozenEstimator(model)).generate(holes, Y),
        lambda: AdversarialGenerator(LogisticRegression()).fit(holes, Y),
        lambda: TransferScorer().fit([model, model]).transfer(holes, Y),
    ):
        with pytest.raises(ValueError, match="NaN"):
            call()


def test_times_are_refused() -> None:
    data = X[NUMBERS].assign(born=pd.Timestamp("2000-01-01"))
    with pytest.raises(TypeError, match="column 'born' holds times; turn them into numbers"):
        AdversarialGenerator().fit(data, Y)


def test_torch_modules_take_no_categories() -> None:
    import torch

    with pytest.raises(TypeError, match=r"Linear takes numbers, but X has columns of categories: \['job', "):
        AdversarialGenerator(torch.nn.Linear(6, 2)).transform(X)


def test_codes_are_the_same_for_data_and_encoders() -> None:
    codes = category_codes(["clerk", np.str_("clerk"), 3, np.int64(3), True, None, np.nan, pd.NA])
    assert codes[0] == codes[1] > 2**40
    assert codes[2:5].tolist() == [3, 3, 1]
    assert np.isnan(codes[5:]).all()
    frame = Frame.of(X)
    assert frame is not None
    assert Frame.of(X[NUMBERS]) is None
    assert Frame.of(X.to_numpy()) is None
    restored = frame.restore(frame.numbers(X).to_numpy(dtype=float)[[5, 5, 2]])
    pd.testing.assert_frame_equal(restored[CATEGORIES], X[CATEGORIES].iloc[[5, 5, 2]].reset_index(drop=True))


def test_predictions_are_the_estimators_own() -> None:
    frame = Frame.of(X)
    array = frame.numbers(X).to_numpy(dtype=float)
    for model in MODELS.values():
        seen = as_model(model).reading(frame)
        np.testing.assert_array_equal(seen.classes_[seen.predict(array)], model.predict(X))


@pytest.mark.parametrize("attack", ["hopskipjump", "halfway"])
def test_a_column_whose_texts_differ_in_all_rows(attack: str) -> None:
    """Such as numbers of customers: no sample of the reference has a text of one that is attacked."""
    table = X.assign(customer=[f"C{k}" for k in range(len(X))])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encode = make_column_transformer((encoder, [*CATEGORIES, "customer"]), (StandardScaler(), NUMBERS))
    models = {
        str(n): make_pipeline(encode, HistGradientBoostingClassifier(max_iter=n, random_state=0))
        for n in (10, 20)
    }
    models = {name: clone(model).fit(table[:180], Y[:180]) for name, model in models.items()}
    generator = AdversarialGenerator(attack=attack, eps=2.0, max_queries=200, random_state=0)
    scorer = TransferScorer(generator, random_state=0).fit(models, reference=table[:180])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # so few queries find no start for some samples
        matrix = scorer.transfer(table[180:200], Y[180:200])
    assert (matrix.rates > 0.2).all()
