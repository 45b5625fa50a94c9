"""A time limit for calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from time import monotonic
from typing import Any

from sklearn import get_config

from skhalfway._checks import check_positive
from skhalfway._parallel import Crew, Failure, Job, Stopped, crew_of_thread

_LOOK = 0.2  # seconds between checks whether the caller itself must stop
_GRACE = 1.0  # seconds that a late call has to stop by itself


def check_timeout(timeout: Any) -> None:
    """Raise unless this is None or a number of seconds."""
    if timeout is not None:
        check_positive("timeout", timeout)


def within(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Result of a call, in a thread of its own; TimeoutError if it takes longer than ``seconds``.

    A late call stops at its next query of a model. A call that hangs inside a model cannot be stopped: it is
    left behind, and its result is dropped.
    """
    outer = crew_of_thread()
    crew = Crew()
    if outer is not None:
        crew.sharing, crew.asked = outer.sharing, outer.asked
    job, results = Job(function, crew, get_config(), list(warnings.filters)), list[Any]()
    context = copy_context()

    def call() -> None:
        try:
            results.append(context.run(job, *args))
        except BaseException as error:  # also Stopped and KeyboardInterrupt, for the caller's thread
            results.append(Failure(error))

    thread = Thread(target=call, daemon=True)
    end = monotonic() + seconds
    thread.start()
    try:
        while thread.is_alive() and not crew.stopped and (left := end - monotonic()) > 0:
            thread.join(min(left, _LOOK))
    finally:
        # a thread whose call failed just now may still be ending
        late = thread.is_alive() and monotonic() >= end
        crew.stop()
        thread.join(_GRACE)
    if outer is not None and outer.stopped:
        raise Stopped
    if late:
        raise TimeoutError(f"took longer than timeout={seconds:g} s")
    if isinstance(result := results[0], Failure):
        raise result.error
    return result
