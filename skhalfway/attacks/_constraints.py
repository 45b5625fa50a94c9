"""Constraints: what a valid sample of real data looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._checks import meant
from skhalfway._text import shown
from skhalfway.attacks._named import check_unmasked
from skhalfway.attacks._per_sample import read_values

Columns = Sequence[str | int]


@dataclass(frozen=True, eq=False)
class Constraints:
    """Constraints that an adversarial sample must satisfy, beside its budget.

    Columns are named as in the DataFrame that the generator is given, or by
    position (for images, after flattening). A constraint that no sample can
    satisfy, or that the data itself violates, is an error.

    Parameters
    ----------
    immutable : column or sequence of columns, default=()
        Columns that may not change.
    integer : column or sequence of columns, default=()
        Columns of whole numbers. Their bounds are those of ``clip_values``.
    one_hot : sequence of sequences of columns, default=()
        Groups of columns of which exactly one is 1 and the others are 0. A
        change of category costs two changes of 1. If a budget is too small in
        all samples for that, or for a step of an integer, a warning says so.
    increasing : column or sequence of columns, default=()
        Columns that may only grow, such as an age or a count of past events.
    decreasing : column or sequence of columns, default=()
        Columns that may only shrink.
    projection : callable, default=None
        ``projection(X_adv, X)`` returns valid samples near ``X_adv``, both of
        shape (n_samples, n_features), row by row. It is for totals, ratios and
        other relations between columns. If what it returns violates the budget
        or another constraint, shorter perturbations are tried; the last
        resort is the sample itself.
    mask : array-like of bool, default=None
        True or 1 where a value may change, False or 0 elsewhere. Its shape is
        that of a sample, for all samples, or it has one row for each sample:
        X's shape, or (n_samples, 1), for images (n_samples, 1, 1, 1). A sample
        whose mask is all False stays as it is. In each row, a one-hot group is
        masked as a whole or not at all. The mask is kept as a read-only array.

    See Also
    --------
    skhalfway.AdversarialGenerator : Takes this as ``constraints=``.

    Notes
    -----
    The object is immutable, compares and hashes by value, and can be searched
    over: ``constraints=[None, Constraints("age")]``, or by field as
    ``constraints__immutable``. Columns of a DataFrame that hold categories
    rather than numbers never change and need not be named, since a budget
    cannot measure the distance between categories.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skhalfway import AdversarialGenerator, Constraints
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> constraints = Constraints(immutable="petal width (cm)", increasing=["petal length (cm)"])
    >>> constraints
    Constraints(immutable=('petal width (cm)',), increasing=('petal length (cm)',))
    >>> X_adv = AdversarialGenerator(eps=1.0, constraints=constraints).fit(X, y).transform(X)
    >>> change = X_adv - X
    >>> float(change["petal width (cm)"].abs().max()), float(change["petal length (cm)"].min())
    (0.0, 0.0)

    A mask: only the sepals of setosas may change.

    >>> may_change = np.zeros(X.shape, dtype=bool)
    >>> may_change[y == 0, :2] = True
    >>> generator = AdversarialGenerator(eps=1.0, constraints=Constraints(mask=may_change)).fit(X, y)
    >>> changed = (generator.transform(X) != X).to_numpy()
    >>> bool(changed.any()), bool(changed[~may_change].any())
    (True, False)
    """

    immutable: Columns | str | int = ()
    integer: Columns | str | int = ()
    one_hot: Sequence[Columns] = ()
    increasing: Columns | str | int = ()
    decreasing: Columns | str | int = ()
    projection: Callable[[NDArray[Any], NDArray[Any]], Any] | None = None
    mask: ArrayLike | None = None

    def __post_init__(self) -> None:
        for name in ("immutable", "integer", "increasing", "decreasing"):
            object.__setattr__(self, name, _columns(name, getattr(self, name)))
        if isinstance(self.one_hot, str) or not isinstance(self.one_hot, Iterable):
            raise TypeError(f"one_hot must be a sequence of groups of columns, got {shown(self.one_hot)}")
        groups = tuple(_columns("one_hot", group) for group in self.one_hot)
        for group in groups:
            if len(group) < 2:
                raise ValueError(f"a one_hot group needs at least 2 columns, got {shown(list(group))}")
        object.__setattr__(self, "one_hot", groups)
        if self.projection is not None and not callable(self.projection):
            raise TypeError(f"projection must be a callable or None, got {shown(self.projection)}")
        if self.mask is not None:
            object.__setattr__(self, "mask", _mask(self.mask))

    def __repr__(self) -> str:
        mask = {} if self.mask is None else {"mask": shown(self.mask)}
        given = {name: repr(value) for name, value in self._columns.items() if value not in ((), None)} | mask
        return f"Constraints({', '.join(f'{name}={value}' for name, value in given.items())})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constraints):
            return NotImplemented
        return self._columns == other._columns and _same(self.mask, other.mask)

    def __hash__(self) -> int:
        mask = None if self.mask is None else np.asarray(self.mask)
        return hash((*self._columns.values(), None if mask is None else (mask.shape, mask.tobytes())))

    def __reduce__(self) -> Any:
        # the constructor makes the mask read-only again; an unpickled array would not be
        return type(self), tuple(self.get_params().values())

    def __sklearn_clone__(self) -> Constraints:
        return self

    @property
    def _columns(self) -> dict[str, Any]:
        """The fields that are compared as they are."""
        return {name: value for name, value in self.get_params().items() if name != "mask"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the fields, so that scikit-learn's searches can name them.

        Parameters
        ----------
        deep : bool, default=True
            Has no effect.

        Returns
        -------
        params : dict
            Values by name.

        Examples
        --------
        >>> from skhalfway import Constraints
        >>> Constraints(integer=[0]).get_params()["integer"]
        (0,)
        """
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def replaced(self, **params: Any) -> Constraints:
        """Make constraints with some fields changed; this object stays as it is.

        Parameters
        ----------
        **params : dict
            New values by name.

        Returns
        -------
        constraints : Constraints
            A new object, whose other fields are those of this one.

        Raises
        ------
        ValueError
            If there is no field of that name.

        Examples
        --------
        >>> from skhalfway import Constraints
        >>> Constraints(integer=[0]).replaced(immutable=[2])
        Constraints(immutable=(2,), integer=(0,))
        """
        unknown = sorted(set(params) - set(self.get_params()))
        if unknown:
            raise ValueError(f"Constraints has no {shown(unknown)}; it has {list(self.get_params())}")
        return replace(self, **params)


