"""What a matrix keeps of every sample: counted again, cut, sorted, compared, kept."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer, load_result
from skhalfway._index import index_of
from skhalfway._intervals import wilson_interval
from skhalfway.results import ConfidenceInterval, Provenance
from skhalfway.transfer import Outcomes, TransferComparison

NAMES = ("a", "b", "c", "d")
SOURCES_AND_TARGETS_DIFFER = np.array([[True, True, True], [True, False, True]])  # a, c -> b, c, d


def outcomes_of(
    n_samples=80,
    sources=("a", "c"),
    targets=("b", "c", "d"),
    *,
    labelled=True,
    targeted=False,
    n_classes=4,
    seed=0,
):
    rng = np.random.RandomState(seed)
    s, t, n = len(sources), len(targets), len(NAMES)
    draw = lambda *shape: rng.randint(n_classes, size=(*shape, n_samples))  # noqa: E731
    labels = draw()
    clean = np.where(rng.uniform(size=(n, n_samples)) < 0.7, labels, draw(n))
    own, adversarial = draw(s), draw(s, t)
    for i, name in enumerate(sources):
        if name in targets:
            adversarial[i, targets.index(name)] = own[i]
    classes = np.array([f"label {k}" for k in range(n_classes)])
    index = np.array([f"row {k}" for k in range(n_samples)])
    goals = draw(s) if targeted else None
    given = labels if labelled else None
    return Outcomes(NAMES, sources, targets, classes, given, clean, draw(t), own, adversarial, goals, index)


def slow(o, condition, goal):
    """Each definition as a sentence about one sample."""
    shape = len(o.sources), len(o.targets)
    counts = {name: np.zeros(shape, int) for name in ("eligible", "fooled", "same_mistake", "noise_fooled")}
    counts |= {name: np.zeros(shape[0], int) for name in ("source_eligible", "source_fooled")}
    for k in range(o.n_samples):
        for i, source in enumerate(o.sources):
            said = o.clean[NAMES.index(source), k]
            label = said if o.labels is None else o.labels[k]
            aim = None if o.goals is None else o.goals[i, k]
            wins = (lambda x, label=label: x != label) if goal == "other" else (lambda x, aim=aim: x == aim)
            possible = aim is None or aim != label
            counts["source_eligible"][i] += possible and said == label
            counts["source_fooled"][i] += possible and said == label and wins(o.own[i, k])
            for j, target in enumerate(o.targets):
                counted = possible and said == label and o.clean[NAMES.index(target), k] == label
                if condition == "source_fooled":
                    counted = counted and wins(o.own[i, k])
                if condition == "all":
                    counted = possible
                fooled = counted and wins(o.adversarial[i, j, k])
                counts["eligible"][i, j] += counted
                counts["fooled"][i, j] += fooled
                counts["same_mistake"][i, j] += fooled and o.adversarial[i, j, k] == o.own[i, k]
                counts["noise_fooled"][i, j] += counted and wins(o.noise[j, k])
    return counts


@pytest.mark.parametrize("condition", ["both_correct", "source_fooled", "all"])
@pytest.mark.parametrize(("targeted", "goal"), [(False, "other"), (True, "other"), (True, "target")])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("sources", "targets"), [(("a", "c"), ("b", "c", "d")), (("d",), ("a",)), (NAMES, NAMES)]
)
def test_counts_are_the_slow_counts(condition, targeted, goal, labelled, sources, targets):
    outcomes = outcomes_of(sources=sources, targets=targets, labelled=labelled, targeted=targeted)
    matrix = TransferMatrix.of(outcomes, condition, goal=goal)
    for name, expected in slow(outcomes, condition, goal).items():
        np.testing.assert_array_equal(getattr(matrix, name), expected, err_msg=name)
    pairs = [(i, j) for i, s in enumerate(sources) for j, t in enumerate(targets) if s != t]
    assert matrix.mean_rate == pytest.approx(np.mean([matrix.rates[pair] for pair in pairs]))
    if targeted:
        assert matrix.counted_as("other" if goal == "target" else "target").counted_as(goal) == matrix


@pytest.mark.parametrize(("n_classes", "bits"), [(2, 8), (128, 8), (129, 16), (40_000, 32)])
def test_answers_are_small_integers(n_classes, bits):
    outcomes = outcomes_of(n_classes=n_classes)
    for name in ("labels", "clean", "noise", "own", "adversarial"):
        array = getattr(outcomes, name)
        assert array.dtype == np.dtype(f"int{bits}") and not array.flags.writeable


def test_eight_models_and_ten_thousand_samples_are_small():
    names = tuple("abcdefgh")
    answers = np.zeros((8, 8, 10_000), dtype=int)
    clean = np.zeros((8, 10_000), dtype=int)
    outcomes = Outcomes(names, names, names, np.arange(10), clean[0], clean, clean, clean, answers)
    arrays = (getattr(outcomes, name) for name in ("labels", "clean", "noise", "own", "adversarial"))
    assert sum(array.nbytes for array in arrays) < 1e6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clean": np.zeros((3, 80), int)}, r"clean must have shape \(4, 80\), got \(3, 80\)"),
        ({"noise": np.zeros((2, 80), int)}, r"noise must have shape \(3, 80\)"),
        ({"own": np.zeros((2, 80))}, "own must hold class indices from 0 to 3, or -1"),
        ({"adversarial": np.full((2, 3, 80), 4)}, "adversarial must hold class indices from 0 to 3"),
        ({"labels": np.full(80, -2)}, "labels must hold class indices"),
        ({"sources": ("a", "x")}, "must be among the models .* got 'x'"),
        ({"index": np.arange(3)}, r"index must have shape \(80,\)"),
    ],
)
def test_outcomes_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        replace(outcomes_of(), **change)


def test_accuracy_and_number():
    outcomes = outcomes_of()
    matrix = TransferMatrix.of(outcomes)
    assert matrix.n_samples == 80
    np.testing.assert_array_equal(matrix.accuracy, (outcomes.clean == outcomes.labels).mean(axis=1))
    assert np.isnan(TransferMatrix.of(outcomes_of(labelled=False)).accuracy).all()
    frame = matrix.to_frame()
    assert frame.loc[("c", "d"), ["source_accuracy", "target_accuracy", "n_samples"]].tolist() == [
        *matrix.accuracy[2:],
        80,
    ]
    assert "2 sources, 3 targets, 80 samples" in repr(matrix)
    assert repr(matrix).splitlines()[-3].split() == [
        "accuracy",
        *(f"{a:.2f}"[1:] for a in matrix.accuracy[1:]),
    ]
    assert repr(matrix).splitlines()[-2] == f"accuracy of sources: a {matrix.accuracy[0]:.2f}".replace(
        "0.", "."
    )


@pytest.mark.parametrize("targeted", [False, True])
def test_classes_add_up(targeted):
    outcomes = outcomes_of(n_samples=200, targeted=targeted)
    matrix = TransferMatrix.of(outcomes, goal="target" if targeted else "other")
    by_class = matrix.by_class()
    for name in ("eligible", "fooled", "same_mistake", "noise_fooled", "source_eligible", "source_fooled"):
        np.testing.assert_array_equal(sum(getattr(m, name) for m in by_class.matrices), getattr(matrix, name))
    assert by_class.labels.tolist() == [f"label {k}" for k in range(4)]
    assert by_class.of("label 2") == matrix.subset(outcomes.labels == 2)
    for k, one in enumerate(by_class.matrices):
        for j, target in enumerate(by_class.targets):
            others = {s: one.rates[i, j] for i, s in enumerate(one.sources) if s != target}
            assert by_class.worst[k, j] == max(others.values())
            assert others[by_class.worst_sources[k, j]] == max(others.values())
    frame = by_class.to_frame()
    assert frame["rate"].is_monotonic_decreasing and len(frame) == 12
    assert len(by_class.to_frame(of="pairs")) == 24
    with pytest.raises(ValueError, match="label must be one of .* got 'x'"):
        by_class.of("x")


def test_exposure_is_the_slow_count():
    outcomes = outcomes_of()
    matrix = TransferMatrix.of(outcomes)
    for target in (None, "b", "c"):
        frame = matrix.exposure(target)
        assert frame["fooled_by"].is_monotonic_decreasing
        for k in range(80):
            label = outcomes.labels[k]
            fooled = of = 0
            for i, source in enumerate(outcomes.sources):
                counts = [
                    outcomes.adversarial[i, j, k] != label
                    for j, name in enumerate(outcomes.targets)
                    if name != source
                    and target in (None, name)
                    and outcomes.clean[NAMES.index(source), k]
                    == label
                    == outcomes.clean[NAMES.index(name), k]
                ]
                fooled, of = fooled + any(counts), of + bool(counts)
            row = frame.loc[f"row {k}"]
            assert (row["label"], row["fooled_by"], row["of"]) == (f"label {label}", fooled, of)
    assert "label" not in TransferMatrix.of(outcomes_of(labelled=False)).exposure()


@pytest.mark.parametrize("target", [None, "b", "c"])
@pytest.mark.parametrize("condition", ["both_correct", "source_fooled", "all"])
def test_exposure_adds_up_to_the_counts(target, condition):
    """Noise, too: a sample that it fools is exposed without any attack."""
    outcomes = outcomes_of()
    matrix = TransferMatrix.of(outcomes, condition)
    frame = matrix.exposure(target).loc[outcomes.index]
    assert (frame["fooled_by"] <= frame["of"]).all()
    alone = [matrix.subset([k]) for k in range(80)]
    columns = [j for j, name in enumerate(matrix.targets) if target in (None, name)]
    pairs = np.array([[s != t for t in matrix.targets] for s in matrix.sources])[:, columns]
    for name, counts in (("fooled_by", "fooled"), ("of", "eligible")):
        expected = [(getattr(one, counts)[:, columns] * pairs).any(axis=1).sum() for one in alone]
        np.testing.assert_array_equal(frame[name], expected)
    expected = [(one.noise_fooled[:, columns] * pairs).any() for one in alone]
    np.testing.assert_array_equal(frame["noise"], expected)
    if target is not None:
        assert frame["fooled_by"].sum() == (matrix.fooled[:, columns] * pairs).sum()


def test_the_order_of_the_equally_exposed_is_that_of_the_samples():
    frame = TransferMatrix.of(outcomes_of()).exposure()
    places = [int(name.removeprefix("row ")) for name in frame.index]
    for _, group in pd.Series(places).groupby(frame["fooled_by"].to_numpy()):
        assert group.is_monotonic_increasing


def test_labels_of_numbers_stay_numbers():
    outcomes = replace(outcomes_of(), classes=np.array([10, 20, 30, 40]))
    by_class = TransferMatrix.of(outcomes).by_class()
    assert by_class.labels.dtype.kind == "i" and by_class.of(20) is by_class.matrices[1]
    assert TransferMatrix.of(outcomes).exposure()["label"].dtype.kind == "i"
    with pytest.raises(ValueError, match=r"label must be one of \[10, 20, 30, 40\], got 25"):
        by_class.of(25)
    with pytest.raises(ValueError, match="one matrix for each label, got 4 matrices and 1 labels"):
        replace(by_class, labels=by_class.labels[:1])
    # a label that no sample has is not among them
    rest = TransferMatrix.of(outcomes).subset(outcomes.labels != 1).by_class()
    assert rest.labels.tolist() == [10, 30, 40] and rest.n_samples.sum() == (outcomes.labels != 1).sum()


def test_subsets():
    matrix = TransferMatrix.of(outcomes_of())
    mask = np.arange(80) % 3 == 0
    part = matrix.subset(mask)
    assert part == matrix.subset(np.flatnonzero(mask)) == matrix.subset(list(np.flatnonzero(mask) - 80))
    assert part != matrix and part.n_samples == 27
    assert part.outcomes.index.tolist() == [f"row {k}" for k in range(0, 80, 3)]
    twice = matrix.subset([3, 3])
    np.testing.assert_array_equal(twice.eligible, 2 * matrix.subset([3]).eligible)
    for rows in (mask[:5], [80], [-81], [0.5], "ab", [[0]]):
        with pytest.raises(
            ValueError, match=r"rows must be numbers of samples below 80, or a mask of shape \(80,\)"
        ):
            matrix.subset(rows)


@pytest.mark.parametrize("rows", [[], np.zeros(80, bool), np.array([], int)])
def test_no_sample_is_nothing_known(rows):
    """Such as those of a class that is not there."""
    empty = TransferMatrix.of(outcomes_of()).subset(rows)
    assert empty.n_samples == 0 and np.isnan(empty.mean_rate)
    assert np.isnan(empty.accuracy).all() and np.isnan(empty.rates).all()
    assert "2 sources, 3 targets, 0 samples, no mean transfer rate" in repr(empty)
    assert empty.describe().count("has no sample that counts with any other model") == 3
    assert len(empty.exposure()) == 0 and (empty.to_frame()["n_samples"] == 0).all()
    comparison = empty.compare(empty)
    assert np.isnan([comparison.mean_difference, *comparison.mean_interval]).all()
    assert np.isnan(comparison.p).all() and not comparison.significant.any()
    assert np.isnan(comparison.confidence_interval(simultaneous=True)).all()
    with pytest.raises(ValueError, match="by_class needs at least one sample"):
        empty.by_class()


def test_differences_have_intervals():
    n, only_first, only_other = np.array([[[40, 0], [100, 12]], [[3, 0], [10, 12]], [[9, 0], [50, 0]]])
    compared = TransferComparison("ab", "cd", n, only_first, only_other, 0.0, ConfidenceInterval(0, 0))
    low, high = compared.confidence_interval()
    # Wald's, after one sample more in each experiment alone
    p, q, z = 4 / 42, 10 / 42, norm.ppf(0.975)
    half = z * np.sqrt((p + q - (q - p) ** 2) / 42)
    np.testing.assert_allclose((low[0, 0], high[0, 0]), (q - p - half, q - p + half))
    assert np.isnan((low[0, 1], high[0, 1])).all() and low[1, 1] == -1
    frame = compared.to_frame()
    np.testing.assert_array_equal(frame[["low", "high"]].to_numpy().T, [low.ravel(), high.ravel()])
    # together, three intervals at a level of 1 - .05 / 3 each
    np.testing.assert_array_equal(
        compared.confidence_interval(simultaneous=True), compared.confidence_interval(1 - 0.05 / 3)
    )
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 2"):
        compared.confidence_interval(2)


def test_counts_alone_say_what_is_missing():
    whole = TransferMatrix.of(outcomes_of())
    counts = replace(whole, outcomes=None)
    np.testing.assert_array_equal(counts.rates, whole.rates)
    for call in (
        lambda m: m.n_samples,
        lambda m: m.accuracy,
        lambda m: m.by_class(),
        lambda m: m.exposure(),
        lambda m: m.subset([0]),
        lambda m: m.counted_as("other"),
        lambda m: m.compare(whole),
        whole.compare,
    ):
        with pytest.raises(
            ValueError, match=r"needs the predictions for each sample, and this matrix holds counts alone"
        ):
            call(counts)
    assert "accuracy" not in repr(counts)
    with pytest.raises(ValueError, match="by_class needs true labels: pass y"):
        TransferMatrix.of(outcomes_of(labelled=False)).by_class()
    with pytest.raises(ValueError, match="there is no target 'x'; the targets are"):
        whole.exposure("x")
    with pytest.raises(ValueError, match="needs attacks that aim at a label, and these do not"):
        whole.counted_as("target")


def test_outcomes_are_equal_by_content(tmp_path):
    matrix = TransferMatrix.of(outcomes_of())
    matrix.save(tmp_path / "matrix.json")
    one, other = (load_result(tmp_path / "matrix.json").outcomes for _ in range(2))
    assert one == other == matrix.outcomes and one is not other
    assert one != matrix.subset(np.arange(10)).outcomes and one != 3
    changed = one.clean.copy()
    changed[0, 0] = (changed[0, 0] + 1) % 4
    assert one != replace(one, clean=changed) and one == replace(one, fingerprints=None)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


@pytest.mark.parametrize("given", ["a", 3, None, np.eye(2), TransferMatrix.of(outcomes_of())])
def test_what_is_no_outcomes(given):
    message = "outcomes must be an Outcomes, as in matrix.outcomes, got .*; the rates of one model are in"
    with pytest.raises(TypeError, match=message):
        TransferMatrix.of(given)
    if given is not None:
        with pytest.raises(TypeError, match=message):
            replace(TransferMatrix.of(outcomes_of()), outcomes=given)


# ---- comparisons


def test_comparison_is_the_slow_one():
    one, other = outcomes_of(), outcomes_of(seed=0)
    other = replace(other, adversarial=outcomes_of(seed=1).adversarial)
    first, second = TransferMatrix.of(one), TransferMatrix.of(other)
    found = first.compare(second)
    p = {}
    for i, source in enumerate(one.sources):
        for j, target in enumerate(one.targets):
            right = (one.clean[NAMES.index(source)] == one.labels) & (
                one.clean[NAMES.index(target)] == one.labels
            )
            a, b = (o.adversarial[i, j][right] != o.labels[right] for o in (one, other))
            only_first, only_other = (a & ~b).sum(), (b & ~a).sum()
            assert (found.n[i, j], found.only_first[i, j], found.only_other[i, j]) == (
                right.sum(),
                only_first,
                only_other,
            )
            assert found.differences[i, j] == pytest.approx(b.mean() - a.mean())
            p[i, j] = scipy.stats.binomtest(int(only_first), int(only_first + only_other)).pvalue
    ranked = sorted(p, key=p.get)
    least = 0.0
    for k, place in enumerate(ranked):
        least = max(least, min(1.0, p[place] * (len(ranked) - k)))
        assert found.p[place] == pytest.approx(least)
    assert found.mean_difference == pytest.approx(second.mean_rate - first.mean_rate)
    assert found.mean_interval.low < found.mean_difference < found.mean_interval.high
    assert second.compare(first).mean_difference == -found.mean_difference
    frame = found.to_frame().reset_index()
    columns = ["source", "target", "n", "only_first", "only_other", "difference", "low", "high"]
    assert list(frame.columns) == [*columns, "p", "p_unadjusted", "significant"]
    row = frame.iloc[1]
    assert (row["source"], row["target"]) == (one.sources[0], one.targets[1])
    counts = found.n, found.only_first, found.only_other
    ps = found.p, found.p_unadjusted
    given = (*counts, found.differences, *found.confidence_interval(), *ps, found.significant)
    assert row[2:].tolist() == [values[0, 1] for values in given]
    same = first.compare(first)
    assert not same.significant.any() and same.mean_difference == 0
    # none of n differs, of which Wilson's interval says how many others may
    most = wilson_interval(np.zeros(same.n.shape), same.n).high[SOURCES_AND_TARGETS_DIFFER].mean()
    np.testing.assert_allclose(same.mean_interval, (-most, most))


def test_a_comparison_knows_what_the_two_share():
    one, other = (
        TransferMatrix.of(outcomes_of(), provenance=Provenance("f", {"attack": "pgd", "eps": eps}, 80))
        for eps in (0.1, 0.2)
    )
    origin = one.compare(other, 0.9).provenance
    expected = {"attack": "pgd", "first": {"eps": 0.1}, "other": {"eps": 0.2}, "level": 0.9}
    assert (origin.made_by, origin.n_samples, origin.settings) == ("TransferMatrix.compare", 80, expected)
    unknown = TransferMatrix.of(outcomes_of())
    assert unknown.compare(unknown).provenance is None
    assert unknown.compare(one).provenance.settings["other"] == {"attack": "pgd", "eps": 0.1}


def test_what_is_unknown_of_a_comparison_is_left_out():
    outcomes = outcomes_of(n_samples=40)
    wrong = outcomes.clean.copy()
    wrong[NAMES.index("d")] = (outcomes.labels + 1) % 4  # nothing counts for d
    matrix = TransferMatrix.of(replace(outcomes, clean=wrong))
    lines = repr(matrix.compare(matrix)).splitlines()
    title = (
        "TransferComparison: mean difference .00 [-.11 +.11], 0 of 3 pairs with a significant difference "
        "(0 of 1 source on itself)"
    )
    assert lines[0] == title
    assert lines[-2].split() == ["a", ".00", "(p", "1.0)", ".00", "(p", "1.0)", "-"]
    empty = matrix.subset([])
    assert "mean difference -, 0 of 0 pairs" in repr(empty.compare(empty))


def differing(counts, n=400):
    """Two experiments on models a and b; in the second alone, so many samples fool each pair."""
    zeros, made = np.zeros((2, n), int), np.zeros((2, 2, 2, n), int)
    for i, j in np.ndindex(2, 2):
        made[1, i, j, : counts[i][j]] = 1
    return [
        TransferMatrix.of(Outcomes("ab", "ab", "ab", np.arange(2), zeros[0], zeros, zeros, zeros, answers))
        for answers in made
    ]


def test_named_pairs_are_tested_alone():
    one, other = differing([[1, 4], [0, 2]])
    whole, alone = one.compare(other), one.compare(other, pairs=[("a", "b")])
    p = [[1.0, 1 / 8], [1.0, 1 / 2]]
    np.testing.assert_allclose(whole.p_unadjusted, p)
    np.testing.assert_allclose(whole.p, [[1.0, 4 / 8], [1.0, 1.0]])
    np.testing.assert_allclose(alone.p, [[np.nan, 1 / 8], [np.nan, np.nan]])
    assert alone.tested.tolist() == [[False, True], [False, False]]
    assert alone.mean_difference == whole.mean_difference
    assert "0 of 1 pair with a significant difference\n" in repr(alone) and "for 1 test)" in repr(alone)
    assert repr(alone).splitlines()[-2].split() == ["a", "(+.003)", "+.01", "(p", ".12)"]
    assert "p .12 before the adjustment" in whole._repr_html_()
    both = one.compare(other, pairs=[("a", "b"), ("b", "b")])
    np.testing.assert_allclose(both.p, [[np.nan, 2 / 8], [np.nan, 1 / 2]])


def test_pairs_are_counted_without_sources_on_themselves():
    one, other = differing([[30, 20], [0, 9]])
    assert "1 of 2 pairs with a significant difference (2 of 2 sources on themselves)" in repr(
        one.compare(other)
    )


def test_the_mean_difference_shows_the_sign_of_each_end():
    one, other = differing([[0, 3], [0, 0]])
    comparison = one.compare(other)
    low, high = comparison.mean_interval
    assert 0 <= low < 0.005 < high
    drawn = comparison.plot(include_intervals=True)
    said = repr(comparison).splitlines()[0]
    mean = re.search(r"mean difference (\S+) \[(\S+) (\S+)\]", said).groups()
    assert mean[0].startswith("+.00") and float(mean[0]) > 0 and (low == 0) == (float(mean[1]) == 0)
    assert f"mean {mean[0]} [{mean[1]} {mean[2]}]" in drawn.ax_.get_title()
    texts = [text.get_text().split("\n") for text in drawn.text_.ravel()]
    # cells have one format: two decimals, and the sign of what is not 0
    assert [text[0] for text in texts] == [".00", "+.01", ".00", ".00"]
    assert texts[1][1].startswith("\N{MINUS SIGN}.00 to +.")
    assert all(" to " in text[1] and text[1][0] in "+\N{MINUS SIGN}" for text in texts)


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ("ab", TypeError),
        (3, TypeError),
        ([], ValueError),
        (["ab"], ValueError),
        ([("a", "c")], ValueError),
        ([("a", "b", "a")], ValueError),
        ([("a", "b"), ("a", "b")], ValueError),
    ],
)
def test_pairs_that_are_none(pairs, error):
    one, other = differing([[0, 3], [0, 0]])
    with pytest.raises(error, match=r"pairs must hold (\(source, target\), of the sources|each pair once)"):
        one.compare(other, pairs=pairs)


def test_the_interval_of_a_difference_holds():
    """In simulations of equal experiments 95 % of the intervals hold 0, to their own precision."""
    held = 0
    for seed in range(100):
        rng = np.random.RandomState(seed)
        zeros = np.zeros((2, 150), int)
        hard = rng.uniform(size=150)
        made = [(rng.uniform(size=(2, 2, 150)) < hard).astype(int) for _ in range(2)]
        one, other = (
            TransferMatrix.of(
                Outcomes(("a", "b"), ("a", "b"), ("a", "b"), np.arange(2), zeros[0], zeros, zeros, zeros, m)
            )
            for m in made
        )
        low, high = one.compare(other).mean_interval
        held += low <= 0 <= high
    assert 88 <= held <= 100


def test_the_interval_holds_a_difference_that_there_is():
    """Of two attacks whose means are .32 and .5, on samples that are easy for both or for neither."""
    held = 0
    for seed in range(100):
        rng = np.random.RandomState(seed)
        easy, zeros = rng.uniform(size=150), np.zeros((2, 150), int)
        noise = rng.uniform(size=(2, 2, 2, 150)) / 2  # attack, source, target
        made = (0.5 * easy + noise > np.array([0.6, 0.5])[:, None, None, None]).astype(int)
        one, other = (
            TransferMatrix.of(
                Outcomes(
                    NAMES[:2], NAMES[:2], NAMES[:2], np.arange(2), zeros[0], zeros, zeros, zeros, answers
                )
            )
            for answers in made
        )
        low, high = one.compare(other).mean_interval
        # P(U + V > t) = 2 (1 - t)^2 of two uniform numbers up to 1 / 2, t at least that
        held += low <= 0.5 - 0.32 <= high
    assert 88 <= held <= 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: (replace(o, sources=("a", "d")), {}), "the two experiments have different sources"),
        (lambda o: (replace(o, targets=("b", "a", "d")), {}), "the two experiments have different targets"),
        (lambda o: (o, {"condition": "all"}), "the two experiments have different condition and goal"),
        (lambda o: (o.take(slice(0, 70)), {}), "different samples: their numbers differ;"),
        (lambda o: (replace(o, labels=o.labels[::-1]), {}), "different samples: their labels differ;"),
        (lambda o: (replace(o, index=np.arange(80) + 3), {}), "different samples: their indexes differ;"),
        (
            lambda o: (replace(o, index=o.index[::-1]), {}),
            "same samples in another order; sort both by index",
        ),
        (lambda o: (o.take(np.arange(80)[::-1]), {}), "same samples in another order; sort both by index"),
    ],
)
def test_what_cannot_be_compared(change, message):
    outcomes = outcomes_of()
    other, given = change(outcomes)
    with pytest.raises(ValueError, match=message):
        TransferMatrix.of(outcomes).compare(TransferMatrix.of(other, **given))
    with pytest.raises(TypeError, match="other must be a TransferMatrix, got int"):
        TransferMatrix.of(outcomes).compare(3)


def test_stars_are_where_the_adjusted_p_is():
    """Two of three cells differ by 6 and 9 of 40 samples: p is 1/32 and 1/256, adjusted 2/32 and 3/256."""
    zeros, made = np.zeros((4, 40), int), np.zeros((2, 1, 3, 40), int)
    made[1, 0, 0, :6], made[1, 0, 1, :9] = 1, 1
    one, other = (
        TransferMatrix.of(
            Outcomes(
                NAMES, NAMES[:1], NAMES[1:], np.arange(2), zeros[0], zeros, zeros[:3], zeros[:1], answers
            )
        )
        for answers in made
    )
    comparison = one.compare(other)
    np.testing.assert_allclose(comparison.p, [[2 / 32, 3 / 256, 1.0]])
    assert comparison.significant.tolist() == [[False, True, False]]
    assert one.compare(other, level=0.9).significant.tolist() == [[True, True, False]]
    line = " ".join(repr(comparison).splitlines()[-1].split())
    assert line == "a +.15 (p .06) +.23 * (p .01) .00 (p 1.0)"
    assert repr(other.compare(one)).splitlines()[-1].split()[:3] == ["a", "-.15", "(p"]
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 1"):
        one.compare(other, level=1)


def test_all_intervals_at_once():
    matrix = TransferMatrix.of(outcomes_of())
    low, high = matrix.confidence_interval(simultaneous=True)
    each = matrix.confidence_interval(1 - 0.05 / 6)
    np.testing.assert_array_equal([low, high], [each.low, each.high])


def test_the_most_dangerous_sources_may_tie():
    """a and c fool b on nearly the same samples; d on few."""
    zeros = np.zeros((4, 100), int)
    made = np.zeros((4, 4, 100), int)
    made[0, 1, :60], made[2, 1, 2:60], made[3, 1, :20] = 1, 1, 1
    outcomes = Outcomes(NAMES, NAMES, NAMES, np.arange(2), zeros[0], zeros, zeros, zeros, made)
    line = TransferMatrix.of(outcomes).describe().splitlines()[1]
    assert "most by those made on a (60%), a tie with c; by" in line
    made[2, 1, :40] = 0
    outcomes = replace(outcomes, adversarial=made)
    assert "most by those made on a (60%); by" in TransferMatrix.of(outcomes).describe().splitlines()[1]


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ((0.6, 0.58, 0.2), "most by those made on a (60%), a tie with c; by"),
        ((0.58, 0.6, 0.59), "most by those made on c (60%), a tie with 2 others; by"),
        ((0.6, 0.3, 0.3), "most by those made on a (60%); by"),
        ((0.0, 0.0, 0.0), "0% of the samples made on the other 3 models; by noise"),
    ],
)
def test_how_ties_are_said(rates, said):
    """Sources a, c and d, each of which fools the first samples: McNemar's test sees the difference alone."""
    zeros, made = np.zeros((4, 100), int), np.zeros((4, 4, 100), int)
    for source, rate in zip((0, 2, 3), rates, strict=True):
        made[source, 1, : int(100 * rate)] = 1
    outcomes = Outcomes(NAMES, NAMES, NAMES, np.arange(2), zeros[0], zeros, zeros, zeros, made)
    matrix = TransferMatrix.of(outcomes)
    assert said in matrix.describe().splitlines()[1]
    # of counts alone nothing can be paired
    assert "tie" not in replace(matrix, outcomes=None).describe()


