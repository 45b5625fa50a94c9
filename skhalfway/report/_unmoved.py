"""Columns with budgets that do not fit, since the reference varies less or more than the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import levene

from skhalfway._intervals import holm
from skhalfway.report._columns import numbers
from skhalfway.report._reached import named_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skhalfway.report._reached import Reached
    from skhalfway.report._setting import Setting

OFTEN = 0.05  # with this share of samples outside its range, the reference is not like the samples
MUCH_LESS = 0.4  # spread of the reference, as a share of the spread of the samples
OTHER, BY_CHANCE = 1.5, 0.01  # factor between both spreads that is noticed, and its p-value by chance


class Unmoved(NamedTuple):
    """Columns in which budgets in standard deviations or ranges are 0 or close to it.

    Attributes
    ----------
    still : tuple of str
        Columns in which the reference has a single value, so that the budget is 0, and some sample another.
    doubtful : tuple of str
        Columns in which the reference varies at most .4 times as much as the samples, and at least 5 % of the
        samples are outside its range.
    differing : tuple of (str, float)
        Columns in which the reference varies at least 1.5 times less or more than the samples, beyond chance,
        with the spread of the reference as a multiple of that of the samples. See :func:`_differing`.
    """

    still: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    differing: tuple[tuple[str, float], ...] = ()


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
    held, unsure = (tuple(np.array(space.names, dtype=object)[some & free]) for some in (still, doubtful))
    return Unmoved(held, unsure, _differing(setting, space, own))


def _differing(setting: Setting, space: Reached, own: NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    """Columns whose spread differs by a factor of 1.5, and by more than chance would have it.

    A factor alone does not do: of samples of one distribution with heavy tails (t with 2 degrees of freedom,
    lognormal), the standard deviations of two draws of 50 to 500 differ by that factor in 7 to 45 % of cases.
    So Levene's test around the medians must also find a difference at 1 %, adjusted for all columns by Holm's
    method. At .1 %, as with ten columns, factor and test agreed by chance in at most .4 % of 1,500 draws of
    each size, of normal, exponential, lognormal, t and Poisson numbers, and in 1 % of lognormal numbers of
    sigma 2. Half the spread is noticed with 100 samples each in all draws of normal numbers, and in 33 % of
    those of t with 2 degrees of freedom.
    """
    free = np.flatnonzero(space.free & (space.unit > 0) & (own > 0))
    known = numbers(setting.reference)
    p, ratio = np.full(len(free), np.nan), space.unit[free] / own[free]
    for place, k in enumerate(free):
        pair = [values[~np.isnan(values)] for values in (known[:, k], space.X[:, k])]
        if min(map(len, pair)) > 1:
            p[place] = levene(*pair, center="median").pvalue
            means = [float(np.abs(values - np.median(values)).mean()) for values in pair]
            if (means[0] > means[1]) != (ratio[place] > 1):  # an outlier says the opposite
                p[place] = 1.0
    apart = (np.abs(np.log(ratio)) >= np.log(OTHER)) & (holm(p) < BY_CHANCE)
    return tuple((space.names[k], float(factor)) for k, factor in zip(free[apart], ratio[apart], strict=True))
