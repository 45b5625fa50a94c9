"""A report that no audit made: every part of it in a few figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skhalfway import TransferCurve, TransferMatrix
from skhalfway.halfway import HalfwayMeasurement, PredictedTransfer
from skhalfway.models import Finding, ModelCheck
from skhalfway.report import (
    AttackedColumns,
    AuditReport,
    ExposedSample,
    NearestSamples,
    Retraining,
    Surrogates,
)
from skhalfway.results import ConfidenceInterval, Provenance
from skhalfway.transfer import Outcomes

N = 60


def curve_of(names, *, fooled=(0, 15, 40), n=N, classes=("cat", "dog"), fingerprints=True):
    """The first `fooled` samples fool every model as made on every other; noise fools the last one."""
    truth = np.arange(n) % 2
    clean = np.tile(truth, (len(names), 1))
    matrices = []
    for k, count in enumerate(fooled):
        made = np.tile(np.where(np.arange(n) < count, 1 - truth, truth), (len(names), len(names), 1))
        noise = np.tile(np.where(np.arange(n) == n - 1, 1 - truth, truth), (len(names), 1)) if k else clean
        outcomes = Outcomes(
            names,
            names,
            names,
            np.array(classes),
            truth,
            clean,
            noise,
            made[:, 0],
            made,
            fingerprints=np.arange(n, dtype=np.uint64) if fingerprints else None,
        )
        matrices.append(TransferMatrix.of(outcomes, masked=np.zeros(len(names), dtype=bool)))
    fallen = np.tile(np.array(fooled)[:, None], (1, len(names)))
    eps = np.arange(len(fooled)) * 0.25
    masked = np.zeros(len(names), dtype=bool)
    return TransferCurve(eps, tuple(matrices), fallen, eps_unit="std", masked=masked)


def report_of(names=("net", "tree", "surrogate linear"), **parts):
    """With everything that an audit of a table measures, unless parts say otherwise."""
    n_pairs = 12
    crossings = np.linspace(0.2, 0.8, 3 * n_pairs).reshape(3, n_pairs)
    figures = np.array([[1.0, 0.4, 0.3], [0.2, 1.0, 0.5], [0.1, 0.6, 1.0]])
    held = np.arange(40) < np.array([[36], [35]])
    every = {
        "curve": curve_of(names),
        "surrogates": Surrogates(names[2:], 30, 60, "reference", False, {names[2]: "logistic regression"}),
        "columns": AttackedColumns(
            ("income", "age"), np.array([0.75, 0.25]), np.array([0.9, 0.1]), 40, 60, 0.25, {"income": 7}
        ),
        "exposed": (
            ExposedSample(
                "row 7", "cat", "dog", names[2], 0.25, 2, (("income", 1234.5, 1200.25), ("age", 30.0, 31.0))
            ),
        ),
        "nearest": NearestSamples(np.r_[np.linspace(0.1, 0.9, 55), np.full(5, np.inf)], "fmn"),
        "predicted": PredictedTransfer(figures, 1 - 0.5 * figures, names=names),
        "agreement": HalfwayMeasurement(
            names,
            np.arange(2 * n_pairs).reshape(n_pairs, 2),
            np.ones(n_pairs),
            crossings,
            np.ones((3, n_pairs), dtype=bool),
        ),
        "retraining": Retraining(0.25, 100, held, held & (np.arange(40) < [[10], [30]]), None),
        "not_tested": ("Changes larger than that.",),
        "protocol": {"attack": "pgd", "seed": "0"},
        "warnings": ("something was odd",),
        "seconds": {"transfer": 1.5},
        "provenance": Provenance("audit", {"random_state": 0}, n_samples=N, seconds=2.0),
        **parts,
    }
    roles = dict(zip(names, ("deployed", "other", "surrogate"), strict=True))
    return AuditReport(names[0], roles, dict.fromkeys(names, "Pipeline of SVC"), **every)


def with_check(curve, name, message, advice):
    """The curve, where the check-up of a model warns."""
    check = ModelCheck(
        name, N, 2, 1.0, ConfidenceInterval(0.9, 1.0), (Finding("scale", "warning", message, advice),)
    )
    matrices = tuple(replace(matrix, checks={name: check}) for matrix in curve.matrices)
    return replace(curve, matrices=matrices)
