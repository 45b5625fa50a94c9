"""Filters of warnings where jobs run in another process: those of their caller."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

_LOCK = Lock()
_CAUGHT: list[Any] = []  # what gives the process's own filters back, and one entry more for each job


@contextmanager
def filters_of_caller(filters: Sequence[Any]) -> Iterator[None]:
    """Set filters in this process, until the last of the jobs that run here in threads is done.

    Filters are those of a process: each job giving back those that it found would leave those of another.
    """
    with _LOCK:
        if not _CAUGHT:
            _CAUGHT.append(warnings.catch_warnings())
            _CAUGHT[0].__enter__()
            warnings.resetwarnings()
            cast("list[Any]", warnings.filters).extend(filters)
        _CAUGHT.append(None)
    try:
        yield
    finally:
        with _LOCK:
            _CAUGHT.pop()
            if len(_CAUGHT) == 1:
                _CAUGHT.pop().__exit__(None, None, None)
