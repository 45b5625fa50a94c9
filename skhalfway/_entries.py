"""Decorators of public functions and methods, which read samples from datasets first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Signature, signature
from typing import Any, TypeVar, cast

from skhalfway._datasets import is_dataset, read_dataset
from skhalfway._randomness import undisturbed

Function = TypeVar("Function", bound=Callable[..., Any])


def takes_datasets(function: Function) -> Function:
    """Decorate a function of samples, so that it also accepts a Dataset or DataLoader of torch.

    Datasets are read once, before the function is called. The labels in ``X`` become ``y``, and those in
    ``X_test`` become ``y_test``, if there is such a parameter.
    """
    return _taking_datasets(function, None)


def takes_blocks(function: Function) -> Function:
    """Like :func:`takes_datasets`, for a function that reads ``X`` itself, in blocks."""
    return _taking_datasets(function, None, ("X",))


def takes_datasets_or(rival: str) -> Callable[[Function], Function]:
    """Like :func:`takes_datasets`, for a function of labels, or of a parameter ``rival`` in their place."""
    return lambda function: _taking_datasets(function, rival)


def _taking_datasets(function: Function, rival: str | None, apart: tuple[str, ...] = ()) -> Function:
    own = signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = with_samples(own, args, kwargs, rival, apart)
        return function(*args, **kwargs)

    return cast(Function, call)


def with_samples(
    own: Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    rival: str | None = None,
    apart: tuple[str, ...] = (),
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments for a function with the signature ``own``, with datasets replaced by their content.

    Labels of datasets are left out if ``rival`` is given instead. Arguments named in ``apart`` stay as given.
    """
    if not any(map(is_dataset, (*args, *kwargs.values()))):
        return args, dict(kwargs)
    given = own.bind_partial(*args, **kwargs)
    replaced = rival is not None and given.arguments.get(rival) is not None
    for name, value in list(given.arguments.items()):
        if name in apart or not is_dataset(value):
            continue
        with undisturbed():  # a DataLoader draws random numbers even without shuffling
            given.arguments[name], labels = read_dataset(value, name)
        y = f"y{name.removeprefix('X')}"
        if labels is None or replaced or not name.startswith("X") or y not in own.parameters:
            continue
        if given.arguments.get(y) is not None:
            raise ValueError(
                f"{name} gives samples with labels, and {y} is given too; leave {y} out, or pass a dataset "
                "of samples alone"
            )
        given.arguments[y] = labels
    return given.args, given.kwargs
