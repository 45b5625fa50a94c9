"""Predictions of all models for the samples and for noise, block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._progress import announced
from skhalfway._shared import Shared
from skhalfway._streams import Streams
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.engine._survivors import Died, alone, outlive
from skhalfway.models._faults import answers
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._failures import Care, Failed, Failures
from skhalfway.transfer._outcomes import NOT_ASKED
from skhalfway.transfer._schedule import blocks_of

if TYPE_CHECKING:
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

Parallel = Callable[..., Iterator[Any]]


def kept_or_asked(kept: CellStore | None, key: str, name: str, ask: Callable[[], Any]) -> Any:
    """Predictions of a model, from the store if it has the key; :class:`Failed` where the model fails."""
    if kept is None:
        return ask()
    key = fingerprint(key, kept.keys[name])
    given = kept.answers(key)
    if given is None:
        given = ask()
        if not isinstance(given, Failed):
            kept.keep_answers(key, given)
    return given


def ask_blocks(
    models: Mapping[str, Model],
    regions: Sequence[WholeRegion],
    seed: int,
    parallel: Parallel,
    kept: CellStore | None = None,
    failures: Failures | None = None,
    verbose: int = 0,
) -> NDArray[np.intp]:
    """Predictions of all models for the samples, and for noise at each budget; -1 where a model fails.

    Of shape (1 + n_budgets, n_models, n_samples).
    """
    failures = Failures(Care()) if failures is None else failures
    shape = regions[0].X.shape
    first, *others = blocks_of(shape)
    said = np.full((1 + len(regions), len(models), shape[0]), NOT_ASKED, dtype=np.intp)

    def job_of(block: slice, names: Collection[str] | None = None) -> Any:
        asked = [name for name in failures.known(models) if names is None or name in names]
        return delayed(_ask_block)(given_all, asked, [region.take(block) for region in regions], block, seed)

    def keep(block: slice, given: Mapping[str, Any]) -> None:
        for name, answer in given.items():
            if isinstance(answer, Failed):
                failures.lose_model(name, answer.reason)
            else:
                said[:, places[name], block] = answer

    given_all = Shared((models, kept, failures.care))
    places = {name: j for j, name in enumerate(models)}
    # the first block is predicted here: models learn what their outputs are before they go to processes
    function, args, _ = job_of(first)
    asked = failures.known(models)
    with announced("ask models", len(asked), "model", verbose, failures.care) as call:
        keep(first, function(Shared((models, kept, call)), *args[1:]))
    run = partial(parallel, n=len(others), what="ask all models", unit="block", in_order=False)
    for block, given in outlive(run, others, job_of) if others else ():
        if isinstance(given, Died):
            for name in failures.known(models):
                one = alone(
                    partial(parallel, n=1, quiet=True, what=f"ask {name} again"), job_of(block, [name])
                )
                keep(block, {name: failures.died(name, one.reason)} if isinstance(one, Died) else one)
        else:
            keep(block, given)
    for name in models.keys() - set(failures.known(models)):
        said[:, places[name]] = NOT_ASKED
    return said


def _ask_block(
    given: Shared[tuple[Mapping[str, Model], CellStore | None, Care]],
    names: Collection[str],
    regions: Sequence[Region],
    block: slice,
    seed: int,
) -> dict[str, Any]:
    """Predictions of each model, of shape (1 + n_budgets, n_rows); :class:`Failed` where it fails."""
    models, kept, care = given.value

    @cache
    def noisy(k: int) -> NDArray[Any]:
        return regions[k].noise(Streams(seed, np.arange(block.start, block.stop)))

    def ask(model: Model) -> NDArray[Any]:
        samples = chain([regions[0].X], map(noisy, range(len(regions))))
        return np.stack([answers(model, X) for X in samples])

    key = "" if kept is None else kept.key_of_asked(regions, block, seed)
    return {name: kept_or_asked(kept, key, name, partial(care, name, ask, models[name])) for name in names}
