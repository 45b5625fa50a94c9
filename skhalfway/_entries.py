"""What is done before a public function or method begins: samples are read out of datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Signature, signature
from typing import Any, TypeVar, cast

from skhalfway._datasets import is_dataset, read_dataset
from skhalfway._randomness import undisturbed

Function = TypeVar("Function", bound=Callable[..., Any])


def takes_datasets(function: Function) -> Function:
    """Decorate a function of samples: it may also be given a Dataset or DataLoader of torch.

    These are read once, before the function is called. Labels that ``X`` brings along are its ``y``, those of
    ``X_test`` its ``y_test``, where it has such a parameter.
    """
    return _taking_datasets(function, None)


def takes_blocks(function: Function) -> Function:
    """As :func:`takes_datasets`, of a function that goes through ``X`` itself, in blocks."""
    return _taking_datasets(function, None, ("X",))


def takes_datasets_or(rival: str) -> Callable[[Function], Function]:
    """As :func:`takes_datasets`, of a function that takes labels, or a parameter ``rival`` in their place."""
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
    """Arguments as a function of the signature ``own`` takes them, with what datasets hold in their place.

    Their labels are left out where ``rival`` is given instead of labels. Those of names ``apart`` stay.
    """
    if not any(map(is_dataset, (*args, *kwargs.values()))):
        return args, dict(kwargs)
    given = own.bind_partial(*args, **kwargs)
    replaced = rival is not None and given.arguments.get(rival) is not None
    for name, value in list(given.arguments.items()):
        if name in apart or not is_dataset(value):
            continue
        with undisturbed():  # a DataLoader draws, whether it shuffles or not
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
