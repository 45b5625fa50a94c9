"""Samples of users: containers are turned into float arrays, and results back into the same containers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from hashlib import blake2b
from itertools import zip_longest
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skhalfway._blocks import SCANNED, blocks
from skhalfway._polars import holds_numbers, in_polars, is_polars_frame, without_polars
from skhalfway._readable import as_table, is_missing, is_tensor, read_labels
from skhalfway._rounding import float_type, round_towards
from skhalfway._text import shown
from skhalfway._times import check_column

FLOATS = [np.float64, np.float32, np.float16]


def category_codes(values: Iterable[Any]) -> NDArray[np.float64]:
    """A number for each category, the same in every array, process and session.

    Numbers and bools represent themselves, and a missing value is nan. Anything else gets 52 bits of the hash
    of its text, which float64 holds exactly.
    """
    return np.fromiter((_category_code(value) for value in values), dtype=float)


def _category_code(value: Any) -> float:
    if is_missing(value):
        return float("nan")
    if isinstance(value, (bool, np.bool_, Real)):
        return float(value)
    return float(int.from_bytes(blake2b(str(value).encode(), digest_size=8).digest(), "big") >> 12)


def read_samples(estimator: Any, X: Any, *, reset: bool, name: str = "X", first: int = 0) -> NDArray[Any]:
    """Check samples of shape (n_samples, n_features), or images of any more axes.

    Returns a float array; integers become float64. The number of features and their names are stored on
    ``estimator`` (``reset``), or compared with the stored ones. ``first`` is the number of the first sample,
    if samples are read in blocks.
    """
    table = as_table(X, name)
    frame = Frame.of(table)
    if frame is not None:
        table = frame.numbers(table)
    names = None if reset else getattr(estimator, "feature_names_in_", None)
    if names is not None and hasattr(table, "set_axis") and same_columns(table.columns, names):
        table = table.set_axis([str(name) for name in names], axis=1)
    checks: dict[str, Any] = {"dtype": FLOATS, "allow_nd": True, "ensure_all_finite": False}
    # the first axis of an image holds channels, so only rows have a number of features to compare
    if not reset and getattr(table, "ndim", 2) > 2:
        array = check_array(table, **checks, estimator=estimator, input_name=name)
    else:
        try:
            array = validate_data(estimator, table, **checks, reset=reset)
        except ValueError as error:
            # scikit-learn's messages use the name X here
            if name == "X":
                raise
            said = str(error)
            raise ValueError(f"{name}{said[1:]}" if said.startswith("X ") else f"{name}: {said}") from error
    # missing values are allowed here; a model that does not support them raises when it predicts
    check_finite(array, name, allow_nan=True, first=first)
    # torch does not support negative strides, such as those of X[::-1]
    return np.ascontiguousarray(array)


def same_columns(columns: Iterable[Any], names: Iterable[Any]) -> bool:
    """Whether columns have the names stored in an estimator; LightGBM stores blanks as underscores."""
    pairs = zip_longest((str(column) for column in columns), (str(name) for name in names))
    return all(column is not None and name in (column, column.replace(" ", "_")) for column, name in pairs)


def read_numbers(X: Any, *, name: str = "X") -> NDArray[Any]:
    """Samples without missing values, for no particular estimator: rows, or images of any more axes."""
    check_no_categories(X, name)
    array = check_array(
        as_table(X, name), dtype=FLOATS, allow_nd=True, ensure_all_finite=False, input_name=name
    )
    check_finite(array, name)
    return array


def read_rows(X: Any, *, reader: Any = None, reset: bool = True, name: str = "X") -> NDArray[Any]:
    """Samples of shape (n_samples, n_features), without missing values, in float64 or float32."""
    check_no_categories(X, name)
    reader = BaseEstimator() if reader is None else reader
    array = read_samples(reader, X, reset=reset, name=name)
    if array.ndim > 2:
        raise ValueError(
            f"{name} must hold rows, got shape {array.shape}; pass {name}.reshape({len(array)}, -1)"
        )
    check_finite(array, name)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def check_no_categories(X: Any, name: str = "X", what: str = "this is for numbers") -> None:
    """Raise for a DataFrame with columns that are not numbers; ``what`` gives the reason."""
    frame = Frame.of(X)
    if frame is not None:
        raise ValueError(
            f"{name} has columns of categories, {shown(list(frame.names))}, and {what}; encode them as "
            "numbers, or leave them out"
        )


def check_finite(X: NDArray[Any], name: str = "X", *, allow_nan: bool = False, first: int = 0) -> None:
    """Raise for an infinite value and, unless allowed, for a missing one; the message has its position.

    ``first`` is the number of the first sample.
    """
    if 0 in X.shape[1:]:
        raise ValueError(f"samples of {name} must have features, got shape {X.shape}")
    for rows in blocks(len(X), int(np.prod(X.shape[1:])), SCANNED):
        wrong = ~np.isfinite(X[rows])
        if allow_nan and wrong.any():
            wrong = np.isinf(X[rows])
        if wrong.any():
            place = np.unravel_index(int(wrong.argmax()), wrong.shape)
            what = "NaN" if np.isnan(X[rows][place]) else "infinity"
            row, *others = map(int, place)
            where = ", ".join(map(str, (first + rows.start + row, *others)))
            raise ValueError(f"Input {name} contains {what}, in {name}[{where}]")


class Frame:
    """The columns of a DataFrame that hold categories (texts, bools, pandas' categories), and their codes.

    Attributes
    ----------
    categories : bool ndarray of shape (n_columns,)
        Whether each column holds categories.
    names : Index of shape (n_categories,)
        Names of these columns.
    """

    def __init__(self, X: Any, categories: NDArray[np.bool_]) -> None:
        self.categories = categories
        self.names = X.columns[categories]
        self._X = X

    @cached_property
    def _codes(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.intp], Any]]:
        # computed only when needed, as some callers only ask which columns hold categories
        return {int(i): coded(self._X.iloc[:, i]) for i in np.flatnonzero(self.categories)}

    @staticmethod
    def of(X: Any) -> Frame | None:
        """The frame of a DataFrame with categories; None for any other X."""
        X = without_polars(X)
        if not (hasattr(X, "columns") and hasattr(X, "iloc")):
            return None
        categories = np.array([_holds_categories(X.iloc[:, i]) for i in range(X.shape[1])], dtype=bool)
        return Frame(X, categories) if categories.any() else None

    def numbers(self, X: Any) -> Any:
        """The DataFrame with codes instead of categories."""
        numbers = X.copy()
        for i, (codes, place, _) in self._codes.items():
            numbers.isetitem(i, codes[place])
        return numbers

    def knows(self, array: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether all codes of each row are those of categories of the frame."""
        known = np.ones(len(array), dtype=bool)
        for i, (codes, _, _) in self._codes.items():
            known &= np.isin(array[:, i], codes) | (np.isnan(array[:, i]) & np.isnan(codes).any())
        return known

    def restore(self, array: NDArray[Any]) -> Any:
        """A DataFrame from an array of rows, in which numbers may have been changed."""
        import pandas as pd

        columns = []
        for i in range(array.shape[1]):
            if i not in self._codes:
                columns.append(pd.Series(array[:, i]))
                continue
            codes, _, values = self._codes[i]
            columns.append(values.iloc[np.searchsorted(codes, array[:, i])].reset_index(drop=True))
        frame = pd.concat(columns, axis=1)
        frame.columns = self._X.columns
        return frame


def _holds_categories(column: Any) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    held = check_column(column)
    if getattr(column.dtype, "kind", "O") == "c":
        raise ValueError(f"Complex data not supported: column {shown(column.name)}; pass its real part")
    if is_bool_dtype(column.dtype):
        return True
    if column.dtype != object:
        return not is_numeric_dtype(column.dtype)
    return held in ("string", "boolean", "mixed", "mixed-integer", "categorical")


def coded(column: Any) -> tuple[NDArray[np.float64], NDArray[np.intp], Any]:
    """Codes in ascending order (a missing value last), the position of each row's code, one value of each."""
    import pandas as pd

    try:
        place, seen = pd.factorize(column, use_na_sentinel=False)
    except TypeError as error:
        raise TypeError(
            f"column {shown(column.name)} holds values such as {shown(column.iloc[0])}, which are neither "
            "numbers nor categories"
        ) from error
    codes, first, rank = np.unique(category_codes(seen), return_index=True, return_inverse=True)
    rows = pd.Series(place).drop_duplicates()
    values = column.iloc[rows.index[np.argsort(rows.to_numpy())]]
    return codes, rank[place], values.iloc[first]


def container_of(X: Any) -> Callable[[NDArray[Any]], Any]:
    """Return a function that puts an array of X's shape into X's container and float types.

    Columns of a narrower float type are rounded towards X, so that distances never grow. Columns of integers
    get the array's float type, in which models made their predictions. The function can be pickled, as other
    processes need it.
    """
    if is_tensor(X):
        return partial(_on_device, X.device)
    if is_polars_frame(X):
        return partial(_in_polars, X)
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        return partial(_in_pandas, X)
    return _as_it_is


def _as_it_is(array: NDArray[Any]) -> NDArray[Any]:
    return array


def _on_device(device: Any, array: NDArray[Any]) -> Any:
    import torch

    return torch.from_numpy(array).to(device)


def _in_pandas(X: Any, array: NDArray[Any]) -> Any:
    import pandas as pd

    frame = Frame.of(X)

    def column(i: int, dtype: Any) -> Any:
        if frame is not None and frame.categories[i]:
            return X.iloc[:, i]  # categories never change
        type_ = float_type(dtype, array.dtype)
        rounded = round_towards(array[:, i], np.asarray(X.iloc[:, i], dtype=float), type_)
        return pd.Series(rounded, index=X.index)

    restored = pd.concat([column(i, dtype) for i, dtype in enumerate(X.dtypes)], axis=1)
    restored.columns = X.columns
    return restored


def _in_polars(X: Any, array: NDArray[Any]) -> Any:
    before = without_polars(X)
    changed = {}
    for i, column in enumerate(X.get_columns()):
        if holds_numbers(column):  # other columns never change
            anchor = np.asarray(before.iloc[:, i], dtype=float)
            changed[i] = round_towards(array[:, i], anchor, float_type(before.dtypes.iloc[i], array.dtype))
    return in_polars(X, changed)


def table_like(X: Any, array: NDArray[Any]) -> Any:
    """A DataFrame of X's type with X's columns, from an array of other rows."""
    if is_polars_frame(X):
        return type(X)(array, schema=X.columns)
    import pandas as pd

    return pd.DataFrame(array, columns=X.columns)


def under_names(X: NDArray[Any], names: Any) -> Any:
    """X with column names, for estimators that warn without them; X unchanged if there are none."""
    if names is None:
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=names)