def test_a_tie_ends_where_the_test_does():
    """At the level .05: 5 samples more are p = .0625, 6 are .03125."""
    for more, tie in ((5, True), (6, False)):
        zeros, made = np.zeros((3, 40), int), np.zeros((3, 3, 40), int)
        made[0, 1, : 10 + more], made[2, 1, :10] = 1, 1
        outcomes = Outcomes(
            NAMES[:3], NAMES[:3], NAMES[:3], np.arange(2), zeros[0], zeros, zeros, zeros, made
        )
        assert ("a tie with c" in TransferMatrix.of(outcomes).describe()) == tie


def test_a_comparison_is_checked():
    counts = np.ones((1, 2), int)
    with pytest.raises(ValueError, match=r"only_other must hold counts >= 0 of shape \(1, 2\)"):
        TransferComparison(("a",), ("b", "c"), counts, counts, -counts, 0.0, (0.0, 0.0))


# ---- measured


@pytest.fixture(scope="module")
def table(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("pqrs"), index=[f"flower {k}" for k in range(len(X))])
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    models = {"lr": LogisticRegression(max_iter=1000).fit(frame, names), "svm": SVC().fit(frame, names)}
    return frame, names, models


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_samples_are_those_that_are_counted(table, folder, n_jobs, tmp_path):
    frame, y, models = table
    generator = AdversarialGenerator(eps=0.5)
    scorer = TransferScorer(generator, random_state=0, n_jobs=n_jobs).fit(models)
    matrix = scorer.transfer(frame, y, keep_samples=tmp_path / "kept" if folder else True)
    for i, (name, model) in enumerate(models.items()):
        X_adv = matrix.samples(name)
        assert isinstance(X_adv, pd.DataFrame) and X_adv.index.equals(frame.index)
        assert ((X_adv - frame).abs().to_numpy() <= 0.5 + 1e-9).all()
        answers = matrix.outcomes.classes[matrix.outcomes.own[i]]
        right = model.predict(frame) == y
        np.testing.assert_array_equal(model.predict(X_adv)[right], answers[right])
        # what could not count is as it was
        assert X_adv[~right].equals(frame[~right])
    some = matrix.subset([5, 100])
    assert some.samples("lr").equals(matrix.samples("lr").iloc[[5, 100]])
    assert sorted(path.name for path in tmp_path.rglob("*.npy")) == (["lr.npy", "svm.npy"] if folder else [])
    assert isinstance(matrix.kept.arrays["lr"], np.memmap) == folder
    assert pickle.loads(pickle.dumps(matrix)).samples("svm").equals(matrix.samples("svm"))
    with pytest.raises(ValueError, match="there is no source 'x'; the sources are"):
        matrix.samples("x")
    with pytest.raises(ValueError, match="were not kept, or only in memory"):
        scorer.transfer(frame[:10], y[:10]).samples("lr")


