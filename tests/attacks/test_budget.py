"""Budgets per feature and in units of the data's spread, against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.attacks._parameters import KINDS

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
X, Y = X.iloc[:120, :6], Y[:120]
MODEL = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
SPREAD = {"std": X.to_numpy().std(axis=0), "range": np.ptp(X.to_numpy(), axis=0)}
EACH = np.array([0.5, 0.0, 3.0, 20.0, 0.01, 0.02])


def generator(**params: Any) -> AdversarialGenerator:
    return AdversarialGenerator(FrozenEstimator(MODEL), **params)


def direction() -> np.ndarray:
    """Gradient of the logit of class 1, in input units."""
    return MODEL[-1].coef_[0] / MODEL[0].scale_


def uphill(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == 1, -1, 1)[:, None]


@pytest.mark.parametrize(
    ("eps", "eps_unit", "reach"),
    [
        (EACH, "input", EACH),
        (EACH.tolist(), "input", EACH),
        (pd.Series(EACH, X.columns)[::-1], "input", EACH),
        (dict(zip(X.columns, EACH, strict=True)), "input", EACH),
        (0.3, "std", 0.3 * SPREAD["std"]),
        (0.3, "range", 0.3 * SPREAD["range"]),
        (EACH, "std", EACH * SPREAD["std"]),
    ],
    ids=["array", "list", "series", "dict", "std", "range", "array of std"],
)
@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_linf_goes_to_the_corner(attack: str, eps: Any, eps_unit: str, reach: np.ndarray) -> None:
    made = generator(attack=attack, eps=eps, eps_unit=eps_unit).fit(X).generate(X, Y)
    expected = X + uphill(Y) * reach * np.sign(direction())
    np.testing.assert_allclose(made, expected, rtol=1e-11)
    assert (np.abs(made - X) <= reach).all(axis=None)


@pytest.mark.parametrize("eps", [1.0, EACH], ids=["scalar", "array"])
def test_l2_is_the_steepest_step_of_the_ellipsoid(eps: Any) -> None:
    unit, budget = (SPREAD["std"], eps) if np.ndim(eps) == 0 else (SPREAD["std"] * eps, 1.0)
    made = generator(attack="fgsm", eps=eps, eps_unit="std", norm=2).fit(X).generate(X, Y)
    # maximise <g, d> over |d / unit| <= eps: d = eps * unit^2 g / |unit g|
    step = budget * unit**2 * direction() / np.linalg.norm(unit * direction())
    np.testing.assert_allclose(made, X + uphill(Y) * step, rtol=1e-9)


def test_l1_spends_all_on_the_feature_where_it_is_worth_most() -> None:
    unit = SPREAD["std"]
    made = generator(attack="fgsm", eps=0.7, eps_unit="std", norm=1).fit(X).generate(X, Y)
    best = np.abs(unit * direction()).argmax()
    step = np.zeros(6)
    step[best] = 0.7 * unit[best] * np.sign(direction()[best])
    np.testing.assert_allclose(made, X + uphill(Y) * step, rtol=1e-12)


@pytest.mark.parametrize("attack", [name for name, kind in KINDS.items() if 0 not in kind.norms])
def test_units_are_the_same_attack_on_scaled_data(attack: str) -> None:
    """A budget in standard deviations on the data is a plain budget on standardised data."""
    scaler = StandardScaler().fit(X.to_numpy())
    Z = scaler.transform(X.to_numpy())
    given = {
        "attack": attack,
        "eps": 0.4 if np.inf in KINDS[attack].norms else 0.8,
        "norm": KINDS[attack].norms[0],
        "clip_values": "range" if attack == "cw" else None,
        "max_iter": 5,
        "max_queries": 50,
        "random_state": 0,
    }
    if attack == "tree":
        from sklearn.tree import DecisionTreeClassifier

        one, other = (
            DecisionTreeClassifier(max_depth=4, random_state=0).fit(data, Y) for data in (Z, X.to_numpy())
        )
    else:
        one, other = LogisticRegression().fit(Z, Y), make_pipeline(scaler, LogisticRegression().fit(Z, Y))
    plain = AdversarialGenerator(FrozenEstimator(one), **given).fit(Z).generate(Z[:30], Y[:30])
    in_std = AdversarialGenerator(FrozenEstimator(other), eps_unit="std", **given).fit(X.to_numpy())
    made = in_std.generate(X.to_numpy()[:30], Y[:30])
    fooled = (one.predict(plain) != Y[:30]).mean(), (other.predict(made) != Y[:30]).mean()
    assert fooled[0] > 0.1
    assert abs(fooled[0] - fooled[1]) <= 0.1
    if attack in ("fgsm", "pgd", "mifgsm", "deepfool", "fmn"):
        # the nearest samples are searched for, to a thousandth
        atol = 1e-3 if KINDS[attack].nearest else 1e-6
        np.testing.assert_allclose(scaler.transform(made), plain, atol=atol)


def test_images_take_a_budget_for_each_pixel() -> None:
    rng = np.random.RandomState(0)
    images = rng.uniform(size=(40, 1, 3, 3))
    model = LogisticRegression().fit(images.reshape(40, 9), images[:, 0, 1, 1] > 0.5)
    eps = np.zeros((1, 3, 3))
    eps[0, 1] = 0.2
    made = AdversarialGenerator(FrozenEstimator(model), eps=eps).transform(images)
    moved = np.abs(made - images).max(axis=0)
    np.testing.assert_allclose(moved, eps)


def test_spread_is_measured_by_fit() -> None:
    unfitted = generator(eps_unit="std")
    with pytest.raises(NotFittedError, match="eps_unit='std' is measured on training data; call fit"):
        unfitted.transform(X)
    fitted = generator(eps_unit="std").fit(X)
    one_by_one = pd.concat([fitted.transform(X.iloc[[i]]) for i in range(4)])
    pd.testing.assert_frame_equal(one_by_one, fitted.transform(X.iloc[:4]))
    in_range = generator(eps_unit="range").fit(X)
    pd.testing.assert_frame_equal(fitted.set_params(eps_unit="range").transform(X), in_range.transform(X))
    with pytest.raises(NotFittedError, match="eps_unit='range' is measured"):
        generator().fit(X).set_params(eps_unit="range").transform(X)


def test_a_constant_feature_has_no_spread_to_spend() -> None:
    data = X.assign(constant=1.0)
    model = LogisticRegression(max_iter=5000).fit(data, Y)
    made = AdversarialGenerator(FrozenEstimator(model), eps=1.0, eps_unit="std").fit(data).transform(data)
    assert (made["constant"] == 1).all()


def test_transfer_in_units_of_the_spread() -> None:
    models = {"lr": MODEL, "weak": make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X, Y)}
    attack = AdversarialGenerator(eps=0.5, eps_unit="std")
    given = TransferScorer(attack, random_state=0).fit(models).transfer(X, Y)
    fitted = TransferScorer(attack, estimators=list(models.items()), random_state=0).fit(X, Y).transfer(X, Y)
    np.testing.assert_array_equal(given.fooled, fitted.fooled)
    assert given.rates[0, 1] > 0.1
    per_feature = AdversarialGenerator(eps=0.5 * SPREAD["std"])
    np.testing.assert_array_equal(
        TransferScorer(per_feature, random_state=0).fit(models).transfer(X, Y).fooled, given.fooled
    )


BAD = [
    (-EACH, "eps of column 0 must be a finite number >= 0, got -0.5"),
    ([0.1, np.nan, 1, 1, 1, 1], "eps of column 1 must be a finite number >= 0, got nan"),
    ([0.1, None], "eps of column 1 must be a finite number >= 0, got None"),
    ([0.5, True], "eps of column 1 must be a finite number >= 0, got True"),
    (np.array([True, False]), "eps of column 0 must be a finite number >= 0, got True"),
    ([0.1, [0.2]], r"eps of column 1 must be a finite number >= 0, got \[0.2\]"),
    ([0.1, 10**400], "eps of column 1 must be a finite number >= 0, got an integer of 1329 bits"),
    (["a"] * 6, "eps of column 0 must be a finite number >= 0, got 'a'"),
    (EACH[:3], r"eps must be a number or have one for each feature, shape \(6,\); got shape \(3,\)"),
    ({"mean radius": -1.0}, "eps of column 'mean radius' must be a finite number >= 0, got -1.0"),
    ({"mean radius": "much"}, "eps of column 'mean radius' must be a finite number >= 0, got 'much'"),
    ({}, "no column may change: column 'mean radius', .* have no budget"),
    ({"age": 1.0}, "eps names an unknown column 'age'; X has .*'mean radius'"),
    (np.zeros(6), "no column may change: column 'mean radius', .* have no budget"),
    ("0.1", "eps must be a finite number > 0, or one number >= 0 for each feature or sample, got '0.1'"),
]


@pytest.mark.parametrize(("eps", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_budgets_name_the_column(eps: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator(eps=eps).transform(X)
    with pytest.raises(ValueError, match=message):
        AdversarialGenerator(eps=eps).fit(X, Y)


def test_bad_unit() -> None:
    with pytest.raises(ValueError, match=r"eps_unit must be one of \['input', 'std', 'range'\], got 'iqr'"):
        generator(eps_unit="iqr").fit(X)


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore:eps=0.5 lets 1 of 6 columns change by less")
@pytest.mark.parametrize(
    "params",
    [
        {"eps": np.float16(0.5)},
        {"eps": [np.float16(0.5)] * 6},
        {"eps": 0.5, "step_size": np.float16(0.1)},
        {"eps": 0.5, "attack": "deepfool", "attack_params": {"overshoot": np.float16(0.25)}},
    ],
    ids=lambda params: list(params)[-1],
)
def test_numbers_of_16_bits_are_numbers(params: dict[str, Any]) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        return value if isinstance(value, str) else np.asarray(value).tolist()

    settings = {name: plain(value) for name, value in params.items()}
    np.testing.assert_array_equal(generator(**params).generate(X, Y), generator(**settings).generate(X, Y))
