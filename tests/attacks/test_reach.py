"""What a budget is too small to change, or hardly changes, is said; the former is kept in the result."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, load_result

RNG = np.random.RandomState(0)
X = pd.DataFrame(np.eye(3)[RNG.randint(3, size=80)], columns=["job_a", "job_b", "job_c"])
X["count"], X["amount"] = RNG.randint(0, 5, size=80).astype(float), RNG.normal(size=80)
Y = np.where(X["job_a"] + X["amount"] + 0.3 * X["count"] > 1, "bad", "good")
MODEL = LogisticRegression().fit(X, Y)
RULES = Constraints(one_hot=[["job_a", "job_b", "job_c"]], integer=["count"])
GROUP, COUNT = "the one_hot group of column 'job_a'", "column 'count'"


def attacked(data: Any = X, **given: Any) -> Any:
    settings: dict[str, Any] = {"attack": "pgd", "constraints": RULES, **given}
    return AdversarialGenerator(FrozenEstimator(MODEL), **settings).fit(X).generate(data)


TOO_SMALL = {
    "both": ({"eps": 0.9}, [COUNT, GROUP]),
    "a change of category is two of 1 in L2": ({"eps": 1.4, "norm": 2}, [GROUP]),
    "and in L1": ({"eps": 1.99, "norm": 1}, [GROUP]),
    "in units of the spread": ({"eps": 0.5, "eps_unit": "std"}, [COUNT, GROUP]),
    "by column": ({"eps": {"job_a": 0.5, "job_b": 2.0, "job_c": 0.5, "count": 1.0, "amount": 1.0}}, [GROUP]),
    "by sample": ({"eps": np.linspace(0.1, 0.9, 80)[:, None]}, [COUNT, GROUP]),
}


@pytest.mark.parametrize(("given", "named"), TOO_SMALL.values(), ids=TOO_SMALL)
def test_what_no_sample_can_change_is_said(given: dict[str, Any], named: list[str]) -> None:
    with pytest.warns(UserWarning, match="the budget is too small for .* Raise eps") as said:
        made = attacked(**given)
    assert len(said) == 1
    text = str(said[0].message)
    assert [name for name in (COUNT, GROUP) if name in text] == named
    assert ("a step of 1" in text, "a change of category" in text) == (COUNT in named, GROUP in named)
    stays = [*(["count"] if COUNT in named else []), *(["job_a", "job_b", "job_c"] if GROUP in named else [])]
    pd.testing.assert_frame_equal(made[stays], X[stays])


IN_REACH = {
    "just": {"eps": 1.0},
    "just in L2": {"eps": 2**0.5, "norm": 2},
    "just in L1": {"eps": 2.0, "norm": 1},
    "without a budget": {"eps": {"amount": 0.5}},
    "immutable": {
        "eps": 0.5,
        "constraints": RULES.replaced(immutable=["job_a", "job_b", "job_c", "count"]),
    },
    "masked": {"eps": 0.5, "constraints": RULES.replaced(mask=np.array([False, False, False, False, True]))},
    "one sample can": {"eps": np.r_[np.full(79, 0.1), 1.0][:, None]},
    "no limit": {"eps": np.inf, "attack": "fmn"},
}


@pytest.mark.parametrize("given", IN_REACH.values(), ids=IN_REACH)
def test_nothing_is_said_where_it_is_meant_or_can_change(given: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attacked(**given)


FLOATS = {
    # data, settings, and the columns that are named
    "half floats": (np.float16([[5, 1], [7, 3]]), {"eps": 1e-4}, ["column 0", "column 1"]),
    "one sample can": (np.float16([[5, 1], [7, 0.01]]), {"eps": 1e-4}, ["column 0"]),
    "single floats": (np.float32([[1e8, 1], [1e8, 3]]), {"eps": 0.5}, ["column 0"]),
    "double floats": (np.array([[1e17, -1e17], [1e17, -1e17]]), {"eps": 0.5}, ["column 0", "column 1"]),
    "in L2": (np.array([[1e17, 1], [1e17, 2]]), {"eps": 0.5, "norm": 2}, ["column 0"]),
    "by feature": (np.float16([[5, 1], [7, 3]]), {"eps": [1e-4, 0.1]}, ["column 0"]),
    "by sample": (np.float16([[5, 1], [7, 3]]), {"eps": [[1e-4], [1e-5]]}, ["column 0", "column 1"]),
    "no budget": (np.float16([[5, 1], [7, 3]]), {"eps": [0, 0.1]}, []),
    "just": (np.float16([[4.5, 1], [4.5, 3]]), {"eps": 2**-8}, []),
    "not quite": (np.float16([[4.5, 1], [4.5, 1]]), {"eps": 2**-8 - 1e-6}, ["column 0"]),
    "meant": (
        np.float16([[5, 1], [7, 0.01]]),
        {"eps": 1e-4, "constraints": Constraints(immutable=[0])},
        [],
    ),
    "any is near": (np.float32([[5, 1], [7, 3]]), {"eps": 1e-4}, []),
    "zeros": (np.zeros((2, 2)), {"eps": 1e-4}, []),
}


@pytest.mark.parametrize(("data", "given", "named"), FLOATS.values(), ids=FLOATS)
def test_budgets_below_what_floats_tell_apart_are_said(
    data: Any, given: dict[str, Any], named: list[str]
) -> None:
    """A rate of 0 there is one of samples that were never changed."""
    line = LogisticRegression().fit([[0.0, 0], [1, 1]], [0, 1])
    generator = AdversarialGenerator(line, attack="fgsm", **given).fit([[0.0, 0], [1, 1]], [0, 1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = generator.generate(data, [0, 0])
    texts = [str(one.message) for one in said if "the budget is too small" in str(one.message)]
    assert len(texts) == bool(named)
    for k, name in enumerate(("column 0", "column 1")):
        assert (name in "".join(texts)) == (name in named)
        if name in named:
            assert f"from one number of {data.dtype} to the next" in texts[0]
            assert ("pass it in float64" in texts[0]) == (data.dtype != np.float64)
            np.testing.assert_array_equal(made[:, k], data[:, k])


NOISE = RNG.normal(size=(80, 3))
HARDLY: dict[str, tuple[Any, dict[str, Any], str | None]] = {
    "columns in other units": (NOISE * [1, 1, 1000], {"eps": 0.3}, r"1 of 3 .*column 2: 0\.0003 of it"),
    "all": (1000 * NOISE, {"eps": 1.0, "norm": 2}, "3 of 3 columns"),
    "of which one has missing values": (
        np.where(np.arange(3) + np.arange(80)[:, None] == 5, np.nan, NOISE * [1, 1, 1000]),
        {"eps": 0.3, "estimator": HistGradientBoostingClassifier(max_iter=5)},
        "1 of 3 .*column 2",
    ),
    "of those that may change": (
        NOISE * [1, 1, 1000],
        {"eps": 0.3, "constraints": Constraints(immutable=[2])},
        None,
    ),
    "in standard deviations": (1000 * NOISE, {"eps": 0.1, "eps_unit": "std"}, None),
    "by column": (NOISE * [1, 1, 1000], {"eps": [0.3, 0.3, 300.0]}, None),
    "a small budget in the same units": (NOISE * [1, 2, 4], {"eps": 0.02}, None),
    "a column that is constant": (NOISE * [1, 1, 0], {"eps": 0.3}, None),
}


@pytest.mark.parametrize(("data", "given", "said"), HARDLY.values(), ids=HARDLY)
def test_one_budget_for_columns_in_other_units_is_said(
    data: Any, given: dict[str, Any], said: str | None
) -> None:
    """Rates near 0 would look like robust models."""
    y = np.arange(len(data)) % 2
    generator = AdversarialGenerator(attack="fgsm", **given).fit(data, y)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", UserWarning)
        generator.generate(data)
    texts = [str(one.message) for one in heard if "standard deviation" in str(one.message)]
    assert len(texts) == (said is not None)
    if said is not None:
        assert re.search(said, texts[0])


def test_of_many_the_first_are_named() -> None:
    data = RNG.randint(0, 9, size=(40, 6)).astype(float)
    generator = AdversarialGenerator(attack="fgsm", eps=0.5, constraints=Constraints(integer=[0, 1, 2, 4, 5]))
    generator.fit(data, data[:, 3] > 4)
    with pytest.warns(UserWarning, match="in all samples: column 0, column 1, column 2 and 2 more. Raise"):
        generator.transform(data)


@pytest.mark.parametrize("measure", ["transfer", "robustness", "transfer_curve"])
def test_results_keep_it(measure: str, tmp_path: Any) -> None:
    models = {"line": MODEL, "tree": DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, Y)}
    scorer = TransferScorer(AdversarialGenerator(attack="square", eps=0.9, constraints=RULES), random_state=0)
    scorer.generator.max_queries = 20
    scorer.fit(models)
    given = {"transfer": (X, Y), "robustness": (models["tree"], X, Y), "transfer_curve": (X, Y)}[measure]
    more = {"eps": [0.3, 0.9]} if measure == "transfer_curve" else {}
    with pytest.warns(UserWarning, match="too small for a step of 1 or a change of category"):
        result = getattr(scorer, measure)(*given, **more)
    assert result.provenance.settings["out_of_reach"] == [COUNT, GROUP]
    result.save(tmp_path / "result.json")
    again = load_result(tmp_path / "result.json")
    assert again == result and again.provenance.settings["out_of_reach"] == [COUNT, GROUP]
    assert "out_of_reach" in result._repr_html_()


def test_a_curve_looks_at_its_largest_budget() -> None:
    models = {"line": MODEL, "other": LogisticRegression(C=0.1).fit(X, Y)}
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.1, constraints=RULES)).fit(models)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = scorer.transfer_curve(X, Y, eps=[0.3, 1.5])
    assert "out_of_reach" not in curve.provenance.settings
