"""Homogeneity: closed forms, scikit-learn's figures, intervals that cover, and digits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, completeness_score, homogeneity_score
from sklearn.utils import resample

from skhalfway._intervals import percentile_interval
from skhalfway.codes import CodeMap, Homogeneity
from skhalfway.codes._homogeneity import contingency, measures, resampled, shuffled


def entropy(p):
    p = np.asarray(p, dtype=float)
    p = p[p > 0] / p.sum()
    return -(p * np.log2(p)).sum()


def drawn(n, seed, n_units=12, n_classes=4):
    """Codes that follow the class, with noise."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(n_classes, size=n)
    codes = np.where(rng.rand(n) < 0.6, labels * 3 + rng.randint(3, size=n), rng.randint(n_units, size=n))
    return codes, labels


def test_closed_forms():
    # unit 0: 4 of class 0; unit 1: 2 + 2; unit 2: none; unit 3: 1 of class 1
    found = measures(np.array([[4, 0], [2, 2], [0, 0], [0, 1]]))
    assert found["shared"] == pytest.approx(4 / 9)
    assert found["class_entropy"] == pytest.approx(4 / 9 * 1)
    assert found["code_entropy"] == pytest.approx(6 / 9 * entropy([4, 2]) + 3 / 9 * entropy([2, 1]))
    assert found["n_codes"] == 3
    assert found["purity"] == pytest.approx((1 + 0.5 + 1) / 3)


def test_extremes():
    one_each = measures(np.diag([3, 5, 2]))
    assert {name: float(value) for name, value in one_each.items()} == {
        "shared": 0, "class_entropy": 0, "code_entropy": 0, "n_codes": 3, "purity": 1
    }  # fmt: skip
    together = measures(np.array([[5, 5], [0, 0]]))
    assert {name: float(value) for name, value in together.items()} == {
        "shared": 1, "class_entropy": 1, "code_entropy": 0, "n_codes": 1, "purity": 0.5
    }  # fmt: skip


def test_parity_with_scikit_learn():
    codes, labels = drawn(500, 0)
    counts = contingency(codes[:, None], labels, 15)
    assert counts.shape == (1, 15, 4)
    found = {name: values[0] for name, values in measures(counts).items()}
    classes, units = (entropy(np.bincount(values)) for values in (labels, codes))
    assert 1 - found["class_entropy"] / classes == pytest.approx(homogeneity_score(labels, codes))
    assert 1 - found["code_entropy"] / units == pytest.approx(completeness_score(labels, codes))
    empty = {name: np.ones((1, 2)) for name in found}
    result = Homogeneity(("layer",), np.arange(4), (5, 3), counts, empty, empty)
    assert result.adjusted_mutual_information == pytest.approx(adjusted_mutual_info_score(labels, codes))


def test_bootstrap_is_that_of_samples():
    codes, labels = drawn(200, 0)
    counts = contingency(codes[:, None], labels, 12)
    found = resampled(counts, 2000, np.random.RandomState(1))
    rows = (resample(np.arange(200), random_state=seed) for seed in range(400))
    tables = np.concatenate([contingency(codes[i, None], labels[i], 12) for i in rows])
    for name, values in measures(tables).items():
        error = values.std() / len(values) ** 0.5
        assert found[name].mean() == pytest.approx(values.mean(), abs=4 * error), name
        assert found[name].std() == pytest.approx(values.std(), rel=0.15), name


def test_control_is_that_of_shuffled_labels():
    codes, labels = drawn(200, 0)
    counts = contingency(codes[:, None], labels, 20)  # some units are never used
    found = shuffled(counts, 2000, np.random.RandomState(1))
    rng = np.random.RandomState(2)
    tables = np.concatenate([contingency(codes[:, None], rng.permutation(labels), 20) for _ in range(400)])
    for name, values in measures(tables).items():
        error = values.std() / len(values) ** 0.5 + 1e-12
        assert found[name].mean() == pytest.approx(values.mean(), abs=4 * error), name
        assert found[name].std() == pytest.approx(values.std(), rel=0.15, abs=1e-12), name


