"""A store of arrays in a folder: each entry is written whole or not at all, and known by its content."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import brief, shown
from skhalfway.models._warnings import warn

_FOLDER = "skhalfway"  # in the folder that users name, which may hold other things
_BEGIN = b"skhalfway cell 1\n"
_CHECKSUM = 32  # bytes
_KINDS = "biufSU"  # of numpy's types: never objects, which would have to be pickled


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : Path
        Its folder.
    n_entries : int
        Finished pieces of work.
    n_bytes : int
        Their size.
    n_left_over : int
        Files of runs that were killed while they wrote.
    """

    path: Path
    n_entries: int
    n_bytes: int
    n_left_over: int

    def __str__(self) -> str:
        text = f"{self.path}: {self.n_entries} entries, {self.n_bytes / 2**20:.1f} MiB"
        return text + (f", {self.n_left_over} files of interrupted runs" if self.n_left_over else "")


class Store:
    """Arrays and plain values by key, in files of their own.

    An entry is written into a file of another name, which is then renamed: a run that is killed leaves no
    half an entry, and several processes may share a store. A checksum tells an entry that was damaged: it
    counts as missing, and a warning says so. A folder that cannot be written to, as it is full, is left
    alone after one warning.

    Parameters
    ----------
    path : str or Path
        Folder, made where it is missing.

    Raises
    ------
    ValueError
        If the folder cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser() / _FOLDER
        self._writes = True
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = brief(error.strerror or error)
            raise ValueError(f"memory={shown(str(path))} is no folder that can be made: {reason}") from error

    @staticmethod
    def is_in(path: str | Path) -> bool:
        """Whether a folder holds a store.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        there : bool
            True after a call with it as ``memory``.
        """
        return (Path(path).expanduser() / _FOLDER).is_dir()

    def _place(self, key: str) -> Path:
        return self.path / key[:2] / f"{key}.cell"

    def get(self, key: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Arrays and values of an entry; None where there is none, or none that is whole.

        Parameters
        ----------
        key : str
            Hexadecimal digits.

        Returns
        -------
        entry : tuple of (dict of str to ndarray, dict of str to object), or None
            Arrays, and values as JSON knows them.
        """
        place = self._place(key)
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._damaged(place, brief(error.strerror or error))
            return None
        begin, rest = len(_BEGIN) + _CHECKSUM, memoryview(content)[len(_BEGIN) + _CHECKSUM :]
        whole = content.startswith(_BEGIN) and content[len(_BEGIN) : begin] == _checksum(key, rest)
        if not whole:
            self._damaged(place, "its checksum is wrong")
            return None
        length = int.from_bytes(rest[:8], "little")
        header = json.loads(bytes(rest[8 : 8 + length]))
        arrays, at = {}, 8 + length
        for name, dtype, shape in header["arrays"]:
            kind = np.dtype(dtype)
            size = kind.itemsize * int(np.prod(shape, dtype=np.int64))
            arrays[name] = np.frombuffer(rest[at : at + size], dtype=kind).reshape(shape)
            at += size
        return arrays, header["values"]

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Write an entry.

        Parameters
        ----------
        key : str
            Hexadecimal digits.
        arrays : mapping of str to ndarray
            Of numbers, bools or texts.
        values : mapping of str to object
            What JSON knows.

        Raises
        ------
        TypeError
            If an array holds objects.
        """
        if not self._writes:
            return
        described, contents = [], []
        for name, array in arrays.items():
            if array.dtype.kind not in _KINDS:
                raise TypeError(f"a store takes no arrays of {array.dtype}, but {name!r} is one")
            described.append((name, array.dtype.str, array.shape))
            contents.append(np.ascontiguousarray(array).tobytes())
        header = json.dumps({"arrays": described, "values": dict(values)}).encode()
        rest = b"".join([len(header).to_bytes(8, "little"), header, *contents])
        place = self._place(key)
        draft = place.with_name(f"{key}.{os.getpid()}.{uuid4().hex}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(_BEGIN + _checksum(key, rest) + rest)
            draft.replace(place)
        except OSError as error:
            self._writes = False
            draft.unlink(missing_ok=True)
            reason = brief(error.strerror or error)
            warn(
                f"nothing more is kept in memory={shown(str(self.path.parent))}: {reason}; the result is not "
                "affected, but what is not kept has to be measured again",
                UserWarning,
            )

    @staticmethod
    def _damaged(place: Path, reason: str) -> None:
        warn(f"{place} is damaged ({reason}), so it is measured again", UserWarning)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.path.glob("??/*") if path.suffix in (".cell", ".part"))

    def info(self) -> StoreInfo:
        """What the store holds."""
        files = list(self._files())
        cells = [path for path in files if path.suffix == ".cell"]
        size = sum(path.stat().st_size for path in cells)
        return StoreInfo(self.path.parent, len(cells), size, len(files) - len(cells))

    def clear(self) -> StoreInfo:
        """Delete all entries; say what there was."""
        info = self.info()
        shutil.rmtree(self.path)
        return info


def _checksum(key: str, rest: bytes | memoryview) -> bytes:
    """Of the content and of the key, so that a file under another name is noticed."""
    return blake2b(rest, digest_size=_CHECKSUM, key=key.encode()[:64]).digest()


def check_memory(memory: Any) -> None:
    """Raise for what is no parameter ``memory``."""
    location = memory if isinstance(memory, (str, Path)) else getattr(memory, "location", memory)
    if location is not None and not isinstance(location, (str, Path)):
        raise ValueError(f"memory must be None, a folder or a joblib.Memory, got {shown(memory)}")


def store_of(memory: Any) -> Store | None:
    """The store of a parameter ``memory``; None where nothing is to be kept.

    Parameters
    ----------
    memory : None, str, Path or joblib.Memory
        As pipelines take it.

    Returns
    -------
    store : Store or None
        In the folder; of joblib's object, in its location.

    Raises
    ------
    ValueError
        If it is something else, or the folder cannot be made.
    """
    check_memory(memory)
    location = memory if isinstance(memory, (str, Path)) else getattr(memory, "location", None)
    return None if location is None else Store(location)
