"""Limits of attacks of other libraries: gradients that vanish in float32, budgets too fine for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.models import Finding

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem

_LEAST_STEPS = 4  # smallest useful budget, in steps of the float type


@dataclass
class Sight:
    """The gradients that an attack computes.

    Attributes
    ----------
    n_flat : int
        Number of gradients that were exactly 0.
    of_loss : callable or None
        ``of_loss(X, labels)`` returns gradients of the cross-entropy as the attack sees it, in its own units
        and float type. None if there are none.
    """

    n_flat: int = 0
    of_loss: Callable[[NDArray[Any], NDArray[np.intp]], NDArray[Any]] | None = None

    def note(self, gradient: Any) -> None:
        """Count those that are 0 among gradients, an array or a tensor, as the attack gets them."""
        self.n_flat += int((gradient.reshape(len(gradient), -1) == 0).all(axis=1).sum())


def flat_at_end(
    sight: Sight, made: NDArray[Any], X_adv: NDArray[Any], problem: Problem, batch_size: int
) -> NDArray[np.bool_]:
    """Samples that do not fool the source and end where the gradient is 0; none if the attack met no such."""
    flat = np.zeros(len(made), dtype=bool)
    if not sight.n_flat or sight.of_loss is None:
        return flat
    able = problem.region.movable().reshape(len(made), -1).any(axis=1)
    left = np.flatnonzero(able & ~problem.won(problem.model.predict(X_adv)))
    for begin in range(0, len(left), batch_size):
        rows = left[begin : begin + batch_size]
        gradient = sight.of_loss(made[rows], problem.labels[rows])
        flat[rows] = (gradient.reshape(len(rows), -1) == 0).all(axis=1)
    return flat


def too_coarse(
    handed: NDArray[Any], to_z: Callable[[NDArray[Any]], NDArray[Any]], problem: Problem
) -> NDArray[np.bool_]:
    """Samples with a value that may change by fewer than four steps of the attack's float type.

    They do not count if the data or the source has no more digits, as no attack can use the budget then.
    """
    region, floats = problem.region, np.finfo(handed.dtype)
    if problem.model.module is not None:
        from torch import finfo

        from skhalfway.models._torch import dtype_of

        if finfo(dtype_of(problem.model.module)).eps >= floats.eps:
            return np.zeros(len(handed), dtype=bool)
    further = np.nextafter(handed, floats.max)
    step = np.abs(np.subtract(to_z(further), to_z(handed), dtype=float)).reshape(len(handed), -1)
    own = np.spacing(np.abs(region.X)).reshape(step.shape) / region.flat_units()
    coarse = (step > region.eps / _LEAST_STEPS) & (step > 2 * own)
    coarse &= region.movable().reshape(step.shape)
    return coarse.any(axis=1)


def remarks(name: str, flat: int, coarse: int, n: int) -> tuple[Finding, ...]:
    """Remarks on an attack that met a gradient of 0, or too few digits, on many of the ``n`` samples."""
    from skhalfway.attacks._faults import MANY

    found = []
    if flat and flat >= MANY * n:
        message = (
            f"{name} meets a gradient of exactly 0 on {flat} of {n} samples that it does not fool, so it "
            "cannot move them"
        )
        why = "in float32 the loss vanishes where a source is very confident; attack='auto' avoids that"
        found.append(Finding("gradient", "warning", message, why))
    if coarse and coarse >= MANY * n:
        message = (
            f"{name} computes in float32, whose steps are more than a quarter of the budget at some value "
            f"that may change in {coarse} of {n} samples, so it hardly moves these"
        )
        instead = "scale X, or name one of skhalfway's own attacks, which compute in the source's float type"
        found.append(Finding("attack", "warning", message, instead))
    return tuple(found)
