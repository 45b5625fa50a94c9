"""Gradients in fewer digits: attacks come to the same, predictions stay the model's own."""

from __future__ import annotations

import re
import threading
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.attacks._gradient import Batch
from skhalfway.models import _precision, as_model
from tests.attacks.conftest import Case

DTYPES = ("bfloat16", "float16")
OF_TORCH = ("cnn", "torch_mlp", "skorch", "art")


@pytest.fixture
def followed(monkeypatch):
    """Types in which sources were asked for logits by attacks."""
    types, logits = [], Batch.logits

    def noted(self, x, *args):
        with torch.no_grad():
            inner = self.model.module
        handle = [
            part.register_forward_hook(lambda _, __, z: types.append(z.dtype))
            for part in inner.modules()
            if isinstance(part, nn.Linear)
        ]
        try:
            return logits(self, x, *args)
        finally:
            for each in handle:
                each.remove()

    monkeypatch.setattr(Batch, "logits", noted)
    return types


def made(case, dtype, **params):
    params = {"attack": "pgd", "eps": 0.1, "random_state": 0} | params
    generator = AdversarialGenerator(case.source, dtype=dtype, **params)
    return generator.generate(case.X, case.y)


def success(case, X_adv) -> float:
    return float((as_model(case.source).predict(X_adv) != case.y).mean())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm"])
@pytest.mark.parametrize("name", OF_TORCH)
def test_attacks_come_to_nearly_the_same(name, attack, dtype, zoo, followed):
    case = zoo(name)
    whole = made(case, None, attack=attack)
    n_whole = len(followed)
    assert set(followed) <= {torch.float32}
    fewer = made(case, dtype, attack=attack)
    assert set(followed[n_whole:]) == {getattr(torch, dtype)}
    assert fewer.dtype == whole.dtype == case.X.dtype
    assert np.abs(fewer - case.X).max() <= 0.1 + 1e-6
    assert success(case, fewer) == pytest.approx(success(case, whole), abs=0.03)
    assert success(case, whole) > 0.3


@pytest.mark.parametrize("norm", [2, 1])
def test_in_other_norms(norm, zoo):
    case = zoo("cnn")
    eps = {2: 0.8, 1: 4.0}[norm]
    whole, fewer = (made(case, dtype, norm=norm, eps=eps) for dtype in (None, "bfloat16"))
    assert success(case, fewer) == pytest.approx(success(case, whole), abs=0.03)


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        ("logistic", "pgd"),
        ("mlp", "pgd"),
        ("svc", "pgd"),
        ("forest", "auto"),
        ("opaque", "hopskipjump"),
        ("opaque", "surrogate"),
        ("cnn", "deepfool"),
        ("cnn", "fmn"),
        ("cnn", "square"),
        ("cnn", lambda model, X, y: X + 0.05 * np.sign(X - X.mean())),
    ],
    ids=lambda given: given if isinstance(given, str) else "own function",
)
def test_no_effect_on_others(name, attack, zoo):
    case = zoo(name)
    params = {
        "attack": attack,
        "norm": 2 if attack == "deepfool" else np.inf,
        "max_queries": 20,
        "max_iter": 5,
    }
    whole, fewer = (made(case, dtype, **params) for dtype in (None, "bfloat16"))
    assert fewer.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", OF_TORCH)