def test_a_folder_that_cannot_be_written(table, tmp_path):
    frame, y, models = table
    (tmp_path / "file").write_text("")
    scorer = TransferScorer().fit(models)
    with pytest.raises(ValueError, match="cannot be written to: Not a directory; give another folder"):
        scorer.transfer(frame, y, keep_samples=tmp_path / "file" / "folder")
    scorer.transfer(frame[:20], y[:20], keep_samples=tmp_path / "kept")
    with pytest.raises(
        ValueError, match="holds the samples of another result, which reads them from there; give another"
    ):
        scorer.transfer(frame[:20], y[:20], keep_samples=str(tmp_path / "kept"))
    with pytest.raises(ValueError, match="keep_samples must be True, False or a folder, got 3"):
        scorer.transfer(frame, y, keep_samples=3)


def test_the_index_and_where_it_comes_from(table):
    frame, y, models = table
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, eps_unit="std"), random_state=0).fit(models)
    matrix = scorer.transfer(frame, y)
    assert set(matrix.exposure("svm").index) == set(frame.index)
    made = matrix.provenance
    assert made.n_samples == 150 and made.made_by == "TransferScorer.transfer"
    wanted = {"attack": "auto", "eps": 0.5, "eps_unit": "std", "norm": np.inf, "condition": "both_correct"}
    assert wanted.items() <= made.settings.items() and made.settings["random_state"] == 0
    assert {"python", "skhalfway", "scikit-learn", "torch", "numpy"} == set(made.versions)
    right = (models["lr"].predict(frame) == y).sum()
    assert made.costs["lr"]["gradients"] == 40 * right and made.costs["lr"]["seconds"] > 0
    assert "auto, Linf eps 0.5 std: rate" in repr(matrix)
    assert "Where this comes from" in matrix._repr_html_() and "scikit-learn" in matrix._repr_html_()
    asked = TransferScorer(AdversarialGenerator(attack="square", max_queries=50)).fit(models)
    costs = asked.transfer(frame[:60], y[:60]).provenance.costs
    assert 0 < costs["svm"]["queries"] <= 50 * 60 and "gradients" not in costs["svm"]
    curve = scorer.transfer_curve(frame[::5], y[::5], eps=[0.1, 0.2])
    assert curve.provenance.settings["eps"] == [0.1, 0.2]
    assert [m.provenance.settings["eps"] for m in curve.matrices] == [0.0, 0.1, 0.2]


