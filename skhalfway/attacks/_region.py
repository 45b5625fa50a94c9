"""Region: where each sample may go. Budget, bounds and constraints are enforced here, and only here.

Attacks work in coordinates ``z`` of their own, in which the budget is one number. ``z`` is the input, or the
input divided by the worth of a unit of the budget in each feature. Everything that attacks find passes
:meth:`Region.keep`, which makes it valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway._rounding import ColumnTypes
from skhalfway._streams import Streams
from skhalfway._vectors import lengths
from skhalfway.attacks._constraints import Rules
from skhalfway.attacks._discrete import to_valid
from skhalfway.attacks._norms import BALLS, Ball, keep_budget, random_ends, random_signs

Rows = slice | NDArray[Any]
EVERY_ROW = slice(None)


@dataclass(frozen=True)
class Region:
    """Valid samples within the budget of each sample.

    Attributes
    ----------
    X : ndarray of shape (n_samples, ...)
        The samples, of a float type.
    eps : float
        Budget, in ``z``.
    norm : {np.inf, 2, 1, 0}
        Norm of the budget; 0 is the number of features that differ.
    unit : ndarray of the shape of a sample, of X's or (n_samples, 1, ...); or None
        Input units of one unit of ``z``, for all samples or for each.
    low, high : ndarray or None
        Smallest and largest valid values; they broadcast against X.
    free : bool ndarray or None
        False where a value never changes; broadcasts against X.
    carried : bool ndarray of X's shape, or None
        True where X holds no number (a category, a missing value): ``z`` is 0 there.
    rules : Rules or None
        Constraints that are no intervals: whole numbers, one-hot groups, a projection.
    types : ColumnTypes or None
        Columns with a narrower float type than X, in which samples are returned.
    shared : ndarray of the shape of a sample, or None
        Result of :meth:`shared_unit` for all samples, if these are a part of them. None: these are all.
    """

    X: NDArray[Any]
    eps: float
    norm: float
    unit: NDArray[Any] | None = None
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None
    free: NDArray[np.bool_] | None = None
    carried: NDArray[np.bool_] | None = None
    rules: Rules | None = None
    types: ColumnTypes | None = None
    shared: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.X)

    @property
    def straight(self) -> bool:
        """Whether ``z`` is the input itself, and nothing is rounded."""
        return self.unit is None and self.carried is None and self.rules is None

    def take(self, rows: Rows) -> Region:
        """The region of some of the samples."""
        own = {
            name: value[rows]
            for name in ("unit", "low", "high", "free", "carried")
            if (value := getattr(self, name)) is not None and value.ndim == self.X.ndim
        }
        return replace(self, X=self.X[rows], **own)

    def parts(self) -> list[Region]:
        """All samples at once; a :class:`WholeRegion` gives a few at a time."""
        return [self]

    def affordable(self) -> Region:
        """The region with bounds at the last whole number or category that the budget can reach."""
        if self.rules is None or self.eps == np.inf:
            return self
        x, shape = self._numbers(EVERY_ROW).reshape(len(self), -1), self.X.shape
        free = np.array(self.movable()).reshape(x.shape)
        low, high = (np.array(np.broadcast_to(bound, shape)).reshape(x.shape) for bound in self.limits())
        for group in self.rules.one_hot:
            dear = np.ix_(np.flatnonzero(self.category_cost(group) > self.eps), group)
            free[dear], low[dear], high[dear] = False, x[dear], x[dear]
        if self.norm == 1:
            # at a corner of the ball, one feature uses the whole budget
            whole = self.rules.integer
            steps = np.floor(self.eps * self.flat_units()[:, whole])
            low[:, whole] = np.maximum(low[:, whole], x[:, whole] - steps)
            high[:, whole] = np.minimum(high[:, whole], x[:, whole] + steps)
        return replace(self, low=low.reshape(shape), high=high.reshape(shape), free=free.reshape(shape))

    def category_cost(self, group: NDArray[np.intp]) -> NDArray[np.float64]:
        """Cost of the cheapest change of category for each sample, in the budget's units."""
        cheapest = np.sort(1 / self.flat_units()[:, group], axis=1)[:, :2]
        cost: NDArray[np.float64] = np.linalg.norm(cheapest, self.norm, axis=1)
        return cost

    def start(self, rows: Rows = EVERY_ROW) -> NDArray[Any]:
        """The samples themselves, in ``z``."""
        x, unit = self._numbers(rows), self._unit(rows)
        return x if unit is None else x / unit

    def bounds(self, rows: Rows = EVERY_ROW) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Bounds of the samples, in ``z``."""
        bounds, unit = self._bounds(rows), self._unit(rows)
        return bounds if bounds is None or unit is None else (bounds[0] / unit, bounds[1] / unit)

    def limits(self, rows: Rows = EVERY_ROW) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bounds of the samples, in input units; infinite where there are none."""
        return self._bounds(rows) or (np.array(-np.inf), np.array(np.inf))

    def movable(self, rows: Rows = EVERY_ROW) -> NDArray[np.bool_]:
        """Mask of values that may change, in the samples' shape."""
        free = np.ones(1, dtype=bool) if self.free is None else self._of(self.free, rows)
        return np.broadcast_to(free, self.X[rows].shape)

    def to_z(self, X: NDArray[Any]) -> NDArray[Any]:
        """Convert inputs, one for each sample, to ``z``."""
        return replace(self, X=X).start()

    def to_input(self, z: Any) -> Any:
        """Convert ``z`` to inputs, for any rows, if nothing is carried and all samples have one unit."""
        return z if self.unit is None else z * self.unit

    def ball(self, rows: Rows, place: dict[str, Any]) -> Ball:
        """The budget and the bounds as tensors, for gradient attacks."""
        bounds, free = self.bounds(rows), None if self.free is None else self._of(self.free, rows)
        low, high = (None, None) if bounds is None else (torch.tensor(b, **place) for b in bounds)
        x0 = torch.tensor(self.start(rows), **place)
        return BALLS[self.norm](
            x0, self.eps, low, high, None if free is None else torch.tensor(free, **place)
        )

    def view(self, rows: Rows, place: dict[str, Any]) -> Callable[[torch.Tensor], torch.Tensor] | None:
        """A differentiable function from ``z`` to the model's input; None if these are the same.

        Whole numbers and one-hot groups are rounded as :meth:`keep` will round them, and the gradient ignores
        the rounding (the straight-through estimator of Bengio et al., arXiv 1308.3432, section 4).
        """
        if self.straight:
            return None
        units = self._unit(rows)
        unit = torch.ones(1, **place) if units is None else torch.tensor(units, **place)
        if self.rules is not None:

            def keep(z: torch.Tensor) -> torch.Tensor:
                return torch.tensor(self.keep(z.detach().cpu().numpy(), rows, full=True), **place)

            return lambda z: _StraightThrough.apply(z, unit, keep)
        held = self.not_numbers(rows, place)
        if held is None:
            return lambda z: z * unit
        carried, values = held
        return lambda z: torch.where(carried, values, z * unit)

    def not_numbers(self, rows: Rows, place: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Mask of values that are no numbers, and these values; None if all values are numbers."""
        if self.carried is None:
            return None
        where = torch.tensor(self.carried[rows], device=place["device"])
        return where, torch.tensor(self.X[rows], **place)

    def keep(
        self, z: NDArray[Any], rows: Rows = EVERY_ROW, *, budget: bool = True, full: bool = False
    ) -> NDArray[Any]:
        """The valid inputs nearest to ``z``, in X's float type, and within the budget if ``budget``.

        Each value is rounded to its column's own type, so that models are queried at the values that users
        get.

        Everything that the package returns passes here, since attacks compute in the float type of their
        source, whose rounding may exceed the budget. The norm of the perturbation, computed in X's type and
        in the budget's units, is at most eps when a user checks it. Whole numbers and categories that ``z``
        changes most are changed first. With ``full``, the part of the change that they leave unused goes to
        the other columns.
        """
        x, unit = self._numbers(rows), self._unit(rows)
        if unit is not None:
            z = x + (z - x / unit) * unit
        eps, bounds = self.eps if budget else np.inf, self._bounds(rows)
        # with whole numbers or categories, changed features are counted after rounding
        at_first = np.inf if self.norm == 0 and self.rules is not None else eps
        kept = keep_budget(x, z, at_first, self.norm, bounds, unit)
        if self.rules is not None and len(x):
            flat = len(x), -1
            low, high = self.limits(rows)
            kept = to_valid(
                kept.reshape(flat),
                self.X[rows].reshape(flat),
                None if self.carried is None else self.carried[rows].reshape(flat),
                (np.broadcast_to(low, x.shape).reshape(flat), np.broadcast_to(high, x.shape).reshape(flat)),
                self.movable(rows).reshape(flat),
                eps,
                self.norm,
                None if unit is None else np.broadcast_to(unit, x.shape).reshape(flat),
                self.rules,
                self.types,
                full=full,
            ).reshape(x.shape)
        elif self.types is not None:
            kept = self.types.towards(kept, x)
        if self.carried is not None:
            kept = np.where(self.carried[rows], self.X[rows], kept)
        return kept

    def keep_found(self, found: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
        """Inputs found without a budget: made valid; projected into the budget; and their distances.

        They are valid already, except for a projection. Those well inside the budget stay exactly as they
        are, since a split of a tree may depend on the last digit.
        """
        z = self.to_z(found)
        valid = found
        if self.rules is not None and self.rules.projection is not None:
            valid = self.keep(z, budget=False)
        distances = self.distance(valid)
        inside = distances < self.eps * (1 - 16 * float(np.finfo(self.X.dtype).eps))
        inside = inside.reshape(-1, *[1] * (found.ndim - 1))
        return valid, np.where(inside, valid, self.keep(z)), distances

    def distance(self, X_adv: NDArray[Any], rows: Rows = EVERY_ROW) -> NDArray[np.float64]:
        """Norm of each perturbation, in the budget's units."""
        change = np.subtract(X_adv, self.X[rows], dtype=float)
        if self.carried is not None:
            change = np.where(self.carried[rows], 0.0, change)
        if (unit := self._unit(rows)) is not None:
            change /= unit
        return lengths(change.reshape(len(change), int(np.prod(change.shape[1:]))), self.norm)

    def noise(self, streams: Streams) -> NDArray[Any]:
        """The noise control: the samples, moved by random signs of the budget's size.

        In norm 0, ``eps`` random features go to a random end of their range.
        """
        if self.norm == 0:
            flat = len(self), int(np.prod(self.X.shape[1:]))
            low, high = (np.broadcast_to(bound, self.X.shape).reshape(flat) for bound in self.limits())
            start, movable = self.start().reshape(flat), self.movable().reshape(flat)
            return self.keep(
                random_ends(streams, np.arange(len(self)), self.eps, start, (low, high), movable).reshape(
                    self.X.shape
                ),
                full=True,
            )
        signs = random_signs(streams, self.eps, self.norm, self.movable())
        return self.keep(self.start() + signs, full=True)

    @property
    def one_unit(self) -> bool:
        """Whether all samples have the same unit, so that their ``z`` can be compared."""
        return self.unit is None or self.unit.ndim < self.X.ndim

    def flat_units(self) -> NDArray[np.float64]:
        """Input units of one unit of ``z``, (n_samples, n_features)."""
        unit = np.ones(1) if self.unit is None else self.unit
        return np.broadcast_to(unit, self.X.shape).reshape(len(self), int(np.prod(self.X.shape[1:])))

    def shared_unit(self) -> NDArray[np.float64] | None:
        """The unit, in input units, of coordinates that all samples share; None if these are the inputs.

        If samples have units of their own, it is each feature's geometric mean over the samples in which it
        may change. Only the ratios of features matter for distances between samples.
        """
        own = self.unit is not None and not self.one_unit and np.prod(self.unit.shape[1:]) > 1
        return self.shared if own and self.shared is not None else mean_unit(self, [self])

    def in_shared_unit(self) -> NDArray[np.float64]:
        """The samples in the coordinates that they share: ``z``, if all have the same unit."""
        return replace(self, unit=self.shared_unit()).start().astype(float)

    def by_unit(self) -> list[NDArray[np.intp]]:
        """Groups of samples with the same unit, by number; samples that may not change are left out."""
        able = np.flatnonzero(self.movable().reshape(len(self), -1).any(axis=1))
        if self.unit is None or self.one_unit or not len(able):
            return [able]
        units = self.unit.reshape(len(self), -1)[able]
        which = np.unique(units, axis=0, return_inverse=True)[1].ravel()
        return [able[which == k] for k in range(which.max() + 1)]

    def alone(self) -> tuple[Region, float]:
        """The region with one unit, for samples that have the same unit; and the old unit in the new ``z``.

        If the unit is the same in all features, the new ``z`` is the input.
        """
        assert self.unit is not None
        unit = self.unit[0]
        if (unit == unit.flat[0]).all():
            return replace(self, eps=self.eps * float(unit.flat[0]), unit=None), float(unit.flat[0])
        return replace(self, unit=unit), 1.0

    def _numbers(self, rows: Rows) -> NDArray[Any]:
        x = self.X[rows]
        return x if self.carried is None else np.where(self.carried[rows], x.dtype.type(0), x)

    def _of(self, array: NDArray[Any], rows: Rows) -> NDArray[Any]:
        return array[rows] if array.ndim == self.X.ndim else array

    def _unit(self, rows: Rows) -> NDArray[np.float64] | None:
        return None if self.unit is None else self._of(self.unit, rows)

    def _bounds(self, rows: Rows) -> tuple[NDArray[Any], NDArray[Any]] | None:
        if self.low is None or self.high is None:
            return None
        return self._of(self.low, rows), self._of(self.high, rows)


def mean_unit(first: Region, parts: Iterable[Region]) -> NDArray[np.float64] | None:
    """The result of :meth:`Region.shared_unit` for samples in ``parts``; ``first`` is any of these."""
    if first.unit is None or first.one_unit:
        return first.unit
    if np.prod(first.unit.shape[1:]) == 1:
        return None
    n, n_free, among, among_free = 0, *np.zeros((3, *first.X.shape[1:]))
    for part in parts:
        assert part.unit is not None
        free, size = part.movable(), np.log(part.unit)
        n, n_free = n + len(size), n_free + free.sum(axis=0)
        among, among_free = among + size.sum(axis=0), among_free + (size * free).sum(axis=0)
    return np.exp(np.where(n_free > 0, among_free / np.maximum(n_free, 1), among / n))


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, unit: torch.Tensor, keep: Any) -> torch.Tensor:
        ctx.save_for_backward(unit)
        return keep(z)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return grad * ctx.saved_tensors[0], None, None
