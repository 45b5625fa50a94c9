"""The schedule of an experiment: which samples are attacked together, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway.transfer._masked import rows_to_ask

if TYPE_CHECKING:
    from skhalfway.transfer._source import Source

_MOST_SAMPLES, _MOST_VALUES = 256, 2**23  # in a block of several batches


def blocks_of(shape: tuple[int, ...], batch_size: int = 1) -> list[slice]:
    """Blocks of samples that are handled together: whole batches, the same on every machine."""
    n, n_values = shape[0], max(1, int(np.prod(shape[1:])))
    size = min(_MOST_VALUES // n_values, _MOST_SAMPLES)
    size = batch_size * max(1, size // batch_size)
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


@dataclass(frozen=True)
class Task:
    """A cell that is still to be run."""

    source: int
    rows: NDArray[np.intp]
    kept: NDArray[np.intp]


def tasks_of(sources: Sequence[Source], shape: tuple[int, ...], *, keep: bool) -> list[Task]:
    """All tasks; those of each source in the order of the samples."""
    tasks = []
    for i, source in enumerate(sources):
        if not len(source.rows):
            continue
        asked = source.rows[rows_to_ask(len(source.rows))]
        parts = [source.rows]
        if source.splits:
            starts = np.array([block.start for block in blocks_of(shape, source.generator.batch_size)])
            parts = np.split(source.rows, np.searchsorted(source.rows, starts[1:]))
        tasks += [Task(i, rows, rows if keep else np.intersect1d(rows, asked)) for rows in parts if len(rows)]
    return tasks


class LongestFirst:
    """Tasks in the order of their expected times, the longest first, so that all workers end together.

    The first tasks are one of each source, since no times are known yet. For a source whose first task is
    still running, the time since its start is taken.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._n, self._lock = len(tasks), Lock()
        self._left: dict[int, deque[Task]] = {}
        for task in tasks:
            self._left.setdefault(task.source, deque()).append(task)
        self._begun: dict[int, tuple[float, int]] = {}  # start time and number of samples of the first task
        self._rates: dict[int, float] = {}  # seconds per sample

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Task]:
        while True:
            with self._lock:
                left = {source: tasks for source, tasks in self._left.items() if tasks}
                if not left:
                    return
                source = max(left, key=lambda source: self._seconds(source, len(left[source][0].rows)))
                task = left[source].popleft()
                self._begun.setdefault(source, (perf_counter(), len(task.rows)))
            yield task

    def _seconds(self, source: int, n: int) -> float:
        if source in self._rates:
            return n * self._rates[source]
        if source not in self._begun:
            return inf
        begin, n_first = self._begun[source]
        return (perf_counter() - begin) * n / n_first

    def drop(self, source: int) -> None:
        """Drop the remaining tasks of a source."""
        with self._lock:
            self._left.pop(source, None)

    def done(self, source: int, rate: float) -> None:
        """Note how many seconds a sample took."""
        with self._lock:
            self._rates[source] = rate
