"""Results from files, read without running any code in them."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import brief, shown
from skhalfway.results._provenance import Provenance
from skhalfway.results._result import Result
from skhalfway.results._writing import FORMAT, PACKED, VERSION, digest

_OURS = re.compile(r"skhalfway(\.[a-z_]+)+")
# errors that wrong names, types, shapes or depths in the content cause
_UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
    AttributeError,
    ImportError,
    zlib.error,
)
_RECORDS: dict[str, type] = {"ConfidenceInterval": ConfidenceInterval, "Provenance": Provenance}


def part_of_results(cls: type) -> type:
    """Register a dataclass that is part of results, so that files can hold it."""
    _RECORDS[cls.__name__] = cls
    return cls


def load_result(path: str | Path, *, samples: str | Path | None = None) -> Any:
    """Read a result that was saved.

    Parameters
    ----------
    path : str or Path
        A file that :meth:`Result.save <skhalfway.results.Result.save>` wrote.
    samples : str or Path, default=None
        Folder of the adversarial samples that ``transfer(keep_samples=folder)`` kept, for the ``samples`` of
        the matrix. None is the folder that the file names, relative to the file. If it is not there, only
        ``samples`` raises.

    Returns
    -------
    result : Result
        A result that equals the saved one and is of the same class.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no file of a result, is incomplete, was changed, or was written by a newer version of
        skhalfway; if ``samples`` is the folder of another result, or the result has no samples.

    Notes
    -----
    The file is one JSON object with four members. ``"format"`` is ``"skhalfway result"``; ``"version"`` is 1;
    ``"content"`` is the result; ``"sha256"`` is the SHA-256 of the content, written as JSON with sorted keys
    and no blanks. In the content, numbers, texts, true, false, null and lists represent themselves. An object
    represents a value according to its members:

    - ``"record"``, ``"home"``, ``"fields"``: a result or a part of one, with its class, the package that the
      class is imported from, and its fields by name;
    - ``"array"``, ``"shape"``, ``"zlib"``: an array, with its numpy type, its shape, and its bytes in C
      order, compressed by zlib and written in base64;
    - ``"objects"``, ``"shape"``: an array of Python objects, as a list;
    - ``"tuple"``: a tuple, as a list of its items;
    - ``"mapping"``: a mapping, as a list of keys and values;
    - ``"float"``: ``"nan"``, ``"inf"`` or ``"-inf"``.

    Files from unknown sources are safe to read: only classes of this package are made from them, and no code
    in them is run.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from skhalfway import load_result
    >>> from skhalfway.inspection import CurveResult
    >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5], [0.8]])})
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "curves.json"
    ...     curves.save(path)
    ...     load_result(path) == curves
    True
    """
    if samples is not None and not isinstance(samples, (str, Path)):
        raise TypeError(f"samples must be a folder or None, got {shown(samples)}")
    place = Path(path)
    text = place.read_bytes()
    try:
        document = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if not text.lstrip().startswith(b'{"format"'):
            raise ValueError(f"{place.name} is not a result file: {brief(error, 80)}") from error
        raise ValueError(
            f"{place.name} is incomplete or was changed: {brief(error, 80)}; save it again"
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(
            f"{place.name} is not a result file; load_result reads files that the save of a result wrote"
        )
    number = document.get("version")
    if not isinstance(number, int) or number < 1:
        raise ValueError(f"{place.name} was changed: its version is {shown(number)}; save the result again")
    if number > VERSION:
        raise ValueError(
            f"{place.name} was written by a newer skhalfway, in version {number} of the format, and this one "
            f"reads versions up to {VERSION}; install a newer skhalfway"
        )
    content = document.get("content")
    try:
        unchanged = digest(content) == document.get("sha256")
        result = decoded(content) if unchanged else None
    except _UNREADABLE as error:
        message = f"{place.name} cannot be read: {brief(error, 200)}; save the result again"
        raise ValueError(message) from error
    if not unchanged:
        raise ValueError(
            f"{place.name} was changed after it was written, so its figures cannot be trusted; save it again"
        )
    if not isinstance(result, Result):
        raise ValueError(f"{place.name} must hold a result, but it holds {shown(result)}")
    return result._with_samples(place.parent, samples)


def decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    for kind, read in _READERS.items():
        if kind in value:
            return read(value)
    raise ValueError(f"the format has no object with the members {shown(list(value))}")


def _record_of(value: dict[str, Any]) -> Any:
    name, home = value["record"], value["home"]
    if not _OURS.fullmatch(home):
        raise ValueError(f"{shown(home)} is not a package of skhalfway")
    if name not in _RECORDS and name not in Result._kinds:
        getattr(import_module(home), name, None)  # some packages import a class on its first use
    kind = _RECORDS.get(name) or Result._kinds.get(name)
    if kind is None:
        raise ValueError(f"{home} has no result {shown(name)}")
    return kind(**{field: decoded(one) for field, one in value["fields"].items()})


def _array_of(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    dtype, shape = np.dtype(value["array"]), tuple(value["shape"])
    if dtype.kind not in PACKED:
        raise ValueError(f"arrays of {dtype} are not packed")
    size = prod(shape) * dtype.itemsize
    # decompress no more than the shape says: a small text may expand to a very large one
    data = zlib.decompressobj().decompress(base64.b64decode(value["zlib"], validate=True), size + 1)
    if len(data) != size:
        raise ValueError(f"an array of shape {shape} has {len(data)} bytes, not {size}")
    array = np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
    return array[()] if shape == () else array


def _objects_of(value: dict[str, Any]) -> np.ndarray[Any, Any]:
    items = [decoded(one) for one in value["objects"]]
    array = np.empty(len(items), dtype=object)
    for k, item in enumerate(items):
        array[k] = item
    return array.reshape(tuple(value["shape"]))


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "record": _record_of,
    "array": _array_of,
    "objects": _objects_of,
    "tuple": lambda value: tuple(map(decoded, value["tuple"])),
    "mapping": lambda value: {decoded(key): decoded(one) for key, one in value["mapping"]},
    "float": lambda value: {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}[value["float"]],
}