# ---- by class: what each rate rests on


@pytest.mark.parametrize(
    ("right", "fools", "expected"),
    [
        # samples of the class that the target gets right; of those, the ones that fool it: by a, by b
        (36, (30, 35), (".97 [.86 1.0] of 36, b", ".97 of 36\nb", "b")),
        (36, (9, 0), (".25 [.14 .41] of 36, a", ".25 of 36\na", "a")),
        (23, (0, 0), (".00 [.00 .14] of 23", ".00 of 23", "")),
        (0, (0, 0), (" - ", "\u2013", "")),
    ],
)
def test_by_class_says_what_each_rate_rests_on(right, fools, expected):
    n, wrong = 64, 1
    labels = np.zeros(n, int)
    clean = np.zeros((3, n), int)
    clean[2, right:] = wrong
    made = np.zeros((2, 1, n), int)
    for i, k in enumerate(fools):
        made[i, 0, :k] = wrong
    outcomes = Outcomes(
        ("a", "b", "t"), ("a", "b"), ("t",), np.array([0, 1]), labels, clean, clean[2:], clean[:2], made
    )
    by_class = TransferMatrix.of(outcomes).by_class()
    text, drawn, source = expected
    assert repr(by_class).splitlines()[-2:] == ["label  samples  t", f"0      64       {text}".rstrip()]
    assert by_class.n_samples.tolist() == [64] and by_class.worst_eligible.tolist() == [[right]]
    assert by_class.worst_sources.tolist() == [[source]]
    rate, rest = text.split(" ", 1) if right else ("", "")
    html = by_class._repr_html_()
    assert rest in html and rate in html and "64" in html
    frame = by_class.to_frame()
    if not right:
        assert frame.empty and np.isnan(by_class.worst).all()
        return
    row = frame.iloc[0]
    assert (row["source"], row["eligible"], row["n_samples"]) == (source, right, 64)
    display = by_class.plot()
    assert display.text_[0, 0].get_text() == drawn
    assert display.ax_.get_yticklabels()[0].get_text() == "0 (n = 64)"


