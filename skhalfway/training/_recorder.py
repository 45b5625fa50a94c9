"""Recorder: crossings of a model, on fixed paths, while it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer, check_random_state
from skhalfway._randomness import undisturbed
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.halfway._pairs import sample_pairs
from skhalfway.models import Model


class Recorder:
    """The paths of a history, and the records on them so far.

    ``labels`` are class indices of the training samples ``X``.
    """

    def __init__(
        self,
        X: NDArray[Any],
        labels: NDArray[np.intp],
        *,
        every: int,
        n_pairs: int,
        tol: float,
        random_state: Any,
    ) -> None:
        check_tol(tol)
        check_integer("every", every)
        with undisturbed():
            rng = check_random_state(random_state)
            kinds = [
                sample_pairs(X, labels, pairs=kind, n_pairs=n_pairs, random_state=rng)
                for kind in ("random", "nearest")
            ]
        rows = np.concatenate(kinds)
        self.every, self.tol, self.n_pairs = every, tol, n_pairs
        self.ends = X[rows[:, 0]], X[rows[:, 1]]
        self.labels, self.each_once = labels[rows], np.unique(rows, return_index=True)[1]
        apart = np.subtract(*self.ends, dtype=float)[n_pairs:].reshape(n_pairs, -1)
        self.lengths = np.linalg.norm(apart, axis=1)
        self.epochs: list[float] = []
        self._seen: list[tuple[Any, ...]] = []

    def record(self, model: Model, epoch: float) -> None:
        """Trace the paths on the current model, without changing the model or any random state."""
        with undisturbed(), model.evaluating():
            (trace,) = trace_all([model], *self.ends, self.tol)
        right = trace.labels[:, [0, -1]] == self.labels
        position = trace.position[self.n_pairs :]
        distance = np.where(np.isnan(position), np.inf, position * self.lengths)
        self.epochs.append(epoch)
        self._seen.append(
            (
                trace.position[: self.n_pairs],
                right[: self.n_pairs].all(axis=1),
                distance,
                right.ravel()[self.each_once].mean(),
            )
        )

    def arrays(self, first: int = 0) -> dict[str, Any]:
        """Records from number ``first`` on, as arguments of :class:`TrainingHistory`."""
        names = ("crossings", "counted", "distances", "accuracy")
        seen = map(np.stack, zip(*self._seen[first:], strict=True))
        return {"epochs": np.array(self.epochs[first:], dtype=float)} | dict(zip(names, seen, strict=True))
