"""What an audit measures: each part against a closed form or a direct count, and what is refused."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, audit, load_result
from skhalfway.models import as_model
from skhalfway.report import _run
from skhalfway.report._columns import deciding
from skhalfway.report._reached import reached
from skhalfway.report._surrogates import default_surrogates
from skhalfway.report._unmoved import unmoved
from skhalfway.report._words import PARTS
from skhalfway.transfer import TransferCurve

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(X, Y, random_state=0)
MODELS = {
    "deployed": make_pipeline(StandardScaler(), LogisticRegression()).fit(X_TRAIN, Y_TRAIN),
    "bayes": GaussianNB().fit(X_TRAIN, Y_TRAIN),
}
QUICK = {"tree": DecisionTreeClassifier(max_depth=3, random_state=0), "bayes": GaussianNB()}


def quick(models=MODELS, X=X_TEST, y=Y_TEST, **changed):
    """An audit in a moment."""
    settings = {"surrogates": None, "eps": [0.2, 0.5], "n_samples": 24, "parts": (), **changed}
    return audit(models, X, y, **settings)


@pytest.fixture(scope="module")
def whole():
    """An audit with all parts, of a table."""
    return audit(
        MODELS,
        X_TEST,
        Y_TEST,
        surrogates=QUICK,
        reference=(X_TRAIN, Y_TRAIN),
        eps=[0.2, 0.5],
        n_samples=60,
        random_state=1,
    )


def test_whole(whole, tmp_path):
    assert whole.deployed == "deployed" and not whole.partial and not whole.left_out
    assert whole.roles == {
        "deployed": "deployed",
        "bayes": "other",
        "surrogate tree": "surrogate",
        "surrogate bayes": "surrogate",
    }
    assert whole.kinds["deployed"] == "Pipeline of LogisticRegression"
    assert whole.surrogates.n_rows == len(X_TRAIN) // 2 and whole.surrogates.n_reference == len(X_TRAIN)
    assert whole.curve.n_samples == 60 and whole.unit == "std"
    assert set(whole.seconds) == {"surrogates", "transfer", *PARTS}
    assert whole.provenance.made_by == "audit"
    whole.save(tmp_path / "report.json")
    again = load_result(tmp_path / "report.json")
    assert again == whole and again.verdict == whole.verdict and again.findings == whole.findings


def test_the_curve_is_that_of_a_scorer(whole):
    rows = whole.curve.matrices[0].outcomes.row_index
    generator = AdversarialGenerator(eps_unit="std", clip_values="range", random_state=1)
    scorer = TransferScorer(generator, random_state=1).fit(MODELS, reference=X_TRAIN)
    curve = scorer.transfer_curve(X_TEST.loc[rows], Y_TEST.loc[rows], eps=[0.2, 0.5])
    np.testing.assert_array_equal(curve.rates, whole.curve.rates[:, :2, :2])
    # all budgets at once are no easier than each
    scorer.set_params(generator__eps=0.5).fit(MODELS, reference=X_TRAIN)
    alone = scorer.robustness(MODELS["deployed"], X_TEST.loc[rows], Y_TEST.loc[rows])
    assert whole.metrics["robust_accuracy"] <= alone.robust_accuracy


def test_samples_keep_the_shares_of_classes_and_their_names(whole):
    labels = whole.curve.matrices[0].outcomes.labels
    assert abs(labels.mean() - Y_TEST.mean()) < 1 / 60
    assert {one.name for one in whole.exposed} <= set(X_TEST.index)


def test_exposed_samples_fool_within_their_budget(whole):
    assert whole.exposed
    assert [one.eps for one in whole.exposed] == sorted(one.eps for one in whole.exposed)
    for one in whole.exposed:
        before = X_TEST.loc[one.name]
        assert one.label == Y_TEST[one.name] != one.answer and one.source != "deployed"
        for column, old, new in one.changes:
            assert old == before[column]
            assert 0 < abs(new - old) <= one.eps * X_TRAIN[column].std(ddof=0) * (1 + 1e-6)


def test_results_do_not_depend_on_jobs():
    few = {"surrogates": {"bayes": GaussianNB()}, "reference": (X_TRAIN, Y_TRAIN), "n_samples": 20}
    one, two = (quick(parts=["exposed"], eps=[0.5], n_jobs=n, **few) for n in (1, 2))
    assert one == two


def test_columns_of_a_model_that_looks_at_one(monkeypatch):
    rng = np.random.RandomState(0)
    data = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    y = (data["b"] > 0).astype(int)
    one = DecisionTreeClassifier(max_depth=1).fit(data, y)
    report = quick({"one": one, "nb": GaussianNB().fit(data, y)}, data, y, parts=["columns"], n_samples=100)
    columns = report.columns
    assert columns.names[0] == "b" and columns.n_fooled > 10
    assert columns.weights.tolist() == [1, 0, 0] and columns.frozen == {"b": 0}
    np.testing.assert_allclose(columns.shares.sum(), 1)
    assert next(a for a in report.findings if a.kind == "column").title == "The attack depends on column b"


def test_columns_decide_as_often_as_shapley_and_shubik_say():
    """Changes that weigh 3, 2 and 2, any two of which are enough; then the first alone is enough too."""
    rng = np.random.RandomState(0)
    data = rng.uniform(size=(400, 3))
    linear = LogisticRegression().fit(data, data.sum(axis=1) > 1.5)
    linear.coef_, linear.intercept_ = np.array([[3.0, 2.0, 2.0]]), np.array([-3.5])
    setting = SimpleNamespace(seed=0, deployed="m", answers=lambda name, X: linear.predict(np.asarray(X)))
    labels = np.zeros(400, dtype=bool)
    for kind in (np.asarray, lambda X: pd.DataFrame(X, columns=list("abc"))):
        weights = deciding(setting, kind(np.zeros((400, 3))), kind(np.ones((400, 3))), labels)
        np.testing.assert_allclose(weights, 1 / 3, atol=0.02)
    linear.intercept_ = np.array([-2.5])  # the first decides unless it comes last
    weights = deciding(setting, np.zeros((400, 3)), np.ones((400, 3)), labels)
    np.testing.assert_allclose(weights, [4 / 6, 1 / 6, 1 / 6], atol=0.02)


def test_frozen_columns_are_added_to_the_constraints():
    constraints = Constraints(immutable=["mean radius"])
    columns = quick(constraints=constraints, parts=["columns"], eps=[1.0], n_samples=20).columns
    assert columns.shares[columns.names.index("mean radius")] == 0
    assert "mean radius" not in columns.frozen
    assert len(columns.frozen) == 5 and columns.weights.sum() == pytest.approx(1)
    assert columns.frozen_all <= max(columns.frozen.values()) <= columns.n_fooled


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_nearest_samples_of_a_linear_model_are_at_its_distance(norm):
    generator = AdversarialGenerator(norm=norm, eps_unit="std", max_iter=100)
    report = quick(generator=generator, parts=["nearest"], reference=X_TRAIN, eps=[0.1], n_samples=20)
    _, linear = MODELS["deployed"]
    rows = report.curve.matrices[0].outcomes.row_index
    samples, labels = X_TEST.loc[rows], Y_TEST.loc[rows]
    right = MODELS["deployed"].predict(samples) == labels
    margins = np.abs(MODELS["deployed"].decision_function(samples[right]))
    dual = np.abs(linear.coef_).sum() if norm == np.inf else np.linalg.norm(linear.coef_)
    assert report.nearest.attack == "fmn" and not report.nearest.exact
    np.testing.assert_allclose(report.nearest.distances, margins / dual, rtol=0.02)


def test_nearest_samples_of_a_tree_are_exact():
    one = DecisionTreeClassifier(max_depth=1).fit(X_TRAIN[["mean area"]], Y_TRAIN)
    other = KNeighborsClassifier().fit(X_TRAIN[["mean area"]], Y_TRAIN)
    generator = AdversarialGenerator(eps_unit="input")
    report = quick(
        {"one": one, "knn": other}, X_TEST[["mean area"]], generator=generator, eps=[50.0], parts=["nearest"]
    )
    rows = report.curve.matrices[0].outcomes.row_index
    samples = X_TEST.loc[rows, ["mean area"]]
    right = one.predict(samples) == Y_TEST.loc[rows]
    expected = np.abs(samples["mean area"][right] - one.tree_.threshold[0])
    assert report.nearest.exact and report.nearest.attack == "tree"
    np.testing.assert_allclose(report.nearest.distances, expected, atol=1e-3)


def test_retraining_judges_both_on_the_same_samples(whole):
    tried = whole.retraining
    assert tried.right.shape == tried.own.shape == tried.others.shape == (2, 60)
    rates = whole.curve.to_frame().loc[(0.5, slice(None), "deployed"), "rate"].drop("deployed", level=1)
    best = rates.sort_values(ascending=False, kind="stable").index.get_level_values(1)[:2]
    assert tried.sources == tuple(best)
    assert tried.eps == 0.5 and tried.n_rows == len(X_TRAIN)
    # the clone before is the deployed model, whose curve says the same of it
    outcomes = whole.curve.matrices[-1].outcomes
    np.testing.assert_array_equal(tried.own[0], (outcomes.own[0] == outcomes.labels) & tried.right[0])
    assert not (tried.own & ~tried.right).any()


def test_surrogates_learn_the_answers_of_the_deployed_model_without_labels():
    wrong = LogisticRegression().fit(X_TRAIN[["mean area"]], 1 - Y_TRAIN)
    deployed = wrong.fit(X_TRAIN[["mean area"]], (X_TRAIN["mean area"] < 500).astype(int))
    report = quick(
        {"m": deployed},
        X_TEST[["mean area"]],
        surrogates={"tree": DecisionTreeClassifier(max_depth=1)},
        reference=X_TRAIN[["mean area"]],
        surrogate_share=1.0,
    )
    assert report.surrogates.labelled_by == "deployed" and report.surrogates.n_rows == len(X_TRAIN)
    clean = report.curve.matrices[0].outcomes.clean
    np.testing.assert_array_equal(clean[0], clean[1])
    assert "predictions of the deployed model" in report.protocol["surrogates"]


def test_without_a_reference_half_of_the_samples_train_the_surrogates():
    report = quick({"m": MODELS["deployed"]}, surrogates=QUICK, n_samples=None)
    assert report.surrogates.split_off
    assert report.curve.n_samples + report.surrogates.n_reference == len(X_TEST)
    assert "split off X" in report.protocol["units measured on"]


def test_texts_and_missing_values():
    table = X[["mean area", "mean texture"]].copy()
    table["kind"] = np.where(np.arange(len(X)) % 3, "one", "two")
    table.iloc[::7, 1] = np.nan
    surrogates, described = default_surrogates(table, 2, 0, 100)
    assert (
        list(surrogates)
        == ["linear", "kernel", "network", "forest", "boosting", "neighbours"]
        == list(described)
    )
    from sklearn.compose import make_column_transformer

    steps = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    deployed = make_pipeline(steps, HistGradientBoostingClassifier(max_iter=5)).fit(table[:300], Y[:300])
    few = {"linear": surrogates["linear"]}
    report = quick(
        deployed,
        table[300:],
        Y[300:],
        surrogates=few,
        reference=(table[:300], Y[:300]),
        parts=["exposed", "columns", "halfway"],
        eps=[0.5],
        n_samples=20,
    )
    assert report.deployed == "deployed" and "categories" in report.left_out["halfway"]
    assert any("kind" in said for said in report.not_tested)
    assert all(column != "kind" for one in report.exposed for column, _, _ in one.changes)
    columns = report.columns
    assert columns.shares[columns.names.index("kind")] == columns.weights[columns.names.index("kind")] == 0
    # of all columns that may change, none is left
    assert columns.frozen_all in (0, None) and set(columns.frozen) <= {"mean area", "mean texture"}


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def test_images():
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    model = network(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.tensor(images[:500])), torch.tensor(digits[:500])).backward()
        optimizer.step()
    names = np.array([f"digit {digit}" for digit in range(10)])  # as folders name them; skorch takes none
    report = quick(
        {"net": as_model(model.eval(), classes=names)},
        images[500:600],
        names[digits[500:600]],
        surrogates="auto",
        reference=(images[:300], names[digits[:300]]),
        surrogate_share=0.4,
        parts=["exposed", "columns", "halfway", "retraining"],
        eps=[0.3],
        n_samples=20,
    )
    assert report.unit == "input" and len(report.surrogates.names) == 3
    assert report.left_out["columns"] == "images have no columns"
    assert "cannot be trained again" in report.left_out["retraining"]
    assert report.agreement.pairs.shape == (200, 2) and report.predicted.known.sum() == 12
    one = report.exposed[0]
    assert one.before.shape == one.after.shape == (1, 8, 8) and not one.changes
    assert abs(one.after - one.before).max() <= one.eps + 1e-6
    number = int(one.name)
    np.testing.assert_array_equal(one.before, images[500 + number])
    assert names[digits[500 + number]] == one.label
    outcomes = report.curve.matrices[0].outcomes
    assert ((outcomes.clean == outcomes.labels).mean(axis=1) > 0.3).all()  # of surrogates, too; chance is 0.1


def test_a_part_that_fails_leaves_the_others(monkeypatch):
    monkeypatch.setattr(_run, "nearest_samples", raising(ValueError("no way\nat all")))
    report = quick(parts=["nearest", "exposed"])
    assert report.left_out == {"nearest": "no way at all"} and report.nearest is None and report.exposed
    monkeypatch.setattr(_run, "nearest_samples", raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        quick(parts=["nearest"])


def raising(error):
    def fail(*args):
        raise error

    return fail


def test_an_interrupt_leaves_a_partial_report(monkeypatch):
    monkeypatch.setattr(_run, "attacked_columns", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt) as caught:
        quick(parts=["exposed", "columns", "nearest"])
    report = caught.value.partial
    assert report.partial and report.exposed and set(report.left_out) == {"columns", "nearest"}

    def interrupted(self, *args, **kwargs):
        interrupt = KeyboardInterrupt()
        interrupt.partial = partial
        raise interrupt

    monkeypatch.setattr(TransferScorer, "transfer_curve", interrupted)
    for partial in (report.curve, None):
        with pytest.raises(KeyboardInterrupt) as caught:
            quick(parts=["exposed"])
        if partial is None:
            assert caught.value.partial is None
        else:
            assert caught.value.partial.partial and isinstance(caught.value.partial.curve, TransferCurve)


def test_warnings_are_in_the_report(monkeypatch):
    def warned(*_):
        for message in (*before, "it is small"):
            warnings.warn(message, stacklevel=2)
        raise ValueError("enough")

    hidden = make_pipeline(StandardScaler(), LogisticRegression(C=1e6)).fit(X_TRAIN, 1 - Y_TRAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = quick({"deployed": MODELS["deployed"], "hidden": hidden}).warnings
        monkeypatch.setattr(_run, "nearest_samples", warned)
        report = quick({"deployed": MODELS["deployed"], "hidden": hidden}, parts=["nearest"])
    assert any("hidden" in said for said in before)
    assert report.warnings == (*before, "distance to the nearest adversarial example: it is small")
    assert any(advice.kind == "check" and "hidden" in advice.title for advice in report.findings)


GIVEN = AdversarialGenerator(constraints=Constraints(integer=[0]))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"models": MODELS["bayes"]},
            ValueError,
            "a single model without surrogates leaves no source",
        ),
        (
            {"models": "deployed.skops"},
            TypeError,
            "got the name 'deployed.skops'; read a file with .*read_model",
        ),
        ({"deployed": "deploid"}, ValueError, "deployed must be the name .*deploid.*did you mean 'deployed'"),
        ({"models": {}}, ValueError, "at least 2 are needed|must be"),
        ({"models": {"a": 3, "b": MODELS["bayes"]}}, TypeError, "a"),
        ({"models": {"a": SVC(), "b": MODELS["bayes"]}}, ValueError, "not fitted"),
        ({"y": np.zeros(len(Y_TEST), dtype=int)}, ValueError, "y must hold at least 2 classes"),
        ({"y": Y_TEST[:-1]}, ValueError, "one label per sample"),
        ({"y": Y_TEST + 1}, ValueError, r"y must hold labels that the models know, .* got \[2\]"),
        ({"y": Y_TEST.astype(str)}, ValueError, r"which are \[0, 1\]; got \['0', '1'\]"),
        (
            {"reference": (X_TRAIN, Y_TRAIN + 1), "surrogates": QUICK},
            ValueError,
            r"reference .* got \[2\]",
        ),
        ({"X": csr_matrix(X_TEST)}, TypeError, r"X is sparse, .*pass X.toarray\(\)"),
        ({"reference": csr_matrix(X_TRAIN)}, TypeError, "reference is sparse"),
        (
            {"X": X_TEST.rename(columns={"mean area": "mean radius"})},
            ValueError,
            "X has two columns called 'mean radius'",
        ),
        ({"surrogates": {}}, ValueError, "surrogates must be 'auto', None, or a mapping"),
        (
            {"surrogates": QUICK, "y": np.r_[2, Y_TEST[1:]]},
            ValueError,
            "class 2 has one sample, which cannot be split; pass reference",
        ),
        ({"X": X_TEST[["mean area"]]}, ValueError, "features|columns|feature names"),
        (
            {"y": 1 - MODELS["deployed"].predict(X_TEST)},
            ValueError,
            "classifies none of the 24 samples correctly",
        ),
        ({"eps": [0.5, 0.1]}, ValueError, "each larger than the one before"),
        ({"eps": []}, ValueError, "eps must be"),
        ({"surrogates": "many"}, ValueError, "surrogates must be 'auto', None, or a mapping"),
        ({"surrogate_share": 0}, ValueError, "surrogate_share must be > 0 and at most 1, got 0"),
        ({"generator": SVC()}, TypeError, "generator must be an AdversarialGenerator"),
        (
            {"generator": GIVEN, "constraints": Constraints(integer=[0])},
            ValueError,
            "constraints are given twice",
        ),
        ({"constraints": Constraints(immutable=["size"])}, ValueError, "size"),
        ({"parts": "pictures"}, ValueError, "parts must be 'all' or a list"),
        ({"parts": ["exposd"]}, ValueError, "did you mean 'exposed'"),
        ({"n_samples": 1}, ValueError, "n_samples must be"),
        ({"random_state": None}, ValueError, "random_state must be an integer"),
        ({"reference": (X_TRAIN, Y_TRAIN, 3)}, ValueError, r"a pair \(samples, labels\), got a tuple of 3"),
        ({"reference": (X_TRAIN, Y_TRAIN[:5])}, ValueError, "the labels of reference"),
        (
            {"reference": X_TRAIN.assign(label=Y_TRAIN).drop(columns="mean area")},
            ValueError,
            r"it lacks \['mean area'\] and also has \['label'\]; pass labels separately",
        ),
        ({"surrogates": QUICK, "X": X_TEST[:10], "y": Y_TEST[:10]}, ValueError, "too few to split"),
        (
            {"surrogates": QUICK, "reference": (X_TRAIN, Y_TRAIN), "surrogate_share": 0.001},
            ValueError,
            "the 1 samples for training surrogates lack class",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_audited_is_refused_before_any_attack(changed, error, message, monkeypatch):
    monkeypatch.setattr("skhalfway.transfer._experiments.try_all", None)
    monkeypatch.setattr("skhalfway.report._run.trained", None)
    with pytest.raises(error, match=message):
        quick(**changed)


class Answering:
    """A model without gradients; its answers have the shape (n_samples, 1) as CatBoost's, or (n_samples,)."""

    def __init__(self, model, shape):
        self.model, self.classes_, self.shape = model, model.classes_, shape

    def predict(self, X):
        return self.model.predict(np.asarray(X)).reshape(self.shape)


