"""Jobs side by side, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sklearn.utils.parallel import Parallel


def side_by_side(
    jobs: Iterable[Any], n: int, *, n_jobs: int | None, verbose: int, what: str, unit: str, prefer: str
) -> Iterator[Any]:
    """Results of delayed calls, in their order; ``prefer`` threads or processes."""
    results = Parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator")(jobs)
    if not verbose:
        return results
    from tqdm.auto import tqdm

    return iter(tqdm(results, total=n, desc=what, unit=unit))
