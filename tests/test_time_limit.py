"""A limit on how long a call takes."""

from __future__ import annotations

import threading
import time
import warnings

import numpy as np
import pytest
from joblib import delayed
from sklearn import config_context, get_config

from skhalfway._parallel import Crew, pause, side_by_side
from skhalfway._time_limit import within


def ask(n, seconds=0.02):
    for _ in range(n):
        pause()
        time.sleep(seconds)
    return n


def test_a_call_in_time_gives_its_result():
    assert within(30, ask, 2) == 2


def test_errors_and_configuration_are_those_of_the_caller():
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 / 0)
    with config_context(assume_finite=True), np.errstate(divide="raise"):
        assert within(30, get_config)["assume_finite"]
        with pytest.raises(FloatingPointError):
            within(30, lambda: np.ones(1) / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(UserWarning, match="odd"):
            within(30, warnings.warn, "odd")


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_in_a_call_is_one(n_jobs):
    """It is no fault of the model that was asked."""
    with pytest.raises(KeyboardInterrupt):
        within(30, interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side([delayed(within)(30, interrupted)], 1, n_jobs=n_jobs))


def test_what_fails_as_it_is_looked_at_is_not_late(monkeypatch):
    """Its crew is stopped a moment before its thread ends."""
    add = Crew.add

    def slowly(self, change):
        time.sleep(0.4 if change < 0 else 0)
        add(self, change)

    monkeypatch.setattr(Crew, "add", slowly)
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 / 0)


def test_what_asks_is_stopped():
    before = threading.active_count()
    with pytest.raises(TimeoutError, match=r"took longer than timeout=0\.1 s"):
        within(0.1, ask, 10_000)
    assert threading.active_count() == before


def test_what_waits_is_left_alone():
    release = threading.Event()
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.1, release.wait)
    assert time.monotonic() - begin < 5
    release.set()


def test_another_jobs_error_stops_it():
    def fail():
        time.sleep(0.1)
        raise ZeroDivisionError("first")

    jobs = [delayed(within)(60, ask, 10_000), delayed(fail)()]
    begin = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="first"):
        list(side_by_side(jobs, 2, n_jobs=2))
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("outer", [0.1, 60])
def test_limits_may_be_nested(outer):
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match=r"timeout=0\.1 s"):
        within(outer, within, 60.1 - outer, ask, 10_000)
    assert time.monotonic() - begin < 10
