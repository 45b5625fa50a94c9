"""What a HalfwayScorer measures: crossings and predictions at halves, of all its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_random_state
from skhalfway.boundaries._paths import trace_all
from skhalfway.halfway._halves import answers_at_halves, neighbour_pairs
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import sample_pairs
from skhalfway.models import Model

if TYPE_CHECKING:
    from skhalfway.halfway._scorer import HalfwayScorer


def pairs_of(scorer: HalfwayScorer, points: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pairs of samples, as the parameters of a scorer ask for; ValueError where there are too few."""
    rng = check_random_state(scorer.random_state)
    return sample_pairs(points, labels, pairs=scorer.pairs, n_pairs=scorer.n_pairs, random_state=rng)


def measurement_of(
    scorer: HalfwayScorer,
    models: dict[str, Model],
    points: NDArray[Any],
    classes: NDArray[Any],
    labels: NDArray[np.intp],
    pairs: NDArray[np.intp],
) -> HalfwayMeasurement:
    """Crossings and halves of models on samples, with the parameters of a scorer."""
    begin, end = points[pairs[:, 0]], points[pairs[:, 1]]
    traces = trace_all(
        list(models.values()),
        begin,
        end,
        scorer.tol,
        names=list(models),
        n_jobs=scorer.n_jobs,
        verbose=scorer.verbose,
    )
    counted = np.stack([(trace.labels[:, [0, -1]] == labels[pairs]).all(axis=1) for trace in traces])
    lengths = np.linalg.norm((end - begin).reshape(len(pairs), -1).astype(float), axis=1)
    positions = np.stack([trace.position for trace in traces])
    of_halves: dict[str, Any] = {}
    if scorer.n_neighbors is not None:
        halves = neighbour_pairs(points, scorer.n_neighbors)
        answers = answers_at_halves(models, points, halves, scorer.n_jobs, scorer.verbose)
        of_halves = {"halves": halves, "answers": answers, "labels": labels, "classes": classes}
    return HalfwayMeasurement(tuple(models), pairs, lengths, positions, counted, **of_halves)


def measured(scorer: HalfwayScorer, X: Any, y: Any) -> HalfwayMeasurement:
    """The result that displays draw for a scorer."""
    return scorer.measure(X, y)
