"""What is said of a model whose figures may mislead."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from skhalfway.models._check_result import ModelCheck


# packages between this one and the line of the user that called it
_BETWEEN = ("skhalfway", "sklearn", "skorch", "joblib")


class ModelWarning(UserWarning):
    """A model behaves so that figures about it may mislead; the message names it and says what to do.

    Examples
    --------
    Turned into an error, for a script that must not go on with a doubtful model:

    >>> import warnings
    >>> from skhalfway.models import ModelWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ModelWarning)
    """


def warn_of(checks: Mapping[str, ModelCheck]) -> None:
    """Warn of what the check-ups of models, by name, found."""
    for name, check in checks.items():
        for finding in check.warnings:
            if finding.kind != "probabilities":  # the model said so itself, as it was asked first
                warn(f"model {name!r}: {finding}")


def warn(message: str, category: type[Warning] = ModelWarning) -> None:
    """Warn, at the line of the user that called this package."""
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
