"""What an audit notices in the data: columns that give the label away, budgets, samples seen before."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, audit, load_result
from skhalfway.cli._faults import said
from skhalfway.models import check_model
from skhalfway.report import InspectedData, TellingColumn, compare_reports
from skhalfway.report._gaps import gaps_in
from skhalfway.report._rules import ByText, informed

N = 400
RNG = np.random.RandomState(0)
PUMPS = pd.DataFrame(
    {
        "temperature": RNG.normal(70, 5, N),
        "pressure": RNG.gamma(4, 2, N),
        "visits": RNG.poisson(5, N),
        "site": RNG.choice(["north", "south", "east"], N),
    }
)
FAILS = (PUMPS["temperature"] - 70) / 5 + RNG.normal(0, 0.3, N) > 0.2
LABELS = np.where(FAILS, "fails", "holds")
COIN = RNG.randint(0, 2, N)
FEW = np.where(np.arange(N) % 50 == 0, ~FAILS, FAILS)  # differs from the label in 2 % of the rows


def model_of(X, y, kind=None):
    """A fitted model of a table with texts."""
    texts = [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts), remainder=StandardScaler()
    )
    return make_pipeline(encode, LogisticRegression(max_iter=500) if kind is None else clone(kind)).fit(X, y)


def audited(X, y=LABELS, kind=None, seen=0, columns=None, **settings):
    """An audit in a moment: models of the first half, and samples of the second, or some of the first."""
    train, test = np.arange(N // 2), np.arange(N // 2 - seen, N // 2 + 100 - seen)
    used = X.columns if columns is None else columns
    pick = make_column_transformer(("passthrough", list(used)), verbose_feature_names_out=False)
    pick.set_output(transform="pandas")
    models = {
        name: make_pipeline(pick, model_of(X[used].iloc[train[k:]], y[train[k:]], kind))
        for k, name in enumerate(("net", "next"))
    }
    for model in models.values():
        model.steps[0][1].fit(X)
    unit = settings.pop("unit", "std")
    attack = AdversarialGenerator(
        attack="fgsm", eps_unit=unit, clip_values="range", **settings.pop("more", {})
    )
    return audit(
        models,
        X.iloc[test],
        y[test],
        generator=attack,
        reference=(X.iloc[train], y[train]),
        **{"eps": [0.2], "parts": (), "surrogates": None, **settings},
    )


def kinds(report):
    return {advice.kind: advice for advice in report.findings}


LEAKS = {
    "text": ({"status": np.where(FAILS, "broken", "fine")}, "category"),
    "text that differs in 2 %": ({"status": np.where(FEW, "broken", "fine")}, "category"),
    "bools": ({"status": FAILS.to_numpy()}, "category"),
    "0 and 1": ({"status": FAILS.astype(int)}, "step"),
    "3 and 7": ({"status": np.where(FAILS, 3, 7)}, "step"),
    "score": ({"status": np.where(FAILS, 0.9, 0.1) + 0.01 * RNG.normal(size=N)}, "apart"),
}


@pytest.mark.parametrize(("extra", "held"), LEAKS.values(), ids=LEAKS)
def test_a_label_among_the_columns_is_never_taken_for_robustness(extra, held):
    """The model relies on it and no attack changes it, so that none succeeds."""
    report = audited(PUMPS.assign(**extra), columns=["status", "site"])
    assert report.verdict.level == "unknown"
    (found,) = report.data.telling
    assert (found.names, found.tells, found.held) == (("status",), "label", held)
    assert found.accuracy > 0.95 and found.chance == 0.5 and not found.declared
    assert "column status alone gives the label away" in str(report.verdict)
    leak = kinds(report)["leak"]
    assert leak.severity == "high" and "leave it out" in leak.action
    assert "Constraints(immutable=['status'])" in leak.action
    assert report.findings[0] == leak


OFF = np.random.RandomState(8).uniform(size=N) < 0.04  # rows in which a code does not agree with the label


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (np.where(OFF ^ FAILS, 700, 300) + RNG.randint(0, 30, N), DecisionTreeClassifier(max_depth=3)),
        (np.where(OFF ^ FAILS, 5000, 40) * RNG.uniform(0.9, 1.1, N), LogisticRegression()),
        (
            1000 * np.where(OFF ^ FAILS, 1, RNG.choice([0, 2], N)) + RNG.randint(0, 90, N),
            KNeighborsClassifier(),
        ),
    ],
    ids=["two blocks", "two scales", "three blocks"],
)
@pytest.mark.parametrize("strays", [0, 8], ids=["", "with values between the blocks"])
def test_blocks_of_numbers_that_agree_with_most_labels(code, kind, strays):
    """No budget crosses the gaps between the blocks, and the rule on them is not quite right."""
    code = code.astype(float)
    code[210 : 210 + strays] = np.linspace(code.min(), code.max(), strays)
    report = audited(PUMPS.assign(code=code), kind=kind, columns=["code", "visits"], eps=[0.3])
    assert report.verdict.level == "unknown"
    assert [one.names for one in report.data.telling] == [("code",)]
    assert kinds(report)["leak"].severity == "high"


def test_blocks_of_numbers_beside_texts_that_decide_together_with_them():
    """Of five answers and a ward, no attack changes any."""
    rng = np.random.RandomState(2)
    said, ward = rng.randint(0, 2, (5, N)), rng.randint(0, 2, N)
    table = PUMPS.assign(**{f"q{k}": np.where(row, "yes", "no") for k, row in enumerate(said)})
    table["ward"] = np.where(ward, 800, 200) + rng.randint(0, 50, N)
    y = np.where(said.sum(axis=0) - 2.5 + 4 * ward - 2 > 0, "admit", "home")
    report = audited(table, y, columns=[*(f"q{k}" for k in range(5)), "ward"], eps=[0.3])
    assert report.verdict.level == "unknown"
    assert "ward" in report.data.telling[0].names and not report.data.telling[0].declared


def test_a_gap_that_decides_many_answers_but_not_most():
    """Other columns decide more, so that no column decides most answers."""
    rng = np.random.RandomState(3)
    place, x = rng.randint(0, 2, N), rng.normal(size=(3, N))
    table = PUMPS.assign(place=np.where(place, 60, 10) + rng.normal(0, 1, N), a=x[0], b=x[1], c=x[2])
    y = np.where(x.sum(axis=0) + 1.2 * (2 * place - 1) > 0, "fails", "holds")
    report = audited(table, y, columns=["place", "a", "b", "c"], eps=[0.02])
    (found,) = report.data.telling
    assert (found.names, found.tells, found.held) == (("place",), "crosses", "gap")
    assert found.accuracy > 0.4 and found.deployed < 0.1 and report.verdict.level == "unknown"
    assert "across gaps between its values (to the other side of the next gap" in str(report.verdict)
    # what is declared elsewhere does not hide it
    fixed = audited(
        table.assign(status=np.where(FAILS, "broken", "fine")),
        y,
        columns=["place", "a", "b", "c", "status"],
        eps=[0.02],
        constraints=Constraints(immutable=["status"]),
    )
    assert fixed.verdict.level == "unknown"


ONE_PEAK = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "rounded amounts": lambda rng, n: rng.lognormal(9, 0.6, n).round(-1),
    "lognormal": lambda rng, n: rng.lognormal(0, 2, n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(2, n),
    "peak at 0": lambda rng, n: rng.gamma(0.3, size=n),
}


@pytest.mark.parametrize("draw", ONE_PEAK.values(), ids=ONE_PEAK)
def test_columns_with_one_peak_have_no_gaps(draw):
    n_runs, found = 120, 0
    for seed in range(n_runs):
        x = draw(np.random.RandomState(seed), (150, 500, 1500)[seed % 3])
        found += len(gaps_in(x, (0.05, 0.1, 0.3, 0.5)[seed % 4] * x.std())) > 0
    assert found <= 1


@pytest.mark.parametrize("kind", [LogisticRegression(), DecisionTreeClassifier(min_samples_leaf=3)], ids=str)
@pytest.mark.parametrize("draw", ONE_PEAK.values(), ids=ONE_PEAK)
def test_no_honest_column_is_suspected_since_the_budget_is_small(draw, kind):
    """The model is really robust within .05 standard deviations."""
    x = draw(np.random.RandomState(1), N)
    table = PUMPS.assign(load=x)
    y = np.where(x + np.random.RandomState(2).normal(0, 0.1 * x.std(), N) > np.median(x), "fails", "holds")
    report = audited(table, y, kind=kind, columns=["load", "pressure"], eps=[0.05])
    assert report.data.telling == ()


def test_gaps_are_found_between_blocks_also_with_values_in_them():
    x = np.concatenate([np.linspace(0, 1, 100), [2.5, 4.0], np.linspace(5, 6, 100), np.linspace(9, 10, 40)])
    np.testing.assert_allclose(gaps_in(x, 0.5), [[1, 5], [6, 9]], atol=0.05)
    assert len(gaps_in(x, 3.5)) == 1 and len(gaps_in(x, 5.0)) == 0


def test_whole_numbers_that_the_budget_cannot_step_over():
    """Of 80 values, the even ones are those of one class; the budget is half a step."""
    rng = np.random.RandomState(1)
    code = 2 * rng.randint(0, 40, N) + FAILS.astype(int)
    table = PUMPS.assign(code=code)
    tree = DecisionTreeClassifier(random_state=0)
    for rules, held in ((Constraints(integer=["code"]), ["step"]), (None, ["barely"])):
        given = {"columns": ["code", "pressure"], "unit": "input", "eps": [0.5], "constraints": rules}
        report = audited(table, kind=tree, **given)
        assert [one.held for one in report.data.telling if one.names == ("code",)] == held
        assert rules is None or report.verdict.level == "unknown"


CODES = 7 + 3 * np.random.RandomState(5).randint(0, 6, N)
BY_CODE = np.where(np.isin(CODES, [10, 16, 22]), "fails", "holds")


def coded_models(unknown, kind, **more):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown=unknown, sparse_output=False), ["code"]),
        ("passthrough", ["pressure"]),
    )
    table = PUMPS.assign(code=CODES)[["pressure", "code"]]
    models = {f"m{k}": make_pipeline(encode, clone(kind)).fit(table[k:200], BY_CODE[k:200]) for k in (0, 9)}
    return models, table


@pytest.mark.parametrize("kind", [LogisticRegression(), DecisionTreeClassifier(random_state=0)], ids=str)
def test_numbers_that_the_model_takes_as_categories(kind):
    """All other numbers are unknown to the encoder, so no attack reaches another category."""
    models, table = coded_models("ignore", kind)
    attack = AdversarialGenerator(attack="square", max_queries=5, eps_unit="std", clip_values="range")
    given = {"eps": [0.9], "parts": (), "surrogates": None, "generator": attack}
    report = audit(models, table[200:300], BY_CODE[200:300], reference=table[:200], **given)
    (found,) = report.data.telling
    assert (found.names, found.tells, found.held) == (("code",), "label", "codes")
    assert report.data.codes == ("code",) and report.verdict.level != "nothing_found"
    (told,) = [one for one in report.findings if "treated as categories" in one.title]
    assert "Constraints(immutable=['code'])" in told.action and "Constraints(integer=['code'])" in told.action


@pytest.mark.parametrize(
    "kind", [LogisticRegression(), DecisionTreeClassifier(random_state=0), KNeighborsClassifier()], ids=str
)
def test_numbers_are_not_taken_for_categories_elsewhere(kind):
    report = audited(PUMPS.assign(code=CODES), BY_CODE, kind=kind, columns=["code", "pressure"], eps=[1.0])
    assert report.data.codes == ()


def test_numbers_that_the_model_refuses_are_named_with_what_to_do():
    models, table = coded_models("error", LogisticRegression())
    given = {"parts": (), "surrogates": None, "reference": table[:200], "eps": [0.5]}
    with pytest.raises(
        ValueError, match="'m0': column 'code' holds codes.*Constraints\\(immutable=\\['code'"
    ) as raised:
        audit(models, table[200:300], BY_CODE[200:300], **given)
    assert "--constraints FILE with the line immutable = ['code']" in said(raised.value)
    generator = AdversarialGenerator(FrozenEstimator(models["m0"]), attack="square", eps=0.5, max_queries=20)
    with pytest.raises(ValueError, match="column 'code' holds codes.*Constraints\\(integer=\\['code'\\]\\)"):
        generator.generate(table[200:300], BY_CODE[200:300])
    fixed = audit(
        models, table[200:300], BY_CODE[200:300], constraints=Constraints(immutable=["code"]), **given
    )
    assert fixed.data.codes == ()


def as_text(X):
    return X.astype(str)


def test_whole_numbers_that_a_model_takes_otherwise_as_floats_are_refused():
    """The model makes text of them: "12.0" is not "12"."""
    table = PUMPS[["pressure", "visits"]].assign(code=CODES)
    encode = make_pipeline(FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"))

    def fitted(table):
        both = make_column_transformer((encode, ["code"]), ("passthrough", ["pressure", "visits"]))
        return {
            f"m{k}": make_pipeline(both, LogisticRegression()).fit(table[k:200], BY_CODE[k:200])
            for k in (0, 9)
        }

    given = {"parts": (), "surrogates": None, "eps": [0.5]}
    models = fitted(table)
    for rules in (None, Constraints(immutable=["code"])):
        with pytest.raises(ValueError, match="'m0': column 'code' holds whole numbers.*12.0.*make it text"):
            audit(models, table[200:300], BY_CODE[200:300], reference=table[:200], constraints=rules, **given)
    (first, *_) = check_model(models["m0"], table, BY_CODE).findings
    assert (first.kind, first.severity) == ("floats", "warning") and "'code'" in first.message
    assert "visits" not in first.message
    mended = table.assign(code=table["code"].astype(str))
    report = audit(fitted(mended), mended[200:300], BY_CODE[200:300], reference=mended[:200], **given)
    assert report.curve.accuracy[0] > 0.9 and "code" in report.data.categories
    assert "floats" not in [one.kind for one in check_model(fitted(mended)["m0"], mended, BY_CODE).findings]


def test_a_column_that_tells_by_what_is_missing():
    rng = np.random.RandomState(1)
    cost = np.where(FAILS, rng.gamma(3, 200, N), np.nan)
    report = audited(PUMPS.assign(cost=cost), kind=DecisionTreeClassifier(max_depth=2), eps=[0.02])
    (found,) = report.data.telling
    assert (found.names, found.held) == (("cost",), "missing") and report.verdict.level == "unknown"


def test_columns_that_tell_together_by_what_is_missing():
    """Each is missing in half of all rows; whether both or none are is the label."""
    rng = np.random.RandomState(1)
    p, q, other = rng.normal(size=(3, N))
    table = PUMPS.assign(p=np.where(COIN, p, np.nan), q=np.where(COIN == FAILS, q, np.nan), other=other)
    table.loc[rng.uniform(size=N) < 0.3, "other"] = np.nan
    kind = make_pipeline(SimpleImputer(add_indicator=True), DecisionTreeClassifier(random_state=0))
    report = audited(table, kind=kind, columns=["p", "q", "pressure"], eps=[0.02])
    (found,) = report.data.telling
    assert (found.names, found.held, found.tells) == (("p", "q"), "missing", "label")
    assert report.verdict.level == "unknown" and found.accuracy > 0.95
    assert "missing" in kinds(report)["leak"].evidence


@pytest.mark.parametrize(
    "rules",
    [Constraints(immutable=["status"]), Constraints(mask=[True, True, True, True, False])],
    ids=["immutable", "mask"],
)
def test_a_declared_column_is_a_condition_of_the_verdict(rules):
    table = PUMPS.assign(status=FAILS.astype(int))
    report = audited(table, columns=["status", "pressure"], constraints=rules)
    assert report.verdict.level == "nothing_found"
    assert report.verdict.headline.endswith("as long as attackers cannot set column status")
    assert "Column status alone gives the label away" in str(report.verdict)
    finding = kinds(report)["leak"]
    assert finding.severity == "note" and "holds only while attackers cannot set" in finding.title


ORDER = np.random.RandomState(3).permutation(5 * N)[:N]
TEXTS = {
    "word": np.where(FAILS, "paid out on day ", "open since day ") + ORDER.astype(str).astype(object),
    "first letter": np.where(FAILS, RNG.choice(list("XYZ"), N), RNG.choice(list("ABC"), N))
    + ORDER.astype(str).astype(object),
    "last digit": "X" + (10 * ORDER + 2 * RNG.randint(0, 5, N) + FAILS).astype(str).astype(object),
    "length": np.where(FAILS, "1", "") + (10_000 + ORDER).astype(str).astype(object),
}


class Reads(ClassifierMixin, BaseEstimator):
    """Reads the label off a text, in part: numbers count as well. It keeps no names of columns."""

    def __init__(self, how):
        self.how = how

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        says = {
            "word": lambda text: text.startswith("paid"),
            "first letter": lambda text: text[0] in "XYZ",
            "last digit": lambda text: int(text[-1]) % 2 == 1,
            "length": lambda text: len(text) > 5,
        }[self.how]
        told = np.array([says(text) for text in X["note"]])
        return self.classes_[np.where(told + (X["temperature"] < 70) - 0.6 * (X["pressure"] > 8) > 0.5, 0, 1)]


@pytest.mark.parametrize("how", TEXTS)
def test_texts_that_all_differ_are_read(how):
    """No value is seen twice, so that only parts of the texts tell."""
    table = PUMPS.assign(note=TEXTS[how])
    test = np.arange(200, 300)
    attack = AdversarialGenerator(attack="square", max_queries=2, eps_unit="std", clip_values="range")
    report = audit(
        {"a": Reads(how).fit(table, LABELS), "b": Reads(how).fit(table, LABELS)},
        table.iloc[test],
        LABELS[test],
        generator=attack,
        reference=(table.iloc[:200], LABELS[:200]),
        eps=[0.2],
        parts=(),
        surrogates=None,
    )
    (found,) = report.data.telling
    assert (found.names, found.tells, found.held) == (("note",), "label", "category")
    assert found.accuracy > 0.95 and kinds(report)["leak"].severity == "high"


@pytest.mark.parametrize("seed", range(3))
def test_texts_that_say_nothing_are_not_suspected(seed):
    rng = np.random.RandomState(seed)
    notes = [f"{word} on day {day}" for word, day in zip(rng.choice(list("abcdef"), N), ORDER, strict=True)]
    assert telling_text(notes) < 0.3


def telling_text(notes):
    codes = np.arange(N, dtype=float)
    rule = partial(ByText, dict(enumerate(notes)))
    return informed(rule, codes[:, None], FAILS.to_numpy().astype(int), 0)


def test_columns_that_tell_only_together():
    """Each is a coin toss; whether they are equal is the label. A column that does not matter is not "
    "named."""
    pairs = {"a": np.where(COIN, "u", "v"), "b": np.where(COIN == FAILS, "u", "v")}
    tree = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
    report = audited(PUMPS.assign(**pairs), kind=tree, columns=["a", "b", "pressure"])
    (found,) = report.data.telling
    assert set(found.names) == {"a", "b"} and found.accuracy > 0.95 and report.verdict.level == "unknown"
    assert "together give the label away" in str(report.verdict)


