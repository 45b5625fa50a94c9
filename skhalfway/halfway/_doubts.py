"""Warnings about figures of models that are unknown or unreliable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._text import named_pairs, shown
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._prediction import Prediction
from skhalfway.halfway._transfer_prediction import DOUBTFUL
from skhalfway.models._warnings import warn


def warn_of_unknown(measurement: HalfwayMeasurement) -> None:
    """Warn about models for which no pair counts, and about agreements that are nan."""
    names, some = measurement.names, np.asarray(measurement.counted.any(axis=1))
    for i in np.flatnonzero(~some):
        warn(
            f"model {shown(names[i])} does not classify both samples of any pair correctly (a model that "
            "always predicts the same class does not either); its figures are nan",
            UndefinedMetricWarning,
        )
    unknown = np.isnan(measurement.agreement) & np.outer(some, some)
    if unknown.any():
        which = named_pairs(names, np.argwhere(np.triu(unknown)).tolist(), " and ")
        warn(
            f"the agreement of {which} is nan: fewer than 3 pairs count for both, or all crossings of one of "
            "them are at the same position; raise n_pairs",
            UndefinedMetricWarning,
        )


def warn_of_doubtful(found: Prediction, names: tuple[str, ...], told: Sequence[bool]) -> None:
    """Warn about predicted rates that are nan or unreliable; not for low reliability of ``told`` models."""
    if not found.eligible.all():
        which = named_pairs(names, np.argwhere(np.triu(found.eligible == 0)).tolist(), " and ")
        warn(
            f"no sample is classified correctly by both {which}, so their rates are nan",
            UndefinedMetricWarning,
        )
    said = np.asarray(told)
    doubtful = np.triu(found.reliability < DOUBTFUL) & ~said[:, None] & ~said
    if doubtful.any():
        which = named_pairs(names, np.argwhere(doubtful).tolist(), " and ")
        warn(
            f"the predicted rates of {which} are unreliable (reliability below {DOUBTFUL:g}); pass more "
            "samples, or measure them with an attack (TransferScorer)"
        )
