"""Inputs of an audit: models, samples and reference, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from skhalfway._checks import meant
from skhalfway._readable import as_table, is_tensor, read_labels
from skhalfway._text import counted, shown
from skhalfway.models._collection import named_models


class Samples(NamedTuple):
    """Samples to attack and their labels, and the reference.

    Attributes
    ----------
    X, y
        Samples to attack and their labels.
    reference : array-like or None
        Data like the training data.
    reference_labels : ndarray or None
        True labels of the reference, where these are known.
    split_off : bool
        Whether the reference was split off X.
    n_given : int
        Number of samples that could be attacked, before some were drawn.
    rows : ndarray of shape (n_samples,)
        Row numbers of the attacked samples in the user's X.
    """

    X: Any
    y: NDArray[Any]
    reference: Any
    reference_labels: NDArray[Any] | None
    split_off: bool
    n_given: int
    rows: NDArray[np.intp]


def read_models(models: Any, deployed: Any) -> tuple[dict[str, Any], str]:
    """Models by name, and the name of the deployed one."""
    if isinstance(models, (str, PathLike)):
        raise TypeError(
            f"models must be fitted models, got the name {shown(str(models))}; read a file with "
            "skhalfway.files.read_model first"
        )
    if hasattr(models, "predict") or callable(getattr(models, "forward", None)):
        models = {"deployed": models}
    one = isinstance(models, (Mapping, list, tuple)) and len(models) == 1
    if one:
        named = models if isinstance(models, Mapping) else dict(_as_pairs(models))
    else:
        named = named_models(
            models, "models must be a fitted model, or several", "; pass audit({name: model}, X, y)"
        )
    names = [str(name) for name in named]
    if deployed is None:
        deployed = names[0]
    if not isinstance(deployed, str) or deployed not in names:
        known = f"the models are {shown(names)}"
        raise ValueError(
            f"deployed must be the name of the model that is audited, got {shown(deployed)}; {known}"
            f"{meant(deployed, names)}"
        )
    return dict(zip(names, named.values(), strict=True)), deployed


def _as_pairs(models: Any) -> list[tuple[str, Any]]:
    only = models[0]
    return [only] if isinstance(only, tuple) else [("deployed", only)]


def read_samples(
    X: Any, y: Any, reference: Any, *, surrogates: bool, n_samples: int | None, seed: int
) -> Samples:
    """Check samples and labels, split off a reference if surrogates need one, and draw samples to attack."""
    X = _table(X, "X")
    labels = read_labels(y, np.shape(X)[0])
    _check_classes(labels, "y")
    X_reference, y_reference = _read_reference(reference, X)
    _check_columns(X, X_reference)
    split_off = surrogates and X_reference is None
    rows = np.arange(len(labels))
    if split_off:
        kept, held = _halves(labels, seed)
        X_reference, y_reference = _safe_indexing(X, held), labels[held]
        rows = kept
    n_given = len(rows)
    if n_samples is not None and n_samples < n_given:
        rows = _drawn(rows, labels, n_samples, seed)
    whole = len(rows) == len(labels)
    return Samples(
        X if whole else _safe_indexing(X, rows),
        labels[rows],
        X_reference,
        y_reference,
        split_off,
        n_given,
        rows,
    )


def _table(X: Any, name: str) -> Any:
    """Dense samples whose columns, if they have names, have different ones."""
    if not hasattr(X, "shape") or hasattr(X, "columns") or is_tensor(X):
        X = as_table(X, name)
    if hasattr(X, "toarray"):
        raise TypeError(f"{name} is sparse, but dense data is required; pass {name}.toarray()")
    if not np.ndim(X):
        raise TypeError(f"{name} must hold samples, one in each row, got {shown(X)}")
    names = list(getattr(X, "columns", ()))
    for column in names:
        if names.count(column) > 1:
            raise ValueError(f"{name} has two columns called {shown(column)}; give each its own name")
    return X


def _check_columns(X: Any, reference: Any) -> None:
    """Raise where tables differ in columns, for example since one holds the labels too."""
    if not (hasattr(X, "columns") and hasattr(reference, "columns")):
        return
    lacks, more = (
        [name for name in a if name not in b]
        for a, b in zip((X.columns, reference.columns), (reference.columns, X.columns), strict=True)
    )
    if lacks or more:
        differs = [
            f"{what} {shown(names)}" for what, names in (("lacks", lacks), ("also has", more)) if names
        ]
        raise ValueError(
            f"reference must have the columns of X, but it {' and '.join(differs)}; pass labels separately: "
            "reference=(X_train, y_train)"
        )


def _check_classes(labels: NDArray[Any], name: str) -> None:
    seen = np.unique(labels)
    if len(seen) < 2:
        raise ValueError(
            f"{name} must hold at least 2 classes, since a model is fooled if it predicts another class; got "
            f"{shown(seen)}"
        )


def _read_reference(reference: Any, X: Any) -> tuple[Any, NDArray[Any] | None]:
    """Samples of the reference, with the column names of X, and their labels if it is a pair."""
    if reference is None:
        return None, None
    if not isinstance(reference, tuple):
        return _under_names_of(X, _table(reference, "reference")), None
    if len(reference) != 2:
        raise ValueError(
            f"reference must be samples, or a pair (samples, labels), got a tuple of {len(reference)}"
        )
    samples = _under_names_of(X, _table(reference[0], "reference"))
    labels = read_labels(reference[1], np.shape(samples)[0], name="the labels of reference")
    _check_classes(labels, "reference")
    return samples, labels


def _under_names_of(X: Any, reference: Any) -> Any:
    """The reference as a DataFrame if X is one; an array gets the columns of X in their order."""
    if not hasattr(X, "columns") or hasattr(reference, "columns") or np.shape(reference)[1:] != X.shape[1:]:
        return reference
    import pandas as pd

    return pd.DataFrame(np.asarray(reference), columns=X.columns).infer_objects()


def _halves(labels: NDArray[Any], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    classes, counts = np.unique(labels, return_counts=True)
    few = ""
    if len(labels) < 20:
        few = f"{counted(len(labels), 'sample')} are too few to split"
    elif counts.min() < 2:
        few = f"class {shown(classes[counts.argmin()])} has one sample, which cannot be split"
    if few:
        raise ValueError(
            f"surrogates are trained on samples that are not attacked, and {few}; pass "
            "reference=(X_train, y_train), or surrogates=None"
        )
    kept, held = train_test_split(np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=seed)
    return np.sort(kept), np.sort(held)


def _drawn(rows: NDArray[np.intp], labels: NDArray[Any], n: int, seed: int) -> NDArray[np.intp]:
    """Draw n rows, in proportion to the classes where possible."""
    counts = np.unique(labels[rows], return_counts=True)[1]
    stratify = labels[rows] if counts.min() >= 2 and len(counts) <= min(n, len(rows) - n) else None
    drawn, _ = train_test_split(rows, train_size=n, stratify=stratify, random_state=seed)
    return np.sort(drawn)
