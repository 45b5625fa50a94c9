"""The attacks of Kumano, Kera & Yamasaki (ICLR 2024, arXiv 2402.10470), by the rules of their public code.

These are no attacks of the package: steps are along the gradient over its largest entry, where the package's
PGD takes signs (L-inf), and pixels are freed one by one and drift to the bounds of a sample (L0). The
iterate of lowest loss is kept; nothing starts at random.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

L0_STEP = 0.3  # times the gradient over its largest entry among the freed pixels


def moved(
    loss: Callable[[torch.Tensor], torch.Tensor],
    start: torch.Tensor,
    *,
    norm: float,
    eps: float | None = None,
    n_changed: int | None = None,
    n_steps: int = 100,
    bounds: tuple[float, float] | None,
) -> torch.Tensor:
    """Rows moved to where their ``loss`` (rows,) is lower.

    In L2 and L-inf there are ``n_steps`` steps of ``eps / 5``. In L0 there are ``n_changed``, each of which
    frees one more pixel; the gradient is taken anew ``n_steps`` times meanwhile.
    """
    lowest, best = start.new_full((len(start),), np.inf), start.clone()
    now, freed = start.clone(), torch.zeros_like(start, dtype=torch.bool)
    periods = [1] * n_steps
    if norm == 0:
        assert n_changed is not None
        periods = [len(part) for part in np.array_split(np.arange(n_changed), min(n_steps, n_changed))]
    for period in [*periods, 0]:
        now.requires_grad_()
        losses = loss(now)
        (slope,) = torch.autograd.grad(losses.sum(), now)
        now, better = now.detach(), losses.detach() < lowest
        best[better], lowest[better] = now[better], losses.detach()[better]
        if not period:
            break
        if norm == 0:
            now = now - _freeing(slope, freed, period)
        else:
            assert eps is not None
            now = start + _within(now - eps / 5 * slope / _size(slope, norm) - start, norm, eps)
        if bounds is not None:
            now = now.clamp(*bounds)
    return best


def _size(rows: torch.Tensor, norm: float) -> torch.Tensor:
    """The norm of each row, no less than the smallest number."""
    sizes = torch.linalg.vector_norm(rows.flatten(1), norm, dim=1).clamp_min(torch.finfo(rows.dtype).tiny)
    return sizes.reshape(-1, *[1] * (rows.ndim - 1))


def _within(change: torch.Tensor, norm: float, eps: float) -> torch.Tensor:
    """The whole change shrunk to the budget; in L-inf too, where others cut what is too much off."""
    return change * (eps / _size(change, norm)).clamp_max(1)


def _freeing(slope: torch.Tensor, freed: torch.Tensor, period: int) -> torch.Tensor:
    """``period`` steps with one gradient; marks in ``freed`` what each of them frees."""
    flat, marks = slope.flatten(1), freed.flatten(1)
    size = flat.abs()
    order = size.masked_fill(marks, -1).topk(period).indices
    # the first that is freed has the largest gradient of those, so that what is divided by stays the same
    largest = torch.maximum(size.masked_fill(~marks, 0).amax(1), size.gather(1, order[:, :1])[:, 0])
    times = marks.to(flat.dtype) * period
    times.scatter_(1, order, (period - torch.arange(period).to(flat)).expand(len(flat), -1))
    marks.scatter_(1, order, True)
    freed.copy_(marks.reshape(freed.shape))
    change = L0_STEP * times * flat / largest.clamp_min(torch.finfo(flat.dtype).tiny)[:, None]
    return change.reshape(slope.shape)


def towards(
    model: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    *,
    norm: float,
    eps: float,
    clip_values: Any,
    targeted: bool,
    n_steps: int,
    n_changed: int | None = None,
) -> NDArray[Any]:
    """The same as ``attack`` of an AdversarialGenerator, for skorch nets; L0 where it has ``n_changed``."""
    assert targeted
    module = model.module_.eval()
    inputs, targets = torch.from_numpy(np.asarray(X)), torch.from_numpy(np.asarray(y))
    parts = []
    for x, target in zip(inputs.split(500), targets.split(500), strict=True):
        loss = partial(_cross_entropy, module, target)
        how = {"eps": eps, "n_changed": n_changed, "n_steps": n_steps, "bounds": clip_values}
        parts.append(moved(loss, x, norm=norm if n_changed is None else 0, **how))
    return torch.cat(parts).numpy()


def _cross_entropy(module: Any, target: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(module(x), target, reduction="none")
