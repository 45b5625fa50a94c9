"""The look at the data before any attack: leaks, budgets that do not fit, samples seen before."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway._inputs import fingerprints
from skhalfway.report._inspected import InspectedData
from skhalfway.report._telling import coded_table, reference_of, telling_columns

if TYPE_CHECKING:
    from skhalfway.report._inputs import Samples
    from skhalfway.report._reached import Reached
    from skhalfway.report._setting import Setting
    from skhalfway.report._unmoved import Unmoved

FEWEST_NUMBERED = 20  # of fewer samples, whole numbers may all differ by chance
SEEN, BY_CHANCE = 0.01, 0.001  # share of samples in the reference that is noticed, and its p-value by chance


def inspected(setting: Setting, space: Reached, data: Samples, held: Unmoved) -> InspectedData:
    """Inspect the samples and the reference; ``held`` compares the two."""
    seen = 0 if data.split_off or setting.reference is None else _seen(setting)
    if np.ndim(setting.X) > 2:
        return _of_images(setting, space, seen)
    names = np.array(space.names, dtype=object)
    spanned, numeric, first = _spanned(setting, space)
    whole = _whole(space)
    groups = _one_hot(setting, space, whole)
    grouped = {name for group in groups for name in group}
    numbers = _numbered(space, whole)
    return InspectedData(
        telling=telling_columns(setting, space),
        barely_moved=tuple(name for name in names[space.barely] if name not in held.doubtful),
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
    )


def _of_images(setting: Setting, space: Reached, seen: int) -> InspectedData:
    """The same for images, all of whose pixels have one unit and one range."""
    free = space.free & (space.unit > 0)
    X, unit = space.X[:, free], space.unit[free]
    if not X.size or np.isnan(X).all():
        return InspectedData(seen=seen)
    barely = bool(free.any()) and bool((space.largest * unit.max()) < 0.01 * np.nanstd(X))
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
    """Columns of whole numbers that all differ, as those that number customers do."""
    numbered = whole.copy()
    for k in np.flatnonzero(whole):
        values = space.X[:, k]
        numbered[k] = len(values) >= FEWEST_NUMBERED and len(np.unique(values)) == len(values)
    return numbered


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


def _seen(setting: Setting) -> int:
    """Number of samples that are in the reference too; 0 where so many are there by chance.

    Chance is measured in the reference: the share of its rows that occur in it twice. One row more is counted
    as such, since it may be by chance too that there is none.
    """
    own, others = (fingerprints(coded_table(data)) for data in (setting.X, reference_of(setting)))
    _, counts = np.unique(others, return_counts=True)
    chance = float((counts[counts > 1].sum() + 1) / (len(others) + 1))
    both = np.isin(own, others)
    n, n_seen = len(own), int(both.sum())
    beyond = n_seen - chance * n
    if beyond < max(SEEN * n, 1) or binom.sf(n_seen - 1, n, min(chance, 1.0)) >= BY_CHANCE:
        return 0
    return n_seen