def many_weak(n, right, values, seed=0):
    """Columns that each agree with the label of a row with some probability."""
    rng = np.random.RandomState(seed)
    agrees = rng.random_sample((n, N)) < right
    columns = np.where(agrees == np.asarray(FAILS), *np.reshape(values, (2, 1, 1)))
    return {f"op{k}": column.tolist() for k, column in enumerate(columns)}


@pytest.mark.parametrize(
    ("n", "right", "values", "rules"),
    [
        (14, 0.68, ("yes", "no"), None),
        (9, 0.75, ("yes", "no"), None),
        (11, 0.72, (True, False), None),
        (14, 0.68, (1, 0), Constraints(integer=[f"op{k}" for k in range(14)])),
    ],
)
def test_many_columns_that_no_attack_changes_and_that_decide_together(n, right, values, rules):
    """No single column says much, and no simple rule on all of them."""
    table, names = PUMPS.assign(**many_weak(n, right, values)), [f"op{k}" for k in range(n)]
    report = audited(table, columns=[*names, "pressure"], constraints=rules)
    assert report.verdict.level == "unknown"
    (found,) = report.data.telling
    assert set(found.names) <= set(names) and not found.declared
    leak = kinds(report)["leak"]
    assert leak.severity == "high" and "immutable" in leak.action