def _columns(name: str, given: Any) -> tuple[str | int, ...]:
    """A tuple of names and positions, from a column or a sequence of columns."""
    columns = (given,) if isinstance(given, (str, Integral)) else given
    if not isinstance(columns, Iterable):
        raise TypeError(f"{name} must be a column or a sequence of columns, got {shown(given)}")
    columns = tuple(columns)
    for column in columns:
        if isinstance(column, (bool, np.bool_)) or not isinstance(column, (str, Integral)):
            raise TypeError(f"{name} must hold names or positions of columns, got {shown(column)}")
    return tuple(column if isinstance(column, str) else int(column) for column in columns)


def _mask(given: Any) -> NDArray[np.bool_]:
    """A read-only copy of a mask, which may hold bools or 0 and 1."""
    if hasattr(given, "columns"):
        raise TypeError(
            f"mask must be an array, whose columns are X's in X's order, got {shown(given)}; pass "
            "mask[X.columns].to_numpy()"
        )
    check_unmasked("mask", given)
    try:
        values = np.asarray(given)
        numbers = values.dtype.kind in "biuf" and values.ndim > 0
    except (TypeError, ValueError, RuntimeError):
        numbers = False
    if not numbers:
        raise TypeError(f"mask must be an array of True and False, or of 1 and 0, got {shown(given)}")
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise ValueError(
            "mask must hold True or 1 where a value may change, and False or 0 elsewhere; got "
            f"{shown(wrong[0])}"
        )
    mask = np.array(values, dtype=bool, order="C")
    mask.setflags(write=False)
    return mask


