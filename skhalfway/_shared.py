"""What many jobs are given alike, which other processes get once instead of with every job."""

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

_LARGE = 2**16  # bytes of an array that is sent beside the others
_N_RECEIVED = 2  # kept at a time, since a process of joblib's outlives the call that it worked for
_RECEIVED: OrderedDict[str, Shared[Any]] = OrderedDict()
_LOCK = RLock()

T = TypeVar("T")


class Value(Generic[T]):
    """A box.

    Parameters
    ----------
    value : object
        What is in it.
    """

    def __init__(self, value: T) -> None:
        self.value = value


class Shared(Value[T]):
    """A box that is pickled once, however many jobs are given it, and opened once in each process.

    What is in it goes out as arrays, the large ones of it as they lie in memory: joblib hands those to other
    processes as files that all of them map.

    Parameters
    ----------
    value : object
        What is in it; changes after the first job was sent do not get to other processes.

    Attributes
    ----------
    sent : tuple or None
        Which cluster has it, and as what.
    """

    def __init__(self, value: T) -> None:
        super().__init__(value)
        self.sent: tuple[str, Any] | None = None
        self._key, self._lock, self._arrays = uuid4().hex, Lock(), list[NDArray[np.uint8]]()

    def pack(self) -> list[NDArray[np.uint8]]:
        """What goes out; TypeError where something in it does not pickle."""
        with self._lock:
            if not self._arrays:
                self._arrays = _packed(self.value)
            return self._arrays

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self._key, *self.pack())


def _packed(value: Any) -> list[NDArray[np.uint8]]:
    """A pickle, and the large arrays that it leaves out."""
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
    """Names, in the mappings that are a part of it, of what does not pickle."""
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
