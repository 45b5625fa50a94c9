"""Tables from .csv and .parquet files."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from skhalfway._checks import meant
from skhalfway._text import counted, shown
from skhalfway.files._paths import UNREADABLE, library, said

MARKS = (",", ";", "\t", "|")
# words that pandas.read_csv takes for missing values, whatever the column holds
MISSING = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
    *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
NUMBER = (
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*|\s*[+-]?(?:inf|Inf|infinity|Infinity)\s*"
)
_BOOL = r"True|TRUE|true|False|FALSE|false"
LEADING_ZERO = r"\s*[+-]?0[0-9]"
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Format:
    """How a .csv file is written, and how its columns are read; see ``read_data``."""

    text: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    sep: str = ","
    decimal: str = "."

    def __post_init__(self) -> None:
        for name in ("text", "numbers", "missing"):
            if not all(isinstance(one, str) for one in getattr(self, name)):
                what = "words" if name == "missing" else "names of columns"
                raise TypeError(f"{name} must hold {what}, got {shown(list(getattr(self, name)))}")
        if not isinstance(self.sep, str) or len(self.sep) != 1 or self.sep in "\"'\r\n":
            raise ValueError(f"sep must be one character, such as ';' or '\\t', got {shown(self.sep)}")
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {shown(self.decimal)}")
        if self.decimal == self.sep:
            raise ValueError("decimal and sep are both ','; values must be separated by another mark")
        if both := sorted(set(self.text) & set(self.numbers)):
            raise ValueError(f"column {shown(both[0])} is both in text and in numbers; leave out one")


def read_csv(place: Path, given: Format) -> Any:
    """A table whose columns are numbers where all their values are, and text where they are not."""
    names = names_in_csv(place, given)
    for one in (*given.text, *given.numbers):
        if one not in names:
            raise ValueError(
                f"{place.name} has no column {shown(one)}; it has {shown(names)}{meant(one, names)}"
            )
    table = _parsed(place, given, names, given.text)
    _check_lengths(place, table, given)
    if zeros := _with_leading_zeros(place, table, given):
        table = _parsed(place, given, names, (*given.text, *zeros))
    for i, name in enumerate(names):
        if name in given.numbers:
            table.isetitem(i, _numbers(table.iloc[:, i], name, place, given))
        elif name not in given.text and is_text(table.iloc[:, i]):
            table.isetitem(i, _typed(table.iloc[:, i], name, place, given))
    return table


def read_parquet(place: Path) -> Any:
    """A table whose columns have the types of the file."""
    parquet = library("pyarrow.parquet", place, "pyarrow")
    arrow = library("pyarrow", place)
    try:
        table = parquet.read_table(place)
        check_names(table.column_names, place)
        return table.to_pandas()
    except (arrow.ArrowException, *UNREADABLE) as error:
        raise ValueError(f"{place.name} cannot be read as Parquet: {said(error, place)}") from error


def check_names(names: Sequence[Any], place: Path) -> None:
    """Raise for a column without a name, and for two of the same name."""
    seen: set[Any] = set()
    for number, name in enumerate(names):
        if name == "":
            raise ValueError(
                f"column {number} of {place.name} has no name; name it, or leave it out where it is an index "
                "(index=False in to_csv)"
            )
        if name in seen:
            raise ValueError(f"{place.name} has two columns named {shown(name)}; give each its own name")
        seen.add(name)


def names_in_csv(place: Path, given: Format) -> list[str]:
    """The names in the first line."""
    head = _read(place, given, header=None, nrows=1, dtype=str, keep_default_na=False)
    names: list[str] = head.iloc[0].tolist()
    if len(names) == 1 and (mark := next((one for one in MARKS if one in names[0]), None)) is not None:
        comma = mark != "," and _has_decimal_commas(place, mark)
        raise ValueError(
            f"{place.name} has one column, {shown(names[0])}; if its values are separated by {mark!r}"
            f"{' and have decimal commas' * comma}, pass sep={mark!r}" + ", decimal=','" * comma
        )
    if all(re.fullmatch(NUMBER, name.replace(given.decimal, ".")) for name in names) and names != [
        str(i) for i in range(len(names))
    ]:
        raise ValueError(
            f"{place.name} has numbers in its first line, {shown(names)}; that line must name the columns"
        )
    check_names(names, place)
    return names


def _has_decimal_commas(place: Path, mark: str) -> bool:
    """Whether the first values of a file include numbers such as 0,5."""
    number = re.compile(r'\s*"?[+-]?[0-9]+,[0-9]+"?\s*')
    with place.open(encoding="utf-8", errors="replace") as file:
        return any(number.fullmatch(value) for line in islice(file, 50) for value in line.split(mark))


def _read(place: Path, given: Format, **options: Any) -> Any:
    import pandas as pd

    try:
        return pd.read_csv(place, sep=given.sep, **options)
    except UnicodeDecodeError as error:
        kind = "utf-16" if place.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        raise ValueError(
            f"{place.name} is not written in UTF-8; write it again, for example, if it is {kind}: "
            f"path.write_bytes(path.read_bytes().decode({kind!r}).encode())"
        ) from error
    except UNREADABLE as error:
        raise ValueError(f"{place.name} cannot be read as CSV: {said(error, place)}") from error


def _parsed(place: Path, given: Format, names: Sequence[str], text: Sequence[str]) -> Any:
    """The table with numbers where pandas finds nothing else, with the columns of ``text`` as they are."""
    import pandas as pd

    table = _read(
        place,
        given,
        decimal=given.decimal,
        low_memory=False,
        keep_default_na=False,
        na_values=["", *given.missing],
        dtype=dict.fromkeys(text, str),
    )
    # pandas takes the first values of longer rows for an index, which may be a RangeIndex
    if not isinstance(table.index, pd.RangeIndex) or max(table.shape[1], _width(place, given)) > len(names):
        raise ValueError(
            f"{place.name} has rows with more values than the {len(names)} names in its first line"
        )
    return table


def _width(place: Path, given: Format) -> int:
    """The number of values in the row below the names; 0 if there is none."""
    with place.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in file if line.strip(" \t\r\n"))
        rows = csv.reader(lines, delimiter=given.sep)
        next(rows, None)
        try:
            return len(next(rows, []))
        except csv.Error:  # a field that is longer than csv takes, which pandas reads
            return 0


def _check_lengths(place: Path, table: Any, given: Format) -> None:
    """Raise for a row with too few values: pandas takes those at its end for missing."""
    n = table.shape[1]
    if not table.iloc[:, -1].isna().any():
        return
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=given.sep)
            lengths = ((rows.line_num, len(row)) for row in rows if len(row) > 1 or "".join(row).strip())
            short = next((found for found in lengths if found[1] < n), None)
    finally:
        csv.field_size_limit(limit)
    if short is not None:
        line, length = short
        raise ValueError(
            f"line {line} of {place.name} has {counted(length, 'value')}, but the first line has {n} names; "
            "is the line cut off? Write the marks between the values also where a value is missing"
        )


def _with_leading_zeros(place: Path, table: Any, given: Format) -> list[str]:
    """Columns that were read as numbers, and are codes such as 01067."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    left = [
        name
        for name, dtype in table.dtypes.items()
        if is_numeric_dtype(dtype) and not is_bool_dtype(dtype) and name not in given.numbers
    ]
    found: list[str] = []
    if not left or not _may_have_leading_zeros(place, given.sep):
        return found
    options = {"dtype": str, "keep_default_na": False, "usecols": left, "chunksize": _ROWS_AT_ONCE}
    for rows in _read(place, given, **options):
        found += [name for name in left if rows[name].str.match(LEADING_ZERO).any()]
        left = [name for name in left if name not in found]
    return found


