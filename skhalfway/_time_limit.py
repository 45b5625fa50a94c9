"""A limit on how long a call takes."""

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

_LOOK = 0.2  # seconds between two looks at whether the caller itself must stop
_GRACE = 1.0  # seconds in which a call that is late may stop by itself


def check_timeout(timeout: Any) -> None:
    """Raise for anything but None and a number of seconds."""
    if timeout is not None:
        check_positive("timeout", timeout)


def within(seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """Result of a call, in a thread of its own; TimeoutError where it takes longer than that.

    A call that is late stops the next time that it asks a model. One that waits inside a model cannot be
    stopped: it is left alone, and its result is thrown away.
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
        except BaseException as error:  # an interrupt, which jobs leave to the thread that they are in
            results.append(Failure(error))

    thread = Thread(target=call, daemon=True)
    end = monotonic() + seconds
    thread.start()
    try:
        while thread.is_alive() and not crew.stopped and (left := end - monotonic()) > 0:
            thread.join(min(left, _LOOK))
    finally:
        # one that failed just now may still be about to end
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
