"""Minimum-norm attacks: the nearest point to each sample at which the source is fooled, for any budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import torch

from skhalfway._checks import LARGEST, as_python
from skhalfway._text import shown
from skhalfway.attacks._boundary import Field, Nearest
from skhalfway.attacks._faults import Faults
from skhalfway.attacks._gradient import batches
from skhalfway.attacks._norms import largest
from skhalfway.attacks._problem import Outcome, Problem

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Settings

DUAL = {np.inf: 1, 2: 2, 1: np.inf}
# smallest step outwards, as a share of the distance, if only the logits say that a point wins
_OUTWARDS = 0.05


@dataclass(frozen=True)
class MinimumAttack:
    """Search for the nearest winning point, then refine it: tangent plane, and bisection to the sample.

    The last tenth of the steps tries the tangent plane of the boundary, as Croce & Hein (ICML 2020) do in
    every step.
    """

    settings: Settings

    def search(self, field: Field, n_steps: int) -> None:
        """Offer points to the field."""
        raise NotImplementedError

    def finish(self, field: Field, n_steps: int) -> None:
        """Refine the points found."""
        for _ in range(n_steps):
            field.flatten()
        field.nearest.shorten(field.batch.rows)

    def run(self, problem: Problem) -> Outcome:
        """Attack the samples that the source does not misclassify already."""
        region = problem.region
        model = problem.model.on(self.settings.device)
        X_adv, distances = region.X.copy(), np.zeros(len(region))
        n_steps = self.settings.max_iter
        n_last = max(n_steps // 10, int(n_steps > 1))
        with model.evaluating():
            left = np.flatnonzero(~problem.won(problem.model.predict(region.X)))
            rest = problem.take(left)
            nearest = Nearest(replace(rest, region=replace(rest.region, eps=np.inf)))
            partly = region.free is not None
            of_rest = Faults(len(left), type(model.estimator).__name__, partly=partly)
            for batch in batches(nearest.problem, model, self.settings, of_rest):
                field = Field(batch, nearest, region.norm)
                flat = field.flat()
                self.search(field, n_steps - n_last)
                self.finish(field, n_last)
                lost = np.isinf(nearest.distances[batch.rows])
                of_rest.flat[batch.rows] = lost & flat
        if len(left):
            X_adv[left] = within = nearest.within(rest.region)
            far = np.flatnonzero(nearest.distances > region.eps)
            distances[left] = rest.nearer(within, nearest.distances, far)
        faults = of_rest.spread(left, len(region))
        return Outcome(X_adv, distances=distances, at_any_budget=True, faults=faults)


@dataclass(frozen=True)
class FMN(MinimumAttack):
    """Fast minimum-norm attack.

    Pintor et al., NeurIPS 2021, Algorithm 1, with the ball's radius and the step size annealed by half a
    cosine. Our own additions:

    - Distances and steps take the bounds into account, so that neither is too short at a bound.
    - Step sizes are in multiples of the sample's estimated distance, so that they fit any scale of the data,
      and do not shrink before the first win.
    - For half of the steps, the rival class is the one whose boundary seems nearest at the start, then the
      most probable one.
    """

    # shares by which the radius changes, at the first and the last step, as in the paper
    gamma: tuple[float, float] = (0.05, 0.001)
    # first step size, as a share of the estimated distance; last step size, as a share of the first
    pace: tuple[float, float] = (0.6, 0.01)

    def search(self, field: Field, n_steps: int) -> None:
        x = field.x0
        rival = None if field.batch.targeted else field.to_boundary(x)[1]
        radius = torch.full_like(x[:, :1], torch.inf)
        step = None if self.settings.step_size is None else torch.full_like(radius, self.settings.step_size)
        for k in range(n_steps):
            if k == (n_steps + 1) // 2:
                # samples without a win start again, towards the most probable rival
                field.offer(x)
                rival, x = None, torch.where(field.distances() < torch.inf, x, field.x0)
            left = (1 + cos(pi * k / n_steps)) / 2
            gamma = self.gamma[1] + (self.gamma[0] - self.gamma[1]) * left
            x, logits = field.logits(x)
            margins, slope = field.slope(x, logits, rival)
            x = x.detach()
            won = field.offer_likely(x, logits)
            # only the direction matters: scale it, so that nothing overflows or underflows
            size = largest(slope).clamp_min(torch.finfo(x.dtype).tiny)
            slope = slope / size
            ways = field.ways(x, slope)
            boundary = field.lengths(ways.to((margins.abs() / size).nan_to_num(0.0)))
            step = self.pace[0] * boundary if step is None else step
            nearest = field.distances()
            found, way = nearest < torch.inf, field.lengths(x - field.x0)
            length = torch.where(found, step * (self.pace[1] + (1 - self.pace[1]) * left), step)
            # a radius of 0 has no direction
            outwards = (way + torch.maximum(boundary, _OUTWARDS * way)).clamp_min(torch.finfo(x.dtype).tiny)
            radius = torch.where(
                won,
                torch.minimum(radius * (1 - gamma), nearest),
                torch.where(found, radius * (1 + gamma), outwards),
            )
            x = x + ways.to(length * field.lengths(slope, DUAL[field.norm]))
            x = field.project(x, radius)
        field.offer(x)


@dataclass(frozen=True)
class DeepFool(MinimumAttack):
    """DeepFool: Moosavi-Dezfooli et al., CVPR 2016, Algorithm 2, and its extension to other norms.

    Towards a label, each step goes to the boundary between that and the most probable other one.
    """

    overshoot: float

    def search(self, field: Field, n_steps: int) -> None:
        x = field.x0
        change, won = torch.zeros_like(x), torch.zeros_like(x[:, :1], dtype=torch.bool)
        for _ in range(n_steps):
            step = self._step(field, x)
            least = (
                _OUTWARDS * field.lengths(change) / field.lengths(step).clamp_min(torch.finfo(x.dtype).tiny)
            )
            change = torch.where(won, change, change + step * least.clamp(1, 1 / _OUTWARDS))
            x = torch.clamp(field.x0 + (1 + self.overshoot) * change, field.low, field.high)
            won |= field.offer(x)
            if won.all():
                break

    @staticmethod
    def _step(field: Field, x: torch.Tensor) -> torch.Tensor:
        if not field.batch.targeted:
            return field.to_boundary(x)[0]
        leaf, logits = field.logits(x)
        margins, slope = field.slope(leaf, logits)
        return field.climb(leaf.detach(), slope, margins.abs())


def fmn(settings: Settings) -> FMN:
    """Fast minimum-norm attack; ``step_size``, if given, is the length of the first step."""
    return FMN(settings)


def deepfool(settings: Settings, overshoot: float = 0.02) -> DeepFool:
    """DeepFool; ``overshoot`` is the share by which it steps beyond what should be the boundary."""
    if not isinstance(overshoot, Real) or not 0 <= as_python(overshoot) <= LARGEST:
        raise ValueError(
            f"attack_params['overshoot'] must be a number from 0 to {LARGEST:g}, got {shown(overshoot)}"
        )
    if settings.step_size is not None:
        raise ValueError(
            f"attack='deepfool' steps to where it estimates the boundary; step_size must be None, "
            f"got {shown(settings.step_size)}"
        )
    return DeepFool(settings, float(overshoot))
