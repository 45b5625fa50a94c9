"""On a Dask cluster: the same figures, each thing sent once, nothing lost with a worker or left behind."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from joblib import delayed, parallel_config
from joblib.parallel import get_active_backend
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer, _cluster
from skhalfway._cluster import cluster as on_cluster
from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared
from skhalfway.boundaries import loss_variability, reproducibility
from skhalfway.inspection import memorization_curve
from skhalfway.models import ModelWarning
from skhalfway.transfer import _schedule

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
pytestmark = pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")

DIGITS, LABELS = load_digits(return_X_y=True)
X_TRAIN, Y_TRAIN, X, Y = DIGITS[:600] / 16, LABELS[:600], DIGITS[600:696] / 16, LABELS[600:696]


@pytest.fixture(scope="module")
def cluster(quick_processes: None) -> Iterator[Any]:
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield cluster


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Counted(DecisionTreeClassifier):
    """Counts how often it was pickled, and notes in a file when it is asked."""

    n_pickled, note = 0, ""

    def __getstate__(self) -> Any:
        self.n_pickled += 1
        return super().__getstate__()

    def predict(self, X: Any, check_input: bool = True) -> Any:
        if self.note:
            with open(self.note, "a") as file:
                file.write(".")
            time.sleep(0.02)
        return super().predict(X, check_input)


class Broken(DecisionTreeClassifier):
    """Cannot answer about samples that were made."""

    def predict(self, X: Any, check_input: bool = True) -> Any:
        if not (np.asarray(X) * 16 % 1 == 0).all():
            raise ZeroDivisionError("no such sample")
        return super().predict(X, check_input)


def fitted(model: Any) -> Any:
    return model.fit(X_TRAIN, Y_TRAIN)


def net() -> Net:
    torch.manual_seed(0)
    module = Net()
    x, y = torch.tensor(X_TRAIN, dtype=torch.float32), torch.tensor(Y_TRAIN)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    return module.eval()


@cache
def models() -> dict[str, Any]:
    """Trained here alone: workers import this module too."""
    return {
        "lr": fitted(LogisticRegression(max_iter=500)),
        "svc": fitted(SVC()),
        "forest": fitted(RandomForestClassifier(5, random_state=0)),
        "net": net(),
    }


def with_tree(model: Any) -> dict[str, Any]:
    return {"lr": models()["lr"], "tree": fitted(model)}


def scorer(given: Any = None, attack: str = "auto", **params: Any) -> TransferScorer:
    generator = AdversarialGenerator(attack=attack, eps=0.15, max_iter=5, max_queries=30, batch_size=32)
    return TransferScorer(generator, random_state=0, **params).fit(given or models())


def transfer(given: Any = None, **params: Any) -> Any:
    return scorer(given, **params).transfer(X, Y, keep_samples=True)


def same(one: Any, other: Any) -> None:
    assert one == other
    for source in one.sources:
        np.testing.assert_allclose(one.samples(source), other.samples(source), atol=1e-5)


def once(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def n_asked(note: str) -> int:
    return os.path.getsize(note) if os.path.exists(note) else 0


def goes_on(note: str) -> bool:
    """Whether models are still asked."""
    before = n_asked(note)
    time.sleep(0.3)
    return n_asked(note) > before


def idle(cluster: Any) -> bool:
    """Whether no worker works, or has something to."""
    return not any(len(worker.processing) for worker in cluster.scheduler.workers.values())


def test_transfer_is_that_of_one_core(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    alone = transfer()
    with parallel_config("dask"):
        same(transfer(verbose=1), alone)
        curve = scorer(attack="pgd", sources=["net"]).transfer_curve(X, Y, eps=[0.1, 0.2])
    assert curve == scorer(attack="pgd", sources=["net"]).transfer_curve(X, Y, eps=[0.1, 0.2])
    assert "attack: 100%" in capsys.readouterr().err


CALLS: dict[str, Callable[[], Any]] = {
    "transfer_curve": lambda: (
        scorer(attack="pgd", sources=["net"]).transfer_curve(X, Y, eps=[0.1, 0.2]).to_frame()
    ),
    "measure": lambda: HalfwayScorer(n_pairs=50, random_state=0).fit(models()).measure(X, Y).to_frame(),
    "predict_transfer": lambda: HalfwayScorer(random_state=0).fit(models()).predict_transfer(X, Y, eps=0.1),
    "reproducibility": lambda: reproducibility(models(), X, n_planes=4, resolution=10, random_state=0).scores,
    "loss_variability": lambda: loss_variability(
        LogisticRegression(), X, Y, X_TRAIN, Y_TRAIN, n_fits=3, random_state=0
    ),
    "memorization_curve": lambda: memorization_curve(
        DecisionTreeClassifier(max_depth=5), X_TRAIN, Y_TRAIN, n_repeats=2, random_state=0
    ).values["training accuracy"],
}


@pytest.mark.parametrize("name", CALLS)
def test_other_long_work_is_that_of_one_core(name: str, cluster: Any) -> None:
    alone = CALLS[name]()
    with parallel_config("dask"):
        there = CALLS[name]()
    np.testing.assert_array_equal(np.asarray(there), np.asarray(alone))


def test_models_are_sent_once_and_cells_are_small(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is pickled for those that are asked, and as a source and as a target together."""
    given, sizes = with_tree(Counted(max_depth=8, random_state=0)), []
    submit = distributed.Client.submit

    def counting(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(sum(len(pickle.dumps(task[1][1:])) for task in kwargs["tasks"]))
        return submit(self, function, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "submit", counting)
    with parallel_config("dask"):
        transfer(given, attack="hopskipjump")
    assert given["tree"].n_pickled == 2
    n_jobs = 2 + 2 * 3 + 2  # blocks but the first, cells, second opinions
    assert 2 <= len(sizes) <= n_jobs
    assert sum(sizes) < 4 * X.nbytes + n_jobs * 10_000
    assert idle(cluster)


def test_a_killed_worker_changes_nothing(cluster: Any, tmp_path: Any) -> None:
    given = with_tree(Counted(max_depth=8, random_state=0))
    alone, first = transfer(given, attack="hopskipjump"), cluster.workers[0].pid
    note = given["tree"].note = str(tmp_path / "asked")

    def kill() -> None:
        once(lambda: n_asked(note) > 40 and not idle(cluster))
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with parallel_config("dask"):
        there = transfer(given, attack="hopskipjump")
    killer.join()
    same(there, alone)
    once(lambda: cluster.workers[0].pid not in (first, None) and len(cluster.scheduler.workers) == 2)


def test_a_search_is_that_of_one_core(cluster: Any) -> None:
    estimators = [("lr", LogisticRegression(max_iter=500)), ("tree", DecisionTreeClassifier(random_state=0))]
    generator = AdversarialGenerator(attack="pgd", max_iter=5)
    search = GridSearchCV(
        TransferScorer(generator, estimators=estimators, sources=["lr"], random_state=0),
        {"generator__eps": [0.05, 0.1], "lr__C": [1, 10]},
        cv=2,
    )
    alone = search.fit(X, Y).cv_results_["mean_test_score"]
    assert len(set(alone)) > 1
    with parallel_config("dask"):
        there = search.fit(X, Y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(alone, there)


def test_what_is_kept_in_a_folder_is_found_by_all_workers(cluster: Any, tmp_path: Any) -> None:
    with parallel_config("dask"):
        begun = transfer(memory=tmp_path / "kept", sources=["lr"])
        files = {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
        again = transfer(memory=tmp_path / "kept", sources=["lr"])
    assert len(files) > 5
    assert files == {path.name for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    same(begun, again)
    same(begun, transfer(sources=["lr"]))


def test_an_error_names_the_model_and_leaves_the_cluster_usable(cluster: Any) -> None:
    given = {"lr": models()["lr"], "old tree": fitted(Broken(max_depth=8, random_state=0))}
    with parallel_config("dask"):
        with pytest.raises(RuntimeError, match="old tree.*no such sample"):
            transfer(given, sources=["lr"], attack="pgd")
        once(lambda: idle(cluster))
        same(transfer(sources=["lr"]), transfer(sources=["lr"]))


def test_the_loss_of_all_workers_is_said_in_words(cluster: Any) -> None:
    with parallel_config("dask"):
        backend, _ = get_active_backend()
    with pytest.raises(RuntimeError, match="lost every worker"), on_cluster(backend, [Shared(1)]):
        raise CancelledError


def test_an_interrupt_leaves_nothing_running(cluster: Any, tmp_path: Any) -> None:
    given = with_tree(Counted(max_depth=8, random_state=0))
    note = given["tree"].note = str(tmp_path / "asked")

    def interrupt() -> None:
        once(lambda: n_asked(note) > 20 and not idle(cluster))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    pressing = threading.Thread(target=interrupt)
    generator = AdversarialGenerator(attack="hopskipjump", max_queries=10**5, batch_size=32)
    long = TransferScorer(generator, sources=["tree"], random_state=0).fit(given)
    with parallel_config("dask"):
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            long.transfer(X, Y)
    pressing.join()
    once(lambda: idle(cluster) and not goes_on(note), 10)


def add(box: Shared[int], i: int) -> int:
    return box.value + i


def slow(i: int) -> int:
    time.sleep(0.05)
    return i


def test_results_come_in_their_order_or_as_they_are_ready(cluster: Any) -> None:
    with parallel_config("dask"):
        jobs = [delayed(slow)(i) for i in range(6)]
        assert list(side_by_side(jobs, 6, n_jobs=None)) == list(range(6))
        assert sorted(side_by_side(jobs, 6, n_jobs=None, in_order=False)) == list(range(6))


def test_what_jobs_share_is_sent_anew_when_a_worker_is_lost_on_the_way(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, scatter = [], distributed.Client.scatter

    def interrupted(client: Any, data: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(type(data).__name__)
        if len(sent) < 3:
            raise distributed.comm.CommClosedError("Stream is closed")
        return scatter(client, data, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "scatter", interrupted)
    box = Shared(3)
    with parallel_config("dask"):
        assert list(side_by_side([delayed(add)(box, i) for i in range(3)], 3, n_jobs=None)) == [3, 4, 5]
    assert sent == ["Value"] * 3

    monkeypatch.setattr(_cluster, "_PAUSES", (0,))
    sent[:] = []
    with parallel_config("dask"), pytest.raises(distributed.comm.CommClosedError, match="Stream is closed"):
        list(side_by_side([delayed(add)(Shared(3), i) for i in range(3)], 3, n_jobs=None))
    assert len(sent) == 2


class Deadly(LogisticRegression):
    """Ends every process but the one that it was made in."""

    home = None

    def predict(self, X: Any) -> Any:
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(X)


def test_a_model_that_ends_its_workers_loses_its_own_rates_alone(cluster: Any) -> None:
    deadly, given = fitted(Deadly(max_iter=500)), models()
    deadly.home = os.getpid()
    generator = AdversarialGenerator(attack="pgd", eps=0.1, max_iter=5)
    params = {"error_score": np.nan, "random_state": 0, "sources": list(given)[:1]}
    with parallel_config("dask"), pytest.warns(ModelWarning, match="its worker process died"):
        matrix = TransferScorer(generator, **params).fit({**given, "deadly": deadly}).transfer(X[:64], Y[:64])
    assert {target for _, target in matrix.failures} == {"deadly"}
    alone = TransferScorer(generator, **params).fit(given).transfer(X[:64], Y[:64])
    np.testing.assert_array_equal(matrix.fooled[:, : len(given)], alone.fooled)
