"""Reading samples and labels; error messages tell what to pass instead of unreadable data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._polars import without_polars
from skhalfway._text import brief, shown
from skhalfway._times import check_no_times, of_array


def is_tensor(X: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def is_missing(value: Any) -> bool:
    """Whether a value is missing; pandas' NA needs its own test, as it cannot be compared."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (Number, np.generic)) and bool(value != value)


def as_table(X: Any, name: str = "X") -> Any:
    """Samples as scikit-learn reads them: DataFrames and sparse data unchanged, anything else as an array.

    A polars DataFrame becomes a pandas DataFrame. TypeError or ValueError unless the data hold numbers, with
    one row for each sample.
    """
    X = without_polars(X)
    if (remedy := _no_samples(X)) is not None:
        raise TypeError(f"{name} must hold numbers, one row for each sample; got {_kind(X)}{remedy}")
    if is_tensor(X):
        X = _array_of_tensor(X, name)
    if hasattr(X, "columns"):
        _check_names(X.columns, name)
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        check_no_times(X)
    if any(hasattr(X, name) for name in ("iloc", "columns", "toarray")):
        return X
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(f"{name} is a masked array; pass {name}.filled(numpy.nan), where NaN is missing")
    try:
        array = np.asarray(X)
    except (TypeError, ValueError) as error:
        raise ValueError(_ragged(X, name) or f"{name} makes no array: {brief(error)}") from error
    if array.dtype.names:
        raise TypeError(f"{name} has named fields, {shown(array.dtype.names)}; pass pandas.DataFrame({name})")
    if array.dtype.kind in "mM":
        raise of_array(name, array.dtype.kind)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}; pass {name}.real")
    if array.dtype.kind not in "biuf":
        _check_numbers(array, name)
    if array.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array: {name} has shape {array.shape}. Reshape your data: "
            f"{name}.reshape(1, -1) is one sample, {name}.reshape(-1, 1) are samples of one feature"
        )
    return array


def read_labels(y: Any, n_samples: int | None, *, name: str = "y") -> NDArray[Any]:
    """One label for each sample, all numbers or all texts, none missing."""
    wanted = f"{name} must hold one label per sample, shape ({n_samples or 'n_samples'},)"
    if np.ma.is_masked(y):
        raise ValueError(f"{name} is a masked array; leave out the samples without a label")
    if isinstance(y, (str, bytes, Mapping)) or not (hasattr(y, "__len__") or hasattr(y, "__array__")):
        raise ValueError(f"{wanted}; got {shown(y)}")
    try:
        labels = np.asarray(y.detach().cpu() if is_tensor(y) else y)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted}; got {_kind(y)}, which makes no array: {brief(error)}") from error
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or n_samples not in (None, len(labels)):
        advice = f"; these are one-hot codes: pass the labels, classes[{name}.argmax(axis=1)]"
        raise ValueError(f"{wanted}; got shape {labels.shape}{advice * is_one_hot(labels)}")
    if labels.dtype.kind not in "biufUSO":
        raise ValueError(f"{name} must hold numbers or texts, got dtype {labels.dtype}")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        first = int((~np.isfinite(labels)).argmax())
        what = "NaN" if np.isnan(labels[first]) else "infinity"
        raise ValueError(
            f"Input {name} contains {what}, in sample {first}; leave out samples without a label"
        )
    if labels.dtype.kind == "O":
        _check_items(labels, name)
        return np.array(labels.tolist())
    if labels.dtype.kind in "US" and isinstance(y, (list, tuple)):
        # numpy turned all items into texts, also NaN and numbers
        _check_items(np.array(y, dtype=object).ravel(), name)
    return labels


