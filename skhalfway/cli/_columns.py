"""Columns of tables in files: those that the models were fitted on, and those of the reference."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from skhalfway._text import counted, shown
from skhalfway.cli._faults import in_options
from skhalfway.cli._format import format_of
from skhalfway.files import Data, read_data
from skhalfway.files._tables import Format, holds_numbers, is_text, names_in_csv, not_a_number
from skhalfway.models._fitted_columns import categories_of, columns_for, names_of


def columns_of_models(
    options: Namespace, data: Data, loaded: Mapping[str, tuple[Any, Path]]
) -> tuple[Data, list[str]]:
    """The samples with the columns that the models were fitted on, and what was changed, in words."""
    notes: list[str] = []
    named = [(model, place) for model, place in loaded.values() if names_of(model) is not None]
    if data.names is None or not named:
        return data, notes
    model, first = named[0]
    names = list(data.names)
    taken = columns_for(model, first.name, names)
    file = options.data.name
    if left := [name for name in names if name not in taken]:
        notes.append(
            f"{first.name} was not fitted on {counted(len(left), 'column')} of {file}, {shown(left)}; left "
            "out here"
        )
    if [name for name in names if name in taken] != taken:
        notes.append(f"the columns of {file} are put into the order that {first.name} was fitted on")
    for other, place in named[1:]:
        if more := [name for name in taken if name not in columns_for(other, place.name, taken)]:
            raise ValueError(
                f"{place.name} was not fitted on {shown(more)}, which {first.name} needs; models of one "
                "command must be fitted on the same columns"
            )
    if taken == names:
        return data, notes
    return replace(data, X=data.X[taken], names=tuple(taken)), notes


def remarks(options: Namespace, data: Data, models: Sequence[Any]) -> list[str]:
    """Remarks about columns in words, without those that the models show to be unfounded."""
    known: dict[str, set[Any]] = {}
    for model in models:
        for name, values in categories_of(model).items():
            known.setdefault(name, set()).update(values)
        if options.target is not None and (classes := getattr(model, "classes_", None)) is not None:
            known.setdefault(options.target, set()).update(np.asarray(classes).ravel().tolist())
    used = {*(data.names or ()), options.target}
    return [
        in_options(str(note))
        for note in data.notes
        if note.column in used and not note.is_unfounded(known.get(note.column, set()))
    ]


def read_reference(options: Namespace, data: Data, models: Mapping[str, Any]) -> Any:
    """Read the reference, with its labels if the file has them."""
    place: Path | None = options.reference
    if place is None:
        return None
    if data.names is None:
        # labels of arrays have the same name; labels of images come from the folders
        target = options.target if place.suffix.lower() == ".npz" else None
        reference = read_data(place, target=target, **format_of(options, place))
        return reference.X if reference.y is None else (reference.X, reference.y)
    reference = read_data(place, **_like(options, data, place))
    if reference.names is None:
        raise ValueError(f"{place.name} must be a table like {options.data.name}")
    own = [name for name in reference.names if name != options.target]
    lacks, more = (sorted(set(a) - set(b)) for a, b in ((data.names, own), (own, data.names)))
    if lacks or (more and all(names_of(model) is None for model in models.values())):
        differs = "; ".join(
            f"{what} {shown(names)}" for what, names in (("it lacks", lacks), ("it also has", more)) if names
        )
        raise ValueError(f"{place.name} must have the columns of {options.data.name}, but {differs}")
    if more:
        left = f"{counted(len(more), 'column')} of {place.name}, {shown(more)}"
        verb = "is" if len(more) == 1 else "are"
        options.parser.tell(f"note: {left}, {verb} not in {options.data.name}; left out here", 0)
    X = reference.X[list(data.names)]
    _check_kinds(X, data.X, place.name, options.data.name)
    if options.target not in reference.names:
        return X
    return X, reference.X[options.target]


def _like(options: Namespace, data: Data, place: Path) -> dict[str, Any]:
    """How the reference is read: numbers as text where they are text in the data."""
    given = format_of(options, place)
    if not given:
        return given
    names = names_in_csv(place, Format(sep=options.sep, decimal=options.decimal))
    text = {*options.text, *(name for name in data.names or () if _codes(data.X[name]))}
    if data.y is not None and data.y.dtype.kind in "UT":
        text.add(str(options.target))
    kept = {"text": text, "numbers": options.numbers}
    return given | {option: [name for name in names if name in kept[option]] for option in kept}


def _codes(column: Any) -> bool:
    """Whether a column of text holds only numbers."""
    return is_text(column) and not_a_number(column) is None


def _check_kinds(X: Any, like: Any, file: str, other: str) -> None:
    """Raise for the first column that holds numbers in one table and text in the other."""
    for name in X.columns:
        one, two = X[name], like[name]
        if one.isna().all() or two.isna().all() or holds_numbers(one) == holds_numbers(two):
            continue
        text, numbers = (two, file) if holds_numbers(one) else (one, other)
        if not is_text(text):
            continue
        odd = not_a_number(text)
        some = text.dropna().iloc[0] if odd is None else odd
        advice = "" if odd is None else f"if that stands for a missing value, pass missing={[odd]}; "
        raise ValueError(
            f"column {shown(name)} holds numbers in {numbers}, but text in {file if text is one else other}, "
            f"such as {shown(some)}; {advice}if the column is text, pass text={[name]}"
        )
