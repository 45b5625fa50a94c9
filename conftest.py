"""What all tests share, doctests too."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

# scripts, which tests/test_course.py runs
collect_ignore_glob = ["skhalfway/course/lessons/*"]

# a shell that starts tests in the background has interrupts ignored, and some tests raise them
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="test_fuzz draws 5,000 calls, others in every run")


@pytest.fixture(autouse=True)
def extras(request: pytest.FixtureRequest) -> None:
    """A doctest that imports a library of an extra is for those who have it."""
    examples = getattr(getattr(request.node, "dtest", None), "examples", [])
    if any("imblearn" in example.source for example in examples):
        pytest.importorskip("imblearn")


@pytest.fixture(scope="module")
def quick_processes() -> Iterator[None]:
    """New processes of joblib and of Dask are forked from one that has imported what they need.

    They get all that they are given by pickling, as they do elsewhere, and are lost in the same ways.
    test_backends starts its processes as joblib does.
    """
    from joblib.externals.loky.backend import context

    multiprocessing.set_forkserver_preload(["skhalfway.transfer", "skorch", "pytest"])
    context.set_start_method("forkserver", force=True)
    yield
    context.set_start_method(None, force=True)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Figures are gone after the test that drew them; matplotlib warns where too many are open."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
