"""What users hand in: columns that hold categories, labels, containers and their float types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator

from skhalfway._inputs import (
    Frame,
    category_codes,
    check_labels,
    container_of,
    positions,
    read_samples,
    round_towards,
)


def test_codes_are_the_same_in_every_session() -> None:
    codes = category_codes(
        ["clerk", "smith", "", "clerk", np.str_("smith"), 2.5, True, np.False_, np.int8(3)]
    )
    clerk, smith, empty = 3671573610879605, 3153477949344370, 4022468892641179
    assert codes.tolist() == [clerk, smith, empty, clerk, smith, 2.5, 1, 0, 3]
    assert np.isnan(category_codes([None, np.nan, float("nan"), pd.NA, pd.NaT])).all()


COLUMNS = {
    "floats": ([1.5, np.nan], False),
    "integers": ([1, 2], False),
    "nullable integers": (pd.array([1, None], dtype="Int64"), False),
    "nullable floats": (pd.array([1.5, None], dtype="Float32"), False),
    "objects that are numbers": (np.array([1, 2.5], dtype=object), False),
    "objects that are numbers, one missing": (np.array([1, None], dtype=object), False),
    "bools": ([True, False], True),
    "nullable bools": (pd.array([True, None], dtype="boolean"), True),
    "objects that are bools": (np.array([True, None], dtype=object), True),
    "texts": (["a", "b"], True),
    "objects that are texts": (np.array(["a", None], dtype=object), True),
    "strings": (pd.array(["a", None], dtype="string"), True),
    "categories of texts": (pd.Categorical(["a", None]), True),
    "categories of numbers": (pd.Categorical([1, 2]), True),
    "numbers and texts": (np.array([1, "a"], dtype=object), True),
    "fractions and texts": (np.array([1.5, "a"], dtype=object), True),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_which_columns_hold_categories(kind: str) -> None:
    values, expected = COLUMNS[kind]
    X = pd.DataFrame({"number": [0.5, 1.5], "other": pd.Series(values), "last": [3, 4]})
    frame = Frame.of(X)
    if not expected:
        assert frame is None
        return
    assert frame is not None
    assert frame.categories.tolist() == [False, True, False]
    assert [*frame.names] == ["other"]
    array = frame.numbers(X).to_numpy(dtype=float)
    np.testing.assert_array_equal(array[:, 1], category_codes(X["other"]))
    np.testing.assert_array_equal(array[:, [0, 2]], X[["number", "last"]])
    for rows in ([0, 1], [1, 1, 0]):
        restored = frame.restore(array[rows])
        assert [*restored.columns] == [*X.columns]
        pd.testing.assert_series_equal(restored["other"], X["other"].iloc[rows].reset_index(drop=True))
        np.testing.assert_array_equal(restored["number"], array[rows, 0])
    pd.testing.assert_frame_equal(
        X, pd.DataFrame({"number": [0.5, 1.5], "other": pd.Series(values), "last": [3, 4]})
    )


@pytest.mark.parametrize("values", [pd.to_datetime(["2000-01-01"]), pd.to_timedelta([1], unit="s")], ids=str)
def test_times_are_no_columns(values: Any) -> None:
    with pytest.raises(TypeError, match="column 'when' holds times"):
        Frame.of(pd.DataFrame({"when": values}))


def test_only_frames_have_columns() -> None:
    assert Frame.of(np.array([["a"]])) is None
    assert Frame.of(pd.Series(["a"])) is None


SAMPLES = {
    "integers": (np.arange(6).reshape(3, 2), np.float64),
    "bools": (np.eye(3, 2, dtype=bool), np.float64),
    "lists": ([[1, 2], [3, 4], [5, 6]], np.float64),
    **{f"float{n}": (np.arange(6.0).reshape(3, 2).astype(f"float{n}"), f"float{n}") for n in (16, 32, 64)},
    "images": (np.zeros((3, 1, 4, 4), np.float32), np.float32),
    "tensor": (torch.ones(3, 2), np.float32),
    "tensor that learns": (torch.ones(3, 2, dtype=torch.float64, requires_grad=True), np.float64),
    "missing values": (np.array([[1, np.nan], [2, 3], [4, 5]]), np.float64),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_are_read_as_floats(kind: str) -> None:
    given, dtype = SAMPLES[kind]
    reader = BaseEstimator()
    X = read_samples(reader, given, reset=True)
    assert X.dtype == dtype
    np.testing.assert_array_equal(X, given.detach() if isinstance(given, torch.Tensor) else given)
    np.testing.assert_array_equal(read_samples(reader, given, reset=False), X)
    assert reader.n_features_in_ == X.shape[1]
    if X.ndim == 2:
        for width in (1, 3):
            with pytest.raises(ValueError, match="features"):
                read_samples(reader, np.ones((3, width)), reset=False)


def test_samples_that_are_none() -> None:
    with pytest.raises(TypeError, match="bfloat16"):
        read_samples(BaseEstimator(), torch.ones(3, 2, dtype=torch.bfloat16), reset=True)
    for X in (np.ones(3), np.full((3, 2), np.inf), np.array([["a", "b"]]), np.empty((0, 2))):
        for reset in (True, False):
            with pytest.raises(ValueError):
                read_samples(BaseEstimator(), X, reset=reset)
    with pytest.raises(ValueError, match="infinity"):
        read_samples(BaseEstimator(), np.full((2, 1, 3, 3), np.inf), reset=False)
    reader = BaseEstimator()
    read_samples(reader, pd.DataFrame({"a": [1.0], "b": [2.0]}), reset=True)
    with pytest.raises(ValueError, match="feature names"):
        read_samples(reader, pd.DataFrame({"b": [1.0], "a": [2.0]}), reset=False)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, "Float32", int, object], ids=str)
def test_rounding_never_leads_away(dtype: Any) -> None:
    """The nearest number of the float type, or where that is farther from the anchor, the next towards it."""
    rng = np.random.RandomState(0)
    anchor = rng.normal(size=500).astype(np.float16).astype(float)
    values = anchor + rng.normal(size=500) * np.repeat([1.0, 1e-3], 250)
    rounded = round_towards(values, anchor, pd.array([], dtype=dtype).dtype if dtype == "Float32" else dtype)
    expected = np.dtype(dtype.lower() if isinstance(dtype, str) else dtype)
    expected = expected if expected.kind == "f" else np.dtype(float)
    assert rounded.dtype == expected
    nearest = values.astype(expected)
    away = np.abs(nearest.astype(float) - anchor) > np.abs(values - anchor)
    assert expected == np.float64 or (0.2 < away.mean() < 0.8)
    np.testing.assert_array_equal(rounded[~away], nearest[~away])
    towards = np.nextafter(nearest[away], anchor[away].astype(expected))
    np.testing.assert_array_equal(rounded[away], towards)


def test_arrays_return_in_the_container() -> None:
    array = np.array([[1.1, 2.0, 7.0], [3.3, 4.5, 8.0]])
    assert container_of(np.ones((2, 3)))(array) is array
    assert container_of([[1, 2, 3]])(array) is array
    tensor = container_of(torch.ones(2, 3))(array)
    assert torch.equal(tensor, torch.from_numpy(array))
    X = pd.DataFrame({"a": np.float32([9, 0]), "n": [1, 2], "town": ["x", "y"]}, index=[5, 3])
    made = container_of(X)(array)
    assert ([*made.index], [*made.columns]) == ([5, 3], ["a", "n", "town"])
    assert made.dtypes["a"] == np.float32
    assert made.dtypes["n"] == np.float64
    # 9 is above 1.1 and 0 below 3.3
    assert (made["a"].astype(float) >= [1.1, 0]).all()
    assert made["a"].astype(float).iloc[1] <= 3.3
    np.testing.assert_allclose(made["a"], [1.1, 3.3])
    np.testing.assert_array_equal(made["n"], [2, 4.5])
    pd.testing.assert_series_equal(made["town"], X["town"])


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        ([0, 1, 2], [2, 0, 1], [2, 0, 1]),
        ([5, 3, 9], [3, 9, 5, 4, 0, 10], [1, 2, 0, -1, -1, -1]),
        (["b", "a"], ["a", "b", "c", ""], [1, 0, -1, -1]),
        ([0.5], [0.5, 1.5, -1], [0, -1, -1]),
        ([False, True], [True, False], [1, 0]),
    ],
)
def test_positions_of_labels(classes: Any, labels: Any, expected: list[int]) -> None:
    classes = np.array(classes)
    assert positions(labels, classes).tolist() == expected
    known = [label for label, k in zip(labels, expected, strict=True) if k >= 0]
    found = [k for k in expected if k >= 0]
    for y in (known, np.array(known), np.array(known)[:, None], pd.Series(known)):
        np.testing.assert_array_equal(check_labels(y, classes, len(known)), found)
    if classes.dtype.kind in "if":
        np.testing.assert_array_equal(check_labels(torch.tensor(known), classes, len(known)), found)
    if -1 in expected:
        with pytest.raises(ValueError, match="labels that are not among the classes"):
            check_labels(labels, classes, len(labels))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], "one label per sample"),
        ([[0, 1, 1]], "one label per sample"),
        (np.zeros((3, 2)), "one label per sample"),
        (np.zeros((3, 1, 1)), "one label per sample"),
        (0, "one label per sample"),
        (["0", "1", "1"], "not among the classes"),
        ([0, 1, 2], r"not among the classes .*\[2\]"),
    ],
)
def test_labels_that_are_none(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^target .*{message}"):
        check_labels(y, np.array([0, 1]), 3, name="target")
    with pytest.raises(ValueError, match="^y "):
        check_labels(y, np.array([0, 1]), 3)
