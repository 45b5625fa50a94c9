"""Columns as users name them: a name that is ambiguous, or given twice, is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._inputs import same_columns
from skhalfway._text import shown

if TYPE_CHECKING:
    from skhalfway.attacks._constraints import Constraints

_BY_COLUMN = ("immutable", "integer", "increasing", "decreasing")


def is_by_name(values: Any) -> bool:
    """Whether values are given by name: a mapping, or a Series of pandas."""
    return isinstance(values, Mapping) or hasattr(values, "to_dict")


def check_names(what: str, names: Iterable[Any]) -> None:
    """Raise for a key that is neither a name nor a position of a column."""
    for name in names:
        if isinstance(name, (bool, np.bool_)) or not isinstance(name, (str, Integral)):
            raise ValueError(f"{what} must name columns, or give their positions, got {shown(name)}")


def check_unmasked(what: str, values: Any) -> None:
    """Raise for a masked array, since numpy would use its masked values too."""
    if np.ma.is_masked(values):
        raise ValueError(f"{what} is a masked array; fill in its values, as by {what}.filled(...)")


def check_same_columns(what: str, values: Any, names: list[str] | None) -> None:
    """Raise for a Series whose names are not the columns ``names`` of the data, in their order."""
    if not (hasattr(values, "to_dict") and hasattr(values, "index")):
        return
    own = list(values.index)
    by_position = own == list(range(len(own)))
    if names is None and all(isinstance(name, str) for name in own):
        return  # data without names has positions only
    if by_position or (names is not None and same_columns(own, names)):
        return
    raise ValueError(
        f"{what} is a Series of {shown(own)}, which are not X's columns in their order"
        f"{'' if names is None else ', ' + shown(names)}; pass {what}[X.columns], or its to_numpy()"
    )


def check_positions(eps: Any, constraints: Constraints | None, X: Any) -> None:
    """Raise if columns are given by number and the columns of the DataFrame have other numbers as names.

    Numbers are positions. If column 2 is called 3, it is not known which one the user means.
    """
    labels = list(getattr(X, "columns", ()))
    if not any(isinstance(label, Real) for label in labels) or labels == list(range(len(labels))):
        return
    named = list(eps.keys()) if is_by_name(eps) else []
    if constraints is not None:
        named += [column for field in _BY_COLUMN for column in getattr(constraints, field)]
        named += [column for group in constraints.one_hot for column in group]
    numbers = [name for name in named if not isinstance(name, str)]
    if numbers:
        raise ValueError(
            f"eps and constraints take the number {shown(numbers[0])} for a position, but the columns of X "
            f"are called {shown(labels)}; give them text names, as X.columns = X.columns.astype(str) does"
        )