def test_what_is_declared_and_decides_together_is_a_condition_of_the_verdict():
    table, names = PUMPS.assign(**many_weak(14, 0.66, ("yes", "no"))), [f"op{k}" for k in range(14)]
    given = {"columns": [*names, "pressure"], "constraints": Constraints(immutable=names)}
    report = audited(table, **given)
    (found,) = report.data.telling
    assert found.tells == "decides" and found.declared
    assert found.accuracy > 0.3 and found.deployed < 0.2
    assert report.verdict.headline.startswith(
        "No attack tried here fools it more often than random noise within 0.2 standard deviations, as"
    )
    assert "decide most of what net answers (exchanging their values" in str(report.verdict)
    assert kinds(report)["leak"].severity == "note"


def test_a_column_that_decides_the_answers_though_not_the_label():
    """Labels are half noise, which the model does not know; its answers follow the column."""
    rng = np.random.RandomState(1)
    noisy = np.where(rng.uniform(size=N) < 0.35, ~FAILS, FAILS)
    table = PUMPS.assign(status=np.where(FAILS, "broken", "fine"))
    report = audited(table, np.where(noisy, "fails", "holds"), columns=["status", "visits"])
    (found,) = report.data.telling
    assert found.names == ("status",) and found.accuracy > 0.9 and report.verdict.level != "nothing_found"


