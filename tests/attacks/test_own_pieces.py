"""Pieces of the user's that raise, or return what is no use, are named; the source is not blamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.attacks import Momentum, Recipe
from skhalfway.attacks._pieces import PIECES, Piece

X = np.random.RandomState(0).normal(size=(8, 4)).astype(np.float32)
Y = np.arange(8) % 3


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    known = dict(PIECES)
    yield
    for name in PIECES.keys() - known.keys():
        del PIECES[name]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def attacked(piece: Piece, source: Any = None, *others: Piece) -> Any:
    source = net() if source is None else source
    return AdversarialGenerator(source, attack=Recipe(piece, *others), eps=0.1, max_iter=3).generate(X, Y)


def own(method: str, function: Any, kind: str) -> Piece:
    """A piece of the user's, with one method."""
    made = dataclass(frozen=True)(
        type("Mine", (Piece,), {"kind": kind, "name": "mine", "paper": "ours", method: function})
    )
    return made()


def raises(*args: Any) -> Any:
    return None + 1  # type: ignore[operator]


METHODS = {
    "slope": "loss",
    "weigh": "loss",
    "direction": "step",
    "stride": "step",
    "ahead": "step",
    "prepare": "step",
    "gradient": "gradient",
    "change": "input",
    "wire": "model",
}


@pytest.mark.parametrize(("method", "kind"), METHODS.items())
def test_a_piece_that_raises_is_named(method: str, kind: str) -> None:
    with pytest.raises(TypeError, match=f"the piece Mine raised TypeError in {method}: unsupported operand"):
        attacked(own(method, raises, kind))


@pytest.mark.parametrize("method", ["slope", "direction", "stride", "ahead", "gradient", "change"])
def test_a_piece_that_returns_no_tensor_is_named(method: str) -> None:
    with pytest.raises(TypeError, match=f"the piece Mine must return a tensor from {method}, got None"):
        attacked(own(method, lambda *args: None, METHODS[method]))


# where the values are among the arguments of each method
GIVEN = {"slope": 2, "direction": 2, "stride": 2, "ahead": 2, "gradient": 2, "change": 2}


@pytest.mark.parametrize("method", GIVEN)
def test_a_piece_that_returns_nan_is_named(method: str) -> None:
    """No gradient is said to be masked, and none of the source to be nan."""

    def spoilt(*args: Any) -> Any:
        given = args[GIVEN[method]].clone()
        given[5] = torch.nan
        return given

    match = f"the piece Mine returned nan or infinite values from {method} for 1 of 8 rows"
    with pytest.raises(ValueError, match=match):
        attacked(own(method, spoilt, METHODS[method]))


@pytest.mark.parametrize("method", GIVEN)
def test_a_piece_that_returns_another_shape_is_named(method: str) -> None:
    with pytest.raises(
        ValueError, match=f"the piece Mine must return a tensor of .* from {method}, got one of shape"
    ):
        attacked(own(method, lambda *args: args[GIVEN[method]][:3], METHODS[method]))


def test_what_weigh_returns_is_checked() -> None:
    with pytest.raises(TypeError, match=r"the piece Mine must return \(outputs, weights\) from weigh, got "):
        attacked(own("weigh", lambda self, run, logits, own: logits, "loss"))
    with pytest.raises(
        ValueError, match="the piece Mine returned nan or infinite values from weigh for 8 of 8"
    ):
        attacked(own("weigh", lambda self, run, logits, own: (logits, logits / 0), "loss"))


class Broken(nn.Module):
    """Raises, or returns nan, with gradients only."""

    def __init__(self, nan: bool) -> None:
        super().__init__()
        self.net, self.nan = net(), nan

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and x.requires_grad and len(x) == 8:
            if not self.nan:
                raise ZeroDivisionError("the model's own")
            return self.net(x) * torch.nan
        return self.net(x)


def test_the_source_is_blamed_for_what_it_does() -> None:
    asks = own("gradient", lambda self, run, x, ask: ask(x), "gradient")
    with pytest.raises(RuntimeError, match="^model 'Broken' raised ZeroDivisionError: the model's own$"):
        attacked(asks, Broken(nan=False))


def test_a_slope_of_whole_numbers_is_one() -> None:
    """True and false, or numbers of another type, weigh logits as they are."""
    signs = {}
    for name, kind in (("long", torch.int64), ("double", torch.float64), ("float", torch.float32)):
        loss = own("slope", lambda self, run, logits, own, kind=kind: (1 - 2 * own.long()).to(kind), "loss")
        signs[name] = attacked(loss, None, Momentum())
    np.testing.assert_array_equal(signs["long"], signs["float"])
    np.testing.assert_array_equal(signs["double"], signs["float"])
    assert (signs["float"] != X).any()
