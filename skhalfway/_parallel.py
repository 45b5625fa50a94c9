"""Jobs side by side, with a progress bar; when one fails or the user interrupts, all stop first."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

_PROCESS = os.getpid()  # in which this was imported: a fork of it has another
_OF_THREAD = threading.local()  # crew: whom the thread works for


class Stopped(BaseException):
    """Raised in a thread whose work is no longer wanted; a model's ``except Exception`` does not catch it."""


class _Crew:
    """The jobs of one call, in threads of this process."""

    def __init__(self, *, here: bool = True) -> None:
        self.here = here
        self._outer = getattr(_OF_THREAD, "crew", None) if here else None
        self._changed = threading.Condition()
        self._stopped = False
        self._n_running = 0

    @property
    def stopped(self) -> bool:
        return self._stopped or (self._outer is not None and self._outer.stopped)

    def stop(self) -> None:
        self._stopped = True

    def join(self) -> None:
        """Return when no job runs any more."""
        with self._changed:
            while self._n_running:
                self._changed.wait()

    def add(self, change: int) -> None:
        with self._changed:
            self._n_running += change
            self._changed.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        # joblib ends other processes itself
        return _Crew._elsewhere, ()

    @staticmethod
    def _elsewhere() -> _Crew:
        return _Crew(here=False)


def pause() -> None:
    """Raise where the caller's work is no longer wanted; models call it whenever they are asked."""
    crew = getattr(_OF_THREAD, "crew", None)
    if crew is not None and crew.stopped:
        raise Stopped


@contextmanager
def _one_thread() -> Iterator[None]:
    """No threads of torch, OpenMP and BLAS: a fork has lost them, and would wait for them forever."""
    from threadpoolctl import threadpool_limits

    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # of MKL too, which is a part of torch
    with threadpool_limits(1):
        yield


class _Failure:
    """What a job raised, carried out of its thread: a pool loses what is no Exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Job:
    """A function that stops with its crew."""

    def __init__(self, function: Callable[..., Any], crew: _Crew) -> None:
        self._function, self._crew = function, crew

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        crew, outer = self._crew, getattr(_OF_THREAD, "crew", None)
        crew.add(1)
        _OF_THREAD.crew = crew
        try:
            pause()
            with _one_thread() if os.getpid() != _PROCESS else nullcontext():
                return self._function(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or not crew.here:
                raise
            crew.stop()
            return _Failure(error)
        finally:
            _OF_THREAD.crew = outer
            crew.add(-1)


def side_by_side(
    jobs: Iterable[Any],
    n: int,
    *,
    n_jobs: int | None,
    verbose: int = 0,
    what: str = "",
    unit: str = "job",
    prefer: str = "threads",
) -> Iterator[Any]:
    """Results of ``n`` delayed calls, in their order; ``prefer`` threads or processes.

    Where a job raises, the others stop the next time that they ask a model; what it raised is raised here
    when none of them runs any more. An interrupt does the same.
    """
    crew = _Crew()
    calls = (delayed(_Job(job.function, crew))(*args, **kwargs) for job, args, kwargs in jobs)
    results = _results(calls, n_jobs=n_jobs, prefer=prefer)
    if verbose:
        from tqdm.auto import tqdm

        results = iter(tqdm(results, total=n, desc=what, unit=unit))
    return _until_failure(results, crew)


def _results(calls: Iterable[Any], *, n_jobs: int | None, prefer: str) -> Iterator[Any]:
    """Results as they come; all at the end from a backend of joblib that hands them over only then."""
    backend, usual = get_active_backend(prefer=prefer)
    number = usual if n_jobs is None else n_jobs
    # as joblib's own default, "2 * n_jobs", which it parses: threads of Python 3.11 cannot do that at once
    ahead = 2 * max(1, backend.effective_n_jobs(1 if number is None else number))
    parallel = partial(Parallel, n_jobs=n_jobs, prefer=prefer, pre_dispatch=ahead)
    if getattr(backend, "supports_return_generator", False):
        return iter(parallel(return_as="generator")(calls))
    return _at_the_end(parallel(), calls)


def _at_the_end(parallel: Parallel, calls: Iterable[Any]) -> Iterator[Any]:
    yield from parallel(calls)


def _until_failure(results: Iterator[Any], crew: _Crew) -> Iterator[Any]:
    failure: BaseException | None = None
    try:
        for result in results:
            if isinstance(result, _Failure):
                # those that were stopped may come before the one that failed
                if failure is None or isinstance(failure, Stopped):
                    failure = result.error
            elif failure is None:
                yield result
    finally:
        crew.stop()
        crew.join()
    if failure is not None:
        raise failure
