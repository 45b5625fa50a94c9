"""halfway_score: one classifier judged from the data it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skhalfway._inputs import check_labels
from skhalfway.halfway._crossings import GRID, check_tol, trace_all
from skhalfway.halfway._pairs import check_pairs, sample_pairs
from skhalfway.halfway._points import read_points
from skhalfway.models import as_model
from skhalfway.models._reader import reader_of


def halfway_score(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    pairs: str = "random",
    n_pairs: int = 500,
    tol: float = 1e-3,
    random_state: Any = 0,
) -> float:
    check_pairs(pairs, n_pairs)
    check_tol(tol)
    model = as_model(estimator)
    reader = reader_of(model)
    points = read_points(reader, X, reset=not hasattr(reader, "n_features_in_"))
    classes = np.arange(model.n_outputs(points)) if model.classes_ is None else model.classes_
    labels = check_labels(y, classes, len(points))
    drawn = sample_pairs(
        points, labels, pairs=pairs, n_pairs=n_pairs, random_state=check_random_state(random_state)
    )
    trace = trace_all([model], points[drawn[:, 0]], points[drawn[:, 1]], tol)[0]
    nearer = np.where(GRID < 0.5, labels[drawn[:, :1]], labels[drawn[:, 1:]])
    return float((trace.labels == nearer)[:, GRID != 0.5].mean())
