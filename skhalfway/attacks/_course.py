"""Course: the pieces of a recipe at work on one batch."""

from __future__ import annotations

from functools import partial
from math import prod
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skhalfway._text import shown
from skhalfway.attacks._following import Following
from skhalfway.attacks._losses import CrossEntropy
from skhalfway.attacks._norms import at_least_tiny, lengths
from skhalfway.attacks._own_pieces import call, changed, moved, weighed
from skhalfway.attacks._pieces import Gradient, Piece, Run, has, repeated

if TYPE_CHECKING:
    from skhalfway._streams import Streams
    from skhalfway.attacks._gradient import Batch
    from skhalfway.attacks._layers import Wires
    from skhalfway.attacks._norms import Ball
    from skhalfway.attacks._recipe import Recipe


class Course:
    """What a recipe computes at each step.

    Parameters
    ----------
    recipe : Recipe
        The pieces.
    batch : Batch
        The samples.
    size : float
        Length of a step, negative if the loss is to be lowered.
    n_steps : int
        Number of steps.
    streams : Streams
        Random numbers for each sample of the batch.
    wires : Wires
        Layers of the source that pieces asked for.
    """

    def __init__(
        self, recipe: Recipe, batch: Batch, size: float, n_steps: int, streams: Streams, wires: Wires
    ) -> None:
        self._batch, self._pieces = batch, recipe.pieces
        self._run = Run(batch, size, batch.ball.eps, n_steps, streams, wires, recipe.image_shape)
        wires.run = self._run
        self._inputs = self._with("change")
        # each piece of the kind "gradient" gets its gradients from the next
        self._asking = sorted(self._with("gradient"), key=lambda piece: not piece.outermost)
        self._lengths = self._with("length")
        self._stride = next(iter(self._with("stride")), None)
        losses = recipe.of("loss")
        self._loss: Piece = losses[0] if losses else CrossEntropy()
        self._n_copies = prod(piece.n_copies for piece in self._inputs)
        self._elsewhere = bool(self._asking or self._inputs or recipe.of("model"))
        # a single gradient matters by its direction only, which is that of the margin's gradient
        self._follow = Following(None, self._weigh) if self._elsewhere or losses else None

    def _with(self, method: str) -> list[Piece]:
        return [piece for piece in self._pieces if has(piece, method)]

    @property
    def rehearsals(self) -> list[tuple[int, float]]:
        """For each piece with preliminary steps: their number, and their length in steps."""
        return [piece.rehearsal for piece in self._pieces if piece.rehearsal[0]]

    def set_back(self) -> None:
        """Drop the state of the preliminary steps, except the sum of their gradients."""
        self._run.step = 0
        for piece in self._pieces:
            if piece.of_steps:
                self._run.kept.pop(piece.name, None)

    def gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The gradient to follow from the points ``x``, and the logits there if they were computed."""
        logits: list[torch.Tensor] = []
        self._run.at = x
        for piece in self._pieces:
            call(piece, "prepare", self._run)
        for piece in self._pieces:
            x = moved(piece, "ahead", x, self._run, x)
        ask = partial(self._ask, logits)
        for piece in reversed(self._asking):
            ask = partial(self._by_piece, piece, ask)
        gradient = ask(x)
        return gradient, None if self._elsewhere or x is not self._run.at else logits[0]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the source itself."""
        with self._run.wires.cut():
            return self._batch.logits(x)

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Direction of the step."""
        for piece in self._pieces:
            gradient = moved(piece, "direction", gradient, self._run, gradient)
        return gradient

    def move(self, ball: Ball, x: torch.Tensor, direction: torch.Tensor, size: float) -> None:
        """Take the step, in place."""
        for piece in self._lengths:
            size *= _length(piece, self._run)
        self._run.step += 1
        if self._stride is None:
            ball.ascend(x, direction, size)
            return
        stride = moved(self._stride, "stride", direction, self._run, direction)
        if ball.free is not None:
            stride = stride * ball.free
        if ball.norm != torch.inf:  # scale the step to its length in the norm
            stride = stride / at_least_tiny(lengths(stride, ball.norm))
        x.add_(stride, alpha=size)

    def _by_piece(self, piece: Piece, ask: Gradient, x: torch.Tensor) -> torch.Tensor:
        return moved(piece, "gradient", x, self._run, x, ask)

    def _ask(self, logits: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Gradient at points of the mean over copies; as many at once as the batch size allows."""
        if self._follow is None or not self._inputs:
            found, said = self._batch.gradient(x, self._follow)
            logits.append(said)
            return found
        most, total = max(1, self._batch.at_once // len(x)), torch.zeros_like(x)
        for begin in range(0, self._n_copies, most):
            numbers = torch.arange(begin, min(self._n_copies, begin + most), device=x.device)
            change = partial(self._changed, numbers)
            with self._run.inside(numbers.tolist()):
                total += self._batch.gradient(x, Following(change, self._weigh, self._n_copies))[0]
        return total

    def _changed(self, numbers: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        copy = numbers.repeat_interleave(len(seen))
        seen = repeated(seen, len(numbers))
        for piece in self._inputs:
            seen = changed(piece, seen, self._run, seen, copy % piece.n_copies)
            copy = copy // piece.n_copies
        return seen

    def _weigh(self, logits: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return weighed(self._loss, logits, own, self._run)


def _length(piece: Piece, run: Run) -> float:
    """Length of a step by a piece, checked."""
    length: Any = call(piece, "length", run)
    known = isinstance(length, (Real, np.number)) and not isinstance(length, bool)
    if not known or not 0 <= length < np.inf:
        raise ValueError(
            f"{type(piece).__name__}.length(run) must return a finite number of at least 0, got "
            f"{shown(length)} in step {run.step}"
        )
    return float(length)
