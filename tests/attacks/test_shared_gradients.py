"""Gradients whose places share memory, or are the source's own tensors, are followed and left as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.attacks import Momentum, Recipe
from skhalfway.attacks._parameters import KINDS
from skhalfway.attacks._pieces import PIECES, Piece

X = np.random.RandomState(0).uniform(size=(12, 6)).astype(np.float32)
Y = (X.sum(axis=1) < 3).astype(int)


class Mean(nn.Module):
    """Its gradient is one number, expanded to all features."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 4 * x.mean(dim=1)
        return torch.stack([total - 2, 2 - total], dim=1)


class Scaled(nn.Module):
    """The same, with memory for each place of the gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 4 * (x * torch.ones(6)).mean(dim=1)
        return torch.stack([total - 2, 2 - total], dim=1)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", [*(name for name, kind in KINDS.items() if kind.gradient), "mi", "auto"])
def test_an_expanded_gradient_is_followed_like_any_other(attack: str, norm: float) -> None:
    if attack in KINDS and norm not in KINDS[attack].norms:
        return
    params: dict[str, Any] = {"attack": attack, "eps": 0.2 if norm == np.inf else 0.5, "norm": norm}
    params |= {"clip_values": (0, 1), "max_iter": 5, "random_state": 0}
    one, other = (AdversarialGenerator(source, **params).generate(X, Y) for source in (Mean(), Scaled()))
    np.testing.assert_array_equal(one, other)
    assert (one != X).any()


class Told(torch.autograd.Function):
    """A sum whose gradient is a tensor of the source's."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        ctx.slope = slope
        return x.sum()

    @staticmethod
    def backward(ctx: Any, _: torch.Tensor) -> Any:
        return ctx.slope, None


class Straight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.full((12, 6), 0.25)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slope = self.slope if len(x) == 12 else self.slope[: len(x)]
        total = x.sum(dim=1) + Told.apply(x, slope) - x.sum()
        return torch.stack([total - 3, 3 - total], dim=1)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", ["pgd", "mi", "apgd", "mifgsm"])
def test_the_gradient_that_a_source_gives_stays_as_it_is(attack: str, norm: float) -> None:
    source = Straight()
    AdversarialGenerator(source, attack=attack, eps=0.2, norm=norm, max_iter=3).generate(X, Y)
    assert torch.equal(source.slope, torch.full((12, 6), 0.25))


def test_a_piece_may_keep_the_gradient_that_it_gets() -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    @dataclass(frozen=True)
    class Keeps(Piece):
        kind, name, paper = "step", "keeps", "ours"

        def direction(self, run: Any, gradient: torch.Tensor) -> torch.Tensor:
            seen.append((gradient, gradient.clone()))
            return gradient

    try:
        for norm in (np.inf, 2, 1):
            generator = AdversarialGenerator(Scaled(), attack=Recipe(Keeps()), eps=0.2, norm=norm, max_iter=3)
            generator.generate(X, Y)
    finally:
        del PIECES["keeps"]
    assert len(seen) == 9
    assert all(torch.equal(kept, copy) for kept, copy in seen)


def test_a_scorer_attacks_it_too() -> None:
    lr = LogisticRegression().fit(X, Y)
    scorer = TransferScorer(AdversarialGenerator(attack=Recipe(Momentum()), eps=0.3), random_state=0)
    assert scorer.fit({"mean": Mean(), "lr": lr}).transfer(X, Y).source_success[0] > 0.5
