"""Results in files: JSON with packed arrays, that is read without running anything in it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from math import isfinite, prod
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import brief, shown
from skhalfway.results._provenance import Provenance
from skhalfway.results._result import Result, asked_for, home_of

FORMAT, VERSION = "skhalfway result", 1
_PACKED = "biufcUSMm"  # kinds of arrays whose bytes are kept; items of others one by one
_OURS = re.compile(r"skhalfway(\.[a-z_]+)+")
_RECORDS: dict[str, type] = {"ConfidenceInterval": ConfidenceInterval, "Provenance": Provenance}


def part_of_results(cls: type) -> type:
    """Let a dataclass that is no result itself be kept in files, as a part of one."""
    _RECORDS[cls.__name__] = cls
    return cls


def write(result: Result, path: str | Path) -> None:
    """Write a result; what is there stays whole until the new file is complete."""
    place = Path(path)
    content = _encoded(result)
    document = {"format": FORMAT, "version": VERSION, "sha256": _digest(content), "content": content}
    try:
        with NamedTemporaryFile(
            "w", dir=place.parent, prefix=place.name, delete=False, encoding="utf-8"
        ) as part:
            try:
                json.dump(document, part, allow_nan=False, separators=(",", ":"))
                part.close()
                os.replace(part.name, place)
            except BaseException:
                os.unlink(part.name)
                raise
    except OSError as error:
        raise ValueError(
            f"{place.name} cannot be written: {brief(error.strerror or error)}; give a file in a folder that "
            "exists and can be written to"
        ) from error


def load_result(path: str | Path) -> Any:
    """Read a result that was saved.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`Result.save <skhalfway.results.Result.save>` wrote.

    Returns
    -------
    result : Result
        Equal to the one that was saved, and of its class.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, is incomplete, was changed, or was written by a
        newer version of skhalfway.

    Notes
    -----
    The file is one JSON object with four members. ``"format"`` is
    ``"skhalfway result"``; ``"version"`` is 1; ``"content"`` is the result;
    ``"sha256"`` is the SHA-256 of the content, written as JSON with sorted keys
    and no blanks. In the content numbers, texts, true, false and null stand for
    themselves, lists for lists, and objects with one of these members for

    - ``"record"``, ``"home"``, ``"fields"``: a result or a part of one: its
      class, the package that it is imported from, and its fields by name;
    - ``"array"``, ``"shape"``, ``"zlib"``: an array: its numpy type, its shape,
      and its bytes in C order, compressed by zlib and written in base64;
    - ``"objects"``, ``"shape"``: an array of Python objects, one by one;
    - ``"tuple"``: a tuple of these items;
    - ``"mapping"``: a mapping, as a list of keys and values;
    - ``"float"``: ``"nan"``, ``"inf"`` or ``"-inf"``.

    Only classes of this package are made from it, and nothing in it is run, so
    that a file of a stranger may be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from skhalfway import load_result
    >>> from skhalfway.inspection import Curves
    >>> curves = Curves(np.array([1, 2]), {"accuracy": np.array([[0.5], [0.8]])})
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "curves.json"
    ...     curves.save(path)
    ...     load_result(path) == curves
    True
    """
    place = Path(path)
    text = place.read_bytes()
    try:
        document = json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        if not text.lstrip().startswith(b'{"format"'):
            raise ValueError(f"{place.name} is no file of a result: {brief(error, 80)}") from error
        raise ValueError(
            f"{place.name} is incomplete or was changed: {brief(error, 80)}; save it again"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(
            f"{place.name} is no file of a result; load_result reads what the save of a result wrote"
        )
    number = document.get("version")
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"{place.name} was changed: its version is {shown(number)}; save the result again")
    if number > VERSION:
        raise ValueError(
            f"{place.name} was written by a newer skhalfway, in version {number} of the format, and this one "
            f"reads up to {VERSION}; install a newer skhalfway"
        )
    content = document.get("content")
    if _digest(content) != document.get("sha256"):
        raise ValueError(
            f"{place.name} was changed after it was written, so its figures cannot be trusted; save it again"
        )
    try:
        result = _decoded(content)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        ImportError,
        zlib.error,
        binascii.Error,
    ) as error:
        raise ValueError(
            f"{place.name} cannot be read: {brief(error, 200)}; save the result again"
        ) from error
    if not isinstance(result, Result):
        raise ValueError(f"{place.name} holds no result, but {shown(result)}")
    return result


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# ---- writing


def _encoded(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.generic) and not isinstance(value, (float, str)):
        return _packed(np.asarray(value))
    if isinstance(value, np.ndarray):
        return _packed(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else {"float": repr(float(value))}
    if is_dataclass(value) and not isinstance(value, type):
        kept = {field.name: getattr(value, field.name) for field in fields(value) if _is_kept(field)}
        return _as_record(type(value), kept)
    if isinstance(value, ConfidenceInterval):
        return _as_record(type(value), value._asdict())
    if isinstance(value, tuple):
        return {"tuple": [_encoded(one) for one in value]}
    if isinstance(value, list):
        return [_encoded(one) for one in value]
    if isinstance(value, Mapping):
        return {"mapping": [[_encoded(key), _encoded(one)] for key, one in value.items()]}
    raise ValueError(f"a result with {shown(value)} in it cannot be kept in a file")


def _is_kept(field: Field[Any]) -> bool:
    return field.init and field.metadata.get("in_files", True)


def _as_record(kind: type, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "record": kind.__name__,
        "home": home_of(kind),
        "fields": {name: _encoded(one) for name, one in kept.items()},
    }


def _packed(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    shape = list(array.shape)
    if array.dtype.kind not in _PACKED:
        return {"objects": [_encoded(one) for one in array.ravel().tolist()], "shape": shape}
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(little.tobytes(), 6)).decode("ascii")
    return {"array": little.dtype.str, "shape": shape, "zlib": packed}


# ---- reading


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    for kind, read in _READERS.items():
        if kind in value:
            return read(value)
    raise ValueError(f"nothing is known of an object with {shown(list(value))}")


def _record_of(value: dict[str, Any]) -> Any:
    name, home = value["record"], value["home"]
    if not _OURS.fullmatch(home):
        raise ValueError(f"{shown(home)} is no package of skhalfway")
    if name not in _RECORDS and name not in Result._kinds:
        asked_for(home, name)
    kind = _RECORDS.get(name) or Result._kinds.get(name)
    if kind is None:
        raise ValueError(f"{home} has no result {shown(name)}")
    return kind(**{field: _decoded(one) for field, one in value["fields"].items()})


def _array_of(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    dtype, shape = np.dtype(value["array"]), tuple(value["shape"])
    if dtype.kind not in _PACKED:
        raise ValueError(f"arrays of {dtype} are not packed")
    size = prod(shape) * dtype.itemsize
    # no more than the shape says: a small text may stand for a very large one
    data = zlib.decompressobj().decompress(base64.b64decode(value["zlib"], validate=True), size + 1)
    if len(data) != size:
        raise ValueError(f"an array of shape {shape} has {len(data)} bytes, not {size}")
    array = np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return array[()] if shape == () else array


def _objects_of(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    items = [_decoded(one) for one in value["objects"]]
    array = np.empty(len(items), dtype=object)
    for k, item in enumerate(items):
        array[k] = item
    return array.reshape(tuple(value["shape"]))


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "record": _record_of,
    "array": _array_of,
    "objects": _objects_of,
    "tuple": lambda value: tuple(map(_decoded, value["tuple"])),
    "mapping": lambda value: {_decoded(key): _decoded(one) for key, one in value["mapping"]},
    "float": lambda value: {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}[value["float"]],
}