def _may_have_leading_zeros(place: Path, sep: str) -> bool:
    """Whether any value of a file, of any column, has a leading zero; much faster than to look at values."""
    start = re.compile(rf'(?:^|["\r{re.escape(sep)}]){LEADING_ZERO}'.encode(), re.M)
    with place.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return start.search(content) is not None


def is_text(column: Any) -> bool:
    """Whether a column holds texts and missing values only."""
    from pandas.api.types import infer_dtype

    return column.dtype.kind not in "biuf" and infer_dtype(column, skipna=True) == "string"


def holds_numbers(column: Any) -> bool:
    """Whether the dtype of a column is one of numbers or bools."""
    from pandas.api.types import is_numeric_dtype

    return bool(is_numeric_dtype(column.dtype))


def not_a_number(column: Any) -> str | None:
    """The first value of a column of text that is no number; None if all are."""
    odd = column[column.notna() & ~column.str.fullmatch(NUMBER, na=False)]
    return str(odd.iloc[0]) if len(odd) else None


def _typed(column: Any, name: str, place: Path, given: Format) -> Any:
    """Numbers or bools, if a column holds nothing else beside words for missing values; else its text."""
    words = column.isin(MISSING)
    rest = column[~words & column.notna()]
    if not len(rest):
        return column
    if rest.str.fullmatch(_BOOL).all():
        return column.where(~words).map(lambda one: one.lower() == "true", na_action="ignore").astype(object)
    plain = _with_points(rest, given)
    if plain.str.fullmatch(NUMBER).all() and not rest.str.match(LEADING_ZERO).any():
        return _filled(column, plain)
    other = "," if given.decimal == "." else "."
    grouped = rf"\s*[+-]?[0-9]*(?:{re.escape(other)}[0-9]+)+(?:{re.escape(given.decimal)}[0-9]*)?\s*"
    if rest.str.fullmatch(f"{grouped}|{NUMBER}").all() and (odd := rest[rest.str.fullmatch(grouped)]).size:
        if given.decimal == ".":
            advice = "if commas mark decimals, pass decimal=','; if they mark thousands, leave these out"
        else:
            advice = "write them without marks between thousands"
        raise ValueError(
            f"column {shown(name)} of {place.name} holds numbers such as {shown(odd.iloc[0])}; {advice}; if "
            f"they are text, pass text={[name]}"
        )
    return column


def _numbers(column: Any, name: str, place: Path, given: Format) -> Any:
    """The numbers of a column of ``numbers``."""
    if not is_text(column):
        return column
    rest = column[~column.isin(MISSING) & column.notna()]
    plain = _with_points(rest, given)
    wrong = rest[~plain.str.fullmatch(NUMBER)]
    if len(wrong):
        row, word = wrong.index[0], wrong.iloc[0]
        raise ValueError(
            f"column {shown(name)} of {place.name} holds {shown(word)} in row {row}, which is no number; if "
            f"that stands for a missing value, pass missing={[word]}; else leave the column out of numbers"
        )
    return _filled(column, plain)


def _with_points(texts: Any, given: Format) -> Any:
    """Texts of numbers as Python reads them; points that mark thousands make them none."""
    if given.decimal == ".":
        return texts
    return texts.str.replace(".", "?").str.replace(given.decimal, ".")


def _filled(column: Any, plain: Any) -> Any:
    """Floats from texts of numbers, and nan elsewhere."""
    import pandas as pd

    numbers = np.full(len(column), np.nan)
    numbers[plain.index.to_numpy()] = [float(one) for one in plain]
    return pd.Series(numbers, index=column.index)
