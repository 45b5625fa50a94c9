"""Modules that cannot be viewed: they are switched to evaluation mode while they are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any

import torch
from torch import nn

from skhalfway.models._replacement import CannotReplaceError, found, inside_anything


class _Switched:
    """Modules in evaluation mode, with the number of users of each, and the state to restore afterwards."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._parts: dict[int, list[Any]] = {}

    def enter(self, part: nn.Module) -> None:
        with self._lock:
            if id(part) not in self._parts:
                grads = [(weight, weight.grad) for weight in part.parameters(recurse=False)]
                changing = [b for b in part.buffers(recurse=False) if not b.is_inference()]
                buffers = [(b, b._version, b.clone()) for b in changing]
                self._parts[id(part)] = [0, part.training, grads, buffers]
                part.training = False
                for weight, _ in grads:
                    weight.grad = None
            self._parts[id(part)][0] += 1

    def leave(self, part: nn.Module) -> None:
        with self._lock:
            self._parts[id(part)][0] -= 1
            if not self._parts[id(part)][0]:
                _, part.training, grads, buffers = self._parts.pop(id(part))
                for weight, grad in grads:
                    weight.grad = grad
                for buffer, version, values in buffers:
                    if buffer._version != version:
                        buffer.data.copy_(values)


_SWITCHED = _Switched()


class SwitchedWhenCalled(nn.Module):
    """Wrapper of a module that cannot be viewed, so that nobody else switches its mode."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.__dict__["module"] = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with switched(self.__dict__["module"]):
            return self.__dict__["module"](*args, **kwargs)


@contextmanager
def switched(module: nn.Module) -> Iterator[None]:
    """Context with the module in evaluation mode; after the last user, of any thread, all is restored.

    Flags, ``.grad`` and buffers are restored, for all modules inside the module, registered or not.
    """
    parts = _parts(module)
    for part in parts:
        _SWITCHED.enter(part)
    try:
        yield
    finally:
        # two TorchScript objects may represent one module, whose original state the first one recorded
        for part in reversed(parts):
            _SWITCHED.leave(part)


def _parts(module: nn.Module) -> list[nn.Module]:
    """Modules that can be switched; frozen TorchScript modules have no mode."""
    parts = {id(part): part for part in module.modules()}
    if not isinstance(module, torch.jit.ScriptModule):
        with suppress(CannotReplaceError):
            parts |= {id(part): part for part in found(module, _is_module, inside_anything)}
    return [part for part in parts.values() if hasattr(part, "training")]


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module)
