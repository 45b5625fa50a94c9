"""Remarks about columns of text in a table that may mean something else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from skhalfway._text import counted, shown
from skhalfway._times import DAYS
from skhalfway.files._tables import LEADING_ZERO, MISSING, NUMBER, Format, is_text

NEARLY_ALL = 0.95
_MOST_WORDS = 3  # number of different words among numbers that may stand for missing values
_YEAR, _MONTH, _DAY = r"(?:1[89]|20|21)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_NAMED = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?: ?[APap][Mm])?"
_ZONE = r"(?: ?Z| ?UTC| ?[+-]\d\d:?\d\d)?"
_IN_NUMBERS = rf"{_DAY}([./-]){_DAY}\1(?:{_YEAR}|\d\d)"  # of the first two, one is the month
_DATE = (
    rf"(?:{_YEAR}([./-]){_MONTH}\1{_DAY}|{_YEAR}-(?:0[1-9]|1[0-2])|"
    rf"{_DAY}\.?[ -]{_NAMED}[ -](?:{_YEAR}|\d\d)|{_NAMED} {_DAY},? {_YEAR})"
)
_TIMED = rf"(?:,?[ T]{_CLOCK}{_ZONE})?"
_DATES = re.compile(f"{_DATE}{_TIMED}", re.I)
_DATES_IN_NUMBERS = re.compile(f"{_IN_NUMBERS}{_TIMED}", re.I)
_CLOCKS = re.compile(_CLOCK)


@dataclass(frozen=True)
class Note:
    """A remark about a column.

    Parameters
    ----------
    column : str
        Name of the column.
    text : str
        The remark, in a sentence.
    words : tuple of str
        Values of the column that the remark is about. Empty for a remark that holds for any model.
    one_is_enough : bool
        Whether one of these words among the categories that a model was fitted on shows that the remark is
        unfounded; otherwise all of them must be there.
    """

    column: str
    text: str
    words: tuple[str, ...] = ()
    one_is_enough: bool = False

    def __str__(self) -> str:
        return self.text

    def is_unfounded(self, known: Collection[Any]) -> bool:
        """Whether a model that was fitted on these categories of the column takes the words for text."""
        found = [word in known for word in self.words]
        return any(found) if self.one_is_enough else bool(found) and all(found)


def notes_of(table: Any, given: Format) -> tuple[Note, ...]:
    """Remarks about all columns of a table; ``given`` says which were meant to be text."""
    columns = [table.iloc[:, i] for i in range(table.shape[1])]
    return tuple(
        note for column in columns if is_text(column) for note in _notes(column, column.name in given.text)
    )


def _notes(column: Any, meant: bool) -> Iterator[Note]:
    counts = column.value_counts()
    name, values = column.name, list(counts.index)
    if dates := _times_in(counts):
        yield Note(name, f"column {shown(name)} holds {dates}")
    if meant:
        return
    numbers = [one for one in values if re.fullmatch(NUMBER, one)]
    words = [one for one in values if one in MISSING]
    others = [one for one in values if not re.fullmatch(NUMBER, one) and one not in MISSING]
    if numbers and not others:
        some = next(one for one in values if re.match(LEADING_ZERO, one))
        yield Note(
            name,
            f"column {shown(name)} holds numbers with leading zeros, such as {some!r}, and is read as text; "
            f"if the model was fitted on numbers, pass numbers={[name]}",
            tuple(numbers),
            one_is_enough=True,
        )
    elif numbers and len(others) <= _MOST_WORDS and counts[numbers].sum() >= 0.5 * counts.sum():
        yield Note(
            name,
            f"column {shown(name)} holds numbers and, in {_rows(counts[others].sum())}, {shown(others)}, so "
            f"it is read as text; if that stands for a missing value, pass missing={others}",
        )
        return
    if words:
        yield Note(
            name,
            f"column {shown(name)} holds {shown(words)} in {_rows(counts[words].sum())}, read as text; if "
            f"that stands for a missing value, as in pandas.read_csv, pass missing={words}",
            tuple(words),
        )


def _rows(n: Any) -> str:
    return counted(int(n), "row")


def _times_in(counts: Any) -> str:
    """What kind of times nearly all values are, and what to do; "" if they are none."""
    kinds = [_kind(str(value)) for value in counts.index]
    found = [kind for kind in kinds if kind]
    if not found:
        return ""
    share = counts.to_numpy()[[bool(kind) for kind in kinds]].sum() / counts.sum()
    if share < NEARLY_ALL:
        return ""
    some = shown(next(value for value, kind in zip(counts.index, kinds, strict=True) if kind))
    hidden = "which no attack changes, so a model that uses them can look more robust than it is"
    if set(found) == {"clock"}:
        return f"times of day as text, such as {some}, {hidden}; turn them into hours before it is trained"
    first = ", with dayfirst=True if the day comes first" if "numbers" in found else ""
    return f"dates as text, such as {some}, {hidden}; turn them into days before it is trained: {DAYS}{first}"


def _kind(value: str) -> str:
    value = value.strip()
    if _DATES.fullmatch(value):
        return "date"
    if _DATES_IN_NUMBERS.fullmatch(value):
        return "numbers"
    return "clock" if _CLOCKS.fullmatch(value) else ""
