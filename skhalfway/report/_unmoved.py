"""Columns that no attack could change, as the reference does not vary in them, though the samples do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.attacks._reference import Reference
from skhalfway.report._columns import column_names, numbers

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting

OFTEN = 0.05  # share of the samples from which on a reference without a column's values is not like them


def without_budget(setting: Setting) -> dict[str, float]:
    """By column, the share of the samples whose value is not the only one that the reference has.

    Budgets in standard deviations or ranges are 0 there. Columns that constraints keep as they are, and those
    of categories, are left out. Images have no columns: the largest share is that of their "pixels".
    """
    unit = setting.generator.eps_unit
    if setting.reference is None or unit == "input":
        return {}
    images = np.ndim(setting.X) > 2
    X, known = (
        np.asarray(data, dtype=float) if images else numbers(data) for data in (setting.X, setting.reference)
    )
    reference = Reference.of(known)
    spread = reference.spread(unit)
    assert spread is not None
    differs = ((X != reference.low) & ~np.isnan(X) & (spread == 0)).mean(axis=0)
    if images:
        return {"pixels": float(differs.max())} if differs.any() else {}
    names = column_names(setting.X)
    constraints = setting.generator.constraints
    immutable: Any = () if constraints is None else constraints.immutable
    fixed = {column if isinstance(column, str) else names[column] for column in immutable}
    return {
        name: float(share) for name, share in zip(names, differs, strict=True) if share and name not in fixed
    }
