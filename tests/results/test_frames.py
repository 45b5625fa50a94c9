"""Tables of transfer results, for other programs: pandas, CSV and parquet keep every figure."""

from __future__ import annotations

from io import BytesIO, StringIO

import numpy as np
import pandas as pd
import pytest

from skhalfway import TransferCurve, TransferMatrix
from skhalfway.transfer import Outcomes, Robustness

NAMES = ("net", "tree", "a name, with a comma")


def outcomes_of(seed=0, index=None):
    rng = np.random.RandomState(seed)
    labels = rng.randint(3, size=40)
    clean = np.where(rng.uniform(size=(3, 40)) < 0.8, labels, rng.randint(3, size=(3, 40)))
    made = rng.randint(3, size=(2, 3, 40))
    clean[1, labels == 2] = 0  # nothing counts for it there
    classes = np.array(["bad", "good", "so, so"])
    return Outcomes(NAMES, NAMES[:2], NAMES, classes, labels, clean, clean, made[:, 0], made, None, index)


MATRIX = TransferMatrix.of(outcomes_of(), masked=np.array([True, False]))
NAMED = TransferMatrix.of(outcomes_of(index=np.array([f"row {k}" for k in range(40)], dtype=object)))
BY_CLASS = MATRIX.by_class()
CURVE = TransferCurve([0, 0.1], (MATRIX, MATRIX), np.tile(MATRIX.source_fooled, (2, 1)))
JUDGED = Robustness(
    NAMES[:2],
    *(
        outcomes_of().classes[part]
        for part in (MATRIX.outcomes.labels, MATRIX.outcomes.clean[2], MATRIX.outcomes.own)
    ),
)
FRAMES = {
    "matrix": lambda: MATRIX.to_frame(),
    "square": lambda: MATRIX.to_frame("rates"),
    "by class": lambda: BY_CLASS.to_frame(),
    "class pairs": lambda: BY_CLASS.to_frame(of="pairs"),
    "curve pairs": lambda: CURVE.to_frame(),
    "curve": lambda: CURVE.to_frame(per="budget"),
    "comparison": lambda: MATRIX.compare(MATRIX).to_frame(),
    "sources": lambda: JUDGED.to_frame(),
    "samples": lambda: JUDGED.to_frame(of="samples"),
    "exposure": lambda: MATRIX.exposure(),
    "exposure of named": lambda: NAMED.exposure("tree"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_csv(name):
    frame = FRAMES[name]()
    back = pd.read_csv(StringIO(frame.to_csv()), index_col=list(range(frame.index.nlevels)))
    # what stands above the columns has no place in CSV
    pd.testing.assert_frame_equal(back, frame, check_names=name != "square", check_dtype=False, rtol=1e-14)


@pytest.mark.parametrize("name", FRAMES)
def test_parquet(name):
    pytest.importorskip("pyarrow")
    frame, file = FRAMES[name](), BytesIO()
    frame.to_parquet(file)
    back = pd.read_parquet(BytesIO(file.getvalue()))
    pd.testing.assert_frame_equal(back, frame, check_exact=True, check_column_type=False)


@pytest.mark.parametrize("name", FRAMES)
def test_every_column_has_one_kind_and_a_name(name):
    frame = FRAMES[name]()
    assert all(isinstance(column, str) and column for column in frame.columns)
    assert all(level for level in frame.index.names)
    for column in frame:
        kinds = {type(value) for value in frame[column].tolist()}
        assert len(kinds) == 1, (column, kinds)


def test_frames_are_the_users_own():
    """A change of one does not reach the result."""
    before = MATRIX.fooled.copy()
    square, pairs = MATRIX.to_frame("fooled"), MATRIX.to_frame()
    square.iloc[:, :] = 0
    pairs.loc[:, "fooled"] = 0
    assert not square.to_numpy().any() and not pairs["fooled"].any()
    frame = JUDGED.to_frame(of="samples")
    frame.iloc[:, 0] = "x"
    np.testing.assert_array_equal(MATRIX.fooled, before)
    assert set(JUDGED.labels) == {"bad", "good", "so, so"}


def test_what_nothing_counts_for_is_left_out_of_the_worst_and_kept_in_the_pairs():
    worst, pairs = BY_CLASS.to_frame(), BY_CLASS.to_frame(of="pairs")
    # the tree is right on no sample of that class: not as a target, nor as a source
    assert ("so, so", "tree") not in worst.index and ("so, so", "net") not in worst.index
    assert len(pairs) == 3 * 2 * 3 and pairs.loc[("so, so", "net", "tree"), "eligible"] == 0
    assert np.isnan(pairs.loc[("so, so", "net", "tree"), "rate"])
    assert worst["rate"].is_monotonic_decreasing and (worst["eligible"] > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MATRIX.to_frame("rate"), "value must be one of"),
        (lambda: BY_CLASS.to_frame(of="best"), "of must be one of"),
        (lambda: CURVE.to_frame(per="source"), "per must be 'pair' or 'budget', got 'source'"),
        (lambda: JUDGED.to_frame(of="all"), "of must be one of"),
    ],
)
def test_choices_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()
