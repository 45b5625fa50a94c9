"""Modules that cannot be viewed, in evaluation mode while they are used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any

import torch
from torch import nn

from skhalfway.models._replacement import CannotReplaceError, found, inside_anything


class _Switched:
    """Modules in evaluation mode, each with how many are using it, and what it is to be like afterwards."""

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
    """A module that cannot be viewed, out of the reach of those who would switch it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.__dict__["module"] = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with switched(self.__dict__["module"]):
            return self.__dict__["module"](*args, **kwargs)


@contextmanager
def switched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; when the last user, of any thread, leaves, all is as before.

    That is flags, ``.grad`` and buffers of all modules that the module holds, registered or not.
    """
    parts = _parts(module)
    for part in parts:
        _SWITCHED.enter(part)
    try:
        yield
    finally:
        # two objects of TorchScript may stand for one module: the first of them knows how it was
        for part in reversed(parts):
            _SWITCHED.leave(part)


def _parts(module: nn.Module) -> list[nn.Module]:
    """Modules that can be switched: frozen ones of TorchScript have no mode."""
    parts = {id(part): part for part in module.modules()}
    if not isinstance(module, torch.jit.ScriptModule):
        with suppress(CannotReplaceError):
            parts |= {id(part): part for part in found(module, _is_module, inside_anything)}
    return [part for part in parts.values() if hasattr(part, "training")]


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module)
