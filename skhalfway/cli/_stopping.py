"""SIGTERM, which ends jobs of continuous integration, is treated like Ctrl-C, so that work is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = "the process was terminated (SIGTERM)"


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt(TERMINATED)


def how_it_ended(interrupt: BaseException) -> str:
    """Whether a run was interrupted by its user or terminated by the system, in a word."""
    return "terminated (SIGTERM)" if TERMINATED in interrupt.args else "interrupted"


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt."""
    with _handled(_interrupt):
        yield


@contextmanager
def undisturbed_by_sigterm() -> Iterator[None]:
    """Ignore SIGTERM while results are written. A second Ctrl-C still interrupts."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
