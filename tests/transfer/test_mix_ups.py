"""Rows, names, samples and counts that are mixed up: refused or warned of, never counted in silence."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer, load_result
from skhalfway._checks import ascending_integers
from skhalfway._index import index_of
from skhalfway._inputs import fingerprints
from skhalfway.transfer import Outcomes, Robustness, TransferComparison

N = 24


def outcomes_of(n=N, seed=0, **others):
    rng = np.random.RandomState(seed)
    draw = lambda *shape: rng.randint(3, size=(*shape, n))  # noqa: E731
    labels, names = draw(), ("a", "b")
    clean = np.where(rng.uniform(size=(2, n)) < 0.8, labels, draw(2))
    made = draw(2, 2)
    own = made[[0, 1], [0, 1]]
    return Outcomes(names, names, names, np.arange(3), labels, clean, draw(2), own, made, **others)


@pytest.fixture(scope="module")
def pair(iris):
    return {"lr": LogisticRegression(max_iter=1000).fit(*iris), "svm": SVC().fit(*iris)}


# ---- rows


NAMED = np.array([f"row {k}" for k in range(N)])
SHUFFLED = np.random.RandomState(0).permutation(N)


@pytest.mark.parametrize(
    ("index", "rows", "message"),
    [
        # masks
        (None, lambda m: m.exposure()["fooled_by"] > 1, "a mask with another index than the samples"),
        (None, lambda m: m.exposure().sort_index()["fooled_by"] > 1, None),
        (None, lambda m: m.exposure().sort_index()["fooled_by"].gt(1).to_numpy(), None),
        (NAMED, lambda m: m.exposure().loc[NAMED]["fooled_by"] > 1, None),
        (NAMED, lambda m: m.exposure()["fooled_by"] > 1, "a mask with another index than the samples"),
        (NAMED, lambda m: pd.Series(m.outcomes.labels > 1), "a mask with another index than the samples"),
        (None, lambda m: pd.Series(np.ones(N, bool), index=NAMED), r"pass rows\.to_numpy\(\) if it is in"),
        # names
        (None, lambda m: m.exposure().index[:5], None),
        (SHUFFLED, lambda m: m.exposure().index[:5], r"numbers of samples, got an Index.*np\.flatnonzero"),
        (SHUFFLED, lambda m: np.flatnonzero(np.isin(SHUFFLED, m.exposure().index[:5])), None),
        (NAMED, lambda m: m.exposure().index[:5], "rows must be numbers of samples, got an Index"),
    ],
)
def test_rows_of_a_table_are_those_that_were_meant(index, rows, message):
    """That of exposure() has the most exposed first: a mask of it was read as one of the samples."""
    matrix = TransferMatrix.of(outcomes_of(index=index), "all")
    frame = matrix.exposure()
    if message is not None:
        with pytest.raises(ValueError, match=message):
            matrix.subset(rows(matrix))
        return
    part, given = matrix.subset(rows(matrix)), rows(matrix)
    meant = frame.index[:5] if len(given) == 5 else frame.index[frame["fooled_by"] > 1]
    assert set(part.outcomes.sample_names) == set(meant)
    assert part.exposure()["fooled_by"].sum() == frame.loc[meant, "fooled_by"].sum()


def test_a_part_has_names_of_its_own():
    """Those of the whole are no numbers of it."""
    part = TransferMatrix.of(outcomes_of(), "all").subset(np.arange(N) >= 12)
    with pytest.raises(ValueError, match="rows must be numbers of samples, got an Index"):
        part.subset(part.exposure().index[:3] - 12)
    with pytest.raises(ValueError, match="a mask with another index than the samples"):
        part.subset(part.exposure()["fooled_by"] > 1)


def test_all_samples_are_the_whole():
    whole = TransferMatrix.of(outcomes_of(), "all")
    assert whole.subset(np.arange(N)) == whole.subset(np.ones(N, bool)) == whole
    assert TransferMatrix.of(outcomes_of(index=np.arange(N)), "all") == whole
    assert whole.subset(np.arange(N)[::-1]) != whole


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.RangeIndex(3), None),
        (pd.Index([0.0, 1.0, 2.0]), None),
        (pd.Index([0, 1, 2], dtype=object), None),
        (pd.Index([False, True, True]), [False, True, True]),
        (pd.Index([None, "a", "b"], dtype="string"), ["<NA>", "a", "b"]),
        (pd.Index([np.int64(3), "a", 2.5], dtype=object), [3, "a", 2.5]),
        (pd.MultiIndex.from_product([["a"], [1, 2, np.nan]]), [("a", 1.0), ("a", 2.0), ("a", np.nan)]),
        (
            pd.MultiIndex.from_product([["a"], pd.date_range("2026", periods=3)]),
            [("a", f"2026-01-0{k} 00:00:00") for k in (1, 2, 3)],
        ),
        (pd.period_range("2026", periods=3, freq="D"), [f"2026-01-0{k}" for k in (1, 2, 3)]),
    ],
)
def test_every_index_names_the_samples_and_is_kept_in_files(index, expected, tmp_path):
    names = index_of(pd.DataFrame(np.zeros((3, 2)), index=index), 3)
    if expected is None:
        assert names is None
        return
    assert repr(names.tolist()) == repr(expected)
    matrix = TransferMatrix.of(outcomes_of(3, index=names), "all")
    matrix.save(tmp_path / "m.json")
    assert load_result(tmp_path / "m.json") == matrix


# ---- samples


def test_samples_that_were_not_attacked_are_not_counted(iris, pair):
    """What a source gets wrong is attacked under condition "all" alone."""
    X, y = iris
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, max_iter=3), random_state=0).fit(pair)
    some = scorer.transfer(X, y)
    with pytest.raises(ValueError, match="150 samples of source 'lr' count, but 4 of them were not"):
        TransferMatrix.of(some.outcomes, "all")
    every = scorer.set_params(condition="all").transfer(X, y)
    assert TransferMatrix.of(every.outcomes, "both_correct").eligible.tolist() == some.eligible.tolist()
    aimed = scorer.transfer(X, y, target=1)  # samples of the class aimed at count under no condition
    assert TransferMatrix.of(aimed.outcomes, "all", goal="target").fooled.tolist() == aimed.fooled.tolist()
    alone = replace(some.outcomes, own=np.full_like(some.outcomes.own, -1))
    with pytest.raises(ValueError, match="under condition='both_correct' 146 samples of source 'lr' count"):
        TransferMatrix.of(alone)


@pytest.mark.parametrize(
    ("change", "n_other"),
    [
        (lambda X: X.copy(), 0),
        (lambda X: X.astype(np.float32), 0),
        (lambda X: pd.DataFrame(X), 0),
        (lambda X: np.where(np.arange(len(X))[:, None] < 7, X + 0.1, X), 7),
        (lambda X: X * 2, 150),
    ],
)
@pytest.mark.filterwarnings("ignore:.*it predicts")
def test_a_comparison_knows_other_samples(iris, pair, change, n_other, tmp_path):
    X, y = iris
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, max_iter=3), random_state=0).fit(pair)
    first, second = scorer.transfer(X, y), scorer.transfer(change(X), y)
    second.save(tmp_path / "m.json")
    message = f"^{n_other} of the 150 samples have other values in the other experiment"
    for other in (second, load_result(tmp_path / "m.json"), second.subset(np.arange(150))):
        with pytest.warns(UserWarning, match=message) if n_other else nullcontext():
            first.compare(other)


def test_fingerprints_are_of_values():
    X = np.array([[0.0, 1], [np.nan, 2], [1e300, 3], [-0.0, 1]])
    first = fingerprints(X)
    assert first.dtype == np.uint64 and first[0] == first[3] and len(set(first)) == 3
    assert first.tolist() == fingerprints(X.reshape(4, 1, 2)).tolist()
    assert first.tolist() != fingerprints(X[::-1]).tolist()


@pytest.mark.parametrize("kind", ["pandas", "nullable", "polars"])
@pytest.mark.parametrize("place", [True, "folder"])
def test_samples_that_are_given_out_are_those_that_are_counted(iris, kind, place, tmp_path):
    """In columns of smaller floats too, where the nearest samples cross a split by less than one step."""
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7)
    frame = frame.astype({"c": np.float32, "d": np.float32})
    if kind == "nullable":
        frame = frame.astype({"c": "Float32"})
    if kind == "polars":
        frame = pytest.importorskip("polars").DataFrame(frame.to_dict("series"))
    models = {
        "tree": DecisionTreeClassifier(random_state=0).fit(frame, y),
        "other": DecisionTreeClassifier(random_state=1, max_depth=3).fit(frame, y),
    }
    generator = AdversarialGenerator(attack="tree", eps=1.0)
    scorer = TransferScorer(generator, random_state=0, condition="all").fit(models)
    where = place if place is True else tmp_path
    matrix = scorer.transfer(frame, y, keep_samples=where)
    for i, source in enumerate(matrix.sources):
        made = matrix.samples(source)
        assert type(made) is type(frame) and list(made.columns) == list("abcd")
        assert [str(each).lower() for each in made.dtypes] == [str(each).lower() for each in frame.dtypes]
        for j, target in enumerate(matrix.targets):
            answers = matrix.outcomes.adversarial[i, j]
            np.testing.assert_array_equal(models[target].predict(made), answers, f"{source} -> {target}")
    assert len(matrix.subset([3, 4]).samples("tree")) == 2
    assert "float32" in str(frame.dtypes).lower()  # the user's is as it was


# ---- names and counts


MATRIX = TransferMatrix.of(outcomes_of())


def counts_of(names=("a", "b"), dtype=int, **others):
    square = np.array([[90, 80], [70, 60]], dtype=dtype)
    return TransferMatrix(
        names, square, square // 2, square // 4, square // 4, square[0], square[1], **others
    )


def comparison_of(dtype=int, sources=("a", "b"), targets=("c",), **others):
    counts = {"n": [[120], [120]], "only_first": [[60], [5]], "only_other": [[60], [70]], **others}
    arrays = {name: np.array(values, dtype=dtype) for name, values in counts.items()}
    return TransferComparison(sources, targets, **arrays, mean_difference=0.3, mean_interval=(0.2, 0.4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: counts_of(("a", "a")), r"names must be different, got \['a', 'a'\]"),
        (lambda: counts_of(sources=("a", "a")), "sources must be different"),
        (lambda: counts_of(targets=("b", "b")), "targets must be different"),
        (lambda: replace(outcomes_of(), names=("a", "b", "a"), clean=np.zeros((3, N), int)), "names must be"),
        (lambda: replace(outcomes_of(), sources=("a", "a")), "sources must be different"),
        (
            lambda: replace(MATRIX, condition="all"),
            "eligible does not match the outcomes under condition='all'",
        ),
        (lambda: replace(MATRIX, goal="target"), "goal does not match the outcomes"),
        (lambda: replace(MATRIX, fooled=MATRIX.eligible), "fooled does not match the outcomes"),
        (lambda: replace(MATRIX, sources=("b", "a")), "sources does not match the outcomes"),
        (lambda: replace(MATRIX, outcomes=outcomes_of(seed=1)), r"make the matrix by TransferMatrix\.of"),
        (lambda: counts_of(standard_error=-0.1), "standard_error must be a number >= 0 or nan, got -0.1"),
        (lambda: counts_of(standard_error="x"), "standard_error must be a number >= 0 or nan, got 'x'"),
        (lambda: comparison_of(sources=("a", "a")), "sources must be different"),
        (lambda: comparison_of(only_other=[[61], [70]]), "only_first and only_other must not exceed n"),
        (lambda: Robustness(("a",), [0, 1], ["0", "1"], [["0", "1"]]), "all be numbers or all be texts"),
        (lambda: Robustness(("a", "a"), *np.zeros((2, 3)), np.zeros((2, 3))), "sources must be different"),
        (
            lambda: replace(outcomes_of(), labels=np.full(N, -1)),
            "labels must hold .* from 0 to 2; got",
        ),
        (
            lambda: replace(outcomes_of(), noise=np.full((2, N), -1)),
            "noise must hold .* from 0 to 2; got",
        ),
        (lambda: ascending_integers("n", np.array([5, 3], dtype=np.uint8)), "n must be ascending integers"),
        (lambda: counts_of().confidence_interval([0.9, 0.95]), "level must be between 0 and 1, got"),
        (lambda: counts_of().confidence_interval("0.9"), "level must be between 0 and 1, got '0.9'"),
        (lambda: TransferMatrix.of(outcomes_of()).by_class().of([0, 1, 2]), "label must be one of"),
    ],
)
def test_what_is_mixed_up_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_budgets_that_floats_cannot_tell_apart(iris, pair):
    eps = [Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**30)]
    with pytest.raises(ValueError, match="each larger than the one before"):
        TransferScorer(AdversarialGenerator()).fit(pair).transfer_curve(*iris, eps=eps)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64, np.int32])
def test_counts_of_any_integers_are_the_same(dtype):
    """Small and unsigned ones overflow where they are added and subtracted."""
    assert counts_of(dtype=dtype) == counts_of()
    one, other = comparison_of(dtype), comparison_of()
    assert one == other and one.n.dtype == np.int64
    np.testing.assert_array_equal(one.differences, [[0], [65 / 120]])
    np.testing.assert_array_equal(one.p, other.p)


def test_names_out_of_an_array(iris, pair, tmp_path):
    scorer = TransferScorer(AdversarialGenerator(max_iter=3), sources=np.array(["lr"]), random_state=0)
    models = dict(zip(np.array(["lr", "svm"]), pair.values(), strict=True))
    matrix = scorer.fit(models).transfer(*iris)
    assert "str_" not in repr((matrix.sources, matrix.provenance.settings))
    matrix.save(tmp_path / "m.json")
    assert load_result(tmp_path / "m.json") == matrix == scorer.fit(pair).transfer(*iris)


def test_names_with_unusual_signs(iris, pair):
    """A text of numpy ends before a trailing null, and two lines are no row."""
    usual = TransferScorer(AdversarialGenerator(max_iter=3), random_state=0).fit(pair).transfer(*iris)
    models = dict(zip(("a", "a\0"), pair.values(), strict=True))
    matrix = TransferScorer(AdversarialGenerator(max_iter=3), random_state=0).fit(models).transfer(*iris)
    assert matrix.standard_error == usual.standard_error > 0
    assert matrix.exposure("a")["of"].sum() == usual.exposure("lr")["of"].sum() > 0
    broken = replace(counts_of(), names=("x\ny", "b"), sources=None, targets=None)
    assert [len(line.split("(")) for line in repr(broken).splitlines()[3:]] == [2, 2]
    assert "x y" in repr(broken) and len(repr(broken).splitlines()) == 5


# ---- figures of which nothing is known


def test_no_sample_has_no_share(recwarn):
    empty = Robustness(("a",), *np.zeros((2, 0)), np.zeros((1, 0)))
    assert np.isnan([empty.accuracy, empty.robust_accuracy, *empty.by_source]).all()
    assert empty.to_frame()["right"].tolist() == [0, 0, 0] and not recwarn.list


def alike(n, fooled):
    """Outcomes of two models that are always right, and fooled by all samples or by none."""
    names, zeros = ("a", "b"), np.zeros((2, n), int)
    made = np.broadcast_to(np.array(fooled)[:, :, None], (2, 2, n))
    return TransferMatrix.of(Outcomes(names, names, names, np.arange(2), zeros[0], zeros, zeros, zeros, made))


@pytest.mark.parametrize("fooled", [[[0, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 1], [0, 0]]])
def test_samples_that_do_all_the_same_leave_room(fooled):
    """20 of 20 that are not fooled do not say that none ever is."""
    matrix = alike(20, fooled)
    each = matrix.confidence_interval()
    pairs = ~np.eye(2, dtype=bool)
    low, high = matrix.confidence_interval(of="mean_rate")
    assert matrix.standard_error == 0
    np.testing.assert_allclose((low, high), (each.low[pairs].mean(), each.high[pairs].mean()))
    assert high - low > 0.15
    wider = matrix.confidence_interval(0.99, of="mean_rate")
    assert wider.low <= low < high <= wider.high and wider != (low, high)
    compared = alike(20, [[0, 0], [0, 0]]).compare(matrix)
    low, high = compared.mean_interval
    assert low < compared.mean_difference < high or compared.mean_difference == high == 1
    assert high - low > 0.15 and -1 <= low <= high <= 1
    few = alike(9, fooled)
    assert np.isnan(few.confidence_interval(of="mean_rate")).all()
    assert np.isnan(few.compare(few).mean_interval).all()


@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_the_interval_of_the_mean_holds_a_rare_mistake(rate):
    rng, held = np.random.RandomState(0), 0
    for _ in range(200):
        fooled = (rng.uniform(size=40) < rate).astype(int)
        made = np.broadcast_to(fooled, (2, 2, 40))
        names, zeros = ("a", "b"), np.zeros((2, 40), int)
        outcomes = Outcomes(names, names, names, np.arange(2), zeros[0], zeros, zeros, zeros, made)
        low, high = TransferMatrix.of(outcomes).confidence_interval(of="mean_rate")
        held += low <= rate <= high
    assert held / 200 >= 0.9


def test_a_mean_over_other_samples_than_the_pairs_is_said(iris, pair):
    """Of two weak attacks that fool few sources, other samples count: each pair falls and the mean rises."""
    X, y = iris
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, max_iter=3), random_state=0).fit(pair)
    note = "the mean rates are over the samples that count in each experiment"
    both = scorer.transfer(X, y), scorer.set_params(generator__eps=0.3).transfer(X, y)
    assert note not in repr(both[0].compare(both[1]))
    fooled = [TransferMatrix.of(one.outcomes, "source_fooled") for one in both]
    compared = fooled[0].compare(fooled[1])
    differences = compared.differences[~np.eye(2, dtype=bool)]
    assert abs(differences.mean() - compared.mean_difference) > 0.01
    assert note in repr(compared) and note in compared._repr_html_()
