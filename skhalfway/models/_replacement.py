"""Objects with some of their parts replaced, and everything else shared with the original."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

_MOST_OBJECTS = 50_000  # that are looked through
_ATOMS = (str, bytes, int, float, complex, type, type(None), ModuleType, np.ndarray, torch.Tensor)
_CONTAINERS = (list, tuple, dict, set, frozenset)


class CannotReplaceError(Exception):
    """An object cannot be copied, or holds too much to be looked through."""


def inside_container(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, _CONTAINERS) else []


def inside_anything(value: Any) -> list[Any]:
    """What an object holds, as far as modules may be there."""
    if isinstance(value, _ATOMS):
        return []
    if isinstance(value, _CONTAINERS):
        return inside_container(value)
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, FunctionType):
        return [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    return list(getattr(value, "__dict__", {}).values())


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def replaced(
    root: Any,
    wanted: Callable[[Any], bool],
    make: Callable[[Any], Any],
    inside: Callable[[Any], list[Any]],
    *,
    two_steps: bool = False,
) -> Any:
    """The object, with what is ``wanted`` replaced by what is made of it; what leads there is copied.

    With ``two_steps``, ``make`` returns a thing and a function that fills it, since it may hold itself.
    """
    leading = _leading(root, wanted, inside)
    twins: dict[int, Any] = {}

    def replace(value: Any) -> Any:
        key = id(value)
        if key in twins:
            return twins[key]
        if key not in leading:
            return value
        if wanted(value):
            if not two_steps:
                twins[key] = make(value)
                return twins[key]
            twins[key], fill = make(value)
            fill(replace)
            return twins[key]
        return _copied(value, replace, twins)

    return replace(root)


def _leading(root: Any, wanted: Callable[[Any], bool], inside: Callable[[Any], list[Any]]) -> set[int]:
    """Ids of what is wanted, and of all objects through which it is reached."""
    holders: dict[int, list[int]] = {id(root): []}
    todo, found = [root], []
    held = [root]  # alive, so that no id is given twice
    while todo:
        value = todo.pop()
        if wanted(value):
            found.append(id(value))
        for part in inside(value):
            if isinstance(part, _ATOMS) and not wanted(part):
                continue
            if id(part) not in holders:
                holders[id(part)] = []
                todo.append(part)
                held.append(part)
            holders[id(part)].append(id(value))
        if len(holders) > _MOST_OBJECTS:
            raise CannotReplaceError
    leading: set[int] = set()
    while found:
        key = found.pop()
        if key not in leading:
            leading.add(key)
            found += holders[key]
    return leading


def _copied(value: Any, replace: Callable[[Any], Any], twins: dict[int, Any]) -> Any:
    """A copy of an object that holds something replaced."""
    key = id(value)
    if isinstance(value, MethodType):
        twin: Any = MethodType(value.__func__, replace(value.__self__))
    elif isinstance(value, partial):
        keywords = {name: replace(v) for name, v in value.keywords.items()}
        twin = partial(replace(value.func), *map(replace, value.args), **keywords)
    elif isinstance(value, FunctionType):
        cells = tuple(CellType() for _ in value.__closure__ or ())
        twin = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, cells)
        twin.__kwdefaults__ = value.__kwdefaults__
        twin.__dict__.update(value.__dict__)
        twins[key] = twin
        for cell, old in zip(cells, value.__closure__ or (), strict=True):
            if _is_filled(old):
                cell.cell_contents = replace(old.cell_contents)
    elif type(value) in (list, set):
        twin = twins[key] = type(value)()
        add = twin.append if isinstance(value, list) else twin.add
        for part in value:
            add(replace(part))
    elif isinstance(value, dict):
        # of any kind: a defaultdict, an OrderedDict
        twin = twins[key] = value.copy()
        for name, held in value.items():
            twin[name] = replace(held)
    elif type(value) in (tuple, frozenset):
        twin = type(value)(map(replace, value))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        twin = type(value)(*map(replace, value))
    elif (
        getattr(type(value), "__reduce_ex__", None) is object.__reduce_ex__
        and hasattr(value, "__dict__")
        and not isinstance(value, _CONTAINERS)
    ):
        twin = twins[key] = object.__new__(type(value))
        twin.__dict__.update({name: replace(held) for name, held in vars(value).items()})
    else:
        raise CannotReplaceError
    twins[key] = twin
    return twin