@pytest.mark.parametrize(
    ("extra", "columns"),
    [
        ({}, None),
        ({"customer": [f"C{k:04d}" for k in range(N)]}, None),
        ({"number": np.arange(N)}, None),
        # the model does not look at it
        ({"status": np.where(FAILS, "broken", "fine")}, ["temperature", "site"]),
        ({"always": "yes"}, None),
    ],
    ids=["none", "names of customers", "numbers of customers", "not used", "constant"],
)
def test_other_columns_are_not_suspected(extra, columns):
    report = audited(PUMPS.assign(**extra), columns=columns)
    assert report.data.telling == () and "leak" not in kinds(report)


def test_labels_of_ten_classes_as_numbers():
    rng = np.random.RandomState(0)
    y = np.arange(N) % 10
    X = np.column_stack([rng.normal(size=(N, 3)), y])
    model = DecisionTreeClassifier(random_state=0).fit(X[:200], y[:200])
    near = KNeighborsClassifier().fit(X[:200], y[:200])
    attack = AdversarialGenerator(attack="fgsm", eps_unit="std", clip_values="range")
    report = audit(
        [("a", model), ("b", near)], X[200:], y[200:], generator=attack, eps=[0.1], surrogates=None
    )
    (found,) = report.data.telling
    assert found.names == ("column 3",) and found.chance == 0.1 and found.accuracy == 1
    assert "Constraints(immutable=[3])" in kinds(report)["leak"].action


