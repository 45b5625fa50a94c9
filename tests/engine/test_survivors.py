"""Jobs whose worker process dies."""

from __future__ import annotations

from functools import partial

from joblib import delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from skhalfway._parallel import side_by_side
from skhalfway.engine._survivors import Died, alone, outlive

MESSAGE = "A worker process was unexpectedly terminated. The exit codes of the workers are {SIGKILL(-9)}"


def work(n, deadly):
    if n in deadly:
        raise TerminatedWorkerError(MESSAGE)
    return n * n


def run(items, deadly, n_jobs):
    parallel = partial(side_by_side, n=0, n_jobs=n_jobs, in_order=False)
    return dict(outlive(parallel, items, lambda n: delayed(work)(n, deadly)))


def test_all_others_have_their_results():
    for n_jobs in (1, 2):
        results = run(range(20), {3, 11}, n_jobs)
        assert set(results) == set(range(20))
        died = {n for n, result in results.items() if isinstance(result, Died)}
        assert {3, 11} <= died
        assert len(died) <= 2 * n_jobs + 2  # and whatever ran beside them
        assert all(result == n * n for n, result in results.items() if n not in died)
        assert all("SIGKILL(-9)" in results[n].reason for n in died)


def test_alone():
    parallel = partial(side_by_side, n=1, n_jobs=1)
    assert alone(parallel, delayed(work)(4, ())) == 16
    assert isinstance(alone(parallel, delayed(work)(4, {4})), Died)


def test_nothing_to_do():
    assert run([], (), 1) == {}
