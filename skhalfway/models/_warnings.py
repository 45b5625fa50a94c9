"""ModelWarning, the warning about a model whose results may mislead, and functions that give warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from skhalfway.models._check_result import ModelCheck


# packages whose frames lie between this one and the user's line of code
_BETWEEN = ("skhalfway", "sklearn", "skorch", "joblib")


class ModelWarning(UserWarning):
    """Warning that results about a model may mislead; the message names the model and says what to do.

    Examples
    --------
    A script that must not go on with a doubtful model turns the warning into an error:

    >>> import warnings
    >>> from skhalfway.models import ModelWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelWarning)
    """


def warn_of(checks: Mapping[str, ModelCheck]) -> None:
    """Warn about the findings of check-ups, given by the models' names."""
    for name, check in checks.items():
        for finding in check.warnings:
            if finding.kind != "probabilities":  # the model gave that warning itself at its first call
                warn(f"model {name!r}: {finding}")


def warn(message: str, category: type[Warning] = ModelWarning) -> None:
    """Warn at the user's line of code that called this package."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
