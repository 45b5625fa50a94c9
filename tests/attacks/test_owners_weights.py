"""An attack of the user's that writes to weights is refused, and the weights stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator

X = np.random.RandomState(0).normal(size=(20, 5)).astype(np.float32)
Y = np.arange(20) % 3


def made() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 3)).eval()


def halved(model: Any) -> None:
    for weight in model.parameters():
        weight.data.mul_(0.5)


def in_place(model: Any) -> None:
    with torch.no_grad():
        model[0].weight.add_(1.0)


def replaced(model: Any) -> None:
    model[3].weight = nn.Parameter(torch.zeros(3, 7))


def moved(model: Any) -> None:
    model[0].bias.data = torch.zeros(7)


def raising(model: Any) -> None:
    halved(model)
    raise ZeroDivisionError("after the write")


def a_step(model: Any) -> None:
    """As an optimiser makes it."""
    for weight in model.parameters():
        weight.requires_grad_()
    nn.functional.cross_entropy(model(torch.tensor(X)), torch.tensor(Y)).backward()
    torch.optim.SGD(model.parameters(), 0.1).step()


@pytest.mark.parametrize("write", [halved, in_place, replaced, moved, a_step])
def test_weights_are_put_back(write: Callable[[Any], None]) -> None:
    module = made()
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def attack(model: Any, X: Any, y: Any) -> Any:
        write(model)
        return X

    generator = AdversarialGenerator(module, attack=attack, eps=0.1)
    match = (
        "attack raised ValueError: it wrote to the weights of the model, .* put back as they were; write to"
    )
    for _ in range(2):  # the generator keeps its view of the module
        with pytest.raises(ValueError, match=match) as caught:
            generator.generate(X, Y)
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert write is not in_place or "['0.weight']" in str(caught.value)
    # the view is that of the owner's weights again
    generator.set_params(attack=lambda model, X, y: X + 1e-3 * model(torch.tensor(X)).detach().numpy()[:, :1])
    own = module(torch.tensor(X)).detach().numpy()[:, :1]
    np.testing.assert_allclose((generator.generate(X, Y) - X)[:, :1], 1e-3 * own, atol=1e-6)
    with torch.no_grad():
        module[3].weight.mul_(3.0)
        module[3].bias.mul_(3.0)
    np.testing.assert_allclose((generator.generate(X, Y) - X)[:, :1], 3e-3 * own, atol=1e-6)


def test_weights_are_put_back_where_the_attack_fails() -> None:
    module = made()
    before = {name: value.clone() for name, value in module.state_dict().items()}

    def attack(model: Any, X: Any, y: Any) -> Any:
        raising(model)

    with pytest.raises(RuntimeError, match="ZeroDivisionError: after the write"):
        AdversarialGenerator(module, attack=attack, eps=0.1).generate(X, Y)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_weights_of_a_skorch_net_are_put_back() -> None:
    net = NeuralNetClassifier(made(), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0).fit(X, Y)
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}

    def attack(model: Any, X: Any, y: Any) -> Any:
        halved(model.module_)
        return X

    with pytest.raises(ValueError, match="it wrote to the weights of the model"):
        AdversarialGenerator(net, attack=attack, eps=0.1).fit(X, Y).generate(X, Y)
    assert all(torch.equal(value, before[name]) for name, value in net.module_.state_dict().items())
