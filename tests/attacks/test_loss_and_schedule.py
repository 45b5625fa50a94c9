"""Pieces of the user's own: a loss and a schedule, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from skhalfway import AdversarialGenerator
from skhalfway.attacks import Normalised, Piece, Recipe, Run
from skhalfway.attacks._pieces import PIECES

EPS, STEPS = 1.0, 4
LENGTHS = [2.0, 0.5, 0.0, 0.25]  # of each step, in steps


@dataclass(frozen=True)
class Scheduled(Piece):
    kind, name, paper = "step", "scheduled_in_tests", "none"
    lengths: tuple = tuple(LENGTHS)

    def length(self, run: Run) -> float:
        assert isinstance(run, Run) and run.n_steps == STEPS
        return self.lengths[run.step]


@dataclass(frozen=True)
class Halved(Piece):
    kind, name, paper = "step", "halved_in_tests", "none"

    def length(self, run):
        return np.float32(0.5)


@dataclass(frozen=True)
class Brier(Piece):
    kind, name, paper = "loss", "brier_in_tests", "none"

    def slope(self, run, logits, own):
        p = logits.softmax(dim=1)
        error = p - own.to(logits.dtype)
        return 2 * p * (error - (p * error).sum(dim=1, keepdim=True))


for own in (Scheduled, Halved, Brier):
    del PIECES[own.name]  # other tests run all pieces that are known


def linear():
    net = torch.nn.Linear(3, 2, bias=False)
    net.weight.data = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]])
    return net


def moved(*pieces, norm=np.inf, net=None, **given):
    generator = AdversarialGenerator(
        linear() if net is None else net, attack=Recipe(*pieces), eps=EPS, norm=norm, max_iter=STEPS
    )
    return generator.generate(np.zeros((2, 3), np.float32), **given)


@pytest.mark.parametrize(
    ("norm", "unit"), [(np.inf, [-1, 1, 0]), (2, [-0.6, 0.8, 0]), (1, [0, 1, 0])], ids=["inf", "2", "1"]
)
@pytest.mark.parametrize(
    ("pieces", "total"),
    [
        ((Scheduled(),), sum(LENGTHS) / STEPS),
        ((Scheduled(), Halved()), sum(LENGTHS) / STEPS / 2),
        ((Halved(),), 0.5),
        ((Scheduled((0.0,) * STEPS),), 0.0),
        ((Scheduled((99.0, 0.0, 0.0, 0.0)),), 1.0),  # brought back into the budget
    ],
)
def test_a_schedule_sets_the_length_of_each_step(norm, unit, pieces, total):
    np.testing.assert_allclose(moved(*pieces, norm=norm, y=[0, 0]), total * np.array([unit] * 2), atol=1e-6)
    np.testing.assert_allclose(
        moved(*pieces, norm=norm, target=[1, 1]), total * np.array([unit] * 2), atol=1e-6
    )


def test_a_schedule_beside_a_stride():
    found = moved(Normalised(), Halved(), y=[0, 0])
    np.testing.assert_allclose(found, 0.5 * np.array([[-0.75, 1, 0]] * 2), atol=1e-6)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf, None, "1", True, torch.ones(2)])
def test_lengths_that_are_none(wrong):
    with pytest.raises(
        ValueError, match=r"Scheduled.length\(run\) must return a finite number of at least 0"
    ):
        moved(Scheduled((1.0, wrong, 1.0, 1.0)), y=[0, 0])


def test_an_own_loss_is_followed():
    """One step of the steepest rise of the Brier score, differentiated by torch."""
    net = torch.nn.Linear(3, 4)
    x = torch.zeros(2, 3, requires_grad=True)
    labels = torch.tensor([1, 3])
    score = ((net(x).softmax(dim=1) - torch.nn.functional.one_hot(labels, 4)) ** 2).sum()
    (slope,) = torch.autograd.grad(score, x)
    generator = AdversarialGenerator(net, attack=Recipe(Brier()), eps=0.1, norm=2, max_iter=1)
    found = generator.generate(np.zeros((2, 3), np.float32), labels.numpy())
    np.testing.assert_allclose(found, 0.1 * slope / slope.norm(dim=1, keepdim=True), atol=1e-6)
