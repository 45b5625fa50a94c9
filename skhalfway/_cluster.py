"""Jobs on a Dask cluster: they survive the loss of workers, and are cancelled when not needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from joblib import parallel_config

from skhalfway._shared import Shared, Value

_PAUSES = (0.1, 0.5, 2)  # seconds to wait until the scheduler notices a lost worker


class WorkersLostError(RuntimeError):
    """Raised when all workers that had the shared data of the jobs are lost."""


def is_cluster(backend: Any) -> bool:
    """Whether a backend is joblib's backend for Dask; Dask is not imported for this."""
    module = sys.modules.get("joblib._dask")
    return module is not None and isinstance(backend, module.DaskDistributedBackend)


class _InBand:
    """An argument that is sent with its job.

    joblib sends large arguments separately, to one worker. If that worker is lost, the job could not be run
    again.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class OnCluster:
    """A function whose arguments are sent with the job, except those that jobs share."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*(arg.value if isinstance(arg, _InBand) else arg for arg in args))

    @staticmethod
    def args(args: Sequence[Any]) -> list[Any]:
        """Arguments to call it with."""
        return [arg if isinstance(arg, Shared) else _InBand(arg) for arg in args]


@contextmanager
def cluster(backend: Any, shared: Sequence[Shared[Any]]) -> Iterator[None]:
    """Send shared data to every worker inside the block; at its end cancel the remaining jobs."""
    import dask

    client, known = backend.client, backend.data_futures
    # blocks of images are sent with their jobs, so that lost jobs can be run again; Dask need not warn
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        try:
            for box in shared:
                if box.sent is None or box.sent[0] != client.id or box.sent[1].status != "finished":
                    box.sent = client.id, _with_all(client, Value(box.value))
                known[id(box)] = box.sent[1]
            yield
        except CancelledError as error:
            raise WorkersLostError(
                "the cluster lost every worker that had the models; call again once it has workers (with "
                "memory=, in a folder that all of them see, finished work is kept)"
            ) from error
        finally:
            for box in shared:
                known.pop(id(box), None)
            if client.status == "running":  # a closed client has no tasks
                client.sync(_cancel_all, backend)


def _with_all(client: Any, value: Value) -> Any:
    """Future of a value that was sent to every worker; sent again if a worker is lost meanwhile."""
    for pause in _PAUSES:
        try:
            return client.scatter(value, broadcast=True, hash=False)
        except OSError:  # the scheduler disconnects when it cannot reach a worker that it still lists
            if client.status != "running":
                raise
            time.sleep(pause)
    return client.scatter(value, broadcast=True, hash=False)


async def _cancel_all(backend: Any) -> None:
    """Cancel all tasks, in the client's own thread, after everything that joblib has submitted."""
    left = list(backend._results)
    backend._results.clear()
    backend._callbacks.clear()
    if left:
        await backend.client.cancel(left, asynchronous=True, force=True)


def unwanted_here() -> Callable[[], bool] | None:
    """Function that tells whether this thread's task was cancelled; None without a cluster."""
    module = sys.modules.get("distributed.worker")
    state = None if module is None else getattr(module.thread_state, "execution_state", None)
    if module is None or state is None:
        return None
    tasks, key = state["worker"].state.tasks, module.thread_state.key

    def unwanted() -> bool:
        task = tasks.get(key)
        return task is None or task.state == "cancelled"

    return unwanted


@contextmanager
def one_core() -> Iterator[None]:
    """Let a job use only the core that its cluster gave it: nested calls run in sequence."""
    with parallel_config("sequential"):
        yield