def test_units_of_thousands():
    """A budget of .2 in the units of the data changes nothing in a column of thousands."""
    rng = np.random.RandomState(1)
    income = np.where(FAILS, 30_000, 50_000) + rng.normal(0, 8_000, N)
    table = PUMPS.assign(income=income)
    report = audited(table, columns=["income", "site"], unit="input")
    assert report.data.barely_moved == ("income",) and report.verdict.level == "unknown"
    assert "less than 5 % of the standard deviation of column income" in str(report.verdict)
    first = report.findings[0]
    assert first.kind == "budget" and first.title == "The budget hardly changes column income"
    assert (
        "eps_unit='std'" in first.action
        and "--eps-unit std" in replace(report, command="x").findings[0].action
    )
    leak = kinds(report)["leak"]  # it tells, but only since it is hardly moved
    assert leak.severity == "low" and "only because the budget is far below the spread" in leak.evidence
    assert "whoever can set" not in str(report.verdict)
    fixed = audited(table, columns=["income", "site"], unit="input", constraints=Constraints("income"))
    assert fixed.data.barely_moved == ()
    assert audited(table, columns=["income", "site"]).data.barely_moved == ()


@pytest.mark.parametrize(
    ("unit", "norm", "eps", "spanned", "first"),
    [
        ("std", np.inf, [0.2, 9.0, 20.0], ("temperature", "pressure", "visits"), 9.0),
        ("range", np.inf, [0.5, 1.0], ("temperature", "pressure", "visits"), 1.0),
        ("range", np.inf, [0.5, 0.99], (), None),
        ("input", np.inf, [0.5, 15.0], ("visits",), 15.0),
        # a change of the whole range in all three columns has a length of the root of 3
        ("range", 2, [1.0, 1.7], (), None),
        ("range", 2, [1.0, 1.8], ("temperature", "pressure", "visits"), 1.8),
    ],
)
def test_budgets_as_large_as_the_data(unit, norm, eps, spanned, first):
    table = PUMPS.assign(visits=np.clip(PUMPS["visits"], 0, 12).astype(float))
    table.loc[200:202, ["visits"]] = [[0.0], [12.0], [5.0]]
    report = audited(table, unit=unit, eps=eps, more={"norm": norm})
    assert report.data.spanned == spanned and report.data.spanned_from == first
    finding = kinds(report).get("budget")
    assert (finding is None) == (not spanned)
    if spanned:
        assert finding.severity == ("medium" if len(spanned) > 1 else "note")
        assert spanned[0] in finding.evidence


