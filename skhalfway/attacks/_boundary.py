"""Geometry of decision boundaries: shortest perturbations to them, and the nearest points found beyond."""

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
_PRECISION = 2.0**-10  # of a bisection, as a share of the distance
_REACH = 2.0**10  # largest change of a feature at once, as a multiple of the sample's largest value or of 1
_ROUNDING = 1e-6  # share of a rise that counts as rounding
_N_STEEPEST = 256  # features among which a change in L1 is looked for, before all are put in order
_MARGIN = 1e-4  # share by which to step beyond a boundary, as a win by rounding is lost in another batch


def shortest(w: torch.Tensor, rise: torch.Tensor, room: torch.Tensor, norm: float) -> torch.Tensor:
    """The shortest r with ``w @ r = rise``, whose values have the signs of w and are at most ``room``.

    ``w`` and ``room`` are (n_samples, n_features), ``rise`` >= 0 is (n_samples, 1). If no r rises as much, it
    is the one that rises most. These are the projections onto a hyperplane in a box of Croce & Hein,
    "Minimally distorted adversarial examples with a fast adaptive boundary attack", ICML 2020.
    """
    return Ways(w, room, norm).to(rise)


class Ways:
    """The shortest changes that rise along slopes: see :func:`shortest`.

    In norm 0 they change the fewest features that rise enough, each of them as far as it may go.
    """

    def __init__(self, w: torch.Tensor, room: torch.Tensor, norm: float) -> None:
        self._norm = norm
        # slopes in multiples of the largest neither underflow nor overflow as they are squared and summed
        w = torch.where(room > 0, w, 0.0)
        self._sign = w.sign()
        self._scale = largest(w).clamp_min(torch.finfo(w.dtype).tiny)
        self._steep = w.abs() / self._scale
        self._room = torch.where(self._steep > 0, room, 0.0)

    def to(self, rise: torch.Tensor) -> torch.Tensor:
        """The shortest change that rises by ``rise``."""
        rise, steep, room = rise / self._scale, self._steep, self._room
        if self._norm == 1:
            r = torch.minimum(_steepest_first(steep, room, rise), room)
        elif self._norm == 0:
            r = _most_first(steep, room, rise)
        else:
            r = _at_speeds(steep, steep if self._norm == 2 else self._sign.abs(), room, rise)
        return r.mul_(self._sign)


