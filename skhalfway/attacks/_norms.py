"""Norm balls: steps, projections, random points, and the final check of the budget.

Everything here works on a whole batch; a "row" is one sample, flattened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway._streams import Streams
from skhalfway._vectors import lengths as lengths_of


def lengths(delta: torch.Tensor, norm: float) -> torch.Tensor:
    """Norm of each row, shaped to broadcast against ``delta``."""
    shape = (-1, *[1] * (delta.ndim - 1))
    return torch.linalg.vector_norm(delta.flatten(1), norm, dim=1).reshape(shape)


def largest(x: torch.Tensor) -> torch.Tensor:
    """Largest absolute value in each row, shaped to broadcast against ``x``."""
    return x.abs().amax(dim=tuple(range(1, x.ndim)), keepdim=True)


def at_least_tiny(length: torch.Tensor) -> torch.Tensor:
    """Raise lengths, in place, to the smallest positive float, so that they can divide."""
    return length.clamp_min_(torch.finfo(length.dtype).tiny)


@dataclass
class Ball:
    """All points within ``eps`` of the rows of ``x0`` and between ``low`` and ``high``.

    ``low`` and ``high`` are tensors that broadcast against ``x0``, or None; ``free`` is 0 where a value
    never changes, 1 elsewhere. There is a subclass for each norm.
    """

    x0: torch.Tensor
    eps: float
    low: torch.Tensor | None
    high: torch.Tensor | None
    free: torch.Tensor | None = None

    norm: ClassVar[float]

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        """Move ``x`` in place by the steepest step of length ``size``; ``gradient`` stays as it is."""
        raise NotImplementedError

    def confine(self, x: torch.Tensor) -> None:
        """Project ``x``, in place, onto the ball; then clip it to the bounds."""
        raise NotImplementedError

    def _clip(self, x: torch.Tensor) -> None:
        # x0 lies between the bounds, so this never lengthens x - x0
        if self.low is not None:
            torch.clamp(x, self.low, self.high, out=x)


@dataclass
class LinfBall(Ball):
    norm = np.inf

    def __post_init__(self) -> None:
        low, high = self.x0 - self.eps, self.x0 + self.eps
        self.low = low if self.low is None else torch.maximum(low, self.low)
        self.high = high if self.high is None else torch.minimum(high, self.high)

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        x.add_(gradient.sign(), alpha=size)

    def confine(self, x: torch.Tensor) -> None:
        self._clip(x)


class L2Ball(Ball):
    norm = 2

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        # values are divided by the largest, so that their squares neither overflow nor underflow
        gradient = gradient / at_least_tiny(largest(gradient))
        x.addcdiv_(gradient, at_least_tiny(lengths(gradient, 2)), value=size)

    def confine(self, x: torch.Tensor) -> None:
        delta = x - self.x0
        shrink = (self.eps / at_least_tiny(lengths(delta, 2).clamp_min_(self.eps))).expand_as(x)
        torch.addcmul(self.x0, delta, shrink, out=x)
        self._clip(x)


class L1Ball(Ball):
    norm = 1

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


class L0Ball(Ball):
    """All points that differ from the rows of ``x0`` in at most ``eps`` features, between the bounds."""

    norm = 0

    def ascend(self, x: torch.Tensor, gradient: torch.Tensor, size: float) -> None:
        # a changed feature may go to the end of its range: take those for which that raises most
        assert self.low is not None
        assert self.high is not None
        rising = gradient if size > 0 else -gradient
        room = torch.where(rising > 0, self.high - x, self.low - x)
        gain = (rising * room).flatten(1)
        chosen = most(gain, abs(size)) & (gain > 0)
        x.add_(torch.where(chosen.reshape(x.shape), room, 0.0))

    def confine(self, x: torch.Tensor) -> None:
        self._clip(x)
        moved = ((x - self.x0) / _widths(self.low, self.high, x)).abs().flatten(1)
        x.copy_(torch.where(most(moved, self.eps).reshape(x.shape), x, self.x0))


def most(values: torch.Tensor, n: float) -> torch.Tensor:
    """Mask of the ``n`` largest values of each row; ties go to the first."""
    if n >= values.shape[1]:
        return torch.ones_like(values, dtype=torch.bool)
    order = values.argsort(dim=1, descending=True, stable=True)[:, : int(n)]
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, order, value=True)


def _widths(low: torch.Tensor | None, high: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
    """Width of the range of each feature; 1 if it has no ends, or a single value."""
    if low is None or high is None:
        return torch.ones_like(like)
    width = high - low
    return torch.where((width > 0) & width.isfinite(), width, 1.0)


BALLS: dict[float, type[Ball]] = {ball.norm: ball for ball in (LinfBall, L2Ball, L1Ball, L0Ball)}


def random_in_ball(
    streams: Streams, rows: NDArray[np.intp], shape: tuple[int, ...], eps: float, norm: float
) -> NDArray[np.float64]:
    """Points drawn evenly from the ball of radius ``eps`` around 0, one of shape ``shape`` for each row."""
    d = int(np.prod(shape))
    if norm == np.inf:
        return eps * (2 * streams.uniform(rows, *shape) - 1)
    direction = streams.normal(rows, d) if norm == 2 else streams.laplace(rows, d)
    radius = eps * streams.uniform(rows, 1) ** (1 / d)
    direction *= radius / np.linalg.norm(direction, norm, axis=1, keepdims=True)
    return direction.reshape(len(rows), *shape)


def random_signs(
    streams: Streams, eps: float, norm: float, movable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Random signs, scaled to lie on the sphere of radius ``eps``: the noise control."""
    n, *sample = movable.shape
    n_movable = movable.reshape(n, -1).sum(axis=1).clip(1).reshape(-1, *[1] * len(sample))
    return streams.signs(np.arange(n), *sample) * movable * (eps / n_movable ** (1 / norm))


