"""Jobs that survive the death of their worker processes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from joblib import delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from skhalfway._cluster import WorkersLostError

Item = TypeVar("Item")
_CODES = re.compile(r"\{(.*)\}")


@dataclass(frozen=True)
class Died:
    """Takes the place of a result: the job's process died."""

    reason: str

    @classmethod
    def of(cls, error: Exception) -> Died:
        """Reason from joblib's error, with the exit code if joblib knows it."""
        codes = _CODES.search(str(error)) if isinstance(error, TerminatedWorkerError) else None
        how = f" ({codes[1]})" if codes else ""
        return cls(f"its worker process died{how}, perhaps for lack of memory or by a crash in compiled code")


def _deaths() -> tuple[type[Exception], ...]:
    """Errors that are raised when worker processes of joblib or Dask die repeatedly."""
    scheduler = sys.modules.get("distributed.scheduler")
    of_dask = () if scheduler is None else (WorkersLostError, scheduler.KilledWorker)
    return TerminatedWorkerError, *of_dask


def outlive(
    parallel: Callable[..., Any], items: Iterable[Item], job_of: Callable[[Item], Any]
) -> Iterator[tuple[Item, Any]]:
    """Iterate over items and the results of their jobs, in the order in which they end.

    If a worker process dies, :class:`Died` is the result of all jobs that were running; they can be run again
    :func:`alone`. The other jobs go on.
    """
    items, numbers, begun = iter(items), count(), dict[int, Item]()

    def jobs() -> Iterator[Any]:
        for item in items:
            number = next(numbers)
            begun[number] = item
            function, args, kwargs = job_of(item)
            yield delayed(_numbered)(number, function, *args, **kwargs)

    while True:
        try:
            with closing(parallel(jobs())) as results:
                for number, result in results:
                    yield begun.pop(number), result
            return
        except _deaths() as error:
            died = Died.of(error)
        for number in list(begun):
            yield begun.pop(number), died


def alone(parallel: Callable[..., Any], job: Any) -> Any:
    """Result of a single job in a worker process, or :class:`Died`."""
    try:
        with closing(parallel([job])) as results:
            return next(results)
    except _deaths() as error:
        return Died.of(error)


def _numbered(number: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, Any]:
    return number, function(*args, **kwargs)