@pytest.mark.parametrize(
    ("scale", "eps", "barely", "spanned"),
    [(1, 25.0, False, True), (1, 0.1, False, False), (255, 0.1, True, False), (255, 8.0, False, False)],
)
def test_pixels(scale, eps, barely, spanned):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    images = scale * (X / 16).reshape(-1, 1, 8, 8)

    class Flat:
        def __init__(self, n):
            self.model = LogisticRegression(max_iter=200).fit(images[:n].reshape(n, -1) / scale, y[:n])
            self.classes_ = self.model.classes_

        def predict(self, X):
            return self.model.predict(np.asarray(X).reshape(len(X), -1) / scale)

    attack = AdversarialGenerator(attack="square", max_queries=2, clip_values="range")
    report = audit(
        {"a": Flat(500), "b": Flat(300)},
        images[600:640],
        y[600:640],
        generator=attack,
        eps=[eps],
        surrogates=None,
        parts=(),
    )
    assert report.data.barely_moved == ("pixels",) * barely
    assert report.data.spanned == ("pixels",) * spanned
    assert ("standard deviation of the pixels" in str(report.verdict)) == barely
    assert ("budget" in kinds(report)) == (spanned or barely) and "constraints" not in kinds(report)
    assert not barely or kinds(report)["budget"].action.startswith(
        "Audit again: pass budgets on the scale of"
    )


@pytest.mark.parametrize(("seen", "said"), [(0, 0), (60, 60)])
def test_samples_of_the_reference_are_noticed(seen, said):
    report = audited(PUMPS, seen=seen)
    assert report.data.seen == said
    assert ("overlap" in kinds(report)) == (said > 0)
    assert (f"{said} of the 100 attacked samples are in the reference too" in str(report.verdict)) == (
        said > 0
    )


def test_rows_that_repeat_by_chance_are_not_samples_seen():
    """In a table of two dice most rows occur often."""
    rng = np.random.RandomState(1)
    dice = pd.DataFrame({"one": rng.randint(1, 7, N), "two": rng.randint(1, 7, N), "site": PUMPS["site"]})
    report = audited(dice, np.where(dice["one"] + dice["two"] > 7, "high", "low"))
    assert report.data.seen == 0


