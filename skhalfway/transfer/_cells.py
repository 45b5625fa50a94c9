"""The work of scorers in cells: a block of samples is attacked on a source, and all models predict it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._devices import Turns
from skhalfway._shared import Shared
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.engine._survivors import Died, alone, outlive
from skhalfway.models._faults import answers
from skhalfway.transfer._asking import Parallel, kept_or_asked
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._failures import Care, Failed, Failures
from skhalfway.transfer._masked import Opinion, rows_to_ask
from skhalfway.transfer._outcomes import NOT_ASKED, smallest_integers
from skhalfway.transfer._schedule import LongestFirst, Task, tasks_of
from skhalfway.transfer._source import Account, Attacked, Source

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

# from this number of black-box predictions on, starting processes is worth its time
_MANY_ANSWERS = 1_000_000

# shared by all cells: sources without regions, models, the store of cells, how to call models
Given = Shared[tuple[list[Source], Mapping[str, "Model"], CellStore | None, Care]]


@dataclass(frozen=True)
class Cell:
    """Result for one source and one block.

    Attributes
    ----------
    source : int
        Number of the source.
    rows : int ndarray of shape (n_rows,)
        Numbers of the samples that were attacked.
    answers : ndarray of shape (n_budgets, n_models, n_rows)
        Predictions of all models for the adversarial samples; -1 where a model was not asked, or failed.
    account : Account or None
        Cost and outcome of the attack; None where it failed.
    kept : int ndarray of shape (n_kept,)
        Numbers of the samples whose adversarial versions are kept.
    X_adv : ndarray of shape (n_kept, ...)
        These adversarial versions, at the largest budget.
    key : str
        Key of the cell in a store; empty where there is none.
    lost : dict of str to str
        Reasons of failures by model: of the source in its attack, or of any model in its predictions.
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
        """The cell with the adversarial versions of these samples only."""
        here = np.isin(self.kept, numbers)
        return replace(self, kept=self.kept[here], X_adv=self.X_adv[here])


def _run_sent(
    given: Given, task: Task, regions: Sequence[Region], device: Any, without: Collection[str]
) -> Cell:
    """Run a cell, perhaps in another process, to which only its regions are sent."""
    sources, models, kept, care = given.value
    source = replace(sources[task.source].at(task.rows, regions), device=device)
    return run_task(source, task, models, kept, care, without)


def run_task(
    source: Source,
    task: Task,
    models: Mapping[str, Model],
    kept: CellStore | None,
    care: Care,
    without: Collection[str] = (),
) -> Cell:
    """Attack the samples of a cell, and let all models but some predict them; use stored results."""
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
            given = kept_or_asked(kept, key, name, partial(care, name, ask, model))
            if isinstance(given, Failed):
                lost[name] = given.reason
            else:
                said[:, j] = given
    X_adv = samples[-1][np.isin(task.rows, task.kept)]
    return Cell(task.source, task.rows, said, account, task.kept, X_adv, key, lost)


def _nothing(source: Source, task: Task, n_models: int) -> NDArray[np.integer[Any]]:
    """Predictions of a cell before any model was asked."""
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
    """Run a cell whose process died: the attack and each model in a process of its own."""
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