def test_predictions_and_weights_are_the_models_own(name, zoo):
    case = zoo(name)
    model = as_model(case.source)
    before = model.predict(case.X)
    weights = [weight.detach().clone() for weight in model.module.parameters()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made(case, "bfloat16")
        generator = AdversarialGenerator(case.source, attack="pgd", eps=0.1, dtype="bfloat16")
        own = generator.transform(case.X)  # attacks the model's own answers
    assert as_model(case.source).predict(case.X).tolist() == before.tolist()
    for weight, was in zip(model.module.parameters(), weights, strict=True):
        assert weight.dtype == was.dtype and weight.grad is None
        assert torch.equal(weight, was)
    assert own.tobytes() == made(Case(case.source, case.X, before), "bfloat16").tobytes()


def test_the_best_restart_is_chosen_in_the_sources_own_type(zoo, followed):
    made(zoo("torch_mlp"), "bfloat16", n_restarts=2, max_iter=2)
    assert {torch.float32, torch.bfloat16} == set(followed)


def test_outputs_are_told_in_the_sources_own_type(zoo):
    """What a module returns is seen at its first call, in all digits: sums of probabilities are 1 there."""
    seen = []

    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = zoo("torch_mlp").source

        def forward(self, x):
            z = self.layer(x)
            seen.append(z.dtype)
            return z

    model = as_model(Told())
    x = torch.from_numpy(zoo("torch_mlp").X)
    with model.evaluating(), _precision.in_fewer_digits(model, "bfloat16"):
        model.logits(x)
    assert seen[0] == torch.float32 and seen[-1] == torch.bfloat16


class Faint(nn.Module):
    """Backward, numbers between its layers are so small, or so large, that float16 has none like them."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.scale = scale

    def forward(self, x):
        return self.last(self.first(x) * self.scale) / self.scale


@pytest.mark.parametrize("scale", [1e-9, 1e6], ids=["lost", "too large"])
def test_what_float16_does_not_hold_is_taken_in_the_sources_own_type(scale, zoo):
    case = zoo("torch_mlp")
    net, labels = Faint(scale), np.zeros(len(case.X), dtype=int)
    whole, fewer = (
        AdversarialGenerator(net, attack="pgd", eps=0.1, max_iter=5, dtype=dtype).generate(case.X, labels)
        for dtype in (None, "float16")
    )
    assert np.isfinite(fewer).all()
    assert (np.sign(fewer - case.X) == np.sign(whole - case.X)).mean() > 0.98


def test_threads_do_not_see_each_others_types(zoo):
    case = zoo("cnn")
    expected = {dtype: made(case, dtype, max_iter=10).tobytes() for dtype in (None, "bfloat16")}
    wrong = []

    def work(dtype) -> None:
        for _ in range(3):
            if made(case, dtype, max_iter=10).tobytes() != expected[dtype]:
                wrong.append(dtype)

    threads = [threading.Thread(target=work, args=(dtype,)) for dtype in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat", 16, True, torch.bfloat16, ["bfloat16"]], ids=str)
def test_other_types_are_refused_before_any_work(dtype, zoo):
    case = zoo("cnn")
    with pytest.raises(ValueError, match="dtype must be 'bfloat16', 'float16' or None, got "):
        AdversarialGenerator(case.source, dtype=dtype).generate(case.X, case.y)


@pytest.mark.parametrize("device", [None, "cpu", ["cpu"]])
@pytest.mark.parametrize(
    ("how", "why"),
    [
        (
            lambda: warnings.warn("the target dtype is not supported. Disabling autocast.", stacklevel=1),
            "not sup",
        ),
        (lambda: torch.zeros(2) @ torch.zeros(3), "size"),
    ],
    ids=["warned of", "an error"],
)
def test_a_device_that_cannot_compute_in_a_type_is_refused_before_any_work(
    how, why, device, zoo, monkeypatch
):
    case, autocast = zoo("cnn"), torch.autocast

    def unable(kind, dtype=None, enabled=True):
        how()
        return autocast(kind, dtype=dtype, enabled=False)

    _precision._check_computes.cache_clear()
    monkeypatch.setattr(torch, "autocast", unable)
    with pytest.raises(
        ValueError, match=f"dtype='float16' cannot be used on the device 'cpu': .*{why}.*; pass another one"
    ):
        AdversarialGenerator(case.source, dtype="float16", attack="pgd", device=device).generate(
            case.X, case.y
        )


def test_a_device_that_goes_on_in_another_type_is_refused(zoo, monkeypatch):
    case, autocast = zoo("cnn"), torch.autocast
    _precision._check_computes.cache_clear()
    monkeypatch.setattr(
        torch, "autocast", lambda kind, dtype=None, enabled=True: autocast(kind, dtype=dtype, enabled=False)
    )
    with pytest.raises(ValueError, match=re.escape("it computes in torch.float32 instead")):
        AdversarialGenerator(case.source, dtype="bfloat16", attack="pgd").generate(case.X, case.y)


def test_it_is_a_parameter_like_any_other():
    generator = AdversarialGenerator(dtype="bfloat16")
    assert generator.get_params()["dtype"] == clone(generator).dtype == "bfloat16"
    assert "dtype='bfloat16'" in repr(generator)