def test_constraints_are_suggested_as_code_and_as_lines_of_a_file():
    rng = np.random.RandomState(1)
    plan = rng.choice(["basic", "pro"], N)
    table = PUMPS.assign(plan_basic=(plan == "basic").astype(int), plan_pro=(plan == "pro").astype(int))
    report = audited(table, parts=["columns"])
    data, found = report.data, kinds(report)["constraints"]
    assert data.integer == ("visits",) and data.one_hot == (("plan_basic", "plan_pro"),)
    assert data.categories == ("site",) and found.severity == "note"
    code = "Constraints(integer=['visits'], one_hot=[['plan_basic', 'plan_pro']])"
    assert code in found.action and "Constraints(immutable=['temperature'" in found.action
    assert "depends most on column" in found.evidence and "temperature" in found.evidence
    rules = eval(code, {"Constraints": Constraints})  # as it is pasted
    followed = audited(table, constraints=rules)
    assert "constraints" not in kinds(followed) and followed.data.one_hot == data.one_hot
    by_command = replace(report, command="skhalfway audit")
    action = kinds(by_command)["constraints"].action
    lines = 'integer = ["visits"] and one_hot = [["plan_basic", "plan_pro"]]'
    assert f"--constraints constraints.toml, where that file has the lines {lines}" in action


@pytest.mark.parametrize(("eps", "barely"), [(0.3, ("load", "heat")), (1.4, ())])
def test_budgets_in_the_units_of_the_data_are_said_in_standard_deviations(eps, barely):
    rng = np.random.RandomState(4)
    load, heat = rng.normal(0, 20, N), rng.normal(400, 25, N)
    table, y = (
        PUMPS[["site"]].assign(load=load, heat=heat),
        np.where(load > (heat - 400) / 9, "fails", "holds"),
    )
    report = audited(table, y, unit="input", eps=[eps])
    low, high = report.data.deviations
    assert eps / 30 < low < high < eps / 15
    said = f"{100 * low:.2g} to {100 * high:.2g} % of a standard deviation of each column"
    assert f"The largest budget, {eps:g}, is {said} that attacks change." in str(report.verdict)
    assert report.data.barely_moved == barely
    assert ("is less than 5 % of the standard deviation" in str(report.verdict)) == bool(barely)
    assert audited(table, y).data.deviations == ()


@pytest.mark.parametrize(
    ("deviations", "said"),
    [
        ((0.06, 0.11), ", 6 to 11 % of a standard deviation of each column"),
        ((2.0, 2.0), ", 2 standard deviations of each column"),
        ((), ""),
    ],
)
def test_the_headline_has_the_budget_in_standard_deviations(deviations, said, made):
    report = made({"deployed": 0, "second": 0}, fields={"data": InspectedData(deviations=deviations)})
    assert report.verdict.headline.endswith(f"within 0.5 standard deviations{said}")


