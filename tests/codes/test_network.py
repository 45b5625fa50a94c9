"""What is recorded is what the network computes, at the layers that were meant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skhalfway.codes._network import Network, joined


def recorded(net: Any, X: Any, layers: Any = "auto", pooling: str = "flatten") -> dict[str, Any]:
    network = Network(net)
    return joined(network.activations(X, network.layers(layers, X), pooling))


class Functional(nn.Module):
    """Activations that are functions, and layers in another order than they run."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 3)
        self.hidden = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.relu(self.norm(self.hidden(x)))).softmax(1)


def shared_relu() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(4, 6), relu, nn.Linear(6, 5), relu, nn.Linear(5, 3), nn.Softmax(1))


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (Functional(), ["hidden", "out"]),
        # one module that runs twice has no output of its own; the last is what gives logits
        (shared_relu(), ["0", "2", "4"]),
        (nn.Sequential(nn.Linear(4, 3)), ["0"]),
        (nn.Sequential(nn.Linear(4, 6), nn.Dropout(), nn.Tanh(), nn.Linear(6, 3)), ["2", "3"]),
        (nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.GELU()), nn.Linear(6, 3)), ["0.1", "1"]),
    ],
)
def test_layers_found(net: nn.Module, expected: list[str]) -> None:
    assert Network(net).layers("auto", np.ones((3, 4))) == expected


def test_layers_of_other_networks(digits, nets) -> None:
    assert Network(nets("mlp")).layers("auto", digits.X) == ["activation_1", "activation_2", "layer_2"]
    assert Network(nets("skorch")).layers("auto", digits.X) == ["1", "2"]
    assert Network(nets("cnn")).layers("auto", digits.X) == ["3", "5", "9"]


def test_parity_with_the_forward_pass_by_hand(digits, nets) -> None:
    net = nets("cnn")
    found = recorded(net.train(), digits.X, ["1", "3", "6", "9"])
    assert net.training
    x, values = torch.from_numpy(digits.X), {}
    net.eval()
    with torch.no_grad():
        for name, part in net.named_children():
            x = part(x)
            values[name] = x.flatten(1).numpy().copy()  # the ReLU after it works in place
    net.train()
    # "1" is overwritten in place by the ReLU "3" after a batch norm, but not what was recorded
    for name, activations in found.items():
        np.testing.assert_allclose(activations, values[name], rtol=1e-5, atol=1e-5)


def test_parity_with_the_formula_of_a_perceptron(digits, nets) -> None:
    net = nets("mlp")
    found = recorded(net, digits.X)
    x = digits.X
    for name, weights, bias in zip(found, net.coefs_, net.intercepts_, strict=True):
        x = x @ weights + bias
        x = np.maximum(x, 0) if name.startswith("activation") else x
        np.testing.assert_allclose(found[name], x, rtol=1e-4, atol=1e-4)


def test_what_comes_next_in_place_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 3))
    X = np.random.RandomState(0).standard_normal((300, 4))
    found = recorded(net, X, ["0", "1"])
    assert (found["0"] < 0).any()
    assert (found["1"] == np.maximum(found["0"], 0)).all()


def test_pooling() -> None:
    net, X = nn.Sequential(nn.Identity(), nn.Flatten()), np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    pooled = {how: recorded(net, X, ["0", "1"], how) for how in ("mean", "max", "flatten")}
    assert (pooled["mean"]["0"] == X.mean(axis=(2, 3))).all()
    assert (pooled["max"]["0"] == X.max(axis=(2, 3))).all()
    assert (pooled["flatten"]["0"] == X.reshape(2, -1)).all()
    for found in pooled.values():
        assert (found["1"] == X.reshape(2, -1)).all()


def test_hooks_are_removed_and_batches_bounded(digits) -> None:
    sizes: list[int] = []

    class Grumpy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            assert not torch.is_grad_enabled()
            assert not self.training
            if len(sizes) == 3:
                raise RuntimeError("enough")
            return x

    net = nn.Sequential(nn.Linear(64, 3), Grumpy())
    batches = Network(net).activations(digits.X, ["0", "1"], "mean")
    with pytest.raises(RuntimeError, match="enough"):
        list(batches)
    assert sizes == [256, 256, 256]
    assert not any(part._forward_hooks for part in net.modules())
    assert net.training

    # a hook of the user's own stays; none of ours does between two batches
    kept = net[0].register_forward_hook(lambda *_: None)
    batches = Network(net).activations(digits.X, ["0"], "mean")
    next(batches)
    assert list(net[0]._forward_hooks) == [kept.id]


def test_float_types_and_single_columns() -> None:
    X = np.random.RandomState(0).standard_normal((5, 4))
    for dtype, expected in (
        (torch.float64, np.float64),
        (torch.float32, np.float32),
        (torch.float16, np.float32),
    ):
        found = recorded(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).to(dtype), X, ["0", "1"])
        assert {values.dtype for values in found.values()} == {np.dtype(expected)}
        assert {values.shape for values in found.values()} == {(5, 1)}