def _at_speeds(steep: torch.Tensor, u: torch.Tensor, room: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
    """Lengths min(t u, room), with the smallest t at which they rise by ``rise``.

    The rise is concave in t, and linear between the times t at which features reach their room. So Newton's
    steps from t = 0 never overshoot, and end at the exact t once no more features reach their room.
    """
    speed, most = steep * u, torch.finfo(steep.dtype).max
    time = (rise / speed.sum(dim=1, keepdim=True)).nan_to_num(0.0).clamp_max(most)
    going = torch.ones_like(time, dtype=torch.bool)
    while True:
        grown = time * u
        r = torch.minimum(grown, room)
        left = rise - (steep * r).sum(dim=1, keepdim=True)
        # each row stops on its own, so that no row depends on the others
        going &= left > _ROUNDING * rise
        if not going.any():
            return r
        pace = torch.where(grown < room, speed, 0.0).sum(dim=1, keepdim=True)
        going &= pace > 0
        time = torch.where(going, (time + left / pace).clamp_max(most), time)


def _most_first(steep: torch.Tensor, room: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
    """Room of the fewest features that together rise by ``rise``, those of largest gain first.

    If all features together do not rise as much, it is the room of all.
    """
    gain, order = (steep * room).sort(dim=1, descending=True, stable=True)
    before = (gain.cumsum(1) - gain).index_fill(1, order.new_zeros(1), 0.0)
    needed = (before < rise) & (gain > 0)
    return torch.where(torch.zeros_like(needed).scatter_(1, order, needed), room, 0.0)


def _steepest_first(steep: torch.Tensor, room: torch.Tensor, rise: torch.Tensor) -> torch.Tensor:
    """Lengths of features that use up their room one after another, the steepest first."""
    few, d = min(_N_STEEPEST, steep.shape[1]), steep.shape[1]
    # ties go to the first feature, whatever else is in the batch
    order = (-steep).argsort(dim=1, stable=True) if few == d else steep.topk(few, dim=1).indices
    r = torch.zeros_like(steep)
    enough = _filled(r, order, steep, room, rise)
    if few < d and not enough.all():
        rest = torch.where(~enough[:, 0])[0]
        part = torch.zeros_like(r[rest])
        _filled(part, (-steep[rest]).argsort(dim=1), steep[rest], room[rest], rise[rest])
        r[rest] = part
    return r


def _filled(
    r: torch.Tensor, order: torch.Tensor, steep: torch.Tensor, room: torch.Tensor, rise: torch.Tensor
) -> torch.Tensor:
    """Write the lengths of features in that order to ``r``; return the rows in which they rise enough."""
    slope = steep.gather(1, order)
    gain = torch.where(slope > 0, slope * room.gather(1, order), 0.0).cumsum(1)
    left = (rise - gain.roll(1, dims=1)).index_copy(1, order.new_zeros(1), rise)
    r.scatter_(1, order, torch.where(slope > 0, left.clamp_min(0.0) / slope, 0.0))
    return gain[:, -1:] >= rise


class Nearest:
    """The nearest inputs found that fool the source, by its own predictions."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.z = np.array(problem.region.start(), dtype=float)
        self.X = problem.region.X.copy()
        self.distances = np.full(len(problem.region), np.inf)

    def offer(self, z: NDArray[Any], rows: Rows, *, anyway: bool = False) -> NDArray[np.bool_]:
        """Keep points that win and are nearer than those before, or ``anyway``; return which win."""
        region = self.problem.region
        kept = region.keep(z, rows, full=True)
        won = self.problem.won(self.problem.model.predict(kept), rows)
        distances = region.distance(kept, rows)
        before = self.distances[rows]
        # before the first win, the latest point is the best direction known
        better = np.where(won, (distances < before) | anyway, before == np.inf)
        places = np.arange(len(region))[rows]
        self.z[places[better]], self.X[places[better]] = z[better], kept[better]
        self.distances[places[better & won]] = distances[better & won]
        return won

    def follow(self, z: NDArray[Any], rows: NDArray[np.intp]) -> None:
        """Note points that do not win: before the first win, the latest is the best direction known."""
        lost = np.isinf(self.distances[rows])
        self.z[rows[lost]] = z[lost]

    def within(self, region: Region) -> NDArray[Any]:
        """The inputs found, projected into the budget of a region.

        Inputs inside the budget stay as they are: projected again, whole numbers and categories might be
        rounded in another way.
        """
        inside = self.distances < region.eps * (1 - 16 * float(np.finfo(region.X.dtype).eps))
        if region.norm == 0:
            inside = self.distances <= region.eps  # numbers of features, so without a tolerance
        return np.where(inside.reshape(-1, *[1] * (self.X.ndim - 1)), self.X, region.keep(self.z, full=True))

    def shorten(self, rows: Rows) -> None:
        """Move each point straight towards its sample, as far as it still wins, by bisection."""
        found: NDArray[np.intp] = np.arange(len(self.z))[rows]
        found = found[np.isfinite(self.distances[found])]
        if not len(found):
            return
        start = self.problem.region.start(found)
        way = self.z[found] - start
        low, high = np.zeros((2, len(found), *[1] * (way.ndim - 1)))
        high += 1
        while len(left := np.flatnonzero((high - low).ravel() > _PRECISION * high.ravel())):
            middle = (low[left] + high[left]) / 2
            won = self.offer(start[left] + middle * way[left], found[left]).reshape(middle.shape)
            low[left], high[left] = np.where(won, low[left], middle), np.where(won, middle, high[left])
        self.offer(start + (1 + _MARGIN) * high * way, found, anyway=True)


class Field:
    """A batch with its samples as rows of (n_samples, n_features): margins, their slopes, and room.

    The attack raises margins. Where they are positive, it has won, according to the logits.
    """

    def __init__(self, batch: Batch, nearest: Nearest, norm: float) -> None:
        ball = batch.ball
        self.batch, self.nearest, self.norm = batch, nearest, norm
        self.shape = ball.x0.shape
        self.x0 = ball.x0.flatten(1)
        # in L-inf the ball has merged its budget, here infinite, into the bounds
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
        """Margins (n_samples, 1) at a leaf tensor, and their gradients with respect to what may change."""
        margins, slope = self._followed(x, logits, rival, again=again)
        return margins, slope if self.free is None else slope * self.free

    def flat(self) -> NDArray[np.bool_]:
        """Samples whose gradient with respect to all that may change is exactly 0."""
        flat = ~self.slope(*self.logits(self.x0))[1].any(dim=1)
        if self.free is not None:
            flat &= self.free.any(dim=1)
        return flat.cpu().numpy()

    def _followed(
        self, x: torch.Tensor, logits: torch.Tensor, rival: torch.Tensor | None = None, *, again: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Margins and their slopes, with faults mended so that they can be followed."""
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
        """The shortest change of x within the bounds that raises a margin of that slope by ``rise``.

        It is limited to ``_REACH``, since a slope near 0 would lead to infinite values. It is 0 if the margin
        is not known.
        """
        return self.ways(x, slope).to(rise.nan_to_num(0.0))

    def ways(self, x: torch.Tensor, slope: torch.Tensor) -> Ways:
        """The shortest changes of x along that slope, within the bounds and ``_REACH``, for any rise."""
        room = torch.where(slope > 0, self.high - x, x - self.low).clamp_min_(0.0)
        return Ways(slope, room if self.norm == 0 else torch.minimum(room, self.reach), self.norm)

    def lengths(self, change: torch.Tensor, norm: float | None = None) -> torch.Tensor:
        norm = self.norm if norm is None else norm
        return torch.linalg.vector_norm(change, norm, dim=1, keepdim=True)

    def project(self, x: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """Project x into balls of these radii, one for each sample, and between the bounds."""
        each: Any = radius
        BALLS[self.norm](self.x0, each, self.low, self.high).confine(x)
        return x

    def to_boundary(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shortest change that crosses a boundary if all were planes, and the class behind it."""
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
            # boundaries beyond the bounds are chosen last
            length[(change * slope).sum(1, keepdim=True) < 0.999 * rise] = torch.finfo(x.dtype).max
            nearer = length < least
            least = torch.where(nearer, length, least)
            best, behind = torch.where(nearer, change, best), torch.where(nearer, rival, behind)
        return best, behind

    def offer(self, x: torch.Tensor) -> torch.Tensor:
        """Query the source itself at points; true where they win."""
        z = x.cpu().numpy().reshape(self.shape)
        if self.norm == 0:
            # rounding to the source's float type changes no feature
            start = self.nearest.problem.region.start(self.batch.rows)
            z = np.where((x == self.x0).cpu().numpy().reshape(self.shape), start, z)
        won = self.nearest.offer(z, self.batch.rows)
        return torch.from_numpy(won).to(x.device)[:, None]

    def offer_likely(self, x: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Query the source itself at points that win by their logits and are nearer than those before.

        Returns where points win; for points that are no nearer, this is what the logits say. A smoothed
        source is queried at all points, since its logits are those of a copy.
        """
        if self.batch.model.smoothed:
            return self.offer(x)
        won = self.batch.margins(logits.detach())[:, None] > 0
        likely = won & (self.lengths(x - self.x0) < self.distances())
        rows = np.arange(len(self.nearest.z))[self.batch.rows]
        each, chosen = likely[:, 0].cpu().numpy(), x.cpu().numpy().reshape(self.shape)
        self.nearest.follow(chosen[~each], rows[~each])
        if each.any():
            said = np.zeros(len(each), dtype=bool)
            said[each] = self.nearest.offer(chosen[each], rows[each])
            won = torch.where(likely, torch.from_numpy(said).to(x.device)[:, None], won)
        return won

    def found(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The nearest points that win, and their distances; the latest points if none does."""
        z, distances = self.nearest.z[self.batch.rows], self.nearest.distances[self.batch.rows]
        x, d = (torch.tensor(a, **self.batch.place) for a in (z, distances))
        return x.flatten(1), d[:, None]

    def distances(self) -> torch.Tensor:
        """Distances of the nearest points that win, (n_samples, 1); inf if none does."""
        return torch.tensor(self.nearest.distances[self.batch.rows], **self.batch.place)[:, None]

    def flatten(self) -> None:
        """Try the nearest point of the boundary's tangent plane at the best point, and points up to it."""
        x, _ = self.found()
        x, logits = self.logits(x)
        margins, slope = self.slope(x, logits)
        x = x.detach()
        rise = -margins - (slope * (self.x0 - x)).sum(1, keepdim=True)
        # a little beyond, so that it still wins when it is rounded to the data's float type
        tangent = self.x0 + self.climb(self.x0, slope, (1.001 * rise).clamp_min(0.0))
        for share in (1.0, 0.3, 0.1):
            self.offer(x + share * (tangent - x))