def test_samples_that_come_again_under_another_number():
    """The model does not use the number of the visit."""
    again = np.r_[np.arange(N // 2), np.arange(N // 2)]
    table = PUMPS.iloc[again].reset_index(drop=True).assign(visit=np.arange(N), note=np.arange(N).astype(str))
    report = audited(table, LABELS[again], columns=["temperature", "pressure", "site"])
    assert report.data.seen == 100 and "overlap" in kinds(report)
    assert audited(table, LABELS[again], columns=["temperature", "visit"]).data.seen == 0


def test_a_column_that_a_rule_does_not_need_is_not_blamed():
    """Whether two codes are equal is the label; the model also looks at a third one."""
    rng = np.random.RandomState(6)
    place, step, third = rng.randint(0, 4, N), rng.randint(1, 4, N), rng.randint(0, 3, N)
    table = PUMPS.assign(
        a=place.astype(str), b=((place + FAILS * step) % 4).astype(str), c=np.array(list("uvw"))[third]
    )
    tree = DecisionTreeClassifier(max_depth=9, min_samples_leaf=2, random_state=0)
    report = audited(table, kind=tree, columns=["a", "b", "c", "pressure"])
    assert {name for one in report.data.telling for name in one.names} == {"a", "b"}
    assert report.verdict.level != "nothing_found"


def test_rounded_amounts_are_no_identifiers():
    rng = np.random.RandomState(7)
    amounts = rng.permutation(np.unique(rng.lognormal(12, 0.5, 2 * N).round()))[:N]
    report = audited(PUMPS.assign(amount=amounts, case_no=amounts[::-1], number=rng.permutation(9 * N)[:N]))
    assert report.data.identifiers == ("case_no", "number") and "amount" in report.data.integer


def test_a_column_that_looks_like_an_identifier_is_not_called_a_count():
    report = audited(PUMPS.assign(customer=RNG.permutation(10 * N)[:N], visits=PUMPS["visits"]))
    assert report.data.identifiers == ("customer",) and report.data.integer == ("visits",)
    action = kinds(report)["constraints"].action
    assert "If column customer is an identifier" in action and "leave it out" in action
    assert "Constraints(immutable=['customer'])" in action and "Constraints(integer=['visits'])" in action
    assert "If not, whole numbers are kept whole by Constraints(integer=['customer'])" in action


def test_values_that_may_leave_the_range(made):
    data = InspectedData(unconstrained=True)
    report = made({"deployed": 0, "second": 0}, fields={"data": data, "protocol": {"valid range": "none"}})
    assert "AdversarialGenerator(clip_values='range')" in kinds(report)["constraints"].action
    by_command = replace(report, command="skhalfway audit")
    assert "--clip-values range" in kinds(by_command)["constraints"].action
    assert "clip" not in kinds(replace(report, protocol={"valid range": "0 to 1"}))["constraints"].action


def test_a_leak_is_a_doubt_whatever_was_found(made):
    """It does not hide what was found: an exposed model stays exposed."""
    leak = TellingColumn(("status",), "label", 0.99, 0.98, 0.5, "category")
    fields = {"data": InspectedData((leak,))}
    assert made({"deployed": 0, "second": 0}, fields=fields).verdict.level == "unknown"
    owner = made({"deployed": 90, "second": 0}, fields=fields).verdict
    assert owner.level == "exposed_to_owner" and "Others may fool it too, and the true figures" in str(owner)
    exposed = made({"deployed": 90, "second": 60}, fields=fields).verdict
    assert exposed.level == "exposed" and "true figures may be higher: column status" in str(exposed)


@pytest.mark.parametrize(
    ("fooled", "headline"),
    [
        (0, "random noise within 0.5 standard deviations, as long as attackers cannot set column status"),
        (90, "Exposed to whoever has the model, and to others if they can set column status"),
    ],
)
def test_the_headline_names_what_the_result_rests_on(fooled, headline, made):
    declared = TellingColumn(("status",), "label", 0.99, 0.98, 0.5, "immutable")
    verdict = made({"deployed": fooled, "second": 0}, fields={"data": InspectedData((declared,))}).verdict
    assert verdict.headline.endswith(headline)
    assert "The constraints say that attackers cannot set column status" in str(verdict)
    exposed = made({"deployed": 90, "second": 60}, fields={"data": InspectedData((declared,))}).verdict
    assert exposed.headline == "Exposed"


def test_what_was_noticed_is_kept_in_files(tmp_path):
    status = np.where(FAILS, "broken", "fine")
    report = audited(PUMPS.assign(status=status), columns=["status", "site"], seen=20)
    report.save(tmp_path / "report.json")
    again = load_result(tmp_path / "report.json")
    assert again == report and again.findings == report.findings and again.verdict == report.verdict
    assert again.data.telling[0].names == ("status",)


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (PUMPS.to_numpy()[:, :3].astype(float), "row numbers in X, counted from 0"),
        (PUMPS.drop(columns="site"), "row numbers in X, counted from 0"),
        (
            PUMPS.drop(columns="site").set_axis([f"P{k}" for k in range(N)]),
            "names in the index of X: X.loc[name] is the sample",
        ),
        (
            PUMPS.drop(columns="site").set_axis(range(N - 1, -1, -1)),
            "names in the index of X: X.loc[name] is the sample",
        ),
    ],
    ids=["array", "table", "names", "reversed numbers"],
)
def test_names_of_samples_lead_to_the_sample(X, said):
    models = {"a": GaussianNB().fit(X, LABELS), "b": DecisionTreeClassifier(max_depth=3).fit(X, LABELS)}
    report = audit(models, X, LABELS, surrogates=None, n_samples=40, eps=[0.5], parts=["exposed"])
    assert said in report.protocol["names of samples"] and said in report.to_html()
    one = report.exposed[0]
    row = X[one.name] if isinstance(X, np.ndarray) else X.loc[one.name].to_numpy()
    names = dict(
        zip(["column 0", "column 1", "column 2"] if isinstance(X, np.ndarray) else X, row, strict=True)
    )
    assert all(names[column] == before for column, before, _ in one.changes) and one.changes


def test_findings_that_only_one_audit_looked_for_are_unknown(made):
    leak = TellingColumn(("status",), "label", 0.99, 0.98, 0.5, "category")
    report = made({"deployed": 90, "second": 60}, fields={"data": InspectedData((leak,))})
    older = replace(report, data=None)
    title = "Column status may give the label away"
    assert dict(compare_reports(older, report).findings)[title] == "unknown"
    assert dict(compare_reports(report, replace(report, data=InspectedData())).findings)[title] == "gone"
