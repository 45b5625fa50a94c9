"""What many jobs share: sent once, opened once in each process, no other result for it."""

from __future__ import annotations

import pickle
from threading import Lock

import numpy as np
import pytest
from joblib import delayed, parallel_config

from skhalfway import _shared
from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared


class Counted:
    """Counts how often it was pickled."""

    def __init__(self) -> None:
        self.n_pickled, self.large = 0, np.arange(10**6)

    def __getstate__(self) -> dict[str, object]:
        self.n_pickled += 1
        return {"n_pickled": self.n_pickled, "large": self.large}


def where(shared: Shared[Counted], i: int) -> tuple[int, int]:
    return id(shared.value), int(shared.value.large[i])


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_what_is_shared_is_pickled_once_and_opened_once_in_each_process(backend: str) -> None:
    shared = Shared(Counted())
    with parallel_config(backend, n_jobs=2):
        found = list(side_by_side((delayed(where)(shared, i) for i in range(20)), 20, n_jobs=None))
    assert [number for _, number in found] == list(range(20))
    assert shared.value.n_pickled == (0 if backend == "threading" else 1)
    assert len({place for place, _ in found}) <= 2


def test_pickles_of_a_box_are_one_object_and_share_their_large_arrays() -> None:
    shared = Shared({"small": np.arange(3), "large": np.arange(10.0**5), "function": lambda x: x + 1})
    one, other = (pickle.loads(pickle.dumps(shared)) for _ in range(2))
    assert one is other and one is not shared
    np.testing.assert_array_equal(one.value["large"], shared.value["large"])
    np.testing.assert_array_equal(one.value["small"], [0, 1, 2])
    assert one.value["function"](1) == 2
    sent = shared.__reduce__()[1][1:]
    assert [len(array) for array in sent][1:] == [8 * 10**5] and len(sent[0]) < 10**4
    assert np.shares_memory(sent[1], shared.value["large"])


def test_a_process_keeps_few_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shared, "_RECEIVED", type(_shared._RECEIVED)())
    boxes = [Shared(i) for i in range(4)]
    opened = [pickle.loads(pickle.dumps(box)) for box in boxes]
    assert [box.value for box in opened] == [0, 1, 2, 3]
    assert len(_shared._RECEIVED) == 2
    assert pickle.loads(pickle.dumps(boxes[3])) is opened[3]
    again = pickle.loads(pickle.dumps(boxes[0]))
    assert again is not opened[0] and again.value == 0


@pytest.mark.parametrize(
    ("value", "who"),
    [
        (({"good": 1, "bad": Lock()}, None), "'bad' cannot be sent to other processes: cannot pickle"),
        (({"good": 1}, Lock()), "what jobs need cannot be sent to other processes: cannot pickle"),
    ],
    ids=["named", "unnamed"],
)
@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_what_does_not_pickle_is_named(backend: str, value: object, who: str) -> None:
    """joblib says only that it could not pickle the task."""
    jobs = [delayed(where)(Shared(value), i) for i in range(2)]
    with parallel_config(backend, n_jobs=2), pytest.raises(TypeError, match=who):
        list(side_by_side(jobs, 2, n_jobs=None))
