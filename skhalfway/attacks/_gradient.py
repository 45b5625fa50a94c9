"""The gradient attacks: one common loop, and a few lines for each attack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, isfinite, log
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from skhalfway._checks import LARGEST
from skhalfway._text import shown
from skhalfway.attacks._course import Course
from skhalfway.attacks._faults import Faults
from skhalfway.attacks._layers import wired
from skhalfway.attacks._losses import margin_slope
from skhalfway.attacks._members import at_once_of, members_of
from skhalfway.attacks._norms import largest, random_in_ball
from skhalfway.attacks._pieces import repeated
from skhalfway.attacks._problem import PGD_REACH, Outcome
from skhalfway.attacks._recipe import Recipe
from skhalfway.attacks._steps import Momentum
from skhalfway.models._derivative import derivative
from skhalfway.models._precision import in_fewer_digits
from skhalfway.models._torch import HALF, dtype_of, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from skhalfway._streams import Streams
    from skhalfway.attacks._following import Following
    from skhalfway.attacks._layers import Wires
    from skhalfway.attacks._members import Members
    from skhalfway.attacks._norms import Ball
    from skhalfway.attacks._problem import Problem, Settings
    from skhalfway.models import Model

Said = TypeVar("Said")


@dataclass(frozen=True)
class Batch:
    """Some samples of a problem, as tensors.

    Attributes
    ----------
    rows : slice
        Which samples of the problem these are.
    ball : Ball
        Budget and bounds.
    own : bool Tensor of shape (n_samples, n_classes)
        True at each sample's label.
    model : Model
        The source, on the device of the tensors.
    view : callable or None
        Converts a tensor from the region's coordinates to the source's inputs; None if these are the same.
    faults : Faults
        Faults of the gradients, for all samples of the problem.
    targeted : bool
        Whether the labels are to be reached rather than left.
    place : dict
        Float type and device of the tensors.
    problem : Problem
        The problem that the samples belong to.
    at_once : int
        Largest number of copies of samples that the source computes at once.
    dtype : str or None, default=None
        Float type of gradients, if it is not the source's own.
    members : Members or None, default=None
        Combines the members' gradients if the source is an ensemble.
    carried : tuple of (bool Tensor, Tensor) or None, default=None
        Mask of values that are no numbers (categories, missing values), and these values.
    """

    rows: slice
    ball: Ball
    own: torch.Tensor
    model: Model
    view: Callable[[torch.Tensor], torch.Tensor] | None
    faults: Faults
    targeted: bool
    place: dict[str, Any]
    problem: Problem
    at_once: int
    dtype: str | None = None
    members: Members | None = None
    carried: tuple[torch.Tensor, torch.Tensor] | None = None

    def logits(
        self,
        x: torch.Tensor,
        dtype: str | None = None,
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Differentiable logits at points in the region's coordinates, in ``dtype`` or the source's own type.

        ``change`` is applied to the source's inputs.
        """
        logits = self.ask(self.model.logits, x, dtype, change)
        return logits.float() if logits.dtype in HALF else logits

    def ask(
        self,
        function: Callable[[torch.Tensor], Said],
        x: torch.Tensor,
        dtype: str | None = None,
        change: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> Said:
        """Call a function of the source on its inputs for the points ``x``."""
        with in_fewer_digits(self.model, dtype):
            seen = x if self.view is None else self._seen(x)
            return function(seen if change is None else self._changed(change, seen))

    def _changed(self, change: Callable[[torch.Tensor], torch.Tensor], seen: torch.Tensor) -> torch.Tensor:
        """Apply ``change`` to the source's inputs, except to values that are no numbers."""
        changed = change(seen)
        if self.carried is None:
            return changed
        where, values = (repeated(part, len(changed) // len(part)) for part in self.carried)
        return torch.where(where, values, changed)

    def gradient(self, x: torch.Tensor, follow: Following | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradient of the margin at points, mended so that it can be followed, and the logits there.

        There is one point for each sample, or several copies of the batch, one after another. With
        ``follow``, the gradient and the logits are those that a recipe asks for.
        """
        gradient, logits = self._gradient(x, self.dtype, follow)
        if self.dtype == "float16" and self.model.in_torch:
            # values that underflow in this type's small range are computed in the source's own type
            size = largest(gradient)
            there = size.isfinite() & (size > 0)
            if not there.all():
                full, logits = self._gradient(x, None, follow)
                gradient = torch.where(there, gradient, full)
        # one number tells whether all values are finite, which is cheaper than to check each at every step
        if not isfinite(torch.linalg.vector_norm(gradient)):
            gradient = self._mended(gradient, x, follow)
            # only the direction matters: scaling by a power of 2 avoids overflow and rounds nothing
            size = largest(gradient)
            smaller = torch.ldexp(gradient, -torch.frexp(size).exponent)
            gradient = torch.where(size > torch.finfo(x.dtype).max ** 0.25, smaller, gradient)
        return gradient, logits

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        """The source's inputs at points, of which there may be several for each sample."""
        assert self.view is not None
        n = len(self.own)
        return self.view(x) if len(x) == n else torch.cat([self.view(part) for part in x.split(n)])

    def _mended(self, gradient: torch.Tensor, x: torch.Tensor, follow: Following | None) -> torch.Tensor:
        """The gradient, with values that are not finite replaced."""
        n, bounds = len(self.own), (self.ball.low, self.ball.high)

        def look(at: torch.Tensor) -> torch.Tensor:
            return self._gradient(at, None, follow)[0]

        parts = zip(gradient.split(n), x.split(n), strict=True)
        return torch.cat([self.faults.mend(part, at, self.rows, bounds, look) for part, at in parts])

    def _gradient(
        self, x: torch.Tensor, dtype: str | None = None, follow: Following | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.members is not None and not self.members.are_logits:
            return self.members.gradient(self, x, dtype, follow)
        x = x.detach().requires_grad_()
        change = None if follow is None else follow.change
        logits = self.logits(x, dtype, change)
        self.faults.n_gradients += len(logits)
        if follow is None:
            return derivative(self.model, logits, x, margin_slope(logits, self.own), again=False), logits
        outputs, weights = follow.weigh(logits, repeated(self.own, len(logits) // len(self.own)))
        return derivative(self.model, outputs, x, weights / follow.n_copies, again=False), logits

    def look_back(self, gradient: torch.Tensor, logits: torch.Tensor) -> None:
        """Record samples that have not won and have a gradient of 0 with respect to all that may change."""
        stuck = largest(gradient).flatten() == 0
        if stuck.any():
            stuck &= ~(self.margins(logits.detach()) > 0)
            if self.ball.free is not None:
                stuck &= self.ball.free.flatten(1).any(dim=1)
        self.faults.flat[self.rows] &= stuck.cpu().numpy()

    def margins(self, logits: torch.Tensor, rival: torch.Tensor | None = None) -> torch.Tensor:
        """Margins, which are positive where an attack has won: another logit minus the label's own.

        The other logit is that of ``rival`` (n_samples, 1), or the largest. In a targeted attack, the sign is
        reversed.
        """
        others = logits.masked_fill(self.own, -torch.inf)
        other = others.amax(dim=1) if rival is None else logits.gather(1, rival)[:, 0]
        margin = other - logits[self.own]
        return -margin if self.targeted else margin


def batches(problem: Problem, model: Model, settings: Settings, faults: Faults) -> Iterator[Batch]:
    """The samples of a problem, in batches."""
    assert model.module is not None
    region = problem.region
    place = place_of(model.module)
    for begin in range(0, len(region), settings.batch_size):
        rows = slice(begin, begin + settings.batch_size)
        label = torch.from_numpy(problem.labels[rows]).to(place["device"])
        yield Batch(
            rows,
            region.ball(rows, place),
            torch.nn.functional.one_hot(label, problem.n_classes).bool(),
            model,
            region.view(rows, place),
            faults,
            problem.targeted,
            place,
            problem,
            at_once_of(model, settings.batch_size),
            settings.dtype,
            members_of(model),
            region.not_numbers(rows, place),
        )


@dataclass(frozen=True)
class GradientAttack:
    """Projected steps along the gradient of the loss.

    Attributes
    ----------
    settings : Settings
        The generator's.
    n_steps : int
        Number of gradients.
    reach : float
        Sum of the lengths of all steps, as a multiple of the budget, if the settings have no step size.
    recipe : Recipe or None, default=None
        Pieces that change the loop; None follows the gradient of the margin.
    """

    settings: Settings
    n_steps: int
    reach: float
    recipe: Recipe | None = None

    def climb(
        self, batch: Batch, x: torch.Tensor, size: float, streams: Streams, wires: Wires
    ) -> torch.Tensor:
        """Raise the loss from the points ``x``, or lower it in a targeted attack; ``x`` is overwritten."""
        size = -size if batch.targeted else size
        if self.recipe is None:
            return self._steps(batch, x, size, self.n_steps, None)
        pieces = Course(self.recipe, batch, size, self.n_steps, streams, wires)
        for n_steps, factor in pieces.rehearsals:
            self._steps(batch, x.clone(), factor * size, n_steps, pieces)
            pieces.set_back()
        return self._steps(batch, x, size, self.n_steps, pieces)

    def _steps(
        self, batch: Batch, x: torch.Tensor, size: float, n_steps: int, pieces: Course | None
    ) -> torch.Tensor:
        ball = batch.ball
        for step in range(n_steps):
            if batch.members is not None:
                batch.members.step, batch.members.size = step, size
            gradient, logits = batch.gradient(x) if pieces is None else pieces.gradient(x)
            if ball.free is not None:
                gradient = gradient * ball.free  # not in place: it may be the source's own tensor
            if step == n_steps - 1:
                if logits is None:
                    logits = batch.logits(x) if pieces is None else pieces.logits(x)
                batch.look_back(gradient, logits)
            if pieces is None:
                ball.ascend(x, gradient, size)
            else:
                pieces.move(ball, x, pieces.direction(gradient), size)
            ball.confine(x)
        return x

    def run(self, problem: Problem) -> Outcome:
        """Attack all samples, and keep the restart of the largest margin."""
        region, settings = problem.region.affordable(), self.settings
        problem = replace(problem, region=region)
        pieces = () if self.recipe is None else self.recipe.pieces
        model, wires = wired(problem.model, pieces, settings.device)
        assert model.module is not None
        size = self.reach * region.eps / self.n_steps if settings.step_size is None else settings.step_size
        # a longer step would be cut off by the ball, and only add rounding errors
        size = min(size, region.eps / torch.finfo(dtype_of(model.module)).eps ** 0.5)
        X_adv, best = region.X.copy(), np.full(len(region), -np.inf)
        faults = Faults(len(region), type(model.estimator).__name__, partly=region.free is not None)
        starts, numbers, shape = problem.streams(), np.arange(len(region)), region.X.shape[1:]
        with wires, model.evaluating():
            for restart in range(settings.n_restarts):
                for batch in batches(problem, model, settings, faults):
                    x = batch.ball.x0.clone()
                    wires.look(batch)
                    if settings.random_start or restart > 0:
                        start = random_in_ball(starts, numbers[batch.rows], shape, region.eps, region.norm)
                        x += torch.from_numpy(start).to(**batch.place)
                        batch.ball.confine(x)
                    streams = problem.streams(1 + restart).take(numbers[batch.rows])
                    x = self.climb(batch, x, size, streams, wires)
                    kept = region.keep(x.cpu().numpy(), batch.rows, full=True)
                    if settings.n_restarts == 1:
                        X_adv[batch.rows] = kept
                        continue
                    with torch.no_grad(), wires.cut():
                        margin = batch.margins(batch.logits(x)).cpu().numpy()
                    better = margin > best[batch.rows]
                    best[batch.rows][better] = margin[better]
                    X_adv[batch.rows][better] = kept[better]
        return Outcome(X_adv, faults=faults)


def fgsm(settings: Settings) -> GradientAttack:
    """Fast gradient (sign) method: one step of length eps (Goodfellow et al. 2015, section 4)."""
    if settings.step_size is not None:
        raise ValueError(
            f"attack='fgsm' takes one step of length eps; step_size must be None, "
            f"got {shown(settings.step_size)}"
        )
    return GradientAttack(settings, n_steps=1, reach=1.0)


def pgd(settings: Settings) -> GradientAttack:
    """Projected gradient descent (Madry et al. 2018, section 2.1); its steps add up to 2.5 eps."""
    return GradientAttack(settings, settings.max_iter, reach=PGD_REACH)


def mifgsm(settings: Settings, decay: float = 1.0) -> GradientAttack:
    """Momentum iterative method (Dong et al. 2018, Algorithm 1); its steps add up to eps."""
    if not isinstance(decay, Real) or not 0 <= decay < inf:
        raise ValueError(f"attack_params['decay'] must be a finite number >= 0, got {shown(decay)}")
    if decay > 1 and settings.max_iter * log(decay) > log(LARGEST):
        raise ValueError(
            f"attack_params['decay'] to the power of max_iter must be at most {LARGEST:g}, or the first "
            f"gradient outweighs all others; got {shown(decay)} and {settings.max_iter}; lower one of these"
        )
    return GradientAttack(settings, settings.max_iter, 1.0, Recipe(Momentum(decay)) if decay else None)


def by_recipe(recipe: Recipe) -> Callable[[Settings], GradientAttack]:
    """Make a function that makes the attack of a recipe and takes no attack_params."""

    def made(settings: Settings) -> GradientAttack:
        return GradientAttack(settings, settings.max_iter, recipe.reach, recipe)

    return made
