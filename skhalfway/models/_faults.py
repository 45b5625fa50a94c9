"""Errors of models and samples: messages with the model's name, and what is wrong with the samples."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError

from skhalfway._text import brief, shown
from skhalfway.models._model import Model
from skhalfway.models._type_checks import unfrozen

_NAMED = re.compile("model '[^']*'")
_CHANNELS = (1, 3, 4)


def named(name: str, function: Any, *args: Any) -> Any:
    """Call the function, and put the model's name before the message of any error."""
    try:
        return function(*args)
    except (Warning, UnsetMetadataPassedError):
        # the first is a warning that the user turned into an error, the second names the estimator itself
        raise
    except Exception as error:
        kinds = (NotFittedError, TypeError, ValueError, TimeoutError)
        kind = next((kind for kind in kinds if isinstance(error, kind)), RuntimeError)
        says = ":" if kind in kinds else f" raised {type(error).__name__}:"
        nested = _NAMED.match(text := brief(error))
        said = text[nested.end() :] if nested else f"{says} {text}"
        raise kind(f"model {shown(name, 40)}{said}") from error


def type_named(model: Model, function: Any, *args: Any) -> Any:
    """Like :func:`named`, for a single model, which is named by its type."""
    return named(type_name(model.estimator), function, *args)


def type_name(estimator: Any) -> str:
    return type(unfrozen(estimator)).__name__


def classes_of(model: Model, X: NDArray[Any]) -> NDArray[Any]:
    """Labels of the class indices; for a torch module without labels, which is called, column numbers."""
    if model.classes_ is not None:
        return model.classes_
    return np.arange(type_named(model, explained, X, model.n_outputs, X))


def answers(model: Model, X: NDArray[Any]) -> NDArray[np.intp]:
    """Class indices of samples; ValueError says why a model does not take them, if that is known."""
    return explained(X, model.predict, X)


def explained(X: NDArray[Any], function: Any, *args: Any) -> Any:
    """Call the function; if it raises because samples are invalid, a ValueError says why they are."""
    try:
        return function(*args)
    except Exception as error:
        if (reason := _what_is_wrong(X, brief(error, 100))) is None:
            raise
        raise ValueError(reason) from error


def _what_is_wrong(X: NDArray[Any], said: str) -> str | None:
    if np.isnan(X).any() and ("nan" in said.lower() or "missing" in said):
        place = ", ".join(map(str, np.argwhere(np.isnan(X))[0]))
        return (
            f"Input X contains NaN, in X[{place}], and the model takes no missing values; impute them, or "
            "put an imputer before it in a Pipeline"
        )
    if X.ndim == 4 and X.shape[3] in _CHANNELS and X.shape[1] not in _CHANNELS:
        return (
            f"X of shape {X.shape} looks like (n, height, width, channels), and torch takes (n, channels, "
            f"height, width); pass X.transpose(0, 3, 1, 2). The model says: {said}"
        )
    return None
