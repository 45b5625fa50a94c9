"""The most exposed samples: before, after, and what was changed, in the units of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._index import plain_name
from skhalfway.report._columns import column_names, numbers, spread_of
from skhalfway.report._parts import ExposedSample

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting
    from skhalfway.transfer import TransferCurve

N_SHOWN = 8
N_CHANGES = 6  # columns that are shown of a sample


def most_exposed(setting: Setting, curve: TransferCurve) -> tuple[ExposedSample, ...]:
    """Attack the samples again that fool at the smallest budgets, at these, and keep what still fools.

    From the models of attackers without the deployed one; where there is none, on itself.
    """
    found: list[ExposedSample] = []
    for row, source, eps, fooled_by in _candidates(setting, curve):
        X, y = setting.rows(np.array([row]))
        generator = setting.attack_on(source, eps=eps)
        X_adv = generator.generate(X, y)
        answer = setting.answers(setting.deployed, X_adv)[0]
        if answer == y[0]:
            continue  # attacks that know other samples may find another way with one alone
        names: Any = getattr(setting.X, "index", None)
        numbered = names is None or callable(names)
        name = int(setting.row_numbers[row]) if numbered else plain_name(names[row])
        parts: dict[str, Any] = {}
        if np.ndim(X) > 2:
            parts = {"before": np.asarray(X)[0], "after": np.asarray(X_adv)[0]}
        else:
            parts = {"changes": _changes(X, X_adv, generator)}
        sample = ExposedSample(name, _plain(y[0]), _plain(answer), source, eps, fooled_by=fooled_by, **parts)
        found.append(sample)
        if len(found) == N_SHOWN:
            break
    return tuple(found)


def _candidates(setting: Setting, curve: TransferCurve) -> list[tuple[int, str, float, int]]:
    """Samples, the source and the budget that fool first, and how many sources fool in the end."""
    frame = curve._exposure(setting.deployed).reset_index(drop=True)  # names may be there twice
    frame = frame.sort_values(["eps", "fooled_by"], ascending=[True, False], kind="stable")
    columns = [name for name in curve.sources if name != setting.deployed]
    found = []
    for row, values in zip(frame.index.tolist(), frame.to_dict("records"), strict=True):
        each = {source: float(values[f"from {source}"]) for source in columns}
        fooling = {source: eps for source, eps in each.items() if np.isfinite(eps) and eps > 0}
        if fooling:
            source = min(fooling, key=lambda one: fooling[one])
            found.append((row, source, fooling[source], int(values["fooled_by"])))
        if len(found) == 3 * N_SHOWN:
            break
    return found


def _changes(X: Any, X_adv: Any, generator: Any) -> tuple[tuple[str, Any, Any], ...]:
    before, after = numbers(X)[0], numbers(X_adv)[0]
    change = np.abs(np.nan_to_num(after - before)) / spread_of(generator, len(before))
    names = column_names(X)
    order = np.argsort(-change, kind="stable")[:N_CHANGES]
    return tuple((names[k], float(before[k]), float(after[k])) for k in order if change[k] > 0)


def _plain(label: Any) -> Any:
    value: NDArray[Any] | Any = label.item() if isinstance(label, np.generic) else label
    return value if isinstance(value, (str, int, float, bool)) else str(value)
