"""What experiments on real models give, each figure computed again in another way."""

from __future__ import annotations

import getpass
import json
import platform
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer, load_result
from skhalfway.transfer import Robustness, _source

ESTIMATORS = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC()), ("knn", KNeighborsClassifier())]


@pytest.fixture(scope="module")
def flowers(iris):
    """Every third, and the models that all of them trained."""
    X, y = iris
    models = {name: clone(model).fit(X, y) for name, model in ESTIMATORS[:2]}
    return models, X[::3], y[::3]


# ---- searches


def test_sources_and_targets_are_parameters(iris):
    X, y = iris
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.4), estimators=ESTIMATORS)
    assert {"sources", "targets"} <= scorer.get_params(deep=False).keys()
    grid = {"sources": [["lr"], ["svm"]], "targets": [["svm"], ["lr", "knn"]]}
    pairs = [(s, t) for s in grid["sources"] for t in grid["targets"] if s != t]
    given = [{"sources": [s], "targets": [t]} for s, t in pairs]
    search = GridSearchCV(scorer, given, cv=StratifiedKFold(3), error_score="raise").fit(X, y)
    alone = clone(search.best_estimator_).fit(X, y)
    chosen = search.best_params_
    assert (alone.transfer(X, y).sources, alone.transfer(X, y).targets) == (
        tuple(chosen["sources"]),
        tuple(chosen["targets"]),
    )
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    with pytest.raises(ValueError, match="targets must hold names of the models .* got 'x'"):
        GridSearchCV(scorer, {"targets": [["x"]]}, cv=StratifiedKFold(3), error_score="raise").fit(X, y)


@pytest.mark.parametrize("name", ["sources", "targets", "generator"])
def test_models_are_not_called_like_parameters(iris, name):
    with pytest.raises(ValueError, match=f"conflict with constructor arguments: .'{name}'"):
        TransferScorer(estimators=[(name, SVC()), ("b", SVC())]).fit(*iris)


# ---- targets


@pytest.mark.parametrize("target", ["random", "least_likely", "other one"])
def test_of_two_classes_the_target_is_the_other(iris, target):
    """So that a targeted attack is an untargeted one, sample by sample; noise is the same."""
    X, y = (part[50:] for part in iris)
    models = {name: clone(model).fit(X, y) for name, model in ESTIMATORS[:2]}
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.5), random_state=0).fit(models)
    aimed = scorer.transfer(X, y, target=3 - y if target == "other one" else target)
    plain = scorer.transfer(X, y)
    np.testing.assert_array_equal(aimed.outcomes.goals, np.stack([1 - plain.outcomes.labels] * 2))
    for name in ("eligible", "fooled", "noise_fooled", "source_fooled", "source_eligible"):
        np.testing.assert_array_equal(getattr(aimed, name), getattr(plain, name), err_msg=name)
    assert (aimed.counted_as("other").rates == aimed.rates).all()


def test_noise_of_targeted_attacks_counts_as_they_do(flowers):
    """It fools where the model gives the label aimed at; a fool of any other label is not one."""
    models, X, y = flowers
    generator = AdversarialGenerator(eps=1.5)
    matrix = TransferScorer(generator, random_state=0).fit(models).transfer(X, y, target=2)
    noise, other = matrix.outcomes.noise, matrix.counted_as("other")
    right = np.stack([model.predict(X) == y for model in models.values()])
    for i, j in np.ndindex(2, 2):
        counts = right[i] & right[j] & (y != 2)
        assert matrix.noise_fooled[i, j] == (noise[j] == 2)[counts].sum()
        assert other.noise_fooled[i, j] == (noise[j] != y)[counts].sum()
    assert 0 < matrix.noise_fooled.sum() < other.noise_fooled.sum()


