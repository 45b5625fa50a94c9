"""The work of scorers in cells: a source and a block of samples are attacked, and all models asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._devices import Turns
from skhalfway._streams import Streams
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.engine._survivors import Died, alone, outlive
from skhalfway.models._faults import answers
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._failures import Care, Failed, Failures
from skhalfway.transfer._masked import rows_to_ask
from skhalfway.transfer._outcomes import NOT_ASKED, smallest_integers
from skhalfway.transfer._schedule import LongestFirst, Task, blocks_of, tasks_of
from skhalfway.transfer._source import Account, Attacked, Source

if TYPE_CHECKING:
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

Parallel = Callable[..., Iterator[Any]]


@dataclass(frozen=True)
class Cell:
    """What came of one source and one block.

    Attributes
    ----------
    source : int
        Number of the source.
    rows : int ndarray of shape (n_rows,)
        Numbers of the samples that were attacked.
    answers : ndarray of shape (n_budgets, n_models, n_rows)
        What all models said of what was made of them; -1 of those who were not asked, or failed.
    account : Account or None
        What the attack took and found; None where it failed.
    kept : int ndarray of shape (n_kept,)
        Numbers of the samples of which what was made is kept.
    X_adv : ndarray of shape (n_kept, ...)
        That, at the largest budget.
    key : str
        What it is known by in a store; empty where there is none.
    lost : dict of str to str
        Names of models that failed, and why: the source in its attack, or any that was asked.
    """

    source: int
    rows: NDArray[np.intp]
    answers: NDArray[np.integer[Any]]
    account: Account | None
    kept: NDArray[np.intp]
    X_adv: NDArray[Any]
    key: str = ""
    lost: Mapping[str, str] = field(default_factory=dict)

    def keeping(self, numbers: NDArray[np.intp]) -> Cell:
        """The cell with what was made of no others than the samples of these numbers."""
        here = np.isin(self.kept, numbers)
        return replace(self, kept=self.kept[here], X_adv=self.X_adv[here])


def run_task(
    source: Source,
    task: Task,
    models: Mapping[str, Model],
    kept: CellStore | None,
    care: Care,
    without: Collection[str] = (),
) -> Cell:
    """Attack the samples of a cell, and ask all models but some; what is kept of that is taken from there."""
    key = "" if kept is None else kept.key_of_made(source, task.rows)
    made = None if kept is None else kept.made(key)
    if made is None:
        made = care(source.name, source.attack, task.rows)
        if isinstance(made, Failed):
            return _not_made(source, task, len(models), made)
        if kept is not None:
            kept.keep_made(key, *made)
    samples, account = made
    said, lost = _nothing(source, task, len(models)), {}

    def ask(model: Model) -> NDArray[Any]:
        return np.stack([answers(model, X_adv) for X_adv in samples]).astype(said.dtype)

    for j, (name, model) in enumerate(models.items()):
        if name not in without:
            given = _kept_or_asked(kept, key, name, partial(care, name, ask, model))
            if isinstance(given, Failed):
                lost[name] = given.reason
            else:
                said[:, j] = given
    X_adv = samples[-1][np.isin(task.rows, task.kept)]
    return Cell(task.source, task.rows, said, account, task.kept, X_adv, key, lost)


def _nothing(source: Source, task: Task, n_models: int) -> NDArray[np.integer[Any]]:
    """Answers of no one."""
    shape = len(source.regions), n_models, len(task.rows)
    return np.full(shape, NOT_ASKED, dtype=smallest_integers(source.n_classes))


def _not_made(source: Source, task: Task, n_models: int, failed: Failed) -> Cell:
    said = _nothing(source, task, n_models)
    return Cell(
        task.source, task.rows, said, None, task.kept[:0], np.empty(0), lost={source.name: failed.reason}
    )


def _apart(
    task: Task, source: Source, models: Collection[str], failures: Failures, run: Callable[..., Any]
) -> Cell:
    """A cell whose process died: the attack, and each model, in a process of its own."""
    made = run(task, ())
    if isinstance(made, Died):
        return _not_made(source, task, len(models), failures.died(source.name, made.reason))
    said, lost = made.answers, dict(made.lost)
    for j, name in enumerate(models):
        if made.account is None or failures.lost(source.name, name) is not None:
            continue
        one = run(task, (name,))
        if isinstance(one, Died):
            lost[name] = failures.died(name, one.reason).reason
        else:
            said[:, j], lost = one.answers[:, j], {**lost, **one.lost}
    whole: Cell = replace(made, answers=said, lost=lost)
    return whole


def _kept_or_asked(kept: CellStore | None, key: str, name: str, ask: Callable[[], Any]) -> Any:
    """Answers of a model to what is known by a key; :class:`Failed` where it gives none."""
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
    batch_size: int,
    parallel: Parallel,
    kept: CellStore | None = None,
    failures: Failures | None = None,
) -> NDArray[np.intp]:
    """What all models say of the samples, and of noise at each budget; -1 of those that fail.

    Of shape (1 + n_budgets, n_models, n_samples).
    """
    failures = Failures(Care()) if failures is None else failures
    shape = regions[0].X.shape
    first, *others = blocks_of(shape, batch_size)
    said = np.full((1 + len(regions), len(models), shape[0]), NOT_ASKED, dtype=np.intp)

    def job_of(block: slice, names: Collection[str] | None = None) -> Any:
        asked = [name for name in failures.known(models) if names is None or name in names]
        some = {name: models[name] for name in asked}
        return delayed(_ask_block)(some, [region.take(block) for region in regions], block, seed, kept, care)

    def keep(block: slice, given: Mapping[str, Any]) -> None:
        for name, answer in given.items():
            if isinstance(answer, Failed):
                failures.lose_model(name, answer.reason)
            else:
                said[:, places[name], block] = answer

    care, places = failures.care, {name: j for j, name in enumerate(models)}
    # models may have to see samples before they can go to other processes: what their outputs are
    function, args, _ = job_of(first)
    keep(first, function(*args))
    run = partial(parallel, n=len(others), what="ask all models", unit="block", in_order=False)
    for block, given in outlive(run, others, job_of) if others else ():
        if isinstance(given, Died):
            for name in failures.known(models):
                one = alone(partial(parallel, n=1, what=f"ask {name} again"), job_of(block, [name]))
                keep(block, {name: failures.died(name, one.reason)} if isinstance(one, Died) else one)
        else:
            keep(block, given)
    for name in models.keys() - set(failures.known(models)):
        said[:, places[name]] = NOT_ASKED
    return said


def _ask_block(
    models: Mapping[str, Model],
    regions: Sequence[Region],
    block: slice,
    seed: int,
    kept: CellStore | None,
    care: Care,
) -> dict[str, Any]:
    """What each model says, of shape (1 + n_budgets, n_rows); :class:`Failed` where it fails."""

    @cache
    def noisy(k: int) -> NDArray[Any]:
        return regions[k].noise(Streams(seed, np.arange(block.start, block.stop)))

    def ask(model: Model) -> NDArray[Any]:
        samples = chain([regions[0].X], map(noisy, range(len(regions))))
        return np.stack([answers(model, X) for X in samples])

    key = "" if kept is None else kept.key_of_asked(regions, block, seed)
    return {
        name: _kept_or_asked(kept, key, name, partial(care, name, ask, model))
        for name, model in models.items()
    }


@dataclass(frozen=True)
class Made:
    """What came of all cells.

    Attributes
    ----------
    answers : ndarray of shape (n_budgets, n_sources, n_models, n_samples)
        What all models said, -1 where a sample was not attacked, or one of the two models failed.
    attacked : list of Attacked or None
        Each source, to be judged; None where no sample of it was attacked, or its attack failed.
    samples : list of ndarray of shape (n_samples, ...), or None
        The adversarial samples of each source at the largest budget, where they are kept.
    """

    answers: NDArray[np.integer[Any]]
    attacked: list[Attacked | None]
    samples: list[NDArray[Any]] | None


def run_all(
    sources: Sequence[Source],
    models: Mapping[str, Model],
    shape: tuple[int, ...],
    parallel: Parallel,
    place: Callable[[int], NDArray[Any]] | None = None,
    kept: CellStore | None = None,
    failures: Failures | None = None,
) -> Made:
    """Run all cells; ``place`` says where the samples of a source are to be kept for the user.

    What fails, and an interrupt, is noted in ``failures``; where there is none, it is raised.
    """
    losses = Failures(Care()) if failures is None else failures
    n_budgets, integers = len(sources[0].regions), smallest_integers(sources[0].n_classes)
    said = np.full((n_budgets, len(sources), len(models), shape[0]), NOT_ASKED, dtype=integers)
    rooms = None if place is None else [place(i) for i in range(len(sources))]
    cells: list[list[Cell]] = [[] for _ in sources]
    each = _cells(sources, models, shape, parallel, kept, losses, keep=place is not None)
    try:
        with closing(each):
            for cell in each:
                said[:, cell.source, :, cell.rows] = np.moveaxis(cell.answers, -1, 0)
                if rooms is not None:
                    rooms[cell.source][cell.kept] = cell.X_adv
                    rows = sources[cell.source].rows
                    cell = cell.keeping(rows[rows_to_ask(len(rows))])
                cells[cell.source].append(cell)
    except KeyboardInterrupt as interrupt:
        if failures is None:
            raise
        losses.interrupt = interrupt
    attacked: list[Attacked | None] = [None] * len(sources)
    for i, (source, part) in enumerate(zip(sources, cells, strict=True)):
        n_attacked = sum(len(cell.rows) for cell in part)
        if losses.interrupt is not None and n_attacked < len(source.rows):
            losses.leave(source.name, n_attacked, len(source.rows))
        if part and not losses.has_lost(source.name):
            attacked[i] = _joined(source, part)
    if losses.interrupt is None:
        _ask_for_opinions(attacked, cells, parallel, kept, losses)
    for i, source in enumerate(sources):
        for j, name in enumerate(models):
            if losses.lost(source.name, name) is not None:
                said[:, i, j] = NOT_ASKED
    return Made(said, attacked, rooms)


def _cells(
    sources: Sequence[Source],
    models: Mapping[str, Model],
    shape: tuple[int, ...],
    parallel: Parallel,
    kept: CellStore | None,
    failures: Failures,
    *,
    keep: bool,
) -> Generator[Cell]:
    """Cells as they come, of sources whose attack does not fail."""
    tasks, turns = LongestFirst(tasks_of(sources, shape, keep=keep)), Turns(sources[0].generator.device)

    def job_of(task: Task, asked: Collection[str] = tuple(models)) -> Any:
        source = replace(sources[task.source], device=turns.take(_place(task)))
        without = failures.without(source.name, models) | (models.keys() - set(asked))
        return delayed(run_task)(source, task, models, kept, failures.care, without)

    def tell(result: tuple[int, Cell]) -> tuple[int, str]:
        return len(result[1].rows), sources[result[1].source].name

    def run_alone(task: Task, asked: Collection[str]) -> Any:
        what = f"attack {sources[task.source].name} again"
        ran = alone(partial(parallel, n=1, what=what), job_of(task, asked))
        turns.done(_place(task))
        return ran

    n_samples = sum(len(source.rows) for source in sources)
    run = partial(parallel, n=n_samples, what="attack", unit="sample", in_order=False, tell=tell)
    for task, ran in outlive(run, tasks, job_of):
        turns.done(_place(task))
        source = sources[task.source]
        cell = _apart(task, source, models, failures, run_alone) if isinstance(ran, Died) else ran
        for name, reason in cell.lost.items():
            if cell.account is None:
                failures.lose_source(name, reason)
            else:
                failures.lose_pair(source.name, name, reason)
        if cell.account is None or failures.has_lost(source.name):
            tasks.drop(task.source)
            continue
        tasks.done(task.source, cell.account.cost["seconds"] / len(task.rows))
        yield cell


def _place(task: Task) -> tuple[int, int]:
    return task.source, int(task.rows[0])


def _joined(source: Source, cells: list[Cell]) -> Attacked:
    cells.sort(key=lambda cell: int(cell.rows[0]))
    return Attacked(source, Account.joined([cell.account for cell in cells if cell.account is not None]))


def _ask_for_opinions(
    attacked: list[Attacked | None],
    cells: Sequence[list[Cell]],
    parallel: Parallel,
    kept: CellStore | None,
    failures: Failures,
) -> None:
    """Let few queries say what they think of each attack."""

    def job_of(i: int) -> Any:
        return delayed(_asked)(attacked[i], cells[i], kept, failures.care)

    numbers = [i for i, one in enumerate(attacked) if one is not None]
    run = partial(
        parallel, n=len(numbers), what="ask for second opinions", in_order=False, tell=lambda _: (1, "")
    )
    for i, asked in outlive(run, numbers, job_of):
        one = attacked[i]
        assert one is not None
        name = one.source.name
        if isinstance(asked, Died):
            asked = alone(partial(parallel, n=1, what=f"ask {name} again"), job_of(i))
        if isinstance(asked, Died):
            asked = replace(one, unasked=failures.died(name, asked.reason).reason)
        attacked[i] = asked


def _asked(attacked: Attacked, cells: list[Cell], store: CellStore | None, care: Care) -> Attacked:
    """A source with the opinion of few queries on its attack."""
    source = attacked.source
    key = "" if store is None else fingerprint("opinion", [cell.key for cell in cells])
    if store is not None and (known := store.opinion(key)) is not None:
        return replace(attacked, queries=known[0])
    kept = np.concatenate([cell.kept for cell in cells])
    numbers = source.rows[rows_to_ask(len(source.rows))]
    X_adv = np.concatenate([cell.X_adv for cell in cells])[np.searchsorted(kept, numbers)]
    asked = care(source.name, attacked.asked, X_adv)
    if isinstance(asked, Failed):
        return replace(attacked, unasked=asked.reason)
    if store is not None:
        store.keep_opinion(key, asked.queries)
    opinion: Attacked = asked
    return opinion
