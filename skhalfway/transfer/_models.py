"""The models of one scorer: their names, what they share, and whose error it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from skhalfway.models import Model


def is_pair(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str)


def check_number(n: int) -> None:
    if n < 2:
        raise ValueError(f"transfer is between models: at least 2 are needed, got {n}")


def named_models(models: Any) -> dict[str, Any]:
    """Names and fitted models, of whatever form :meth:`TransferScorer.fit` takes."""
    wanted = (
        "with estimators=None fit takes fitted models: a mapping of names to models, a sequence of "
        "(name, model), or a sequence of models"
    )
    if isinstance(models, Mapping):
        pairs = list(models.items())
        if not all(isinstance(name, str) for name, _ in pairs):
            raise TypeError(f"{wanted}; names must be strings, got {list(models)}")
    elif not isinstance(models, (list, tuple)):
        raise TypeError(f"{wanted}; got {type(models).__name__}. To fit on data pass estimators=[...]")
    elif all(is_pair(item) for item in models):
        pairs = [(name, model) for name, model in models]
    else:
        pairs = _named_after_types(models)
    check_number(len(pairs))
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"names must be unique, got {names}")
    return dict(pairs)


def _named_after_types(models: Iterable[Any]) -> list[tuple[str, Any]]:
    """Lower-case type names, numbered where they repeat, as ``make_pipeline`` does."""
    from sklearn.pipeline import _name_estimators

    return _name_estimators(list(models))


def named(name: str, function: Any, *args: Any) -> Any:
    """Call the function; put the model's name before the message of what it raises."""
    try:
        return function(*args)
    except NotFittedError as error:
        raise NotFittedError(f"model {name!r}: {error}") from error
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"model {name!r}: {error}") from error
    except Exception as error:
        raise RuntimeError(f"model {name!r} raised {type(error).__name__}: {error}") from error


def common_classes(models: Mapping[str, Any]) -> NDArray[Any] | None:
    known = {name: model.classes_ for name, model in models.items() if model.classes_ is not None}
    if not known:
        return None
    (first, classes), *others = known.items()
    for name, theirs in others:
        if not np.array_equal(classes, theirs):
            raise ValueError(
                "the models must have the same classes_, in the same order: "
                f"{first!r} has {classes.tolist()}, {name!r} has {theirs.tolist()}"
            )
    if len(classes) < 2:
        raise ValueError(f"the models know one class, {classes.tolist()}; at least 2 are needed")
    return classes


def predictions(models: Mapping[str, Model], X: NDArray[Any]) -> NDArray[np.intp]:
    """Class indices, of shape (n_models, n_samples)."""
    return np.stack([named(name, model.predict, X) for name, model in models.items()])
