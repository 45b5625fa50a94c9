"""Copies of objects in which some parts are replaced, and everything else is shared with the original."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

_MOST_OBJECTS = 50_000  # most objects that are searched
_ATOMS = (str, bytes, int, float, complex, type, type(None), ModuleType, np.ndarray, torch.Tensor)
_CONTAINERS = (list, tuple, dict, set, frozenset)


class CannotReplaceError(Exception):
    """An object cannot be copied, or holds too many objects to be searched."""


def inside_container(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, _CONTAINERS) else []


def inside_anything(value: Any) -> list[Any]:
    """Objects inside an object, as far as they may be or contain modules."""
    if isinstance(value, _ATOMS):
        return []
    if isinstance(value, _CONTAINERS):
        return inside_container(value)
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*cells, *defaults, *_globals(value).values()]
    held = list(getattr(value, "__dict__", {}).values())
    if isinstance(value, nn.Module):
        held += [function for _, function, _ in methods(type(value))]
    return held


def methods(kind: type) -> Iterator[tuple[str, FunctionType, bool]]:
    """Functions of a module's type that its forward may run, and whether an instance can override them.

    Functions of torch itself are left out, since they only use registered parts.
    """
    bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ("torch", "builtins")]
    todo, seen = ["__call__", "forward"], {"__call__", "forward"}
    while todo:
        name = todo.pop()
        for base in bases:
            made = vars(base).get(name)
            function = getattr(made, "fget", None) or getattr(made, "__func__", made)
            if isinstance(function, FunctionType):
                yield name, function, made is function is getattr(kind, name) and name != "__call__"
                fresh = set(_names_in(function.__code__)) - seen
                todo += fresh
                seen |= fresh


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _globals(function: FunctionType) -> dict[str, Any]:
    """Globals that a function uses: modules, containers, and functions and objects of its own file."""
    home = function.__module__
    if (home or "").partition(".")[0] == "torch":
        return {}

    def followed(value: Any) -> bool:
        if isinstance(value, (nn.Module, partial, MethodType, *_CONTAINERS)):
            return True
        maker = value if isinstance(value, FunctionType) else type(value)
        return getattr(maker, "__module__", None) == home

    everywhere = function.__globals__
    named = {name: everywhere[name] for name in _names_in(function.__code__) if name in everywhere}
    return {name: value for name, value in named.items() if followed(value)}


def _names_in(code: CodeType) -> Iterator[str]:
    """Names of globals and attributes in code."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


class _Globals(dict[str, Any]):
    """Globals of a copied function: replaced ones, and all others with their current values."""

    def __init__(self, everywhere: dict[str, Any]) -> None:
        super().__init__({name: value for name, value in everywhere.items() if name.startswith("__")})
        self._everywhere = everywhere

    def __missing__(self, name: str) -> Any:
        return self._everywhere[name]


def found(root: Any, wanted: Callable[[Any], bool], inside: Callable[[Any], list[Any]]) -> list[Any]:
    """All wanted objects inside an object."""
    return _walked(root, wanted, inside)[0]


def replaced(
    root: Any,
    wanted: Callable[[Any], bool],
    make: Callable[[Any], Any],
    inside: Callable[[Any], list[Any]],
    *,
    two_steps: bool = False,
) -> Any:
    """A copy of the object in which each ``wanted`` part is replaced by ``make(part)``.

    Objects that lead to such parts are copied; all others are shared. With ``two_steps``, ``make`` returns an
    object and a function that fills it, since it may contain itself.
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
    """Ids of wanted objects, and of all objects that lead to them."""
    targets, holders = _walked(root, wanted, inside)
    leading: set[int] = set()
    todo = [id(value) for value in targets]
    while todo:
        key = todo.pop()
        if key not in leading:
            leading.add(key)
            todo += holders[key]
    return leading


def _walked(
    root: Any, wanted: Callable[[Any], bool], inside: Callable[[Any], list[Any]]
) -> tuple[list[Any], dict[int, list[int]]]:
    """Wanted objects, and for each object's id the ids of the objects that contain it."""
    holders: dict[int, list[int]] = {id(root): []}
    todo, targets = [root], []
    held = [root]  # references, so that no id is reused
    while todo:
        value = todo.pop()
        if wanted(value):
            targets.append(value)
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
    return targets, holders


def _copied(value: Any, replace: Callable[[Any], Any], twins: dict[int, Any]) -> Any:
    """A copy of an object that contains replaced parts."""
    key = id(value)
    if isinstance(value, MethodType):
        twin: Any = MethodType(value.__func__, replace(value.__self__))
    elif isinstance(value, partial):
        keywords = {name: replace(v) for name, v in value.keywords.items()}
        twin = partial(replace(value.func), *map(replace, value.args), **keywords)
    elif isinstance(value, FunctionType):
        cells = tuple(CellType() for _ in value.__closure__ or ())
        named = _globals(value)
        scope = _Globals(value.__globals__) if named else value.__globals__
        twin = twins[key] = FunctionType(value.__code__, scope, value.__name__, None, cells)
        twin.__dict__.update(value.__dict__)
        twin.__defaults__ = None if value.__defaults__ is None else tuple(map(replace, value.__defaults__))
        if value.__kwdefaults__ is not None:
            twin.__kwdefaults__ = {name: replace(v) for name, v in value.__kwdefaults__.items()}
        for name, old in named.items():
            if (new := replace(old)) is not old:
                scope[name] = new
        for cell, old in zip(cells, value.__closure__ or (), strict=True):
            if _is_filled(old):
                cell.cell_contents = replace(old.cell_contents)
    elif type(value) in (list, set):
        twin = twins[key] = type(value)()
        add = twin.append if isinstance(value, list) else twin.add
        for part in value:
            add(replace(part))
    elif isinstance(value, dict):
        # .copy() keeps the kind: a defaultdict, an OrderedDict
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
