"""Samples and labels from a file: tables, arrays, and folders of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import meant
from skhalfway._inputs import read_targets
from skhalfway._readable import as_table
from skhalfway._text import counted, shown
from skhalfway.files._images import read_images
from skhalfway.files._notes import Note, notes_of
from skhalfway.files._paths import UNREADABLE, ending_of, existing, said
from skhalfway.files._tables import Format, check_names, read_csv, read_parquet

ENDINGS = (".csv", ".parquet", ".npy", ".npz")
_WHAT = "data"


@dataclass(frozen=True, eq=False)
class Data:
    """Samples from a file, and their labels.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features), or ndarray of shape (n_samples, ...)
        Samples; a DataFrame if the file holds a table.
    y : ndarray of shape (n_samples,) or None
        Labels; None if the file holds none, or no target was given.
    image_shape : tuple of int or None
        Shape of a sample with more than one axis, (channels, height, width) for a folder of images; None for
        rows of features.
    names : tuple of str or None
        Names of the columns of a table; None for arrays and images.
    notes : tuple of Note
        Remarks about columns of text that may mean something else: numbers with leading zeros, words such as
        "NA", dates. Each has a ``column`` and a ``text``.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.files import Data
    >>> Data(np.zeros((5, 1, 8, 8)), np.array([0, 1, 1, 0, 1]), (1, 8, 8), None)
    Data: 5 samples of shape (1, 8, 8), 2 classes
    """

    X: Any
    y: NDArray[Any] | None
    image_shape: tuple[int, ...] | None
    names: tuple[str, ...] | None
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        of = counted(self.X.shape[1], "column") if self.image_shape is None else f"shape {self.image_shape}"
        labels = "no labels" if self.y is None else f"{len(np.unique(self.y))} classes"
        first = f"Data: {counted(len(self.X), 'sample')} of {of}, {labels}"
        return "\n".join([first, *(f"note: {note}" for note in self.notes)])


def read_data(
    path: str | PathLike[str],
    *,
    target: str | None = None,
    text: Sequence[str] = (),
    numbers: Sequence[str] = (),
    missing: Sequence[str] = (),
    sep: str = ",",
    decimal: str = ".",
) -> Data:
    r"""Read samples and labels from a file or a folder of images.

    Parameters
    ----------
    path : str or path-like
        One of these:

        - ``.csv``: a table in UTF-8, with column names in the first line. A column holds numbers (or bools)
          if all its values do, and text otherwise. Numbers with leading zeros, such as the postcode 01067,
          are text. An empty field is a missing value. Words such as NA, None and null are missing values
          among numbers and bools; in a column of text, and as labels, they are words like any other.
        - ``.parquet``: a table; needs pyarrow.
        - ``.npy``: one array, which is ``X``.
        - ``.npz``: arrays ``X`` of shape (n_samples, ...) and ``y``.
        - A folder with one folder of images for each class; needs Pillow. All images must have the same size,
          and be 8-bit grey or RGB. Files whose names begin with a dot are ignored. Images become float32 in
          [0, 1], of shape (n, channels, height, width), in the order of the names of folders and files.
          Labels are the names of the folders, as integers if all names are integers.
    target : str, default=None
        Column of a table, or array of an ``.npz`` file, with the labels. None: a table has no labels, and
        labels of an ``.npz`` file are the array ``y``. For a folder it must be None.
    text : sequence of str, default=()
        Columns of a ``.csv`` file to read as text, although they hold numbers or bools.
    numbers : sequence of str, default=()
        Columns of a ``.csv`` file to read as numbers, although these have leading zeros.
    missing : sequence of str, default=()
        Words of a ``.csv`` file that stand for missing values in all columns, such as ``["NA", "?"]``.
    sep : str, default=","
        The character between values of a ``.csv`` file, such as ``";"`` or ``"\t"``.
    decimal : {".", ","}, default="."
        The decimal mark of a ``.csv`` file.

    Returns
    -------
    data : Data
        ``X``, ``y``, ``image_shape``, ``names`` and ``notes``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If a library is missing that the file needs.
    ValueError
        If the file has another ending or cannot be read; if it holds Python objects, which are never loaded;
        if there is no such target, or labels are missing or all the same; if a table has no rows or columns,
        two columns with the same name, or a column without a name; if a column of a ``.csv`` file holds
        numbers with another decimal mark; if ``text``, ``numbers``, ``missing``, ``sep`` or ``decimal`` are
        given for another file than a ``.csv`` file; if images differ in size or colour.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skhalfway.files import read_data
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "test.csv"
    ...     _ = path.write_text("age,city,label\n31,Graz,yes\n45,Bonn,no\n28,Bern,no\n")
    ...     data = read_data(path, target="label")
    >>> data
    Data: 3 samples of 2 columns, 2 classes
    >>> data.y, data.names
    (array(['yes', 'no', 'no'], dtype='<U3'), ('age', 'city'))

    A postcode is text, whatever separates the values. Where no value has a leading zero, say so:

    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "test.csv"
    ...     _ = path.write_text("income;postcode\n1,5;80331\n2,5;10115\n")
    ...     data = read_data(path, text=["postcode"], sep=";", decimal=",")
    >>> data.X["income"].tolist(), data.X["postcode"].tolist()
    ([1.5, 2.5], ['80331', '10115'])
    """
    if target is not None and not isinstance(target, str):
        raise TypeError(f"target must be the name of a column or None, got {shown(target)}")
    given = Format(_tuple(text), _tuple(numbers), _tuple(missing), sep, decimal)
    place = existing(path, _WHAT)
    if given != Format() and place.suffix.lower() != ".csv":
        raise ValueError(
            f"text, numbers, missing, sep and decimal are for .csv files, and {place.name} is none; leave "
            "them out"
        )
    if place.is_dir():
        if target is not None:
            raise ValueError(
                f"{place.name} is a folder, and its sub-folders name the classes; leave out the target "
                f"{shown(target)}"
            )
        X, y = read_images(place)
        return Data(X, _checked(y, len(X), place, "the names of folders"), X.shape[1:], None)
    ending = ending_of(place, ENDINGS, _WHAT)
    if ending in (".csv", ".parquet"):
        table = read_csv(place, given) if ending == ".csv" else read_parquet(place)
        return _from_table(table, target, place, given)
    X, y, name = _arrays(place, target)
    return Data(
        _samples(X, place),
        None if y is None else _checked(y, len(X), place, f"array {shown(name)}"),
        X.shape[1:] if X.ndim > 2 else None,
        None,
    )


def _tuple(given: Any) -> tuple[Any, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _from_table(table: Any, target: str | None, place: Path, given: Format) -> Data:
    table.columns = [str(name) for name in table.columns]
    names = list(table.columns)
    check_names(names, place)
    if not len(table) or not names:
        raise ValueError(f"{place.name} has no rows; samples are needed, one in each row")
    notes = notes_of(table, given)
    if target is None:
        return Data(table, None, None, tuple(names), notes)
    if target not in names:
        raise ValueError(
            f"{place.name} has no column {shown(target)}; it has {shown(names)}{meant(target, names)}"
        )
    missing = table[target].isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"column {shown(target)} of {place.name} has no label in {counted(int(missing.sum()), 'row')} of "
            f"{len(table)}, row {missing.argmax()} the first; leave out rows without a label"
        )
    y = _checked(table[target], len(table), place, f"column {shown(target)}")
    X = table.drop(columns=target)
    if not X.shape[1]:
        raise ValueError(f"{place.name} has no column but {shown(target)}; columns of features are needed")
    return Data(X, y, None, tuple(X.columns), notes)


def _arrays(place: Path, target: str | None) -> tuple[Any, Any, str]:
    """X, y (or None) and the name of the array y."""
    if place.suffix.lower() == ".npy" and target is not None:
        raise ValueError(
            f"{place.name} holds one array, without the target {shown(target)}; keep X and y in an .npz file "
            "(numpy.savez)"
        )
    name = "y" if target is None else target
    try:
        content = np.load(place, allow_pickle=False)
        if isinstance(content, np.ndarray) == (place.suffix.lower() == ".npz"):
            other = ".npy" if isinstance(content, np.ndarray) else ".npz"
            raise ValueError(f"it is written as {other}; rename it")
        if isinstance(content, np.ndarray):
            return content, None, name
        with content as archive:
            if absent := {"X", name if target is not None else "X"} - set(archive.files):
                wanted = sorted(absent)[0]
                raise ValueError(f"it has no array {shown(wanted)}; it has {shown(sorted(archive.files))}")
            return archive["X"], archive[name] if name in archive.files else None, name
    except UNREADABLE as error:
        told = said(error, place)
        if "pickle" in told or "Object arrays" in told:
            told = "it holds Python objects, which could run any code; save arrays of numbers"
        raise ValueError(f"{place.name} cannot be read: {told}") from error


def _samples(X: Any, place: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = as_table(X)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place.name}: {said(error, place)}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X of {place.name} must hold numbers, got dtype {array.dtype}")
    if not array.size:
        raise ValueError(f"X of {place.name} is empty, shape {array.shape}; samples are needed")
    return array


def _checked(y: Any, n_samples: int, place: Path, where: str) -> NDArray[Any]:
    """Labels of at least two classes, one for each sample."""
    try:
        labels = read_targets(y, n_samples)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} of {place.name} holds no labels: {said(error, place)}") from error
    if len(classes := np.unique(labels)) < 2:
        raise ValueError(
            f"{where} of {place.name} holds one class, {shown(classes[0])}; a classifier needs two or more"
        )
    return labels
