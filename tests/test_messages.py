"""Whatever is wrong: TypeError or ValueError before any work, in one short line that prints nothing whole."""

from __future__ import annotations

from collections import Counter, UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.utils.data import DataLoader, Dataset, TensorDataset

from skhalfway._readable import read_labels
from skhalfway._text import shown
from tests.entries import ENTRIES, LINEAR, X, Y

# nothing of this makes sense as any parameter, save where ACCEPTED says so
MONSTERS: dict[str, Any] = {
    "long text": "x" * 5000,
    "pipeline": make_pipeline(*[StandardScaler() for _ in range(30)], LinearRegression()),
    "network": torch.nn.Sequential(*[torch.nn.Linear(7, 7) for _ in range(60)]),
    "array": np.arange(1000.0),
    "list": list(range(1000)),
    "dict": {f"key {i}": i for i in range(1000)},
    "texts": ["y" * 300] * 30,
    "frame": pd.DataFrame(np.arange(3000.0).reshape(-1, 3)),
    "object": object(),
    "complex": 1 + 2j,
}
ACCEPTED = {
    ("as_model", "estimator", "network"),
    ("to_module", "estimator", "network"),
    ("compress", "estimator", "network"),
    ("Autoencoder.fit", "X", "frame"),
    ("random_directions", "X", "frame"),
    ("orthogonality_condition", "X", "frame"),
    ("geometry_perturbation", "q", "array"),
    ("geometry_perturbation", "q", "list"),
    # it goes through names of columns, as Constraints does through any sequence
    ("Constraints", "immutable", "frame"),
    ("Constraints", "increasing", "frame"),
    ("Constraints", "decreasing", "frame"),
    ("loss_path", "positions", "array"),
    ("loss_path", "positions", "list"),
    ("load_images", "data_home", "long text"),
    ("TransferScorer", "memory", "long text"),
}


def fault_of(function: Callable[..., Any], given: dict[str, Any]) -> str | None:
    """What is wrong with the way a call refuses its arguments."""
    try:
        function(**given)
    except (TypeError, ValueError, RuntimeError) as error:
        message = str(error)
        if isinstance(error, RuntimeError) and not message.startswith("model '"):
            return f"{type(error).__name__} names no model: {message[:100]}"
        if len(message) >= 400 or "\n" in message or not message:
            return f"{len(message)} characters: {message[:100]!r}"
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    return "accepted"


def test_entries_work() -> None:
    """Else the calls below could fail for another reason."""
    for name in (
        "AdversarialGenerator.fit",
        "TransferScorer.transfer",
        "crossings",
        "loss_surface",
        "CodeMap",
    ):
        function, given = ENTRIES[name]
        function(**given)


@pytest.mark.parametrize("name", ENTRIES)
def test_no_parameter_is_printed_whole(name: str) -> None:
    function, given = ENTRIES[name]
    faults = {
        f"{parameter}={monster}": fault
        for parameter in given
        for monster, value in MONSTERS.items()
        if (name, parameter, monster) not in ACCEPTED
        and (fault := fault_of(function, given | {parameter: value}))
    }
    assert not faults


def spoiled(value: float) -> Any:
    bad = X.copy()
    bad[3, 1] = value
    return bad