NAMED = X_TEST.iloc[:, :4]
TABLE = NAMED.to_numpy()
SMALL = {
    "deployed": Answering(LogisticRegression(max_iter=5000).fit(X_TRAIN.to_numpy()[:, :4], Y_TRAIN), -1),
    "other": GaussianNB().fit(X_TRAIN.to_numpy()[:, :4], Y_TRAIN),
}


def small(X=TABLE, y=Y_TEST, models=SMALL, **changed):
    """The same in a second."""
    attack = AdversarialGenerator(
        attack="square", eps_unit="std", clip_values="range", max_queries=20, random_state=0
    )
    return quick(models, X, y, **{"generator": attack, "eps": [0.5], "parts": ["columns"], **changed})


@pytest.mark.parametrize(
    ("models", "X", "y"),
    [
        ({**SMALL, "deployed": Answering(SMALL["deployed"].model, (-1, 1))}, TABLE, Y_TEST),
        (SMALL, TABLE, Y_TEST.astype(float)),
        (SMALL, TABLE, Y_TEST.astype(bool)),
        (SMALL, TABLE.tolist(), Y_TEST),
        (SMALL, torch.tensor(TABLE), Y_TEST),
    ],
    ids=["answers in a column", "labels as floats", "labels as bools", "lists", "tensor"],
)
def test_the_same_in_another_form_gives_the_same_figures(models, X, y):
    """Answers, labels and samples are compared by value, in whatever form they come."""
    parts = ["exposed", "columns"]
    expected, report = small(parts=parts), small(X, y, models, parts=parts)
    assert report.metrics == expected.metrics and report.columns.frozen == expected.columns.frozen
    names = [(one.name, one.label, one.source) for one in report.exposed]
    assert names == [(one.name, one.label, one.source) for one in expected.exposed] and names


