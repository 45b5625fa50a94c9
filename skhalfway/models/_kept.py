"""Writes of a module to itself: detected by comparing values, undone, and redirected to copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock, get_ident
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from torch import nn

Values: TypeAlias = "torch.Tensor | np.ndarray[Any, Any]"

LOCK = RLock()  # several views of one module share its memory


class Written:
    """Tensors and arrays that the parts of a view write to.

    Attributes
    ----------
    names : list of str
        Tensors and arrays of the view that were written to.
    """

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        self.names: list[str] = []
        # kinds of calls (with gradients or without) whose writes are known
        self.known: set[bool] = set()
        self.looking: int | None = None
        self._parts = parts
        self._copied: list[tuple[Values, Values]] = []

    def stale(self) -> bool:
        """Whether the owner has changed values of which the view has copies."""
        if not self._copied:
            return False
        with LOCK:
            return not all(_same(owners, values) for owners, values in self._copied)

    @contextmanager
    def first_calls(self) -> Iterator[None]:
        """Context for calls without gradients, in this thread; their writes are determined at the end."""
        with LOCK, self.kept():
            self.looking = get_ident()
            try:
                yield
            finally:
                self.looking = None
        self.known.add(False)

    @contextmanager
    def kept(self) -> Iterator[list[str]]:
        """Context that undoes writes and gives the view copies; yields the names of what was written to."""
        copies: dict[int, Values] = {}
        before = [
            (label, store, name, value, copies.setdefault(id(value), _copy(value)))
            for label, part in self._parts.items()
            for store in (part._parameters, part._buffers, part.__dict__)
            for name, value in list(store.items())  # a list, as other threads may add items
            if _may_be_written(value)
        ]
        own: dict[int, Any] = {}
        written: list[str] = []
        try:
            yield written
        finally:
            for label, store, name, value, values in before:
                if id(value) not in own and _same(value, values):
                    continue
                if id(value) not in own:
                    _put_back(value, values)
                    self._copied.append((value, values))
                    own[id(value)] = _copy(values)
                    if isinstance(value, nn.Parameter):
                        own[id(value)] = nn.Parameter(own[id(value)], requires_grad=False)
                if store.get(name) is value:
                    store[name] = own[id(value)]
                written.append(f"{label}.{name}" if label else name)
            self.names += [name for name in written if name not in self.names]


@contextmanager
def weights_kept(modules: Iterable[nn.Module]) -> Iterator[list[str]]:
    """Context that puts back the weights of modules, with their values, and yields names of those changed."""
    before = [
        (f"{label}.{name}" if label else name, part, name, weight, weight.data, _copy(weight))
        for module in modules
        for label, part in module.named_modules()
        for name, weight in list(part._parameters.items())
        if weight is not None and bool(_may_be_written(weight))
    ]
    changed: list[str] = []
    try:
        yield changed
    finally:
        for told, part, name, weight, memory, values in before:
            # TorchScript makes another object of a weight each time
            moved = not isinstance(part, torch.jit.ScriptModule) and part._parameters.get(name) is not weight
            if moved:
                part._parameters[name] = weight
            if weight.data_ptr() != memory.data_ptr():
                weight.data, moved = memory, True
            same = _same(memory, values)
            if not same:
                _put_back(memory, values)
            if moved or not same:
                changed.append(told)


def guarded(view: nn.Module, written: Written) -> Callable[..., Any]:
    """Function that calls a view until it was called once without gradients and once with them.

    These calls show what the module writes to, so that only that has to be handled later.
    """
    return partial(_guarded, view, written)


def _guarded(view: nn.Module, written: Written, *args: Any, **kwargs: Any) -> Any:
    given = (*args, *kwargs.values())
    graded = torch.is_grad_enabled() and any(isinstance(x, torch.Tensor) and x.requires_grad for x in given)
    if graded in written.known or written.looking == get_ident():
        return view._call_impl(*args, **kwargs)
    with LOCK:
        # the gradient needs the written values, so the call is repeated on the view's copies
        again = [x.clone() if isinstance(x, torch.Tensor) and graded else x for x in args]
        with written.kept() as names:
            output = view._call_impl(*args, **kwargs)
        written.known.add(graded)
        if len(written.known) == 2:
            view.__dict__["_compiled_call_impl"] = None
        return view._call_impl(*again, **kwargs) if names and graded else output


def _may_be_written(value: Any) -> TypeGuard[Values]:
    if isinstance(value, torch.Tensor):
        # a tensor made in inference mode cannot change
        plain = value.layout is torch.strided and not value.is_quantized and not value.is_inference()
        return plain and value.device.type != "meta"
    return isinstance(value, np.ndarray) and value.flags.writeable and not value.dtype.hasobject


def _copy(value: Values) -> Values:
    return value.detach().clone() if isinstance(value, torch.Tensor) else value.copy()


def _same(a: Values, b: Values) -> bool:
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        a = a.detach()
        # nan equals nan
        return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())
    assert isinstance(b, np.ndarray)
    return a.tobytes() == b.tobytes()


def _put_back(value: Values, values: Values) -> None:
    if isinstance(value, torch.Tensor):
        assert isinstance(values, torch.Tensor)
        # .data does not change the version, so that the owner's graphs stay valid
        value.data.copy_(values)
    else:
        value[...] = values
