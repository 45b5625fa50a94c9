"""The most exposed samples, before and after, and their changes in the units of the data."""

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
N_CHANGES = 6  # columns that are shown for each sample


def most_exposed(setting: Setting, curve: TransferCurve) -> tuple[ExposedSample, ...]:
    """Attack again the samples that fool at the smallest budgets, and keep those that still fool.

    They are made on the models of attackers who do not have the deployed model.
    """
    candidates = _candidates(setting, curve)
    found: dict[int, ExposedSample] = {}
    for source, eps in dict.fromkeys((source, eps) for _, source, eps, _ in candidates):
        fooled_by = {row: n for row, *how, n in candidates if how == [source, eps]}
        X, y = setting.rows(np.array(list(fooled_by)))
        generator = setting.attack_on(source, eps=eps)
        X_adv = generator.generate(X, y)
        answers = setting.answers(setting.deployed, X_adv)
        parts = _pictures(X, X_adv) if np.ndim(X) > 2 else _changes(X, X_adv, generator)
        for row, label, answer, part in zip(fooled_by, y, answers, parts, strict=True):
            # attacks that use other samples may have another result on these alone
            if answer != label:
                name = _name_of(setting, row)
                found[row] = ExposedSample(
                    name, _plain(label), _plain(answer), source, eps, fooled_by[row], **part
                )
    return tuple(found[row] for row, *_ in candidates if row in found)[:N_SHOWN]


def _name_of(setting: Setting, row: int) -> Any:
    """Name of a sample in X, else its row number."""
    names: Any = getattr(setting.X, "index", None)
    numbered = names is None or callable(names)
    return int(setting.row_numbers[row]) if numbered else plain_name(names[row])


def _candidates(setting: Setting, curve: TransferCurve) -> list[tuple[int, str, float, int]]:
    """Samples, the source and the smallest budget that fool, and how many sources fool at the largest one."""
    frame = curve._exposure(setting.deployed).reset_index(drop=True)  # names may not be unique
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


def _pictures(X: Any, X_adv: Any) -> list[dict[str, Any]]:
    """Each image before and after."""
    pairs = zip(np.asarray(X), np.asarray(X_adv), strict=True)
    return [{"before": before, "after": after} for before, after in pairs]


def _changes(X: Any, X_adv: Any, generator: Any) -> list[dict[str, Any]]:
    """Columns of each sample that were changed most, before and after."""
    before, after, names = numbers(X), numbers(X_adv), column_names(X)
    change = np.abs(np.nan_to_num(after - before)) / spread_of(generator, len(names))
    order = np.argsort(-change, axis=1, kind="stable")[:, :N_CHANGES]
    return [
        {"changes": tuple((names[k], float(b[k]), float(a[k])) for k in columns if moved[k] > 0)}
        for b, a, moved, columns in zip(before, after, change, order, strict=True)
    ]


def _plain(label: Any) -> Any:
    value: NDArray[Any] | Any = label.item() if isinstance(label, np.generic) else label
    return value if isinstance(value, (str, int, float, bool)) else str(value)