def test_names_that_samples_share_hide_none_of_them():
    expected = small(NAMED, parts=["exposed"])
    report = small(NAMED.set_axis(["case"] * len(NAMED)), parts=["exposed"])
    assert [one.changes for one in report.exposed] == [one.changes for one in expected.exposed]
    assert {one.name for one in report.exposed} == {"case"}


def test_columns_of_names_that_constraints_do_not_know_are_frozen():
    pairs = pd.MultiIndex.from_tuples([("mean", k) for k in range(4)])
    expected, found = (small(X).columns for X in (TABLE, NAMED.set_axis(pairs, axis=1)))
    assert list(found.frozen.values()) == list(expected.frozen.values())


def test_a_reference_without_names_has_those_of_the_samples():
    train = X_TRAIN.iloc[:, :4]
    named, plain = (small(NAMED, reference=reference) for reference in (train, train.to_numpy()))
    assert plain.columns.frozen == named.columns.frozen and plain.metrics == named.metrics


@pytest.mark.parametrize(("factor", "doubtful"), [(1, False), (1.5, False), (3, True), (9, True)])
def test_a_reference_in_other_units_is_doubted(factor, doubtful):
    area = "mean area"
    reference = X_TRAIN.iloc[:, :4].assign(**{area: X_TRAIN[area] / factor})
    report = quick(SMALL, NAMED[:40], Y_TEST[:40], reference=reference, eps=[0.001], n_samples=40)
    assert report.unmoved == ((area,) if doubtful else ())


