"""Evaluation views: networks in evaluation mode, without changing anything of the user's.

A view of a module is a second tree of modules of the same types, which stay in evaluation mode. Their
parameters share memory with the user's, but need no gradient, so that no gradient is left on the user's;
their buffers are the same. So any number of threads may use one module at the same time. Modules that cannot
be viewed, such as those compiled to TorchScript, are switched to evaluation mode while they are used:
:func:`switched`.

A view has its own modules for all that are registered, held by attributes, containers and plain objects, or
named by the functions that forward runs (in closures, defaults and globals). If a module writes to tensors or
arrays of the user's, at its first call without gradients or its first call with them, these are put back, and
the view writes to copies. Three things are not protected: what is written at later calls only, what other
objects hold, and what functions write elsewhere on purpose, such as a hook that fills a list of its owner's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from operator import is_
from types import FunctionType, MethodType
from typing import Any, TypeAlias

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn.parameter import is_lazy

from skhalfway.models._kept import Written, guarded
from skhalfway.models._replacement import (
    CannotReplaceError,
    inside_anything,
    inside_container,
    methods,
    replaced,
)
from skhalfway.models._switched import SwitchedWhenCalled


def evaluation_view(module: nn.Module) -> nn.Module:
    """A view of the module; the module itself if it cannot be viewed and needs :func:`switched`."""
    for part in module.modules():
        weights = [*part._parameters.values(), *part._buffers.values()]
        if any(weight is not None and is_lazy(weight) for weight in weights):
            raise ValueError(
                f"{type(module).__name__} has a {type(part).__name__} that was never run, so it has no "
                "weights; call the module once on a batch"
            )
    try:
        return _Origin(module).view()
    except CannotReplaceError:
        return module


def is_view(module: nn.Module) -> bool:
    return "_origin" in module.__dict__


def renewed(view: nn.Module) -> bool:
    """Update a view if the module's owner has changed more than the values of its weights."""
    origin = view.__dict__["_origin"]
    if origin is None or not origin.changed():
        return False
    _Origin(origin.module).view(view)
    return True


def written_to(view: nn.Module) -> list[str]:
    """Names of a view's tensors and arrays that its module writes to; the user's stay as they were."""
    origin = view.__dict__.get("_origin")
    return [] if origin is None else origin.written.names


def kept(module: nn.Module) -> AbstractContextManager[list[str]]:
    """Context that yields names of tensors and arrays written to inside; the user's stay as they were."""
    origin = module.__dict__.get("_origin")
    return nullcontext([]) if origin is None else origin.written.kept()


def first_calls(module: nn.Module) -> AbstractContextManager[None]:
    """Context for a view's first calls without gradients, whose writes are determined once, at the end."""
    origin = module.__dict__.get("_origin")
    return nullcontext() if origin is None else origin.written.first_calls()


def with_train_of_its_own(module: nn.Module) -> list[str]:
    """Types of parts in training mode that override ``train`` or ``eval``, which may do more than set a flag.

    These methods are not called, since they may change shared weights.
    """
    origin = module.__dict__.get("_origin")
    parts = (module if origin is None else origin.module).modules()
    return [
        type(part).__name__
        for part in parts
        if getattr(part, "training", False)
        and not isinstance(part, torch.jit.ScriptModule)
        and (type(part).train is not nn.Module.train or type(part).eval is not nn.Module.eval)
    ]


def art_view(classifier: Any) -> Any:
    """An ART classifier with views of its modules; ART switches modes and leaves gradients on weights."""
    from art.estimators import BaseEstimator as ArtEstimator

    def inside(value: Any) -> list[Any]:
        return list(vars(value).values()) if isinstance(value, ArtEstimator) else inside_container(value)

    try:
        return replaced(classifier, lambda value: isinstance(value, nn.Module), evaluation_view, inside)
    except CannotReplaceError:
        return classifier


def estimator_view(estimator: Any) -> Any:
    """A copy of the estimator with views of its skorch nets.

    Objects between estimator and nets are copied, one level deep. An estimator without such nets is returned
    as it is.
    """
    from skhalfway.models._type_checks import is_skorch_net

    def inside(value: Any) -> list[Any]:
        if is_skorch_net(value):
            return []
        return list(vars(value).values()) if isinstance(value, BaseEstimator) else inside_container(value)

    try:
        return replaced(estimator, is_skorch_net, _net_view, inside)
    except CannotReplaceError:
        return estimator


def with_part(value: Any, part: Any, twin: Any) -> Any:
    """A copy of an object with ``twin`` wherever it holds ``part``; the object itself if it does not."""
    return replaced(value, lambda v: v is part, lambda _: twin, inside_anything)


