"""Columns with budgets close to 0, since the reference varies much less than the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skhalfway.attacks._reference import Reference
from skhalfway.report._columns import column_names, name_of, numbers

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting

OFTEN = 0.05  # with this share of samples outside its range, the reference is not like the samples
MUCH_LESS = 0.4  # spread of the reference, as a share of the spread of the samples


class Unmoved(NamedTuple):
    """Columns in which budgets in standard deviations or ranges are 0 or close to it.

    Attributes
    ----------
    still : tuple of str
        Columns in which the reference has a single value, so that the budget is 0, and some sample another.
    doubtful : tuple of str
        Columns in which the reference varies at most .4 times as much as the samples, and at least 5 % of the
        samples are outside its range.
    """

    still: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def unmoved(setting: Setting) -> Unmoved:
    """Compare the reference with the samples; all values of images are named "pixels".

    Columns that constraints fix, and columns of categories, are left out.
    """
    unit = setting.generator.eps_unit
    if setting.reference is None or unit == "input":
        return Unmoved()
    images = np.ndim(setting.X) > 2
    X, known = (
        np.asarray(data, dtype=float) if images else numbers(data) for data in (setting.X, setting.reference)
    )
    reference = Reference.of(known)
    spread, own = reference.spread(unit), Reference.of(X).spread(unit)
    assert spread is not None and own is not None
    # a column without values in the reference has no range, so that all samples are outside it
    beyond = (~((X >= reference.low) & (X <= reference.high)) & ~np.isnan(X)).mean(axis=0)
    still = (spread == 0) & (beyond > 0)
    doubtful = (spread <= MUCH_LESS * own) & (beyond >= OFTEN)
    if images:
        return Unmoved(("pixels",) * bool(still.any()), ("pixels",) * bool(doubtful.any()))
    names = column_names(setting.X)
    constraints = setting.generator.constraints
    immutable: Any = () if constraints is None else constraints.immutable
    fixed = {name_of(column, names) for column in immutable}
    free = np.array([name not in fixed for name in names])
    return Unmoved(*(tuple(names[k] for k in np.flatnonzero(some & free)) for some in (still, doubtful)))