def test_samples_of_the_target_class_are_not_attacked(flowers):
    models, X, y = flowers
    matrix = TransferScorer(random_state=0).fit(models).transfer(X, y, target=1, keep_samples=True)
    for i, name in enumerate(models):
        assert (matrix.outcomes.own[i, y == 1] == -1).all()
        np.testing.assert_array_equal(matrix.samples(name)[y == 1], X[y == 1])
    exposed = matrix.exposure()
    assert (exposed.loc[exposed["label"] == 1, "of"] == 0).all()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (7, r"no model knows the target label 7; it must be one of \[0, 1, 2\]; or one of"),
        ("most likely", "no model knows the target label 'most likely'"),
        (np.nan, "no model knows the target label nan"),
        ([0, 1], r"target must hold one label per sample, shape \(50,\)"),
        (np.zeros((50, 2), int), r"target must hold one label per sample, shape \(50,\)"),
        ([7] * 50, r"target holds labels that are not among the classes \[0, 1, 2\]: \[7\]"),
        ([None] * 50, "Input target contains NaN"),
    ],
)
@pytest.mark.parametrize("way", ["transfer", "curve"])
def test_targets_are_checked_before_any_attack(flowers, target, message, way, monkeypatch):
    models, X, y = flowers
    monkeypatch.setattr(_source, "run", lambda *args: pytest.fail("attacked"))
    scorer = TransferScorer().fit(models)
    with pytest.raises(ValueError, match=message):
        if way == "transfer":
            scorer.transfer(X, y, target=target)
        else:
            scorer.transfer_curve(X, y, eps=[0.1], target=target)


def test_targets_may_be_a_series(flowers):
    models, X, y = flowers
    scorer = TransferScorer(random_state=0).fit(models)
    target = pd.Series((y + 1) % 3, index=range(100, 150))
    assert scorer.transfer(X, y, target=target) == scorer.transfer(X, y, target=(y + 1) % 3)


# ---- where results come from


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"attack": "fgsm"}, 1),
        ({"attack": "pgd", "max_iter": 7}, 7),
        ({"attack": "pgd", "max_iter": 7, "n_restarts": 2, "random_start": True}, 14),
    ],
)
def test_gradients_are_samples_times_steps(flowers, given, steps):
    models, X, y = flowers
    generator = AdversarialGenerator(eps=0.05, **given)
    costs = TransferScorer(generator, random_state=0).fit(models).transfer(X, y).provenance.costs
    assert set(costs) == set(models)
    for name, model in models.items():
        most = (model.predict(X) == y).sum() * steps
        # a sample that has fallen is not begun at again
        least = most if "n_restarts" not in given else most / 2 + 1
        assert least <= costs[name]["gradients"] <= most
        assert costs[name]["seconds"] > 0 and "queries" not in costs[name]


def test_costs_are_those_of_every_budget(flowers):
    models, X, y = flowers
    generator = AdversarialGenerator(attack="pgd", max_iter=5)
    curve = TransferScorer(generator).fit(models).transfer_curve(X, y, eps=[0.1, 0.2, 0.3])
    right = (models["lr"].predict(X) == y).sum()
    assert curve.provenance.costs["lr"]["gradients"] == 3 * 5 * right
    assert curve.provenance.made_by == "TransferScorer.transfer_curve"


def test_seconds_of_sources_add_up(flowers):
    models, X, y = flowers
    made = TransferScorer(AdversarialGenerator(attack="pgd")).fit(models).transfer(X, y).provenance
    assert 0 < sum(cost["seconds"] for cost in made.costs.values()) <= made.seconds


def test_nothing_of_the_machine_is_kept(flowers, tmp_path):
    """Neither in a result nor in its file: no path, no host, no user."""
    models, X, y = flowers
    frame = pd.DataFrame(X, columns=list("pqrs"))
    named = {name: clone(model).fit(frame, y) for name, model in models.items()}
    scorer = TransferScorer(AdversarialGenerator(eps=0.3, device="cpu"), random_state=0).fit(named)
    matrix = scorer.transfer(frame, y, keep_samples=tmp_path / "kept", target="least_likely")
    curve = scorer.transfer_curve(frame, y, eps=[0.1])
    results = [matrix, matrix.subset([0, 1]), matrix.by_class(), matrix.compare(matrix), curve]
    results.append(scorer.robustness(clone(ESTIMATORS[2][1]).fit(frame, y), frame, y))
    words = {platform.node(), getpass.getuser()} - {""}
    for result in results:
        result.save(tmp_path / "r.json")
        content = json.loads((tmp_path / "r.json").read_text())["content"]
        origin = json.dumps(content["fields"]["provenance"])
        for text in (origin, result._repr_html_().split("<summary>")[1]):
            assert not any(re.search(rf"\b{re.escape(word)}\b", text) for word in words)
            assert "/" not in re.sub("</?[a-z][^>]*>", "", text) and "\\\\" not in text
        everything = json.dumps(content)
        for place in (tmp_path, Path.home(), Path.cwd()):
            assert len(str(place)) < 2 or str(place) not in everything
        assert {"device", "batch_size", "n_jobs", "verbose"}.isdisjoint(result.provenance.settings)
        assert load_result(tmp_path / "r.json").provenance == result.provenance


