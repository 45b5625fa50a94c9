"""Halves: midpoints of samples and their nearest neighbours, and the predictions of models there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._intervals import ratio
from skhalfway.boundaries._answers import ask_all
from skhalfway.boundaries._nearest import TIE, nearest
from skhalfway.boundaries._paths import path
from skhalfway.models import Model

N_NEIGHBORS = 6  # as in the prototype on which the claims of the benchmark are based


def neighbour_pairs(X: NDArray[Any], n_neighbors: int) -> NDArray[np.intp]:
    """Row numbers (n_halves, 2) of samples and their nearest neighbours, of any label; each pair once.

    Samples at the same point are no neighbours. Where several samples are at a neighbour's point, the first
    one stands for all. Ties in distance go to the first point. Where there are fewer other points than
    ``n_neighbors``, all of them are neighbours.
    """
    points, first, place = np.unique(X.reshape(len(X), -1), axis=0, return_index=True, return_inverse=True)
    k = min(n_neighbors, len(points) - 1)
    if k < 1:
        raise ValueError("X must hold at least 2 different points, but all samples are the same")
    near = nearest(points - points.mean(axis=0), k)
    rows = np.arange(len(X))
    pairs = np.column_stack([np.repeat(rows, k), first[near[place.ravel()]].ravel()])
    return np.unique(np.sort(pairs, axis=1), axis=0).astype(np.intp)


def answers_at_halves(
    models: dict[str, Model], X: NDArray[Any], pairs: NDArray[np.intp], n_jobs: int | None, verbose: int
) -> NDArray[np.intp]:
    """Class indices (n_models, n_halves) that models predict at the midpoints of pairs of samples."""
    parts = list(blocks(len(pairs), X[0].size))
    middle = np.array(0.5)
    points = (path(X[pairs[part, 0]], X[pairs[part, 1]], middle) for part in parts)
    return np.concatenate(list(ask_all(models, points, len(parts), n_jobs, verbose)), axis=1)


def peers_credit(answers: NDArray[np.intp]) -> NDArray[np.float64]:
    """Whether each model predicts what the plurality of the others predicts, (n_models, n_halves).

    Where k classes are tied, a model that predicts one of them gets 1 / k, the average over random
    tie-breaks. The credit is nan where there are no other models.
    """
    n_models, n = answers.shape
    credit = np.full((n_models, n), np.nan)
    if n_models < 2:
        return credit
    for part in blocks(n, n_models**2):
        some = answers[:, part]
        same = some[:, None] == some
        total = same.sum(axis=0)
        for i in range(n_models):
            support = total - same[i]  # votes of the other models; the model itself gets none
            support[i] = 0
            credit[i, part] = _credit(total[i] - 1, support, np.where(np.arange(n_models) == i, 0.0, 1.0))
    return credit


def reference_credit(
    answer: NDArray[np.intp], others: NDArray[np.intp], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Whether predictions (n_halves,) are those of the weighted plurality of others (n_others, n_halves)."""
    credit = np.empty(len(answer))
    for part in blocks(len(answer), len(others) ** 2):
        some = others[:, part]
        support = np.einsum("l,lrn->rn", weights, some[:, None] == some)
        credit[part] = _credit(weights @ (some == answer[part]), support, weights)
    return credit


def _credit(own: NDArray[Any], support: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (number of tied classes) where the own support (n,) is the largest of the voters' (n_voters, n)."""
    most = support.max(axis=0)
    # the voters of a class together have the weight of its support, so each tied class counts once
    n_tied = weights @ (support >= most * (1 - TIE)) / most
    return np.where(own >= most * (1 - TIE), 1 / n_tied, 0.0)


def label_margins(
    pairs: NDArray[np.intp], answers: NDArray[np.intp], labels: NDArray[np.intp], classes: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Predictions of models around each sample, at all halves of which it is an end.

    The result has ``label``, the sample's own; ``suggested``, the most frequent other class; ``margin``, the
    share of predictions of the label minus that of the suggested class; and ``n_halves``. Where a sample has
    no halves, its margin is nan and its own label is suggested.
    """
    n, rows = len(labels), np.arange(len(labels))
    votes = np.zeros((n, len(classes)))
    for ends in pairs.T:
        for answer in answers:
            np.add.at(votes, (ends, answer), 1)
    own = votes[rows, labels]
    votes[rows, labels] = -1
    most, rival = votes.max(axis=1), votes.argmax(axis=1)
    n_halves = np.bincount(pairs.ravel(), minlength=n)
    rival = np.where(n_halves > 0, rival, labels)
    margin = ratio(own - most, n_halves * len(answers))
    return {"label": classes[labels], "suggested": classes[rival], "margin": margin, "n_halves": n_halves}
