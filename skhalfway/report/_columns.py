"""Which columns carry the attack on the deployed model, and what is left where one is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import Frame
from skhalfway.attacks import Constraints
from skhalfway.report._parts import AttackedColumns

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting

N_SAMPLES = 200
N_FROZEN = 5  # columns that are frozen, each for itself
_MOST_COLUMNS = 200  # that get their values back, one by one: those with the largest changes


def attacked_columns(setting: Setting, eps: float) -> AttackedColumns:
    """Attack the deployed model; put columns back one by one; attack again where one may not change."""
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
    needed = np.zeros(len(names), dtype=np.int64)
    if fools.any():
        rows = np.flatnonzero(fools)
        for k in np.argsort(-mean, kind="stable")[:_MOST_COLUMNS]:
            if mean[k] > 0:
                put_back = _with_column(_take(X_adv, rows), _take(X, rows), int(k))
                needed[k] = (setting.answers(setting.deployed, put_back) == y[rows]).sum()
    order = np.lexsort((-np.nan_to_num(mean), -needed))
    frozen: dict[str, int] = {}
    asked = [int(k) for k in order[:N_FROZEN] if needed[k] > 0]
    for columns in [[k] for k in asked] + ([asked] if len(asked) > 1 else []):
        fooled = _fooled_without(setting, X, y, eps, columns)
        if len(columns) == 1:
            frozen[names[columns[0]]] = fooled
    return AttackedColumns(
        tuple(names[k] for k in order),
        mean[order],
        needed[order],
        n_fooled=int(fools.sum()),
        n_samples=len(y),
        eps=eps,
        frozen=frozen,
        frozen_all=fooled if len(asked) > 1 else None,
    )


def _fooled_without(setting: Setting, X: Any, y: NDArray[Any], eps: float, columns: list[int]) -> int:
    """How many samples fool where these columns, by number, may not change."""
    given = setting.generator.constraints
    own = Constraints() if given is None else given
    names = [X.columns[k] if hasattr(X, "columns") else k for k in columns]
    before: Any = own.immutable  # a tuple, whatever it was given as
    fixed = own.replaced(immutable=(*before, *(name for name in names if name not in before)))
    generator = setting.attack_on(setting.deployed, eps=eps, constraints=fixed)
    return int((setting.answers(setting.deployed, generator.generate(X, y)) != y).sum())


def column_names(X: Any) -> list[str]:
    """Names of columns, or their numbers."""
    names = X.columns if hasattr(X, "columns") else range(np.shape(X)[1])
    return [str(name) if hasattr(X, "columns") else f"column {name}" for name in names]


def numbers(X: Any) -> NDArray[np.float64]:
    """Samples as numbers; 0 in columns that hold categories, which no attack changes."""
    if not hasattr(X, "columns"):
        return np.asarray(X, dtype=float)
    frame = Frame.of(X)
    array = np.zeros(X.shape)
    for k, name in enumerate(X.columns):
        if frame is None or name not in frame.names:
            array[:, k] = X.iloc[:, k].to_numpy(dtype=float, na_value=np.nan)
    return array


def spread_of(generator: Any, n_columns: int) -> NDArray[np.float64]:
    """What a unit of the budget is worth in each column; 1 where nothing may change."""
    reference = getattr(generator, "_reference", None)
    spread = None if reference is None else reference.spread(generator.eps_unit)
    spread = np.ones(n_columns) if spread is None else np.asarray(spread, dtype=float)
    return np.where(spread > 0, spread, 1.0)


def _take(X: Any, rows: NDArray[np.intp]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _with_column(X: Any, other: Any, k: int) -> Any:
    """A copy of X with one column of another."""
    changed = X.copy()
    if hasattr(X, "iloc"):
        changed.isetitem(k, other.iloc[:, k].to_numpy())
    else:
        changed[:, k] = other[:, k]
    return changed
