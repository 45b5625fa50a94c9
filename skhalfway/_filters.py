"""Warning filters of the caller, for jobs that run in another process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast

_LOCK = Lock()
_CAUGHT: list[Any] = []  # the context that restores the process's own filters, then one entry for each job


@contextmanager
def filters_of_caller(filters: Sequence[Any]) -> Iterator[None]:
    """Set the filters of this process until the last of its jobs, which run in threads, has ended.

    Filters belong to the whole process. If each job restored those that it found, the filters of another job
    would remain at the end.
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
