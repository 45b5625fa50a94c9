"""Ensembles as sources of a scorer: rows with no column, and each model against all others."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Ensemble, TransferScorer, load_result
from skhalfway.models import ModelWarning

PGD = AdversarialGenerator(attack="pgd", eps=0.5, max_iter=4)


class BlackBox:
    def __init__(self, model):
        self.model, self.classes_ = model, model.classes_

    def predict(self, X):
        return self.model.predict(X)


class Broken(BlackBox):
    n_asked = 0

    def predict(self, X):
        raise RuntimeError("out of order")


@pytest.fixture(scope="module")
def data(iris):
    X, y = iris
    X, y = X[::3], y[::3]
    models = {
        "lr": LogisticRegression(max_iter=1000).fit(X, y),
        "svm": SVC().fit(X, y),
        "nb": GaussianNB().fit(X, y),
        "weak": LogisticRegression(C=0.1, max_iter=1000).fit(X, y),
    }
    return models, X, y


def scorer_of(models, **settings):
    return TransferScorer(PGD, random_state=0, **settings).fit(models)


def by_hand(models, X, y, target, combine):
    """Rate at which samples made on the others fool a model, of those that both get right."""
    others = Ensemble([(name, model) for name, model in models.items() if name != target], combine=combine)
    right = (others.predict(X) == y) & (models[target].predict(X) == y)
    X_adv = clone(PGD).set_params(estimator=others).generate(X, y)
    return (models[target].predict(X_adv) != y)[right].mean()


def test_an_ensemble_is_a_row_and_no_column(data):
    models, X, y = data
    other = {"lr": models["lr"], "svm": models["svm"]}
    matrix = scorer_of({"ens": Ensemble([("a", models["nb"]), ("b", models["weak"])]), **other}).transfer(
        X, y
    )
    assert matrix.sources == ("ens", "lr", "svm")
    assert matrix.targets == ("lr", "svm")
    alone = scorer_of(other).transfer(X, y)
    np.testing.assert_array_equal(matrix.fooled[1:], alone.fooled)
    assert [finding.kind for finding in matrix.checks["ens"].findings] == ["ensemble"]
    assert "a source, not a target" in str(matrix.checks["ens"])
    assert "accuracy of sources: ens" in str(matrix)


def test_what_fools_a_member_is_no_transfer(data, tmp_path):
    models, X, y = data
    pair = {name: models[name] for name in ("lr", "svm")}
    ensemble = Ensemble([("lr", models["lr"]), ("nb", models["nb"])])
    matrix = scorer_of({**pair, "ens": ensemble}).transfer(X, y)
    assert matrix.outcomes.set_aside == (("ens", "lr"),)
    assert np.isnan(matrix.rates[2, 0])
    assert matrix.mean_rate == pytest.approx(np.mean([*matrix.rates[[0, 1, 2], [1, 0, 1]]]))
    assert re.search(r"ens +member +\.", str(matrix))
    assert ("ens", "lr") not in matrix.to_frame().index
    assert len(matrix.to_frame()) == 5
    assert [text.get_text() for text in matrix.plot().text_.ravel()][4] == "member"
    matrix.save(tmp_path / "matrix.json")
    assert load_result(tmp_path / "matrix.json") == matrix


@pytest.mark.parametrize("combine", ["logits", "losses"])
def test_leave_one_out_is_what_ensembles_do_by_hand(data, combine):
    models, X, y = data
    scorer = scorer_of(models, sources="leave_one_out", combine=combine)
    matrix = scorer.transfer(X, y)
    expected = [by_hand(models, X, y, name, combine) for name in models]
    np.testing.assert_allclose(np.diag(matrix.rates), expected)
    assert scorer.score(X, y) == matrix.mean_rate == pytest.approx(np.mean(expected))
    assert matrix.targets == tuple(models)
    assert matrix.sources == tuple(f"all but {name}" for name in models)
    assert matrix.provenance.settings["sources"] == "leave_one_out"
    assert matrix.provenance.settings["combine"] == combine


def test_leave_one_out_has_one_rate_a_target(data, tmp_path):
    models, X, y = data
    matrix = scorer_of(models, sources="leave_one_out").transfer(X, y, keep_samples=True)
    frame = matrix.to_frame()
    assert list(frame.index) == [(f"all but {name}", name) for name in models]
    np.testing.assert_allclose(frame["rate"], np.diag(matrix.rates))
    assert frame["low"].notna().all()
    assert frame["noise"].notna().all()
    assert np.isfinite(matrix.standard_error)
    head, *rows = str(matrix).splitlines()[:5]
    assert head.startswith("TransferMatrix: 4 models, each attacked through the others, 50 samples")
    assert rows[1].split() == ["source", *models]
    assert rows[2].startswith("all others")
    display = matrix.plot(include_intervals=True)
    assert display.text_.shape == (1, 4)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["all others"]
    assert "the samples made on all but lr" in matrix.describe()
    assert matrix.samples("all but lr").shape == X.shape
    assert matrix.exposure("svm")["of"].max() == 1
    matrix.save(tmp_path / "matrix.json")
    assert load_result(tmp_path / "matrix.json") == matrix
    assert len(matrix.by_class().matrices) == 3
    losses = scorer_of(models, sources="leave_one_out", combine="losses").transfer(X, y)
    comparison = matrix.compare(losses)
    assert comparison.mean_difference == pytest.approx(losses.mean_rate - matrix.mean_rate)
    assert (comparison.n > 0).sum() == 4


def test_leave_one_out_curve_targets_and_some_targets(data):
    models, X, y = data
    scorer = scorer_of(models, sources="leave_one_out", targets=["nb", "svm"])
    curve = scorer.transfer_curve(X, y, eps=[0.25, 0.5])
    at_half = scorer.transfer(X, y)
    assert at_half.sources == ("all but nb", "all but svm")
    assert curve.mean_rates[-1] == pytest.approx(at_half.mean_rate)
    assert curve.mean_rates[1] < curve.mean_rates[-1]
    aimed = scorer.transfer(X, y, target=1)
    assert aimed.goal == "target"
    assert 0 < aimed.mean_rate < at_half.mean_rate


def test_leave_one_out_depends_on_no_number_of_jobs_and_goes_on_from_a_store(data, tmp_path):
    models, X, y = data
    one = scorer_of(models, sources="leave_one_out", memory=tmp_path).transfer(X, y)
    again = scorer_of(models, sources="leave_one_out", memory=tmp_path, n_jobs=2).transfer(X, y)
    assert again == one
    # all attacks came from the store
    assert again.provenance.costs == one.provenance.costs
    other = scorer_of(models, sources="leave_one_out", memory=tmp_path, combine="losses").transfer(X, y)
    assert other != one


def test_leave_one_out_is_searched(data):
    models, X, y = data
    scorer = TransferScorer(PGD, estimators=list(models.items())[:3], sources="leave_one_out", random_state=0)
    grid = {"combine": ["logits", "losses"]}
    search = GridSearchCV(scorer, grid, cv=StratifiedKFold(2), error_score="raise").fit(X, y)
    assert set(search.cv_results_["param_combine"]) == {"logits", "losses"}
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])


def test_black_boxes_are_targets_and_no_members(data):
    models, X, y = data
    scorer = scorer_of({**models, "box": BlackBox(models["lr"])}, sources="leave_one_out")
    with pytest.warns(ModelWarning, match=r"\['box'\] have no gradient, so no ensemble contains them"):
        matrix = scorer.transfer(X, y)
    assert matrix.targets == (*models, "box")
    assert list(matrix.to_frame().index)[-1] == ("all but box", "box")
    assert len(matrix.to_frame()) == 5
    without = scorer_of(models, sources="leave_one_out").transfer(X, y)
    np.testing.assert_array_equal(np.diag(matrix.fooled)[:4], np.diag(without.fooled))


def test_a_target_that_fails_loses_its_own_rate_alone(data):
    models, X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scorer = scorer_of(
            {**models, "box": Broken(models["lr"])}, sources="leave_one_out", error_score=np.nan
        )
        matrix = scorer.transfer(X, y)
    frame = matrix.to_frame()
    assert frame["rate"].isna().tolist() == [False] * 4 + [True]
    assert "out of order" in frame["failure"].iloc[-1]


# models, settings, message
WRONG = [
    (["lr", "svm"], {}, "needs at least 3 models, got 2"),
    (["lr", "svm", "nb"], {"sources": "leave_one"}, "sources must be None, 'leave_one_out' or a list"),
    (["lr", "svm", "nb"], {"combine": "mean"}, "combine must be one of"),
    (["lr", "svm", "ens"], {}, r"\['ens'\] are ensembles themselves"),
    (["lr", "svm", "all but lr"], {}, "'all but lr'.* are names of ensembles"),
    (
        ["lr", "svm", "ens"],
        {"sources": None, "targets": ["lr", "ens"]},
        "targets must not hold 'ens', which is an Ens",
    ),
    (["ens", "ens2"], {"sources": None}, "all models are ensembles"),
]


@pytest.mark.parametrize(("names", "settings", "message"), WRONG)
def test_what_is_refused(data, names, settings, message):
    models, *_ = data
    ensemble = Ensemble([("nb", models["nb"]), ("svm", models["svm"])])
    every = {**models, "ens": ensemble, "ens2": ensemble, "all but lr": models["weak"]}
    with pytest.raises(ValueError, match=message):
        scorer_of({name: every[name] for name in names}, **{"sources": "leave_one_out", **settings})


def test_what_is_refused_as_it_is_measured(data):
    models, X, y = data
    box = BlackBox(models["lr"])
    few = scorer_of({"nb": models["nb"], "svm": models["svm"], "box": box}, sources="leave_one_out")
    with pytest.warns(ModelWarning), pytest.raises(ValueError, match="two models with a gradient beside"):
        few.transfer(X, y)
    with pytest.raises(ValueError, match="to test another classifier pass sources=None"):
        scorer_of(models, sources="leave_one_out").robust_accuracy(SVC().fit(X, y), X, y)
