"""Cores shared out among the threads that work side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from joblib import cpu_count
from threadpoolctl import ThreadpoolController


@contextmanager
def cores_shared(n_workers: int) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """Let torch, BLAS and OpenMP use of each worker as many threads as there are cores for it.

    Gives what a worker has to enter, since OpenMP counts for each thread. Afterwards all is as it was.
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
