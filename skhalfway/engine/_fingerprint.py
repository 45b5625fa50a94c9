"""Fingerprints of objects: short texts that depend on content only, not on the process or session."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from skhalfway._text import brief

_CONTAINERS = (CodeType, CellType, MappingProxyType, partial, staticmethod, classmethod, property)
KEY = "__skhalfway_key__"  # attribute of objects that define their own fingerprint
_SIZE = 20  # bytes of a fingerprint
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
# attributes of networks that only training needs; predictions do not depend on them
_OF_TRAINING = ("history_", "optimizer_", "callbacks_", "_optimizer")
_OF_ANY_CLASS = ("__dict__", "__weakref__", "__doc__", "__annotations__", "__abstractmethods__", "_abc_impl")


class UnknownContentError(TypeError):
    """Raised for an object whose content cannot be read; the message names it and what holds it."""


def fingerprint(*objects: Any) -> str:
    """Compute a text of 40 hexadecimal digits from the content of objects.

    Objects are taken apart as for pickling, into types and plain values, so that neither shared parts nor the
    process matter. Functions and classes of installed packages enter by their name and the version of the
    package; others enter by their code, defaults, closures and the globals that they use. An object with a
    text attribute ``__skhalfway_key__`` enters by that text.

    Parameters
    ----------
    *objects : object
        Anything that can be pickled, and functions.

    Returns
    -------
    text : str
        BLAKE2 hash of the content.

    Raises
    ------
    UnknownContentError
        If an object holds something without readable content, such as a lock or a connection.
    """
    return _Walk().digest(objects).hex()


class _Walk:
    """One walk through objects, with a memory of those already seen."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[bytes, Any]] = {}  # holds the object too, so that its id is not reused
        self._inside: dict[int, int] = {}
        self._around: list[Any] = []  # the object that is taken apart, last, and those around it
        self._cut = 0  # depth of the outermost object that a reference inside led back to

    def digest(self, obj: Any) -> bytes:
        if type(obj) in _PLAIN:
            return _hashed(type(obj).__name__, repr(obj).encode() if type(obj) is not bytes else obj)
        key = id(obj)
        if key in self._seen:
            return self._seen[key][0]
        depth = len(self._inside)
        if key in self._inside:
            self._cut = min(self._cut, self._inside[key])
            return _hashed("again", str(depth - self._inside[key]).encode())
        outer, self._cut = self._cut, depth + 1
        self._inside[key] = depth
        self._around.append(obj)
        try:
            digest = self._taken_apart(obj)
        finally:
            del self._inside[key]
            self._around.pop()
        if self._cut >= depth:  # no reference in it leads to an object around it
            self._seen[key] = digest, obj
        self._cut = min(outer, self._cut)
        return digest

    def _all(self, kind: str, parts: Iterable[Any]) -> bytes:
        return _hashed(kind, b"".join(self.digest(part) for part in parts))

    def _taken_apart(self, obj: Any) -> bytes:
        if not isinstance(obj, type) and isinstance(own := getattr(obj, KEY, None), str):
            return self._all("key", (type(obj).__qualname__, own))
        if isinstance(obj, (list, tuple)) and type(obj) in (list, tuple):
            return self._all(type(obj).__name__, obj)
        if isinstance(obj, (set, frozenset)) and type(obj) in (set, frozenset):
            return _hashed(type(obj).__name__, b"".join(sorted(self.digest(item) for item in obj)))
        if type(obj) is dict:
            return self._mapping("dict", obj)
        if isinstance(obj, np.ndarray):
            return self._array(obj)
        for kinds, apart in self._special:
            if isinstance(obj, kinds):
                return self._all(kinds.__name__ if isinstance(kinds, type) else "code", apart(obj))
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(obj, torch.Tensor):
            return self._tensor(obj)
        top = type(obj).__module__.partition(".")[0]
        if top == "art" or _is_net(obj):  # their pickles contain times, or use files
            state = {name: vars(obj)[name] for name in sorted(vars(obj)) if name not in _OF_TRAINING}
            return self._all("state", (type(obj), state))
        if top == "catboost" and hasattr(obj, "save_model"):
            return self._all("catboost", (type(obj), obj.get_params(), _catboost(obj)))
        return self._reduced(obj)

    def _mapping(self, kind: str, mapping: Mapping[Any, Any]) -> bytes:
        # in their order, which may matter: it is that of the layers of a ModuleDict, for example
        return self._all(kind, (part for pair in mapping.items() for part in pair))

    def _array(self, array: np.ndarray[Any, Any]) -> bytes:
        if array.dtype.hasobject:
            return self._all("objects", (array.shape, array.ravel().tolist()))
        hashed = blake2b(f"{array.dtype.str if array.dtype.names is None else array.dtype.descr}".encode())
        hashed.update(str(array.shape).encode())
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return _hashed("array", hashed.digest())

    def _tensor(self, tensor: Any) -> bytes:
        import torch

        with torch.no_grad():
            if tensor.layout != torch.strided:
                return self._all("tensor", (str(tensor.layout), tensor.shape, tensor.to_dense()))
            if tensor.is_quantized:
                return self._all("tensor", (str(tensor.dtype), tensor.int_repr(), tensor.dequantize()))
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            numbers = flat.view(torch.uint8) if flat.numel() else flat.to(torch.uint8)
        return self._all("tensor", (str(tensor.dtype), tuple(tensor.shape), numbers.numpy()))

    @property
    def _special(self) -> list[tuple[Any, Callable[[Any], Iterable[Any]]]]:
        return [
            (np.generic, lambda x: (x.dtype.str, x.tobytes())),
            (np.dtype, lambda x: (str(x.descr if x.names is not None else x.str),)),
            (np.random.RandomState, lambda x: (x.get_state(legacy=False),)),
            (np.random.Generator, lambda x: (x.bit_generator.state,)),
            (ModuleType, lambda x: (x.__name__, _version(x.__name__))),
            (FunctionType, self._function),
            (CodeType, _code),
            (MethodType, lambda x: (x.__func__, x.__self__)),
            (BuiltinFunctionType, _builtin),
            (np.ufunc, lambda x: (x.__name__, x.types)),
            (partial, lambda x: (x.func, x.args, x.keywords)),
            (MappingProxyType, lambda x: (dict(x),)),  # as the fields of a dataclass hold one
            ((staticmethod, classmethod), lambda x: (x.__func__,)),
            (property, lambda x: (x.fget, x.fset)),
            (type, _class),
        ]

    def _function(self, function: FunctionType) -> Iterable[Any]:
        if _is_library(function.__module__) and function.__closure__ is None:
            return function.__module__, function.__qualname__, _version(function.__module__)
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # not bound yet
                cells.append(None)
        known = function.__globals__
        named = {name: known[name] for name in sorted(_names(function.__code__) & known.keys())}
        return function.__code__, function.__defaults__, function.__kwdefaults__, cells, named

    def _held(self) -> str:
        """Where the object is that is taken apart: the function, class or object of a class around it."""
        for holder in reversed(self._around[:-1]):
            if isinstance(holder, (FunctionType, type)):
                return f", which {holder.__qualname__} uses"
            if type(holder).__module__ != "builtins" and not isinstance(holder, _CONTAINERS):
                return f", which is part of a {type(holder).__qualname__}"
        return ""

    def _reduced(self, obj: Any) -> bytes:
        try:
            reduced = obj.__reduce_ex__(4)
        except Exception as error:
            raise UnknownContentError(
                f"the content of {type(obj).__name__} cannot be read{self._held()}: {brief(error)}"
            ) from error
        if isinstance(reduced, str):  # the name of a global
            return self._all("global", (type(obj), reduced))
        make, args, state, items, pairs = (*reduced, None, None, None)[:5]
        parts = (make, args, state, None if items is None else list(items))
        rest = b"" if pairs is None else self._mapping("pairs", dict(pairs))
        return _hashed("object", self._all("parts", parts) + rest)


