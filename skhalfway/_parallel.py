"""Jobs side by side, with a progress bar; when one fails or the user interrupts, all stop first."""

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

_PROCESS = os.getpid()  # in which this was imported: a fork of it has another
_OF_THREAD = threading.local()  # crew: whom the thread works for


class Stopped(BaseException):
    """Raised in a thread whose work is no longer wanted; a model's ``except Exception`` does not catch it."""


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
        """Return when no job runs any more."""
        with self._changed:
            while self._n_running:
                self._changed.wait()

    def add(self, change: int) -> None:
        with self._changed:
            self._n_running += change
            self._changed.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        # joblib ends other processes itself; tasks of a cluster ask whether they are wanted
        return Crew._elsewhere, (os.getpid(),)

    @staticmethod
    def _elsewhere(process: int) -> Crew:
        crew = Crew(here=False)
        crew.in_its_process = process == os.getpid()
        return crew


def crew_of_thread() -> Crew | None:
    """Whom this thread works for."""
    return getattr(_OF_THREAD, "crew", None)


def pause() -> None:
    """Raise where the caller's work is no longer wanted; models call it whenever they are asked."""
    crew = crew_of_thread()
    if crew is not None:
        if crew.stopped:
            raise Stopped
        if crew.asked is not None:
            crew.asked()


@contextmanager
def _one_thread() -> Iterator[None]:
    """No threads of torch, OpenMP and BLAS: a fork has lost them, and would wait for them forever."""
    from threadpoolctl import threadpool_limits

    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # of MKL too, which is a part of torch
    with threadpool_limits(1):
        yield


class Failure:
    """What a job raised, carried out of its thread: a pool loses what is no Exception."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Job:
    """A function that stops with its crew, and runs under its caller's configuration of scikit-learn."""

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
        """What else a job finds as its caller has it: its share of the cores, in another process filters."""
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
    """Results of delayed calls, in their order or as they come; ``prefer`` threads or processes, or ask.

    They amount to ``n`` units; ``tell`` says of a result to how many, and whose it is. Jobs are taken as they
    are needed, so that the next may depend on the results so far. Where a job raises, the others stop the
    next time that they ask a model; what it raised is raised here when none of them runs any more. An
    interrupt does the same.
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
    """Jobs until one fails: none is taken in vain."""
    jobs = iter(jobs)
    while not crew.stopped:
        try:
            yield next(jobs)
        except StopIteration:
            return


def _results(
    calls: Iterable[Any], crew: Crew, *, n_jobs: int | None, prefer: str, in_order: bool
) -> Iterator[Any]:
    """Results as they come; all at the end from a backend of joblib that hands them over only then."""
    backend, usual = get_active_backend(prefer=prefer)
    number = usual if n_jobs is None else n_jobs
    n_workers = max(1, backend.effective_n_jobs(1 if number is None else number))
    # as joblib's own default, "2 * n_jobs", which it parses: threads of Python 3.11 cannot do that at once
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
    """Results of threads that end whenever the user interrupts: those of a pool half made would stay."""
    results = None
    try:
        with interrupts_later():
            parallel.__enter__()
            results = parallel(calls)
        yield from results
    finally:
        with interrupts_later(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of jobs that were begun: they are not wanted
            if results is not None:
                results.close()
            parallel.__exit__(None, None, None)


def _packed(calls: Iterable[Any]) -> Iterator[Any]:
    """The calls; what does not go to other processes is said here, where joblib does not hide the reason."""
    for call in calls:
        for arg in call[1]:
            if isinstance(arg, Shared):
                arg.pack()
        yield call


@contextmanager
def _on_cluster(backend: Any, calls: Iterable[Any]) -> Iterator[Iterable[Any]]:
    """The calls, for a cluster: later ones are taken by a thread that must not wait for it."""
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
    """Give the filters of warnings back as they were, which threads of scikit-learn take from each other.

    Its parallel loops, in forests for one, set all filters anew in every job, and those of another thread
    that begin meanwhile warn that they have none. That is no news.
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
