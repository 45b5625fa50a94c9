"""Course: the pieces of a recipe at work on one batch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from skhalfway.attacks._losses import CrossEntropy
from skhalfway.attacks._pieces import Following, Run

if TYPE_CHECKING:
    from skhalfway._streams import Streams
    from skhalfway.attacks._gradient import Batch
    from skhalfway.attacks._recipe import Recipe


class Course:
    """What a recipe follows from step to step.

    Parameters
    ----------
    recipe : Recipe
        The pieces.
    batch : Batch
        The samples.
    size : float
        Length of a step, negative where the loss is to fall.
    streams : Streams
        Draws for each sample of the batch.
    """

    def __init__(self, recipe: Recipe, batch: Batch, size: float, streams: Streams) -> None:
        self._batch = batch
        self._steps, self._gradients, inputs, losses = map(recipe.of, ("step", "gradient", "input", "loss"))
        self._inputs = inputs
        self._run = Run(batch, size, batch.ball.eps, streams, recipe.image_shape)
        # of one gradient alone only the direction counts, and that of the margin's is the same
        plain = not (inputs or self._gradients or losses)
        loss = losses[0] if losses else CrossEntropy()
        self._follow = None if plain else Following(self._changed if inputs else None, loss.slope)

    def gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What to follow from the points ``x``, and the logits there, where these were computed."""
        logits: list[torch.Tensor] = []
        self._run.at = x
        for piece in self._steps:
            x = piece.ahead(self._run, x)

        def ask(at: torch.Tensor) -> torch.Tensor:
            found, said = self._batch.gradient(at, self._follow)
            logits.append(said)
            return found

        for piece in reversed(self._gradients):
            ask = partial(piece.gradient, self._run, ask=ask)
        gradient = ask(x)
        elsewhere = self._gradients or self._inputs or x is not self._run.at
        return gradient, None if elsewhere else logits[0]

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """The way to go."""
        for piece in self._steps:
            gradient = piece.direction(self._run, gradient)
        return gradient

    def _changed(self, seen: torch.Tensor) -> torch.Tensor:
        for piece in self._inputs:
            seen = piece.change(self._run, seen)
        return seen