def is_one_hot(labels: NDArray[Any]) -> bool:
    """Whether each row of the array is 0 but for a single 1."""
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def _check_items(labels: Iterable[Any], name: str) -> None:
    """Raise for a missing label, and for labels that cannot be compared."""
    kinds: dict[type, Any] = {}
    for i, label in enumerate(labels):
        if is_missing(label):
            raise ValueError(f"Input {name} contains NaN, in sample {i}; leave such samples out")
        kind = next((k for k in (str, bytes, Number, np.bool_) if isinstance(label, k)), None)
        if kind is None:
            raise ValueError(f"{name} must hold numbers or texts, but {name}[{i}] is {shown(label)}")
        kinds.setdefault(Number if kind is np.bool_ else kind, label)
    if len(kinds) > 1:
        one, other, *_ = map(shown, kinds.values())
        raise ValueError(f"{name} mixes numbers and texts, such as {one} and {other}; write all in one way")


def _no_samples(X: Any) -> str | None:
    """Advice for data that hold no samples; None if they may hold some."""
    if hasattr(X, "toarray"):
        return None  # sparse data, for which scikit-learn has its own message
    if isinstance(X, Mapping):
        return "; pass its data" if "data" in X else "; pass a table: pandas.DataFrame(X)"
    if isinstance(X, Iterator):
        return "; pass all that it gives: numpy.array(list(X))"
    if isinstance(X, (str, bytes, PathLike)):
        return "; read the file first: numpy.load, pandas.read_csv"
    if isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], (str, bytes, PathLike)):
        return "; read the files into one array first"
    if isinstance(X, (list, tuple)) and len(X) and type(X[0]).__module__.startswith("PIL."):
        return "; pass numpy.stack([numpy.asarray(image) for image in X]).transpose(0, 3, 1, 2) / 255"
    a_model = isinstance(X, type) or any(hasattr(X, name) for name in ("fit", "predict", "forward"))
    an_array = any(hasattr(X, name) for name in ("__array__", "__len__"))
    return None if an_array and not a_model else ""


def _kind(X: Any) -> str:
    if isinstance(X, (list, tuple)) and len(X):
        return f"a {type(X).__name__} of {type(X[0]).__name__}"
    return shown(X)


def _check_names(columns: Any, name: str) -> None:
    texts = [isinstance(column, str) for column in columns]
    if any(texts) and not all(texts):
        other = columns[texts.index(False)]
        raise TypeError(
            f"columns of {name} are named by texts and by other values, such as {shown(other)}; pass "
            f"{name}.rename(columns=str)"
        )


def _array_of_tensor(X: Any, name: str) -> NDArray[Any]:
    if str(X.layout) != "torch.strided":
        raise TypeError(f"{name} is a sparse tensor, but dense data is required; pass {name}.to_dense()")
    if X.is_meta:
        raise TypeError(f"{name} is a tensor on the device 'meta', which holds no numbers")
    if str(X.dtype) == "torch.bfloat16":
        raise TypeError(f"{name} is a tensor of bfloat16, which numpy does not have; pass {name}.float()")
    array: NDArray[Any] = X.detach().cpu().numpy()
    return array


def _ragged(X: Any, name: str) -> str:
    """Message that names rows of different shapes, if it can find them."""
    try:
        shapes = [np.shape(row) for row in X]
    except (TypeError, ValueError):
        return ""
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is None:
        return ""
    return (
        f"rows of {name} must have the same shape, but row 0 has {shapes[0]} and row {other} has "
        f"{shapes[other]}; pad or resize them"
    )


def _check_numbers(array: NDArray[Any], name: str) -> None:
    """Raise for the first value that is neither a number nor a text of a number."""
    try:
        array.astype(float)
        return
    except (TypeError, ValueError, OverflowError):
        pass
    for place, value in np.ndenumerate(array.astype(object)):
        try:
            float(value if value is not None else "nan")
        except (TypeError, ValueError, OverflowError) as error:
            where = f"{name}[{', '.join(map(str, place))}]" if place else "it"
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{name} must hold numbers, but {where} is {shown(value)}: {brief(error, 90)}"
            ) from error