def test_what_made_a_part_is_what_made_the_whole(flowers):
    models, X, y = flowers
    matrix = TransferScorer(random_state=5).fit(models).transfer(X, y)
    part = matrix.subset(y == 2)
    assert part.provenance.n_samples == (y == 2).sum() and matrix.provenance.n_samples == 50
    assert part.provenance.settings == matrix.provenance.settings
    assert matrix.counted_as("other").provenance is matrix.provenance
    assert matrix.by_class().provenance is matrix.provenance
    # a run with another seed and the same figures is the same result
    again = TransferScorer(random_state=5).fit(models).transfer(X, y)
    assert again == matrix and again.provenance.seconds != matrix.provenance.seconds


# ---- robustness


@pytest.mark.parametrize(
    "given", [{"attack": "pgd", "random_start": True}, {"attack": "square", "max_queries": 30}]
)
def test_robustness_is_that_of_the_generators_samples(flowers, given):
    """Made of all samples, with the same seed, on each source alone."""
    models, X, y = flowers
    judged = KNeighborsClassifier().fit(X, y)
    settings = {**given, "eps": 0.4, "random_state": 3}
    found = TransferScorer(AdversarialGenerator(**settings)).fit(models).robustness(judged, X, y)
    robust = judged.predict(X) == y
    for name, row in zip(found.sources, found.adversarial, strict=True):
        alone = AdversarialGenerator(FrozenEstimator(models[name]), **settings).fit(X, y)
        answers = judged.predict(alone.generate(X, y))
        np.testing.assert_array_equal(row, answers)
        robust &= answers == y
    np.testing.assert_array_equal(found.robust, robust)
    assert found.robust_accuracy == robust.mean() < found.accuracy
    low, high = found.confidence_interval(0.8)
    assert low < robust.mean() < high
    lines = repr(found).splitlines()
    assert lines[0].startswith(
        f"Robustness: 50 samples, robust accuracy {robust.mean():.2f}".replace("0.", ".")
    )
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "as they are",
        "made on lr",
        "made on svm",
        "worst case over sources",
    ]


def test_robustness_of_rows_with_names(flowers):
    models, X, y = flowers
    frame = pd.DataFrame(X, columns=list("pqrs"), index=[f"flower {k}" for k in range(50)])
    named = {name: clone(model).fit(frame, y) for name, model in models.items()}
    judged = KNeighborsClassifier().fit(frame, y)
    found = TransferScorer(random_state=0, sources=["svm"]).fit(named).robustness(judged, frame, y)
    samples = found.to_frame(of="samples")
    assert samples.index.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(samples["as it is"], judged.predict(frame))
    np.testing.assert_array_equal(samples["made on svm"], found.adversarial[0])
    assert found.sources == ("svm",)


@pytest.mark.parametrize(
    "change",
    [
        {"clean": np.arange(4)},
        {"adversarial": np.zeros((2, 3), int)},
        {"labels": np.zeros((3, 1), int)},
        {"index": np.arange(2)},
    ],
)
def test_shapes_of_robustness_are_checked(change):
    parts = {"labels": np.zeros(3, int), "clean": np.zeros(3, int), "adversarial": np.zeros((1, 3), int)}
    with pytest.raises(ValueError, match=f"{next(iter(change))} must have shape"):
        Robustness(("a",), **(parts | change))
