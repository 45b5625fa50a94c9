"""Sources, targets, labels to reach, and robustness."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.transfer import _source


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits
    names = np.array([f"d{k}" for k in range(10)])[y]
    train, test = (X[:800], names[:800]), (X[800:880], names[800:880])
    models = {
        "lr": LogisticRegression(max_iter=1000).fit(*train),
        "svm": SVC().fit(*train),
        "mlp": MLPClassifier((32,), max_iter=1000, random_state=0).fit(*train),
        "forest": RandomForestClassifier(20, random_state=0).fit(*train),
    }
    return models, *test


def scorer_of(models, **given):
    generator = AdversarialGenerator(attack="pgd", eps=0.15, clip_values=(0, 1), max_iter=10)
    return TransferScorer(generator, random_state=0, **given).fit(models)


@pytest.fixture(scope="module")
def square(data):
    models, X, y = data
    return scorer_of(models).transfer(X, y)


@pytest.fixture
def attacked(monkeypatch):
    """Which models are attacked."""
    names, run = [], _source.run

    def attack(generator, problem):
        names.append(type(problem.model.estimator).__name__)
        return run(generator, problem)

    monkeypatch.setattr(_source, "run", attack)
    return names


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (["lr"], ["forest"]),
        (["mlp", "lr"], ["forest", "svm"]),
        (["lr", "mlp"], None),
        (None, ["svm"]),
        (("lr",), np.array(["lr", "svm"])),
    ],
)
def test_a_rectangle_is_a_part_of_the_square(data, square, sources, targets, attacked):
    models, X, y = data
    part = scorer_of(models, sources=sources, targets=targets).transfer(X, y)
    sources = list(models) if sources is None else list(sources)
    targets = list(models) if targets is None else list(targets)
    assert (part.sources, part.targets) == (tuple(sources), tuple(targets))
    assert len(attacked) == len(sources)
    assert part.names == tuple(name for name in models if name in {*sources, *targets})
    for name in ("eligible", "fooled", "same_mistake", "noise_fooled"):
        cells = square.to_frame(name).loc[sources, targets]
        np.testing.assert_array_equal(part.to_frame(name), cells, err_msg=name)
    pairs = [(s, t) for s in sources for t in targets if s != t]
    assert part.mean_rate == pytest.approx(np.mean([square.to_frame("rates").loc[pair] for pair in pairs]))
    assert part.confidence_interval().low.shape == part.rates.shape == (len(sources), len(targets))
    assert len(part.describe().splitlines()) == len(targets)
    assert scorer_of(models, sources=sources, targets=targets).score(X, y) == part.mean_rate
    display = part.plot()
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == targets


def test_curves_of_rectangles(data):
    models, X, y = data
    curve = scorer_of(models, sources=["lr"], targets=["svm", "lr"]).transfer_curve(X, y, eps=[0.05, 0.15])
    assert curve.rates.shape == (3, 1, 2) and curve.source_success.shape == (3, 1)
    np.testing.assert_array_equal(curve.mean_rates, curve.rates[:, 0, 0])
    np.testing.assert_array_equal(curve.target_rates[:, 0], curve.rates[:, 0, 0])
    assert np.isnan(curve.target_rates[:, 1]).all()
    assert list(curve.plot(target="svm").sources_) == ["lr"]
    with pytest.raises(ValueError, match="target must be one of"):
        curve.plot(target="mlp")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sources": ["foreste"]}, "sources must hold names of the models .* got 'foreste'"),
        ({"targets": ["lr", "x"]}, "targets must hold names of the models .* got 'x'"),
        ({"sources": []}, r"sources must be None or a list of different names of models, got \[\]"),
        (
            {"sources": "lr"},
            "sources must be None, 'leave_one_out' or a list of .*, got 'lr'",
        ),
        ({"targets": ["lr", "lr"]}, "targets must be None or a list of different names"),
        ({"targets": [1]}, "targets must be None or a list"),
        (
            {"sources": ["lr"], "targets": ["lr"]},
            "sources and targets must not be one and the same model, got 'lr' for both",
        ),
    ],
)
def test_names_are_checked(data, given, message):
    models, X, y = data
    with pytest.raises(ValueError, match=message):
        scorer_of(models, **given)
    scorer = scorer_of(models)
    with pytest.raises(ValueError, match=r"got 'foreste'; did you mean 'forest'\?"):
        scorer_of(models, sources=["foreste"])
    with pytest.raises(ValueError, match=message):
        scorer.set_params(**given).transfer(X, y)
    estimators = [("lr", LogisticRegression()), ("svm", SVC())]
    with pytest.raises(ValueError, match=message):
        TransferScorer(estimators=estimators, **given).fit(X, y)
    assert clone(scorer).sources == given.get("sources")


# ---- labels to reach


@pytest.mark.parametrize("target", ["d3", "random", "least_likely", "each"])
def test_labels_that_attacks_aim_at(data, target):
    models, X, y = data
    rng = np.random.RandomState(0)
    given = rng.permutation(y) if target == "each" else target
    matrix = scorer_of(models).transfer(X, y, target=given)
    outcomes = matrix.outcomes
    goals = outcomes.classes[outcomes.goals]
    if target == "d3":
        assert (goals == "d3").all()
    elif target == "each":
        np.testing.assert_array_equal(goals, np.broadcast_to(given, goals.shape))
    else:
        assert (goals != y).all()
    if target == "least_likely":
        for name, row in zip(models, outcomes.goals, strict=True):
            model = models[name]
            scores = model.predict_proba(X) if hasattr(model, "predict_proba") else model.decision_function(X)
            scores[np.arange(len(X)), outcomes.labels] = np.inf
            np.testing.assert_allclose(scores[np.arange(len(X)), row], scores.min(axis=1))
    if target == "random":
        assert len(set(outcomes.goals[0])) > 5 and (outcomes.goals == outcomes.goals[0]).all()
    assert matrix.goal == "target"
    right = np.stack([model.predict(X) == y for model in models.values()])
    aimed = goals != y
    expected = (right[:, None] & right[None] & aimed[:, None]).sum(axis=2)
    np.testing.assert_array_equal(matrix.eligible, expected)
    leaving = matrix.counted_as("other")
    assert (leaving.fooled >= matrix.fooled).all() and leaving.mean_rate > matrix.mean_rate
    assert (matrix.noise <= leaving.noise).all()
    assert "lead a target (column) to the label aimed at" in repr(matrix)
    # the attack really aims: more reach this label than the untargeted attack leads there
    if target == "d3":
        plain = scorer_of(models).transfer(X, y)
        reached = (plain.outcomes.own == list(outcomes.classes).index("d3")) & aimed
        assert matrix.source_fooled.sum() > reached.sum()


def test_a_label_may_be_called_like_a_choice(data):
    models, X, y = data
    y = np.where(y == "d1", "random", y)
    models = {"lr": LogisticRegression(max_iter=500).fit(X, y), "svm": SVC().fit(X, y)}
    goals = scorer_of(models).transfer(X, y, target="random").outcomes.goals
    assert (goals == list(models["lr"].classes_).index("random")).all()


def test_targets_without_scores_and_unknown_ones(data):
    models, X, y = data
    with pytest.raises(ValueError, match="no model knows the target label 'x'; it must be one of"):
        scorer_of(models).transfer(X, y, target="x")
    with pytest.raises(ValueError, match="target holds labels that are not among the classes"):
        scorer_of(models).transfer(X, y, target=["x"] * len(X))


def test_targeted_curves(data):
    models, X, y = data
    curve = scorer_of(models, sources=["lr", "mlp"]).transfer_curve(X, y, eps=[0.1, 0.2], target="d3")
    assert all(matrix.goal == "target" for matrix in curve.matrices)
    assert curve.mean_rates[0] == 0 and (np.diff(curve.mean_rates) > 0).all()
    alone = (
        scorer_of(models, sources=["lr", "mlp"]).set_params(generator__eps=0.2).transfer(X, y, target="d3")
    )
    np.testing.assert_array_equal(curve.matrices[-1].fooled, alone.fooled)


# ---- robustness


def test_robustness_is_the_worst_case_over_sources(data):
    models, X, y = data
    scorer = scorer_of(models, sources=["lr", "mlp", "svm"])
    judged = models["svm"]
    found = scorer.robustness(judged, X, y)
    assert found.sources == ("lr", "mlp")
    assert found.robust_accuracy == scorer.robust_accuracy(judged, X, y)
    worst = judged.predict(X) == y
    np.testing.assert_array_equal(found.clean, judged.predict(X))
    for row in found.adversarial:
        worst &= row == y
    np.testing.assert_array_equal(found.robust, worst)
    assert found.accuracy == (judged.predict(X) == y).mean() and found.n_samples == len(X)
    frame = found.to_frame()
    assert frame.loc["worst case over sources", "right"] == worst.sum()
    assert found.to_frame(of="samples")["robust"].sum() == worst.sum()
    low, high = found.confidence_interval()
    assert low < found.robust_accuracy < high and found.confidence_interval(of="by_source").low.shape == (2,)
    assert found.provenance.costs["lr"]["gradients"] > 0
    assert len(found.plot().points_) == 4
    with pytest.raises(ValueError, match="the only source is the classifier that is tested"):
        scorer_of(models, sources=["svm"]).robustness(judged, X, y)
    with pytest.raises(ValueError, match="of must be one of"):
        found.confidence_interval(of="x")


# ---- a reference


@pytest.mark.parametrize("unit", ["std", "range"])
def test_the_spread_is_that_of_the_reference(data, unit):
    """Whatever the rows that are attacked."""
    models, X, y = data
    reference = np.random.RandomState(0).uniform(size=(50, 64))
    generator = AdversarialGenerator(attack="fgsm", eps=0.2, eps_unit=unit)
    scorer = TransferScorer(generator, random_state=0).fit(models, reference=reference)
    spread = reference.std(axis=0) if unit == "std" else np.ptp(reference, axis=0)
    for rows in (slice(0, 5), slice(0, 80)):
        kept = scorer.transfer(X[rows], y[rows], keep_samples=True)
        change = np.abs(kept.samples("lr") - X[rows])
        attacked = kept.outcomes.clean[0] == kept.outcomes.labels
        most = change[attacked].max(axis=0)
        # pixels that are always blank have no weight
        moved = most > 0
        assert moved.sum() > 55
        np.testing.assert_allclose(most[moved], 0.2 * spread[moved], rtol=1e-6)
    alone = TransferScorer(generator, random_state=0).fit(models).transfer(X, y, keep_samples=True)
    own = X.std(axis=0) if unit == "std" else np.ptp(X, axis=0)
    change = np.abs(alone.samples("lr") - X).max(axis=0)
    np.testing.assert_allclose(change[change > 0], 0.2 * own[change > 0], rtol=1e-6)
    # another unit asked for after fit is that of the same data
    other = scorer.set_params(generator__eps_unit="range" if unit == "std" else "std").transfer(X, y)
    assert other.n_samples == 80


def test_partners_come_from_the_reference(data):
    models, X, y = data
    reference, few = X[:40], [0, 1, 2]
    generator = AdversarialGenerator(attack="halfway", eps=0.3, clip_values=(0, 1), max_queries=60)
    chosen = {"lr": models["lr"], "forest": models["forest"]}
    scorer = TransferScorer(generator, random_state=0, sources=["forest"])
    apart = scorer.fit(chosen, reference=reference).transfer(X[few], y[few])
    # among three samples of one class each there is next to nothing to begin at
    alone = clone(scorer).fit(chosen).transfer(X[few], y[few])
    assert apart.provenance.costs["forest"]["queries"] > 0 and alone.n_samples == 3
    assert (scorer._partners == reference).all()
    assert (
        clone(scorer).set_params(generator__attack="pgd").fit(chosen, reference=reference)._partners is None
    )


KINDS_OF_REFERENCE = {
    "input": ({}, False),
    "std": ({"eps_unit": "std"}, True),
    "range": ({"eps_unit": "range"}, True),
    "clip": ({"clip_values": "range"}, True),
    "clip and std": ({"clip_values": "range", "eps_unit": "std"}, True),
    "partners": ({"attack": "halfway", "max_queries": 5}, True),
}


@pytest.mark.parametrize("kind", KINDS_OF_REFERENCE)
def test_a_result_says_what_it_was_measured_on(iris, kind):
    """Where that decides figures: with another one, settings differ, and a comparison says so."""
    given, depends = KINDS_OF_REFERENCE[kind]
    X, y = iris
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    scorer = TransferScorer(
        AdversarialGenerator(**{"eps": 0.3, "max_iter": 3, "max_queries": 20, **given}), random_state=0
    )
    few, labels = X[::15], y[::15]
    alone = scorer.fit(models).transfer(few, labels)
    one = scorer.fit(models, reference=X).transfer(few, labels)
    again = scorer.fit(models, reference=X.astype(np.float32)).transfer(few, labels)
    other = scorer.fit(models, reference=X[:60] * 1.1).transfer(few, labels)
    judged = scorer.robustness(SVC(C=9).fit(X, y), few, labels)
    curve = scorer.transfer_curve(few, labels, eps=[0.1])
    said = [result.provenance.settings.get("reference") for result in (alone, one, again, other)]
    if not depends:
        assert said == [None] * 4 and "reference" not in one.compare(other).provenance.settings
        return
    assert said[0] == "the attacked samples" and said[1] == said[2] != said[3]
    assert re.fullmatch("150 samples, [0-9a-f]{16}", said[1]) and said[3].startswith("60 samples, ")
    for result in (judged, curve, curve.matrices[1]):
        assert result.provenance.settings["reference"] == said[3]
    compared = one.compare(other).provenance.settings
    assert compared["first"] == {"reference": said[1]} and compared["other"] == {"reference": said[3]}
    assert "reference='150 samples, " in "".join(one.provenance.lines())
    fitted = TransferScorer(
        scorer.generator, estimators=[("lr", models["lr"]), ("svm", SVC())], random_state=0
    )
    assert fitted.fit(X, y).transfer(few, labels).provenance.settings["reference"] == said[1]


def test_a_reference_is_checked(data):
    models, X, y = data
    with pytest.raises(ValueError, match="reference has 3 features, but TransferScorer is expecting 64"):
        TransferScorer().fit(models, reference=X[:, :3])
    with pytest.raises(ValueError, match="reference must hold numbers, but reference\\[0, 0\\] is 'a'"):
        TransferScorer().fit(models, reference=[["a"] * 64])
    with pytest.raises(ValueError, match="reference was given with estimators"):
        TransferScorer(estimators=[("lr", LogisticRegression()), ("svm", SVC())]).fit(X, y, reference=X)