# ---- what a rate of 0 may mean


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("own", "said"),
    [
        (0, "attacks fool their own source: mlp .00 [.00 .09]"),
        (39, "attacks fool their own source: mlp .97 [.87 1.0]"),
    ],
)
def test_an_attack_that_failed_is_told_from_robustness(own, said, labelled):
    """Of a source that is no target: else its own cell says so."""
    zeros = np.zeros(40, int)
    fools = np.where(np.arange(40) < own, 1, 0)
    clean = np.stack([zeros, zeros])
    names, labels = ("mlp", "cnn"), zeros if labelled else None
    outcomes = Outcomes(
        names, ("mlp",), ("cnn",), np.arange(2), labels, clean, clean[1:], fools[None], zeros[None, None]
    )
    matrix = TransferMatrix.of(outcomes)
    assert matrix.rates.tolist() == [[0]] and repr(matrix).splitlines()[-1] == said
    assert said in matrix._repr_html_()
    frame = matrix.to_frame()
    assert frame.loc[("mlp", "cnn"), "source_success"] == own / 40
    both = replace(outcomes, targets=names, noise=clean, adversarial=np.stack([fools, zeros])[None])
    assert "their own source" not in repr(TransferMatrix.of(both))
    assert (TransferMatrix.of(both).to_frame()["source_success"] == own / 40).all()


