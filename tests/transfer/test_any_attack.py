"""Second opinions on any attack: functions of the user's, attacks by queries, random answers."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer
from skhalfway.models import ModelWarning
from skhalfway.transfer._doubted import SEEMS

EPS = 0.15


def trained(X: Any, y: Any, seed: int, n_outputs: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, n_outputs))
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(torch.tensor(X[:1000]).float()), torch.tensor(y[:1000])).backward()
        optimizer.step()
    return module


@pytest.fixture(scope="module")
def nets(digits: Any) -> list[nn.Module]:
    return [trained(*digits, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def samples(digits: Any) -> Any:
    return digits[0][1000:1080].astype(np.float32), digits[1][1000:1080]


class Behind(nn.Module):
    """A network behind a function."""

    def __init__(self, net: nn.Module, function: Any) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.net, x)


class Vote:
    """The most frequent of several answers to noisy copies, drawn anew each time."""

    classes_ = np.arange(10)

    def __init__(self, net: nn.Module, n: int = 5, spread: float = 0.3) -> None:
        self.net, self.n, self.spread = net, n, spread
        self.draws = torch.Generator().manual_seed(0)

    def predict(self, X: Any) -> Any:
        x, votes = torch.tensor(np.asarray(X, dtype=np.float32)), 0
        with torch.no_grad():
            for _ in range(self.n):
                noise = torch.randn(x.shape, generator=self.draws)
                votes = votes + nn.functional.one_hot(self.net(x + self.spread * noise).argmax(1), 10)
        return votes.argmax(1).numpy()


def squared_steps(model: Any, X: Any, y: Any) -> Any:
    """Steps along the cross-entropy's gradient."""
    start, label = torch.tensor(X), torch.tensor(y)
    x = start.clone()
    for _ in range(12):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), label), x)
        x = (x.detach() + 0.04 * slope.sign()).clamp(start - EPS, start + EPS).clamp(0, 1)
    return x


def unmoved(model: Any, X: Any, y: Any) -> Any:
    return X


def measured(models: Any, attack: Any, samples: Any, **params: Any) -> tuple[TransferMatrix, list[str]]:
    """The matrix, and the doubts about each model."""
    generator = AdversarialGenerator(attack=attack, eps=EPS, clip_values=(0, 1), **params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        matrix = TransferScorer(generator, random_state=0).fit(models).transfer(*samples)
    return matrix, [str(warning.message) for warning in caught if SEEMS in str(warning.message)]


def coarse(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return net(torch.round(x * 5) / 5)


def large(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return 5e3 * net(x)


def one_hot(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return 6.0 * nn.functional.one_hot(net(x).argmax(1), 10) - 3


def parity(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return (net(x).argmax(1) % 2).long()


@pytest.mark.parametrize(
    ("function", "masked", "remedy"),
    [
        (coarse, True, "its gradients may be masked, and attack='hopskipjump'"),
        (large, False, "the attack is too weak here, and attack='pgd' with n_restarts=5 is stronger"),
    ],
)
def test_a_function_that_misses_what_others_find_is_doubted(nets, samples, function, masked, remedy) -> None:
    models = {"hidden": Behind(nets[0], function), "open": nets[1]}
    matrix, said = measured(models, squared_steps, samples)
    assert matrix.source_success[0] < 0.05 and matrix.rates[1, 0] > 0.5
    assert matrix.masked.tolist() == [masked, False]
    assert len(said) == 1 and remedy in said[0]
    assert said[0].startswith("model 'hidden': attack=squared_steps fools it on 0 of")
    # the row is marked in either case
    assert "hidden * " in repr(matrix) and "open *" not in repr(matrix)
    assert [label.get_text() for label in matrix.plot().ax_.get_yticklabels()] == ["hidden *", "open"]


def test_a_function_that_does_nothing_is_doubted_for_every_model(nets, samples) -> None:
    forest = RandomForestClassifier(20, random_state=0).fit(*samples)
    matrix, said = measured({"net": nets[0], "other": nets[1], "forest": forest}, unmoved, samples)
    assert not matrix.fooled.any()
    assert [text.partition(":")[0] for text in said] == ["model 'net'", "model 'other'", "model 'forest'"]
    assert all("attack=unmoved fools it on 0 of" in text and "a few queries" in text for text in said)


def test_a_good_function_is_not_doubted(nets, samples) -> None:
    matrix, said = measured({"one": nets[0], "two": nets[1]}, squared_steps, samples)
    assert matrix.source_success.min() > 0.7 and matrix.masked.tolist() == [False, False] and not said


@pytest.mark.parametrize("attack", ["auto", "auto-strong"])
def test_answers_that_are_random_are_doubted(nets, samples, attack: str) -> None:
    matrix, (doubt,) = measured({"vote": Vote(nets[0]), "net": nets[1]}, attack, samples, max_queries=60)
    assert matrix.masked.tolist() == [True, False] and doubt.startswith("model 'vote': ")
    pattern = r"its answers are random: asked twice, it answers differently for \d+ of \d+ samples"
    assert re.search(pattern, doubt)


@pytest.mark.parametrize("attack", ["auto", "auto-strong"])
def test_too_few_queries_are_doubted(nets, samples, attack: str) -> None:
    X, y = samples
    two = Behind(nets[1], lambda net, x: torch.stack([net(x)[:, k::2].logsumexp(1) for k in (0, 1)], dim=1))
    # the other one is attacked by its gradient
    matrix, (doubt,) = measured({"ints": Answers(nets[0]), "net": two}, attack, (X, y % 2), max_queries=15)
    assert matrix.masked.tolist() == [True, False]
    assert doubt.startswith(f"model 'ints': attack='{attack}' fools it on")
    assert "max_queries=15 may be too few, or its answers may be random; raise it, or try attack=" in doubt
    assert "'hopskipjump'" not in doubt


class Answers:
    """Whole numbers, as a service gives them."""

    classes_ = np.arange(2)

    def __init__(self, net: nn.Module) -> None:
        self.net = net

    def predict(self, X: Any) -> Any:
        with torch.no_grad():
            return parity(self.net, torch.tensor(np.asarray(X, dtype=np.float32))).numpy()


@pytest.mark.parametrize("flat", [False, True])
def test_the_strong_attack_asks_predictions_where_there_is_no_gradient(nets, samples, flat: bool) -> None:
    """A graph that is cut, or a gradient of exactly 0: scores of one-hot answers lead square nowhere."""

    def answers(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return one_hot(net, x) + 0 * net(x) if flat else one_hot(net, x)

    success = {}
    for attack in ("square", "auto", "auto-strong"):
        models = {"hard": Behind(nets[0], answers), "net": nets[1]}
        matrix, _ = measured(models, attack, samples, max_queries=500)
        success[attack] = matrix.source_success[0]
    assert success["auto-strong"] >= success["auto"] > success["square"] + 0.1