@dataclass(frozen=True)
class Made:
    """Results of all cells.

    Attributes
    ----------
    answers : ndarray of shape (n_budgets, n_sources, n_models, n_samples)
        Predictions of all models; -1 where a sample was not attacked, or one of the two models failed.
    attacked : list of Attacked or None
        The attacked sources; None where no sample was attacked, or the attack failed.
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
    """Run all cells; ``place`` gives the array in which the samples of a source are kept for the user.

    Failures and interrupts are noted in ``failures``; without it they are raised.
    """
    losses = Failures(Care()) if failures is None else failures
    n_budgets, integers = len(sources[0].regions), smallest_integers(sources[0].n_classes)
    said = np.full((n_budgets, len(sources), len(models), shape[0]), NOT_ASKED, dtype=integers)
    rooms = None if place is None else [place(i) for i in range(len(sources))]
    cells: list[list[Cell]] = [[] for _ in sources]
    given = Shared(([source.at(source.rows[:0], ()) for source in sources], models, kept, losses.care))
    each = _cells(given, sources, shape, parallel, losses, keep=place is not None)
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
        part.sort(key=lambda cell: int(cell.rows[0]))
        if part and not losses.has_lost(source.name):
            accounts = [cell.account for cell in part if cell.account is not None]
            attacked[i] = Attacked(source, Account.joined(accounts))
    try:
        if losses.interrupt is None:
            _ask_for_opinions(given, attacked, cells, parallel, losses)
    except KeyboardInterrupt as interrupt:
        if failures is None:
            raise
        losses.interrupt = interrupt
    for i, source in enumerate(sources):
        for j, name in enumerate(models):
            if losses.lost(source.name, name) is not None:
                said[:, i, j] = NOT_ASKED
    return Made(said, attacked, rooms)


def _cells(
    given: Given,
    sources: Sequence[Source],
    shape: tuple[int, ...],
    parallel: Parallel,
    failures: Failures,
    *,
    keep: bool,
) -> Generator[Cell]:
    """Finished cells in the order in which they end, of sources whose attack does not fail."""
    tasks, turns = LongestFirst(tasks_of(sources, shape, keep=keep)), Turns(sources[0].generator.device)

    models = given.value[1]

    def job_of(task: Task, asked: Collection[str] = tuple(models)) -> Any:
        source, device = sources[task.source], turns.take(_place(task))
        without = failures.without(source.name, models) | (models.keys() - set(asked))
        return delayed(_run_sent)(given, task, source.regions_of(task.rows), device, without)

    def tell(result: tuple[int, Cell]) -> tuple[int, str]:
        return len(result[1].rows), sources[result[1].source].name

    def run_alone(task: Task, asked: Collection[str]) -> Any:
        what = f"attack {sources[task.source].name} again"
        ran = alone(partial(parallel, n=1, quiet=True, what=what), job_of(task, asked))
        turns.done(_place(task))
        return ran

    n_samples, prefer = sum(len(source.rows) for source in sources), partial(_preferred, given, sources)
    run = partial(
        parallel, n=n_samples, what="attack", unit="sample", in_order=False, tell=tell, prefer=prefer
    )
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


def _preferred(given: Given, sources: Sequence[Source]) -> str:
    """Threads, or processes if black boxes must predict many samples: for a forest, two threads are slower.

    Processes are used only if all models can be sent to them.
    """
    asked = [source for source in sources if source.splits and not source.follows_gradients]
    n_answers = sum(len(one.rows) * one.generator.max_queries * len(one.regions) for one in asked)
    if n_answers < _MANY_ANSWERS:
        return "threads"
    try:
        given.pack()
    except TypeError:
        return "threads"
    return "processes"


def _place(task: Task) -> tuple[int, int]:
    return task.source, int(task.rows[0])


def _ask_for_opinions(
    given: Given,
    attacked: list[Attacked | None],
    cells: Sequence[Sequence[Cell]],
    parallel: Parallel,
    failures: Failures,
) -> None:
    """Check each attack with a few queries."""
    each = {i: one for i, one in enumerate(attacked) if one is not None}

    def job_of(i: int) -> Any:
        source, parts = each[i].source, cells[i]
        numbers = source.rows[rows_to_ask(len(source.rows))]
        kept = np.concatenate([cell.kept for cell in parts])
        X_adv = np.concatenate([cell.X_adv for cell in parts])[np.searchsorted(kept, numbers)]
        key = fingerprint("opinion", [cell.key for cell in parts])
        return delayed(_asked)(given, i, numbers, source.regions_of(numbers), each[i].account, X_adv, key)

    run = partial(
        parallel,
        n=len(each),
        what="try other attacks (second opinions)",
        in_order=False,
        tell=lambda _: (1, ""),
    )
    for i, opinion in outlive(run, each, job_of):
        name = each[i].source.name
        if isinstance(opinion, Died):
            opinion = alone(partial(parallel, n=1, quiet=True, what=f"ask {name} again"), job_of(i))
        if isinstance(opinion, Died):
            opinion = failures.died(name, opinion.reason)
        if isinstance(opinion, Failed):
            attacked[i] = replace(each[i], unasked=opinion.reason)
        else:
            attacked[i] = replace(each[i], queries=opinion)


def _asked(
    given: Given,
    i: int,
    numbers: NDArray[np.intp],
    regions: Sequence[Region],
    account: Account,
    X_adv: NDArray[Any],
    key: str,
) -> Opinion | Failed | None:
    """The opinion of few queries on the attack on a source."""
    sources, _, store, care = given.value
    if store is not None and (known := store.opinion(key)) is not None:
        return known[0]
    source = sources[i].at(numbers, regions)
    opinion: Opinion | Failed | None = care(source.name, Attacked(source, account).asked, X_adv)
    if store is not None and not isinstance(opinion, Failed):
        store.keep_opinion(key, opinion)
    return opinion
