"""Columns with budgets close to 0, since the reference varies much less than the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skhalfway.report._reached import named_by

if TYPE_CHECKING:
    from skhalfway.report._reached import Reached
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


def unmoved(setting: Setting, space: Reached) -> Unmoved:
    """Compare the reference with the samples; all values of images are named "pixels".

    Columns that constraints fix, and columns of categories, are left out.
    """
    unit = setting.generator.eps_unit
    if setting.reference is None or unit == "input":
        return Unmoved()
    own = space.own.spread(unit)
    assert own is not None
    # a column without values in the reference has no range, so that all samples are outside it
    within = (space.X >= space.low) & (space.X <= space.high)
    beyond = (~within & ~np.isnan(space.X)).mean(axis=0)
    still = (space.unit == 0) & (beyond > 0)
    doubtful = (space.unit <= MUCH_LESS * own) & (beyond >= OFTEN)
    if np.ndim(setting.X) > 2:
        return Unmoved(("pixels",) * bool(still.any()), ("pixels",) * bool(doubtful.any()))
    free = ~named_by(setting, "immutable", space.names)
    return Unmoved(*(tuple(np.array(space.names, dtype=object)[some & free]) for some in (still, doubtful)))
