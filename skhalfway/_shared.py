"""Data that many jobs share, sent to other processes once instead of with every job."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from threading import Lock, RLock
from typing import Any, Generic, TypeVar
from uuid import uuid4

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from skhalfway._text import brief, shown

_LARGE = 2**16  # bytes from which an array is sent separately
_N_RECEIVED = 2  # number of received values that are kept, since joblib reuses its processes
_RECEIVED: OrderedDict[str, Shared[Any]] = OrderedDict()
_LOCK = RLock()

T = TypeVar("T")


class Value(Generic[T]):
    """A container of a value.

    Parameters
    ----------
    value : object
        The value.
    """

    def __init__(self, value: T) -> None:
        self.value = value


class Shared(Value[T]):
    """A value that is pickled once for all jobs, and unpickled once in each process.

    It is sent as arrays. Large arrays in it are sent without copies: joblib passes them to other processes as
    memory-mapped files.

    Parameters
    ----------
    value : object
        The value. Changes after the first job was sent do not reach other processes.

    Attributes
    ----------
    sent : tuple or None
        The cluster that has the value, and its future there.
    """

    def __init__(self, value: T) -> None:
        super().__init__(value)
        self.sent: tuple[str, Any] | None = None
        self._key, self._lock, self._arrays = uuid4().hex, Lock(), list[NDArray[np.uint8]]()

    def pack(self) -> list[NDArray[np.uint8]]:
        """The arrays to send; TypeError if the value cannot be pickled."""
        with self._lock:
            if not self._arrays:
                self._arrays = _packed(self.value)
            return self._arrays

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self._key, *self.pack())


def _packed(value: Any) -> list[NDArray[np.uint8]]:
    """A pickle, and the large arrays that it does not contain."""
    beside: list[NDArray[np.uint8]] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        content = buffer.raw()
        if content.nbytes >= _LARGE:
            beside.append(np.frombuffer(content, np.uint8))
        return content.nbytes < _LARGE

    try:
        pickled = cloudpickle.dumps(value, protocol=5, buffer_callback=is_small)
    except Exception as error:
        who = ", ".join(shown(name) for name in _unpicklable(value)) or "what jobs need"
        raise TypeError(
            f"{who} cannot be sent to other processes: {brief(error)}; let it leave that out when it is "
            "pickled (__getstate__), or use threads, which are the default"
        ) from error
    return [np.frombuffer(pickled, np.uint8), *beside]


def _unpicklable(value: Any) -> Iterator[str]:
    """Names, in mappings inside a value, of items that cannot be pickled."""
    for part in value if isinstance(value, tuple) else (value,):
        for name, item in part.items() if isinstance(part, Mapping) else ():
            try:
                cloudpickle.dumps(item)
            except Exception:
                yield str(name)


def _received(key: str, pickled: NDArray[np.uint8], *beside: NDArray[np.uint8]) -> Shared[Any]:
    with _LOCK:
        if key not in _RECEIVED:
            shared = _RECEIVED[key] = Shared(pickle.loads(pickled.data, buffers=beside))
            shared._key = key
        _RECEIVED.move_to_end(key)
        while len(_RECEIVED) > _N_RECEIVED:
            _RECEIVED.popitem(last=False)
        return _RECEIVED[key]
