"""Repeats of a measurement at several settings, with several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._checks import check_integer, check_jobs, check_random_state
from skhalfway._parallel import side_by_side
from skhalfway._randomness import draw_seed
from skhalfway._shared import Shared


def repeated(
    measure: Callable[[Any, int], Any],
    settings: Sequence[Any],
    *,
    n_repeats: int,
    random_state: Any,
    n_jobs: int | None,
    verbose: int,
    what: str,
) -> NDArray[np.float64]:
    """``measure(setting, seed)`` of shape (n_settings, n_repeats, ...); all settings share the seeds.

    It runs in processes, since training a network uses the global random state of its process. Functions
    passed in must therefore be picklable: functions of modules, not closures.
    """
    check_integer("n_repeats", n_repeats)
    check_jobs(n_jobs, verbose)
    rng = check_random_state(random_state)
    seeds = [draw_seed(rng) for _ in range(n_repeats)]
    given = Shared(measure)
    jobs = (delayed(_measured)(given, setting, seed) for setting in settings for seed in seeds)
    n = len(settings) * n_repeats
    results = side_by_side(jobs, n, n_jobs=n_jobs, verbose=verbose, what=what, unit="run", prefer="processes")
    found = np.array(list(results), dtype=float)
    return found.reshape(len(settings), n_repeats, *found.shape[1:])


def _measured(given: Shared[Callable[[Any, int], Any]], setting: Any, seed: int) -> Any:
    return given.value(setting, seed)
