"""Norm balls: steps, projections, random points, and the last word on the budget.

Everything here works on a whole batch; a "row" is one sample, flattened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway._inputs import round_towards


def lengths(delta: torch.Tensor, norm: float) -> torch.Tensor:
    """Norm of each row, shaped to broadcast against ``delta``."""
    shape = (-1, *[1] * (delta.ndim - 1))
    return torch.linalg.vector_norm(delta.flatten(1), norm, dim=1).reshape(shape)


@dataclass
class Ball:
    """All points within ``eps`` of the rows of ``x0`` and between ``low`` and ``high``.

    ``low`` and ``high`` are tensors that broadcast against ``x0``, or None; ``free`` is 0 where a value
    never changes, 1 elsewhere. A subclass stands for a norm.
    """

    x0: torch.Tensor
    eps: float
    low: torch.Tensor | None
    high: torch.Tensor | None
    free: torch.Tensor | None = None

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        """Move ``x`` in place by the step of length ``size`` along which the gradient rises most."""
        raise NotImplementedError

    def confine(self, x: torch.Tensor) -> None:
        """Bring ``x`` back into the ball, in place, by the shortest way; then between the bounds."""
        raise NotImplementedError

    def _clip(self, x: torch.Tensor) -> None:
        # x0 lies between the bounds, so this never lengthens x - x0
        if self.low is not None:
            torch.clamp(x, self.low, self.high, out=x)


@dataclass
class LinfBall(Ball):
    def __post_init__(self) -> None:
        low, high = self.x0 - self.eps, self.x0 + self.eps
        self.low = low if self.low is None else torch.maximum(low, self.low)
        self.high = high if self.high is None else torch.minimum(high, self.high)

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        x.add_(gradient.sign_(), alpha=size)

    def confine(self, x: torch.Tensor) -> None:
        self._clip(x)


class L2Ball(Ball):
    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        scale = lengths(gradient, 2).clamp_min_(torch.finfo(x.dtype).tiny)
        x.addcdiv_(gradient, scale, value=size)

    def confine(self, x: torch.Tensor) -> None:
        delta = x - self.x0
        shrink = (self.eps / lengths(delta, 2).clamp_min_(self.eps)).expand_as(x)
        torch.addcmul(self.x0, delta, shrink, out=x)
        self._clip(x)


class L1Ball(Ball):
    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        # The steepest point of the l1 ball is a corner: all on the feature with
        # the largest gradient. Where clipping leaves it no room, the rest goes
        # to the next one, so the step is the best within ball *and* bounds.
        rising = gradient if size > 0 else -gradient
        if self.low is None or self.high is None:
            room = torch.full_like(x, torch.inf)
        else:
            room = torch.where(rising > 0, self.high - x, x - self.low)
        order = rising.abs().flatten(1).argsort(dim=1, descending=True)
        room = room.flatten(1).gather(1, order)
        left = abs(size) - room.cumsum(1).roll(1, dims=1)
        left[:, 0] = abs(size)
        step = torch.minimum(room, left.clamp_min_(0.0))
        step = torch.zeros_like(step).scatter_(1, order, step).reshape(x.shape)
        x.add_(step * rising.sign())

    def confine(self, x: torch.Tensor) -> None:
        delta = (x - self.x0).flatten(1)
        magnitude = delta.abs()
        # Duchi et al. 2008, Figure 1: soft threshold at theta
        ranked = magnitude.sort(dim=1, descending=True).values
        excess = ranked.cumsum(1) - self.eps
        rank = torch.arange(1, ranked.shape[1] + 1, dtype=x.dtype, device=x.device)
        n_kept = (ranked * rank > excess).sum(dim=1, keepdim=True).clamp_min_(1)
        theta = (excess.gather(1, n_kept - 1) / n_kept).clamp_min_(0.0)
        delta = delta.sign() * (magnitude - theta).clamp_min_(0.0)
        torch.add(self.x0, delta.reshape(x.shape), out=x)
        self._clip(x)


BALLS: dict[float, type[Ball]] = {np.inf: LinfBall, 2: L2Ball, 1: L1Ball}


def random_in_ball(
    rng: np.random.RandomState, shape: tuple[int, ...], eps: float, norm: float
) -> NDArray[np.float64]:
    """Points drawn evenly from the ball of radius ``eps`` around 0, one per row."""
    n, d = shape[0], int(np.prod(shape[1:]))
    if norm == np.inf:
        return rng.uniform(-eps, eps, size=shape)
    if norm == 2:
        direction = rng.standard_normal((n, d))
    else:
        direction = rng.laplace(size=(n, d))
    radius = eps * rng.uniform(size=(n, 1)) ** (1 / d)
    direction *= radius / np.linalg.norm(direction, norm, axis=1, keepdims=True)
    return direction.reshape(shape)


def random_signs(
    rng: np.random.RandomState, shape: tuple[int, ...], eps: float, norm: float, movable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Random signs, scaled to lie on the sphere of radius ``eps``: noise without knowledge."""
    n_movable = movable.reshape(len(movable), -1).sum(axis=1).clip(1).reshape(-1, *[1] * (len(shape) - 1))
    return rng.choice([-1.0, 1.0], size=shape) * movable * (eps / n_movable ** (1 / norm))