def fingerprints(X: NDArray[Any]) -> NDArray[np.uint64]:
    """Fingerprint of each sample: 64 bits of the hash of its values in float32."""
    known_by = np.empty(len(X), dtype=np.uint64)
    for block in blocks(len(X), int(np.prod(X.shape[1:])), SCANNED):
        with np.errstate(over="ignore"):
            rows = X[block].astype(np.float32) + np.float32(0)  # turns -0 into 0, which equals it
        rows[np.isnan(rows)] = np.nan
        hashes = (blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
        known_by[block] = [int.from_bytes(one, "big") for one in hashes]
    return known_by


def positions(labels: Any, classes: NDArray[Any]) -> NDArray[np.intp]:
    """Index in ``classes`` of each label; -1 for a label that is not among them."""
    labels = np.asarray(labels)
    if labels.dtype == object:
        labels = np.asarray(labels.tolist())
    if labels.dtype == object or (labels.dtype.kind in "biuf") != (classes.dtype.kind in "biuf"):
        # numbers and strings cannot be sorted together
        return np.full(labels.shape, -1, dtype=np.intp)
    order = np.argsort(classes)
    try:
        place = np.searchsorted(classes, labels, sorter=order)
    except TypeError:  # a label that cannot be compared with the classes, such as None, is none of them
        return np.full(labels.shape, -1)
    found = order[np.minimum(place, len(order) - 1)]
    return np.where(classes[found] == labels, found, -1)


def read_targets(y: Any, n_samples: int, *, name: str = "y") -> NDArray[Any]:
    """Labels to learn from, one per sample: any classes, no continuous numbers."""
    labels = read_labels(y, n_samples, name=name)
    check_classification_targets(labels)
    return labels


def check_labels(y: Any, classes: NDArray[Any], n_samples: int, *, name: str = "y") -> NDArray[np.intp]:
    """Class indices of labels, one per sample."""
    labels = read_labels(y, n_samples, name=name)
    if classes.dtype == object:
        classes = np.array(classes.tolist())
    # numbers and texts cannot be sorted together
    kinds = {"number" if array.dtype.kind in "biuf" else array.dtype.kind for array in (labels, classes)}
    indices = positions(labels, classes) if len(kinds) == 1 else np.full(n_samples, -1)
    if (indices < 0).any():
        raise ValueError(
            f"{name} holds labels that are not among the classes {shown(classes)}: "
            f"{shown(np.unique(labels[indices < 0])[:5])}{how_to_name(classes, labels)}"
        )
    return indices


def how_to_name(classes: NDArray[Any], labels: NDArray[Any]) -> str:
    """Advice for labels that are texts while classes are numbers, like those of a network's outputs."""
    if labels.dtype.kind not in "OUT" or not np.array_equal(classes, np.arange(len(classes))):
        return ""
    return (
        "; if these are names of a network's outputs, give them in their order: "
        "as_model(network, classes=[...])"
    )