class Listed(Dataset):
    """A Dataset of items that are made already."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __getitem__(self, i: int) -> Any:
        return self.items[i]

    def __len__(self) -> int:
        return len(self.items)


DATA = TensorDataset(torch.tensor(X), torch.tensor(Y))
BAD_SAMPLES: dict[str, tuple[Any, str]] = {
    "None": (None, "must hold numbers, one row for each sample; got None|X_test and y_test"),
    "number": (3.5, "got 3.5"),
    "class": (SVC, "got the class SVC"),
    "model": (LINEAR, "got LogisticRegression"),
    "empty dataset": (TensorDataset(torch.ones(0, 4)), r"\w+ holds no samples: TensorDataset is empty"),
    "empty loader": (DataLoader(DATA, 64, drop_last=True), r"\w+ holds no samples: DataLoader is empty"),
    "dataset of dicts": (Listed([{"image": X[0]}]), "but item 0 of .* is {.*; take its parts out"),
    "dataset of images": (
        Listed([(Image.new("RGB", (8, 8)), 0)]),
        "the sample of item 0 of .* is Image; turn it into numbers in the dataset's transform",
    ),
    "dataset of three": (Listed([(X[0], 0, 1.0)]), "item 0 of .* has 3 parts; leave out the rest"),
    "dataset of two widths": (
        Listed([*X[:300], X[0, :2]]),
        r"the same shape: \(4,\) in item 0, \(2,\) in item 40; resize them",
    ),
    "loader of two widths": (
        DataLoader(Listed([*X[:5], X[0, :2]]), 3),
        "its DataLoader finds others in a batch: .*equal size.*; resize them",
    ),
    "batches of two widths": (
        DataLoader(Listed([*X[:4], X[0, :2]]), 2),
        r"\(4,\) in batch 0, \(2,\) in batch 2; resize them",
    ),
    "images": ([Image.new("RGB", (8, 8))], r"a list of Image; pass numpy.stack\(.*transpose\(0, 3, 1, 2\)"),
    "path": (Path("a.csv"), "read the file first"),
    "paths": (["a.png", "b.png"], "got a list of str; read the files into one array first"),
    "bunch": (load_iris(), "got Bunch; pass its data"),
    "dict": ({"a": [1.0], "b": [2.0]}, r"pass a table: pandas.DataFrame\("),
    "mapping": (UserDict(a=[1.0]), "pass a table"),
    "generator": ((row for row in X), r"[r;] pass all that it gives: numpy.array\(list\("),
    "torch generator": (torch.Generator(), "got Generator"),
    "ragged": ([*X[:5].tolist(), [1.0, 2.0]], r"row 0 has \(4,\) and row 5 has \(2,\); pad or resize"),
    "ragged early": ([[1.0, 2.0], [1.0], [3.0, 4.0]], r"row 0 has \(2,\) and row 1 has \(1,\)"),
    "sparse": (sp.csr_array(X), "Sparse data was passed.*toarray"),
    "sparse tensor": (torch.tensor(X).to_sparse(), r"is a sparse tensor.*to_dense\(\)"),
    "meta tensor": (torch.empty(40, 4, device="meta"), "on the device 'meta'"),
    "half tensor": (torch.tensor(X).bfloat16(), r"bfloat16.*float\(\)"),
    "no samples": (X[:0], r"0 sample\(s\)"),
    "no features": (X[:, :0], r"0 feature\(s\)"),
    "complex": (X + 1j, "Complex data not supported: .* has dtype complex128; pass"),
    "objects": (np.full((40, 4), {}, dtype=object), r"must hold numbers, but \w+\[0, 0\] is \{\}"),
    "words": (np.full((40, 4), "a"), r"must hold numbers, but \w+\[0, 0\] is 'a'"),
    "huge integers": ([[10**400] * 4] * 40, "must hold numbers, but .* an integer of 1329 bits"),
    "named fields": (np.zeros(40, dtype=[("a", float), ("b", float)]), "named fields.*pandas.DataFrame"),
    "times": (np.zeros((40, 4), "M8[s]"), "holds times"),
    "columns of times": (
        pd.DataFrame({c: pd.date_range("2020", periods=40) for c in "abcd"}),
        "'a' holds times",
    ),
    "mixed names": (
        pd.DataFrame(X).rename(columns={0: "a"}),
        "named by texts and by other values",
    ),
    "masked": (np.ma.masked_less(X, 0.2), "is a masked array; pass .*filled"),
    "lazy frame": (pl.DataFrame(X).lazy(), r"yet to be computed in a polars LazyFrame; pass its collect"),
    "polars' times": (
        pl.DataFrame(X).with_columns(pl.Series("a", [0] * 40, dtype=pl.Date)),
        "column 'a' holds times",
    ),
    "polars' lists": (
        pl.DataFrame(X).with_columns(pl.Series("a", [[0]] * 40)),
        r"column 'a' holds List\(Int64\), neither numbers nor categories",
    ),
    "1-d": (X[0], "Expected 2D array, got 1D array: .*reshape"),
    "series": (pd.Series(X[0]), "Expected a 2-dimensional container"),
    "inf": (spoiled(np.inf), r"contains infinity, in \w+\[3, 1\]"),
}
SAMPLES = {"X", "A", "B", "Z", "X3", "X_train", "X_test", "X_a", "X_b", "perturbation", "directions"}
WITH_SAMPLES = [(name, p) for name, (_, given) in ENTRIES.items() for p in given if p in SAMPLES]


@pytest.mark.parametrize("kind", BAD_SAMPLES)
def test_samples_that_cannot_be_read(kind: str) -> None:
    samples, message = BAD_SAMPLES[kind]
    for name, parameter in WITH_SAMPLES:
        function, given = ENTRIES[name]
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            function(**(given | {parameter: samples}))
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value), (name, parameter)


TEXTS = np.where(Y == 0, "no", "yes").tolist()
BAD_LABELS: dict[str, tuple[Any, str]] = {
    "short": (Y[:5], r"one label per sample, shape \(40,\); got shape \(5,\)"),
    "one-hot": (
        np.eye(2)[Y],
        r"got shape \(40, 2\); these are one-hot codes: pass .* classes\[y.*\.argmax\(axis=1\)\]$",
    ),
    "text": ("abc", "one label per sample, .*; got 'abc'"),
    "dict": ({"a": 1}, "one label per sample, .*; got {'a': 1}"),
    "generator": ((label for label in Y), "one label per sample, .*; got generator"),
    "number": (3, "one label per sample, .*; got 3"),
    "NaN": (np.where(np.arange(40) == 3, np.nan, Y), "y.* contains NaN, in sample 3"),
    "inf": (np.where(np.arange(40) == 3, np.inf, Y), "y.* contains infinity, in sample 3"),
    "NaN among texts": ([*TEXTS[:3], float("nan"), *TEXTS[4:]], "y.* contains NaN, in sample 3"),
    "None among texts": ([*TEXTS[:3], None, *TEXTS[4:]], "y.* contains NaN, in sample 3"),
    "NA": (pd.Series([*Y[:3], pd.NA, *Y[4:]], dtype="Int64"), "y.* contains NaN, in sample 3"),
    "NaN among categories": (
        pd.Series([*TEXTS[:3], None, *TEXTS[4:]], dtype="category"),
        "y.* contains NaN, in sample 3",
    ),
    "polars' null": (pl.Series([*Y[:3].tolist(), None, *Y[4:].tolist()]), "y.* contains NaN, in sample 3"),
    "polars' null among texts": (pl.Series([*TEXTS[:3], None, *TEXTS[4:]]), "y.* contains NaN, in sample 3"),
    "masked": (np.ma.masked_equal(Y, 1), "y.* is a masked array"),
    "mixed": ([*Y[:39].tolist(), "yes"], "y.* mixes numbers and texts, such as [01] and 'yes'"),
    "objects": ([object()] * 40, r"y.* must hold numbers or texts, but y.*\[0\] is object"),
    "complex": (Y + 1j, "y.* must hold numbers or texts, got dtype complex128"),
    "times": (np.zeros(40, "M8[s]"), r"y.* must hold numbers or texts, got dtype datetime64\[s\]"),
}


@pytest.mark.parametrize(
    "columns", [np.ones((40, 2)), np.zeros((40, 2)), np.eye(3)[Y] * 2, np.eye(2)[Y].astype(str)]
)
def test_columns_that_are_no_one_hot_codes(columns: Any) -> None:
    with pytest.raises(ValueError, match=r"shape \(40,\); got shape \(40, [23]\)$"):
        read_labels(columns, 40)


LABELS = {"y", "y_train", "y_test", "y_a", "y_b"}
WITH_LABELS = [
    (name, p)
    for name, (_, given) in ENTRIES.items()
    for p in given
    if p in LABELS and name != "geometry_perturbation"
]


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_cannot_be_read(kind: str) -> None:
    labels, message = BAD_LABELS[kind]
    # imbalanced-learn's samplers take a column for each class; a linear network, any targets
    coded = ("AdversarialSampler.fit_resample", "linear_landscape")
    refusing = [each for each in WITH_LABELS if kind != "one-hot" or each[0] not in coded]
    for name, parameter in refusing:
        function, given = ENTRIES[name]
        with pytest.raises((TypeError, ValueError), match=message) as caught:
            function(**(given | {parameter: labels}))
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value), (name, parameter)


def ourselves() -> list[Any]:
    items: list[Any] = [1]
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (np.float64(0.1), "0.1"),
        (None, "None"),
        ("a\nb", r"'a\nb'"),
        (10**5000, "an integer of 16610 bits"),
        ([1, "a", None], "[1, 'a', None]"),
        ((1,), "(1,)"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        ({3}, "{3}"),
        (np.arange(3), "[0, 1, 2]"),
        (np.zeros((2, 3)), "ndarray of shape (2, 3)"),
        (torch.zeros(2), "Tensor of shape (2,)"),
        (pd.DataFrame({"a": [1]}), "DataFrame of shape (1, 1)"),
        (sp.eye_array(3), "dia_array of shape (3, 3)"),
        (SVC(), "SVC"),
        (SVC, "the class SVC"),
        (len, "function len"),
        (fault_of, "function fault_of"),
        (Counter("a"), "Counter"),
        (["a" * 30] * 9, f"['{'a' * 30}', '{'a' * 30}', ...] (9 items)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_values_are_shown(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        # whole numbers of as many digits as there is room for
        (2**239, 80, str(2**239)),
        (2**240 - 1, 80, str(2**240 - 1)),
        (2**240, 80, "an integer of 241 bits"),
        (-(2**300), 80, "an integer of 301 bits"),
        (2**30, 10, "an integer of 31 bits"),
        # what is within what is shown has half of the room, and at the last none for its items
        ({1: 2}, 9, "{1: 2}"),
        ({1: 2}, 8, "dict"),
        ([1, 2], 9, "[1, 2]"),
        ([1, 2], 8, "list"),
        ([{1: [{2: [3]}]}], 80, "[{1: [{2: list}]}]"),
        ("a" * 9, 8, "'aaaa... (9 characters)"),
        ("a" * 6, 8, "'aaaaaa'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_values_are_shown_where_there_is_little_room(value: Any, width: int, text: str) -> None:
    assert shown(value, width) == text


@pytest.mark.parametrize(
    "value",
    [*MONSTERS.values(), ourselves(), [[[["a" * 50] * 50] * 50]]],
    ids=lambda value: type(value).__name__,
)
def test_what_is_shown_is_short(value: Any) -> None:
    assert len(shown(value)) < 110 and "\n" not in shown(value)
