"""Columns that the attack on the deployed model depends on, and its success without them."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import Frame
from skhalfway.attacks import Constraints
from skhalfway.report._parts import AttackedColumns

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting

N_SAMPLES = 200
N_FROZEN = 5  # number of columns that are frozen one at a time
N_ORDERS = 16  # number of random orders of the columns


def attacked_columns(setting: Setting, eps: float) -> AttackedColumns:
    """Attack the deployed model, find the columns that decide, and attack again with these frozen."""
    X, y = setting.rows(setting.right(N_SAMPLES))
    generator = setting.attack_on(setting.deployed, eps=eps)
    X_adv = generator.generate(X, y)
    fools = setting.answers(setting.deployed, X_adv) != y
    names = column_names(X)
    before, after = numbers(X), numbers(X_adv)
    spread = spread_of(generator, before.shape[1])
    change = np.where(before == after, 0.0, np.abs(np.nan_to_num(after - before))) / spread
    total = change.sum(axis=1, keepdims=True)
    shares = np.divide(change, total, out=np.zeros_like(change), where=total > 0)[fools]
    mean = shares.mean(axis=0) if fools.any() else np.full(len(names), np.nan)
    weights = np.full(len(names), np.nan)
    if fools.any():
        rows = np.flatnonzero(fools)
        weights = deciding(setting, _take(X, rows), _take(X_adv, rows), y[rows])
    order = np.lexsort((-np.nan_to_num(mean), -np.nan_to_num(weights)))
    frozen: dict[str, int] = {}
    asked = [int(k) for k in order[:N_FROZEN] if weights[k] > 0]
    for columns in [[k] for k in asked] + ([asked] if len(asked) > 1 else []):
        fooled = _fooled_without(setting, X, y, eps, columns)
        if len(columns) == 1:
            frozen[names[columns[0]]] = fooled
    return AttackedColumns(
        tuple(names[k] for k in order),
        mean[order],
        weights[order],
        n_fooled=int(fools.sum()),
        n_samples=len(y),
        eps=eps,
        frozen=frozen,
        frozen_all=fooled if len(asked) > 1 else None,
    )


def deciding(setting: Setting, X: Any, X_adv: Any, y: NDArray[Any]) -> NDArray[np.float64]:
    """Share of cases in which each column decides, over samples that fool; shares add up to 1.

    Columns get their changed values one after the other, in random orders; the column that changes the
    prediction decides. This is the power index of Shapley & Shubik ("A method for evaluating the
    distribution of power in a committee system", American Political Science Review 48, 1954), estimated over
    random orders. Where a prediction changes more than once, bisection finds one of these places.
    """
    rng = np.random.RandomState(setting.seed)
    n, d = len(y), np.shape(X)[1]
    decides = np.zeros(d)
    for _ in range(N_ORDERS):
        rank = np.argsort(rng.uniform(size=(n, d)), axis=1)  # position of each column in the order
        right, fooled = np.zeros(n, dtype=np.intp), np.full(n, d)  # numbers of columns
        while (fooled - right > 1).any():
            middle = (right + fooled) // 2
            said = setting.answers(setting.deployed, _mixed(X, X_adv, rank < middle[:, None]))
            right, fooled = np.where(said == y, middle, right), np.where(said == y, fooled, middle)
        decides += (rank == fooled[:, None] - 1).sum(axis=0)
    shares: NDArray[np.float64] = decides / (n * N_ORDERS)
    return shares


def _mixed(X: Any, X_adv: Any, of_adversarial: NDArray[np.bool_]) -> Any:
    """Samples with adversarial values where flagged (n_samples, n_columns), and clean values elsewhere."""
    if not hasattr(X, "iloc"):
        return np.where(of_adversarial, X_adv, X)
    mixed = X_adv.copy()
    for k in np.flatnonzero(~of_adversarial.all(axis=0)):
        column = X_adv.iloc[:, k]
        mixed.isetitem(k, column.where(of_adversarial[:, k], X.iloc[:, k].astype(column.dtype)))
    return mixed


def _fooled_without(setting: Setting, X: Any, y: NDArray[Any], eps: float, columns: list[int]) -> int:
    """Number of samples that fool if these columns, by number, may not change."""
    given = setting.generator.constraints
    own = Constraints() if given is None else given
    # constraints take texts as names and integers as positions; other names become positions here
    columns_of_X = X.columns if hasattr(X, "columns") else range(np.shape(X)[1])
    named = [name if isinstance(name, (str, Integral)) else k for k, name in enumerate(columns_of_X)]
    fixed = {named[k] for k in columns}
    for group in own.one_hot:
        together = {name_of(column, named) for column in group}
        fixed |= together if fixed & together else set()
    immutable: Any = own.immutable  # Constraints keeps it as a tuple
    before = {name_of(column, named) for column in immutable}
    free = [named[k] for k in np.flatnonzero(_numeric(X)) if named[k] not in fixed | before]
    if not free:
        return 0
    fixed_rules = own.replaced(immutable=[name for name in named if name in fixed | before])
    generator = setting.attack_on(setting.deployed, eps=eps, constraints=fixed_rules)
    return int((setting.answers(setting.deployed, generator.generate(X, y)) != y).sum())


def name_of(column: Any, named: list[Any]) -> Any:
    """Name of a column that constraints give by name or by position."""
    return column if column in named or isinstance(column, str) else named[column]


def _numeric(X: Any) -> NDArray[np.bool_]:
    """Columns of numbers that vary, so that an attack can change them."""
    array = numbers(X)
    low, high = (np.where(np.isnan(array), end, array) for end in (np.inf, -np.inf))
    varies: NDArray[np.bool_] = low.min(axis=0) < high.max(axis=0)
    return varies


def column_names(X: Any) -> list[str]:
    """Names of columns, or their numbers."""
    names = X.columns if hasattr(X, "columns") else range(np.shape(X)[1])
    return [str(name) if hasattr(X, "columns") else f"column {name}" for name in names]


def numbers(X: Any) -> NDArray[np.float64]:
    """Samples as numbers; columns of categories, which no attack changes, are 0."""
    if not hasattr(X, "columns"):
        return np.asarray(X, dtype=float)
    frame = Frame.of(X)
    array = np.zeros(X.shape)
    for k, name in enumerate(X.columns):
        if frame is None or name not in frame.names:
            array[:, k] = X.iloc[:, k].to_numpy(dtype=float, na_value=np.nan)
    return array


def spread_of(generator: Any, n_columns: int) -> NDArray[np.float64]:
    """Size of a unit of the budget in each column; 1 where nothing may change."""
    reference = getattr(generator, "_reference", None)
    spread = None if reference is None else reference.spread(generator.eps_unit)
    spread = np.ones(n_columns) if spread is None else np.asarray(spread, dtype=float)
    return np.where(spread > 0, spread, 1.0)


def _take(X: Any, rows: NDArray[np.intp]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
