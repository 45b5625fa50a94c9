"""Evaluation views: a network as it is in evaluation mode, with nothing of the user's switched.

A view of a module is a second tree of modules of the same types: each in evaluation mode for good, with
parameters of its own that share their memory with the user's (and ask for no gradient, so that none is left
on the user's), and with the same buffers. So any number of threads may use one module at once. What cannot be
viewed so (compiled to TorchScript, say) is switched into evaluation mode while it is used: :func:`switched`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import nn
from torch.nn.parameter import is_lazy

from skhalfway.models._replacement import CannotReplaceError, inside_anything, inside_container, replaced


def evaluation_view(module: nn.Module) -> nn.Module:
    """A view of the module; the module itself where it cannot be viewed, and :func:`switched` is needed."""
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
    """Bring a view up to date, where the module's owner has changed more than the values of its weights."""
    origin = view.__dict__["_origin"]
    if origin is None or not origin.changed():
        return False
    fresh = _Origin(origin.module).view().__dict__
    for name in view.__dict__.keys() - fresh.keys():
        del view.__dict__[name]
    view.__dict__.update(fresh)
    return True


@contextmanager
def buffers_kept(view: nn.Module) -> Iterator[list[str]]:
    """Names of the buffers that were written to inside; they are put back, and the view has copies."""
    before = [
        (part, name, buffer, buffer._version, buffer.clone())
        for part in view.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None and not buffer.is_inference()
    ]
    written: list[str] = []
    try:
        yield written
    finally:
        for part, name, buffer, version, values in before:
            if buffer._version != version:
                written.append(name)
                buffer.detach().copy_(values)
                part._buffers[name] = values


def art_view(classifier: Any) -> Any:
    """An ART classifier whose torch modules are views: ART switches modes and leaves gradients on weights."""
    from art.estimators import BaseEstimator as ArtEstimator

    def inside(value: Any) -> list[Any]:
        return list(vars(value).values()) if isinstance(value, ArtEstimator) else inside_container(value)

    try:
        return replaced(classifier, lambda value: isinstance(value, nn.Module), evaluation_view, inside)
    except CannotReplaceError:
        return classifier


def estimator_view(estimator: Any) -> Any:
    """The estimator, whose skorch nets predict in evaluation mode with nothing of theirs switched.

    What lies between is copied, one level deep; an estimator without such nets is returned as it is.
    """
    from skhalfway.models._kinds import is_skorch_net

    def inside(value: Any) -> list[Any]:
        if is_skorch_net(value):
            return []
        return list(vars(value).values()) if isinstance(value, BaseEstimator) else inside_container(value)

    try:
        return replaced(estimator, is_skorch_net, _net_view, inside)
    except CannotReplaceError:
        return estimator


def with_part(value: Any, part: Any, twin: Any) -> Any:
    """A copy of an object with ``twin`` wherever it holds ``part``; the object itself where it does not."""
    return replaced(value, lambda v: v is part, lambda _: twin, inside_anything)


class _Origin:
    """What a view was made from, to tell whether it still is what it was."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._seen: list[tuple[dict[str, Any], dict[str, Any], list[tuple[Any, ...]]]] = []

    def view(self) -> nn.Module:
        registered = {id(part) for part in self.module.modules()}

        def shell(part: Any) -> tuple[Any, Callable[[Callable[[Any], Any]], None]]:
            if isinstance(part, torch.Tensor):
                return _shared(part), lambda replace: None
            while "_orig_mod" in part._modules:  # what torch.compile made runs the module it was made from
                part = part._modules["_orig_mod"]
            if isinstance(part, torch.jit.ScriptModule):
                raise CannotReplaceError
            twin = object.__new__(type(part))
            state = dict(part.__dict__)
            self._seen.append((part.__dict__, _flat(state), _places(part)))

            def fill(replace: Callable[[Any], Any]) -> None:
                for name, value in state.items():
                    own = replace(value)
                    # forward may write into what is registered, hooked on or kept in a list
                    twin.__dict__[name] = own.copy() if isinstance(own, (list, dict, set)) else own
                # made by module.compile(), it runs the module itself
                twin.__dict__["_compiled_call_impl"] = None
                if id(part) in registered:
                    twin.__dict__ |= {"training": False, "train": partial(_stay, twin)}
                elif state["training"]:
                    # hidden from its owner's eval() too: it stays as it is, with buffers of its own
                    buffers = twin.__dict__["_buffers"].items()
                    twin.__dict__["_buffers"] = {k: None if b is None else b.clone() for k, b in buffers}

            return twin, fill

        view: nn.Module = replaced(self.module, _is_own, shell, inside_anything, two_steps=True)
        view.__dict__["_origin"] = self
        return view

    def changed(self) -> bool:
        return any(
            _flat(now).keys() != before.keys()
            or any(value is not before[name] for name, value in _flat(now).items())
            or places != [_place(p) for p in now["_parameters"].values()]
            for now, before, places in self._seen
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy of a view, here or in another process, stands alone
        return _nothing, ()


def _nothing() -> None:
    return None


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """What ``train`` does to a view."""
    return module


def _flat(state: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a module, registered ones too, but for its mode."""
    flat = {name: value for name, value in state.items() if name not in ("training", *_REGISTERS)}
    for register in _REGISTERS:
        flat |= {f"{register}.{name}": value for name, value in state[register].items()}
    return flat


