"""A store of arrays in a folder; each entry is written completely or not at all, and has a checksum."""

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
from skhalfway.results._record import Record

_FOLDER = "skhalfway"  # name of the store in the user's folder, which may hold other things
_BEGIN = b"skhalfway cell 1\n"
_CHECKSUM = 32  # bytes
_KINDS = "biufSU"  # allowed kinds of numpy types; objects would have to be pickled


@dataclass(frozen=True)
class StoreInfo(Record):
    """Content of a store.

    Attributes
    ----------
    path : Path
        The folder that the user named.
    n_entries : int
        Number of entries, that is of finished pieces of work.
    n_bytes : int
        Total size of the entries in bytes.
    n_left_over : int
        Number of incomplete files, of runs that were killed while writing.

    Examples
    --------
    >>> from pathlib import Path
    >>> from skhalfway.engine import StoreInfo
    >>> print(StoreInfo(Path("kept"), n_entries=3, n_bytes=2**20, n_left_over=0))
    kept: 3 entries, 1.0 MiB
    """

    path: Path
    n_entries: int
    n_bytes: int
    n_left_over: int

    def __str__(self) -> str:
        text = f"{self.path}: {self.n_entries} entries, {self.n_bytes / 2**20:.1f} MiB"
        return text + (f", {self.n_left_over} files of interrupted runs" if self.n_left_over else "")


class Store:
    """A store of arrays and plain values by key, with one file for each entry.

    An entry is first written under another name and then renamed. So a run that is killed leaves no
    incomplete entry, and several processes may share a store. A checksum detects damaged entries; they count
    as missing, with a warning. If the folder cannot be written to, for example as the disk is full, there is
    one warning, and nothing more is written.

    Parameters
    ----------
    path : str or Path
        Folder of the store, created if missing.

    Raises
    ------
    ValueError
        If the folder cannot be created.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from skhalfway.engine import Store
    >>> with TemporaryDirectory() as folder:
    ...     store = Store(folder)
    ...     store.put("0af3", {"x": np.arange(3)}, {"seconds": 1.5})
    ...     arrays, values = store.get("0af3")
    ...     info = store.info()
    >>> arrays["x"].tolist(), values, info.n_entries
    ([0, 1, 2], {'seconds': 1.5}, 1)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser() / _FOLDER
        self._writes = True
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = brief(error.strerror or error)
            raise ValueError(f"memory={shown(str(path))} cannot be created as a folder: {reason}") from error

    @staticmethod
    def is_in(path: str | Path) -> bool:
        """Tell whether a folder holds a store.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        there : bool
            True if the folder was used as ``memory`` before.
        """
        return (Path(path).expanduser() / _FOLDER).is_dir()

    def _place(self, key: str) -> Path:
        return self.path / key[:2] / f"{key}.cell"

    def get(self, key: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
        """Return the arrays and values of an entry; None if there is none, or it is damaged.

        Parameters
        ----------
        key : str
            Key of hexadecimal digits.

        Returns
        -------
        entry : tuple of (dict of str to ndarray, dict of str to object), or None
            Arrays, and values as JSON returns them.
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
            Key of hexadecimal digits.
        arrays : mapping of str to ndarray
            Arrays of numbers, bools or texts.
        values : mapping of str to object
            Values that JSON can hold.

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
                raise TypeError(f"arrays must hold numbers, bools or texts, but {name!r} has {array.dtype}")
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
                f"memory={shown(str(self.path.parent))} cannot be written to any more: {reason}; the result "
                "is not affected, but a later run has to measure again what is not stored",
                UserWarning,
            )

    @staticmethod
    def _damaged(place: Path, reason: str) -> None:
        warn(f"{place} is damaged ({reason}), so it is measured again", UserWarning)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.path.glob("??/*") if path.suffix in (".cell", ".part"))

    def info(self) -> StoreInfo:
        """Return the number of entries and their size.

        Returns
        -------
        info : StoreInfo
            Content of the store.
        """
        files = list(self._files())
        cells = [path for path in files if path.suffix == ".cell"]
        size = sum(path.stat().st_size for path in cells)
        return StoreInfo(self.path.parent, len(cells), size, len(files) - len(cells))

    def clear(self) -> StoreInfo:
        """Delete all entries.

        Returns
        -------
        info : StoreInfo
            Content of the store before.
        """
        info = self.info()
        shutil.rmtree(self.path)
        return info


def _checksum(key: str, rest: bytes | memoryview) -> bytes:
    """Checksum of the content and the key, so that a renamed file is detected."""
    return blake2b(rest, digest_size=_CHECKSUM, key=key.encode()[:64]).digest()


def check_memory(memory: Any) -> None:
    """Raise unless the value is a valid parameter ``memory``."""
    location = memory if isinstance(memory, (str, Path)) else getattr(memory, "location", memory)
    if location is not None and not isinstance(location, (str, Path)):
        raise ValueError(f"memory must be None, a folder or a joblib.Memory, got {shown(memory)}")


def store_of(memory: Any) -> Store | None:
    """Return the store for a parameter ``memory``; None for no store.

    Parameters
    ----------
    memory : None, str, Path or joblib.Memory
        Parameter as in scikit-learn's pipelines.

    Returns
    -------
    store : Store or None
        Store in that folder, or in the location of the joblib object.

    Raises
    ------
    ValueError
        If it is something else, or the folder cannot be created.
    """
    check_memory(memory)
    location = memory if isinstance(memory, (str, Path)) else getattr(memory, "location", None)
    return None if location is None else Store(location)