@pytest.mark.parametrize(
    ("factor", "words", "severity"),
    [(1, "", ""), (0.5, "more", "low"), (0.3, "more", "medium"), (2, "less", "low"), (4, "less", "medium")],
)
def test_a_reference_that_varies_less_or_more_is_a_finding(factor, words, severity):
    area = "mean area"
    reference = X_TRAIN.iloc[:, :4].assign(**{area: X_TRAIN[area] / factor})
    report = quick(SMALL, NAMED[:120], Y_TEST[:120], reference=reference, eps=[0.001], n_samples=120)
    found = [one for one in report.findings if one.title.startswith("The reference varies")]
    assert [(one.title, one.severity) for one in found] == (
        [(f"The reference varies {words} than the samples in column mean area", severity)] if words else []
    )
    if words:
        (told,) = report.data.reference_spread
        assert (
            told[0] == area and f"its spread is {told[1]:.2g} times that of the samples" in found[0].evidence
        )
        assert told[1] == pytest.approx(reference[area].std(ddof=0) / NAMED[:120][area].std(ddof=0))


@pytest.mark.parametrize("draw", ["normal", "lognormal", "t with 2 degrees of freedom"])
def test_references_of_the_same_distribution_are_seldom_suspected(draw):
    """Ten columns each time; heavy tails have spreads that differ by chance."""
    rng = np.random.RandomState(0)
    draws = {
        "normal": rng.normal,
        "lognormal": rng.lognormal,
        "t with 2 degrees of freedom": lambda size: rng.standard_t(2, size=size),
    }
    n_runs, wrong, by_factor_alone = 100, 0, 0
    generator = AdversarialGenerator(eps_unit="std")
    for run in range(n_runs):
        n = [(50, 50), (50, 500), (500, 100), (500, 500)][run % 4]
        reference, X = (draws[draw](size=(size, 10)) for size in n)
        setting = SimpleNamespace(reference=reference, measured_on=reference, X=X, generator=generator)
        setting.budgets = (0.5,)
        space = reached(setting)
        wrong += bool(unmoved(setting, space).differing)
        by_factor_alone += bool((np.abs(np.log(reference.std(axis=0) / X.std(axis=0))) > np.log(1.5)).any())
    assert wrong <= 5 and (draw == "normal" or by_factor_alone >= 70)


