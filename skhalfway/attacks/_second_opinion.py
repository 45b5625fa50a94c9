"""A second opinion on an attack by gradient, from a few queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway.attacks._norms import random_ends
from skhalfway.attacks._queries import Queries
from skhalfway.attacks._square import margin, search_of

if TYPE_CHECKING:
    from skhalfway.attacks._problem import Problem

_N_DIRECTIONS = 32
_SHORTER = 0.5 ** np.arange(1, 8)


def fooled_by_queries(problem: Problem, X_adv: NDArray[Any]) -> NDArray[np.bool_]:
    """Samples that fool the source by part of a perturbation, or by one step along an estimated slope.

    ``X_adv`` holds the results of one step along the gradient. Parts of these perturbations are tried because
    a step with a budget that is far too large passes the inputs that win, and ends where there is no
    gradient.

    Uesato et al., "Adversarial risk and the dangers of evaluating against weak attacks", ICML 2018, section
    4, detect masked gradients by simultaneous perturbation (Spall 1992). Our perturbations are as long as the
    budget, since a masked slope cannot be seen from small ones, and one of them may win already. They lead to
    the points at which the Square attack starts, stripes of images included. The Square attack does not
    support L1 and L0: in L1, each perturbation changes one feature, and in L0 as many as the budget allows.
    """
    region, n, rows = problem.region, len(problem.region), np.arange(len(problem.region))
    # the clean sample, its perturbations, one step along the slope, the best of them, and shorter ones
    queries = Queries(problem, 1 + _N_DIRECTIONS + 2 + len(_SHORTER))
    of = np.repeat(rows, _N_DIRECTIONS)
    if region.norm == 0:
        asked = _some_features_each(queries, of)
    else:
        asked = _one_feature_each(queries) if region.norm == 1 else search_of(queries).first(of)
    rise = -margin(queries.scores(asked, of), problem.labels[of], targeted=problem.targeted).reshape(n, -1)
    asked = asked.reshape(n, _N_DIRECTIONS, -1)
    slope = np.einsum("nk,nkj->nj", rise - rise.mean(axis=1, keepdims=True), asked - queries.x0[:, None])
    place: dict[str, Any] = {"dtype": torch.float64, "device": torch.device("cpu")}
    ball = region.ball(slice(None), place)
    x = ball.x0.clone()
    ball.ascend(x, torch.from_numpy(slope.reshape(region.X.shape)), region.eps)
    ball.confine(x)
    best = asked[rows, rise.argmax(axis=1)]
    change = region.to_z(X_adv).reshape(best.shape) - queries.x0
    tried = [x.numpy().reshape(best.shape), best, *(queries.x0 + part * change for part in _SHORTER)]
    return np.logical_or.reduce([queries.won(points, rows, budget=True) for points in tried])


def _some_features_each(queries: Queries, of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Points for the samples ``of``, with random features at an end of their range."""
    region, bounds = queries.problem.region, (queries.low[of], queries.high[of])
    movable = region.movable().reshape(queries.x0.shape)[of]
    return random_ends(queries.streams, of, region.eps, queries.x0[of], bounds, movable)


def _one_feature_each(queries: Queries) -> NDArray[np.float64]:
    """Points, some for each sample, with one feature changed by the whole budget."""
    region, x0 = queries.problem.region, queries.x0
    movable = region.movable().reshape(x0.shape)
    order = (queries.streams.uniform(np.arange(len(x0)), x0.shape[1]) + ~movable).argsort(axis=1)
    turn = np.arange(_N_DIRECTIONS) % np.maximum(movable.sum(axis=1, keepdims=True), 1)
    of, feature = (
        np.repeat(np.arange(len(x0)), _N_DIRECTIONS),
        np.take_along_axis(order, turn, axis=1).ravel(),
    )
    points = x0[of]
    # different features, if there are enough of them
    points[np.arange(len(of)), feature] += region.eps * queries.streams.signs(of)
    return queries.clip(np.where(movable[of], points, x0[of]), of)
