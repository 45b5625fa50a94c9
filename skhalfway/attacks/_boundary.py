"""Where a model's decision changes: shortest ways to its boundaries, the nearest point found beyond."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway.attacks._gradient import Batch
from skhalfway.attacks._norms import BALLS, largest
from skhalfway.attacks._problem import Problem
from skhalfway.models._derivative import derivative

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region, Rows

_N_RIVALS = 10  # classes whose boundaries are compared, as in the code of DeepFool's authors
_PRECISION = 2.0**-10  # of a distance along its way
_REACH = 2.0**10  # of a sample's values, or of 1: no feature is changed by more at once
_MARGIN = 1e-4  # share by which a distance goes beyond, for what wins by a hair loses in another batch


def shortest(w: torch.Tensor, rise: torch.Tensor, room: torch.Tensor, norm: float) -> torch.Tensor:
    """The shortest r with ``w @ r = rise`` whose values go the way of w's, by no more than ``room``.

    ``w`` and ``room`` are (n_samples, n_features), ``rise`` >= 0 is (n_samples, 1). Where no r rises so much,
    the one that rises most. These are the projections onto a hyperplane in a box of Croce & Hein, "Minimally
    distorted adversarial examples with a fast adaptive boundary attack", ICML 2020.
    """
    # slopes in multiples of the largest neither underflow nor overflow as they are squared and summed
    w = torch.where(room > 0, w, 0.0)
    scale = largest(w).clamp_min(torch.finfo(w.dtype).tiny)
    steep, rise = w.abs() / scale, rise / scale
    room = torch.where(steep > 0, room, 0.0)
    # features in the order in which r fills their room; r grows at speeds u, and in L1 one after another
    u = steep if norm == 2 else (steep > 0).to(w)
    full_at = torch.where(steep > 0, room / u, 0.0)
    order = (-steep if norm == 1 else full_at).argsort(dim=1)
    gain = torch.where(steep > 0, steep * room, 0.0).gather(1, order)
    left = (rise - gain.cumsum(1).roll(1, dims=1)).index_copy(1, order.new_zeros(1), rise)
    speed = (steep * u).gather(1, order)
    if norm != 1:
        speed = speed.flip(1).cumsum(1).flip(1)
    time = torch.where(speed > 0, left.clamp_min(0.0) / speed, 0.0)
    if norm == 1:
        r = torch.zeros_like(w).scatter(1, order, time)
    else:
        ends = full_at.gather(1, order)
        in_time = (time <= ends) & (speed > 0)
        first = in_time.to(torch.uint8).argmax(dim=1, keepdim=True)
        r = torch.where(in_time.any(1, keepdim=True), time.gather(1, first), ends[:, -1:]) * u
    return torch.where(steep > 0, torch.minimum(r, room), 0.0) * w.sign()


class Nearest:
    """The nearest inputs found that win, as the source itself judges."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.z = np.array(problem.region.start(), dtype=float)
        self.X = problem.region.X.copy()
        self.distances = np.full(len(problem.region), np.inf)

    def offer(self, z: NDArray[Any], rows: Rows, *, anyway: bool = False) -> NDArray[np.bool_]:
        """Keep the points that win and are nearer than the ones before, or ``anyway``; tell which win."""
        region = self.problem.region
        kept = region.keep(z, rows, full=True)
        won = self.problem.won(self.problem.model.predict(kept), rows)
        distances = region.distance(kept, rows)
        before = self.distances[rows]
        # until something wins, the latest point is the best direction known
        better = np.where(won, (distances < before) | anyway, before == np.inf)
        places = np.arange(len(region))[rows]
        self.z[places[better]], self.X[places[better]] = z[better], kept[better]
        self.distances[places[better & won]] = distances[better & won]
        return won

    def within(self, region: Region) -> NDArray[Any]:
        """The inputs found, brought into the budget of a region.

        Those inside stay as they won: with less room, whole numbers and categories may be rounded otherwise.
        """
        inside = self.distances < region.eps * (1 - 16 * float(np.finfo(region.X.dtype).eps))
        return np.where(inside.reshape(-1, *[1] * (self.X.ndim - 1)), self.X, region.keep(self.z, full=True))

    def shorten(self, rows: Rows) -> None:
        """Walk back from each point straight to its sample, as far as it wins, by bisection."""
        found: NDArray[np.intp] = np.arange(len(self.z))[rows]
        found = found[np.isfinite(self.distances[found])]
        if not len(found):
            return
        start = self.problem.region.start(found)
        way = self.z[found] - start
        low, high = np.zeros((2, len(found), *[1] * (way.ndim - 1)))
        high += 1
        while (high - low > _PRECISION * high).any():
            middle = (low + high) / 2
            won = self.offer(start + middle * way, found).reshape(middle.shape)
            low, high = np.where(won, low, middle), np.where(won, middle, high)
        self.offer(start + (1 + _MARGIN) * high * way, found, anyway=True)