@pytest.mark.parametrize(
    ("moved", "spread", "immutable", "doubtful", "still"),
    [
        (1.0, 0, (), True, True),
        (0.025, 0, (), False, True),
        (1.0, 0.01, (), True, False),
        (1.0, 1, (), False, False),
        (1.0, 0, (3,), False, False),
    ],
    ids=["constant", "few differ", "of another scale", "alike", "immutable by intention"],
)
def test_columns_that_the_reference_hardly_varies_in_are_no_sign_of_safety(
    moved, spread, immutable, doubtful, still
):
    """Budgets are close to 0 there, so nothing found says nothing, unless the user rules changes out."""
    X, train = NAMED[:40].copy(), X_TRAIN.iloc[:, :4]
    area = "mean area"
    X.iloc[int(moved * 40) :, X.columns.get_loc(area)] = 500.0
    reference = train.assign(**{area: 500.0 + spread * (train[area] - 500.0)})
    rules = Constraints(immutable=immutable)
    given = {"reference": reference, "constraints": rules, "eps": [0.001], "n_samples": 40}
    report = quick(SMALL, X, Y_TEST[:40], **given)
    assert report.unmoved == ((area,) if doubtful else ())
    assert any("do not vary in the reference" in line for line in report.not_tested) == still
    assert ("less than the samples in mean area" in str(report.verdict)) == doubtful
    assert not doubtful or report.verdict.level == "unknown"
