"""Reports whose figures are known because they were made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skhalfway.report import AuditReport
from skhalfway.transfer import Outcomes, TransferCurve, TransferMatrix

NAMES = ("deployed", "second", "surrogate a", "surrogate b")
ROLES = dict(zip(NAMES, ("deployed", "other", "surrogate", "surrogate"), strict=True))


def curve_of(
    fooled: dict[str, Any],
    *,
    n: int = 200,
    noise: Any = 0,
    labels: Any = None,
    eps: tuple[float, ...] = (0.1, 0.5),
    **others: Any,
) -> TransferCurve:
    """A curve in which so many samples made on each source fool the deployed model, at each budget.

    Counts stand for the first samples of that number; an array of numbers for these samples. Nothing fools
    another model. All models classify all samples right.
    """
    names = tuple(name for name in NAMES if name in fooled)
    truth = np.zeros(n, dtype=int) if labels is None else np.asarray(labels)
    clean = np.tile(truth, (len(names), 1))
    matrices, fallen = [], []
    for k, budget in enumerate((0.0, *eps)):
        said = np.tile(truth, (len(names), len(names), 1))
        own = np.tile(truth, (len(names), 1))
        noisy = np.tile(truth, (len(names), 1))
        if budget:
            noisy[0, _rows(noise, k - 1)] = 1 - truth[_rows(noise, k - 1)]
            for i, name in enumerate(names):
                rows = _rows(fooled[name], k - 1)
                said[i, 0, rows] = 1 - truth[rows]
            own[0] = said[0, 0]
        outcomes = Outcomes(names, names, names, np.array(["no", "yes"]), truth, clean, noisy, own, said)
        matrices.append(TransferMatrix.of(outcomes, **others))
        fallen.append((own != truth).sum(axis=1))
    return TransferCurve(
        np.array((0.0, *eps)), tuple(matrices), np.maximum.accumulate(fallen), eps_unit="std"
    )


def _rows(given: Any, k: int) -> Any:
    one = given[k] if isinstance(given, (tuple, list)) else given
    return slice(one) if np.ndim(one) == 0 else np.asarray(one)


def report_of(curve: TransferCurve, **others: Any) -> AuditReport:
    """The report on such a curve."""
    roles = {name: ROLES[name] for name in curve.names}
    kinds = dict.fromkeys(curve.names, "SVC")
    return AuditReport("deployed", roles, kinds, curve, **others)


@pytest.fixture
def made() -> Callable[..., AuditReport]:
    """A function that makes a report: counts by source, and fields of the report."""

    def make(fooled: dict[str, Any], *, fields: dict[str, Any] | None = None, **others: Any) -> AuditReport:
        return replace(report_of(curve_of(fooled, **others)), **(fields or {}))

    return make