def random_ends(
    streams: Streams,
    rows: NDArray[np.intp],
    eps: float,
    x: NDArray[Any],
    bounds: tuple[NDArray[Any], NDArray[Any]],
    movable: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """``x`` with ``eps`` random features at a random end of their range: the noise control in L0.

    A feature that is at that end already goes to the other one. All arrays have x's shape, (n_rows,
    n_features); ``rows`` are positions in the streams.
    """
    low, high = bounds
    up = streams.signs(rows, x.shape[1]) > 0
    end = np.where(np.where(up, high, low) == x, np.where(up, low, high), np.where(up, high, low))
    able = movable & (end != x)
    drawn = torch.from_numpy(np.where(able, streams.uniform(rows, x.shape[1]), -1.0))
    return np.where(most(drawn, eps).numpy() & able, end, x)


def keep_budget(
    X: NDArray[Any],
    X_adv: NDArray[Any],
    eps: float,
    norm: float,
    bounds: tuple[NDArray[Any], NDArray[Any]] | None,
    unit: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """``X_adv`` in X's float type, finite, exactly within ``eps`` of X and between the bounds.

    "Exactly" means as a user checks it: the norm of ``(X_adv - X) / unit`` is at most eps, whether the
    difference is rounded to X's own type or not. Samples stay as they are if no other float is as near.
    ``unit`` has the shape of a sample, X's shape or (n_samples, 1, ...); in norm 0 it is None.
    """
    ulp = float(np.finfo(X.dtype).eps)
    low, high = _finite_bounds(bounds, X.dtype)
    if norm == 0:
        return _fewest(X, X_adv, eps, (low, high))
    wanted = np.clip(X_adv, low, high)
    if eps == np.inf:
        return wanted.astype(X.dtype)
    one, n_features = np.ones(X.shape[1:]) if unit is None else unit, int(np.prod(X.shape[1:]))
    if norm == np.inf:
        # a budget that is one number, for all or for each sample, needs no product that would be rounded
        one_each = unit is not None and eps == 1 and int(np.prod(unit.shape[1:])) < n_features
        margin = 0.0 if one_each and one.ndim == X.ndim else 8 * ulp
        reach = _towards_0(np.array(eps) if unit is None else _reach(eps, unit, margin), X.dtype)
        wanted = wanted.astype(X.dtype, copy=False)
        return np.clip(wanted, _moved(X, -reach), _moved(X, reach))
    row = len(X), *[1] * (X.ndim - 1)
    result, over = X, np.ones(row, dtype=bool)
    # a little less than eps leaves room for the rounding of sums and products; the second try is for sums of
    # very many terms
    for margin in (8 * ulp, ulp**0.5):
        closer = _moved(X, _towards_0(_projected(X, wanted, _reach(eps, one, margin), norm), X.dtype))
        result = np.where(over, np.clip(closer, low, high), result)
        change = np.subtract(result, X, dtype=float) / one
        over = (lengths_of(change.reshape(len(X), n_features), norm) > eps).reshape(row)
        if not over.any():
            return result
    return np.where(over, X, result)


def widths(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Width of the range of each feature; 1 if it has no ends, or a single value."""
    with np.errstate(over="ignore"):
        width = np.subtract(high, low, dtype=float)
    return np.where((width > 0) & np.isfinite(width), width, 1.0)


def _fewest(
    X: NDArray[Any], X_adv: NDArray[Any], eps: float, bounds: tuple[NDArray[Any], NDArray[Any]]
) -> NDArray[Any]:
    """``X_adv`` with only the ``eps`` largest changes, as shares of the features' ranges; the rest is X.

    A value that equals X's, rounded to ``X_adv``'s float type, has not changed.
    """
    with np.errstate(over="ignore"):
        own = X_adv == X.astype(X_adv.dtype)
    wanted = np.where(own, X, np.clip(X_adv, *bounds).astype(X.dtype, copy=False))
    if eps >= np.prod(X.shape[1:]):
        return wanted
    with np.errstate(over="ignore"):
        moved = np.abs(np.subtract(wanted, X, dtype=float))
    moved = moved / widths(*bounds)
    kept = most(torch.from_numpy(moved.reshape(len(X), int(np.prod(X.shape[1:])))), eps).numpy()
    return np.where(kept.reshape(X.shape), wanted, X)


def _reach(eps: float, unit: NDArray[Any], margin: float) -> NDArray[np.float64]:
    """Largest change of each feature alone, minus a margin; 0 where floats have too few digits for that."""
    floats = np.finfo(float)
    with np.errstate(over="ignore"):
        reach = np.minimum(eps * unit * (1 - margin), floats.max / 4)
    return np.where(reach < floats.tiny, 0.0, reach)


def _projected(
    X: NDArray[Any], wanted: NDArray[Any], reach: NDArray[np.float64], norm: float
) -> NDArray[np.float64]:
    """Change of X towards ``wanted``, projected onto the ball with these radii in the features.

    It is computed in shares of the radii, whose squares neither overflow nor underflow.
    """
    with np.errstate(over="ignore"):
        change = np.clip(np.subtract(wanted, X, dtype=float), -reach, reach)
    share = torch.from_numpy(np.divide(change, reach, out=np.zeros_like(change), where=reach > 0))
    BALLS[norm](torch.zeros_like(share), 1.0, None, None).confine(share)
    return np.multiply(share.numpy(), reach, out=change)


def _moved(X: NDArray[Any], change: NDArray[Any]) -> NDArray[Any]:
    """``X + change``, rounded so that it is no further from X than ``change``."""
    with np.errstate(over="ignore", invalid="ignore"):
        moved = X + change
        if X.dtype.itemsize < 8:
            # in exact arithmetic, or up to a rounding that float64 does not see
            over = np.abs(np.subtract(moved, X, dtype=float)) > np.abs(change)
        else:
            # Knuth's two-sum: X + change is moved + rest, exactly
            back = moved - X
            rest = X - np.subtract(moved, back)
            rest += np.subtract(change, back, out=back)
            over = np.where(change > 0, rest < 0, rest > 0)
        return np.nextafter(moved, X, out=moved, where=over)


def _towards_0(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers rounded towards 0 in the float type ``dtype``."""
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
    larger = np.abs(rounded.astype(float)) > np.abs(values)
    return np.where(larger, np.nextafter(rounded, dtype.type(0)), rounded)


def _finite_bounds(
    bounds: tuple[NDArray[Any], NDArray[Any]] | None, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bounds rounded inwards in the float type ``dtype``, and limited to its range."""
    limits = np.finfo(dtype)
    if bounds is None:
        return np.array(limits.min), np.array(limits.max)
    low, high = (np.clip(bound, float(limits.min), float(limits.max)).astype(dtype) for bound in bounds)
    if np.array_equal(low, bounds[0]) and np.array_equal(high, bounds[1]):
        return low, high
    low = np.where(low < bounds[0], np.nextafter(low, limits.max), low)
    high = np.where(high > bounds[1], np.nextafter(high, limits.min), high)
    return low, high
