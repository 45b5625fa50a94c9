"""The look at the data before any attack: leaks, budgets that do not fit, samples seen before."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, kstest
from sklearn.utils import _safe_indexing

from skhalfway._inputs import fingerprints
from skhalfway.report._inspected import BARELY, InspectedData
from skhalfway.report._telling import MOST_COLUMNS, coded_table, exchanged, reference_of, telling_columns

if TYPE_CHECKING:
    from skhalfway.report._inputs import Samples
    from skhalfway.report._reached import Reached
    from skhalfway.report._setting import Setting
    from skhalfway.report._unmoved import Unmoved

FEWEST_NUMBERED = 20  # of fewer samples, whole numbers may all differ by chance
# names of columns that number something: customer_id, CaseNo, visit number
NUMBERS = re.compile(
    r"(?:^|[\W_])(?:id|no|nr|num|number|key|code|uid|index)(?:$|[\W_])|[a-z](?:Id|ID|No|Nr)$", re.I
)
FEWEST_EVEN, EVEN = 100, 0.05  # values, and level of the test that they are spread evenly
MOST_ASKED = 200  # samples that show which columns the deployed model uses
SEEN, BY_CHANCE = 0.01, 0.001  # share of samples in the reference that is noticed, and its p-value by chance


def inspected(setting: Setting, space: Reached, data: Samples, held: Unmoved) -> InspectedData:
    """Inspect the samples and the reference; ``held`` compares the two."""
    used = _used(setting)
    seen = 0 if data.split_off or setting.reference is None else _seen(setting, used)
    if np.ndim(setting.X) > 2:
        return _of_images(setting, space, seen)
    names = np.array(space.names, dtype=object)
    barely = space.barely if used is None else space.barely & np.isin(np.arange(len(names)), used)
    spanned, numeric, first = _spanned(setting, space)
    whole = _whole(space)
    groups = _one_hot(setting, space, whole)
    grouped = {name for group in groups for name in group}
    numbers = _numbered(space, whole)
    return InspectedData(
        telling=telling_columns(setting, space),
        barely_moved=tuple(name for name in names[barely] if name not in held.doubtful),
        spanned=tuple(names[spanned]),
        spanned_from=first,
        n_numeric=int(numeric.sum()),
        seen=seen,
        integer=tuple(name for name in names[whole & ~numbers] if name not in grouped),
        identifiers=tuple(names[numbers]),
        codes=tuple(names[space.codes]),
        one_hot=tuple(groups),
        categories=tuple(names[space.categories]),
        unconstrained=setting.generator.constraints is None,
        reference_spread=held.differing,
        deviations=space.in_deviations if setting.generator.eps_unit == "input" else (),
    )


def _of_images(setting: Setting, space: Reached, seen: int) -> InspectedData:
    """The same for images, all of whose pixels have one unit and one range."""
    free = space.free & (space.unit > 0)
    X, unit = space.X[:, free], space.unit[free]
    if not X.size or np.isnan(X).all():
        return InspectedData(seen=seen)
    barely = bool(free.any()) and bool((space.largest * unit.max()) < BARELY * np.nanstd(X))
    whole = np.full(len(unit), np.nanmax(X) - np.nanmin(X))
    first = _first_beyond(setting, _length(whole / unit, setting)) if whole[0] > 0 else None
    pixels = ("pixels",)
    return InspectedData(
        barely_moved=pixels * barely,
        spanned=pixels * (first is not None),
        spanned_from=first,
        n_numeric=1,
        seen=seen,
    )


def _length(change: NDArray[np.float64], setting: Setting) -> float:
    return float(np.linalg.norm(change, ord=float(setting.generator.norm)))


def _first_beyond(setting: Setting, length: float) -> float | None:
    """The smallest budget that is at least so long."""
    return next((eps for eps in setting.budgets if eps >= length), None)


def _spanned(setting: Setting, space: Reached) -> tuple[NDArray[np.bool_], NDArray[np.bool_], float | None]:
    """Columns whose range the largest budget spans, the columns in question, and the smallest such budget.

    With L2 and L1 the budget must span the ranges of all columns together, as one change takes from the rest.
    """
    several = np.zeros(len(space.names), dtype=bool)
    for k in np.flatnonzero(space.free & (space.unit > 0)):
        values = space.X[:, k]
        several[k] = space.width[k] > 0 and len(np.unique(values[~np.isnan(values)])) > 2
    changes = np.divide(space.width, space.unit, out=np.zeros(len(several)), where=several)
    if not several.any():
        return several, several, None
    if setting.generator.norm == np.inf:
        spanned = several & (changes <= space.largest)
        first = _first_beyond(setting, float(changes[spanned].min())) if spanned.any() else None
        return spanned, several, first
    first = _first_beyond(setting, _length(changes[several], setting))
    return several & (first is not None), several, first


def _whole(space: Reached) -> NDArray[np.bool_]:
    """Free columns of whole numbers with at least two values."""
    whole = np.zeros(len(space.names), dtype=bool)
    for k in np.flatnonzero(space.free):
        values = space.X[:, k]
        values = values[~np.isnan(values)]
        whole[k] = len(values) > 0 and bool((values % 1 == 0).all()) and values.min() < values.max()
    return whole


def _numbered(space: Reached, whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Columns of whole numbers that all differ, as those that number customers do.

    Amounts that were rounded may all differ, too. So the name must say that the column is a number of
    something; or, of at least 100 values, they must be spread evenly, as numbers that are given one after the
    other are: a test of Kolmogorov and Smirnov does not reject that at 5 %. Of 100 rounded normal, lognormal,
    gamma and exponential values, 300 draws each, at most 2.3 % were taken for identifiers, of 200 none.
    """
    numbered = whole.copy()
    for k in np.flatnonzero(whole):
        values = space.X[:, k]
        differ = len(values) >= FEWEST_NUMBERED and len(np.unique(values)) == len(values)
        numbered[k] = differ and (bool(NUMBERS.search(space.names[k])) or _even(values))
    return numbered


