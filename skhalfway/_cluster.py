"""Jobs on a Dask cluster: they outlive the loss of workers, and end once nobody wants them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from joblib import parallel_config

from skhalfway._shared import Shared, Value

_PAUSES = (0.1, 0.5, 2)  # seconds in which a scheduler is to notice that a worker is gone


class WorkersLostError(RuntimeError):
    """No worker is left of those that had what jobs share."""


def is_cluster(backend: Any) -> bool:
    """Whether a backend of joblib is its one for Dask, which is imported only where it is used."""
    module = sys.modules.get("joblib._dask")
    return module is not None and isinstance(backend, module.DaskDistributedBackend)


class _InBand:
    """An argument that goes with its job.

    joblib hands arguments over to one worker apart, large ones that can be referred to weakly: a job cannot
    be done again where that worker is lost.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class OnCluster:
    """A function whose arguments come with the job, those that are shared apart."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*(arg.value if isinstance(arg, _InBand) else arg for arg in args))

    @staticmethod
    def args(args: Sequence[Any]) -> list[Any]:
        """What it has to be called with."""
        return [arg if isinstance(arg, Shared) else _InBand(arg) for arg in args]


@contextmanager
def cluster(backend: Any, shared: Sequence[Shared[Any]]) -> Iterator[None]:
    """Give every worker what jobs share, as long as it is there; in the end cancel jobs that are left."""
    import dask

    client, known = backend.client, backend.data_futures
    # blocks of images are sent as they are: with less, no lost job could be done again
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        try:
            for box in shared:
                if box.sent is None or box.sent[0] != client.id or box.sent[1].status != "finished":
                    box.sent = client.id, _with_all(client, Value(box.value))
                known[id(box)] = box.sent[1]
            yield
        except CancelledError as error:
            raise WorkersLostError(
                "the cluster lost every worker that had the models and what else jobs share; call again once "
                "it has workers (with memory=, in a folder that all of them see, what was done is kept)"
            ) from error
        finally:
            for box in shared:
                known.pop(id(box), None)
            if client.status == "running":  # else its tasks went with it
                client.sync(_cancel_all, backend)


def _with_all(client: Any, value: Value) -> Any:
    """The future of a value that every worker has; sent anew when one of them is lost on the way."""
    for pause in _PAUSES:
        try:
            return client.scatter(value, broadcast=True, hash=False)
        except OSError:  # the scheduler hangs up when it cannot reach a worker that it believes to be there
            if client.status != "running":
                raise
            time.sleep(pause)
    return client.scatter(value, broadcast=True, hash=False)


async def _cancel_all(backend: Any) -> None:
    """In the client's own thread, after whatever joblib handed to it."""
    left = list(backend._results)
    backend._results.clear()
    backend._callbacks.clear()
    if left:
        await backend.client.cancel(left, asynchronous=True, force=True)


def unwanted_here() -> Callable[[], bool] | None:
    """What says whether the task that this thread works on was cancelled; None where no cluster gave one."""
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
    """A job has the core that its cluster gave it: what is in it hands out no jobs of its own."""
    with parallel_config("sequential"):
        yield
