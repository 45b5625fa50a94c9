"""Parallel jobs with a progress bar; if one fails or the user interrupts, all stop before that is raised."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config

from skhalfway._cluster import OnCluster, cluster, is_cluster, one_core, unwanted_here
from skhalfway._cores import cores_shared
from skhalfway._filters import filters_of_caller
from skhalfway._interrupts import interrupts_later
from skhalfway._progress import Progress
from skhalfway._shared import Shared

_PROCESS = os.getpid()  # the process that imported this module; a fork has another id
_OF_THREAD = threading.local()  # its attribute "crew" is the crew that the thread works for


class Stopped(BaseException):
    """Raised in a thread whose work is not needed any more; a model's ``except Exception`` misses it."""


class Crew:
    """The jobs of one call, in threads of this process."""

    def __init__(self, *, here: bool = True) -> None:
        self.here = self.in_its_process = here
        self.sharing: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.asked: Callable[[], None] | None = None
        self.unwanted: Callable[[], bool] | None = None
        self._outer = crew_of_thread() if here else None
        self._changed = threading.Condition()
        self._stopped = False
        self._n_running = 0

    @property
    def stopped(self) -> bool:
        if self._stopped or (self.unwanted is not None and self.unwanted()):
            return True
        return self._outer is not None and self._outer.stopped

    def stop(self) -> None:
        self._stopped = True

    def join(self) -> None:
        """Wait until no job is running."""
        with self._changed:
            while self._n_running:
                self._changed.wait()

    def add(self, change: int) -> None:
        with self._changed:
            self._n_running += change
            self._changed.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        # joblib ends other processes itself; tasks on a cluster ask whether they were cancelled
        return Crew._elsewhere, (os.getpid(),)

    @staticmethod
    def _elsewhere(process: int) -> Crew:
        crew = Crew(here=False)
        crew.in_its_process = process == os.getpid()
        return crew


def crew_of_thread() -> Crew | None:
    """The crew that this thread works for."""
    return getattr(_OF_THREAD, "crew", None)