@pytest.mark.parametrize(("n_units", "least"), [(12, 0.9), (60, 0.8)])
def test_intervals_cover_what_is_expected_of_as_many_samples(n_units, least):
    """Where units have few samples less than 95% of the time, but more than percentiles of the bootstrap."""
    n, n_trials = 300, 200
    samples = (drawn(n, seed, n_units) for seed in range(2000))
    tables = np.concatenate([contingency(codes[:, None], labels, n_units) for codes, labels in samples])
    truth, covered, by_percentiles = measures(tables), Counter(), Counter()
    for seed in range(10_000, 10_000 + n_trials):
        codes, labels = drawn(n, seed, n_units)
        counts = contingency(codes[:, None], labels, n_units)
        replicates = resampled(counts, 100, np.random.RandomState(seed))
        result = Homogeneity(("layer",), np.arange(4), (n_units, 1), counts, replicates, replicates)
        for name, expected in truth.items():
            low, high = result.confidence_interval(of=name)
            # where all samples that are drawn again say the same, there is none
            certain = np.isnan(low[0]) and np.ptp(replicates[name]) == 0
            covered[name] += bool(certain or low[0] <= expected.mean() <= high[0])
            low, high = percentile_interval(replicates[name][0])
            by_percentiles[name] += bool(low <= expected.mean() <= high)
    for name, count in covered.items():
        assert count / n_trials >= least, name
        assert count >= by_percentiles[name], name
    assert min(by_percentiles.values()) / n_trials < 0.75


def test_result(digits, code_maps):
    result = code_maps("mlp").homogeneity(digits.X_test, digits.y_test)
    assert result.layers == ("activation_1", "activation_2", "layer_2")
    assert result.counts.shape == (3, 64, 10)
    assert (result.counts.sum(axis=(1, 2)) == 600).all()
    codes = code_maps("mlp").transform(digits.X_test)
    assert (result.counts == contingency(codes, digits.y_test, 64)).all()
    frame = result.to_frame()
    assert frame.index.tolist() == list(result.layers)
    assert frame["purity"].columns.tolist() == ["value", "low", "high", "control"]
    assert (frame["purity"]["low"] < frame["purity"]["value"]).all()
    assert (frame["n_codes"]["control"] == frame["n_codes"]["value"]).all()
    wide, narrow = (result.confidence_interval(level, of="purity") for level in (0.99, 0.5))
    assert (wide.low < narrow.low).all() and (wide.high > narrow.high).all()
    low, high = result.control_interval(of="purity")
    assert (low <= result.control["purity"]).all() and (result.control["purity"] <= high).all()
    assert "activation_2" in repr(result) and len(repr(result).splitlines()) == 9
    for measure, values in result.values.items():
        low, high = result.confidence_interval(of=measure)
        assert (low >= 0).all() and (low <= values).all() and (values <= high).all()
        assert measure not in ("shared", "purity") or (high <= 1).all()
    with pytest.raises(ValueError, match="read-only"):
        result.counts[0, 0, 0] = 1
    with pytest.raises(ValueError, match="level must be between"):
        result.confidence_interval(2)
    with pytest.raises(ValueError, match=r"counts must have shape \(2, 64, 10\)"):
        Homogeneity(("a", "b"), result.classes, (8, 8), result.counts, result.bootstrap, result.shuffled)


def test_labels_of_any_kind(digits, code_maps):
    named = np.array([f"digit {label}" for label in digits.y_test])
    by_name = code_maps("mlp").homogeneity(digits.X_test, named)
    by_number = code_maps("mlp").homogeneity(digits.X_test, digits.y_test)
    assert by_name.classes[3] == "digit 3"
    assert (by_name.counts == by_number.counts).all()
    assert (by_name.bootstrap["purity"] == by_number.bootstrap["purity"]).all()


def test_deep_layers_of_digits_tell_the_class_better(digits, nets):
    """The direction of Lee & Vijayan's claim; of perceptrons see the notes of CodeMap."""
    for seed in range(2):
        code_map = CodeMap(nets("cnn", seed), n_iter=1000, pooling="flatten", random_state=seed).fit(digits.X)
        found = code_map.homogeneity(digits.X_test, digits.y_test)
        for measure in ("class_entropy", "shared"):
            assert found.values[measure][0] > 1.1 * found.values[measure][-1], measure
        information = found.adjusted_mutual_information
        assert information[0] + 0.02 < information[-1]
        # and all layers tell far more than shuffled labels would
        by_chance = found.control_interval(of="class_entropy").low
        assert (found.confidence_interval(of="class_entropy").high < by_chance).all()
