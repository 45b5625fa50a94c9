"""The work of scorers in cells: a source and a block of samples are attacked, and all models asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from math import inf
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._shared import Shared
from skhalfway._streams import Streams
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.models._collection import predictions
from skhalfway.models._faults import named
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._masked import Opinion, rows_to_ask
from skhalfway.transfer._outcomes import NOT_ASKED, smallest_integers
from skhalfway.transfer._source import Account, Attacked, Source

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

_MOST_SAMPLES, _MOST_VALUES = 1024, 2**23  # of a block

Parallel = Callable[..., Iterator[Any]]
# what all cells are given: sources without their regions, models, and where cells are kept
Given = Shared[tuple[list[Source], Mapping[str, "Model"], CellStore | None]]


def blocks_of(shape: tuple[int, ...], batch_size: int) -> list[slice]:
    """Samples that are handled together, of data of that shape: whole batches, whatever the machine."""
    n, n_values = shape[0], max(1, int(np.prod(shape[1:])))
    size = min(_MOST_VALUES // n_values, _MOST_SAMPLES)
    size = batch_size * max(1, size // batch_size)
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


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
        What all models said of what was made of them.
    account : Account
        What the attack took and found.
    kept : int ndarray of shape (n_kept,)
        Numbers of the samples of which what was made is kept.
    X_adv : ndarray of shape (n_kept, ...)
        That, at the largest budget.
    key : str
        What it is known by in a store; empty where there is none.
    """

    source: int
    rows: NDArray[np.intp]
    answers: NDArray[np.integer[Any]]
    account: Account
    kept: NDArray[np.intp]
    X_adv: NDArray[Any]
    key: str = ""


@dataclass(frozen=True)
class Task:
    """A cell to come."""

    source: int
    rows: NDArray[np.intp]
    kept: NDArray[np.intp]


def tasks_of(sources: Sequence[Source], shape: tuple[int, ...], *, keep: bool) -> list[Task]:
    """All cells; those of each source in the order of the samples."""
    tasks = []
    for i, source in enumerate(sources):
        starts = np.array([block.start for block in blocks_of(shape, source.generator.batch_size)])
        asked = source.rows[rows_to_ask(len(source.rows))] if len(source.rows) else source.rows
        parts = [source.rows]
        if source.splits:
            parts = np.split(source.rows, np.searchsorted(source.rows, starts[1:]))
        tasks += [Task(i, rows, rows if keep else np.intersect1d(rows, asked)) for rows in parts if len(rows)]
    return tasks


