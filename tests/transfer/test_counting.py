"""Counting: against a slow count over samples, and against the definitions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

import skhalfway._blocks
from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer
from skhalfway._streams import Streams
from skhalfway.attacks._problem import Problem
from skhalfway.attacks._run import run
from skhalfway.transfer import Outcomes, _counting
from skhalfway.transfer._counting import see

CONDITIONS = ("both_correct", "source_fooled", "all")


def count(names, labels, clean, control, adversarial, condition, goals=None):
    """A matrix of what models say; labels are the same for all sources, or the sources' own."""
    own = np.arange(len(names))
    outcomes = Outcomes(
        names,
        names,
        names,
        classes=np.arange(3),
        labels=None if np.array_equal(labels, clean) else labels[0],
        clean=clean,
        noise=control,
        own=adversarial[own, own],
        adversarial=adversarial,
        goals=goals,
    )
    return TransferMatrix.of(outcomes, condition, goal="other" if goals is None else "target")


def slow_count(labels, clean, control, adversarial, condition):
    """Each definition of REFERENCES.md, section 6, as a sentence about one sample."""
    n, n_samples = labels.shape
    names = ("eligible", "fooled", "same_mistake", "noise_fooled")
    counts = {name: np.zeros((n, n), int) for name in names}
    for i in range(n):
        for j in range(n):
            for k in range(n_samples):
                label = labels[i, k]
                counted = clean[i, k] == label and clean[j, k] == label
                if condition == "source_fooled":
                    counted = counted and adversarial[i, i, k] != label
                if condition == "all":
                    counted = True
                fooled = counted and adversarial[i, j, k] != label
                counts["eligible"][i, j] += counted
                counts["fooled"][i, j] += fooled
                counts["same_mistake"][i, j] += fooled and adversarial[i, j, k] == adversarial[i, i, k]
                counts["noise_fooled"][i, j] += counted and control[j, k] != label
    return counts


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("with_y", [True, False])
def test_count_is_the_slow_count(condition, with_y):
    rng = np.random.RandomState(0)
    n, n_samples = 4, 60
    clean, control = rng.randint(3, size=(2, n, n_samples))
    adversarial = rng.randint(3, size=(n, n, n_samples))
    labels = np.broadcast_to(rng.randint(3, size=n_samples), clean.shape) if with_y else clean
    matrix = count(tuple("abcd"), labels, clean, control, adversarial, condition)
    for name, expected in slow_count(labels, clean, control, adversarial, condition).items():
        np.testing.assert_array_equal(getattr(matrix, name), expected, err_msg=name)
    right = clean == labels
    own = adversarial[np.arange(n), np.arange(n)]
    np.testing.assert_array_equal(matrix.source_eligible, right.sum(axis=1))
    np.testing.assert_array_equal(matrix.source_fooled, (right & (own != labels)).sum(axis=1))


def test_standard_error_of_the_mean_is_that_of_fresh_samples():
    """Over repeated draws, the mean rate scatters as the matrix says it does."""
    rng = np.random.RandomState(0)
    n, n_samples = 3, 300
    means, errors = [], []
    for _ in range(300):
        hardness = rng.uniform(size=n_samples)  # shared by all pairs, so rates are correlated
        labels = np.zeros((n, n_samples), int)
        clean = (rng.uniform(size=(n, n_samples)) < 0.1).astype(int)
        adversarial = (rng.uniform(size=(n, n, n_samples)) < hardness).astype(int)
        matrix = count(tuple("abc"), labels, clean, clean, adversarial, "both_correct")
        means.append(matrix.mean_rate)
        errors.append(matrix.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.12)


@pytest.mark.parametrize(
    ("n", "n_samples", "condition"), [(2, 12, "all"), (3, 20, "all"), (4, 90, "both_correct")]
)
def test_standard_error_is_the_length_of_the_samples_influence(n, n_samples, condition):
    """Sample by sample: what the mean rate over ordered pairs gains per weight of that sample."""
    rng = np.random.RandomState(n)
    clean, control = rng.randint(2, size=(2, n, n_samples))
    labels, adversarial = np.zeros((n, n_samples), int), rng.randint(2, size=(n, n, n_samples))
    adversarial[0, 0] = 1  # the diagonal is far from the rest
    matrix = count(tuple("abcd"[:n]), labels, clean, control, adversarial, condition)
    each = [
        slow_count(labels[:, [k]], clean[:, [k]], control[:, [k]], adversarial[..., [k]], condition)
        for k in range(n_samples)
    ]
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j and matrix.eligible[i, j]]
    influence = [
        np.mean([(c["fooled"][p] - matrix.rates[p] * c["eligible"][p]) / matrix.eligible[p] for p in pairs])
        for c in each
    ]
    np.testing.assert_allclose(matrix.standard_error, np.linalg.norm(influence), atol=1e-15)