def pause() -> None:
    """Raise if this thread's work is no longer needed; models call this before every prediction."""
    crew = crew_of_thread()
    if crew is not None:
        if crew.stopped:
            raise Stopped
        if crew.asked is not None:
            crew.asked()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use no threads of torch, OpenMP and BLAS: a fork has lost them, and would wait for them forever."""
    from threadpoolctl import threadpool_limits

    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # this also sets the threads of MKL, a part of torch
    with threadpool_limits(1):
        yield


class Failure:
    """The error of a job, returned from its thread, since pools lose errors that are no Exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Job:
    """A function that stops with its crew, and runs with its caller's configuration of scikit-learn."""

    def __init__(
        self, function: Callable[..., Any], crew: Crew, config: dict[str, Any], filters: list[Any]
    ) -> None:
        self._function, self._crew, self._config, self._filters = function, crew, config, filters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        crew, outer = self._crew, crew_of_thread()
        crew.add(1)
        _OF_THREAD.crew = crew
        try:
            pause()
            with config_context(**self._config), self._surroundings():
                return self._function(*args, **kwargs)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or not crew.here:
                raise
            crew.stop()
            return Failure(error)
        finally:
            _OF_THREAD.crew = outer
            crew.add(-1)

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Set the job's share of the cores and, in another process, the caller's warning filters."""
        if self._crew.here and os.getpid() == _PROCESS:
            with self._crew.sharing():
                yield
            return
        forked, self._crew.unwanted = os.getpid() != _PROCESS, unwanted_here()
        with ExitStack() as stack:
            if not self._crew.in_its_process:
                stack.enter_context(filters_of_caller(self._filters))
            if forked:
                stack.enter_context(_one_thread())
            if self._crew.unwanted is not None:
                stack.enter_context(one_core())
            yield


def side_by_side(
    jobs: Iterable[Any],
    n: int,
    *,
    n_jobs: int | None,
    verbose: int = 0,
    what: str = "",
    unit: str = "job",
    prefer: str | Callable[[], str] = "threads",
    in_order: bool = True,
    tell: Callable[[Any], tuple[int, str]] = lambda result: (1, ""),
) -> Iterator[Any]:
    """Iterate over the results of delayed calls, in their order or in the order in which they end.

    ``prefer`` is "threads" or "processes", or a function that returns one of them. All calls together are
    ``n`` units of progress; ``tell`` returns the number of units of a result, and its name. Jobs are taken
    from the iterable when they are needed, so the next one may depend on earlier results. If a job raises,
    the others stop at their next query of a model, and the error is raised here once none is running. The
    same holds for an interrupt.
    """
    crew, config, filters = Crew(), get_config(), list(warnings.filters)
    calls = (
        delayed(Job(job, crew, config, filters))(*args, **kwargs)
        for job, args, kwargs in _while_wanted(jobs, crew)
    )
    if callable(prefer):
        prefer = prefer() if effective_n_jobs(n_jobs) > 1 else "threads"
    results = _results(calls, crew, n_jobs=n_jobs, prefer=prefer, in_order=in_order)
    progress = Progress(what, n, unit, verbose)
    if progress.counts:
        crew.asked = progress.asked
    try:
        for result in _until_failure(results, crew):
            progress.done(*tell(result))
            yield result
    finally:
        progress.close()


def _while_wanted(jobs: Iterable[Any], crew: Crew) -> Iterator[Any]:
    """Iterate over jobs until one of them fails."""
    jobs = iter(jobs)
    while not crew.stopped:
        try:
            yield next(jobs)
        except StopIteration:
            return


def _results(
    calls: Iterable[Any], crew: Crew, *, n_jobs: int | None, prefer: str, in_order: bool
) -> Iterator[Any]:
    """Iterate over results as jobs end; some backends of joblib return all of them at the end."""
    backend, usual = get_active_backend(prefer=prefer)
    number = usual if n_jobs is None else n_jobs
    n_workers = max(1, backend.effective_n_jobs(1 if number is None else number))
    # joblib's default "2 * n_jobs", as a number: parsing it is not thread-safe in Python 3.11
    parallel = partial(
        Parallel, n_jobs=n_jobs, prefer=prefer, pre_dispatch=(2 if in_order else 1) * n_workers
    )
    return_as = "generator" if in_order else "generator_unordered"
    generates = getattr(backend, "supports_return_generator", False)
    threads = n_workers > 1 and getattr(backend, "supports_sharedmem", False)
    with ExitStack() as stack:
        if n_workers > 1 and not threads and not is_cluster(backend):
            calls = _packed(calls)
        if threads:
            stack.enter_context(_own_filters())
            crew.sharing = stack.enter_context(cores_shared(n_workers))
        if is_cluster(backend):
            calls = stack.enter_context(_on_cluster(backend, calls))
        if threads and generates:
            yield from _threads(parallel(return_as=return_as), calls)
            return
        yield from (parallel(return_as=return_as) if generates else parallel())(calls)


def _threads(parallel: Any, calls: Iterable[Any]) -> Iterator[Any]:
    """Iterate over results of threads that also end if the user interrupts while the pool is started."""
    results = None
    try:
        with interrupts_later():
            parallel.__enter__()
            results = parallel(calls)
        yield from results
    finally:
        with interrupts_later(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # joblib warns of started jobs that are dropped
            if results is not None:
                results.close()
            parallel.__exit__(None, None, None)


def _packed(calls: Iterable[Any]) -> Iterator[Any]:
    """Iterate over the calls; raise here if one cannot be pickled, as joblib would hide the reason."""
    for call in calls:
        for arg in call[1]:
            if isinstance(arg, Shared):
                arg.pack()
        yield call


@contextmanager
def _on_cluster(backend: Any, calls: Iterable[Any]) -> Iterator[Iterable[Any]]:
    """Prepare the calls for a cluster: a thread that must not wait for the cluster takes the later ones."""
    calls = iter(calls)
    first = list(islice(calls, 1))
    shared = [arg for _, args, _ in first for arg in args if isinstance(arg, Shared)]
    with cluster(backend, shared):
        yield (
            (OnCluster(partial(call, **kwargs)), OnCluster.args(args), {})
            for call, args, kwargs in chain(first, calls)
        )


@contextmanager
def _own_filters() -> Iterator[None]:
    """Restore the warning filters, which parallel loops of scikit-learn change for all threads.

    Such loops, for example in forests, set all filters in every job. Loops that start meanwhile in other
    threads then warn that their filters are missing. This warning is suppressed.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_others(message: Warning | str, *args: Any, **kwargs: Any) -> None:
            if "`sklearn.utils.parallel.delayed` should be used" not in str(message):
                show(message, *args, **kwargs)

        warnings.showwarning = show_others
        yield


def _until_failure(results: Iterator[Any], crew: Crew) -> Iterator[Any]:
    failure: BaseException | None = None
    try:
        for result in results:
            if isinstance(result, Failure):
                # stopped jobs may end before the one that failed
                if failure is None or isinstance(failure, Stopped):
                    failure = result.error
            elif failure is None:
                yield result
    finally:
        crew.stop()
        crew.join()
    if failure is not None:
        raise failure
