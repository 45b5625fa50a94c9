"""The attacks of a paper, benchmarks/perturbation_rules.py, against its rules step by step."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def rules() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        yield import_module("perturbation_rules")


W = torch.linspace(-1, 1.3, 12).double()


def bent(x: torch.Tensor) -> torch.Tensor:
    """A loss whose gradient turns."""
    return (x @ W).sin() + 0.3 * (x**2).sum(dim=1)


def straight(x: torch.Tensor) -> torch.Tensor:
    return x @ W.pow(3)


def rows() -> torch.Tensor:
    return torch.from_numpy(np.random.RandomState(0).uniform(-1, 1, (5, 12)))


def gradient(loss: Any, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(loss(x).sum(), x)[0]


@pytest.mark.parametrize("loss", [bent, straight])
@pytest.mark.parametrize("norm", [2.0, np.inf])
def test_steps_along_the_gradient(rules: Any, loss: Any, norm: float) -> None:
    eps, start, best = 0.4, rows(), []
    for row in start:
        x, kept = row.clone(), (float(loss(row[None])), row)
        for _ in range(15):
            g = gradient(loss, x[None])[0]
            change = x - 0.2 * eps * g / (g.norm() if norm == 2 else g.abs().max()) - row
            size = change.norm() if norm == 2 else change.abs().max()
            x = (row + change * min(1, eps / size)).clamp(-1, 1)
            kept = min(kept, (float(loss(x[None])), x), key=lambda each: each[0])
        best.append(kept[1])
    found = rules.moved(loss, start, norm=norm, eps=eps, n_steps=15, bounds=(-1, 1))
    torch.testing.assert_close(found, torch.stack(best))
    assert torch.linalg.vector_norm(found - start, norm, dim=1).max() <= eps + 1e-9


@pytest.mark.parametrize(("loss", "n_steps"), [(bent, 7), (straight, 7), (straight, 3), (straight, 1)])
def test_pixels_are_freed_one_by_one(rules: Any, loss: Any, n_steps: int) -> None:
    # where the gradient is the same everywhere, a few of them are enough
    start, best = rows(), []
    for row in start:
        x, freed, kept = row.clone(), torch.zeros(12, dtype=torch.bool), (float(loss(row[None])), row)
        for _ in range(7):
            g = gradient(loss, x[None])[0]
            freed[torch.where(freed, -1, g.abs()).argmax()] = True
            x = (x - 0.3 * freed * g / (freed * g).abs().max()).clamp(-1, 1)
            kept = min(kept, (float(loss(x[None])), x), key=lambda each: each[0])
        best.append(kept[1])
    found = rules.moved(loss, start, norm=0, n_changed=7, n_steps=n_steps, bounds=(-1, 1))
    torch.testing.assert_close(found, torch.stack(best))
    assert ((found != start).sum(dim=1) <= 7).all()