def test_no_pair_has_no_standard_error():
    nothing = np.zeros((2, 3), int)
    matrix = count(("a", "b"), nothing, nothing + 1, nothing, np.zeros((2, 2, 3), int), "both_correct")
    assert not matrix.eligible.any()
    assert np.isnan(matrix.standard_error)


class Sign(ClassifierMixin, BaseEstimator):
    """Class 1 right of a threshold on the first feature."""

    def __init__(self, threshold=0.0):
        self.threshold = threshold
        self.classes_ = np.array([0, 1])

    def predict(self, X):
        return (np.asarray(X)[:, 0] > self.threshold).astype(int)


def test_transfer_by_hand():
    """Two thresholds on a line: FGSM's step, and so who is fooled, is known for every sample."""
    X = np.array([[-0.5], [-0.05], [0.05], [0.15], [0.5]])
    y = np.array([0, 0, 1, 1, 1])
    source = LogisticRegression(C=1e6).fit(X - 0.0, y)
    source.coef_[:], source.intercept_[:] = 1.0, 0.0
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.12)).fit(
        {"line": source, "shifted": Sign(-0.1)}
    )
    # the black box cannot be attacked with FGSM, so only the first row is asked for
    models, whole, _ = scorer._start(X)
    region = whole.take(slice(None))
    X_adv = run(scorer._generator, Problem(models["line"], region, y, 2)).X_adv
    np.testing.assert_allclose(X_adv.ravel(), [-0.38, 0.07, -0.07, 0.03, 0.38])
    clean = np.stack([models[name].predict(region.X) for name in ("line", "shifted")])
    np.testing.assert_array_equal(clean, [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    adversarial = np.stack([np.stack([models[name].predict(X_adv) for name in ("line", "shifted")])] * 2)
    matrix = count(("line", "shifted"), np.stack([y, y]), clean, clean, adversarial, "both_correct")
    assert matrix.eligible[0].tolist() == [5, 4]
    assert matrix.fooled[0].tolist() == [2, 0]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_on_real_models(iris, iris_models, condition):
    X, y = iris
    models = {name: iris_models[name] for name in ("lr", "svm", "mlp")}
    matrix = TransferScorer(AdversarialGenerator(eps=0.4), condition=condition).fit(models).transfer(X, y)
    right = np.stack([model.predict(X) == y for model in models.values()])
    both = (right[:, None] & right[None]).sum(axis=2)
    if condition == "all":
        assert (matrix.eligible == len(X)).all()
        # what the attack leaves wrong, and what was wrong before
        assert (np.diag(matrix.fooled) >= matrix.source_fooled).all()
    elif condition == "both_correct":
        np.testing.assert_array_equal(matrix.eligible, both)
        np.testing.assert_array_equal(np.diag(matrix.fooled), matrix.source_fooled)
    else:
        assert (matrix.eligible <= both).all()
        np.testing.assert_array_equal(np.diag(matrix.rates), 1.0)
    assert matrix.condition == condition


def test_without_y_the_label_is_the_sources_own(iris, iris_models):
    X, _ = iris
    models = {name: iris_models[name] for name in ("lr", "svm")}
    matrix = TransferScorer(AdversarialGenerator(eps=0.4)).fit(models).transfer(X)
    agree = (models["lr"].predict(X) == models["svm"].predict(X)).sum()
    np.testing.assert_array_equal(matrix.eligible, [[150, agree], [agree, 150]])


def test_noise_is_weaker_than_the_attack_and_of_its_size(digits):
    X, y = digits
    models = [LogisticRegression(max_iter=1000, C=c).fit(X[:800], y[:800]) for c in (0.1, 10)]
    scorer = TransferScorer(AdversarialGenerator(eps=0.1), random_state=0).fit(models)
    matrix = scorer.transfer(X[800:1000], y[800:1000])
    assert (matrix.noise + 0.2 < matrix.rates).all()
    noisy = scorer._start(X[:50])[1].take(slice(None)).noise(Streams(0, np.arange(50)))
    np.testing.assert_allclose(np.abs(noisy - X[:50]), 0.1)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_counts_in_parts_are_those_of_the_whole(condition, monkeypatch):
    """Counting many models and samples holds a part of what is seen at once."""
    rng = np.random.default_rng(0)
    n, n_samples = 4, 1_000
    clean, noise = (rng.integers(0, 3, (n, n_samples)) for _ in range(2))
    given = (
        "abcd",
        clean[[0]].repeat(n, axis=0),
        clean,
        noise,
        rng.integers(0, 3, (n, n, n_samples)),
        condition,
    )
    whole = count(*given)
    monkeypatch.setattr(skhalfway._blocks, "_MAX_VALUES", 100)
    assert count(*given) == whole
    seen = []
    monkeypatch.setattr(_counting, "see", lambda *args: seen.append(args[0].n_samples) or see(*args))
    count(*given)
    assert max(seen) <= 100 // n**2
