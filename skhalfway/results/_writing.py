"""Writing results into files: JSON with packed arrays."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, fields, is_dataclass
from math import isfinite
from pathlib import Path
from secrets import token_hex
from shutil import copymode
from typing import Any, TextIO

import numpy as np

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import brief, shown

FORMAT, VERSION = "skhalfway result", 1
_COMPACT: dict[str, Any] = {"allow_nan": False, "separators": (",", ":")}
PACKED = "biufcUSMm"  # kinds of arrays that are written as bytes; others are written item by item


def write(result: Any, path: str | Path) -> None:
    """Write a result; an existing file stays until the new one is complete."""
    document = _document(result)
    with whole_file(path) as file:
        json.dump(document, file, **_COMPACT)


def json_of(result: Any) -> str:
    """The text of a result's file."""
    return json.dumps(_document(result), **_COMPACT)


def _document(result: Any) -> dict[str, Any]:
    content = encoded(result)
    return {"format": FORMAT, "version": VERSION, "sha256": digest(content), "content": content}


@contextmanager
def whole_file(path: str | Path) -> Iterator[TextIO]:
    """A text file to write; an existing file stays until the new one is complete."""
    place = Path(path)
    if not place.name:
        raise ValueError(f"path must name a file to write, got {shown(str(path))}")
    part = place.with_name(f"{place.name}.{token_hex(4)}")
    try:
        try:
            with open(part, "x", encoding="utf-8") as file:
                yield file
            if place.is_file():
                copymode(place, part)
            os.replace(part, place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ValueError(
            f"{place.name} cannot be written: {brief(error.strerror or error)}; give a file in a folder that "
            "exists and is writable"
        ) from error


def digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def encoded(value: Any) -> Any:
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
        return {"tuple": [encoded(one) for one in value]}
    if isinstance(value, list):
        return [encoded(one) for one in value]
    if isinstance(value, Mapping):
        return {"mapping": [[encoded(key), encoded(one)] for key, one in value.items()]}
    raise ValueError(f"a result with {shown(value)} in it cannot be kept in a file")


def _is_kept(field: Field[Any]) -> bool:
    return field.init and field.metadata.get("in_files", True)


def _as_record(kind: type, kept: Mapping[str, Any]) -> dict[str, Any]:
    home = ".".join(kind.__module__.split(".")[:2])
    return {
        "record": kind.__name__,
        "home": home,
        "fields": {name: encoded(one) for name, one in kept.items()},
    }


def _packed(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    shape = list(array.shape)
    if array.dtype.kind not in PACKED:
        return {"objects": [encoded(one) for one in array.ravel().tolist()], "shape": shape}
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    packed = base64.b64encode(zlib.compress(little.tobytes(), 6)).decode("ascii")
    return {"array": little.dtype.str, "shape": shape, "zlib": packed}
