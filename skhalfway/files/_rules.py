"""Constraints on adversarial samples from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from skhalfway._checks import meant
from skhalfway._text import shown
from skhalfway.attacks import Constraints
from skhalfway.files._paths import ending_of, existing, library, said

# keys and the type of their values
KEYS = {
    "immutable": "a list of columns",
    "integer": "a list of columns",
    "one_hot": "a list of groups, each a list of columns",
    "increasing": "a list of columns",
    "decreasing": "a list of columns",
    "mask": "a list of true and false, one for each value of a sample",
}
_ELSEWHERE = {
    "projection": "a function, which can be given in Python only",
    "eps": "a parameter of AdversarialGenerator, not one of Constraints",
    "clip_values": "a parameter of AdversarialGenerator, not one of Constraints",
}


def read_constraints(path: str | PathLike[str]) -> dict[str, Any]:
    r"""Read the arguments of :class:`skhalfway.Constraints` from a TOML or JSON file.

    Parameters
    ----------
    path : str or path-like
        A ``.toml`` or ``.json`` file whose keys are parameters of :class:`~skhalfway.Constraints`:
        ``immutable``, ``integer``, ``one_hot``, ``increasing``, ``decreasing`` and ``mask``. Columns are
        given by name, or by number from 0 on.

    Returns
    -------
    constraints : dict
        Keyword arguments of :class:`~skhalfway.Constraints`. Whether these columns exist is checked later,
        when an attack gets data.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the file is TOML, and Python is 3.10 without the package tomli.
    ValueError
        If the file has another ending or cannot be read; if a key is unknown or repeated; if a value has the
        wrong type.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skhalfway import Constraints
    >>> from skhalfway.files import read_constraints
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "constraints.toml"
    ...     _ = path.write_text('immutable = ["sex", "country"]\nincreasing = ["age"]\n')
    ...     constraints = read_constraints(path)
    >>> Constraints(**constraints)
    Constraints(immutable=('sex', 'country'), increasing=('age',))
    """
    place = existing(path, "constraints")
    toml = ending_of(place, (".toml", ".json"), "constraints") == ".toml"
    given = _parsed(place, toml=toml)
    for key, value in given.items():
        if key not in KEYS:
            why = f" is {_ELSEWHERE[key]}" if key in _ELSEWHERE else f"; allowed are {', '.join(KEYS)}"
            what = (
                f"{place.name}: {shown(key)}"
                if key in _ELSEWHERE
                else f"{place.name}: unknown key {shown(key)}"
            )
            raise ValueError(f"{what}{why}{meant(key, KEYS)}")
        if not _fits(key, value):
            raise ValueError(f"{place.name}: {key} must be {KEYS[key]}, got {shown(value)}{_why(key, value)}")
    try:
        Constraints(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{place.name}: {said(error, place)}") from error
    return given


def _parsed(place: Path, *, toml: bool) -> dict[str, Any]:
    loads: Any = partial(json.loads, object_pairs_hook=_once)
    if toml:  # Python 3.10 has no tomllib
        loads = library("tomllib" if sys.version_info >= (3, 11) else "tomli", place).loads
    try:
        text = place.read_text(encoding="utf-8")
        given = loads(text)
    except (OSError, ValueError, RecursionError) as error:
        kind = "TOML" if toml else "JSON"
        raise ValueError(f"{place.name} cannot be read as {kind}: {said(error, place)}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{place.name} must hold one object with the keys {', '.join(KEYS)}")
    return given


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; raise if a key is repeated, which JSON allows."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {shown(key)} is repeated; give it once")
    return dict(pairs)


def _fits(key: str, value: Any) -> bool:
    if key == "mask":
        return isinstance(value, list) and all(
            isinstance(one, (bool, int)) or _fits(key, one) for one in value
        )
    if key == "one_hot":
        return isinstance(value, list) and all(isinstance(group, list) and _columns(group) for group in value)
    return _columns(_listed(value))


def _why(key: str, value: Any) -> str:
    """The first value that cannot be a column, and what can."""
    if key == "mask" or not isinstance(value, list):
        return ""
    if key == "one_hot":
        if _columns(value):
            return f"; for one group, write {shown([value])}"
        value = next((group for group in value if not _columns(_listed(group))), value)
    wrong = next((one for one in _listed(value) if not _columns([one])), None)
    return f"; {shown(wrong)} is no column: columns are given by name, in quotes, or by number from 0 on"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _columns(values: list[Any]) -> bool:
    return all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values)