class LongestFirst:
    """Cells in an order that ends together: of the source that takes longest for one, as measured so far.

    Of each source a first one comes before, since it is not known then. Of a source of which none has come
    back, the time since the first began is known.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._n, self._lock = len(tasks), Lock()
        self._left: dict[int, deque[Task]] = {}
        for task in tasks:
            self._left.setdefault(task.source, deque()).append(task)
        self._begun: dict[int, tuple[float, int]] = {}  # when, and of how many samples
        self._rates: dict[int, float] = {}  # seconds of a sample

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Task]:
        while True:
            with self._lock:
                left = {source: tasks for source, tasks in self._left.items() if tasks}
                if not left:
                    return
                source = max(left, key=lambda source: self._seconds(source, len(left[source][0].rows)))
                task = left[source].popleft()
                self._begun.setdefault(source, (perf_counter(), len(task.rows)))
            yield task

    def _seconds(self, source: int, n: int) -> float:
        if source in self._rates:
            return n * self._rates[source]
        if source not in self._begun:
            return inf
        begin, n_first = self._begun[source]
        return (perf_counter() - begin) * n / n_first

    def done(self, source: int, rate: float) -> None:
        """Keep how many seconds a sample took."""
        with self._lock:
            self._rates[source] = rate


def _run_sent(given: Given, task: Task, regions: Sequence[Region]) -> Cell:
    """A cell, perhaps in another process, which has all but its regions already."""
    sources, models, kept = given.value
    return run_task(sources[task.source].at(task.rows, regions), task, models, kept)


def run_task(source: Source, task: Task, models: Mapping[str, Model], kept: CellStore | None) -> Cell:
    """Attack the samples of a cell, and ask all models; what is kept of that is taken from there."""
    key = "" if kept is None else kept.key_of_made(source, task.rows)
    made = None if kept is None else kept.made(key)
    if made is None:
        made = named(source.name, source.attack, task.rows)
        if kept is not None:
            kept.keep_made(key, *made)
    samples, account = made
    integers = smallest_integers(source.n_classes)

    def ask(name: str, model: Model) -> NDArray[Any]:
        return np.concatenate([predictions({name: model}, X_adv) for X_adv in samples]).astype(integers)

    answers = [_kept_or_asked(kept, key, name, partial(ask, name, model)) for name, model in models.items()]
    X_adv = samples[-1][np.isin(task.rows, task.kept)]
    return Cell(task.source, task.rows, np.stack(answers, axis=1), account, task.kept, X_adv, key)


def _kept_or_asked(
    kept: CellStore | None, key: str, name: str, ask: Callable[[], NDArray[Any]]
) -> NDArray[Any]:
    """Answers of a model to what is known by a key."""
    if kept is None:
        return ask()
    key = fingerprint(key, kept.keys[name])
    answers = kept.answers(key)
    if answers is None:
        answers = ask()
        kept.keep_answers(key, answers)
    return answers


def ask_blocks(
    models: Mapping[str, Model],
    regions: Sequence[Region],
    seed: int,
    batch_size: int,
    parallel: Parallel,
    kept: CellStore | None = None,
) -> NDArray[np.intp]:
    """What all models say of the samples, and of noise at each budget.

    Of shape (1 + n_budgets, n_models, n_samples).
    """
    blocks = blocks_of(regions[0].X.shape, batch_size)

    shared = Shared((models, kept))

    def given(block: slice) -> tuple[Any, ...]:
        return shared, [region.take(block) for region in regions], block, seed

    # models may have to see samples before they can go to other processes: what their outputs are
    first, others = _ask_block(*given(blocks[0])), blocks[1:]
    jobs = (delayed(_ask_block)(*given(block)) for block in others)
    rest = parallel(jobs, len(others), "ask all models", unit="block") if others else ()
    return np.concatenate([first, *rest], axis=-1)


def _ask_block(
    shared: Shared[tuple[Mapping[str, Model], CellStore | None]],
    regions: Sequence[Region],
    block: slice,
    seed: int,
) -> NDArray[Any]:
    models, kept = shared.value

    @cache
    def noisy(k: int) -> NDArray[Any]:
        return regions[k].noise(Streams(seed, np.arange(block.start, block.stop)))

    def ask(name: str, model: Model) -> NDArray[Any]:
        samples = chain([regions[0].X], map(noisy, range(len(regions))))
        return np.concatenate([predictions({name: model}, X) for X in samples])

    key = "" if kept is None else kept.key_of_asked(regions, block, seed)
    answers = [_kept_or_asked(kept, key, name, partial(ask, name, model)) for name, model in models.items()]
    return np.stack(answers, axis=1)


@dataclass(frozen=True)
class Made:
    """What came of all cells.

    Attributes
    ----------
    answers : ndarray of shape (n_budgets, n_sources, n_models, n_samples)
        What all models said, -1 where a sample was not attacked.
    attacked : list of Attacked or None
        Each source, to be judged; None where no sample of it was attacked.
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
) -> Made:
    """Run all cells; ``place`` says where the samples of a source are to be kept for the user."""
    n_budgets, n_classes = len(sources[0].regions), sources[0].n_classes
    integers = smallest_integers(n_classes)
    answers = np.full((n_budgets, len(sources), len(models), shape[0]), NOT_ASKED, dtype=integers)
    rooms = None if place is None else [place(i) for i in range(len(sources))]
    tasks = LongestFirst(tasks_of(sources, shape, keep=place is not None))
    cells: list[list[Cell]] = [[] for _ in sources]
    given = Shared(([source.at(source.rows[:0], ()) for source in sources], models, kept))
    jobs = (delayed(_run_sent)(given, task, sources[task.source].regions_of(task.rows)) for task in tasks)
    n_samples = sum(len(source.rows) for source in sources)

    def tell(cell: Cell) -> tuple[int, str]:
        return len(cell.rows), sources[cell.source].name

    for cell in parallel(jobs, n_samples, "attack", unit="sample", in_order=False, tell=tell):
        tasks.done(cell.source, cell.account.cost["seconds"] / len(cell.rows))
        answers[:, cell.source, :, cell.rows] = np.moveaxis(cell.answers, -1, 0)
        if rooms is not None:
            rooms[cell.source][cell.kept] = cell.X_adv
        cells[cell.source].append(cell)
    for part in cells:
        part.sort(key=lambda cell: int(cell.rows[0]))
    jobs = (
        delayed(_opinion)(given, *_asked(source, part))
        for source, part in zip(sources, cells, strict=True)
        if part
    )
    opinions = iter(list(parallel(jobs, sum(map(bool, cells)), "ask for second opinions")))
    attacked = [
        Attacked(source, _account(part), next(opinions)) if part else None
        for source, part in zip(sources, cells, strict=True)
    ]
    return Made(answers, attacked, rooms)


def _account(cells: Sequence[Cell]) -> Account:
    return Account.joined([cell.account for cell in cells])


def _asked(source: Source, cells: Sequence[Cell]) -> tuple[Any, ...]:
    """What few queries are to be asked about, of all cells of a source."""
    numbers = source.rows[rows_to_ask(len(source.rows))]
    kept = np.concatenate([cell.kept for cell in cells])
    X_adv = np.concatenate([cell.X_adv for cell in cells])[np.searchsorted(kept, numbers)]
    key = fingerprint("opinion", [cell.key for cell in cells])
    return cells[0].source, numbers, source.regions_of(numbers), _account(cells), X_adv, key


def _opinion(
    given: Given,
    i: int,
    numbers: NDArray[np.intp],
    regions: Sequence[Region],
    account: Account,
    X_adv: NDArray[Any],
    key: str,
) -> Opinion | None:
    """The opinion of few queries on the attack on a source."""
    sources, _, store = given.value
    if store is not None and (known := store.opinion(key)) is not None:
        return known[0]
    source = sources[i].at(numbers, regions)
    opinion: Opinion | None = named(source.name, Attacked(source, account).asked, X_adv)
    if store is not None:
        store.keep_opinion(key, opinion)
    return opinion
