"""joblib's backends: whatever can be spread over cores gives the same on each, generators or not."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from joblib import delayed, parallel_config, register_parallel_backend
from joblib._parallel_backends import ParallelBackendBase
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skhalfway import HalfwayScorer, TransferScorer
from skhalfway._parallel import Crew, Job, pause, side_by_side
from tests.entries import BRIEF, ENTRIES, LINEAR, NETWORK, PAIR, SKORCH, TREE, Layers, X, Y


class WithoutGenerators(ParallelBackendBase):
    """What joblib asks of a backend, and no more: as Spark's and Ray's, it hands over all at the end."""

    default_n_jobs = 2

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        return 2 if n_jobs is None or n_jobs < 0 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **settings: Any) -> int:
        self.parallel, self._pool = parallel, ThreadPoolExecutor(2)
        return self.effective_n_jobs(n_jobs)

    def apply_async(self, func: Callable[[], Any], callback: Any = None) -> Any:
        future = self._pool.submit(func)
        if callback:
            future.add_done_callback(lambda done: done.exception() or callback(done.result()))
        future.get = future.result  # type: ignore[attr-defined]
        return future

    submit = apply_async

    def retrieve_result(self, future: Future[Any], timeout: float | None = None) -> Any:
        return future.result(timeout)

    def terminate(self) -> None:
        self._pool.shutdown()


register_parallel_backend("without generators", WithoutGenerators)
BACKENDS = ["multiprocessing", "loky", "threading", "without generators"]

NET = clone(SKORCH).fit(X.astype("float32"), Y)
MODELS = {"lr": LINEAR, "tree": TREE, "net": Layers(), "mlp": NETWORK}
FRAME = pd.DataFrame(X, columns=list("abcd"))
FRAMED = {
    "lr": LogisticRegression().fit(FRAME, Y),
    "tree": type(TREE)(random_state=0).fit(FRAME, Y),
}


def scorer(models: Any = MODELS) -> TransferScorer:
    return TransferScorer(BRIEF, random_state=0).fit(models)


def halfway() -> HalfwayScorer:
    return HalfwayScorer(n_pairs=5, random_state=0).fit(MODELS)


def fitted(**estimators: Any) -> Any:
    made = TransferScorer(BRIEF, estimators=list(estimators.items()), random_state=0)
    return made.fit(X.astype("float32"), Y).transfer(X.astype("float32"), Y)


CALLS: dict[str, Callable[[], Any]] = {
    "transfer": lambda: scorer().transfer(X, Y),
    "samples": lambda: scorer().transfer(X, Y, keep_samples=True).samples("net"),
    "samples in pandas": lambda: scorer(FRAMED).transfer(FRAME, Y, keep_samples=True).samples("lr"),
    "samples in polars": lambda: (
        scorer(FRAMED).transfer(pl.DataFrame(X, list("abcd")), Y, keep_samples=True).samples("lr")
    ),
    "samples in torch": lambda: scorer().transfer(torch.tensor(X), Y, keep_samples=True).samples("net"),
    "transfer_curve": lambda: scorer().transfer_curve(X, Y, eps=[0.1, 0.2]),
    "robustness": lambda: scorer().robustness(LINEAR, X, Y),
    "fit": lambda: fitted(**dict(PAIR)),
    "fit skorch": lambda: fitted(net=FrozenEstimator(NET), lr=LogisticRegression()),
    "measure": lambda: halfway().measure(X, Y),
    "predict_transfer": lambda: halfway().predict_transfer(X, Y, eps=0.1),
}
for name, (function, given) in ENTRIES.items():
    if "n_jobs" in inspect.signature(function).parameters:
        seeded = {"random_state": 0} if "random_state" in inspect.signature(function).parameters else {}
        CALLS[name] = lambda function=function, given=given | seeded: function(**given)


def assert_same(a: Any, b: Any) -> None:
    """Equal in all that they hold, but for how they came about."""
    assert type(a) is type(b)
    if is_dataclass(a):
        for field in fields(a):
            if field.name not in ("provenance", "checks", "kept"):
                assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, pl.DataFrame):
        assert a.equals(b)
    elif isinstance(a, (np.ndarray, float, pd.DataFrame)):
        np.testing.assert_array_equal(a, b)
    elif type(a).__module__.startswith(("builtins", "numpy")):
        assert a == b
    elif type(a).__module__.startswith("skhalfway"):
        assert_same(vars(a), vars(b))


@cache
def alone(name: str) -> Any:
    """What one core gives."""
    return CALLS[name]()


def test_all_that_takes_n_jobs_is_here() -> None:
    assert {
        "decision_regions",
        "reproducibility",
        "loss_variability",
        "loss_path",
        "loss_surface",
        "sharpness",
        "memorization_curve",
        "compression_curve",
        "distill",
        "initialization_influence",
        "feature_transfer",
        "forgetting_curve",
        "adversarial_spheres",
    } <= set(CALLS)


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize(
    ("backend", "name"),
    # every function in processes and in threads, and the other backends with what is spread in ways of its
    # own; what containers samples come in is not the backends' to say
    [
        *(("loky", name) for name in CALLS),
        *(("threading", name) for name in CALLS if " in " not in name),
        *(("multiprocessing", name) for name in ("transfer", "fit skorch")),
        *(("without generators", name) for name in ("transfer", "samples", "fit", "measure", "loss_path")),
    ],
)
def test_every_backend_gives_what_one_core_gives(backend: str, name: str) -> None:
    expected = alone(name)
    with parallel_config(backend, n_jobs=2):
        assert_same(CALLS[name](), expected)


JOBS = {
    name: (function, given)
    for name, (function, given) in ENTRIES.items()
    if "n_jobs" in inspect.signature(function).parameters
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*JOBS, "measure", "predict_transfer"])
def test_all_that_takes_n_jobs_shows_its_progress(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function, given = JOBS.get(name, (None, {}))
    scorer = HalfwayScorer(n_pairs=5, random_state=0, verbose=1).fit(MODELS)
    capsys.readouterr()
    if function is None:
        scorer.measure(X, Y) if name == "measure" else scorer.predict_transfer(X, Y, eps=0.1)
    else:
        function(**given | {"verbose": 1})
    assert "100%" in capsys.readouterr().err
    if function is not None:
        with pytest.raises(ValueError, match="verbose"):
            function(**given | {"verbose": -1})


def square(i: int) -> int:
    if i == 5:
        raise ValueError(i)
    return i**2


@pytest.mark.parametrize("backend", BACKENDS)
def test_results_come_in_order_and_errors_come_through(backend: str) -> None:
    with parallel_config(backend, n_jobs=2):
        for verbose in (0, 1):
            jobs = (delayed(square)(i) for i in range(5))
            assert list(side_by_side(jobs, 5, n_jobs=None, verbose=verbose)) == [0, 1, 4, 9, 16]
        with pytest.raises(ValueError, match="5"):
            list(side_by_side((delayed(square)(i) for i in range(8)), 8, n_jobs=None))


def test_what_a_job_raises_elsewhere_is_raised_there() -> None:
    """So that joblib ends the others at once, and says where it was; here, the others are told to stop."""
    crew = Crew()
    here = Job(square, crew, {}, [])
    elsewhere = pickle.loads(pickle.dumps(here))
    assert here(3) == elsewhere(3) == 9
    with pytest.raises(ValueError, match="5"):
        elsewhere(5)
    assert not crew.stopped
    assert isinstance(here(5).error, ValueError) and crew.stopped


def work(i: int, log: list[int]) -> int:
    for _ in range(10**6):
        pause()
        time.sleep(0.001)
        if i == 0:
            raise KeyError(i)
    log.append(i)
    return i


def test_jobs_end_together_where_results_come_at_the_end() -> None:
    log: list[int] = []
    threads = threading.active_count()
    with parallel_config("without generators", n_jobs=2), pytest.raises(KeyError):
        list(side_by_side((delayed(work)(i, log) for i in range(8)), 8, n_jobs=None))
    assert log == [] and threading.active_count() <= threads


FORKED = """
from operator import methodcaller
import torch
from joblib import parallel_config
from joblib import delayed
from skhalfway._parallel import side_by_side

torch.set_num_threads(2)
x = torch.ones(10**6)
x.exp()  # starts threads, which no fork has
with parallel_config("multiprocessing", n_jobs=2):
    found = list(side_by_side([delayed(methodcaller("exp"))(x)] * 2, 2, n_jobs=None))
assert all(torch.equal(y, x.exp()) for y in found)
"""


def test_forks_do_not_wait_for_threads_that_they_lost() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=120)