def _hashed(kind: str, content: bytes) -> bytes:
    return blake2b(kind.encode() + b"\0" + content, digest_size=_SIZE).digest()


def _code(code: CodeType) -> Iterable[Any]:
    return code.co_code, code.co_consts, code.co_names, code.co_varnames, code.co_freevars, code.co_flags


def _names(code: CodeType) -> set[str]:
    """Names of globals that code may use, including its inner functions."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return {*code.co_names}.union(*map(_names, inner))


def _builtin(function: Any) -> Iterable[Any]:
    owner = function.__self__
    of_module = owner is None or isinstance(owner, ModuleType)
    return function.__qualname__, str(function.__module__) if of_module else owner


def _class(class_: type) -> Iterable[Any]:
    if _is_library(class_.__module__):
        return class_.__module__, class_.__qualname__, _version(class_.__module__)
    own = {
        name: value
        for name, value in vars(class_).items()
        if name not in _OF_ANY_CLASS and not isinstance(value, GetSetDescriptorType)
    }
    return class_.__qualname__, class_.__bases__, own


def _catboost(model: Any) -> Any:
    """The fitted trees, as JSON, since the pickled format holds times."""
    if not model.is_fitted():
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        trees = json.loads(path.read_text())
    return {name: part for name, part in trees.items() if name != "model_info"}


def _is_net(obj: Any) -> bool:
    return any(base.__module__.startswith("skorch.") for base in type(obj).__mro__)


@cache
def _is_library(module: str | None) -> bool:
    """Whether a module is part of Python, of this package or of an installed package, which has a version."""
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return top != "__main__"
    if top == "skhalfway":
        return True
    path = getattr(sys.modules.get(top), "__file__", None) or ""
    places = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return any(place and path.startswith(place) for place in places)


@cache
def _version(module: str | None) -> str:
    top = (module or "").partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", None)
    return str(version) if version is not None else ".".join(map(str, sys.version_info[:2]))
