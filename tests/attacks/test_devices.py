"""Several devices take turns, and change no result; those that are not there are refused before any work."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway._devices import Turns, available, check_device
from skhalfway.attacks._batch_size import batch_of
from skhalfway.models import Model, _memory_use, as_model

TWO = ["cpu", "cpu:0"]  # two names of one device, to tell turns apart


@pytest.fixture
def given(monkeypatch):
    """The devices that models are asked to lie on, and in which threads, in order."""
    seen, on = [], Model.on

    def noted(self, device):
        seen.append((device, threading.get_ident()))
        return on(self, device)

    monkeypatch.setattr(Model, "on", noted)
    return seen


@pytest.mark.parametrize(
    "devices", [["cpu", "cpu"], ("cpu", "cpu:0"), [torch.device("cpu")], TWO * 2], ids=str
)
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cnn", {"attack": "pgd", "random_start": True, "n_restarts": 2}),
        ("torch_mlp", {"attack": "fmn", "norm": 2, "eps": 1.0}),
        ("logistic", {"attack": "auto"}),
        ("forest", {"attack": "auto", "max_queries": 30}),
        ("forest", {"attack": "square", "max_queries": 30}),
    ],
)
def test_turns_change_no_result(name, params, devices, zoo):
    case = zoo(name)
    params = {"eps": 0.1, "max_iter": 4, "batch_size": 8, "random_state": 0} | params
    one, several = (AdversarialGenerator(case.source, device=device, **params) for device in ("cpu", devices))
    X_adv, in_turns = (each.generate(case.X, case.y) for each in (one, several))
    assert in_turns.tobytes() == X_adv.tobytes()
    for attribute in ("distances_", "n_queries_"):
        np.testing.assert_array_equal(getattr(several, attribute), getattr(one, attribute))


def test_batches_go_to_the_devices_in_turn(zoo, given):
    case = zoo("cnn")
    generator = AdversarialGenerator(case.source, attack="pgd", eps=0.1, max_iter=2, batch_size=8, device=TWO)
    generator.generate(case.X, case.y)
    here = threading.get_ident()
    attacked = [device for device, thread in given if thread != here]
    n_batches = -(-len(case.X) // 8)
    assert [attacked.count(device) for device in TWO] == [-(-n_batches // 2), n_batches // 2]


@pytest.mark.parametrize(
    ("name", "attack", "batch_size"),
    [("cnn", "pgd", 1000), ("forest", "hopskipjump", 8)],
    ids=["one batch", "answers"],
)
def test_what_cannot_take_turns_goes_to_the_first(name, attack, batch_size, zoo, given):
    case = zoo(name)
    AdversarialGenerator(
        case.source, attack=attack, eps=0.1, max_iter=2, max_queries=20, batch_size=batch_size, device=TWO
    ).generate(case.X, case.y)
    assert {thread for _, thread in given} <= {threading.get_ident()}
    assert not given or given[-1][0] == "cpu"


def test_another_attack_goes_to_the_first(zoo, given):
    case = zoo("cnn")
    AdversarialGenerator(case.source, attack=lambda model, X, y: X, device=TWO).generate(case.X, case.y)
    assert [device for device, _ in given] == ["cpu"]


class Small(nn.Module):
    """A network that holds few samples at once."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Linear(64, 10)

    def forward(self, x):
        if x.requires_grad and len(x) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return self.layer(x)


def test_a_batch_that_does_not_fit_is_halved_on_its_device(zoo):
    X, y = zoo("torch_mlp").X, zoo("torch_mlp").y
    whole = AdversarialGenerator(Small().layer, attack="pgd", eps=0.1, max_iter=3, batch_size=8).generate(
        X, y
    )
    generator = AdversarialGenerator(Small(), attack="pgd", eps=0.1, max_iter=3, batch_size=8, device=TWO)
    with pytest.warns(UserWarning, match="Small takes more memory for 8 samples at once than is free"):
        halved = generator.generate(X, y)
    np.testing.assert_allclose(halved, whole, atol=1e-6)


def test_a_model_that_lies_there_is_no_copy():
    model = as_model(nn.Linear(3, 2))
    assert all(model.on(device) is model for device in (None, "cpu", "cpu:0", torch.device("cpu")))
    assert model.on("meta").device == torch.device("meta")
    assert model.device == torch.device("cpu") == as_model(nn.ReLU(), classes=[0, 1]).device