class _Origin:
    """The state of the module that a view was made from, to detect changes."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._parts: dict[str, nn.Module] = {}
        self.written = Written(self._parts)
        self._seen: list[tuple[dict[str, Any], _Flat, list[tuple[Any, ...]]]] = []
        self._functions: list[tuple[FunctionType, list[Any]]] = []

    def view(self, root: nn.Module | None = None) -> nn.Module:
        """Make the view, or rebuild an older one that is given as ``root``."""
        labels = {id(part): name for name, part in self.module.named_modules()}
        containers: dict[int, Any] = {}

        def shell(part: Any) -> tuple[Any, Callable[[Callable[[Any], Any]], None]]:
            if isinstance(part, torch.Tensor):
                return _shared(part), lambda replace: None
            is_root = part is self.module
            while "_orig_mod" in part._modules:  # use the original of a module from torch.compile
                part = part._modules["_orig_mod"]
            if isinstance(part, torch.jit.ScriptModule):
                raise CannotReplaceError
            twin = root if is_root and root is not None else object.__new__(type(part))
            state = dict(part.__dict__)
            self._seen.append((part.__dict__, _flat(state), _places(part)))

            def fill(replace: Callable[[Any], Any]) -> None:
                # forward may write into registered parts, hooks or lists
                fresh = {name: _own(replace(value), containers) for name, value in state.items()}
                for name, function, free in methods(type(part)):
                    own = replace(function)
                    if own is function:
                        continue
                    if not free:
                        raise CannotReplaceError
                    self._functions.append((function, inside_anything(function)))
                    fresh.setdefault(name, MethodType(own, twin))
                # the call compiled by module.compile() would run the original module
                fresh["_compiled_call_impl"] = None
                if is_root:
                    fresh |= {"_origin": self, "_compiled_call_impl": guarded(twin, self.written)}
                if id(part) in labels:
                    fresh |= {"training": False, "train": partial(_stay, twin)}
                elif state["training"]:
                    # its owner's eval() cannot reach it either: it keeps its mode, with copies of buffers
                    buffers = fresh["_buffers"].items()
                    fresh["_buffers"] = {k: None if b is None else b.clone() for k, b in buffers}
                self._parts[labels.get(id(part), f"({type(part).__name__} {len(self._parts)})")] = twin
                for name in twin.__dict__.keys() - fresh.keys():
                    del twin.__dict__[name]
                twin.__dict__.update(fresh)

            return twin, fill

        view: nn.Module = replaced(self.module, _is_own, shell, inside_anything, two_steps=True)
        return view

    def changed(self) -> bool:
        return (
            any(
                not _same_as(_flat(now), before) or places != [_place(p) for p in now["_parameters"].values()]
                for now, before, places in self._seen
            )
            or any(list(map(id, inside_anything(f))) != list(map(id, held)) for f, held in self._functions)
            or self.written.stale()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy of a view, here or in another process, is independent of the module
        return _nothing, ()


def _nothing() -> None:
    return None


def _own(value: Any, copies: dict[int, Any]) -> Any:
    """A deep copy of lists, dicts and sets; other objects are shared."""
    if not isinstance(value, (list, dict, set)):
        return value
    if id(value) not in copies:
        twin = value.copy()
        copies[id(value)] = copies[id(twin)] = twin
        if isinstance(twin, list):
            twin[:] = [_own(held, copies) for held in twin]
        elif isinstance(twin, dict):
            for name, held in twin.items():
                twin[name] = _own(held, copies)
    return copies[id(value)]


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """Replacement of ``train`` for a view, which stays in evaluation mode."""
    return module


_Flat: TypeAlias = "tuple[list[str], list[Any]]"


def _flat(state: dict[str, Any]) -> _Flat:
    """Names and values of a module's attributes, including registered ones, without its mode."""
    names, values = list(state), list(state.values())
    values[names.index("training")] = None
    for register in ("_parameters", "_buffers", "_modules"):
        names += state[register]
        values += state[register].values()
    return names, values


def _same_as(now: _Flat, before: _Flat) -> bool:
    return now[0] == before[0] and all(map(is_, now[1], before[1]))


def _places(part: nn.Module) -> list[tuple[Any, ...]]:
    return [_place(p) for p in part._parameters.values()]


def _place(weight: nn.Parameter | None) -> tuple[Any, ...]:
    """Identity of a weight's memory, which changes if its ``data`` is replaced."""
    if weight is None:
        return ()
    return (
        (weight.data_ptr() if weight.device.type != "meta" else 0),
        weight.shape,
        weight.dtype,
        weight.device,
    )


def _shared(weight: torch.Tensor) -> torch.Tensor:
    """A tensor that shares the memory and needs no gradient."""
    # a tensor made in inference mode cannot take part in a gradient, so it is copied
    values = weight.clone() if weight.is_inference() else weight.detach()
    return nn.Parameter(values, requires_grad=False) if type(weight) is nn.Parameter else values


def _net_view(net: Any) -> Any:
    """A skorch net with views of its modules, whose predictions draw no global random numbers."""
    twin = object.__new__(type(net))
    twin.__dict__.update(net.__dict__)
    for name, value in net.__dict__.items():
        if isinstance(value, nn.Module) and name.endswith("_"):
            view = evaluation_view(value)
            twin.__dict__[name] = view if is_view(view) else SwitchedWhenCalled(value)
    if net.iterator_valid is torch.utils.data.DataLoader:
        # a loader draws a seed at each iteration, by default from the global generator
        twin.__dict__.setdefault("iterator_valid__generator", torch.Generator())
    return twin


def _is_own(value: Any) -> bool:
    """Whether a view needs its own: a module, or a tensor that accumulates or cannot have a gradient."""
    if isinstance(value, torch.Tensor):
        known = type(value) in (nn.Parameter, torch.Tensor)
        return known and (value.is_inference() or (value.requires_grad and value.is_leaf))
    return isinstance(value, nn.Module)
