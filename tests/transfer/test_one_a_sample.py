"""Transfer within budgets and masks one a sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from art.attacks.evasion import ProjectedGradientDescent
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, load_result
from skhalfway._streams import Streams

SOME = slice(None, None, 3)
N = 50
BUDGETS = np.array([0.25, 0.5, 1.0, 2.0, 0.0])[np.arange(N) % 5].reshape(-1, 1)
STAY = BUDGETS.ravel() == 0
ART_PGD = {"attack": ProjectedGradientDescent, "max_iter": 5}


@pytest.fixture(scope="module")
def pair(iris_models):
    return {name: iris_models[name] for name in ("lr", "svm", "knn")}


def scorer_of(models, n_jobs=None, **params):
    generator = AdversarialGenerator(**{"eps": BUDGETS, "max_queries": 50} | params)
    return TransferScorer(generator, random_state=0, n_jobs=n_jobs).fit(models)


@pytest.mark.parametrize("params", [{}, {"norm": 2}, {"norm": 1}], ids=str)
@pytest.mark.parametrize("labelled", [True, False])
def test_counts_are_those_of_samples_within_their_own_budget(iris, pair, params, labelled):
    X, y = iris[0][SOME], iris[1][SOME]
    scorer = scorer_of(pair, **params)
    matrix = scorer.transfer(X, y if labelled else None, keep_samples=True)
    before = np.stack([model.predict(X) for model in pair.values()])
    for i, name in enumerate(pair):
        made = matrix.samples(name)
        change = np.linalg.norm(made - X, params.get("norm", np.inf), axis=1)
        assert (change <= BUDGETS.ravel()).all()
        np.testing.assert_array_equal(made[STAY], X[STAY])
        left = y if labelled else before[i]
        fooled = np.stack([model.predict(made) for model in pair.values()]) != left
        right = (before == left) & (before[i] == left)
        np.testing.assert_array_equal(matrix.fooled[i], (fooled & right).sum(axis=1))
        assert not (fooled & right)[:, STAY].any()
    assert matrix.fooled.min() > 0
    assert matrix.noise_fooled.sum() < matrix.fooled.sum()


def test_noise_is_as_large_as_each_budget(iris, pair):
    X = iris[0][SOME]
    region = scorer_of(pair, norm=2)._start(X)[1]
    for times in (1.0, 0.5):
        noise = replace(region, eps=times).take(slice(None)).noise(Streams(0, np.arange(len(region))))
        np.testing.assert_allclose(np.linalg.norm(noise - X, axis=1), times * BUDGETS.ravel(), atol=1e-12)


@pytest.mark.parametrize("params", [{}, {"attack": "fmn"}, {"attack": "hopskipjump"}, ART_PGD], ids=str)
def test_a_curve_counts_in_multiples(iris, pair, params):
    X, y = iris[0][SOME], iris[1][SOME]
    models = {name: pair[name] for name in ("lr", "svm")}
    curve = scorer_of(models, **params).transfer_curve(X, y, eps=[0.5, 1.0])
    assert (curve.eps_unit, curve.eps.tolist()) == ("eps", [0.0, 0.5, 1.0])
    assert "multiples of the generator's eps" in repr(curve)
    for times, matrix in zip((0.5, 1.0), curve.matrices[1:], strict=True):
        alone = scorer_of(models, **params, eps=times * BUDGETS).transfer(X, y)
        # the nearest are looked for once, within the largest budget
        far = 0 if params.get("attack") in (None, ProjectedGradientDescent) else 3
        assert np.abs(matrix.fooled - alone.fooled).max() <= far
        np.testing.assert_array_equal(matrix.noise_fooled, alone.noise_fooled)


def test_robustness_and_the_largest_budget_of_all(iris, pair):
    X, y = iris[0][SOME], iris[1][SOME]
    judged = SVC(C=10).fit(*iris)
    found, largest = (scorer_of(pair, eps=eps).robustness(judged, X, y) for eps in (BUDGETS, 2.0))
    np.testing.assert_array_equal(found.robust[STAY], (judged.predict(X) == y)[STAY])
    assert found.accuracy > found.robust_accuracy > largest.robust_accuracy


def test_jobs_and_another_way_to_write_the_same(iris, pair):
    X, y = iris[0][SOME], iris[1][SOME]
    first = scorer_of(pair).transfer(X, y)
    for same in (
        scorer_of(pair, n_jobs=2).transfer(X, y),
        scorer_of(pair, eps=BUDGETS.tolist()).transfer(X, y),
        scorer_of(pair, eps=BUDGETS * np.ones(4)).transfer(X, y),
    ):
        np.testing.assert_array_equal(same.fooled, first.fooled)
    equal, one = (scorer_of(pair, eps=eps).transfer(X, y) for eps in (np.full((N, 1), 0.5), 0.5))
    np.testing.assert_array_equal(equal.fooled, one.fooled)
    np.testing.assert_array_equal(equal.noise_fooled, one.noise_fooled)


@pytest.mark.parametrize(
    "eps", [BUDGETS, BUDGETS * np.ones(4), BUDGETS.tolist()], ids=["one", "each", "list"]
)
def test_what_results_keep_of_it(iris, pair, eps, tmp_path):
    X, y = iris[0][SOME], iris[1][SOME]
    mask = np.ones((N, 4), dtype=bool)
    mask[:, 1] = False
    scorer = scorer_of(pair, eps=eps, constraints=Constraints(mask=mask))
    for i, result in enumerate(
        (scorer.transfer(X, y), scorer.robustness(pair["svm"], X, y), scorer.transfer_curve(X, y, eps=[1.0]))
    ):
        settings = result.provenance.settings
        assert i == 2 or settings["eps"] == "by sample, from 0 to 2, median 0.5"
        described = settings["constraints"]["mask"].split(", ")
        assert ", ".join(described[:2]) == "ndarray of shape (50, 4)" and len(described[2]) == 16
        result.save(tmp_path / f"{i}.json")
        loaded = load_result(tmp_path / f"{i}.json")
        assert loaded == result
        assert dict(loaded.provenance.settings) == dict(settings)
        assert len(max(result._repr_html_().split(","), key=len)) < 10_000
        assert result._repr_html_().count("0.25") < 10
    assert "auto, Linf eps by sample: rate" in repr(scorer.transfer(X, y))


def test_masked_rows_and_columns_stay(iris, pair):
    X, y = iris[0][SOME], iris[1][SOME]
    mask = np.random.RandomState(0).uniform(size=X.shape) < 0.7
    mask[:10] = False
    scorer = scorer_of(pair, eps=1.0, constraints=Constraints(mask=mask))
    matrix = scorer.transfer(X, y, keep_samples=True)
    assert matrix.fooled.min() > 0
    for name in pair:
        np.testing.assert_array_equal(matrix.samples(name)[~mask], X[~mask])


def test_cross_validation_cannot_choose_among_rows(iris):
    X, y = iris
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    for params in ({"eps": np.full((150, 1), 0.5)}, {"constraints": Constraints(mask=np.ones((150, 1)))}):
        scorer = TransferScorer(AdversarialGenerator(**params), estimators=estimators)
        assert scorer.fit(X, y).score(X, y) >= 0
        search = GridSearchCV(scorer, {"svm__C": [1, 10]}, cv=StratifiedKFold(3), error_score="raise")
        with pytest.raises(
            ValueError, match="rows for 150 samples, but X has 50 samples; .*cross-validation"
        ):
            search.fit(X, y)