_REGISTERS = ("_parameters", "_buffers", "_modules")


def _places(part: nn.Module) -> list[tuple[Any, ...]]:
    return [_place(p) for p in part._parameters.values()]


def _place(weight: nn.Parameter | None) -> tuple[Any, ...]:
    """Where a weight's values lie: ``data`` may be another tensor than it was."""
    if weight is None:
        return ()
    return (
        (weight.data_ptr() if weight.device.type != "meta" else 0),
        weight.shape,
        weight.dtype,
        weight.device,
    )


def _shared(weight: torch.Tensor) -> torch.Tensor:
    """A tensor of the same memory that asks for no gradient."""
    # one made in inference mode cannot take part in a gradient
    values = weight.clone() if weight.is_inference() else weight.detach()
    return nn.Parameter(values, requires_grad=False) if type(weight) is nn.Parameter else values


def _net_view(net: Any) -> Any:
    """A skorch net whose modules are views, and whose predictions draw no random number."""
    twin = object.__new__(type(net))
    twin.__dict__.update(net.__dict__)
    for name, value in net.__dict__.items():
        if isinstance(value, nn.Module) and name.endswith("_"):
            view = evaluation_view(value)
            twin.__dict__[name] = view if is_view(view) else _SwitchedWhenCalled(value)
    if net.iterator_valid is torch.utils.data.DataLoader:
        # a loader draws a seed each time it is gone through, from the global generator by default
        twin.__dict__.setdefault("iterator_valid__generator", torch.Generator())
    return twin


def _is_own(value: Any) -> bool:
    """Whether a view has one of its own: a module, or a tensor that gathers a gradient or can have none."""
    if isinstance(value, torch.Tensor):
        known = type(value) in (nn.Parameter, torch.Tensor)
        return known and (value.is_inference() or (value.requires_grad and value.is_leaf))
    return isinstance(value, nn.Module)


class _Switched:
    """Modules in evaluation mode, each with how many are using it, its flag and its weights' gradients."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._parts: dict[int, list[Any]] = {}

    def enter(self, part: nn.Module) -> None:
        with self._lock:
            if id(part) not in self._parts:
                weights = list(part.parameters(recurse=False))
                self._parts[id(part)] = [0, part.training, [(weight, weight.grad) for weight in weights]]
                part.training = False
                for weight in weights:
                    weight.grad = None
            self._parts[id(part)][0] += 1

    def leave(self, part: nn.Module) -> None:
        with self._lock:
            self._parts[id(part)][0] -= 1
            if not self._parts[id(part)][0]:
                _, part.training, grads = self._parts.pop(id(part))
                for weight, grad in grads:
                    weight.grad = grad


_SWITCHED = _Switched()


class _SwitchedWhenCalled(nn.Module):
    """A module that cannot be viewed, out of the reach of those who would switch it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.__dict__["module"] = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with switched(self.__dict__["module"]):
            return self.__dict__["module"](*args, **kwargs)


@contextmanager
def switched(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; flags and ``.grad`` are as before when the last user, of any thread, leaves."""
    parts = list(module.modules())
    for part in parts:
        _SWITCHED.enter(part)
    try:
        yield
    finally:
        for part in parts:
            _SWITCHED.leave(part)