class Field:
    """A batch, with its samples laid out as rows of (n_samples, n_features): margins, slopes, room.

    Margins are what has to rise: where they are positive the attack has won, as far as the logits tell.
    """

    def __init__(self, batch: Batch, nearest: Nearest, norm: float) -> None:
        ball = batch.ball
        self.batch, self.nearest, self.norm = batch, nearest, norm
        self.shape = ball.x0.shape
        self.x0 = ball.x0.flatten(1)
        # in L-inf the ball has folded its budget, here infinite, into the bounds
        self.low, self.high = (
            self._laid_out(b, fill) for b, fill in ((ball.low, -np.inf), (ball.high, np.inf))
        )
        self.free = None if ball.free is None else self._laid_out(ball.free, 1.0)
        self.reach = _REACH * largest(self.x0).clamp_min(1.0)

    def _laid_out(self, values: torch.Tensor | None, fill: float) -> torch.Tensor:
        if values is None:
            return torch.full_like(self.x0, fill)
        return values.expand(self.shape).flatten(1)

    def logits(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Leaf tensor of the points, and the logits there."""
        x = x.detach().requires_grad_()
        return x, self.batch.logits(x.reshape(self.shape))

    def slope(
        self, x: torch.Tensor, logits: torch.Tensor, rival: torch.Tensor | None = None, *, again: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Margins (n_samples, 1) at a leaf tensor, and their slopes by what may change."""
        margins, slope = self._followed(x, logits, rival, again=again)
        return margins, slope if self.free is None else slope * self.free

    def flat(self) -> NDArray[np.bool_]:
        """Where something may change, and the gradient by it is exactly 0."""
        flat = ~self.slope(*self.logits(self.x0))[1].any(dim=1)
        if self.free is not None:
            flat &= self.free.any(dim=1)
        return flat.cpu().numpy()

    def _followed(
        self, x: torch.Tensor, logits: torch.Tensor, rival: torch.Tensor | None = None, *, again: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Margins and their slopes, such that they can be followed."""
        margins, slope = self._slope(x, logits, rival, again=again)
        x = x.detach()
        if not isfinite(torch.linalg.vector_norm(slope)):
            bounds = self.low, self.high
            slope = self.batch.faults.mend(
                slope, x, self.batch.rows, bounds, lambda at: self._slope(*self.logits(at), rival)[1]
            )
        # outputs may be of a wider type than the points
        return margins.detach()[:, None].to(x.dtype), slope

    def _slope(
        self, x: torch.Tensor, logits: torch.Tensor, rival: torch.Tensor | None, *, again: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.batch.faults.n_gradients += len(x)
        margins = self.batch.margins(logits, rival)
        return margins, derivative(self.batch.model, margins.sum(), x, again=again)

    def climb(self, x: torch.Tensor, slope: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
        """The shortest change of x that raises a margin of that slope so much, within the bounds.

        And within reach, for where the slope is next to nothing it would lead out of all numbers. Where a
        margin is not known, there is none.
        """
        room = torch.where(slope > 0, self.high - x, x - self.low).clamp_min(0.0)
        return shortest(slope, rise.nan_to_num(0.0), torch.minimum(room, self.reach), self.norm)

    def lengths(self, change: torch.Tensor, norm: float | None = None) -> torch.Tensor:
        norm = self.norm if norm is None else norm
        return torch.linalg.vector_norm(change, norm, dim=1, keepdim=True)

    def project(self, x: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """Bring x into balls of these radii, one for each sample, and between the bounds."""
        each: Any = radius
        BALLS[self.norm](self.x0, each, self.low, self.high).confine(x)
        return x

    def to_boundary(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shortest change that crosses a boundary, were all of them flat, and the class behind it."""
        x, logits = self.logits(x)
        rivals = logits.masked_fill(self.batch.own, -torch.inf).argsort(dim=1, descending=True)
        n_rivals = min(_N_RIVALS, logits.shape[1]) - 1
        best, behind = torch.zeros_like(x), rivals[:, :1]
        least = torch.full_like(x[:, :1], torch.inf)
        for k in range(n_rivals):
            rival = rivals[:, k : k + 1]
            margins, slope = self.slope(x, logits, rival, again=k + 1 < n_rivals)
            rise = margins.abs()
            change = self.climb(x.detach(), slope, rise)
            length = self.lengths(change)
            # a boundary beyond the bounds is the last to choose
            length[(change * slope).sum(1, keepdim=True) < 0.999 * rise] = torch.finfo(x.dtype).max
            nearer = length < least
            least = torch.where(nearer, length, least)
            best, behind = torch.where(nearer, change, best), torch.where(nearer, rival, behind)
        return best, behind

    def offer(self, x: torch.Tensor) -> torch.Tensor:
        """Ask the source itself about points; true where they win."""
        won = self.nearest.offer(x.cpu().numpy().reshape(self.shape), self.batch.rows)
        return torch.from_numpy(won).to(x.device)[:, None]

    def found(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest points that win, and their distances; the latest points where none does."""
        z, distances = self.nearest.z[self.batch.rows], self.nearest.distances[self.batch.rows]
        x, d = (torch.tensor(a, **self.batch.place) for a in (z, distances))
        return x.flatten(1), d[:, None]

    def flatten(self) -> None:
        """Try the nearest point of the boundary's tangent at the nearest point found, and the way there."""
        x, _ = self.found()
        x, logits = self.logits(x)
        margins, slope = self.slope(x, logits)
        x = x.detach()
        rise = -margins - (slope * (self.x0 - x)).sum(1, keepdim=True)
        # a little more, for it must win in the floats of the data
        tangent = self.x0 + self.climb(self.x0, slope, (1.001 * rise).clamp_min(0.0))
        for share in (1.0, 0.3, 0.1):
            self.offer(x + share * (tangent - x))