def _same(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


@dataclass(frozen=True)
class Rules:
    """Checked constraints of one table, with columns as positions."""

    immutable: NDArray[np.intp]
    integer: NDArray[np.intp]
    one_hot: tuple[NDArray[np.intp], ...]
    increasing: NDArray[np.intp]
    decreasing: NDArray[np.intp]
    projection: Callable[[NDArray[Any], NDArray[Any]], Any] | None

    @property
    def discrete(self) -> bool:
        """Whether validity is more than an interval for each column."""
        return bool(len(self.integer) or self.one_hot or self.projection is not None)


class Header:
    """The columns of a table: what they are called, and where they are."""

    def __init__(self, n_columns: int, names: Sequence[str] | None) -> None:
        self.n_columns = n_columns
        self.names = None if names is None else [str(name) for name in names]

    @classmethod
    def of(cls, owner: Any, X: NDArray[Any]) -> Header:
        """The columns of samples, flattened, with the names that ``owner`` was fitted with, if any."""
        names = getattr(owner, "feature_names_in_", None)
        return cls(int(np.prod(X.shape[1:])), None if names is None else list(names))

    def name(self, column: int) -> str:
        """The column, as messages call it."""
        return f"column {column}" if self.names is None else f"column {shown(self.names[column])}"

    def positions(self, columns: Iterable[str | int], where: str) -> NDArray[np.intp]:
        """Positions of columns; an unknown one is an error that names it."""
        return np.array([self._position(column, where) for column in columns], dtype=np.intp)

    def _position(self, column: str | int, where: str) -> int:
        if isinstance(column, str):
            if self.names is None:
                raise ValueError(
                    f"{where} names the column {shown(column)}, but the data has no column names; "
                    "pass a DataFrame, or positions"
                )
            written = column if column in self.names else column.replace(" ", "_")  # as LightGBM keeps names
            if written not in self.names:
                several = [part.strip() for part in column.split(",")]
                advice = meant(column, self.names)
                if len(several) > 1 and set(several) <= set(self.names):
                    advice = f"; to name several columns, write {shown(several)}"
                raise ValueError(
                    f"{where} names an unknown column {shown(column)}; X has {shown(self.names)}{advice}"
                )
            return self.names.index(written)
        if not 0 <= column < self.n_columns:
            raise ValueError(
                f"{where} names an unknown column {column}; X has the columns 0 to {self.n_columns - 1}"
            )
        return column


def read_constraints(constraints: Constraints, header: Header, categories: NDArray[np.bool_]) -> Rules:
    """Find the columns, and check that the constraints do not contradict each other.

    ``categories`` (n_columns,) is true where a column holds no numbers.
    """
    found = {
        name: header.positions(getattr(constraints, name), f"constraints.{name}")
        for name in ("immutable", "integer", "increasing", "decreasing")
    }
    groups = tuple(header.positions(group, "constraints.one_hot") for group in constraints.one_hot)
    owner: dict[int, int] = {}
    for number, group in enumerate(groups):
        for column in group:
            if column in owner:
                raise ValueError(
                    f"{header.name(column)} is twice in constraints.one_hot, in the groups "
                    f"{shown(constraints.one_hot[owner[column]])} and {shown(constraints.one_hot[number])}; "
                    "groups may not overlap"
                )
            owner[column] = number
    for column in np.intersect1d(found["increasing"], found["decreasing"]):
        raise ValueError(f"{header.name(column)} is increasing and decreasing; make it immutable instead")
    for name in ("integer", "increasing", "decreasing"):
        for column in found[name]:
            if categories[column]:
                raise ValueError(
                    f"{header.name(column)} is in constraints.{name}, but holds categories, "
                    "which never change"
                )
            if column in owner:
                raise ValueError(
                    f"{header.name(column)} is in constraints.{name} and in a one_hot group; "
                    "take it out of one"
                )
    for group in groups:
        held = [column for column in group if column in found["immutable"] or categories[column]]
        if held and len(held) < len(group):
            raise ValueError(
                f"{header.name(held[0])} is immutable, but the others of its one_hot group are not; "
                "make all of the group immutable"
            )
    return Rules(one_hot=groups, projection=constraints.projection, **found)


def read_mask(
    mask: Any, shape: tuple[int, ...], rules: Rules, header: Header, *, of_others: bool
) -> NDArray[np.bool_]:
    """A mask that broadcasts against X, whose shape is given; see ``read_values``."""
    free = read_values("constraints.mask must", mask, shape, of_others=of_others)
    own = free.ndim == len(shape)
    if own and np.prod(free.shape[1:]) == 1:
        return free
    rows = free.reshape(-1, header.n_columns)
    for group in rules.one_hot:
        if np.isin(group, rules.immutable).all():
            continue
        n_free = rows[:, group].sum(axis=1)
        if (partly := np.flatnonzero((n_free > 0) & (n_free < len(group)))).size:
            where = f"row {partly[0]} of constraints.mask" if own else "constraints.mask"
            names = ", ".join(header.name(column) for column in group)
            raise ValueError(
                f"{where} lets {n_free[partly[0]]} of {len(group)} columns change in the one_hot group "
                f"{names}; let all of them change, or none"
            )
    return free