def test_devices_share_the_workers(monkeypatch):
    workers = []
    monkeypatch.setattr(
        "skhalfway.attacks._batch_size.samples_that_fit", lambda model, X, n: workers.append(n) or 2**n
    )
    monkeypatch.setattr(_memory_use, "free_memory", lambda device: 2**30)
    model, X = as_model(nn.Linear(3, 2)), np.zeros((4, 3), dtype=np.float32)
    for device, n_workers, expected in [
        (None, 3, [3]),
        ("cpu", 3, [3]),
        (["cpu", "cpu"], 4, [4]),
        (["cpu", "meta"], 1, [1, 1]),
        (["cpu", "meta"], 4, [2, 2]),
        (["cpu", "meta"], 5, [3, 3]),
    ]:
        workers.clear()
        generator = AdversarialGenerator(attack="pgd", device=device)
        assert batch_of(generator, model, X, n_workers) == 2 ** min(expected)
        assert workers == expected


def test_small_samples_are_attacked_more_at_once(monkeypatch):
    """Where a gradient is cheap; more of these cost little more than few."""
    monkeypatch.setattr("skhalfway.attacks._batch_size.samples_that_fit", lambda model, X, n: 2**30)
    X, y = np.random.RandomState(0).rand(30, 4), np.arange(30) % 2
    module, forest = nn.Linear(4, 2), RandomForestClassifier(2).fit(X, y)
    for model, attack, shape, expected in [
        (module, "pgd", (4,), 1024),
        (module, "pgd", (3, 32, 32), 256),
        (module, "pgd", (1, 28, 28), 1024),
        (module, "pgd", (2048,), 512),
        (module, "hopskipjump", (4,), 256),
        (LogisticRegression().fit(X, y), "auto", (4,), 1024),
        (forest, "pgd", (4,), 256),
        (forest, "square", (4,), 256),
        (module, lambda model, X, y: X, (4,), 256),
    ]:
        generator = AdversarialGenerator(attack=attack)
        source = as_model(model, classes=[0, 1]) if model is module else as_model(model)
        assert batch_of(generator, source, np.zeros((1, *shape))) == expected
        assert batch_of(generator.set_params(batch_size=7), source, np.zeros((1, *shape))) == 7


def test_turns_go_where_least_is_going_on():
    turns = Turns(["a", "b"])
    assert [turns.take(k) for k in range(4)] == ["a", "b", "a", "b"]
    turns.done(1), turns.done(3)
    assert [turns.take(k) for k in (4, 5)] == ["b", "b"]
    for k in (0, 2, 4, 5):
        turns.done(k)
    assert turns.take(6) == "a"  # it had two, the other four
    assert [Turns(None).take(k) for k in range(2)] == [None, None]


def test_turns_of_many_threads_are_spread_evenly():
    turns, counts = Turns(["a", "b", "c"]), []

    def work(first: int) -> None:
        for k in range(first, first + 200):
            counts.append(turns.take(k))

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {device: counts.count(device) for device in "abc"} == dict.fromkeys("abc", 400)


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ([], "device must name at least one device, got []; pass 'cpu' or None"),
        ((), "device must name at least one device, got (); pass 'cpu' or None"),
        (["cpu", "nope"], "device='nope' cannot be used on this machine: "),
        (["cpu", "cuda:77"], "device='cuda:77' cannot be used on this machine: "),
        (["cpu", 3.5], "device=3.5 cannot be used on this machine: "),
        (["cpu", None], "None in ['cpu', None] is not a device; pass 'cpu' or None"),
        (["cpu", ["cpu"]], "['cpu'] in ['cpu', ['cpu']] is not a device; pass 'cpu' or None"),
        ({"cpu": 1}, "device={'cpu': 1} cannot be used on this machine: "),
    ],
    ids=str,
)
def test_devices_that_are_not_there_are_refused_before_any_work(device, message, zoo, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
    case = zoo("logistic")
    generator = AdversarialGenerator(case.source, device=device)
    monkeypatch.setattr(Model, "predict", lambda self, X: pytest.fail("the source was asked"))
    for call in (lambda: generator.generate(case.X, case.y), lambda: generator.fit(case.X, case.y)):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


def test_messages_say_which_devices_there_are(monkeypatch):
    found = SimpleNamespace(type="cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert available() == ["cpu", "cuda:0", "cuda:1"]
    with pytest.raises(ValueError, match="device='nope' .* pass 'cpu', 'cuda:0', 'cuda:1' or None"):
        check_device("nope")


def test_a_list_where_one_device_is_wanted_is_refused():
    with pytest.raises(ValueError, match=re.escape("device=['cpu'] cannot be used on this machine")):
        check_device(["cpu"])


def test_a_list_of_devices_is_a_parameter_like_any_other():
    generator = AdversarialGenerator(device=TWO)
    assert generator.get_params()["device"] is TWO
    assert clone(generator).device == TWO
    assert "device=['cpu', 'cpu:0']" in repr(generator)
    assert generator.set_params(device=("cpu",)).device == ("cpu",)