def _even(values: NDArray[np.float64]) -> bool:
    low, high = values.min(), values.max()
    return len(values) >= FEWEST_EVEN and bool(
        kstest((values - low) / (high - low), "uniform").pvalue >= EVEN
    )


def _one_hot(setting: Setting, space: Reached, whole: NDArray[np.bool_]) -> list[tuple[str, ...]]:
    """Groups of columns that share a beginning, as in plan_basic and plan_pro, with one 1 in each row."""
    if not hasattr(setting.X, "columns"):
        return []
    groups: dict[str, list[int]] = defaultdict(list)
    for k in np.flatnonzero(space.free):
        start, mark, _ = space.names[k].rpartition("_")
        if mark and start and np.isin(space.X[:, k], (0, 1)).all():
            groups[start].append(int(k))
    return [
        tuple(space.names[k] for k in group)
        for group in groups.values()
        if len(group) > 1 and (space.X[:, group].sum(axis=1) == 1).all() and whole[group].any()
    ]


def _seen(setting: Setting, used: NDArray[np.intp] | None) -> int:
    """Number of samples that are in the reference too; 0 where so many are there by chance.

    Rows are the same if they are so in the columns that the deployed model uses: a sample may come again
    under another number of a visit. Chance is measured in the reference: the share of its rows that occur in
    it twice. One row more is counted as such, since it may be by chance too that there is none.
    """
    own, others = (_rows_of(data, used) for data in (setting.X, reference_of(setting)))
    _, counts = np.unique(others, return_counts=True)
    chance = float((counts[counts > 1].sum() + 1) / (len(others) + 1))
    both = np.isin(own, others)
    n, n_seen = len(own), int(both.sum())
    beyond = n_seen - chance * n
    if beyond < max(SEEN * n, 1) or binom.sf(n_seen - 1, n, min(chance, 1.0)) >= BY_CHANCE:
        return 0
    return n_seen


def _rows_of(X: Any, columns: NDArray[np.intp] | None) -> NDArray[np.uint64]:
    table = coded_table(X)
    return fingerprints(table if columns is None else table[:, columns])


def _used(setting: Setting) -> NDArray[np.intp] | None:
    """Columns that the deployed model uses: its scores change as their values are exchanged; None for all."""
    if np.ndim(setting.X) != 2 or np.shape(setting.X)[1] > MOST_COLUMNS:
        return None
    rng = np.random.RandomState(setting.seed)
    few = _safe_indexing(setting.X, rng.permutation(len(setting.y))[:MOST_ASKED])
    scores, order = setting.seen(setting.deployed).scores, rng.permutation(min(len(setting.y), MOST_ASKED))
    usual = scores(few)
    used = [k for k in range(np.shape(few)[1]) if (scores(exchanged(few, [k], order)) != usual).any()]
    return np.array(used, dtype=np.intp) if used else None