# ---- how many samples anyone can make missed


@pytest.mark.parametrize("goal", ["other", "target"])
@pytest.mark.parametrize("condition", ["both_correct", "source_fooled", "all"])
def test_samples_that_any_source_makes_missed(condition, goal):
    """As many as exposure() names, for each target."""
    matrix = TransferMatrix.of(outcomes_of(targeted=goal == "target"), condition, goal=goal)
    low, high = matrix.confidence_interval(0.9, of="fooled_by_any")
    for j, target in enumerate(matrix.targets):
        frame = matrix.exposure(target)
        assert matrix.fooled_by_any[j] == (frame["fooled_by"] > 0).sum() > 0
        assert matrix.eligible_for_any[j] == (frame["of"] > 0).sum()
        ends = wilson_interval(matrix.fooled_by_any[j], matrix.eligible_for_any[j], 0.9)
        assert (low[j], high[j]) == tuple(ends)


@pytest.mark.parametrize(
    ("fools", "goal", "said"),
    [
        # a, c and d fool b on other samples each: more together than any of them alone
        (((0, 12), (12, 24), (24, 36)), "other", "fool it on 36 of 38 [.83 .99]."),
        (((0, 12), (0, 12), (6, 12)), "other", "fool it on 12 of 38 [.19 .47]."),
        (((0, 0), (0, 0), (0, 0)), "other", "fool it on 0 of 38 [.00 .09]."),
        (((0, 3), (3, 6), (0, 0)), "target", "make it predict that label on 6 of 38 [.07 .30]."),
    ],
)
def test_they_are_said(fools, goal, said):
    zeros, made = np.zeros((4, 38), int), np.zeros((4, 4, 38), int)
    for source, (begin, end) in zip((0, 2, 3), fools, strict=True):
        made[source, 1, begin:end] = 1
    goals = zeros + 1 if goal == "target" else None
    outcomes = Outcomes(NAMES, NAMES, NAMES, np.arange(2), zeros[0], zeros, zeros, zeros, made, goals)
    matrix = TransferMatrix.of(outcomes, goal=goal)
    assert matrix.describe().splitlines()[1].endswith(f"At least one source's samples {said}")
    # of one other source, and of counts alone, there is nothing more to say
    few = {"sources": ("a",), "targets": ("b",), "noise": zeros[:1], "own": zeros[:1]}
    few["goals"] = None if goals is None else goals[:1]
    pair = replace(outcomes, adversarial=made[:1, 1:2], **few)
    assert "At least" not in TransferMatrix.of(pair, goal=goal).describe()
    counts = replace(matrix, outcomes=None)
    assert "At least" not in counts.describe()
    with pytest.raises(ValueError, match="fooled_by_any needs the predictions for each sample"):
        counts.confidence_interval(of="fooled_by_any")


PAIRS = pd.MultiIndex.from_product([["x", "y"], range(40)])


@pytest.mark.parametrize("index", [None, "texts", "pairs"])
def test_samples_in_another_order_are_compared_once_they_are_sorted(index):
    outcomes = outcomes_of()
    if index == "pairs":
        outcomes = replace(outcomes, row_index=None, index=index_of(pd.DataFrame(index=PAIRS), 80))
    if index is None:
        outcomes = replace(outcomes, index=None)
    first = TransferMatrix.of(outcomes)
    other = first.subset(np.random.RandomState(0).permutation(80))
    with pytest.raises(ValueError, match="sort both by index"):
        first.compare(other)
    one, two = (m.subset(np.argsort(m.outcomes.sample_names)) for m in (first, other))
    assert one == two and one.compare(two).mean_difference == 0
