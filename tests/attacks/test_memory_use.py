"""Batches that fit in memory: measured beforehand, halved where memory is full all the same."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import _memory_use, as_model
from skhalfway.models._memory_use import bytes_of_gradient, free_memory, samples_that_fit

SEEN: list[int] = []  # sizes of batches


class Counting(nn.Module):
    """A linear classifier that notes how many samples it is given with a gradient, and may be full."""

    def __init__(self, most: int = 10**6, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.most, self.error = nn.Linear(64, 10), most, error

    def forward(self, x):
        if x.requires_grad:
            SEEN.append(len(x))
            if len(x) > self.most:
                raise self.error("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return self.linear(x)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:100] / 16).astype(np.float32), y[:100]


def test_what_a_gradient_holds_in_closed_form():
    """Of a linear layer nothing but its input, once for all that use it; of a ReLU its output."""
    torch.manual_seed(0)
    X = np.ones((4, 100), dtype=np.float32)
    for layers, expected in [
        ([nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 3)], 4 * 50),
        ([nn.Linear(100, 50), nn.Sigmoid(), nn.Linear(50, 70), nn.ReLU(), nn.Linear(70, 3)], 4 * (50 + 70)),
        ([nn.Linear(100, 50), nn.Sigmoid(), nn.Dropout(), nn.Linear(50, 3)], 4 * 50),
    ]:
        assert bytes_of_gradient(as_model(nn.Sequential(*layers)), X) == expected


def test_what_a_gradient_holds_grows_as_images_do():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    small, large = (np.ones((2, 3, n, n), dtype=np.float32) for n in (16, 32))
    assert bytes_of_gradient(as_model(net), large) == pytest.approx(
        4 * bytes_of_gradient(as_model(net), small), rel=0.05
    )


def test_as_many_as_fit(monkeypatch, digits):
    model = as_model(nn.Sequential(nn.Linear(64, 1000), nn.ReLU(), nn.Linear(1000, 10)))
    each = 2 * 4 * 1000 + 12 * 8 * 64  # what is held at the worst moment, and copies of the sample
    for free, n_workers, expected in [
        (2 * 256 * each, 1, 256),
        (2 * 256 * each - 1, 1, 128),
        (2 * 300 * each, 2, 128),
        (1, 1, 1),
    ]:
        monkeypatch.setattr(_memory_use, "free_memory", lambda device, free=free: free)
        assert samples_that_fit(model, digits[0], n_workers) == expected


def test_free_memory_is_that_of_the_machine_or_of_its_container(monkeypatch, tmp_path):
    assert 2**20 < free_memory() < 2**50
    limit, used, parts = (tmp_path / name for name in ("max", "current", "stat"))
    monkeypatch.setattr(_memory_use, "_CGROUPS", [(limit, used, parts), (tmp_path / "none", used, parts)])
    parts.write_text("anon 260000\nfile 40000\ninactive_file 30000\nactive_file 10000\n")
    limit.write_text("1000000\n"), used.write_text("300000\n")
    assert free_memory() == 740_000  # caches of files can be given up
    used.write_text("2000000\n")
    assert free_memory() == 0
    limit.write_text("max\n")
    assert free_memory() > 2**20


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_batches_are_as_large_as_fit_and_results_are_the_same(n_jobs, monkeypatch, digits):
    X, y = digits
    net = Counting()
    generator = AdversarialGenerator(attack="pgd", eps=0.2, max_iter=3)

    def measured():
        SEEN.clear()
        models = {"net": net, "mlp": mlp}
        scorer = TransferScorer(generator, n_jobs=n_jobs, random_state=0, condition="all").fit(models)
        matrix = scorer.transfer(X, y, keep_samples=True)
        sizes = max(SEEN)
        SEEN.clear()
        made = AdversarialGenerator(net, attack="pgd", eps=0.2, max_iter=3).generate(X, y)
        return matrix, made, [sizes, max(SEEN)]

    mlp = MLPClassifier((8,), max_iter=2000, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, made, sizes = measured()
        assert sizes == [100, 100]
        monkeypatch.setattr(_memory_use, "free_memory", lambda device: 2 * 17 * 12 * 8 * 64 * n_jobs)
        again, made_again, sizes = measured()
        assert sizes == [16, 16 * n_jobs]  # a generator has the memory for itself
    assert whole == again
    np.testing.assert_allclose(whole.samples("net"), again.samples("net"), atol=1e-5)
    np.testing.assert_allclose(made, made_again, atol=1e-5)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved_and_said(error, digits):
    X, y = digits
    params = {"attack": "pgd", "eps": 0.2, "max_iter": 3, "random_start": True, "random_state": 0}
    expected = AdversarialGenerator(Counting(), **params).generate(X, y)
    net = Counting(30, error)
    SEEN.clear()
    with pytest.warns(UserWarning, match="Counting takes more memory for .* samples at once") as caught:
        made = AdversarialGenerator(net, **params).generate(X, y)
    assert [str(w.message).split(" samples")[0].split()[-1] for w in caught] == ["100", "50", "50"]
    assert min(SEEN[1:]) == 25  # after the measurement
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_other_errors_are_no_reason_for_smaller_batches(digits):
    X, y = digits
    net = Counting(0)
    net.most, net.error = 10, ValueError
    with pytest.raises(ValueError, match="allocate"):
        AdversarialGenerator(net, attack="pgd").generate(X, y)
    with pytest.raises(RuntimeError, match="allocate"):  # not even one
        AdversarialGenerator(Counting(0), attack="pgd").generate(X[:2], y[:2])


def test_attacks_without_a_gradient_are_not_measured(monkeypatch, digits):
    X, y = digits
    monkeypatch.setattr(_memory_use, "bytes_of_gradient", None)
    model = LogisticRegression(max_iter=500).fit(X, y)
    AdversarialGenerator(model, attack="square", max_queries=5).fit(X, y).generate(X[:5], y[:5])


def test_nothing_of_the_gradient_is_held_afterwards():
    """An output that autograd saves would hold its own graph, if the hook that notes it gave it back."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3), nn.LogSoftmax(1)).eval()
    model, X = as_model(net, output="logits"), np.zeros((2, 4), np.float32)
    bytes_of_gradient(model, X)
    gc.collect()
    before = sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())
    for _ in range(5):
        bytes_of_gradient(model, X)
    gc.collect()
    # what other tests left may go meanwhile; a graph that is held is one a call at least
    assert sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects()) < before + 5