def keep_budget(
    X: NDArray[Any],
    X_adv: NDArray[Any],
    eps: float,
    norm: float,
    bounds: tuple[NDArray[Any], NDArray[Any]] | None,
    unit: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """``X_adv`` in X's float type, exactly within ``eps`` of X and between the bounds.

    "Exactly" is meant as a user checks it: the norm of ``X_adv - X``, in X's own type and divided by
    ``unit``, is at most eps.
    """
    # a little less than eps leaves room for the rounding of products and of the sum in the norm
    within = eps * (1 - 8 * float(np.finfo(X.dtype).eps))
    if eps == np.inf:
        result = X_adv.astype(X.dtype)
    elif norm == np.inf:
        reach = X.dtype.type(eps) if unit is None else (within * unit).astype(X.dtype)
        result = X_adv.astype(X.dtype)
        np.maximum(result, spare := X - reach, out=result)
        np.minimum(result, np.add(X, reach, out=spare), out=result)
    else:
        one: Any = 1.0 if unit is None else unit
        x0 = X.astype(float)
        change = torch.from_numpy((X_adv - x0) / one)
        BALLS[norm](torch.zeros_like(change), within, None, None).confine(change)
        result = round_towards(x0 + change.numpy() * one, x0, X.dtype)
    if bounds is not None:
        np.clip(result, *_rounded_inwards(bounds, X.dtype), out=result)
    if eps == np.inf:
        return result
    if norm == np.inf:
        largest = reach if unit is not None or float(reach) <= eps else np.nextafter(reach, X.dtype.type(0))
        while (over := np.abs(np.subtract(result, X, out=spare), out=spare) > largest).any():
            _shorten(result, X, over, reach)
    else:
        rows = len(X), int(np.prod(X.shape[1:]))
        digit = (eps * one * np.ones(X.shape[1:])).astype(X.dtype)
        while True:
            change = (result - X).astype(float) / one
            over = np.linalg.norm(change.reshape(rows), norm, axis=1) > eps
            if not over.any():
                break
            _shorten(result, X, over.reshape(-1, *[1] * (X.ndim - 1)) & (result != X), digit)
    return result


def _rounded_inwards(
    bounds: tuple[NDArray[Any], NDArray[Any]], dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bounds in the float type ``dtype``, none wider than it was."""
    with np.errstate(over="ignore"):
        low, high = (bound.astype(dtype) for bound in bounds)
    low = np.where(low < bounds[0], np.nextafter(low, dtype.type(np.inf)), low)
    high = np.where(high > bounds[1], np.nextafter(high, dtype.type(-np.inf)), high)
    return low, high


def _shorten(result: NDArray[Any], X: NDArray[Any], where: NDArray[np.bool_], reach: NDArray[Any]) -> None:
    """Bring values nearer to X by the last digit of the budget or by their own, the coarser one.

    Their own alone would take for ever where a value lies so near 0 that its last digit is no part of
    its distance.
    """
    far, near = result[where], X[where]
    digit = np.minimum(np.spacing(np.broadcast_to(reach, X.shape)[where]), np.abs(far - near))
    shorter = far - np.copysign(digit, far - near), np.nextafter(far, near)
    result[where] = np.where(far > near, np.minimum(*shorter), np.maximum(*shorter))
