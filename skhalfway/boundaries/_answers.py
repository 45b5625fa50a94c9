"""Predictions of several models for many points, computed side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared
from skhalfway.models import Model
from skhalfway.models._faults import named


def ask_all(
    models: dict[str, Model], parts: Iterable[NDArray[Any]], n_parts: int, n_jobs: int | None, verbose: int
) -> Iterator[NDArray[np.intp]]:
    """Predictions of all models for each part of the points, (n_models, n_points)."""
    given = Shared(models)
    jobs = (delayed(_ask_one)(given, name, points) for points in parts for name in models)
    n = n_parts * len(models)
    answers = side_by_side(jobs, n, n_jobs=n_jobs, verbose=verbose, what="ask models", unit="part")
    while some := list(islice(answers, len(models))):
        yield np.stack(some)


def _ask_one(given: Shared[dict[str, Model]], name: str, points: NDArray[Any]) -> NDArray[np.intp]:
    found: NDArray[np.intp] = named(name, given.value[name].predict, points)
    return found
