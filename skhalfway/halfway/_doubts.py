"""What is said of figures of models that are not known, or hardly."""

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
    """Warn of models that no pair counts for, and of agreements that are nan."""
    names, some = measurement.names, np.asarray(measurement.counted.any(axis=1))
    for i in np.flatnonzero(~some):
        warn(
            f"model {shown(names[i])} classifies both samples of no pair right, as one does that never "
            "changes its answer; its figures are nan",
            UndefinedMetricWarning,
        )
    unknown = np.isnan(measurement.agreement) & np.outer(some, some)
    if unknown.any():
        which = named_pairs(names, np.argwhere(np.triu(unknown)).tolist(), " and ")
        warn(
            f"the agreement of {which} is nan: fewer than 3 pairs count for both, or one of them crosses "
            "everywhere at the same place; raise n_pairs",
            UndefinedMetricWarning,
        )


def warn_of_doubtful(found: Prediction, names: tuple[str, ...], told: Sequence[bool]) -> None:
    """Warn of predicted rates that are nan or of low reliability, save of models that were warned of."""
    if not found.eligible.all():
        which = named_pairs(names, np.argwhere(np.triu(found.eligible == 0)).tolist(), " and ")
        warn(
            f"no sample is classified right by {which} together, so their rates are nan",
            UndefinedMetricWarning,
        )
    said = np.asarray(told)
    doubtful = np.triu(found.reliability < DOUBTFUL) & ~said[:, None] & ~said
    if doubtful.any():
        which = named_pairs(names, np.argwhere(doubtful).tolist(), " and ")
        warn(
            f"the directions asked determine little of the rates of {which} (reliability below "
            f"{DOUBTFUL:g}); pass more samples, or attack them"
        )
