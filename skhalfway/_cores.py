"""Sharing the cores among threads that work in parallel."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from joblib import cpu_count
from threadpoolctl import ThreadpoolController


@contextmanager
def cores_shared(n_workers: int) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """Limit torch, BLAS and OpenMP in each worker to its share of the cores.

    Gives a context that each worker has to enter, since the limit of OpenMP is per thread. All limits are
    restored at the end.
    """
    n = max(1, cpu_count() // n_workers)
    torch = sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    controller = ThreadpoolController()
    try:
        with controller.limit(limits=n):
            if torch is not None and before is not None and before > n:
                torch.set_num_threads(n)
            yield lambda: controller.limit(limits=n)
    finally:
        if torch is not None and before is not None and before > n:
            torch.set_num_threads(before)
